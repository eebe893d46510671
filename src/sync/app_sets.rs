//! What AppSets have made: found out anew at each commit, and remembered in the state folder.
//!
//! Enters: the AppSets of a configuration, what is known of the repositories that they read, and what their statuses say was made last. Leaves: the Apps that there are, those
//! that are on their way out, and how each AppSet stands. What cannot be found out leaves the Apps as they were, over a start too. Absent: which Apps an AppSet asks
//! for and which of them may go, which is [`crate::generate`]'s; and putting Apps to work.

use super::pulls::{self, Listings};
use super::repositories::{Known, chain};
use super::view::{AppSetStanding, AppSetState, By};
use crate::ambient;
use crate::config::{AppSetSpec, CONFIRM_REMOVAL, Config, Declared, Expanded, Kind, Misfits, Target};
use crate::generate::pulls::{Listing, Remembered as Requests, numbers};
use crate::generate::{self, Apps, Asked, Ground, Held, Made, Unmade};
use crate::source::Commit;
use anyhow::{Context as _, Result, anyhow, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trueup_model::Tree;

/// How often files are fetched that turn out to be needed.
const ROUNDS: usize = 5;
/// The folder below the state folder, with a file an AppSet.
const FOLDER: &str = "appsets";

mod parting;

pub(super) use parting::Farewell;

/// What AppSets have made.
pub(super) struct AppSets {
    folder: PathBuf,
    known: Mutex<BTreeMap<String, Remembered>>,
    partings: Mutex<parting::Partings>,
}

#[derive(Clone, Default)]
struct Remembered {
    made: Made,
    state: AppSetState,
    /// Why the Apps are not those that are asked for.
    trouble: String,
    /// Those that wait until a person confirms that they go, and what confirms it.
    held: Vec<String>,
    code: String,
    /// What a person confirmed of it here last.
    confirmed: String,
    /// What of the Apps does not fit the configuration.
    misfits: Vec<String>,
    /// Whether this process has found out which Apps are asked for.
    is_found: bool,
    /// Why there are no Apps for pull requests that there could be some for.
    notes: Vec<String>,
    /// What Apps wait for that are on their way out.
    waiting: BTreeMap<String, String>,
}

/// What came of looking at one AppSet.
enum Found {
    Apps(Asked),
    /// It is to stay as it is, or has to.
    Stays(AppSetState, String),
}

impl AppSets {
    /// With what was remembered in a state folder. What of it cannot be read is told, and made anew.
    pub(super) fn new(state: &Path) -> Self {
        let folder = state.join(FOLDER);
        let mut known = BTreeMap::new();
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".json"));
            let Some(name) = name else { continue };
            match read(&path) {
                Ok(made) => {
                    known.insert(name.to_owned(), Remembered { made, ..Remembered::default() });
                }
                Err(error) => tracing::warn!(
                    file = %path.display(),
                    error = format!("{error:#}"),
                    "what an AppSet made last cannot be read"
                ),
            }
        }
        Self { folder, known: Mutex::new(known), partings: Mutex::default() }
    }

    /// What there is of the AppSets of a configuration. Of those that left it nothing is remembered any more, and what is on its way out stays as it is; one that is there
    /// and wrong keeps its Apps. Nothing goes further on its way out before this process has found out that it is not asked for.
    pub(super) async fn made(&self, config: &Config) -> BTreeMap<String, Made> {
        let broken: BTreeSet<&str> = config.broken(Kind::AppSet).collect();
        let mut changed = Vec::new();
        let made = {
            let mut known = self.lock();
            known.retain(|name, _| {
                let stays = config.app_sets.contains_key(name) || broken.contains(name.as_str());
                if !stays {
                    // It may never have been written.
                    let _ = std::fs::remove_file(self.file(name));
                }
                stays
            });
            for name in config.app_sets.keys() {
                known.entry(name.clone()).or_default();
            }
            // Whoever has the name has what was applied under it.
            let had: BTreeSet<String> =
                known.values().flat_map(|one| one.made.apps.keys().cloned()).collect();
            for (name, one) in &mut *known {
                let before = one.made.leaving.len();
                one.made.leaving.retain(|app, _| !had.contains(app) && !is_written(config, app));
                if one.made.leaving.len() != before {
                    changed.push((name.clone(), one.made.clone()));
                }
            }
            let shown = |(name, one): (&String, &Remembered)| {
                let goes_on = one.is_found && config.app_sets.get(name).is_some_and(|set| !set.spec.suspend);
                let leaving = if goes_on { one.made.leaving.clone() } else { Apps::new() };
                (name.clone(), Made { apps: one.made.apps.clone(), leaving, ..Made::default() })
            };
            known.iter().map(shown).collect()
        };
        for (name, made) in changed {
            self.keep_or_tell(&name, &made).await;
        }
        made
    }

    /// Takes what others say was made last, where this process has not found out anything yet.
    pub(super) fn recall(&self, made: BTreeMap<String, Made>) {
        let mut known = self.lock();
        for (name, made) in made {
            let one = known.entry(name).or_default();
            if !one.is_found {
                one.made = made;
            }
        }
    }

    /// The numbers of the pull requests that are remembered, by repository.
    pub(super) fn remembered(&self, config: &Config) -> BTreeMap<String, BTreeSet<u64>> {
        let known = self.lock();
        let mut all: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for (name, set) in &config.app_sets {
            let Some(one) = known.get(name) else { continue };
            for (_, requests) in set.spec.pull_requests() {
                let Ok(address) = requests.address() else { continue };
                let numbers = numbers(&one.made.pulls, &address.path);
                all.entry(address.path).or_default().extend(numbers);
            }
        }
        all
    }

    /// What has been made.
    pub(super) fn all(&self) -> BTreeMap<String, Made> {
        self.lock().iter().map(|(name, one)| (name.clone(), one.made.clone())).collect()
    }

    /// Lets the Apps go that an AppSet holds, if the code stands for exactly those; gives their names. What another replica was asked for holds here too, as soon
    /// as the same is held.
    pub(super) fn confirm(&self, name: &str, code: &str, by: By) -> Result<Vec<String>, String> {
        let mut known = self.lock();
        let Some(one) = known.get_mut(name) else { return Err(format!("there is no AppSet {name}")) };
        match by {
            By::Person if one.held.is_empty() => return Err(format!("AppSet {name} holds no App")),
            By::Person if one.code != code => {
                return Err(format!("{code} does not stand for what AppSet {name} holds: {}", one.trouble));
            }
            By::Person | By::Replica => code.clone_into(&mut one.confirmed),
        }
        Ok(one.held.clone())
    }

    /// Notes what of the Apps does not fit the configuration.
    pub(super) fn note(&self, mut misfits: Misfits) {
        for (name, one) in &mut *self.lock() {
            let before = std::mem::replace(&mut one.misfits, misfits.remove(name).unwrap_or_default());
            for why in one.misfits.iter().filter(|why| !before.contains(why)) {
                tracing::warn!(app_set = name, error = why, "an App that an AppSet makes is left out");
            }
        }
    }

    /// How the AppSets stand, sorted by name.
    pub(super) fn standings(&self) -> Vec<AppSetStanding> {
        self.lock().iter().map(|(name, one)| one.standing(name)).collect()
    }

    /// Looks what the AppSets of a configuration ask for now. True where there are other Apps than before.
    pub(super) async fn look(
        &self,
        config: &Config,
        repository: impl Fn(&str) -> Known,
        pulls: impl Fn(&str, &str) -> pulls::Known,
    ) -> bool {
        let mut found = Vec::new();
        for (name, set) in &config.app_sets {
            let remembered = self.lock().get(name).map(|one| one.made.pulls.clone()).unwrap_or_default();
            let one = find(config, set, &remembered, &repository, &pulls).await;
            found.push((name, set, one.unwrap_or_else(|why| Found::Stays(AppSetState::Failed, why))));
        }
        // What one gives up and another one asks for is handed over, whichever of them comes first.
        let mut asked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, _, one) in &found {
            if let Found::Apps(found) = one {
                for app in found.apps.keys() {
                    asked.entry(app.clone()).or_default().insert((*name).clone());
                }
            }
        }
        let mut changed = false;
        for (name, set, one) in found {
            match one {
                Found::Apps(found) => {
                    let by_others = |app: &str| {
                        let by = asked.get(app);
                        is_written(config, app) || by.is_some_and(|by| by.iter().any(|other| other != name))
                    };
                    changed |= self.settle(name, set, found, by_others).await;
                }
                Found::Stays(state, why) => self.stays(name, state, why),
            }
        }
        changed
    }

    fn stays(&self, name: &str, state: AppSetState, why: String) {
        let mut known = self.lock();
        let one = known.entry(name.to_owned()).or_default();
        if one.trouble != why && state == AppSetState::Failed {
            let apps = one.made.apps.len();
            tracing::warn!(app_set = name, error = why, apps, "the Apps stay as they were");
        }
        (one.state, one.trouble) = (state, why);
    }

    /// Takes what is asked for, as far as Apps may go; true where that is something else than before.
    async fn settle(
        &self,
        name: &str,
        set: &Declared<AppSetSpec>,
        asked: Asked,
        by_others: impl Fn(&str) -> bool,
    ) -> bool {
        let Asked { apps: mut asked, notes, seen, gone } = asked;
        let (before, confirmed, others) = {
            let known = self.lock();
            let confirmed = known.get(name).map(|one| one.confirmed.clone()).unwrap_or_default();
            let others = known.iter().filter(|(other, _)| *other != name);
            let others: BTreeMap<String, String> = others
                .flat_map(|(other, one)| one.made.apps.keys().map(|app| (app.clone(), other.clone())))
                .collect();
            (known.get(name).map(|one| one.made.clone()).unwrap_or_default(), confirmed, others)
        };
        // Who has an App keeps it.
        let taken: Vec<String> = asked
            .keys()
            .filter_map(|app| {
                Some(format!("App {app}: AppSet {} makes an App of this name", others.get(app)?))
            })
            .collect();
        asked.retain(|app, _| !others.contains_key(app));
        let written = set.metadata.annotations.get(CONFIRM_REMOVAL);
        let confirmed = [written.map_or("", String::as_str), &confirmed];
        let done = before.apps_of(&gone);
        let settled = generate::settle(&before.apps, asked, &done, set.spec.budget(), &confirmed);
        let is_taken = |app: &str| by_others(app) || others.contains_key(app);
        let leaving = generate::leaving(&before, &settled.apps, &set.spec.template.spec, is_taken);
        let (state, trouble) = match (&settled.held, taken.is_empty()) {
            (Some(held), _) => (AppSetState::Held, held.told(name)),
            (None, false) => (AppSetState::Misfit, taken.join("; ")),
            (None, true) => (AppSetState::Made, String::new()),
        };
        let held: Vec<String> = settled.held.iter().flat_map(|held| held.names.iter().cloned()).collect();
        let code = settled.held.as_ref().map(Held::code).unwrap_or_default();
        let pulls = before.still_remembered(seen, &settled.apps);
        let made = Made { apps: settled.apps, leaving, pulls };
        let mut changed = (&made.apps, &made.leaving) != (&before.apps, &before.leaving);
        if changed {
            tell(name, &before, &made);
        }
        if made != before {
            self.keep_or_tell(name, &made).await;
        }
        let mut known = self.lock();
        let one = known.entry(name.to_owned()).or_default();
        if one.trouble != trouble && !trouble.is_empty() {
            tracing::warn!(app_set = name, error = trouble, "the Apps are not those that are asked for");
        }
        // What was on its way out before the start goes on only now.
        changed |= !one.is_found && !made.leaving.is_empty();
        one.waiting.retain(|app, _| made.leaving.contains_key(app));
        (one.made, one.state, one.trouble) = (made, state, trouble);
        (one.held, one.code, one.notes) = (held, code, notes);
        one.is_found = true;
        changed
    }

    async fn keep_or_tell(&self, name: &str, made: &Made) {
        if let Err(error) = self.keep(name, made).await {
            tracing::warn!(app_set = name, error = format!("{error:#}"), "what it made cannot be kept");
        }
    }

    /// Written aside and renamed, so that a crash leaves no half of it.
    async fn keep(&self, name: &str, made: &Made) -> Result<()> {
        let (folder, path) = (self.folder.clone(), self.file(name));
        let aside = self.folder.join(format!("{name}.new"));
        let text = serde_json::to_vec(made)?;
        let write = move || {
            std::fs::create_dir_all(&folder)
                .and_then(|()| std::fs::write(&aside, text))
                .and_then(|()| std::fs::rename(&aside, &path))
                .with_context(|| path.display().to_string())
        };
        ambient::blocking(write).await?
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Remembered>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    /// A message, with what pull requests wait for.
    fn with_notes(&self, mut message: String) -> String {
        const SHOWN: usize = 10;
        for note in self.notes.iter().take(SHOWN) {
            if !message.is_empty() {
                message.push_str("; ");
            }
            message.push_str(note);
        }
        message
    }

    fn standing(&self, name: &str) -> AppSetStanding {
        let (state, message) = match self.state {
            AppSetState::Made if !self.misfits.is_empty() => (AppSetState::Misfit, self.misfits.join("; ")),
            state => (state, self.trouble.clone()),
        };
        let names = |apps: &Apps| apps.keys().cloned().collect();
        let message = self.with_leaving(self.with_notes(message));
        let (apps, leaving) = (names(&self.made.apps), names(&self.made.leaving));
        let (held, code) = (self.held.clone(), self.code.clone());
        AppSetStanding { name: name.to_owned(), state, apps, leaving, held, code, message }
    }
}

