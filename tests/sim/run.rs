//! One run: a seed, so many steps in which anything may happen, then calm, in which all has to come right.

use crate::content::{self, APPS, Content, text};
use crate::forge::{self, Forge};
use crate::gate::{Asked, Cluster, Weather};
use crate::held::{self, HOLD};
use crate::hooks::{BAD, FLAKY, IMAGES, Ledger, SLOW};
use crate::invariants::{Guard, Layouts, check_membership, check_output, differences, records};
use crate::pace::Pace;
use crate::plan::{Layout, NAMESPACES, TARGETS, Target};
use crate::process::Process;
use crate::random::Random;
use crate::trace::{Detail, Trace};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use trueup::store::Reader;
use trueup_plan::apply_set::PART_OF;
use trueup_plan::record::{SyncStatus, TargetStatus};
use trueup_sandbox::workloads::Fate;

/// More objects than are ever held.
const MANY_HELD: usize = 100;
/// When every run begins.
const START: i64 = 1_790_000_000;
/// How long calm may take to set all right: longer than the longest pause between two tries, and than a watch may be silent.
const PATIENCE: Duration = Duration::from_mins(45);
/// How long what may still come late is waited for.
const LINGERING: Duration = Duration::from_mins(11);
/// For how long nothing must be written then.
const PEACE: Duration = Duration::from_mins(20);
/// How long nothing happens at most before the one thing that happens in quiet, in milliseconds.
const QUIET_AT_MOST: u64 = 600_000;
/// How long a disk stays full when all else is well, in milliseconds.
const FULL_AT_MOST: u64 = 900_000;
/// How long a server is away at least that is put back to a backup: whoever was connected to it hears that the connection ended before
/// anything gets through again.
const AWAY: Duration = Duration::from_millis(100);
/// Tasks that trueup may have at once, for so few targets.
const MANY_TASKS: usize = 200;
/// Watches of one cluster that it may have at rest: one a kind, and those of definitions and admission.
const MANY_WATCHES: u64 = 16;
/// What a target says of which a hook failed.
const FAILED: &str = "the hook failed";
/// As a disk answers that is full.
const FULL: &str = "CREATE TRIGGER IF NOT EXISTS full BEFORE INSERT ON status BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END";

const FREE: &str = "DROP TRIGGER IF EXISTS full";

/// What a run came to.
pub(crate) struct Outcome {
    pub(crate) violations: Vec<String>,
    pub(crate) lines: Vec<String>,
    pub(crate) digest: u64,
    /// Writes of trueup that took effect.
    pub(crate) writes: u64,
    pub(crate) kills: u64,
}

/// Runs a seed.
pub(crate) fn run(seed: u64, steps: u64, detail: Detail) -> Outcome {
    let mut run = Run::new(seed, detail);
    for _ in 0..steps {
        run.step();
        if !run.trace.violations().is_empty() {
            break;
        }
    }
    if run.trace.violations().is_empty() {
        run.come_to_rest();
    }
    run.process = None;
    Outcome {
        violations: run.trace.violations(),
        lines: run.trace.lines(),
        digest: run.trace.digest(),
        writes: run.clusters.iter().map(Cluster::writes).sum(),
        kills: run.kills,
    }
}

struct Run {
    seed: u64,
    trace: Trace,
    random: Random,
    now: Timestamp,
    forge: Forge,
    content: Content,
    layout: Layout,
    layouts: Layouts,
    guard: Arc<Guard>,
    clusters: Vec<Cluster>,
    state: TempDir,
    process: Option<Process>,
    is_disk_full: bool,
    kills: u64,
}

/// What can happen in a step.
#[derive(Clone, Copy)]
enum Event {
    Commit,
    ForcePush,
    ForgeWeather,
    ClusterWeather,
    Edit,
    Delete,
    Unlabel,
    Hold,
    Release,
    Stranger,
    Kill,
    Restart,
    Disconnect,
    BackUp,
    RollBack,
    Late,
    Sync,
    Clock,
    Layout,
    Doom,
    DiskFull,
    DiskFree,
    Jobs,
    Nothing,
}

