//! The hub's side of its agents: who may speak for which cluster, what each is to hear, and when it was heard last.
//!
//! Enters: the configuration as it is put to work, and what agents say. Leaves: what they hear; errands that were done; which of them have been silent for too
//! long. Absent: what is made of what they tell of their targets.

use super::super::refusals::{Guarded, Refusals};
use super::super::replicas::{PATIENCE, Share};
use super::super::secrets::{SecretData, SecretName, name_of};
use super::messages::{Done, Errand, Given, Heard, Listen, Parcel, Task};
use crate::ambient;
use crate::config::Config;
use crate::hex::hex;
use crate::source::Secret;
use aws_lc_rs::constant_time;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use trueup_model::Value;

/// An agent that was not heard for so long is away.
pub(in crate::sync) const SILENCE: Duration = Duration::from_mins(1);
/// Errands that wait for an agent at once.
const ERRANDS: usize = 256;

/// The seats of agents. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Agents(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    seats: Mutex<BTreeMap<String, Seated>>,
    /// Counts errands, over all seats.
    number: Mutex<u64>,
    share: OnceLock<Share>,
    refusals: Refusals,
}

/// What the configuration says of an agent.
#[derive(Clone, Debug)]
pub(in crate::sync) struct Seat {
    /// What it proves itself with, or why that is not known.
    pub token: Result<Secret, String>,
}

/// What the parts of all agents are made from.
pub(in crate::sync) struct Ground {
    pub config: Config,
    pub secrets: BTreeMap<SecretName, SecretData>,
    pub installation: String,
}

impl fmt::Debug for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ground")
    }
}

#[derive(Debug)]
struct Seated {
    token: Result<Secret, String>,
    ground: Arc<Ground>,
    /// Made when it is asked for.
    parcel: Option<Arc<Parcel>>,
    session: String,
    /// Where the agent is that speaks for the cluster.
    place: String,
    /// When it was heard last, and by the clock on the wall.
    heard: Option<(Instant, Timestamp)>,
    since: Instant,
    /// Whether it was found silent.
    is_away: bool,
    version: String,
    errands: Vec<Errand>,
    waiting: BTreeMap<u64, oneshot::Sender<Result<Value, String>>>,
    /// Moves with whatever there is to hear.
    moved: watch::Sender<()>,
}

/// How it stands with an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The version of its cluster's Kubernetes, as it told last.
    pub version: String,
    /// Why it is of no use at present, if that is so.
    pub trouble: Option<String>,
}

/// Whether somebody may speak for a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// He may, and it is for this process to hear him.
    Here,
    /// He may, and another replica is to hear him, which answers at this address.
    There(String),
    /// It cannot be told now, or by nobody: why.
    Later(String),
    /// He may not.
    Refused,
}

impl Agents {
    /// No seats yet; who is refused one that there is, is noted.
    pub fn new(refusals: Refusals) -> Self {
        Self(Arc::new(Inner { refusals, ..Inner::default() }))
    }

    /// Has the clusters of other replicas be heard by these.
    pub(in crate::sync) fn are_shared(&self, share: &Share) {
        let _ = self.0.share.set(share.clone());
    }

    /// What other replicas are asked with; none where there are none.
    pub fn client(&self) -> Option<&reqwest::Client> {
        self.0.share.get().map(Share::client)
    }

    /// Says which agents there are, and what they are to work by.
    pub(in crate::sync) fn seat(&self, wanted: BTreeMap<String, Seat>, ground: Ground) {
        let ground = Arc::new(ground);
        let mut seats = self.seats();
        seats.retain(|cluster, _| wanted.contains_key(cluster));
        for (cluster, Seat { token }) in wanted {
            let seated = seats.entry(cluster).or_insert_with(|| Seated::new(ground.clone()));
            seated.token = token;
            (seated.ground, seated.parcel) = (ground.clone(), None);
            seated.moved.send_replace(());
        }
    }

    /// Has these agents tell all that there is to tell once more.
    pub(in crate::sync) fn begin_anew(&self, is_meant: impl Fn(&str) -> bool) {
        for (_, seated) in self.seats().iter_mut().filter(|(cluster, _)| is_meant(cluster)) {
            seated.begin();
        }
    }

