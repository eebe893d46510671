//! What the cluster says of a target's objects, reduced to what decisions need.

use crate::health::{Health, health};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use trueup_merge::compare::Change;
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
    /// How it is doing.
    pub health: Health,
    /// Whether it has a deletion timestamp.
    pub deleting: bool,
    /// Whether the live object carries `trueup.dev/prune: "false"` or a peer's word for it.
    pub keep: bool,
}

impl Live {
    /// A live object in short, as seen by a field manager.
    pub fn of(object: &Value, manager: &str) -> Self {
        let metadata = |field: &str| object.get("metadata").and_then(|metadata| metadata.get(field));
        let text = |field: &str| metadata(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let annotation =
            |key: &str| metadata("annotations").and_then(|all| all.get(key)?.as_str()).unwrap_or_default();
        Self {
            uid: text("uid"),
            resource_version: text("resourceVersion"),
            token: token(object, manager),
            health: health(object),
            deleting: metadata("deletionTimestamp").is_some(),
            keep: annotation("trueup.dev/prune") == "false"
                || annotation("kustomize.toolkit.fluxcd.io/prune") == "disabled"
                || annotation("helm.sh/resource-policy") == "keep"
                || annotation("argocd.argoproj.io/sync-options")
                    .split(',')
                    .any(|option| option.trim() == "Prune=false"),
        }
    }
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
    pub members: BTreeMap<ObjectId, Live>,
    /// Wanted objects that exist outside of the target.
    pub strangers: BTreeMap<ObjectId, Stranger>,
    /// Kinds that could not be listed, and why.
    pub unknown: BTreeMap<GroupKind, String>,
    /// What dry runs said, for objects whose tokens prove nothing.
    pub verdicts: BTreeMap<ObjectId, Verdict>,
    /// Objects that another configured target of the same cluster wants: which.
    pub claims: BTreeMap<ObjectId, String>,
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
}

/// The last known digests and tokens of a target's objects.
pub type Ledger = BTreeMap<ObjectId, Known>;