const EVENTS: [(u64, Event); 24] = [
    (20, Event::Commit),
    (2, Event::ForcePush),
    (6, Event::ForgeWeather),
    (8, Event::ClusterWeather),
    (12, Event::Edit),
    (6, Event::Delete),
    (3, Event::Unlabel),
    (3, Event::Hold),
    (2, Event::Release),
    (4, Event::Stranger),
    (6, Event::Kill),
    (2, Event::Restart),
    (3, Event::Disconnect),
    (2, Event::BackUp),
    (1, Event::RollBack),
    (4, Event::Late),
    (3, Event::Sync),
    (1, Event::Clock),
    (3, Event::Layout),
    (4, Event::Doom),
    (2, Event::DiskFull),
    (3, Event::DiskFree),
    (4, Event::Jobs),
    (13, Event::Nothing),
];

impl Run {
    fn new(seed: u64, detail: Detail) -> Self {
        let trace = Trace::new(detail);
        let now = Timestamp::from_second(START).unwrap();
        let forge = Forge::new(seed, trace.clone());
        let mut random = Random::new(seed, 2);
        let layout = Layout::first(&mut random);
        let layouts: Layouts = Arc::new(Mutex::new(vec![layout.clone()]));
        let guard = Arc::new(Guard {
            forge: forge.clone(),
            trace: trace.clone(),
            layouts: layouts.clone(),
            changes: AtomicUsize::new(0),
            ledger: Mutex::new(Ledger::default()),
            pace: Pace::default(),
        });
        let cluster = |name| Cluster::new(name, seed, now, guard.clone(), trace.clone());
        let clusters = vec![cluster("a"), cluster("b")];
        let content = Content::first(&mut random);
        forge.commit(content.clone());
        let state = scratch();
        std::fs::write(state.path().join("installation"), "simulation").unwrap();
        let mut run = Self {
            seed,
            trace,
            random,
            now,
            forge,
            content,
            layout,
            layouts,
            guard,
            clusters,
            state,
            process: None,
            is_disk_full: false,
            kills: 0,
        };
        for cluster in &run.clusters {
            for (image, fate) in IMAGES {
                cluster.decide(image, fate);
            }
            for name in NAMESPACES {
                let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
                cluster.act_at(now, &Asked::new("admin", "POST", "/api/v1/namespaces", "", &object));
            }
        }
        run.begin();
        run
    }

    fn begin(&mut self) {
        let seed = self.seed.wrapping_add(self.kills);
        *self.layouts.lock().unwrap() = vec![self.layout.clone()];
        let (time, state) = ((self.now, seed), self.state.path());
        match Process::start(time, &self.layout, state, &self.clusters, &self.forge, &self.trace) {
            Ok(process) => self.process = Some(process),
            Err(error) => self.trace.violation(format!("trueup does not start: {error:#}")),
        }
    }

    fn step(&mut self) {
        if self.clusters.iter().any(Cluster::is_doomed) {
            self.kill();
        }
        let event = self.random.weighted(&EVENTS);
        self.happen(event);
        let time = Duration::from_millis(match self.random.below(20) {
            0 => 60_000 + self.random.below(300_000),
            1..=3 => self.random.below(8_000),
            4..=12 => self.random.below(400),
            _ => self.random.below(20),
        });
        self.pass(time);
        self.check();
    }

    fn pass(&mut self, time: Duration) {
        self.guard.pace.begin();
        self.let_pass(time);
    }

    fn let_pass(&mut self, time: Duration) {
        if let Some(process) = &self.process {
            self.now = process.run(time);
        }
        self.clusters.iter().for_each(|cluster| cluster.pass(time, self.now));
    }

