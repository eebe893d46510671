//! From the configuration to what the reconciler works with: pure, but for the secrets that sources and clusters need.

use super::audit::Audit;
use super::backoff::Backoff;
use super::charts::Wanted;
use super::hooks::{Followed, Hook, HookKey};
use super::pulls;
use super::rehearsal::Atomic;
use super::rollout;
use super::secrets::Secrets;
use super::target::{Mode, Presence, TargetSpec};
use crate::cluster::{Access, Cluster, Force, Via, declared};
use crate::config::{
    self, AgentSpec, Config, PullRequests, RepositorySpec, SharedSecret, Substitute, Target, Webhook,
};
use crate::render::{Depth, Given, Helm, Holder, Need, Pass, Place, Request, ValuesFrom, Variables};
use crate::source::charts::{ChartLocation, ChartSpec};
use crate::source::{Credentials, Location, Reference, Secret, Spec};
use anyhow::{Context as _, Result, anyhow, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use trueup_helm::{Crds, Schemas};
use trueup_kustomize::{LoadRestrictions, Reorder};
use trueup_model::{ObjectId, Value};
use trueup_plan::planning::{Drift, Empty, Policy, Prune, Recreate, TakeOver};

/// What the configuration says of each target.
pub fn targets(config: &Config) -> BTreeMap<String, TargetSpec> {
    let leaving = config.leaving().iter().map(|target| {
        (target.name.clone(), TargetSpec { presence: Presence::Leaving, ..target_spec(config, target) })
    });
    let wanted = config.targets().iter().map(|target| (target.name.clone(), target_spec(config, target)));
    leaving.chain(wanted).collect()
}

fn target_spec(config: &Config, target: &Target) -> TargetSpec {
    let repository = config.repositories.get(&target.repository);
    let sync = target.sync;
    TargetSpec {
        name: target.name.clone(),
        app: target.app.clone(),
        environment: target.environment.clone(),
        cluster: target.cluster.clone(),
        repository: target.repository.clone(),
        source: target.source(),
        repository_url: repository.map(|repository| redacted(&repository.spec.url)).unwrap_or_default(),
        request: Request {
            path: target.path.clone(),
            helm: target.helm.as_ref().map(|helm| Arc::new(chart(target, helm))),
            given: Given::default(),
            depth: if target.recurse { Depth::Recursive } else { Depth::Folder },
            load_restrictions: match target.load_restrictions {
                config::LoadRestrictions::RootOnly => LoadRestrictions::RootOnly,
                config::LoadRestrictions::None => LoadRestrictions::None,
            },
            reorder: Reorder::Unspecified,
            variables: match target.substitute {
                Substitute::Disabled => None,
                Substitute::Strict => Some(variables(target)),
            },
        },
        namespace: target.namespace.clone().unwrap_or_default(),
        ignore: target.ignore.clone(),
        policy: Policy {
            prune: if sync.prune { Prune::Delete } else { Prune::Keep },
            drift: if sync.self_heal { Drift::Repair } else { Drift::Report },
            take_over: if sync.force { TakeOver::Force } else { TakeOver::Hold },
            recreate: if target.recreate { Recreate::Allow } else { Recreate::Refuse },
            empty: if sync.allow_empty { Empty::Allow } else { Empty::Refuse },
            max_prune: sync.max_prune,
        },
        mode: match (target.suspend, sync.automatic) {
            (true, _) => Mode::Suspended,
            (false, true) => Mode::Automatic,
            (false, false) => Mode::Manual,
        },
        force: if sync.force { Force::Yes } else { Force::No },
        depends_on: target.depends_on.clone(),
        rollout: target.rollout.map(|rollout| rollout::Place { wave: rollout.wave, most: rollout.most }),
        interval: sync.interval,
        inquire: asked_every(config, target),
        audit: Audit(sync.audit),
        retry: Backoff {
            first: target.retry.backoff.initial,
            longest: target.retry.backoff.max,
            limit: target.retry.limit,
        },
        atomic: if target.atomic { Atomic::All } else { Atomic::Each },
        repository_budget: repository.and_then(|repository| repository.spec.max_prune),
        made_of: made_of(config, target),
        presence: Presence::Wanted,
    }
}

/// The custom resources that a target is made of; none where files say what it is.
fn made_of(config: &Config, target: &Target) -> BTreeSet<ObjectId> {
    let Some(namespace) = config.home() else { return BTreeSet::new() };
    let parts = [
        (config::Kind::App, &*target.app),
        (config::Kind::Repository, &*target.repository),
        (config::Kind::Environment, &*target.environment),
        (config::Kind::Cluster, &*target.cluster),
    ];
    let maker = config.maker(&target.app).map(|set| (config::Kind::AppSet, set));
    let parts = parts.into_iter().chain(maker);
    parts.map(|(kind, name)| ObjectId::new("trueup.dev", kind.as_str(), namespace, name)).collect()
}

/// What is said of a target's chart.
fn chart(target: &Target, helm: &config::Helm) -> Helm {
    Helm {
        place: match &helm.chart {
            config::Chart::InRepository(path) => Place::Tree(path.clone()),
            config::Chart::Elsewhere { repository, name, .. } => {
                Place::Elsewhere { shown: format!("{}/{name}", repository.trim_end_matches('/')) }
            }
        },
        release: helm.release.clone(),
        cluster: target.cluster.clone(),
        namespace: target.namespace.clone().unwrap_or_default(),
        values_files: helm.values_files.clone(),
        values: helm.values.clone().into_iter().collect(),
        values_from: helm.values_from.iter().map(values_from).collect(),
        crds: if helm.skip_crds { Crds::Skipped } else { Crds::Included },
        schemas: if helm.skip_schema_validation { Schemas::Ignored } else { Schemas::Checked },
        api_versions: helm.api_versions.clone(),
        pass: if target.kustomized { Pass::Kustomization } else { Pass::Straight },
    }
}

fn values_from(from: &config::ValuesFrom) -> ValuesFrom {
    ValuesFrom {
        holder: match from.kind {
            config::ValuesKind::ConfigMap => Holder::ConfigMap,
            config::ValuesKind::Secret => Holder::Secret,
        },
        name: from.name.clone(),
        key: from.key.clone(),
        target_path: from.target_path.clone(),
        need: if from.optional { Need::Optional } else { Need::Required },
    }
}

/// How often what may move is asked for where no commit tells of it: as often as the App's own repository.
fn asked_every(config: &Config, target: &Target) -> Duration {
    let own = config.repositories.get(&target.repository);
    own.map_or_else(RepositorySpec::default_interval, |own| own.spec.interval)
}

/// The charts that targets take from elsewhere, with their credentials read; or why they cannot be.
pub async fn charts(config: &Config, secrets: &Secrets) -> BTreeMap<String, Result<Wanted, String>> {
    let mut wanted = BTreeMap::new();
    for target in config.targets() {
        if let Some(one) = chart_from_elsewhere(config, target, secrets).await {
            wanted.insert(target.name.clone(), one);
        }
    }
    wanted
}

/// The chart that a target takes from elsewhere, if it does.
pub async fn chart_from_elsewhere(
    config: &Config,
    target: &Target,
    secrets: &Secrets,
) -> Option<Result<Wanted, String>> {
    let Some(config::Helm { chart: config::Chart::Elsewhere { repository, name, version }, .. }) =
        &target.helm
    else {
        return None;
    };
    let found = wanted_chart(config, target, repository, secrets).await;
    let found =
        found.map(|(spec, interval)| Wanted { spec, name: name.clone(), version: version.clone(), interval });
    Some(found.map_err(|error| format!("App {}: helm: {error:#}", target.app)))
}

/// Where a target's chart is, and how often it is asked for: as often as the App's own repository.
async fn wanted_chart(
    config: &Config,
    target: &Target,
    repository: &str,
    secrets: &Secrets,
) -> Result<(ChartSpec, Duration)> {
    let app = config.apps.get(&target.app).and_then(|app| app.spec.helm.as_ref());
    let app = app.with_context(|| format!("there is no App {}", target.app))?;
    let (location, from_url) = ChartLocation::parse(repository)?;
    let mut spec = ChartSpec::new(location);
    spec.credentials = from_url;
    spec.insecure = app.insecure;
    if let Some(reference) = &app.secret_ref {
        let data = secrets.read(&reference.name, reference.namespace.as_deref()).await;
        take(&mut spec.credentials, data.context("secretRef")?);
    }
    if let Some(credentials) = &app.credentials {
        read(&mut spec.credentials, credentials).context("credentials")?;
    }
    Ok((spec, asked_every(config, target)))
}

fn redacted(url: &str) -> String {
    Location::parse(url).map_or_else(|_| url.to_owned(), |(location, _)| location.to_string())
}

/// The names that an App with `substitute: strict` can use: the environment's values, those inside of others with dots,
/// and the target's own names.
fn variables(target: &Target) -> Variables {
    let mut names = BTreeMap::new();
    for (name, value) in [
        ("app", Some(&target.app)),
        ("environment", Some(&target.environment)),
        ("cluster", Some(&target.cluster)),
        ("namespace", target.namespace.as_ref()),
    ] {
        names.extend(value.map(|value| (name.to_owned(), value.clone())));
    }
    for (name, value) in &target.values {
        flatten(name, value, &mut names);
    }
    Variables(names)
}

fn flatten(name: &str, value: &Value, names: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                flatten(&format!("{name}.{field}"), value, names);
            }
        }
        Value::String(text) => drop(names.insert(name.to_owned(), text.clone())),
        Value::Bool(_) | Value::Number(_) => drop(names.insert(name.to_owned(), value.to_string())),
        Value::Null | Value::Array(_) => {}
    }
}