/// Whether somebody wrote an App of this name, a good one or not.
fn is_written(config: &Config, app: &str) -> bool {
    config.apps.contains_key(app) || config.broken(Kind::App).any(|name| name == app)
}

fn read(path: &Path) -> Result<Made> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

fn tell(name: &str, before: &Made, after: &Made) {
    let pruned: Vec<&String> = after.leaving.keys().collect();
    let (before, after) = (&before.apps, &after.apps);
    let only = |one: &Apps, other: &Apps| -> Vec<String> {
        one.keys().filter(|app| !other.contains_key(*app)).cloned().collect()
    };
    let (new, gone) = (only(after, before), only(before, after));
    tracing::info!(
        app_set = name,
        apps = after.len(),
        ?new,
        ?gone,
        ?pruned,
        "the AppSet makes other Apps than before"
    );
}

/// What an AppSet asks for, as far as its repositories could be read.
async fn find(
    config: &Config,
    set: &Declared<AppSetSpec>,
    remembered: &Requests,
    repository: &impl Fn(&str) -> Known,
    pulls: &impl Fn(&str, &str) -> pulls::Known,
) -> Result<Found, String> {
    if set.spec.suspend {
        return Ok(Found::Stays(AppSetState::Suspended, "suspended; its Apps stay as they are".to_owned()));
    }
    let mut listings: BTreeMap<String, Arc<Listing>> = BTreeMap::new();
    for (place, _) in set.spec.pull_requests() {
        let place = place.to_string();
        let known = pulls(&set.metadata.name, &place);
        match (known.listing, known.trouble) {
            (_, Some(why)) => return Err(format!("{place}: {why}")),
            (Some(listing), None) => drop(listings.insert(place, listing)),
            (None, None) => {
                let why = format!("{place}: the pull requests have not been read yet");
                return Ok(Found::Stays(AppSetState::Pending, why));
            }
        }
    }
    let mut commits: BTreeMap<String, Arc<Commit>> = BTreeMap::new();
    for (_, one) in set.spec.ones() {
        let Some(name) = one.repository() else { continue };
        let known = repository(name);
        match (known.commit, known.trouble) {
            // What was read last still says what it said; but whether there is more to it nobody knows.
            (_, Some(why)) => return Err(format!("Repository {name}: {why}")),
            (Some(commit), None) => drop(commits.insert(name.to_owned(), commit)),
            (None, None) => {
                let suspended = config.repositories.get(name).is_some_and(|one| one.spec.suspend);
                let (state, why) = if suspended {
                    (
                        AppSetState::Suspended,
                        format!("the Repository {name} is suspended; Apps stay as they are"),
                    )
                } else {
                    (AppSetState::Pending, format!("the Repository {name} has not been read yet"))
                };
                return Ok(Found::Stays(state, why));
            }
        }
    }
    make(config, set, &commits, &listings, remembered).await.map(Found::Apps)
}

