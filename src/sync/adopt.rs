//! Takes over what Helm installed: a release becomes a target's, without a change to what runs.
//!
//! Enters: the name of a release, and the configuration. Leaves: what would be taken over and what would change then
//! ([`Adopting::adoption`]), and on request the ownership of the release's fields ([`Adopting::hand_over`]), one write an object. Each can be
//! done again: what is handed over already is passed over. What the release has and Git does not is named and left alone, and
//! so is Helm's record of the release. Absent: the sync that follows, which is one like any other.

use super::engine::Chosen;
use super::offline::{Once, load};
use super::target::{Mode, TargetSpec};
use super::topology;
use super::view::{PlanOptions, Preview};
use crate::bounded::in_order;
use crate::cluster::{self, Apply, Cluster, Force, HandedOver, MANAGER, Scope};
use anyhow::{Context as _, Result, bail};
use futures::FutureExt as _;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use trueup_helm::ReleaseRecord;
use trueup_merge::release;
use trueup_model::{FieldPath, ObjectId, Value};
use trueup_plan::desired::{Desired, Want};

const IN_FLIGHT: usize = 16;
/// How Helm says that a release is as it should be.
const DEPLOYED: &str = "deployed";

/// What is to be adopted.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The release's name.
    pub release: String,
    /// Its namespace; that of the target where it is not said.
    pub namespace: Option<String>,
    /// The target that takes it over; where it is not said, the one whose chart has this release name.
    pub target: Option<String>,
}

/// What an adoption comes to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Adoption {
    /// The target.
    pub target: String,
    /// The release.
    pub release: Release,
    /// Objects that both have.
    pub adopted: Vec<Adopted>,
    /// Objects that the release has and Git does not. They are left alone.
    pub left: Vec<ObjectId>,
    /// Objects that Git has and that the release does not, or that are not there any more.
    pub added: Vec<ObjectId>,
    /// What a sync would do. Fields that are lost because Helm gives them up are not in it: see [`Adopted::lost`].
    pub plan: Preview,
}

/// A release, as Helm recorded it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its revision.
    pub revision: u64,
    /// The chart's name.
    pub chart: String,
    /// The chart's version.
    pub version: String,
}

/// An object that is taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Adopted {
    /// The object.
    pub object: ObjectId,
    /// How many fields Helm still owns and hands over; none where that is done.
    pub fields: usize,
    /// Fields that Helm gave a value and Git does not: they go with the next sync.
    pub lost: Vec<String>,
    /// Whether the sync changes a pod template, so that pods are made anew.
    pub restarts: bool,
}

impl Adoption {
    /// Whether anything is still to be done.
    pub fn differs(&self) -> bool {
        self.plan.differs() || self.adopted.iter().any(|adopted| adopted.fields > 0)
    }
}

/// An adoption that was looked into.
pub struct Adopting {
    /// What it comes to.
    pub adoption: Adoption,
    /// By what Helm installed the objects that are taken over.
    manifests: BTreeMap<ObjectId, Value>,
    cluster: Cluster,
    once: Once,
}

impl Adopting {
    /// Looks into an adoption; touches nothing.
    pub async fn examine(config: &Path, asked: &Asked) -> Result<Self> {
        let config = load(config).await?;
        let specs = topology::targets(&config);
        let candidates: Vec<Candidate<'_>> = specs.values().map(Candidate::of).collect();
        let spec = &specs[&target(&candidates, asked)?];
        if spec.mode == Mode::Suspended {
            bail!("{} is suspended, and would not be synced", spec.name);
        }
        let once = Once::begin(&config, None, Chosen::Only(BTreeSet::new())).await?;
        let cluster = once.engine.target(&spec.name).and_then(|(_, cluster)| cluster);
        let cluster = cluster.with_context(|| once.engine.trouble_of("Cluster", &spec.cluster))?;
        let record = read(&cluster, spec, asked).await?;
        let examined = once.engine.examine(&spec.name, &PlanOptions::default()).await;
        let (plan, desired) = examined.with_context(|| spec.name.clone())?;
        if !plan.errors.is_empty() {
            bail!("{} cannot be synced as it is:\n  {}", spec.name, plan.errors.join("\n  "));
        }
        let (adoption, manifests) = compare(&cluster, spec, record, &desired, plan).await?;
        Ok(Self { adoption, manifests, cluster, once })
    }

