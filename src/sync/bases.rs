//! Remote bases: what kustomizations name outside of their own repository, followed as repositories are; and the charts that
//! they and charts ask for.
//!
//! Enters: which remotes a target needs, as its rendering asks for them. Leaves: their trees, or why there are none; and
//! a word to each target whose base has moved. A remote and reference are asked for by one task, whatever the number of
//! targets and environments; mirrors and credentials are those of [`crate::source`] and of the configured repositories.

use super::charts;
use super::hooks::Hint;
use super::repositories::{Follow, Hold, Known, Repositories};
use super::supply::{self, Lack, Supplies};
use crate::ambient;
use crate::config::repository_of;
use crate::hex::hex;
use crate::render::{self, Absent, Needed, Parsed, Remote, Request, Unrendered};
use crate::source::charts::ChartSpec;
use crate::source::{Cache, ChartUrl, Commit, Credentials, Location, Reference, Source, Spec};
use crate::web::metrics::Metrics;
use anyhow::{Result, anyhow, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use trueup_model::Tree;
use trueup_plan::record::BasePin;

/// A base may name further ones, and each time the rendering begins anew; there is an end to it.
pub const ROUNDS: usize = 32;
/// Remotes that one target may name.
const MOST: usize = 100;
/// How often a remote is asked where no configured repository says it.
const INTERVAL: Duration = Duration::from_secs(30);

/// The remote bases of all targets.
pub struct Bases {
    cache: Cache,
    state: Mutex<State>,
    /// Counts what was heard of any of them.
    news: watch::Receiver<u64>,
    wanted: Arc<Mutex<BTreeMap<String, Wanted>>>,
    supplies: Supplies,
}

struct State {
    configured: BTreeMap<String, Configured>,
    followed: Repositories,
    /// Remotes that cannot be followed as they are written, and why.
    refused: BTreeMap<String, String>,
}

/// A configured repository: its credentials are good for others on the same server, too.
#[derive(Clone)]
pub struct Configured {
    spec: Spec,
    interval: Duration,
    hold: Hold,
}

impl Configured {
    /// What of a followed repository counts for bases.
    pub fn of(follow: &Follow) -> Self {
        Self { spec: follow.source.spec().clone(), interval: follow.interval, hold: follow.hold }
    }

    /// A source of charts that an App names: its credentials are good for charts on the same server.
    pub fn of_charts(wanted: &charts::Wanted) -> Self {
        let charts::Wanted {
            spec: ChartSpec { location, credentials, insecure, timeout, scope }, name, ..
        } = wanted;
        let at = ChartUrl { location: location.clone(), name: name.clone(), range: String::new() };
        let spec = Spec {
            credentials: credentials.clone(),
            insecure: *insecure,
            timeout: *timeout,
            scope: scope.clone(),
            ..Spec::new(Location::Chart(at))
        };
        Self { spec, interval: wanted.interval, hold: Hold::Moves }
    }

    /// A repository that nothing is known of but what `spec` says.
    pub fn new(spec: Spec) -> Self {
        Self { spec, interval: INTERVAL, hold: Hold::Moves }
    }
}

/// What one target needs.
struct Wanted {
    repository: String,
    needs: BTreeSet<Needed>,
    pins: Vec<BasePin>,
}

/// What is known of the bases that a target asked for.
#[derive(Clone)]
pub struct Asked {
    /// Those that were read, and those that could not be.
    pub known: render::Bases,
    /// Whether there are others that have not answered yet.
    pub pending: Vec<Remote>,
}

impl Bases {
    /// Follows nothing yet; `moved` is called with the name of a target for whom there is something new.
    pub fn new(cache: Cache, metrics: Metrics, moved: Arc<dyn Fn(&str) + Send + Sync>) -> Self {
        let (tell, news) = watch::channel(0);
        let (tell, askers_moved) = (Arc::new(tell), moved.clone());
        let supplied = {
            let tell = tell.clone();
            Supplies::new(
                metrics.clone(),
                Arc::new(move |target: &str| {
                    tell.send_modify(|count| *count += 1);
                    askers_moved(target);
                }),
            )
        };
        let wanted: Arc<Mutex<BTreeMap<String, Wanted>>> = Arc::default();
        let askers = wanted.clone();
        let told: Arc<dyn Fn(&str) + Send + Sync> = Arc::new(move |remote: &str| {
            tell.send_modify(|count| *count += 1);
            let needs = |wanted: &Wanted| wanted.needs.iter().any(|needed| name(&needed.remote) == remote);
            let targets: Vec<String> = lock(&askers)
                .iter()
                .filter(|(_, wanted)| needs(wanted))
                .map(|(target, _)| target.clone())
                .collect();
            for target in &targets {
                moved(target);
            }
        });
        let followed = Repositories::new(metrics, told);
        let state = State { configured: BTreeMap::new(), followed, refused: BTreeMap::new() };
        Self { cache, state: Mutex::new(state), news, wanted, supplies: supplied }
    }

    /// Sets which repositories are configured.
    pub fn configure(&self, configured: BTreeMap<String, Configured>) {
        lock(&self.state).configured = configured;
        self.follow();
    }

    /// Forgets targets.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        lock(&self.wanted).retain(|target, _| keep(target));
        self.follow();
    }

    /// Looks at all remotes now.
    pub fn poke(&self) {
        lock(&self.state).followed.poke();
    }

    /// Looks at the remotes that are the same repository as one that somebody says has moved.
    pub fn hint(&self, hints: &[Hint]) {
        let state = lock(&self.state);
        for moved in hints.iter().filter_map(|hint| state.configured.get(repository_of(&hint.repository))) {
            let is_same = |source: &Source| {
                source.spec().location.common(&moved.spec.location) == Some(usize::MAX)
                    && !matches!(source.spec().reference, Reference::Commit(_))
            };
            state.followed.poke_where(is_same);
        }
    }

    /// Ends all tasks.
    pub fn stop(&self) {
        lock(&self.state).followed.stop();
    }

    /// What a target needs from now on, and what is known of it. `pins` say which commits it had before.
    pub fn ask(&self, target: &str, repository: &str, needs: &BTreeSet<Needed>, pins: &[BasePin]) -> Asked {
        let is_new = {
            let mut wanted = lock(&self.wanted);
            match wanted.get(target) {
                None if needs.is_empty() => false,
                Some(known) if known.needs == *needs && known.repository == repository => false,
                Some(_) | None => {
                    let repository = repository.to_owned();
                    let new = Wanted { repository, needs: needs.clone(), pins: pins.to_vec() };
                    if needs.is_empty() {
                        wanted.remove(target);
                    } else {
                        wanted.insert(target.to_owned(), new);
                    }
                    true
                }
            }
        };
        if is_new {
            self.follow();
        }
        self.known(needs)
    }

    fn known(&self, needs: &BTreeSet<Needed>) -> Asked {
        let state = lock(&self.state);
        let mut asked = Asked { known: render::Bases::new(), pending: Vec::new() };
        for Needed { remote, .. } in needs {
            let name = name(remote);
            let base = match (state.refused.get(&name), state.followed.known(&name)) {
                (Some(why), _) => Err(why.clone()),
                (None, Known { commit: Some(commit), .. }) => {
                    Ok(render::Base { revision: commit.revision.clone(), tree: commit.tree.clone() })
                }
                (None, Known { trouble: Some(why), .. }) => Err(why),
                (None, Known { .. }) => {
                    asked.pending.push(remote.clone());
                    continue;
                }
            };
            asked.known.insert(remote.clone(), base);
        }
        asked
    }

    /// What a rendering is pinned to, with what is wrong at its remotes.
    pub fn pins(&self, used: &BTreeMap<Remote, render::Used>) -> Vec<BasePin> {
        let state = lock(&self.state);
        let pin = |(remote, used): (&Remote, &render::Used)| {
            let (url, reference) = shown(remote);
            let message = state.followed.known(&name(remote)).trouble.unwrap_or_default();
            BasePin { url, reference, revision: used.revision.clone(), message }
        };
        used.iter().map(pin).collect()
    }

    /// Counts what is heard of any remote; for those who have no turn that would be asked for.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.clone()
    }

    /// Has the files fetched that a target's rendering of `commit` met, and what lies at the paths `beside`; the target is told
    /// when they are here. Says why they could not be when it was last tried.
    pub fn supply(
        &self,
        target: &str,
        commit: &Arc<Commit>,
        absent: &Absent,
        beside: BTreeSet<String>,
    ) -> Option<String> {
        self.supplies.ask(target, &commit.revision, self.lacks(Some(commit), absent, beside))
    }

    fn lacks(&self, own: Option<&Arc<Commit>>, absent: &Absent, beside: BTreeSet<String>) -> Vec<Lack> {
        let state = lock(&self.state);
        let own = own.filter(|_| !absent.own.is_empty()).map(|commit| Lack {
            commit: commit.clone(),
            paths: absent.own.iter().cloned().chain(beside).collect(),
        });
        let of_base = |(remote, paths): (&Remote, &BTreeSet<String>)| {
            let commit = state.followed.known(&name(remote)).commit?;
            Some(Lack { commit, paths: paths.clone() })
        };
        own.into_iter().chain(absent.bases.iter().filter_map(of_base)).collect()
    }

    /// Renders a path of a commit, and waits for what has to be read for it. Where a cluster has to be asked, it ends with
    /// [`render::Unasked`].
    pub async fn render_commit<T: Send + 'static>(
        &self,
        commit: &Arc<Commit>,
        request: &Request,
        build: render::Build<T>,
    ) -> Result<T> {
        self.render_from(&commit.tree, Some(commit), request, build).await
    }

    /// Renders a path of a tree, and waits for what has to be read for it.
    pub async fn render<T: Send + 'static>(
        &self,
        tree: &Arc<dyn Tree>,
        request: &Request,
        build: render::Build<T>,
    ) -> Result<T> {
        self.render_from(tree, None, request, build).await
    }

    async fn render_from<T: Send + 'static>(
        &self,
        tree: &Arc<dyn Tree>,
        own: Option<&Arc<Commit>>,
        request: &Request,
        build: render::Build<T>,
    ) -> Result<T> {
        let (mut needs, parsed) = (BTreeSet::new(), Parsed::default());
        for _ in 0..ROUNDS {
            let bases = self.settled(&needs).await;
            let (tree, roots, parsed) = (tree.clone(), request.roots(), parsed.clone());
            let request = request.clone();
            match ambient::blocking(move || build(tree, &request, &parsed, &bases)).await? {
                Ok(rendered) => return Ok(rendered),
                Err(Unrendered::Broken(error)) => return Err(error.into()),
                Err(Unrendered::Unasked(unasked)) => return Err(unasked.into()),
                Err(Unrendered::Missing(missing)) => needs.extend(missing),
                Err(Unrendered::Absent(absent)) => {
                    let lacks = self.lacks(own, &absent, roots);
                    supply::all(lacks).await.map_err(|why| anyhow!("{absent}: {why}"))?;
                }
            }
            if let Some(why) = too_many(&needs) {
                bail!(why);
            }
        }
        Err(anyhow!(too_deep()))
    }

    /// What is known of these, when all have answered.
    pub async fn settled(&self, needs: &BTreeSet<Needed>) -> render::Bases {
        let mut news = self.news.clone();
        loop {
            news.mark_unchanged();
            let asked = self.ask("", "", needs, &[]);
            if asked.pending.is_empty() {
                return asked.known;
            }
            let _ = news.changed().await;
        }
    }

    /// Follows what is wanted now, and nothing else.
    fn follow(&self) {
        // Before the other lock, so that nobody follows what was wanted a moment ago.
        let mut state = lock(&self.state);
        let mut all: BTreeMap<String, (Needed, BTreeSet<String>, Option<String>)> = BTreeMap::new();
        for wanted in lock(&self.wanted).values() {
            for needed in &wanted.needs {
                let (_, askers, pinned) = all
                    .entry(name(&needed.remote))
                    .or_insert_with(|| (needed.clone(), BTreeSet::new(), None));
                askers.insert(wanted.repository.clone());
                let (url, reference) = shown(&needed.remote);
                let pin = wanted.pins.iter().find(|pin| pin.url == url && pin.reference == reference);
                *pinned = pinned.take().or(pin.map(|pin| pin.revision.clone()));
            }
        }
        let (mut follow, mut refused) = (Vec::new(), BTreeMap::new());
        for (name, (needed, askers, pinned)) in all {
            let made = spec(&needed, &askers, &state.configured).and_then(|(spec, interval)| {
                Follow::new(&name, spec, interval, &self.cache).map_err(|error| error.to_string())
            });
            match made {
                Ok(one) => {
                    let hold = hold(&one.source.spec().location, &state.configured);
                    follow.push(Follow { pinned, hold, ..one });
                }
                Err(why) => drop(refused.insert(name, why)),
            }
        }
        state.refused = refused;
        state.followed.follow(follow);
    }
}

