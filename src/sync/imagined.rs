//! What a change in Git would come to, on clusters that are imagined: one in memory for each of the configuration, to which
//! first the one commit is applied and then the other.
//!
//! Enters: a configuration, two revisions, and what live objects there are to begin with, if somebody exported them. Leaves:
//! both sides of each object that is not the same after the second commit. No cluster is asked, and no credentials are
//! needed but those of the repository.

use super::membership;
use super::offline::{self, Until};
use super::repositories::chain;
use super::topology::{self, Secrets};
use super::view::{Preview, PreviewStep};
use super::{preview, target::TargetSpec};
use crate::config::{self, ClusterSpec, Config, Kubeconfig, RepositorySpec};
use crate::render::{self, Depth};
use crate::sandbox::{self, Running};
use crate::source::{Cache, DiskTree, Head, Location, Source, Spec};
use anyhow::{Context as _, Result, anyhow, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use trueup_merge::secrets::MaskKey;
use trueup_model::{ObjectId, Origin, Value};
use trueup_plan::apply_set::PART_OF;
use trueup_plan::planning::Action;
use trueup_plan::record::{SyncStatus, TargetStatus};

/// Labels of what a controller made of a Service.
const COPIED: [&str; 2] = ["endpoints.kubernetes.io/managed-by", "endpointslice.kubernetes.io/managed-by"];

/// What to compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The commit before; only what the snapshot has where there is none.
    pub from: Option<String>,
    /// The commit after; what the configuration follows where there is none, or the files of `local`.
    pub to: Option<String>,
    /// A checkout to take the commits from, instead of the repository's URL.
    pub local: Option<PathBuf>,
    /// A folder with live objects to begin with.
    pub snapshot: Option<PathBuf>,
}

/// An object as it was in a cluster.
type Seen = BTreeMap<(String, ObjectId), Arc<Value>>;

/// Says what the change would do to the objects of `targets` (of all of them if there are none named).
pub async fn previews(config: &Path, targets: &[String], change: &Change) -> Result<Vec<Preview>> {
    let mut config = offline::load(config).await?;
    let specs = topology::targets(&config);
    let shown = topology::select(specs.keys().map(String::as_str), targets).map_err(anyhow::Error::msg)?;
    let applied = with_dependencies(&shown, &specs);
    let repository = the_repository(&applied, &specs)?;
    let folder = tempfile::tempdir().context("a folder for the time being")?;
    let revisions = revisions(&mut config, repository, change, folder.path()).await?;
    config.repositories.retain(|name, _| applied.iter().any(|target| specs[target].repository == *name));
    let clusters = imagine(&mut config, folder.path()).await?;
    if let Some(snapshot) = &change.snapshot {
        restore(snapshot, &clusters, &topology::targets(&config))?;
    }
    let mut errors: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let state = folder.path().join("state");
    if let Some(from) = &revisions.from {
        let at = from.pinned(&config, repository);
        let statuses = offline::sync_loaded(&at, &state, &applied, None, Until::Applied).await?;
        errors.extend(statuses.iter().map(|status| (status.target.clone(), troubles(status, &from.name))));
    }
    let before = seen(&clusters);
    let at = revisions.to.pinned(&config, repository);
    let statuses = offline::sync_loaded(&at, &state, &applied, None, Until::Applied).await?;
    let after = seen(&clusters);
    let mask = preview::random_key()?;
    let mut previews = Vec::new();
    for status in statuses.iter().filter(|status| shown.contains(&status.target)) {
        let spec = &specs[&status.target];
        let mut preview = compare(spec, &before, &after, &revisions, &mask);
        preview.errors = errors.remove(&status.target).unwrap_or_default();
        preview.errors.extend(troubles(status, &revisions.to.name));
        previews.push(preview);
    }
    Ok(previews)
}

/// The targets, and all that they wait for.
fn with_dependencies(targets: &[String], specs: &BTreeMap<String, TargetSpec>) -> Vec<String> {
    let (mut found, mut open) = (BTreeSet::new(), targets.to_vec());
    while let Some(target) = open.pop() {
        if let Some(spec) = specs.get(&target)
            && found.insert(target)
        {
            open.extend(spec.depends_on.iter().cloned());
        }
    }
    found.into_iter().collect()
}

