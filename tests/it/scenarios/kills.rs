//! Replicas that are killed, stopped and ended at random while commits come: nothing is lost, and nothing is applied twice.
//!
//! What became of each object is told by a watch, and what was asked by the audit log of the API server; the two are held against each
//! other.

use super::harness::{PATIENCE, World};
use super::replicas::{CLUSTERS, LEASE, Shared, in_a_line, is_of_app};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use trueup_testkit::{Mark, Request, played};

const REPLICAS: usize = 3;
/// Objects of each target.
const OBJECTS: usize = 10;

/// What became of the Apps' objects, as a watch told it: the values that each one had, in order.
struct Witness {
    seen: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    fn of(world: &World) -> Self {
        let (seen, over) = (Arc::new(Mutex::new(BTreeMap::<String, Vec<String>>::new())), Arc::default());
        let collection = world.config_map("").trim_end_matches('/').to_owned();
        let mut version = world.api.get(&collection).unwrap()["metadata"]["resourceVersion"].clone();
        let (api, witnessed, ended): (_, _, Arc<AtomicBool>) =
            (world.api.clone(), seen.clone(), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::SeqCst) {
                let from = version.as_str().unwrap();
                let path = format!("{collection}?watch=true&resourceVersion={from}&timeoutSeconds=2");
                // Several lines are no JSON document, and come as text.
                let text = match api.get(&path).unwrap() {
                    Value::String(text) => text,
                    one => one.to_string(),
                };
                for line in text.lines() {
                    let event: Value = serde_json::from_str(line).unwrap();
                    assert_ne!(event["type"], "ERROR", "{event}");
                    let object = &event["object"];
                    version = object["metadata"]["resourceVersion"].clone();
                    let name = object["metadata"]["name"].as_str().unwrap();
                    if is_of_app(name) {
                        let value = object["data"]["value"].as_str().unwrap_or_default().to_owned();
                        witnessed.lock().unwrap().entry(name.to_owned()).or_default().push(value);
                    }
                }
            }
        });
        Self { seen, over, thread: Some(thread) }
    }

    fn end(mut self) -> BTreeMap<String, Vec<String>> {
        // Longer than a watch.
        std::thread::sleep(Duration::from_secs(3));
        self.over.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
        self.seen.lock().unwrap().clone()
    }
}

/// The time in which a replica did not run.
struct Death {
    number: usize,
    from: Timestamp,
    to: Option<Timestamp>,
}

impl Death {
    fn of(number: usize) -> Self {
        Self { number, from: Timestamp::now(), to: None }
    }

    /// Whether a write by the account of this replica was under way when that was killed.
    fn interrupts(&self, write: &Request, account: &str) -> bool {
        let [received, answered] = write.between.each_ref().map(|time| time.parse::<Timestamp>().unwrap());
        write.user == account && answered >= self.from && self.to.is_none_or(|to| received < to)
    }
}

/// `xorshift64`.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }

    fn one_of<T: Copy, const N: usize>(&mut self, things: [T; N]) -> T {
        things[self.below(N)]
    }

    fn up_to(&mut self, bound: Duration) -> Duration {
        Duration::from_millis(self.below(usize::try_from(bound.as_millis()).unwrap()).try_into().unwrap())
    }
}

/// What is done to the replicas, and what was.
struct Fates {
    shared: Shared,
    chance: Chance,
    commits: usize,
    /// One a line, with the time.
    events: Vec<String>,
    deaths: Vec<Death>,
    done: BTreeMap<&'static str, usize>,
}

impl Fates {
    /// All replicas have their part.
    fn begin(seed: u64) -> Self {
        let chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut shared = Shared::new("replicas-killed", REPLICAS, OBJECTS);
        (0..REPLICAS).for_each(|number| shared.start(number));
        shared.shared_by(REPLICAS);
        let (events, deaths, done) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { shared, chance, commits: 0, events, deaths, done }
    }

    fn is_running(&self, number: usize) -> bool {
        self.shared.replicas[number].running.is_some()
    }

    fn tell(&mut self, number: usize, what: &'static str) {
        *self.done.entry(what).or_default() += 1;
        self.events.push(format!("{} {number} {what} after {}", Timestamp::now(), self.commits));
    }

    fn start(&mut self, number: usize) {
        self.tell(number, "started");
        let open = self.deaths.iter_mut().filter(|death| death.number == number && death.to.is_none());
        open.for_each(|death| death.to = Some(Timestamp::now()));
        self.shared.start(number);
    }