/// Says that a target names more remotes than it may.
pub fn too_many(needs: &BTreeSet<Needed>) -> Option<String> {
    (needs.len() > MOST).then(|| {
        format!("it names {} remote bases and files, and more than {MOST} are not read", needs.len())
    })
}

/// Says that bases name bases without end.
pub fn too_deep() -> String {
    format!("its remote bases name further ones more than {ROUNDS} times over")
}

/// How to get at a remote: as the configured repository that has most in common with it, if it is on the same server.
fn spec(
    needed: &Needed,
    askers: &BTreeSet<String>,
    configured: &BTreeMap<String, Configured>,
) -> Result<(Spec, Duration), String> {
    let (url, reference, location) = match &needed.remote {
        Remote::Repository { url, reference } => {
            (url, reference.as_str(), Location::parse(url).map(|(location, _)| location))
        }
        Remote::File { url } => (url, "", Location::file(url, Remote::FILE)),
        Remote::Chart { repository, name, version } => {
            (repository, "", Location::chart(repository, name, version))
        }
    };
    let location = location.map_err(|error| error.to_string())?;
    let asking = || askers.iter().filter_map(|name| configured.get(name));
    if let Location::Folder(path) = &location {
        if !url.starts_with("file://") {
            return Err("it is no address that Git can fetch from; write git@HOST:PATH, or a URL".to_owned());
        }
        if !path.is_absolute() {
            return Err("a file:// URL needs an absolute path, such as file:///srv/config.git".to_owned());
        }
        if askers.len() != asking().count()
            || asking().any(|own| !matches!(own.spec.location, Location::Folder(_)))
        {
            return Err("it is a folder of the machine that trueup runs on; only a repository that is itself such a folder may name one".to_owned());
        }
    }
    let mut spec = Spec::new(location.clone());
    spec.reference = match reference {
        "" | "HEAD" => Reference::Head,
        id if matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Reference::Commit(id.to_ascii_lowercase())
        }
        name => Reference::Named(name.to_owned()),
    };
    // What lets in to charts is not shown to who has repositories.
    let is_for = |one: &&Configured| {
        matches!(location, Location::Chart(_)) || !matches!(one.spec.location, Location::Chart(_))
    };
    let nearest = configured
        .values()
        .filter(is_for)
        .filter_map(|one| Some((spec.location.common(&one.spec.location)?, one)))
        // Of equals the first by name.
        .rev()
        .max_by_key(|(common, _)| *common);
    spec.credentials = Credentials::default();
    if let Some((_, one)) = &nearest {
        spec.credentials = one.spec.credentials.clone();
        spec.insecure = one.spec.insecure;
        spec.timeout = one.spec.timeout;
    }
    spec.timeout = needed.timeout.unwrap_or(spec.timeout);
    let own = || asking().map(|own| own.interval).min();
    let interval = nearest.map(|(_, one)| one.interval).or_else(own).unwrap_or(INTERVAL);
    Ok((spec, interval))
}

