//! What the cluster says of a target's objects, reduced to what decisions need.

use crate::budget::Approval;
use crate::desired::PRUNE_ANNOTATION;
use crate::health::{Health, health};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use trueup_merge::compare::Change;
use trueup_merge::extract::{Extract, Shape, extracted, shape};
use trueup_merge::token::{Token, token};
use trueup_model::{GroupKind, ObjectId, Value};

/// A live member of the target, as its watch last showed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// What our field manager owns of it, hashed; `None` where we own nothing.
    pub token: Option<Token>,
    /// What our field manager last applied to it, hashed; `None` where that cannot be told from the object.
    pub extract: Option<Extract>,
    /// Where only the schema says whether that is what an apply would own; `None` where nothing is left open.
    pub shape: Option<Shape>,
    /// How it is doing.
    pub health: Health,
    /// Whether it has a deletion timestamp.
    pub deleting: bool,
    /// Whether the live object carries `trueup.dev/prune: "false"` or a peer's word for it.
    pub keep: bool,
}

impl Live {
    /// Reduces a live object, as the field manager `manager` sees it.
    pub fn of(object: &Value, manager: &str) -> Self {
        let metadata = |field: &str| {
            object.get("metadata").and_then(|metadata| metadata.get(field)).filter(|value| !value.is_null())
        };
        let text = |field: &str| metadata(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            uid: text("uid"),
            resource_version: text("resourceVersion"),
            token: token(object, manager),
            extract: extracted(object, manager),
            shape: shape(object, manager),
            health: health(object),
            deleting: metadata("deletionTimestamp").is_some(),
            keep: metadata("annotations").is_some_and(keeps),
        }
    }
}

// Sources: `kustomize.toolkit.fluxcd.io/prune` of Flux, `helm.sh/resource-policy` of Helm, which ignores case, and the sync
// options of Argo CD, where `Prune=confirm` waits for a person, whom we cannot ask.
fn keeps(annotations: &Value) -> bool {
    let annotation = |key: &str| annotations.get(key).and_then(Value::as_str).map(str::trim);
    annotation(PRUNE_ANNOTATION) == Some("false")
        || annotation("kustomize.toolkit.fluxcd.io/prune") == Some("disabled")
        || annotation("helm.sh/resource-policy").is_some_and(|policy| policy.eq_ignore_ascii_case("keep"))
        || annotation("argocd.argoproj.io/sync-options").is_some_and(|options| {
            options.split(',').any(|option| matches!(option.trim(), "Prune=false" | "Prune=confirm"))
        })
}

/// A live object that we want and that is not (yet) a member of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// `metadata.uid`.
    pub uid: String,
    /// The other field managers that own fields of it, sorted.
    pub managers: Vec<String>,
    /// The set that it belongs to, if any.
    pub part_of: Option<SetOwner>,
    /// Whether it is on its way out: finalizers hold it.
    pub deleting: bool,
}

/// Who the `ApplySet` of a stranger belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetOwner {
    /// Another configured target, which does not want it (any more): the object moved.
    Former(String),
    /// A target that is no longer configured, of the same repository.
    Removed(String),
    /// A set that is not ours: its id.
    Foreign(String),
}

/// What a server-side dry run of our apply said of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// An apply would change nothing that we own.
    Same,
    /// An apply would change these fields.
    Differs(Vec<Change>),
    /// The server refuses the object.
    Refused(String),
    /// The server refuses to change these fields of the object, ever.
    Immutable(Vec<String>),
    /// An apply would change these fields, as several did before: somebody changes them back each time.
    Contested(Vec<Change>),
}

