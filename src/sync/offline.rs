//! A reconciler for the length of one command.

use super::app_sets;
use super::bases::{self, Bases, Configured};
use super::charts::Wanted;
use super::engine::{Chosen, Ends, Engine, Parts};
use super::inquiries::ROUNDS;
use super::membership;
use super::pulls;
use super::repositories::chain;
use super::rollout;
use super::secrets::{self, Secrets};
use super::target::TargetSpec;
use super::topology;
use super::turn;
use super::view::{self, PlanOptions, Preview};
use crate::ambient;
use crate::cluster::{Catalog, Cluster, Query};
use crate::config::{self, Config};
use crate::render::dependencies::{self, Around, Elsewhere, Incomplete};
use crate::render::{self, Needed, Remote, Unasked};
use crate::source::charts::{ChartLocation, ChartSpec};
use crate::source::{self, Commit, Credentials, DiskTree, Location, Spec};
use crate::store::{Retention, Store};
use crate::web::metrics::Metrics;
use anyhow::{Context as _, Result, anyhow, bail};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use trueup_helm::Chart;
use trueup_model::{Tree, Value};
use trueup_plan::health::HealthStatus;
use trueup_plan::record::{SyncStatus, TargetStatus};

/// How long a one-off look waits for a repository to be read for the first time.
const FIRST_READ: Duration = Duration::from_mins(1);
/// How often a one-off sync looks how its targets stand, and how often it asks for another turn.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const ASK_EVERY: Duration = Duration::from_secs(3);

pub(super) fn load_written(path: &Path) -> Result<Config> {
    config::load(path).map_err(|problems| anyhow!("{problems}"))
}

/// A configuration with the Apps that its AppSets ask for at this moment.
pub(super) async fn load(path: &Path) -> Result<Config> {
    let config = load_written(path)?;
    if config.app_sets.is_empty() {
        return Ok(config);
    }
    let folder = tempfile::tempdir().context("a folder for the time being")?;
    let (cache, secrets) = (source::Cache::new(folder.path())?, secrets::secrets(&config).await);
    let mut commits = BTreeMap::new();
    for name in generated_from(&config) {
        commits.insert(name.clone(), commit(&config, &name, &cache, &secrets).await?);
    }
    let pulls = pulls::once(&config, &secrets).await?;
    app_sets::expanded(&config, &app_sets::asked(&config, &commits, &pulls).await?, &[])
}

/// The Repositories that AppSets read.
pub(super) fn generated_from(config: &Config) -> BTreeSet<String> {
    let ones = config.app_sets.values().flat_map(|set| set.spec.ones());
    ones.filter_map(|(_, one)| one.repository().map(str::to_owned)).collect()
}

/// The commit that a Repository is at.
pub(super) async fn commit(
    config: &Config,
    repository: &str,
    cache: &source::Cache,
    secrets: &Secrets,
) -> Result<Arc<Commit>> {
    let source = cache.open(topology::source(config, repository, secrets).await?)?;
    let read = async { source.fetch(&source.poll().await?).await };
    let commit = read.await.map_err(|error| anyhow!("repository {repository}: {}", chain(&error)))?;
    Ok(Arc::new(commit))
}

/// The same, or as it is written where it cannot be told which Apps its AppSets ask for.
async fn load_or_written(path: &Path) -> Result<Config> {
    let written = load_written(path)?;
    match load(path).await {
        Err(error) if !written.app_sets.is_empty() => {
            tracing::warn!(error = format!("{error:#}"), "the Apps of AppSets are not known, and not shown");
            Ok(written)
        }
        loaded => loaded,
    }
}