/// The repository that all of the targets are from.
fn the_repository<'s>(targets: &[String], specs: &'s BTreeMap<String, TargetSpec>) -> Result<&'s str> {
    let names: BTreeSet<&str> = targets.iter().map(|target| specs[target].repository.as_str()).collect();
    match names.iter().collect::<Vec<_>>().as_slice() {
        [name] => Ok(name),
        [] => bail!("the configuration has no targets"),
        several => {
            let several: Vec<&str> = several.iter().map(|name| **name).collect();
            bail!("the targets are from several repositories ({}); name targets of one", several.join(", "))
        }
    }
}

struct Revisions {
    from: Option<Revision>,
    to: Revision,
}

/// A commit, or the files of a folder.
struct Revision {
    /// As a person knows it.
    name: String,
    /// In full; empty for the files.
    commit: String,
}

impl Revision {
    fn of(written: &str, head: &Head) -> Self {
        Self { name: written.to_owned(), commit: head.revision.clone() }
    }

    /// The configuration with the repository standing there.
    fn pinned(&self, config: &Config, repository: &str) -> Config {
        let mut config = config.clone();
        if let Some(declared) = config.repositories.get_mut(repository) {
            let spec = &mut declared.spec;
            spec.suspend = false;
            spec.worktree = self.commit.is_empty();
            spec.reference = (!spec.worktree).then(|| config::Reference::Commit(self.commit.clone()));
        }
        config
    }
}

/// Finds out which commits are meant, and makes the configuration read them where they are.
async fn revisions(
    config: &mut Config,
    repository: &str,
    change: &Change,
    folder: &Path,
) -> Result<Revisions> {
    let declared = config.repositories.get_mut(repository).context("no repository")?;
    if let Some(local) = &change.local {
        let root = local.canonicalize().with_context(|| local.display().to_string())?;
        let root = root.to_str().with_context(|| format!("{}: the name is not UTF-8", local.display()))?;
        declared.spec = RepositorySpec::local(root);
    }
    if declared.spec.secret_ref.is_some() {
        bail!(
            "Repository {repository} takes its credentials from a Secret, and no cluster is asked here; give a checkout with --local DIR"
        );
    }
    let nobody = Secrets { home: Err("no cluster is asked here".to_owned()) };
    let spec: Spec = topology::source(config, repository, &nobody).await?;
    let is_checkout = change.local.is_some() && matches!(spec.location, Location::Folder(_));
    let source = Cache::new(&folder.join("revisions"))?.open(Spec { worktree: false, ..spec })?;
    let read = async |written: &String| resolved(&source, written).await;
    let from = match &change.from {
        Some(from) => Some(read(from).await.with_context(|| format!("repository {repository}"))?),
        None => None,
    };
    let to = match &change.to {
        Some(to) => read(to).await.with_context(|| format!("repository {repository}"))?,
        None if is_checkout => Revision { name: "the working tree".to_owned(), commit: String::new() },
        None => {
            let head = source.poll().await;
            let head = head.map_err(|error| anyhow!("repository {repository}: {}", chain(&error)))?;
            Revision::of(&head.reference, &head)
        }
    };
    Ok(Revisions { from, to })
}

async fn resolved(source: &Source, written: &str) -> Result<Revision> {
    // Short commits are known of what was fetched.
    if let Ok(head) = source.poll().await {
        let _ = source.fetch(&head).await;
    }
    let head = source.resolve(written).await.map_err(|error| anyhow!("{}", chain(&error)))?;
    source.fetch(&head).await.map_err(|error| anyhow!("{}", chain(&error)))?;
    Ok(Revision::of(written, &head))
}

/// Puts an empty cluster in memory in place of each that is configured.
async fn imagine(config: &mut Config, folder: &Path) -> Result<BTreeMap<String, Running>> {
    let mut clusters = BTreeMap::new();
    for (name, declared) in &mut config.clusters {
        let path = folder.join(format!("cluster-{}.kubeconfig", clusters.len()));
        clusters.insert(name.clone(), sandbox::serve(&path).await?);
        let path = Some(path.to_str().context("the temporary folder's name is not UTF-8")?.to_owned());
        declared.spec =
            ClusterSpec { kubeconfig: Some(Kubeconfig { path, context: None }), ..ClusterSpec::default() };
    }
    Ok(clusters)
}