/// A connection that nobody counts or listens to.
pub async fn connect(access: &Access) -> Result<Cluster> {
    Cluster::connect(access, Arc::new(|_, _| {}), Arc::new(|_| {})).await
}

/// How to reach a cluster.
pub async fn access(config: &Config, name: &str, secrets: &Secrets) -> Result<Access> {
    let cluster = config.clusters.get(name).with_context(|| format!("there is no Cluster {name}"))?;
    let via = match cluster.spec.access() {
        Some(config::Access::Kubeconfig(kubeconfig)) => Via::Kubeconfig {
            path: kubeconfig.path.as_ref().map(PathBuf::from),
            context: kubeconfig.context.clone(),
        },
        Some(config::Access::InCluster) => Via::InCluster,
        Some(config::Access::Agent(_)) => {
            bail!(
                "Cluster {name} is kept by its agent, and not reached from here: ask a running trueup (--server)"
            )
        }
        Some(config::Access::Secret(secret)) => {
            let mut data = secrets.read(&secret.name, secret.namespace.as_deref()).await?;
            Via::KubeconfigText(if secret.key.is_none() && declared::is_declared(&data) {
                declared::kubeconfig(&data).map_err(|why| anyhow!("Secret {}: {why}", secret.name))?
            } else {
                let keys = secret.key.as_deref().map_or_else(|| vec!["value", "kubeconfig"], |key| vec![key]);
                let text = keys.iter().find_map(|key| data.remove(*key));
                text.with_context(|| format!("Secret {} has no key {}", secret.name, keys.join(" or ")))?
            })
        }
        None => bail!("Cluster {name} says in no way, or in several, how it is reached"),
    };
    Ok(Access { name: name.to_owned(), via, in_flight: cluster.spec.max_in_flight })
}

