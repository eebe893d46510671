//! What an agent and its hub say to each other, as JSON.

use super::super::hooks::Hint;
use super::super::replicas::Told;
use super::super::secrets::{SecretData, SecretName};
use crate::config::Excerpt;
use crate::web::api::SyncRequest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use trueup_model::Value;
use trueup_plan::record::HistoryEntry;

/// All that an agent works by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    /// Changes when, and only when, something in it does.
    pub fingerprint: String,
    /// The name of the installation whose part the agent is.
    pub installation: String,
    /// Its part of the configuration.
    pub configuration: Excerpt,
    /// What the Secrets say that this refers to.
    pub secrets: Vec<Given>,
}

/// A Secret of the hub.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it says.
    pub data: SecretData,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret {}/{}", self.namespace, self.name)
    }
}

impl Parcel {
    /// What the Secrets say.
    pub fn secrets(&self) -> BTreeMap<SecretName, SecretData> {
        let named = |given: &Given| ((given.namespace.clone(), given.name.clone()), given.data.clone());
        self.secrets.iter().map(named).collect()
    }
}

/// What an agent asks for that has nothing to do otherwise.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Listen {
    /// What tells its place from all others: the uid of the namespace that it is in.
    pub place: String,
    /// The one that it takes this for; another one begins where nothing is known of what it told.
    pub session: String,
    /// Of what it works by; empty where it has nothing.
    pub fingerprint: String,
    /// The last errand that it heard of in this session.
    pub after: u64,
    /// Whether the answer may be late, when there is something to say.
    pub wait: bool,
}

/// What it hears.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Heard {
    /// What the hub takes this for.
    pub session: String,
    /// What to work by, where that is something else than the agent has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parcel: Option<Parcel>,
    /// What it is to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errands: Vec<Errand>,
}

/// Something to do, of which the hub wants to hear.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Errand {
    /// Later ones have larger numbers.
    pub number: u64,
    /// What.
    pub task: Task,
}

/// What an agent can be asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Task {
    /// Look at targets now.
    Sync(SyncRequest),
    /// Ask repositories now.
    Ask(Vec<Hint>),
    /// Say what a sync would do.
    Plan {
        /// Of which target.
        target: String,
        /// At which revision, other than the configured one.
        revision: Option<String>,
    },
}

/// What an agent tells.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tell {
    /// As in [`Listen`].
    pub place: String,
    /// As in [`Listen`]. What is told in a session that is over is told in vain.
    pub session: String,
    /// The version of its cluster's Kubernetes; empty where that is not known.
    pub version: String,
    /// Targets of which something is new.
    pub targets: Vec<Told>,
    /// What they did since it was told last.
    pub history: Vec<HistoryEntry>,
    /// What came of errands.
    pub done: Vec<Done>,
}

/// What came of an errand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Done {
    /// Which.
    pub number: u64,
    /// What, or why nothing.
    pub result: Result<Value, String>,
}

/// That something was taken in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Taken {
    /// What the hub takes this for: nothing was taken in where that is something else.
    pub session: String,
}