/// How the targets stood when they were last recorded in their clusters.
pub async fn statuses(config: &Path) -> Result<Vec<TargetStatus>> {
    let config = load_or_written(config).await?;
    let mut found: BTreeMap<String, TargetStatus> = BTreeMap::new();
    let secrets = secrets::secrets(&config).await;
    let specs = topology::targets(&config);
    for name in config.clusters.keys() {
        let read = async {
            let access = topology::access(&config, name, &secrets).await?;
            let cluster = topology::connect(&access).await?;
            cluster.scope(&config.targets().iter().filter_map(|target| target.namespace.clone()).collect());
            // Other installations may have targets of the same name on the cluster.
            let sets = specs.values().filter(|spec| spec.cluster == *name).map(TargetSpec::set);
            let ours: BTreeSet<String> = sets.collect();
            Ok::<_, anyhow::Error>(cluster.parents(|parent| ours.contains(&parent.id)).await?)
        };
        match read.await {
            Ok(parents) => {
                for parent in parents {
                    if let Some(status) = membership::recorded_status(&parent) {
                        found.insert(status.target.clone(), status);
                    }
                }
            }
            Err(error) => {
                for target in config.targets().iter().filter(|target| target.cluster == *name) {
                    found.insert(target.name.clone(), unknown(target, format!("cluster {name}: {error:#}")));
                }
            }
        }
    }
    let status = |target: &config::Target| {
        found.remove(&target.name).unwrap_or_else(|| unknown(target, "was never synced".to_owned()))
    };
    Ok(config.targets().iter().map(status).collect())
}

fn unknown(target: &config::Target, message: String) -> TargetStatus {
    TargetStatus {
        target: target.name.clone(),
        app: target.app.clone(),
        environment: target.environment.clone(),
        cluster: target.cluster.clone(),
        sync: SyncStatus::Unknown,
        health: HealthStatus::Unknown,
        message,
        ..TargetStatus::default()
    }
}

/// An engine for one command; its state is gone with it unless a folder is given.
pub(super) struct Once {
    pub(super) engine: Engine,
    store: Store,
    _folder: Option<tempfile::TempDir>,
}

impl Once {
    pub(super) async fn begin(config: &Config, state: Option<&Path>, chosen: Chosen) -> Result<Self> {
        let folder = match state {
            Some(_) => None,
            None => Some(tempfile::tempdir().context("a folder for the time being")?),
        };
        let path = folder.as_ref().map(|folder| folder.path().to_owned()).or(state.map(Path::to_owned));
        let path = path.context("no state folder")?;
        let store = Store::open(&path, Retention::default(), Timestamp::now())?;
        let (_, board, _) = view::open();
        let parts = Parts {
            board,
            metrics: Metrics::new(),
            store: store.clone(),
            chosen,
            // A command that works alone deletes no App.
            patience: Duration::ZERO,
            ends: Ends::default(),
        };
        let engine = Engine::new(parts, &path).await?;
        engine.configure(config).await?;
        Ok(Self { engine, store, _folder: folder })
    }

    pub(super) async fn end(self) -> Result<()> {
        self.engine.stop();
        self.engine.work().await;
        self.store.close().await
    }
}

/// Plans `targets` (all of them if there are none named); touches nothing.
pub async fn plans(config: &Path, targets: &[String], options: &PlanOptions) -> Result<Vec<Preview>> {
    plans_loaded(&load(config).await?, targets, options).await
}

/// As [`plans`], by a configuration that is loaded already. What fails for one target is told in its preview.
pub async fn plans_loaded(
    config: &Config,
    targets: &[String],
    options: &PlanOptions,
) -> Result<Vec<Preview>> {
    // A preview needs no turns.
    let once = Once::begin(config, None, Chosen::Only(BTreeSet::new())).await?;
    let names = once.engine.select(targets).map_err(anyhow::Error::msg)?;
    let mut previews = Vec::new();
    for name in names {
        previews.push(once.engine.preview(&name, options).await.with_context(|| name.clone())?);
    }
    once.end().await?;
    Ok(previews)
}

/// When a sync is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// After one turn of each target.
    Applied,
    /// When all targets are healthy, or after this time.
    Healthy(Duration),
}