/// What to follow of a repository, with its credentials read.
pub async fn source(config: &Config, name: &str, secrets: &Secrets) -> Result<Spec> {
    let declared = config.repositories.get(name);
    let repository = &declared.with_context(|| format!("there is no Repository {name}"))?.spec;
    source_of(name, repository, secrets).await
}

/// What to follow of a source, with its credentials read.
pub async fn source_of(name: &str, repository: &RepositorySpec, secrets: &Secrets) -> Result<Spec> {
    let (location, from_url) = match repository.location() {
        config::Location::Remote(url) => Location::parse(&url)?,
        config::Location::Folder(path) => (Location::Folder(path), Credentials::default()),
    };
    let mut spec = Spec::new(location);
    spec.worktree = repository.worktree;
    spec.timeout = repository.timeout;
    spec.insecure = repository.insecure;
    spec.credentials = from_url;
    spec.reference = reference(repository).with_context(|| format!("Repository {name}: ref.semver"))?;
    if let Some(reference) = &repository.secret_ref {
        let data = secrets.read(&reference.name, reference.namespace.as_deref()).await;
        take(&mut spec.credentials, data.with_context(|| format!("Repository {name}: secretRef"))?);
    }
    if let Some(credentials) = &repository.credentials {
        read(&mut spec.credentials, credentials)
            .with_context(|| format!("Repository {name}: credentials"))?;
    }
    Ok(spec)
}

/// What a forge is asked with for pull requests.
pub(super) async fn forge_credentials(spec: &PullRequests, secrets: &Secrets) -> Result<Credentials> {
    let mut credentials = Credentials::default();
    let mut token = None;
    if let Some(reference) = &spec.secret_ref {
        let data = secrets.read(&reference.name, reference.namespace.as_deref()).await;
        let mut data = data.context("secretRef")?;
        token = data.remove("token");
        take(&mut credentials, data);
        if token.is_none() && credentials.bearer_token.is_none() && credentials.password.is_none() {
            bail!("secretRef: Secret {} has no key token, bearerToken or password", reference.name);
        }
    }
    if let Some(written) = &spec.credentials {
        read(&mut credentials, written).context("credentials")?;
    }
    Ok(pulls::bearer(credentials, token))
}