    /// Whether whoever has this token may speak for a cluster.
    pub fn admit(&self, cluster: &str, token: &str) -> Entry {
        {
            let seats = self.seats();
            let Some(seated) = seats.get(cluster) else { return Entry::Refused };
            match &seated.token {
                Ok(known) if is_same(known, token) => {}
                told => {
                    self.0.refusals.note(Guarded::Agent(cluster.to_owned()));
                    return match told {
                        Ok(_) => Entry::Refused,
                        Err(why) => Entry::Later(why.clone()),
                    };
                }
            }
        }
        match self.0.share.get() {
            Some(share) if !share.has(cluster) => match share.keeper_of(cluster) {
                Some((_, address)) => Entry::There(address),
                None => Entry::Later(format!("cluster {cluster} is between two replicas at this moment")),
            },
            Some(_) | None => Entry::Here,
        }
    }

    /// Notes that an agent was heard.
    ///
    /// # Errors
    /// Another one speaks for the same cluster.
    pub fn heard(&self, cluster: &str, place: &str) -> Result<(), String> {
        let mut seats = self.seats();
        let seated =
            seats.get_mut(cluster).ok_or_else(|| format!("there is no agent for {cluster} any more"))?;
        if seated.place != place && !seated.place.is_empty() && !seated.is_silent() {
            return Err(format!(
                "an agent in another place (its namespace has the uid {}) speaks for {cluster}; this one has {place}",
                seated.place
            ));
        }
        if seated.place != place {
            place.clone_into(&mut seated.place);
            seated.begin();
        }
        (seated.heard, seated.is_away) = (Some((Instant::now(), ambient::now())), false);
        Ok(())
    }