    /// Hands over what Helm owns of the adopted objects. Gives the number of objects that were handed over now.
    ///
    /// # Errors
    /// What could not be handed over. The rest was; another attempt goes on from there.
    pub async fn hand_over(self) -> Result<usize> {
        let open = self.adoption.adopted.iter().filter(|adopted| adopted.fields > 0);
        let open: Vec<(&ObjectId, &Value)> =
            open.filter_map(|adopted| self.manifests.get_key_value(&adopted.object)).collect();
        let writes = open.iter().map(|(id, manifest)| self.cluster.hand_over(id, manifest).boxed());
        let results = in_order(writes, IN_FLIGHT).await;
        let done = results.iter().filter(|result| matches!(result, Ok(HandedOver::Now))).count();
        let failed: Vec<String> =
            results.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
        self.once.end().await?;
        if !failed.is_empty() {
            bail!(
                "{} of {} objects could not be handed over; adopt again to go on:\n  {}",
                failed.len(),
                failed.len() + done,
                failed.join("\n  ")
            );
        }
        Ok(done)
    }

    /// Leaves everything as it is.
    pub async fn leave(self) -> Result<()> {
        self.once.end().await
    }
}

/// What of a target says whether it is meant.
struct Candidate<'s> {
    name: &'s str,
    namespace: &'s str,
    /// The name that its chart is released by, if it has one.
    release: Option<&'s str>,
}

impl<'s> Candidate<'s> {
    fn of(spec: &'s TargetSpec) -> Self {
        let release = spec.request.helm.as_ref().map(|helm| helm.release.as_str());
        Self { name: &spec.name, namespace: &spec.namespace, release }
    }

    fn renders(&self, asked: &Asked) -> bool {
        self.release == Some(asked.release.as_str())
            && asked.namespace.as_ref().is_none_or(|namespace| namespace == self.namespace)
    }
}