/// Syncs `targets` (all of them if there are none named) once and gives how they stand.
pub async fn sync(
    config: &Path,
    state: &Path,
    targets: &[String],
    confirm: Option<&str>,
    until: Until,
) -> Result<Vec<TargetStatus>> {
    sync_loaded(&load(config).await?, state, targets, confirm, until).await
}

/// As [`sync`], by a configuration that is loaded already.
pub async fn sync_loaded(
    config: &Config,
    state: &Path,
    targets: &[String],
    confirm: Option<&str>,
    until: Until,
) -> Result<Vec<TargetStatus>> {
    let known = config.targets().iter().chain(config.leaving()).map(|target| target.name.as_str());
    let names = topology::select(known, targets).map_err(anyhow::Error::msg)?;
    let chosen = Chosen::Only(names.iter().cloned().collect());
    let once = Once::begin(config, Some(state), chosen).await?;
    if let Some(code) = confirm {
        once.engine.approve(&names, code);
    }
    let worker = tokio::spawn({
        let engine = once.engine.clone();
        async move { engine.work().await }
    });
    let limit = match until {
        Until::Applied => FIRST_READ,
        Until::Healthy(limit) => limit,
    };
    let _ = tokio::time::timeout(limit, wait(&once.engine, &names, until)).await;
    let mut statuses = once.engine.statuses();
    once.engine.stop();
    let _ = worker.await;
    once.store.close().await?;
    Ok(names.iter().filter_map(|name| statuses.remove(name)).collect())
}

/// Asks for turns until all targets are done with. A turn before the repository is read says nothing yet, so those are asked
/// for again at once.
async fn wait(engine: &Engine, names: &[String], until: Until) {
    let mut open = names.to_vec();
    while !open.is_empty() {
        for turn in engine.ask_for_turns(&open) {
            // A target without a further turn is judged by its last.
            let _ = turn.await;
        }
        let asked = tokio::time::Instant::now();
        loop {
            let statuses = engine.statuses();
            let is_over =
                |name: &String| statuses.get(name).is_some_and(|status| is_over(status, names, until));
            let is_unread =
                |name: &String| statuses.get(name).is_none_or(|status| status.sync == SyncStatus::Unknown);
            open = names.iter().filter(|name| !is_over(name)).cloned().collect();
            if open.is_empty() {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
            if open.iter().any(is_unread) || asked.elapsed() >= ASK_EVERY {
                break;
            }
        }
    }
}

fn is_over(status: &TargetStatus, names: &[String], until: Until) -> bool {
    match until {
        Until::Applied => match status.sync {
            SyncStatus::Unknown | SyncStatus::Syncing => false,
            SyncStatus::Synced | SyncStatus::Failed => true,
            SyncStatus::OutOfSync => {
                !rollout::is_waiting(&status.message)
                    && !names.iter().any(|name| status.message == turn::waits_until(name))
            }
        },
        Until::Healthy(_) => status.is_settled(),
    }
}

/// What `build` makes of one target, as Git has it.
pub async fn render<T: Send + 'static>(
    config: &Path,
    target: &str,
    revision: Option<&str>,
    build: render::Build<T>,
) -> Result<T> {
    let config = load(config).await?;
    let specs = topology::targets(&config);
    let names = topology::select(specs.keys().map(String::as_str), &[target.to_owned()])
        .map_err(anyhow::Error::msg)?;
    let [name] = names.as_slice() else {
        bail!("{target} means several targets: {}; name one", names.join(", "))
    };
    let spec = &specs[name];
    let folder = tempfile::tempdir().context("a folder for the time being")?;
    let secrets = secrets::secrets(&config).await;
    let cache = source::Cache::new(folder.path())?;
    let sources = config.sources();
    let followed =
        sources.get(&spec.source).with_context(|| format!("there is no Repository {}", spec.repository))?;
    let source = cache.open(topology::source_of(&spec.source, followed, &secrets).await?)?;
    let read = async {
        let head = match revision {
            Some(revision) => source.resolve(revision).await?,
            None => source.poll().await?,
        };
        source.fetch(&head).await
    };
    let commit = read.await.map_err(|error| anyhow!("repository {}: {}", spec.source, chain(&error)))?;
    let mut configured = BTreeMap::from([(String::new(), Configured::new(source.spec().clone()))]);
    for name in config.repositories.keys().filter(|name| **name != spec.repository) {
        // One that cannot be set up has no credentials to give.
        if let Ok(spec) = topology::source(&config, name, &secrets).await {
            configured.insert(name.clone(), Configured::new(spec));
        }
    }
    for (target, wanted) in topology::charts(&config, &secrets).await {
        if let Ok(wanted) = wanted {
            configured.insert(format!("chart of {target}"), Configured::of_charts(&wanted));
        }
    }
    let mut request = spec.request.with(given(&config, name, spec, &secrets, &cache).await?);
    let (bases, commit) = (with_bases(cache, configured), Arc::new(commit));
    let mut asked = Asked::No;
    for _ in 0..ROUNDS {
        let error = match bases.render_commit(&commit, &request, build).await {
            Ok(made) => return Ok(made),
            Err(error) => error,
        };
        let Unasked(queries) = error.downcast::<Unasked>()?;
        asked = asked.or_connected(&config, spec, &secrets).await;
        request.given.answers.extend(asked.answers(spec, queries).await?);
    }
    bail!("what {name} asks its cluster for depends on earlier answers more than {ROUNDS} times over")
}