    /// What an agent is to hear, when there is something or it has waited for long.
    pub async fn listen(&self, cluster: &str, listen: &Listen) -> Option<Heard> {
        let mut moved = self.seats().get(cluster)?.moved.subscribe();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let heard = self.seats().get_mut(cluster)?.hears(cluster, listen);
            let is_news =
                heard.parcel.is_some() || !heard.errands.is_empty() || heard.session != listen.session;
            if is_news || !listen.wait {
                return Some(heard);
            }
            match tokio::time::timeout_at(deadline, moved.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => return Some(heard),
            }
        }
    }

    /// Takes in what an agent did, and the version of its cluster. Gives the session that this is.
    pub fn told(&self, cluster: &str, version: &str, done: Vec<Done>) -> Option<String> {
        let mut seats = self.seats();
        let seated = seats.get_mut(cluster)?;
        if !version.is_empty() {
            version.clone_into(&mut seated.version);
        }
        for Done { number, result } in done {
            if let Some(waiting) = seated.waiting.remove(&number) {
                let _ = waiting.send(result);
            }
        }
        Some(seated.session.clone())
    }

    /// Has an agent do something.
    ///
    /// # Errors
    /// It is away.
    pub(in crate::sync) fn send(
        &self,
        cluster: &str,
        task: Task,
    ) -> Result<oneshot::Receiver<Result<Value, String>>, String> {
        let number = {
            let mut number = self.0.number.lock().unwrap_or_else(PoisonError::into_inner);
            *number += 1;
            *number
        };
        let mut seats = self.seats();
        let seated = seats.get_mut(cluster).ok_or_else(|| format!("there is no agent for {cluster}"))?;
        if let Some(why) = seated.trouble(cluster) {
            return Err(why);
        }
        seated.waiting.retain(|_, waiting| !waiting.is_closed());
        let waiting = &seated.waiting;
        // Nobody waits for the answer of those any more.
        seated.errands.retain(|errand| waiting.contains_key(&errand.number));
        if seated.errands.len() >= ERRANDS {
            return Err(format!("too much waits for the agent of {cluster} already; try again"));
        }
        let (answer, answered) = oneshot::channel();
        seated.waiting.insert(number, answer);
        seated.errands.push(Errand { number, task });
        seated.moved.send_replace(());
        Ok(answered)
    }

    /// The agents that fell silent since this was asked last: since when, and why they are of no use.
    pub(in crate::sync) fn newly_away(&self) -> Vec<(String, Timestamp, String)> {
        let mut newly = Vec::new();
        for (cluster, seated) in self.seats().iter_mut() {
            let Some(why) = seated.trouble(cluster) else { continue };
            if seated.is_away || !seated.is_silent() {
                continue;
            }
            seated.is_away = true;
            // When it is back, all that it told before is of before.
            seated.begin();
            let since = seated.heard.map_or_else(ambient::now, |(_, since)| since);
            newly.push((cluster.clone(), since, why));
        }
        newly
    }

    /// How it stands with each agent, by its cluster.
    pub fn standings(&self) -> BTreeMap<String, Standing> {
        let seats = self.seats();
        let standing = |(cluster, seated): (&String, &Seated)| {
            let standing = Standing { version: seated.version.clone(), trouble: seated.trouble(cluster) };
            (cluster.clone(), standing)
        };
        seats.iter().map(standing).collect()
    }

    fn seats(&self) -> MutexGuard<'_, BTreeMap<String, Seated>> {
        self.0.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seated {
    fn new(ground: Arc<Ground>) -> Self {
        let mut seated = Self {
            token: Err(String::new()),
            ground,
            parcel: None,
            session: String::new(),
            place: String::new(),
            heard: None,
            since: Instant::now(),
            is_away: false,
            version: String::new(),
            errands: Vec::new(),
            waiting: BTreeMap::new(),
            moved: watch::Sender::new(()),
        };
        seated.begin();
        seated
    }

    fn begin(&mut self) {
        let random: [u8; 8] = ambient::secret().unwrap_or_default();
        self.session = hex(&random);
        self.moved.send_replace(());
    }

    fn is_silent(&self) -> bool {
        self.heard.map_or(self.since, |(heard, _)| heard).elapsed() > SILENCE
    }

    fn trouble(&self, cluster: &str) -> Option<String> {
        match (&self.token, self.heard) {
            (Err(why), None) => Some(format!("the agent of {cluster} cannot be let in: {why}")),
            (Ok(_), None) => Some(format!("the agent of {cluster} was not heard yet")),
            (Ok(_) | Err(_), Some((_, last))) if self.is_silent() => Some(format!(
                "the agent of {cluster} was last heard at {}",
                last.strftime("%Y-%m-%dT%H:%M:%SZ")
            )),
            (Ok(_) | Err(_), Some(_)) => None,
        }
    }

    fn hears(&mut self, cluster: &str, listen: &Listen) -> Heard {
        let is_same = self.session == listen.session;
        let is_news = |errand: &&Errand| {
            (!is_same || errand.number > listen.after) && self.waiting.contains_key(&errand.number)
        };
        let errands = self.errands.iter().filter(is_news).cloned().collect();
        let parcel = self.parcel(cluster);
        let parcel = (parcel.fingerprint != listen.fingerprint).then(|| Parcel::clone(&parcel));
        Heard { session: self.session.clone(), parcel, errands }
    }

    fn parcel(&mut self, cluster: &str) -> Arc<Parcel> {
        let ground = &self.ground;
        self.parcel.get_or_insert_with(|| Arc::new(parcel(ground, cluster))).clone()
    }
}

/// What an agent works by.
fn parcel(ground: &Ground, cluster: &str) -> Parcel {
    let configuration = ground.config.excerpt(cluster);
    let names = configuration.secrets().map(|secret| name_of(&secret.name, secret.namespace.as_deref()));
    let names: BTreeSet<SecretName> = names.collect();
    let given = names.into_iter().filter_map(|key| {
        let data = ground.secrets.get(&key)?.clone();
        Some(Given { namespace: key.0, name: key.1, data })
    });
    let mut parcel = Parcel {
        fingerprint: String::new(),
        installation: ground.installation.clone(),
        secrets: given.collect(),
        configuration,
    };
    // Maps are sorted and every type has one form, so equal parcels are equal bytes.
    let bytes = serde_json::to_vec(&parcel).unwrap_or_default();
    parcel.fingerprint = hex(&Sha256::digest(bytes)[..16]);
    parcel
}

