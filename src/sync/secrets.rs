//! The Secrets that a configuration refers to, read from the cluster that holds them.
//!
//! Enters: where that cluster is, and what was read before. Leaves: what Secrets say. One that cannot be read at this moment counts with
//! what it said last, so that an API server that is away for a minute takes no cluster and no repository away; one that is gone is
//! gone. Absent: what is made of the values, which is [`super::topology`]'s.

use super::topology::{access, connect};
use crate::cluster::{Access, ApiError, ApiErrorClass, Cluster, Via};
use crate::config::{ClusterSpec, Config, PullRequests, RepositorySpec, Webhook};
use anyhow::{Result, anyhow, bail};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The namespace of a Secret where none is written.
const NAMESPACE: &str = "trueup-system";

/// The namespace and the name of a Secret.
pub type SecretName = (String, String);

/// What a Secret says.
pub type SecretData = BTreeMap<String, String>;

/// Gives the values of Secrets that the configuration refers to.
pub struct Secrets {
    /// The cluster that holds them, or why there is none.
    home: Result<Cluster, String>,
    /// What they said last.
    before: BTreeMap<SecretName, SecretData>,
    /// What a hub says that they say: there is no other one to ask.
    given: Option<BTreeMap<SecretName, SecretData>>,
    read: Mutex<Reading>,
}

/// What came of reading Secrets.
#[derive(Default)]
pub struct Reading {
    /// What they say.
    pub data: BTreeMap<SecretName, SecretData>,
    /// Those that count with what they said before, and why.
    pub stale: BTreeMap<SecretName, String>,
    /// Those that could not be read and never were, and why.
    failed: BTreeMap<SecretName, String>,
}

impl Secrets {
    /// Those of a cluster, or why there is none; and what they said when they were read last.
    pub fn new(home: Result<Cluster, String>, before: BTreeMap<SecretName, SecretData>) -> Self {
        Self { home, before, given: None, read: Mutex::default() }
    }

    /// None: no cluster is asked.
    pub fn none(why: &str) -> Self {
        Self::new(Err(why.to_owned()), BTreeMap::new())
    }

    /// Those that a hub gives.
    pub fn given(given: BTreeMap<SecretName, SecretData>) -> Self {
        Self { given: Some(given), ..Self::none("the hub did not say what it says") }
    }

    /// What was read so far.
    pub fn known(&self) -> BTreeMap<SecretName, SecretData> {
        self.reading().data.clone()
    }

    /// What a Secret says; text alone. It is asked for once, however many references of a Repository need it.
    ///
    /// # Errors
    /// It is not there, or cannot be read and never was.
    pub async fn read(&self, name: &str, namespace: Option<&str>) -> Result<SecretData> {
        let key = name_of(name, namespace);
        let known = self.reading().data.get(&key).cloned();
        if let Some(data) = known.or_else(|| self.told_by_hub(&key)) {
            return Ok(data);
        }
        if let Some(why) = self.reading().failed.get(&key) {
            bail!("{why}");
        }
        let asked = self.ask(key.clone()).await;
        if let Err(error) = &asked {
            self.reading().failed.insert(key, format!("{error:#}"));
        }
        asked
    }

    fn told_by_hub(&self, key: &SecretName) -> Option<SecretData> {
        self.given.as_ref()?.get(key).cloned()
    }

    async fn ask(&self, key: SecretName) -> Result<SecretData> {
        let name = &key.1;
        let read = match &self.home {
            Ok(home) => home.secret(&key.0, &key.1).await.map_err(anyhow::Error::from),
            Err(why) => Err(anyhow!("Secret {name} cannot be read: {why}")),
        };
        let error = match read {
            Ok(data) => {
                let text = |(key, value)| Some((key, String::from_utf8(value).ok()?));
                let data: SecretData = data.into_iter().filter_map(text).collect();
                self.reading().data.insert(key, data.clone());
                return Ok(data);
            }
            Err(error) => error,
        };
        match self.before.get(&key).filter(|_| !is_the_secrets(&error)) {
            Some(before) => {
                let mut reading = self.reading();
                reading.stale.insert(key.clone(), format!("{error:#}; what it said before is used"));
                reading.data.insert(key, before.clone());
                Ok(before.clone())
            }
            None => Err(error),
        }
    }

    /// Whether one of these Secrets can be read and says something else than before.
    pub async fn is_new(&self, names: impl IntoIterator<Item = SecretName>) -> bool {
        for (namespace, name) in names {
            let key = (namespace, name);
            let read = match self.told_by_hub(&key) {
                Some(data) => Ok(data),
                None => self.ask(key.clone()).await,
            };
            if read.is_ok_and(|data| self.before.get(&key) != Some(&data)) {
                return true;
            }
        }
        false
    }

