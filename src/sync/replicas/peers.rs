//! What replicas tell each other: how the targets stand that each one keeps.
//!
//! Enters: where the other replicas answer. Leaves: their targets' statuses, for the engine. Each is asked for what is news since it
//! was asked last, and answers when there is some. Absent: anything that must not be lost. Who cannot be reached is not heard of, and
//! what was heard last stands.

use super::share::{Others, Share};
use crate::sync::deletions::Ruling;
use crate::sync::engine::Engine;
use crate::sync::rollout::waits;
use crate::sync::view::ClusterStanding;
use crate::web::api::Refusal;
use anyhow::{Result, ensure};
use reqwest::Client;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use trueup_plan::record::TargetStatus;

/// How long an answer may be waited for by who has no news.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How long a request may take in all.
const LIMIT: Duration = Duration::from_secs(40);
const DECISION: Duration = Duration::from_secs(10);
/// As long as the command line waits.
const ERRAND: Duration = Duration::from_mins(10);
const AGAIN: Duration = Duration::from_secs(2);
/// News that follow each other within this time are told together.
const PACE: Duration = Duration::from_millis(100);

/// What a replica has to say.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct News {
    /// Up to where these news go: to be asked from next.
    pub sequence: u64,
    /// The targets that it keeps and of which something is new.
    pub targets: Vec<Told>,
    /// The clusters that it has and of which something is new.
    #[serde(default)]
    pub clusters: Vec<ClusterStanding>,
}

impl News {
    /// Whether there is nothing new.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.clusters.is_empty()
    }
}

/// How a target stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// Its status.
    pub status: TargetStatus,
    /// A hash of what the configuration said of it at its last turn; empty before.
    pub of: String,
}

/// What a replica asks that keeps a target of a rollout.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeginRequest {
    /// The target.
    pub target: String,
    /// The commit that it would begin with.
    pub revision: String,
}

/// What it is told.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BeginAnswer {
    /// Why the target may not begin, if that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What a replica asks whose target wants to delete objects.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteRequest {
    /// The target.
    pub target: String,
    /// The objects.
    pub objects: BTreeSet<String>,
}

/// Asks the replica that has `part` whether a target may begin with a commit.
///
/// # Errors
/// Why it may not, or why nobody could say so.
pub(in crate::sync) async fn ask_to_begin(
    share: &Share,
    part: &str,
    target: &str,
    revision: &str,
) -> Result<(), String> {
    let request = BeginRequest { target: target.to_owned(), revision: revision.to_owned() };
    let answer: BeginAnswer = ask_keeper(share, part, "begin", &request).await.map_err(|why| waits(&why))?;
    answer.why.map_or(Ok(()), Err)
}

/// Asks the replica that has `part` whether a target may delete these objects.
pub(in crate::sync) async fn ask_to_delete(
    share: &Share,
    part: &str,
    target: &str,
    objects: &BTreeSet<String>,
) -> Ruling {
    let request = DeleteRequest { target: target.to_owned(), objects: objects.clone() };
    ask_keeper(share, part, "delete", &request).await.unwrap_or_else(Ruling::Wait)
}

/// Asks the replica that has `part`, or the hub of an agent.
///
/// # Errors
/// Why it could not be asked.
async fn ask_keeper<A: DeserializeOwned>(
    share: &Share,
    part: &str,
    what: &str,
    request: &impl Serialize,
) -> Result<A, String> {
    if let Some(hub) = share.hub() {
        return hub.ask(what, request, DECISION).await;
    }
    let Some((replica, address)) = share.keeper_of(part) else {
        return Err("the replica that decides is not known".to_owned());
    };
    let url = format!("http://{address}/api/v1/replica/{what}");
    let asked = async {
        let answer = share.client().post(url).timeout(DECISION).json(request).send().await?;
        answer.error_for_status()?.json().await
    };
    asked.await.map_err(|error: reqwest::Error| format!("{replica}, which decides, cannot be asked: {error}"))
}

/// Has another replica do what this one was asked for.
///
/// # Errors
/// Why it does not.
pub(in crate::sync) async fn pass_on(
    share: &Share,
    address: &str,
    what: &str,
    request: &impl Serialize,
) -> Result<(), String> {
    let url = format!("http://{address}/api/v1/replica/{what}");
    let answer = share.client().post(url).timeout(ERRAND).json(request).send().await;
    let answer = answer.map_err(|error| format!("another replica cannot be asked: {error}"))?;
    if answer.status().is_success() {
        return Ok(());
    }
    let refusal = answer.json::<Refusal>().await;
    Err(refusal.map_or_else(|error| error.to_string(), |refusal| refusal.error))
}

/// Listens to the other replicas, whoever they are at a time, until the engine stops.
pub(in crate::sync) async fn listen(engine: Engine, share: Share) {
    let mut others = share.others();
    let mut listening: BTreeMap<String, Listening> = BTreeMap::new();
    loop {
        let now = others.borrow_and_update().clone();
        listening.retain(|replica, one| now.addresses.get(replica) == Some(&one.address));
        for (replica, address) in &now.addresses {
            listening.entry(replica.clone()).or_insert_with(|| {
                let task = listen_to(
                    share.client().clone(),
                    engine.clone(),
                    share.others(),
                    (replica.clone(), address.clone()),
                );
                Listening { address: address.clone(), task: tokio::spawn(task) }
            });
        }
        if others.changed().await.is_err() {
            return;
        }
    }
}

struct Listening {
    address: String,
    task: JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Begins anew when shards have moved: what was heard of a target's old keeper is not what its new one has to say.
async fn listen_to(
    client: Client,
    engine: Engine,
    mut others: watch::Receiver<Others>,
    (replica, address): (String, String),
) {
    let (mut after, mut trouble) = (0, String::new());
    loop {
        let table = others.borrow_and_update().table.clone();
        let asked = tokio::select! {
            biased;
            moved = others.changed() => match moved {
                Ok(()) => {
                    after = 0;
                    continue;
                }
                Err(_) => return,
            },
            asked = ask(&client, &address, after) => asked,
        };
        match asked {
            Ok(news) => {
                after = news.sequence;
                trouble.clear();
                engine.told(&replica, &table, news.targets);
                engine.told_of_clusters(news.clusters);
                tokio::time::sleep(PACE).await;
            }
            Err(error) => {
                let told = format!("{error:#}");
                if told != trouble {
                    tracing::warn!(
                        replica,
                        address,
                        error = told,
                        "another replica cannot be asked how its targets stand"
                    );
                    trouble = told;
                }
                after = 0;
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

async fn ask(client: &Client, address: &str, after: u64) -> Result<News> {
    let url = format!("http://{address}/api/v1/replica/news?after={after}");
    let answer = client.get(url).timeout(LIMIT).send().await?;
    ensure!(answer.status().is_success(), "it answered {}", answer.status());
    Ok(answer.json().await?)
}