/// The Apps that an AppSet asks for at these commits. Files that are needed and were not fetched are fetched.
async fn make(
    config: &Config,
    set: &Declared<AppSetSpec>,
    commits: &BTreeMap<String, Arc<Commit>>,
    listings: &BTreeMap<String, Arc<Listing>>,
    remembered: &Requests,
) -> Result<Asked, String> {
    let trees: BTreeMap<String, Arc<dyn Tree>> =
        commits.iter().map(|(name, commit)| (name.clone(), commit.tree.clone())).collect();
    let broken: Vec<String> = config.broken(Kind::Cluster).map(str::to_owned).collect();
    for _ in 0..ROUNDS {
        let (set, trees) = (set.clone(), trees.clone());
        let (clusters, broken) = (config.clusters.clone(), broken.clone());
        let (listings, remembered, now) = (listings.clone(), remembered.clone(), ambient::now());
        let work = move || {
            let ground = Ground {
                trees: &trees,
                clusters: &clusters,
                broken: &broken,
                pulls: &listings,
                remembered: &remembered,
                now,
            };
            generate::make(&set, &ground)
        };
        let made = ambient::blocking(work).await.map_err(|panic| format!("ended unexpectedly: {panic}"))?;
        let (repository, path) = match made {
            Ok(asked) => return Ok(asked),
            Err(Unmade::Wrong(place, why)) => return Err(format!("{place}: {why}")),
            Err(Unmade::Absent { repository, path }) => (repository, path),
        };
        let commit = commits.get(&repository).ok_or_else(|| format!("{path} is of no commit"))?;
        // Those beside it are likely to be needed as well.
        let above = path.rsplit_once('/').map_or("", |(folder, _)| trueup_model::tree::parent(folder));
        let supplied = commit.supply(BTreeSet::from([path.clone(), above.to_owned()])).await;
        supplied.map_err(|error| format!("Repository {repository}: {path}: {}", chain(&error)))?;
    }
    Err("files of it cannot be fetched".to_owned())
}