    /// What was read.
    pub fn into_reading(self) -> Reading {
        self.read.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of the Secret that is meant.
pub fn name_of(name: &str, namespace: Option<&str>) -> SecretName {
    (namespace.unwrap_or(NAMESPACE).to_owned(), name.to_owned())
}

/// Whether the Secret itself is what is wrong, not the way to it.
fn is_the_secrets(error: &anyhow::Error) -> bool {
    let class = error.downcast_ref::<ApiError>().map(|error| &error.class);
    matches!(class, Some(ApiErrorClass::NotFound | ApiErrorClass::Invalid))
}

/// Where the Secrets of a configuration are, for a trueup that does not itself run in a cluster.
pub struct Home<'c>(Vec<&'c str>);

/// Where the Secrets are that the configuration refers to; an error where it refers to none.
pub fn home(config: &Config) -> Result<Home<'_>, String> {
    let tells =
        |webhook: &Option<Webhook>| webhook.as_ref().is_some_and(|webhook| webhook.secret_ref.is_some());
    let refers = |spec: &RepositorySpec| spec.secret_ref.is_some() || tells(&spec.webhook);
    let asks = |requests: &PullRequests| requests.secret_ref.is_some() || tells(&requests.webhook);
    let needed = config.repositories.values().any(|repository| refers(&repository.spec))
        || config.clusters.values().any(|cluster| cluster.spec.secret().is_some())
        || config
            .apps
            .values()
            .any(|app| app.spec.helm.as_ref().is_some_and(|helm| helm.secret_ref.is_some()))
        || config.app_sets.values().any(|set| set.spec.pull_requests().any(|(_, requests)| asks(requests)));
    if !needed {
        return Err("nothing refers to a Secret".to_owned());
    }
    let is_direct = |cluster: &ClusterSpec| cluster.secret_ref.is_none() && cluster.agent.is_none();
    let direct = config.clusters.iter().filter(|(_, cluster)| is_direct(&cluster.spec));
    Ok(Home(direct.map(|(name, _)| name.as_str()).collect()))
}

impl Home<'_> {
    /// The one Cluster that can be reached without a Secret.
    pub fn name(&self) -> Result<&str, String> {
        match self.0.as_slice() {
            [name] => Ok(name),
            names => Err(format!(
                "trueup does not run in a cluster, and of the configuration's Clusters not exactly one is reached without a Secret but {}",
                names.len()
            )),
        }
    }
}

/// Reads Secrets as a running trueup does, for a command that works alone.
pub async fn secrets(config: &Config) -> Secrets {
    let connect = async {
        let home = home(config)?;
        let in_cluster = Access { name: "in-cluster".to_owned(), via: Via::InCluster, in_flight: None };
        if let Ok(cluster) = connect(&in_cluster).await {
            return Ok(cluster);
        }
        let name = home.name()?;
        let nothing = Secrets::none("it would be needed to reach itself");
        let access = access(config, name, &nothing).await.map_err(|error| format!("{error:#}"))?;
        connect(&access).await.map_err(|error| format!("Cluster {name}: {error:#}"))
    };
    Secrets::new(connect.await, BTreeMap::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::lossy::{Fate, Lossy};
    use serde_json::json;

    const SECRETS: &str = "/api/v1/namespaces/shop/secrets";

    fn say(lossy: &Lossy, value: &str) {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "git"}, "stringData": {"password": value}});
        let path = format!("{SECRETS}/git");
        if lossy.get(&path).is_some() {
            lossy.remove(&path);
        }
        lossy.post(SECRETS, &secret);
    }

    #[tokio::test]
    async fn what_cannot_be_read_now_counts_as_before_and_what_is_gone_does_not() {
        let lossy = Lossy::new();
        let cluster = lossy.cluster().await;
        say(&lossy, "first");
        let secrets = Secrets::new(Ok(cluster.clone()), BTreeMap::new());
        assert_eq!(secrets.read("git", Some("shop")).await.unwrap()["password"], "first");
        lossy.remove(&format!("{SECRETS}/git"));
        assert_eq!(secrets.read("git", Some("shop")).await.unwrap()["password"], "first", "one reading");
        say(&lossy, "first");
        let Reading { data: before, stale, .. } = secrets.into_reading();
        assert!(stale.is_empty());

        let away = Secrets::new(Err("it is away".to_owned()), before.clone());
        assert_eq!(away.read("git", Some("shop")).await.unwrap()["password"], "first");
        assert!(away.read("other", Some("shop")).await.is_err(), "what was never read is not known");
        assert!(!away.is_new([name_of("git", Some("shop"))]).await);
        let Reading { data, stale, .. } = away.into_reading();
        assert_eq!((&data, stale.len()), (&before, 1), "it is known for the next time, and told");

        lossy.remove(&format!("{SECRETS}/git"));
        let gone = Secrets::new(Ok(cluster.clone()), before.clone());
        assert!(gone.read("git", Some("shop")).await.is_err());

        let lost = Secrets::new(Ok(cluster), before);
        // However often it is asked.
        (0..8).for_each(|_| lossy.next("GET", "secrets/git", Fate::Lost));
        let first = lost.read("git", Some("shop")).await.unwrap();
        assert_eq!(first["password"], "first");
    }

    #[tokio::test]
    async fn a_secret_is_new_when_it_says_something_else() {
        let lossy = Lossy::new();
        let cluster = lossy.cluster().await;
        say(&lossy, "first");
        let secrets = Secrets::new(Ok(cluster.clone()), BTreeMap::new());
        secrets.read("git", Some("shop")).await.unwrap();
        let secrets = Secrets::new(Ok(cluster), secrets.into_reading().data);
        assert!(!secrets.is_new([name_of("git", Some("shop"))]).await);
        say(&lossy, "second");
        assert!(secrets.is_new([name_of("git", Some("shop"))]).await);
    }
}