/// Puts exported objects into the clusters: those of a folder with a cluster's name into that one, others into each.
fn restore(
    folder: &Path,
    clusters: &BTreeMap<String, Running>,
    specs: &BTreeMap<String, TargetSpec>,
) -> Result<()> {
    let root = folder.canonicalize().with_context(|| folder.display().to_string())?;
    let manifests = render::plain(&DiskTree::new(&root), "", Depth::Recursive)
        .with_context(|| folder.display().to_string())?;
    for (name, cluster) in clusters {
        let is_elsewhere = |origin: &Origin| {
            let below = origin.path.split_once('/').map(|(below, _)| below);
            below.is_some_and(|below| clusters.contains_key(below) && below != name)
        };
        let mut objects: Vec<(&Origin, Value)> = manifests
            .iter()
            .filter(|manifest| !is_elsewhere(&manifest.origin))
            .map(|manifest| (&manifest.origin, manifest.value.clone().into_value()))
            .collect();
        objects.sort_by_key(|(_, object)| rank(object));
        for (origin, object) in &mut objects {
            adopt(object, specs);
            let restored = cluster.served.restore(object);
            restored.map_err(|refusal| {
                anyhow!("{}/{origin}: {}: {}", folder.display(), ObjectId::of(object), refusal.message)
            })?;
        }
    }
    Ok(())
}

/// What another trueup recorded of a target is taken over with its objects, wherever it reads the repository from.
pub(crate) fn adopt(object: &mut Value, specs: &BTreeMap<String, TargetSpec>) {
    let target = object["data"].get(membership::TARGET).and_then(Value::as_str);
    let spec = target.and_then(|target| specs.get(target));
    if let Some(spec) = spec.filter(|spec| object["metadata"]["name"] == spec.parent_name().as_str()) {
        object["data"][membership::REPOSITORY] = spec.repository_url.as_str().into();
    }
}

/// What others need comes first.
fn rank(object: &Value) -> u8 {
    match object["kind"].as_str() {
        Some("CustomResourceDefinition") => 0,
        Some("Namespace") => 1,
        Some(_) | None => 2,
    }
}

fn seen(clusters: &BTreeMap<String, Running>) -> Seen {
    let of = |(name, cluster): (&String, &Running)| {
        let objects = cluster.served.objects().into_iter();
        let name = name.clone();
        objects.map(move |object| ((name.clone(), ObjectId::of(&object)), object))
    };
    clusters.iter().flat_map(of).collect()
}

fn compare(spec: &TargetSpec, before: &Seen, after: &Seen, revisions: &Revisions, mask: &MaskKey) -> Preview {
    let set = spec.set();
    // Controllers give endpoints the labels of their Service.
    let is_ours = |object: &Arc<Value>| {
        let labels = &object["metadata"]["labels"];
        labels[PART_OF] == set.as_str() && COPIED.iter().all(|copied| labels[*copied].is_null())
    };
    let ids: BTreeSet<&(String, ObjectId)> = [before, after]
        .into_iter()
        .flatten()
        .filter(|((cluster, _), object)| *cluster == spec.cluster && is_ours(object))
        .map(|(key, _)| key)
        .collect();
    let to = &revisions.to.name;
    let mut preview =
        Preview { target: spec.name.clone(), revision: revisions.to.commit.clone(), ..Preview::default() };
    for key in ids {
        let sides = (before.get(key), after.get(key));
        let (action, reason) = match sides {
            (None, _) => (Action::Create, format!("new in {to}")),
            (Some(_), None) => (Action::Delete, format!("gone from {to}")),
            (Some(_), Some(_)) => (Action::Update, format!("changed by {to}")),
        };
        let side = |object: Option<&Arc<Value>>| object.map(|object| Value::clone(object));
        let step = PreviewStep::between(key.1.clone(), action, reason, [side(sides.0), side(sides.1)], mask);
        if step.live == step.wanted {
            preview.unchanged += 1;
        } else {
            preview.steps.push(step);
        }
    }
    preview
}

/// Why a target is not as the commit says.
fn troubles(status: &TargetStatus, at: &str) -> Vec<String> {
    let told = match status.sync {
        SyncStatus::Synced => return Vec::new(),
        SyncStatus::Unknown | SyncStatus::Syncing | SyncStatus::OutOfSync | SyncStatus::Failed => {
            &status.errors
        }
    };
    if told.is_empty() {
        return vec![format!("at {at}: {}", status.message)];
    }
    told.iter().map(|error| format!("at {at}: {error}")).collect()
}
