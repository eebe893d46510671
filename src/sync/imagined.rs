//! What a change in Git would come to, on clusters that are imagined: one in memory for each of the configuration, to which
//! first the one commit is applied and then the other.
//!
//! Enters: a configuration, two revisions, and what live objects there are to begin with, if somebody exported them. The Apps of AppSets are those of
//! each revision. Leaves: both sides of each object that is not the same after the second commit. No cluster is asked, and no credentials are
//! needed but those of the repository.

use super::app_sets;
use super::membership;
use super::offline::{self, Until};
use super::pulls::Listings;
use super::repositories::chain;
use super::secrets::Secrets;
use super::topology;
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
pub async fn previews(path: &Path, targets: &[String], change: &Change) -> Result<Vec<Preview>> {
    let mut config = offline::load_written(path)?;
    let repository = compared(path, &config, targets).await?;
    let folder = tempfile::tempdir().context("a folder for the time being")?;
    let revisions = revisions(&mut config, &repository, change, folder.path()).await?;
    let clusters = imagine(&mut config, folder.path()).await?;
    let Sides { from, to, held } = sides(&config, &repository, &revisions, folder.path()).await?;
    let known: BTreeSet<&str> = from.specs.keys().chain(to.specs.keys()).map(String::as_str).collect();
    let shown = topology::select(known.iter().copied(), targets).map_err(anyhow::Error::msg)?;
    if let Some(snapshot) = &change.snapshot {
        restore(snapshot, &clusters, &to.specs)?;
    }
    let state = folder.path().join("state");
    let mut errors: BTreeMap<String, Vec<String>> = BTreeMap::new();
    if let Some(revision) = &revisions.from {
        let statuses = from.applied(&shown, &state).await?;
        errors
            .extend(statuses.iter().map(|status| (status.target.clone(), troubles(status, &revision.name))));
    }
    let before = seen(&clusters);
    let statuses = to.applied(&shown, &state).await?;
    let after = seen(&clusters);
    let mask = preview::random_key()?;
    let mut previews = Vec::new();
    for target in &shown {
        let Some(spec) = to.specs.get(target).or_else(|| from.specs.get(target)) else { continue };
        let mut preview = compare(spec, &before, &after, &revisions, &mask);
        preview.errors = errors.remove(target).unwrap_or_default();
        let status = statuses.iter().find(|status| status.target == *target);
        if let Some(status) = status.filter(|_| spec.source != spec.repository) {
            preview.revision.clone_from(&status.revision);
        }
        preview.errors.extend(status.iter().flat_map(|status| troubles(status, &revisions.to.name)));
        preview.note = match held.get(&spec.app) {
            Some(held) => held.clone(),
            None if revisions.from.is_some() => {
                note(from.specs.contains_key(target), to.specs.get(target), &revisions.to.name)
            }
            None => String::new(),
        };
        previews.push(preview);
    }
    Ok(previews)
}

/// What is to be said of a target that is there at one of the commits only.
fn note(is_before: bool, after: Option<&TargetSpec>, to: &str) -> String {
    match after {
        Some(spec) if spec.is_leaving() => format!("the App is gone from {to}, with what it applied"),
        Some(_) if is_before => String::new(),
        Some(_) => format!("the App is new in {to}"),
        None => format!("the App is gone from {to}; what it applied stays"),
    }
}

/// The Repository whose commits are compared: the one that the targets are from.
async fn compared(path: &Path, config: &Config, targets: &[String]) -> Result<String> {
    let has_sets = !config.app_sets.is_empty();
    if has_sets {
        let written = config.apps.values().map(|app| &app.spec);
        let specs = written.chain(config.app_sets.values().map(|set| &set.spec.template.spec));
        let mut all = offline::generated_from(config);
        all.extend(specs.map(|spec| spec.repository.clone()));
        // Apps of either commit are of no other one.
        if all.len() == 1
            && let Some(only) = all.pop_first().filter(|name| config.repositories.contains_key(name))
        {
            return Ok(only);
        }
    }
    let specs = topology::targets(&if has_sets { offline::load(path).await? } else { config.clone() });
    let shown = topology::select(specs.keys().map(String::as_str), targets).map_err(anyhow::Error::msg)?;
    the_repository(&with_dependencies(&shown, &specs), &specs).map(str::to_owned)
}

/// A configuration with the Repository standing at one of the commits, and the Apps that AppSets ask for there.
struct Side {
    config: Config,
    specs: BTreeMap<String, TargetSpec>,
}

struct Sides {
    from: Side,
    to: Side,
    /// Apps that are gone and that more than may go without a person, and why they stay.
    held: BTreeMap<String, String>,
}

async fn sides(config: &Config, repository: &str, revisions: &Revisions, folder: &Path) -> Result<Sides> {
    let nobody = Secrets::none("no cluster is asked here");
    let cache = Cache::new(&folder.join("generators"))?;
    let generated_from = offline::generated_from(config);
    let mut others = BTreeMap::new();
    for name in generated_from.iter().filter(|name| *name != repository) {
        others.insert(name.clone(), offline::commit(config, name, &cache, &nobody).await?);
    }
    let asked = async |revision: &Revision| {
        let mut commits = others.clone();
        if generated_from.contains(repository) {
            let pinned = revision.pinned(config, repository);
            let commit = offline::commit(&pinned, repository, &cache, &nobody).await?;
            commits.insert(repository.to_owned(), commit);
        }
        let made = app_sets::asked(config, &commits, &Listings::new()).await;
        made.with_context(|| format!("at {}", revision.name))
    };
    let before = match &revisions.from {
        Some(from) => asked(from).await?,
        None => BTreeMap::new(),
    };
    let (after, held) = app_sets::after(config, &before, asked(&revisions.to).await?);
    let from = app_sets::expanded(config, &before, &[])?;
    let to = app_sets::expanded(config, &after, from.targets())?;
    let from = match &revisions.from {
        Some(revision) => Side::of(revision.pinned(&from, repository)),
        None => Side { config: from, specs: BTreeMap::new() },
    };
    Ok(Sides { from, to: Side::of(revisions.to.pinned(&to, repository)), held })
}

impl Side {
    fn of(config: Config) -> Self {
        Self { specs: topology::targets(&config), config }
    }

    /// Applies those of the targets that there are here, with what they wait for.
    async fn applied(&self, targets: &[String], state: &Path) -> Result<Vec<TargetStatus>> {
        let applied = with_dependencies(targets, &self.specs);
        if applied.is_empty() {
            return Ok(Vec::new());
        }
        let repository = the_repository(&applied, &self.specs)?;
        let mut config = self.config.clone();
        config.repositories.retain(|name, _| name.as_str() == repository);
        offline::sync_loaded(&config, state, &applied, None, Until::Applied).await
    }
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
    let nobody = Secrets::none("no cluster is asked here");
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