/// A cluster that is asked only where a rendering needs it.
enum Asked {
    No,
    Yes(Cluster, Arc<Catalog>),
    InVain(String),
}

impl Asked {
    async fn or_connected(self, config: &Config, spec: &TargetSpec, secrets: &Secrets) -> Self {
        let Self::No = self else { return self };
        let connect = async {
            let access = topology::access(config, &spec.cluster, secrets).await?;
            let cluster = topology::connect(&access).await?;
            let catalog = cluster.discover().await?;
            Ok::<_, anyhow::Error>((cluster, catalog))
        };
        match connect.await {
            Ok((cluster, catalog)) => Self::Yes(cluster, catalog),
            Err(error) => Self::InVain(format!("cluster {}: {error:#}", spec.cluster)),
        }
    }

    /// What the cluster says. Where it cannot be reached there are no values of it; a lookup finds nothing then, which is said.
    async fn answers(
        &self,
        spec: &TargetSpec,
        queries: BTreeSet<Query>,
    ) -> Result<Vec<(Query, render::Answer)>> {
        let holds_values = |query: &Query| {
            spec.request.helm.as_ref().is_some_and(|helm| helm.queries().any(|values| values == *query))
        };
        let mut answers = Vec::new();
        for query in queries {
            let found = match self {
                Self::Yes(cluster, catalog) => {
                    let found = cluster.look_up(catalog, &query).await;
                    found.map_err(|error| anyhow!("cluster {}: {error}", spec.cluster))?
                }
                Self::InVain(why) if holds_values(&query) => bail!("helm.valuesFrom: {query}: {why}"),
                Self::InVain(why) => {
                    tracing::warn!("the lookup of {query} finds nothing here: {why}");
                    None
                }
                Self::No => None,
            };
            if let (Self::Yes(..), false) = (self, holds_values(&query)) {
                let seen = if found.is_some() { "was" } else { "was not" };
                tracing::warn!("{query} {seen} found in cluster {} by a lookup", spec.cluster);
            }
            answers.push((query, render::Answer::of(found)));
        }
        Ok(answers)
    }
}

/// What a target's chart takes from outside of its repository, where no cluster is asked.
async fn given(
    config: &Config,
    target: &str,
    spec: &TargetSpec,
    secrets: &Secrets,
    cache: &source::Cache,
) -> Result<render::Given> {
    let seed = render::Seed { bytes: ambient::secret().context("random numbers")?, time: ambient::now() };
    if spec.request.helm.is_none() {
        return Ok(render::Given { seed, ..render::Given::default() });
    }
    let target = config.target(target).with_context(|| format!("there is no target {target}"))?;
    let wanted = topology::chart_from_elsewhere(config, target, secrets).await;
    let chart = match wanted {
        None => None,
        Some(wanted) => {
            let fetched = wanted.map_err(anyhow::Error::msg)?.fetch(cache).await;
            Some(Arc::new(fetched.map_err(|error| anyhow!("{}: {}", spec.request.shown(), chain(&error)))?))
        }
    };
    let answers = render::Answers::Known(BTreeMap::new());
    Ok(render::Given { chart, capabilities: None, seed, answers })
}