    fn check(&self) {
        let Some(process) = &self.process else { return };
        let statuses = process.statuses();
        let targets = TARGETS.iter().filter(|target| self.layout.has(target));
        self.forge.stand(targets.map(|target| (target.name, statuses.get(target.name).map(at))));
        process.within(|| {
            for cluster in self.clusters.iter().filter(|cluster| cluster.is_news()) {
                cluster.show();
                check_membership(cluster, &self.trace);
            }
        });
        let output = process.output();
        process.within(|| check_output("what trueup shows", &output, &self.trace));
        if output.contains("ended unexpectedly") {
            process.within(|| self.trace.violation("a turn panicked".to_owned()));
        }
        if process.tasks() > MANY_TASKS {
            process.within(|| self.trace.violation(format!("{} tasks", process.tasks())));
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Nothing => {}
            Event::DiskFull => {
                self.is_disk_full = true;
                self.on_disk(FULL);
            }
            Event::DiskFree => self.free_disk(),
            Event::Kill => self.kill(),
            Event::Layout => {
                self.layout.change(&mut self.random);
                self.configure();
            }
            Event::Doom => {
                let after = self.random.below(25);
                if let Some(cluster) = self.random.pick(&self.clusters) {
                    cluster.doom(after);
                }
            }
            Event::Sync => {
                if let Some(process) = &self.process {
                    process.sync();
                }
                self.tell(|| "user sync".to_owned());
            }
            Event::Clock => {
                let shift =
                    SignedDuration::from_secs(i64::try_from(self.random.below(7200)).unwrap_or(0) - 3600);
                self.now += shift;
                if let Some(process) = &self.process {
                    process.set_clock(self.now);
                }
                self.tell(|| format!("the clock jumps by {shift:#}"));
            }
            Event::Commit => {
                let what = self.content.change(&mut self.random);
                let revision = self.forge.commit(self.content.clone());
                self.tell(|| format!("git  {} {what}", &revision[..8]));
            }
            Event::ForcePush => {
                let by = usize::try_from(1 + self.random.below(3)).unwrap_or(1);
                if let Some(content) = self.forge.force_back(by) {
                    self.content = content;
                    self.tell(|| format!("git  force-pushed back by {by}"));
                }
            }
            Event::ForgeWeather => {
                use forge::Weather::{Down, Fair, Flaky, Rotten};
                let weather = self.random.weighted(&[(4, Fair), (2, Down), (3, Flaky), (1, Rotten)]);
                self.forge.set_weather(weather);
                self.tell(|| format!("git  {weather:?}"));
            }
            Event::ClusterWeather
            | Event::Edit
            | Event::Delete
            | Event::Unlabel
            | Event::Hold
            | Event::Release
            | Event::Stranger
            | Event::Restart
            | Event::Disconnect
            | Event::BackUp
            | Event::RollBack
            | Event::Jobs
            | Event::Late => self.happen_to_cluster(event),
        }
    }

    /// Puts the configuration to work as it is now.
    fn configure(&mut self) {
        self.tell(|| format!("user configures {:?}", self.layout));
        self.layouts.lock().unwrap().push(self.layout.clone());
        self.guard.changes.fetch_add(1, Ordering::Relaxed);
        if let Some(Err(error)) = self.process.as_ref().map(|process| process.configure(&self.layout)) {
            self.trace.violation(format!("the configuration is not put to work: {error:#}"));
        }
    }

    fn happen_to_cluster(&mut self, event: Event) {
        let at = usize::try_from(self.random.below(self.clusters.len() as u64)).unwrap_or(0);
        let Some(cluster) = self.clusters.get(at).cloned() else { return };
        self.happen_to(&cluster, event);
    }