/// What is known of one object.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// A member of the target.
    Live(&'a Live),
    /// There, but not a member.
    Stranger(&'a Stranger),
    /// Not there.
    Absent,
    /// Could not be looked at: why.
    Unknown(&'a str),
}

/// What is known of the target's objects.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The live members.
    pub members: BTreeMap<ObjectId, Arc<Live>>,
    /// Wanted objects that exist outside of the target.
    pub strangers: BTreeMap<ObjectId, Stranger>,
    /// Kinds that could not be listed, and why.
    pub unknown: BTreeMap<GroupKind, String>,
    /// Kinds that the cluster does not serve and that are given time to come: what is waited for.
    pub awaited: BTreeMap<GroupKind, String>,
    /// What dry runs said, for objects whose tokens prove nothing.
    pub verdicts: BTreeMap<ObjectId, Verdict>,
    /// The revision that was last applied in full, as the cluster or the store recorded it; empty where none was.
    pub applied: String,
    /// Objects that another configured target of the same cluster wants: which.
    pub claims: BTreeMap<ObjectId, String>,
    /// What a person said may be deleted beyond the budget.
    pub approval: Option<Approval>,
    /// Objects that the target itself is made of: its configuration, where that is kept in a cluster.
    pub foundations: BTreeSet<ObjectId>,
}

impl Observed {
    /// What is known of `id`.
    pub fn seen(&self, id: &ObjectId) -> Seen<'_> {
        if let Some(why) = self.unknown.get(&id.group_kind()) {
            Seen::Unknown(why)
        } else if let Some(live) = self.members.get(id) {
            Seen::Live(live)
        } else if let Some(stranger) = self.strangers.get(id) {
            Seen::Stranger(stranger)
        } else {
            Seen::Absent
        }
    }
}

/// What an apply left behind: while desired and live still hash to these, there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The digest of the object that was applied.
    pub digest: trueup_merge::token::Digest,
    /// The token of what the server answered.
    pub token: Token,
    /// The rules that it answered by; 0 where nothing was known of them. Other rules may answer something else.
    #[serde(default)]
    pub epoch: u64,
}

/// The last known digests and tokens of a target's objects.
pub type Ledger = BTreeMap<ObjectId, Known>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::HealthStatus;
    use serde_json::json;

    fn config_map(annotations: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}, "metadata": {
            "name": "web", "namespace": "shop", "uid": "u1", "resourceVersion": "7", "annotations": annotations,
            "managedFields": [{"manager": "trueup", "operation": "Apply", "apiVersion": "v1",
                "fieldsV1": {"f:data": {"f:a": {}}}}]}})
    }

    #[test]
    fn a_live_object_is_reduced_to_what_decisions_need() {
        let live = Live::of(&config_map(&Value::Null), "trueup");
        assert_eq!((live.uid.as_str(), live.resource_version.as_str()), ("u1", "7"));
        assert_eq!(live.health.status, HealthStatus::Healthy);
        assert!(live.token.is_some() && !live.deleting && !live.keep);
        let written =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"a": "1"}});
        assert_eq!(live.extract, Some(trueup_merge::extract::wanted(&written)));
        let theirs = Live::of(&config_map(&Value::Null), "kubectl");
        assert_eq!((theirs.token, theirs.extract), (None, None));
    }

    #[test]
    fn an_object_with_a_deletion_timestamp_is_being_deleted() {
        let mut object = config_map(&Value::Null);
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(Live::of(&object, "trueup").deleting);
        object["metadata"]["deletionTimestamp"] = Value::Null;
        assert!(!Live::of(&object, "trueup").deleting);
    }

    #[test]
    fn annotations_of_trueup_and_its_peers_keep_an_object() {
        let kept = |key: &str, value: &str| Live::of(&config_map(&json!({key: value})), "trueup").keep;
        for (key, keeping, others) in [
            ("trueup.dev/prune", &["false"][..], &["true", ""][..]),
            ("kustomize.toolkit.fluxcd.io/prune", &["disabled"], &["enabled"]),
            ("helm.sh/resource-policy", &["keep", "Keep "], &["delete"]),
            (
                "argocd.argoproj.io/sync-options",
                &["Prune=false", "Validate=false, Prune=false", "Prune=confirm"],
                &["Prune=true", "PrunePropagationPolicy=foreground", "PruneLast=true"],
            ),
        ] {
            for value in keeping {
                assert!(kept(key, value), "{key}: {value}");
            }
            for value in others {
                assert!(!kept(key, value), "{key}: {value}");
            }
        }
    }
}