/// What webhooks need to know of a repository, with the secret read.
pub async fn hook(name: &str, repository: &RepositorySpec, secrets: &Secrets) -> Hook {
    let mut urls = vec![repository.url.clone()];
    urls.extend(repository.webhook.as_ref().and_then(|webhook| webhook.url.clone()));
    let reference = reference(repository).unwrap_or(Reference::Head);
    let key = hook_key(&format!("Repository {name}"), repository.webhook.as_ref(), secrets).await;
    Hook { followed: Followed::Repository { name: name.to_owned(), reference }, urls, key }
}

/// What webhooks need to know of pull requests that an AppSet asks for, with the secret read.
pub(super) async fn pull_hook(
    app_set: &str,
    place: &config::Place,
    spec: &PullRequests,
    secrets: &Secrets,
) -> Hook {
    let own = spec.address().ok().map(|address| address.web_url());
    let told = spec.webhook.as_ref().and_then(|webhook| webhook.url.clone());
    let place = place.to_string();
    let key = hook_key(&format!("AppSet {app_set}: {place}"), spec.webhook.as_ref(), secrets).await;
    let followed = Followed::PullRequests { app_set: app_set.to_owned(), place };
    Hook { followed, urls: own.into_iter().chain(told).collect(), key }
}

async fn hook_key(what: &str, webhook: Option<&Webhook>, secrets: &Secrets) -> HookKey {
    let Some(webhook) = webhook else { return HookKey::Missing };
    match shared_secret("secret", webhook.secret.as_ref(), webhook.secret_ref.as_ref(), secrets).await {
        Ok(secret) => HookKey::Known(secret),
        Err(error) => HookKey::Unreadable(format!("{what}: webhook: {error:#}")),
    }
}

/// What an agent proves itself with.
pub(super) async fn agent_token(agent: &AgentSpec, secrets: &Secrets) -> Result<Secret> {
    const SHORTEST: usize = 16;
    let token = shared_secret("token", agent.token.as_ref(), agent.secret_ref.as_ref(), secrets).await?;
    if token.expose().len() < SHORTEST {
        bail!("the token is shorter than {SHORTEST} characters: it could be guessed");
    }
    Ok(token)
}

/// What trueup and somebody else both know.
async fn shared_secret(
    field: &str,
    own: Option<&config::Secret>,
    reference: Option<&SharedSecret>,
    secrets: &Secrets,
) -> Result<Secret> {
    let text = match (own, reference) {
        (Some(config::Secret::Env(name)), _) => env(field, name)?,
        (Some(config::Secret::File(path)), _) => file(field, path)?,
        (None, Some(reference)) => {
            let mut data = secrets.read(&reference.name, reference.namespace.as_deref()).await?;
            let missing = || format!("Secret {} has no key {}", reference.name, reference.key());
            data.remove(reference.key()).with_context(missing)?.trim_end_matches(['\n', '\r']).to_owned()
        }
        (None, None) => bail!("it says neither `{field}` nor `secretRef`"),
    };
    if text.is_empty() {
        bail!("the {field} is empty");
    }
    Ok(Secret::new(text))
}

fn reference(repository: &RepositorySpec) -> Result<Reference, semver::Error> {
    Ok(match &repository.reference {
        None => Reference::Head,
        Some(config::Reference::Branch(name)) => Reference::Branch(name.clone()),
        Some(config::Reference::Tag(name)) => Reference::Tag(name.clone()),
        Some(config::Reference::Commit(id)) => Reference::Commit(id.clone()),
        Some(config::Reference::Semver(range)) => Reference::Semver(range.parse()?),
    })
}

// The keys that Flux and Argo CD use.
fn take(credentials: &mut Credentials, mut data: BTreeMap<String, String>) {
    let mut first = |keys: &[&str]| keys.iter().find_map(|key| data.remove(*key));
    credentials.username = first(&["username"]).or(credentials.username.take());
    credentials.password = first(&["password"]).map(Secret::new).or(credentials.password.take());
    credentials.bearer_token = first(&["bearerToken"]).map(Secret::new).or(credentials.bearer_token.take());
    credentials.ca_pem = first(&["ca.crt", "caFile"]).or(credentials.ca_pem.take());
    credentials.ssh_key =
        first(&["identity", "sshPrivateKey"]).map(Secret::new).or(credentials.ssh_key.take());
    credentials.known_hosts = first(&["known_hosts"]).or(credentials.known_hosts.take());
}