/// A chart that is neither a folder nor a file here, as a command line has it.
#[derive(Clone, Debug)]
pub struct ChartAddress {
    /// The repository or registry, where `chart` is a name there.
    pub repository: Option<String>,
    /// The name, or the chart's own URL: `oci://`, `https://` or `http://`.
    pub chart: String,
    /// The range of versions; empty for any release. An `https://` URL of a chart is of one version.
    pub version: String,
    /// How to be let in.
    pub credentials: Credentials,
    /// See [`ChartSpec::insecure`].
    pub insecure: bool,
}

/// The chart at an address, with those that it asks for.
pub async fn chart_at(address: &ChartAddress) -> Result<Chart> {
    let place = address.repository.as_deref().unwrap_or(&address.chart);
    if address.repository.is_none() && !place.starts_with("oci://") {
        let (location, from_url) = Location::parse(place)?;
        let credentials = over(from_url, &address.credentials);
        let spec = Spec { credentials, insecure: address.insecure, ..Spec::new(location) };
        let packed = file_at(place, BTreeMap::from([(String::new(), Configured::new(spec))])).await?;
        let shown = without_query(place);
        return completed(Chart::from_archive(&packed, &shown)?, None, &shown).await;
    }
    let (location, from_url) = ChartLocation::parse(place)?;
    let shown = match &address.repository {
        Some(_) => format!("chart {} of {location}", address.chart),
        None => format!("chart {location}"),
    };
    let credentials = over(from_url, &address.credentials);
    let spec = ChartSpec { credentials, insecure: address.insecure, ..ChartSpec::new(location) };
    let name = address.repository.as_ref().map_or_else(String::new, |_| address.chart.clone());
    let wanted = Wanted { spec, name, version: address.version.clone(), interval: Duration::ZERO };
    let kept = tempfile::tempdir().context("a folder for the time being")?;
    let packed = wanted.fetch(&source::Cache::new(kept.path())?).await;
    let packed = packed.map_err(|error| anyhow!("{shown}: {}", chain(&error)))?;
    completed(Chart::from_archive(&packed.bytes, &shown)?, None, &shown).await
}

/// Credentials, with what is said of them besides the URL.
fn over(from_url: Credentials, given: &Credentials) -> Credentials {
    let Credentials { username, password, bearer_token, ca_pem, ssh_key, known_hosts } = given.clone();
    Credentials {
        username: username.or(from_url.username),
        password: password.or(from_url.password),
        bearer_token: bearer_token.or(from_url.bearer_token),
        ca_pem: ca_pem.or(from_url.ca_pem),
        ssh_key: ssh_key.or(from_url.ssh_key),
        known_hosts: known_hosts.or(from_url.known_hosts),
    }
}

fn without_query(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    Location::parse(url).map_or_else(|_| url.to_owned(), |(location, _)| location.to_string())
}

/// The text behind an http or https URL, asked for without credentials.
pub async fn text_at(url: &str) -> Result<String> {
    let bytes = file_at(url, BTreeMap::new()).await?;
    String::from_utf8(bytes).map_err(|_| anyhow!("{}: is no UTF-8", without_query(url)))
}