/// Compares hashes, in a time that says nothing of how much is right.
fn is_same(known: &Secret, token: &str) -> bool {
    let [ours, theirs] = [known.expose(), token].map(|text| Sha256::digest(text.as_bytes()));
    constant_time::verify_slices_are_equal(&ours, &theirs).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::custom::read;
    use serde_json::json;

    fn agents() -> Agents {
        let resources = [
            (
                "Repository",
                "config",
                json!({"url": "https://example.com/config.git", "secretRef": {"name": "git"}}),
            ),
            ("Cluster", "edge", json!({"agent": {"secretRef": {"name": "edge"}}})),
            ("Environment", "test", json!({"cluster": "edge", "namespace": "shop"})),
            ("App", "web", json!({"repository": "config", "path": "web", "environments": ["test"]})),
        ];
        let resource = |(kind, name, spec)| json!({"kind": kind, "metadata": {"name": name}, "spec": spec});
        let agents = Agents::default();
        let secret = |name: &str| {
            ((String::from("ops"), String::from(name)), [("token".to_owned(), name.to_owned())].into())
        };
        let ground = Ground {
            config: read(resources.map(resource).into(), "ops", &[]).config,
            secrets: ["git", "edge", "other"].map(secret).into(),
            installation: "home".to_owned(),
        };
        agents
            .seat([("edge".to_owned(), Seat { token: Ok(Secret::new("0123456789abcdef")) })].into(), ground);
        agents
    }

    fn listen(heard: &Heard, after: u64) -> Listen {
        let fingerprint = heard.parcel.as_ref().map(|parcel| parcel.fingerprint.clone()).unwrap_or_default();
        Listen { place: "here".to_owned(), session: heard.session.clone(), fingerprint, after, wait: true }
    }

    #[test]
    fn only_who_has_the_token_is_let_in() {
        let agents = agents();
        assert_eq!(agents.admit("edge", "0123456789abcdef"), Entry::Here);
        assert_eq!(agents.admit("edge", "0123456789abcdee"), Entry::Refused);
        assert_eq!(agents.admit("elsewhere", "0123456789abcdef"), Entry::Refused);
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_is_given_what_it_needs_and_nothing_twice() {
        let agents = agents();
        let first = agents.listen("edge", &Listen { wait: true, ..Listen::default() }).await.unwrap();
        let parcel = first.parcel.clone().unwrap();
        assert_eq!(parcel.secrets.iter().map(|given| &*given.name).collect::<Vec<_>>(), ["git"]);
        assert!(!format!("{parcel:?}").contains("token"), "values are not for print");
        let asked = Instant::now();
        let then = agents.listen("edge", &listen(&first, 0)).await.unwrap();
        assert!(then.parcel.is_none() && asked.elapsed() >= PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn an_errand_is_heard_of_until_it_is_done() {
        let agents = agents();
        assert!(agents.send("edge", Task::Ask(Vec::new())).is_err(), "nobody is there");
        agents.heard("edge", "here").unwrap();
        let first = agents.listen("edge", &Listen::default()).await.unwrap();
        let mut answer = agents.send("edge", Task::Ask(Vec::new())).unwrap();
        let second = agents.listen("edge", &listen(&first, 0)).await.unwrap();
        let [errand] = &second.errands[..] else { panic!("{second:?}") };
        let again = agents.listen("edge", &Listen { wait: false, ..listen(&first, 0) }).await.unwrap();
        assert_eq!(again.errands.len(), 1, "the answer may have been lost");
        let known =
            agents.listen("edge", &Listen { wait: false, ..listen(&first, errand.number) }).await.unwrap();
        assert!(known.errands.is_empty());
        agents.told("edge", "", vec![Done { number: errand.number, result: Ok(json!(1)) }]).unwrap();
        assert_eq!(answer.try_recv().unwrap(), Ok(json!(1)));
        let done = agents.listen("edge", &Listen { wait: false, ..listen(&first, 0) }).await.unwrap();
        assert!(done.errands.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_falls_silent_is_told_of_once_and_begins_anew() {
        let agents = agents();
        agents.heard("edge", "here").unwrap();
        let first = agents.listen("edge", &Listen::default()).await.unwrap();
        assert!(agents.heard("edge", "there").is_err(), "two agents cannot speak for one cluster");
        assert!(agents.newly_away().is_empty() && agents.standings()["edge"].trouble.is_none());
        tokio::time::advance(SILENCE + Duration::from_secs(1)).await;
        let [(cluster, _, why)] = &agents.newly_away()[..] else { panic!() };
        assert_eq!(cluster, "edge");
        assert!(why.starts_with("the agent of edge was last heard at "), "{why}");
        assert!(agents.newly_away().is_empty());
        agents.heard("edge", "there").unwrap();
        let then = agents.listen("edge", &Listen::default()).await.unwrap();
        assert_ne!(then.session, first.session);
        assert!(agents.standings()["edge"].trouble.is_none());
    }
}