fn read(credentials: &mut Credentials, written: &config::Credentials) -> Result<()> {
    let secret = |field: &str, from: &Option<config::Secret>| -> Result<Option<Secret>> {
        Ok(match from {
            None => None,
            Some(config::Secret::Env(name)) => Some(Secret::new(env(field, name)?)),
            Some(config::Secret::File(path)) => Some(Secret::new(file(field, path)?)),
        })
    };
    let setting = |field: &str, from: &Option<config::Setting>| -> Result<Option<String>> {
        Ok(match from {
            None => None,
            Some(config::Setting::Env(name)) => Some(env(field, name)?),
            Some(config::Setting::File(path)) => Some(file(field, path)?),
            Some(config::Setting::Value(value)) => Some(value.clone()),
        })
    };
    credentials.username = setting("username", &written.username)?.or(credentials.username.take());
    credentials.password = secret("password", &written.password)?.or(credentials.password.take());
    credentials.bearer_token =
        secret("bearerToken", &written.bearer_token)?.or(credentials.bearer_token.take());
    credentials.ca_pem = setting("ca", &written.ca)?.or(credentials.ca_pem.take());
    credentials.ssh_key = secret("sshKey", &written.ssh_key)?.or(credentials.ssh_key.take());
    credentials.known_hosts = setting("knownHosts", &written.known_hosts)?.or(credentials.known_hosts.take());
    Ok(())
}

fn env(field: &str, name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{field}: the environment variable {name} is not set"))
}

fn file(field: &str, path: &str) -> Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{field}: {path}"))?;
    // A key's last line break belongs to it; a password's does not.
    Ok(if field == "sshKey" { text } else { text.trim_end_matches(['\n', '\r']).to_owned() })
}

/// The names of the targets that are meant by what a person wrote: `web`, `web@production` or `web@production/eu-1`; all
/// where nothing is written.
pub fn select<'n>(
    known: impl Iterator<Item = &'n str> + Clone,
    written: &[String],
) -> Result<Vec<String>, String> {
    let mut meant: Vec<String> = Vec::new();
    for name in written {
        let before = meant.len();
        meant.extend(known.clone().filter(|target| is_meant(target, name)).map(str::to_owned));
        if meant.len() == before {
            return Err(no_target(name, known));
        }
    }
    if written.is_empty() {
        meant.extend(known.map(str::to_owned));
    }
    meant.sort();
    meant.dedup();
    Ok(meant)
}

/// Says that there is no such target, and which few are meant perhaps.
pub fn no_target<'n>(name: &str, known: impl Iterator<Item = &'n str> + Clone) -> String {
    const NAMED: usize = 5;
    let all: Vec<&str> = known.collect();
    if all.is_empty() {
        return format!("there is no target {name}; there are none");
    }
    if all.len() <= NAMED {
        return format!("there is no target {name}; there are: {}", all.join(", "));
    }
    let near = config::nearest::few(name, all.iter().copied(), NAMED).join(", ");
    format!("there is no target {name}; of {} targets the nearest are: {near}", all.len())
}

/// Whether `name` is the target, or a whole part at its beginning.
pub fn is_meant(target: &str, name: &str) -> bool {
    target.strip_prefix(name).is_some_and(|rest| {
        rest.is_empty() || rest.starts_with('/') || (rest.starts_with('@') && !name.contains('@'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_a_target_or_all_that_begin_with_its_parts() {
        let known = ["api@staging", "web@production/eu-1", "web@production/us-1", "web@staging"];
        let meant = |written: &[&str]| {
            let written: Vec<String> = written.iter().map(|name| (*name).to_owned()).collect();
            select(known.into_iter(), &written)
        };
        assert_eq!(meant(&["web"]).unwrap().len(), 3);
        assert_eq!(meant(&["web@production"]).unwrap().len(), 2);
        assert_eq!(meant(&["web@production/eu-1"]).unwrap(), ["web@production/eu-1"]);
        assert_eq!(meant(&[]).unwrap().len(), 4);
        assert!(meant(&["we"]).unwrap_err().contains("there is no target we; there are: api@staging"));
    }

    #[test]
    fn of_many_targets_an_unknown_name_is_told_the_nearest_few() {
        let known: Vec<String> = (0..1000).map(|n| format!("app-{n:04}@production")).collect();
        let error =
            select(known.iter().map(String::as_str), &["app-00o7@production".to_owned()]).unwrap_err();
        let words =
            "there is no target app-00o7@production; of 1000 targets the nearest are: app-0007@production, ";
        assert!(error.starts_with(words) && error.len() < 300, "{error}");
    }
}