/// A base stays where it is while all Repositories with its URL are suspended.
fn hold(location: &Location, configured: &BTreeMap<String, Configured>) -> Hold {
    let mut same =
        configured.values().filter(|one| location.common(&one.spec.location) == Some(usize::MAX)).peekable();
    if same.peek().is_some() && same.all(|one| one.hold == Hold::Stays) { Hold::Stays } else { Hold::Moves }
}

/// URL and reference as a record has them.
fn shown(remote: &Remote) -> (String, String) {
    match remote {
        Remote::Repository { url, reference } => (url.clone(), reference.clone()),
        Remote::File { .. } => (name(remote), String::new()),
        Remote::Chart { repository, name, version } => (format!("{repository}/{name}"), version.clone()),
    }
}

/// What a remote is followed under. A file's query may hold a token, so a hash stands for it.
fn name(remote: &Remote) -> String {
    use sha2::Digest as _;
    let shown = remote.to_string();
    match remote {
        Remote::File { url } if *url != shown => {
            format!("{shown}?{}", hex(&sha2::Sha256::digest(url)[..4]))
        }
        Remote::File { .. } | Remote::Repository { .. } | Remote::Chart { .. } => shown,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(url: &str, interval: u64) -> Configured {
        let (location, mut credentials) = Location::parse(url).unwrap();
        credentials.username = Some(url.to_owned());
        let spec = Spec { credentials, ..Spec::new(location) };
        Configured { spec, interval: Duration::from_secs(interval), hold: Hold::Moves }
    }

    fn needed(url: &str, reference: &str) -> Needed {
        let remote = Remote::Repository { url: url.to_owned(), reference: reference.to_owned() };
        Needed { remote, timeout: None }
    }

    /// Whose credentials a remote of `own` gets, what of it is followed, and how often.
    fn check(url: &str, reference: &str, own: &str) -> String {
        let configured: BTreeMap<String, Configured> = [
            ("a", configured("https://h/org/a", 10)),
            ("b", configured("https://h/org/b", 20)),
            ("local", configured("/srv/config", 30)),
            ("ssh", configured("git@h:org/a", 40)),
        ]
        .into_iter()
        .map(|(name, one)| (name.to_owned(), one))
        .collect();
        match spec(&needed(url, reference), &BTreeSet::from([own.to_owned()]), &configured) {
            Ok((spec, interval)) => {
                let user = spec.credentials.username.unwrap_or_else(|| "nobody".to_owned());
                format!("{}, {} as {user} every {interval:?}", spec.location, spec.reference)
            }
            Err(why) => why,
        }
    }

    #[test]
    fn a_remote_is_asked_as_the_repository_on_its_server_with_the_nearest_path() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        for (url, reference, own, expected) in [
            ("https://h/org/b", "v1", "a", "https://h/org/b, tag or branch v1 as https://h/org/b every 20s"),
            ("https://h/org/c", "", "ssh", "https://h/org/c, default branch as https://h/org/a every 10s"),
            (
                "https://me@h/org/c",
                "HEAD",
                "b",
                "https://h/org/c, default branch as https://h/org/a every 10s",
            ),
            ("git@h:org/c", commit, "a", &format!("ssh://h/org/c, commit {commit} as git@h:org/a every 40s")),
            ("http://h/org/a", "x", "b", "http://h/org/a, tag or branch x as nobody every 20s"),
            ("https://other/org/a", "x", "local", "https://other/org/a, tag or branch x as nobody every 30s"),
            ("file:///srv/base", "x", "local", "/srv/base, tag or branch x as nobody every 30s"),
            (
                "file:///srv/base",
                "x",
                "a",
                "it is a folder of the machine that trueup runs on; only a repository that is itself such a folder may name one",
            ),
            (
                "file://srv/base",
                "x",
                "local",
                "a file:// URL needs an absolute path, such as file:///srv/config.git",
            ),
            (
                "git@h/org/a.git",
                "x",
                "local",
                "it is no address that Git can fetch from; write git@HOST:PATH, or a URL",
            ),
        ] {
            assert_eq!(check(url, reference, own), expected, "{url}");
        }
    }

    #[test]
    fn a_chart_is_asked_for_with_what_lets_in_to_its_server_and_nothing_else_is() {
        let wanted = |repository: &str| {
            let (location, _) = crate::source::charts::ChartLocation::parse(repository).unwrap();
            let mut spec = ChartSpec::new(location);
            spec.credentials.username = Some(format!("{repository} of an App"));
            spec.insecure = true;
            let (name, version) = ("other".to_owned(), String::new());
            charts::Wanted { spec, name, version, interval: Duration::from_secs(50) }
        };
        let configured = BTreeMap::from([
            ("a".to_owned(), configured("https://h/org/a", 10)),
            ("chart of web@test".to_owned(), Configured::of_charts(&wanted("oci://r:5000/charts"))),
            ("chart of api@test".to_owned(), Configured::of_charts(&wanted("https://h/charts"))),
        ]);
        let found = |remote: Remote| {
            let needed = Needed { remote, timeout: None };
            let (spec, interval) = spec(&needed, &BTreeSet::from(["a".to_owned()]), &configured).unwrap();
            let user = spec.credentials.username.unwrap_or_else(|| "nobody".to_owned());
            format!("{} as {user} every {interval:?}, insecure: {}", spec.location, spec.insecure)
        };
        let chart = |repository: &str| {
            let [repository, name, version] = [repository, "web", "^1"].map(str::to_owned);
            found(Remote::Chart { repository, name, version })
        };
        let registry = "oci://r:5000/charts of an App every 50s, insecure: true";
        assert_eq!(chart("oci://r:5000/charts"), format!("oci://r:5000/charts/web as {registry}"));
        assert_eq!(chart("oci://r:5000/more"), format!("oci://r:5000/more/web as {registry}"));
        assert_eq!(
            chart("https://h/charts"),
            "https://h/charts/web as https://h/charts of an App every 50s, insecure: true"
        );
        assert_eq!(chart("https://h/org"), "https://h/org/web as https://h/org/a every 10s, insecure: false");
        assert_eq!(
            chart("https://elsewhere/x"),
            "https://elsewhere/x/web as nobody every 10s, insecure: false"
        );
        let (url, reference) = ("https://h/charts/web".to_owned(), String::new());
        let git = found(Remote::Repository { url, reference });
        assert_eq!(git, "https://h/charts/web as https://h/org/a every 10s, insecure: false");
    }

    #[test]
    fn the_query_of_a_file_is_not_told_and_yet_tells_it_from_another() {
        let named = |url: &str| name(&Remote::File { url: url.to_owned() });
        assert_eq!(named("https://h/a.yaml"), "https://h/a.yaml");
        let (one, other) = (named("https://h/a.yaml?token=hush"), named("https://h/a.yaml?token=hash"));
        assert!(one != other && !one.contains("hush") && one.starts_with("https://h/a.yaml?"), "{one}");
    }
}