    fn happen_to(&mut self, cluster: &Cluster, event: Event) {
        let name = cluster.name().to_owned();
        match event {
            Event::ClusterWeather => {
                let weather = Weather {
                    faults: self.random.weighted(&[(3, 0), (3, 50), (2, 300)]),
                    is_down: self.random.happens(80),
                    is_silent: self.random.happens(80),
                };
                self.tell(|| format!("{name}    {weather:?}"));
                cluster.set_weather(weather);
            }
            Event::Restart => {
                self.tell(|| format!("{name}    restarts"));
                cluster.restart();
            }
            Event::Disconnect => {
                self.tell(|| format!("{name}    disconnects"));
                cluster.disconnect();
            }
            Event::BackUp => cluster.back_up(),
            Event::Jobs => {
                let fails = self.random.happens(500);
                self.within(|| {
                    cluster.decide(SLOW, None);
                    cluster.decide(SLOW, Some(Fate::Hangs));
                    cluster.decide(FLAKY, fails.then_some(Fate::Fails));
                    self.trace.note(|| format!("{name}    Jobs end; others fail: {fails}"));
                });
            }
            Event::RollBack => {
                let is_done = cluster.stop();
                if is_done {
                    self.tell(|| format!("{name}    stops"));
                    self.let_pass(AWAY);
                    cluster.roll_back();
                    self.guard.ledger.lock().unwrap().rolled_back(&name);
                }
                self.tell(|| format!("{name}    rolled back: {is_done}"));
            }
            Event::Late => self.within(|| cluster.deliver_late()),
            Event::Release => self.release(cluster),
            Event::Stranger => {
                let namespace = (*self.random.pick(&NAMESPACES).unwrap_or(&"test")).to_owned();
                let number = self.random.below(8);
                let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
                    "metadata": {"name": format!("web-{number}"), "labels": {"by": "hand"}}, "data": {"a": "theirs"}});
                let path = format!("/api/v1/namespaces/{namespace}/configmaps");
                self.act(cluster, "POST", &path, &object);
            }
            _ => self.touch_member(cluster, event),
        }
    }

    /// A user changes an object of trueup's.
    fn touch_member(&mut self, cluster: &Cluster, event: Event) {
        let members: Vec<_> =
            cluster.objects().into_iter().filter(|object| !content::set_of(object).is_empty()).collect();
        let Some(member) = self.random.pick(&members).cloned() else { return };
        let path = path_of(&member);
        if matches!(event, Event::Delete | Event::Unlabel) {
            cluster.show();
            self.guard.ledger.lock().unwrap().excuse(&content::id(&member, ""));
        }
        match event {
            Event::Delete => self.act(cluster, "DELETE", &path, &json!({})),
            Event::Unlabel => {
                let labels = json!({PART_OF: null});
                self.act(cluster, "PATCH", &path, &json!({"metadata": {"labels": labels}}));
            }
            Event::Hold if held::is_held(&member) => {}
            Event::Hold => self.act(cluster, "PATCH", &path, &held::hold(&member)),
            _ => {
                let edit = self.edit(text(&member["kind"]));
                self.act(cluster, "PATCH", &path, &edit);
            }
        }
    }

    /// Nothing of a cluster is held any more.
    fn release(&self, cluster: &Cluster) {
        // One by one, since one that goes may take a finalizer from another.
        for _ in 0..MANY_HELD {
            let objects = cluster.objects();
            let Some(object) = objects.iter().find(|object| held::is_held(object)) else { return };
            self.act(cluster, "PATCH", &path_of(object), &held::release(object));
        }
    }

    /// Lets go of what is held after some time.
    fn release_all(&mut self, at_most: u64) {
        let is_held = |cluster: &Cluster| cluster.objects().iter().any(|object| held::is_held(object));
        if self.clusters.iter().any(is_held) {
            let time = Duration::from_millis(self.random.below(at_most));
            self.pass(time);
            for cluster in self.clusters.clone() {
                self.release(&cluster);
            }
        }
    }

    fn edit(&mut self, kind: &str) -> serde_json::Value {
        let value = format!("{}", self.random.below(100));
        match kind {
            "ConfigMap" if self.random.happens(300) => json!({"data": {"a": null}}),
            "ConfigMap" if self.random.happens(300) => json!({"data": {"own": value}}),
            "ConfigMap" => json!({"data": {"a": value}}),
            "Secret" => json!({"data": {"password": "b3RoZXI="}}),
            "Deployment" => json!({"spec": {"replicas": self.random.below(4)}}),
            _ => json!({"metadata": {"annotations": {"v": value}, "labels": {"v": "edited"}}}),
        }
    }

    fn act(&self, cluster: &Cluster, method: &str, path: &str, body: &serde_json::Value) {
        let asked = Asked::new("kubectl/1.36", method, path, "fieldManager=kubectl-edit", body);
        self.within(|| {
            let (code, _) = cluster.act(&asked);
            self.trace.note(|| format!("{}    user {method} {path} {body}: {code}", cluster.name()));
        });
    }

    fn within(&self, work: impl FnOnce()) {
        match &self.process {
            Some(process) => process.within(work),
            None => work(),
        }
    }

    fn tell(&self, line: impl FnOnce() -> String) {
        self.within(|| self.trace.note(line));
    }

    /// Ends trueup at once, wherever its tasks are, and starts it again on what is left.
    fn kill(&mut self) {
        if let Some(process) = &self.process {
            process.nudge(self.random.below(12));
        }
        self.tell(|| "kill".to_owned());
        self.kills += 1;
        self.process = None;
        self.clusters.iter().for_each(Cluster::process_died);
        self.forge.process_died();
        if self.random.happens(100) {
            self.tear();
        }
        if self.random.happens(150) {
            // The machine is another one: nothing is left but Git and the clusters.
            for file in std::fs::read_dir(self.state.path()).unwrap() {
                let path = file.unwrap().path();
                if path.is_file() && !path.ends_with("installation") {
                    std::fs::remove_file(path).unwrap();
                }
            }
        }
        self.begin();
    }

    fn free_disk(&mut self) {
        if std::mem::take(&mut self.is_disk_full) {
            self.on_disk(FREE);
        }
    }

    fn on_disk(&self, statement: &str) {
        let store = rusqlite::Connection::open(self.state.path().join("trueup.db"));
        let done = store.and_then(|store| store.execute_batch(statement));
        self.tell(|| format!("disk {} {done:?}", &statement[..4]));
    }

    /// Leaves the store as a machine does that loses its power in the midst of a write.
    fn tear(&mut self) {
        for name in ["trueup.db-wal", "trueup.db"] {
            let path = self.state.path().join(name);
            let Ok(bytes) = std::fs::read(&path) else { continue };
            let end = usize::try_from(self.random.below(bytes.len() as u64)).unwrap_or(0);
            if self.random.happens(500) {
                std::fs::write(&path, &bytes[..end]).unwrap();
            }
        }
    }

    /// Ends all faults; then all targets have to come to be as Git has them, and nothing must be written any more.
    fn come_to_rest(&mut self) {
        if self.clusters.iter().any(Cluster::is_doomed) {
            self.kill();
        }
        self.content.mend();
        self.forge.commit(self.content.clone());
        self.layout.resume();
        self.configure();
        self.forge.set_weather(forge::Weather::Fair);
        for cluster in &self.clusters {
            cluster.set_weather(Weather::default());
            cluster.lose_late();
        }
        self.clusters.iter().for_each(|cluster| cluster.decide(SLOW, None));
        self.tell(|| "calm".to_owned());
        if self.is_disk_full {
            // All else is as it should be when there is room again.
            let time = Duration::from_millis(self.random.below(FULL_AT_MOST));
            self.pass(time);
        }
        self.is_disk_full = false;
        self.on_disk(FREE);
        self.release_all(FULL_AT_MOST);
        if APPS.iter().any(|app| self.content.runs(app, BAD)) {
            self.wait_for(Self::silent_about_failures);
        }
        for cluster in &self.clusters {
            cluster.decide(FLAKY, None);
            cluster.decide(BAD, None);
        }
        self.tell(|| "no Job fails any more".to_owned());
        // Whoever is told that a hook failed asks for a sync.
        self.wait_for(|run| {
            let is_told = |status: &TargetStatus| status.message.contains(FAILED);
            if let Some(process) =
                run.process.as_ref().filter(|process| process.statuses().values().any(is_told))
            {
                process.sync();
            }
            run.wrong()
        });
        self.check();
        self.happen_in_quiet();
        // What was kept for requests that come late is let go of.
        self.pass(LINGERING);
        let written: u64 = self.clusters.iter().map(Cluster::writes).sum();
        self.pass(PEACE);
        self.check();
        let more = self.clusters.iter().map(Cluster::writes).sum::<u64>() - written;
        if more > 0 {
            self.within(|| self.trace.violation(format!("{more} writes although nothing was to be done")));
        }
        for cluster in &self.clusters {
            if cluster.watches() > MANY_WATCHES {
                let many = format!("{} watches of {}", cluster.watches(), cluster.name());
                self.within(|| self.trace.violation(many));
            }
        }
        let metrics = self.process.as_ref().map(Process::metrics).unwrap_or_default();
        self.within(|| check_output("the metrics", &metrics, &self.trace));
        self.check_store();
    }

    /// Lets one thing happen when nothing else does: whoever misses it gets no other reason to look.
    fn happen_in_quiet(&mut self) {
        let time = Duration::from_millis(self.random.below(QUIET_AT_MOST));
        self.pass(time);
        let at = usize::try_from(self.random.below(self.clusters.len() as u64)).unwrap_or(0);
        let Some(cluster) = self.clusters.get(at).cloned() else { return };
        self.tell(|| format!("{}    one more thing", cluster.name()));
        if self.random.happens(500) {
            cluster.disconnect();
        }
        let event = self.random.weighted(&[
            (5, Event::Edit),
            (3, Event::Delete),
            (1, Event::Unlabel),
            (1, Event::Restart),
            (3, Event::RollBack),
            (2, Event::Hold),
        ]);
        match event {
            Event::Hold => self.hold_up(&cluster),
            _ => self.happen_to(&cluster, event),
        }
        // A backup may be of a time when something was held.
        self.release_all(QUIET_AT_MOST);
        self.wait_for(Self::wrong);
        self.check();
    }

    /// Has an object go from Git that somebody else holds: its target says so, without any other reason to look at it.
    fn hold_up(&mut self, cluster: &Cluster) {
        let targets: Vec<&Target> = TARGETS
            .iter()
            .filter(|target| target.cluster == cluster.name() && self.layout.has(target))
            .collect();
        let Some(target) = self.random.pick(&targets).copied() else { return };
        let Some(id) = self.content.drop_one(target.app, target.namespace, &mut self.random) else { return };
        let objects = cluster.objects();
        let Some(live) = objects.iter().find(|object| content::is(object, &id)) else { return };
        self.act(cluster, "PATCH", &path_of(live), &held::hold(live));
        let revision = self.forge.commit(self.content.clone());
        self.tell(|| format!("git  {} take {id:?} away, which is held", &revision[..8]));
        self.wait_for(|run| {
            let statuses = run.process.as_ref().map(Process::statuses).unwrap_or_default();
            let said = statuses.get(target.name).map(|status| (status.sync, status.message.as_str()));
            match said {
                Some((SyncStatus::Syncing, message)) if message.contains(HOLD) => Vec::new(),
                other => vec![format!("{id:?} of {} is held, and it says {other:?}", target.name)],
            }
        });
    }

    /// Lets time pass until nothing is wrong, or too long.
    fn wait_for(&mut self, wrong: impl Fn(&Self) -> Vec<String>) {
        let mut left = PATIENCE;
        let step = Duration::from_secs(20);
        let mut found = wrong(self);
        while !found.is_empty() && !left.is_zero() {
            self.pass(step);
            left = left.saturating_sub(step);
            found = wrong(self);
        }
        for what in found {
            self.within(|| self.trace.violation(format!("not set right: {what}")));
        }
    }

    /// Targets of which a hook fails and that do not say so.
    fn silent_about_failures(&self) -> Vec<String> {
        let Some(process) = &self.process else { return Vec::new() };
        let statuses = process.statuses();
        let fails = |target: &&Target| self.layout.has(target) && self.fails(target);
        let silent = TARGETS.iter().filter(fails).filter_map(|target| {
            let said = statuses.get(target.name).map(|status| (status.sync, status.message.as_str()));
            match said {
                Some((SyncStatus::Failed, message)) if message.contains(FAILED) => None,
                other => Some(format!("a hook of {} fails, and it says {other:?}", target.name)),
            }
        });
        silent.collect()
    }

    /// Whether a hook of a target is sure to fail now.
    fn fails(&self, target: &Target) -> bool {
        let is_waiting = target.app == "web" && self.layout.is_waiting();
        self.content.runs(target.app, BAD) && !is_waiting
    }

    fn wrong(&self) -> Vec<String> {
        let mut wrong = differences(&self.clusters, &self.forge, &self.layout);
        let Some(process) = &self.process else { return wrong };
        let head = self.forge.head().map(|(revision, _)| revision).unwrap_or_default();
        wrong.extend(records(&self.clusters, &self.forge, &self.layout));
        self.clusters.iter().for_each(Cluster::show);
        for (at, target) in TARGETS.iter().enumerate().filter(|(_, target)| self.layout.has(target)) {
            let missing = self.guard.ledger.lock().unwrap().missing(at, &self.content);
            wrong.extend(
                missing.iter().map(|id| format!("{}: the hook {id:?} did not end well", target.name)),
            );
        }
        let statuses = process.statuses();
        for target in TARGETS.iter().filter(|target| self.layout.has(target)) {
            match statuses.get(target.name) {
                Some(status) if status.is_settled() && status.revision == head => {}
                Some(status) => wrong.push(format!(
                    "{} is {:?} and {:?} at {}: {}",
                    target.name, status.sync, status.health, status.revision, status.message
                )),
                None => wrong.push(format!("{} has no status", target.name)),
            }
        }
        wrong
    }

    fn check_store(&self) {
        let head = self.forge.head().map(|(revision, _)| revision).unwrap_or_default();
        let kept = Reader::open(self.state.path())
            .and_then(|reader| reader.map_or(Ok(Vec::new()), |reader| reader.statuses()));
        let kept = kept.unwrap_or_default();
        for target in TARGETS.iter().filter(|target| self.layout.has(target)) {
            if !kept.iter().any(|status| status.target == target.name && status.revision == head) {
                let what = format!("the store does not tell of {} at {head}", target.name);
                self.within(|| self.trace.violation(what));
            }
        }
        for name in ["trueup.db", "trueup.db-wal"] {
            let bytes = std::fs::read(self.state.path().join(name)).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            self.within(|| check_output(name, &text, &self.trace));
        }
    }
}

/// The commit that a target is at, or on its way to.
fn at(status: &TargetStatus) -> &str {
    if status.wanted_revision.is_empty() { &status.revision } else { &status.wanted_revision }
}

fn path_of(object: &serde_json::Value) -> String {
    let (kind, namespace, name) = content::id(object, "");
    let version = text(&object["apiVersion"]);
    let root = if version.contains('/') { "/apis" } else { "/api" };
    let within = if namespace.is_empty() { String::new() } else { format!("namespaces/{namespace}/") };
    format!("{root}/{version}/{within}{}s/{name}", kind.to_lowercase())
}

/// A folder that is gone when the run is; in memory where the machine has a place for that.
fn scratch() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    let place = if memory.is_dir() { memory } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("trueup-sim.").tempdir_in(Path::new(&place)).unwrap()
}