/// What its AppSets ask for at these commits and with these pull requests, for a command that works alone. Those whose pull requests nobody asked for ask for nothing.
pub(super) async fn asked(
    config: &Config,
    commits: &BTreeMap<String, Arc<Commit>>,
    pulls: &Listings,
) -> Result<BTreeMap<String, Made>> {
    let mut made = BTreeMap::new();
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for (name, set) in &config.app_sets {
        let listings = pulls.get(name).cloned().unwrap_or_default();
        if set.spec.pull_requests().any(|(place, _)| !listings.contains_key(&place.to_string())) {
            tracing::warn!(app_set = name, "its pull requests are not asked for, and it makes no Apps here");
            continue;
        }
        let asked = make(config, set, commits, &listings, &Requests::new()).await;
        let mut apps = asked.map_err(|why| anyhow!("AppSet {name}: {why}"))?.apps;
        apps.retain(|app, _| *owners.entry(app.clone()).or_insert_with(|| name.clone()) == *name);
        made.insert(name.clone(), Made { apps, ..Made::default() });
    }
    Ok(made)
}

/// What there is once this is asked for, after what there was before: as far as Apps may go, and with those that are pruned. The second are those that are held, with why.
pub(super) fn after(
    config: &Config,
    before: &BTreeMap<String, Made>,
    asked: BTreeMap<String, Made>,
) -> (BTreeMap<String, Made>, BTreeMap<String, String>) {
    let names: BTreeMap<String, BTreeSet<String>> =
        asked.iter().map(|(set, made)| (set.clone(), made.apps.keys().cloned().collect())).collect();
    let (mut after, mut held) = (BTreeMap::new(), BTreeMap::new());
    for (name, asked) in asked {
        let nothing = Made::default();
        let (Some(set), before) = (config.app_sets.get(&name), before.get(&name).unwrap_or(&nothing)) else {
            continue;
        };
        let written = set.metadata.annotations.get(CONFIRM_REMOVAL).map_or("", String::as_str);
        let nothing = BTreeSet::new();
        let settled = generate::settle(&before.apps, asked.apps, &nothing, set.spec.budget(), &[written]);
        let is_taken = |app: &str| {
            is_written(config, app) || names.iter().any(|(other, apps)| *other != name && apps.contains(app))
        };
        let leaving = generate::leaving(before, &settled.apps, &set.spec.template.spec, is_taken);
        if let Some(some) = &settled.held {
            held.extend(some.names.iter().map(|app| (app.clone(), some.told(&name))));
        }
        after.insert(name, Made { apps: settled.apps, leaving, ..Made::default() });
    }
    (after, held)
}

/// The configuration with the Apps of its AppSets, for a command that works alone. `before` are the targets as they were.
pub(super) fn expanded(config: &Config, made: &BTreeMap<String, Made>, before: &[Target]) -> Result<Config> {
    let Expanded { config: mut expanded, misfits, leaving: _ } = config.with_made(made, before);
    if let Some((name, why)) = misfits.iter().find_map(|(name, all)| Some((name, all.first()?))) {
        bail!("AppSet {name}: {why}");
    }
    if let Some((app, first)) = expanded.awaited_in_vain().next() {
        bail!("App {app}: spec.dependsOn: there is no App `{first}`, and no AppSet makes one");
    }
    expanded.app_sets.clear();
    Ok(expanded)
}