/// What is behind an http or https URL, asked for with the credentials of those configured that are on the same server.
async fn file_at(url: &str, configured: BTreeMap<String, Configured>) -> Result<Vec<u8>> {
    let kept = tempfile::tempdir().context("a folder for the time being")?;
    let bases = with_bases(source::Cache::new(kept.path())?, configured);
    let remote = Remote::File { url: url.to_owned() };
    let shown = remote.to_string();
    let needs = BTreeSet::from([Needed { remote: remote.clone(), timeout: None }]);
    let mut known = bases.settled(&needs).await;
    let file = known.remove(&remote).with_context(|| shown.clone())?.map_err(anyhow::Error::msg)?;
    Ok(file.tree.read(Remote::FILE).with_context(|| shown.clone())?.to_vec())
}

/// Puts the charts in their places that a chart asks for and does not hold: those beside it, and fetched ones.
pub async fn completed(chart: Chart, folder: Option<&Path>, shown: &str) -> Result<Chart> {
    if chart.lacking().next().is_none() {
        return Ok(chart);
    }
    let kept = tempfile::tempdir().context("a folder for the time being")?;
    let bases = with_bases(source::Cache::new(kept.path())?, BTreeMap::new());
    let disk = DiskTree::new(Path::new("/"));
    let path = folder.map(|folder| folder.to_str().context("the name is not UTF-8")).transpose()?;
    let around = path.map_or(Around::Nothing, |path| Around::Folder(&disk, path.trim_start_matches('/')));
    let mut needs = BTreeSet::new();
    for _ in 0..bases::ROUNDS {
        let known = bases.settled(&needs).await;
        let elsewhere = |remote: &Remote| Elsewhere::of(known.get(remote));
        let mut tried = chart.clone();
        match dependencies::complete(&mut tried, around, shown, &elsewhere) {
            Ok(()) => return Ok(tried),
            Err(Incomplete::Refused(problems)) => bail!(problems.join("\n")),
            Err(Incomplete::Missing(missing)) => needs.extend(missing),
        }
        if let Some(why) = bases::too_many(&needs) {
            bail!(why);
        }
    }
    Err(anyhow!(bases::too_deep()))
}

fn with_bases(cache: source::Cache, configured: BTreeMap<String, Configured>) -> Bases {
    let bases = Bases::new(cache, Metrics::new(), Arc::new(|_| {}));
    bases.configure(configured);
    bases
}

/// Whether what is built names the files that it was built from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// It says where things come from.
    Shown,
    /// It does not, unless it fails.
    Hidden,
}

/// What `build` makes of a folder on disk, whatever it reads of the folders around it.
///
/// Files are named from the root of the Git repository that holds all of them, or else from the lowest folder that does.
/// The path of `request` is set from the folder; the rest of it is kept.
pub async fn render_folder<T: Send + 'static>(
    folder: &Path,
    request: render::Request,
    build: render::Build<T>,
    names: Names,
) -> Result<T> {
    let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
    let mirrors = tempfile::tempdir().context("a folder for the time being")?;
    let cache = source::Cache::new(mirrors.path())?;
    let repository = folder.ancestors().find(|above| above.join(".git").exists());
    let spec = Spec::new(Location::Folder(repository.unwrap_or(&folder).to_owned()));
    let bases = with_bases(cache, BTreeMap::from([(String::new(), Configured::new(spec))]));
    let render = async |root: &Path| {
        let below = folder.strip_prefix(root)?;
        let path = below.to_str().with_context(|| format!("{}: the name is not UTF-8", folder.display()))?;
        let request = render::Request { path: path.to_owned(), ..request.clone() };
        let disk = Arc::new(DiskTree::new(root));
        let tree: Arc<dyn Tree> = disk.clone();
        Ok::<_, anyhow::Error>((bases.render(&tree, &request, build).await, disk.reach()))
    };
    let (rendered, reach) = render(Path::new("/")).await?;
    if rendered.is_ok() && names == Names::Hidden {
        return rendered;
    }
    let root = repository.filter(|repository| reach.starts_with(repository)).unwrap_or(&reach);
    let root = if folder.starts_with(root) { root } else { Path::new("/") };
    render(root).await?.0
}

/// The JSON schema of the configuration.
pub fn schema() -> &'static Value {
    config::schema()
}