    /// A commit, and something happens to one replica.
    fn step(&mut self) {
        self.commits += 1;
        self.shared.commit(&format!("{:06}", self.commits), CLUSTERS);
        let number = self.chance.one_of([0, 1, 2]);
        if !self.is_running(number) {
            return self.start(number);
        }
        let what = self.chance.one_of(["-KILL", "-KILL", "-TERM", "-STOP", "nothing"]);
        self.tell(number, what);
        match what {
            "-STOP" => {
                self.shared.signal(number, "-STOP");
                std::thread::sleep(self.chance.up_to(2 * LEASE));
                self.tell(number, "-CONT");
                self.shared.signal(number, "-CONT");
            }
            "nothing" => {}
            signal => {
                // Who is asked to end ends between two writes.
                self.deaths.extend((signal == "-KILL").then(|| Death::of(number)));
                self.shared.signal(number, signal);
                self.shared.ended(number);
            }
        }
    }

    /// All replicas run again, and come to what Git has.
    fn end(&mut self) {
        for number in 0..REPLICAS {
            if !self.is_running(number) {
                self.start(number);
            }
        }
        self.shared.shared_by(REPLICAS);
        let last = self.shared.commit("last", CLUSTERS);
        self.shared.ready(&last, CLUSTERS, PATIENCE);
    }

    /// Whether who sent a write was killed while it was under way.
    fn is_orphan(&self, write: &Request) -> bool {
        self.deaths.iter().any(|death| death.interrupts(write, &self.shared.replicas[death.number].account))
    }

    /// What was asked for each object since the mark, whatever the answer.
    fn writes(&self, mark: Mark) -> BTreeMap<String, Vec<Request>> {
        let mut writes: BTreeMap<String, Vec<Request>> = BTreeMap::new();
        for write in self.shared.tried_since(mark) {
            if write.resource == "configmaps" && is_of_app(&write.name) {
                writes.entry(write.name.clone()).or_default().push(write);
            }
        }
        writes
    }

    /// Each write of an object gave it another value.
    ///
    /// Of one that was under way when its sender was killed nobody knows whether it took effect: who comes next may write the same, and
    /// the server may tell nobody that it has done it.
    fn check(&self, name: &str, values: &[String], writes: &[Request]) {
        assert!(values.is_sorted_by(|a, b| a < b), "{name} went back, or had a value twice: {values:?}");
        let open = writes.iter().filter(|write| self.is_orphan(write) || write.status >= 500).count();
        let sure = writes.iter().filter(|write| write.status < 300 && !self.is_orphan(write)).count();
        assert!(
            (sure..=sure + open).contains(&values.len()),
            "{sure} writes of {name}, and {open} that may have taken effect: {values:?}\n{}\n{}\n{}",
            writes.iter().map(in_a_line).collect::<Vec<_>>().join("\n"),
            self.events.join("\n"),
            self.shared.logs()
        );
    }
}

/// `TRUEUP_KILLS_SECONDS` says for how long, `TRUEUP_KILLS_SEED` what happens.
#[test]
#[ignore = "ten minutes: `make test-long`"]
fn random_kills_of_three_replicas_lose_nothing_and_apply_nothing_twice() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (seconds, seed) = (number("TRUEUP_KILLS_SECONDS", 600), number("TRUEUP_KILLS_SEED", 1));
    let mut fates = Fates::begin(seed);
    let (witness, mark) = (Witness::of(&fates.shared.world), played().unwrap().mark().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        std::thread::sleep(Duration::from_millis(200) + fates.chance.up_to(Duration::from_secs(4)));
        fates.step();
    }
    fates.end();
    let lived = witness.end();
    let writes = fates.writes(mark);
    let all = || writes.values().flatten();
    eprintln!(
        "seed {seed}: {} commits, {:?}, {} writes of {} objects, {} under way when their sender was killed",
        fates.commits,
        fates.done,
        all().count(),
        writes.len(),
        all().filter(|write| fates.is_orphan(write)).count(),
    );
    let all = [("last".to_owned(), CLUSTERS * OBJECTS)].into();
    assert_eq!(fates.shared.values(), all, "nothing is lost");
    for (name, values) in &lived {
        fates.check(name, values, &writes[name]);
    }
    assert_eq!(lived.len(), writes.len());
}