/// The target that is meant.
fn target(known: &[Candidate<'_>], asked: &Asked) -> Result<String> {
    let found: Vec<String> = match &asked.target {
        Some(named) => topology::select(known.iter().map(|one| one.name), std::slice::from_ref(named))
            .map_err(anyhow::Error::msg)?,
        None => known.iter().filter(|one| one.renders(asked)).map(|one| one.name.to_owned()).collect(),
    };
    match found.as_slice() {
        [name] => Ok(name.clone()),
        [] => {
            let within = asked.namespace.iter().map(|namespace| format!(" in namespace {namespace}"));
            bail!(
                "no target of the configuration renders a chart as release {}{}; name one with --target",
                asked.release,
                within.collect::<String>()
            )
        }
        several => bail!("several targets could be meant: {}; name one with --target", several.join(", ")),
    }
}

/// The newest revision of the release, which has to be deployed.
async fn read(cluster: &Cluster, spec: &TargetSpec, asked: &Asked) -> Result<ReleaseRecord> {
    let namespace = asked.namespace.as_ref().unwrap_or(&spec.namespace);
    if namespace.is_empty() {
        bail!("{} has no namespace of its own: say with --namespace where the release is", spec.name);
    }
    let release = &asked.release;
    let stored = cluster
        .newest_release(namespace, release)
        .await
        .with_context(|| format!("cluster {}", spec.cluster))?;
    let Some(stored) = stored else {
        bail!("cluster {}: there is no Helm release {release} in namespace {namespace}", spec.cluster)
    };
    let record = ReleaseRecord::decode(&stored).with_context(|| format!("release {namespace}/{release}"))?;
    if record.status != DEPLOYED {
        bail!(
            "release {namespace}/{release} is {} at revision {}, not {DEPLOYED}: first bring it to an end with Helm",
            record.status,
            record.revision
        );
    }
    Ok(record)
}

/// Holds the release against what Git wants and what is there.
async fn compare(
    cluster: &Cluster,
    spec: &TargetSpec,
    record: ReleaseRecord,
    desired: &Arc<Desired>,
    plan: Preview,
) -> Result<(Adoption, BTreeMap<ObjectId, Value>)> {
    let namespace = if record.namespace.is_empty() { spec.namespace.clone() } else { record.namespace };
    let release = Release {
        name: record.name,
        namespace,
        revision: record.revision,
        chart: record.chart,
        version: record.version,
    };
    let objects = record.objects.into_iter();
    let mut manifests: BTreeMap<ObjectId, Value> =
        objects.map(|object| (placed(cluster, &object, &release.namespace), object)).collect();
    let ids: Vec<ObjectId> = manifests.keys().cloned().collect();
    let live = cluster.strangers(&ids).await;
    if let Some((kind, error)) = live.failed.first_key_value() {
        bail!("{kind}: {error}");
    }
    let is_wanted = |id: &ObjectId| desired.objects.contains_key(id);
    let left: Vec<ObjectId> = live.found.keys().filter(|id| !is_wanted(id)).cloned().collect();
    manifests.retain(|id, _| is_wanted(id) && live.found.contains_key(id));
    if manifests.is_empty() {
        bail!(
            "{} renders none of the objects of release {}/{}: a release name or a namespace differs, or it is another chart",
            spec.name,
            release.namespace,
            release.name
        );
    }
    let is_added = |id: &&ObjectId| !manifests.contains_key(*id) && !desired.hooks.contains_key(*id);
    let added = desired.objects.keys().filter(is_added).cloned().collect();
    let looks = manifests.iter().filter_map(|(id, manifest)| {
        let want = desired.objects.get(id)?;
        Some(adopted(cluster, &release, want, manifest).boxed())
    });
    let looks = in_order(looks, IN_FLIGHT).await;
    let adopted = all(looks).with_context(|| format!("{} cannot take all of it over", spec.name))?;
    let target = spec.name.clone();
    Ok((Adoption { target, release, adopted, left, added, plan }, manifests))
}

/// All results, or all that is wrong.
fn all(results: Vec<Result<Adopted>>) -> Result<Vec<Adopted>> {
    let (good, bad): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    let bad: Vec<String> =
        bad.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    if !bad.is_empty() {
        bail!("{}", bad.join("\n  "));
    }
    Ok(good.into_iter().filter_map(Result::ok).collect())
}

/// The identity of an object of a release, which leaves its namespace out where it is the release's.
fn placed(cluster: &Cluster, object: &Value, namespace: &str) -> ObjectId {
    let id = ObjectId::of(object);
    match cluster.scope_of(&id.group_kind()) {
        Some(Scope::Cluster) => id.in_namespace(""),
        Some(Scope::Namespaced) | None if id.namespace.is_empty() => id.in_namespace(namespace),
        Some(Scope::Namespaced) | None => id,
    }
}

/// What becomes of an object that both have. That it cannot be applied is known before anything is touched.
async fn adopted(cluster: &Cluster, of: &Release, want: &Want, manifest: &Value) -> Result<Adopted> {
    let request = Apply {
        id: &want.id,
        api_version: &want.api_version,
        body: &want.body,
        mode: cluster::Mode::DryRun,
        force: Force::Yes,
    };
    let applied = cluster.apply(&request).await?;
    let live = cluster.get_in(&want.id, &want.api_version).await?.unwrap_or_default();
    if let Some((namespace, name)) = release::release_of(&live)
        && (namespace != of.namespace || name != of.name)
    {
        bail!("{} is of release {namespace}/{name}", want.id);
    }
    let predicted = applied.object.unwrap_or_default();
    let lost: Vec<String> =
        release::lost(&live, manifest, &predicted, MANAGER).iter().map(FieldPath::to_string).collect();
    let restarts = live.pointer("/spec/template") != predicted.pointer("/spec/template")
        || lost.iter().any(|field| field.starts_with("spec.template"));
    Ok(Adopted {
        object: want.id.clone(),
        fields: release::handed(&live, manifest, MANAGER).len(),
        lost,
        restarts: restarts && live.pointer("/spec/template").is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(namespace: Option<&str>, named: Option<&str>, expected: Result<&str, &str>) {
        let known = [
            ("api@production", "shop", Some("api")),
            ("web@production", "shop", Some("web")),
            ("web@staging", "shop-staging", Some("web")),
            ("plain@staging", "shop-staging", None),
        ];
        let known = known.map(|(name, namespace, release)| Candidate { name, namespace, release });
        let asked = Asked {
            release: "web".to_owned(),
            namespace: namespace.map(str::to_owned),
            target: named.map(str::to_owned),
        };
        match (target(&known, &asked), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(error), Err(expected)) => {
                assert!(error.to_string().contains(expected), "{error}");
            }
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn the_target_is_the_one_that_renders_the_release_or_the_one_that_is_named() {
        check(Some("shop"), None, Ok("web@production"));
        check(None, Some("web@staging"), Ok("web@staging"));
        check(Some("shop"), Some("api"), Ok("api@production"));
        check(None, None, Err("web@production, web@staging; name one"));
        check(None, Some("web"), Err("web@production, web@staging; name one"));
        check(Some("elsewhere"), None, Err("as release web in namespace elsewhere"));
        check(None, Some("plain"), Ok("plain@staging"));
        check(None, Some("nothing"), Err("nothing"));
    }
}
