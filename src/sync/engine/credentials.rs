//! Secrets that open what stays shut are read again: whoever rotates a kubeconfig or a token keeps its name.
//!
//! Enters: what is in trouble, of clusters, repositories, charts and pull requests, and what somebody was refused for. Leaves: the configuration put to work anew
//! where a Secret of theirs says something else than before. While nothing is in trouble no Secret is read. Absent: what a Secret means.

use super::super::refusals::Guarded;
use super::super::secrets::{SecretName, name_of};
use super::super::view::AppSetState;
use super::{Core, REPAIR, lock};
use crate::config::{Config, SecretRef, Webhook, repository_of};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use trueup_plan::record::SyncStatus;

/// Who is refused has Secrets read this long after they were read last, at the earliest: whoever knows no secret may try as often as he likes.
const PAUSE: Duration = Duration::from_secs(3);

/// What does not work, by name.
#[derive(Default)]
struct Troubled {
    clusters: BTreeSet<String>,
    repositories: BTreeSet<String>,
    /// Those with a target that may have no chart.
    apps: BTreeSet<String>,
    app_sets: BTreeSet<String>,
    refused: BTreeSet<Guarded>,
}

impl Core {
    /// Looks now and then, and where somebody was refused, until the end.
    pub(super) async fn renew(self: Arc<Self>) {
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(REPAIR) => {}
                ((), ()) = async { tokio::join!(tokio::time::sleep(PAUSE), self.board.refusals().some()) } => {}
            }
            let troubled = self.troubled();
            let Some((names, config)) = lock(&self.config).as_ref().and_then(|config| {
                let names = self.secrets_of(config, &troubled);
                (!names.is_empty()).then(|| (names, config.clone()))
            }) else {
                continue;
            };
            let secrets = self.secrets(&config, &self.setup()).await;
            if !secrets.is_new(names).await {
                continue;
            }
            tracing::info!("a Secret of what could not be reached says something new");
            if let Err(error) = self.configure(&config).await {
                tracing::warn!(error = format!("{error:#}"), "what a Secret says could not be put to work");
            }
        }
    }

    fn troubled(&self) -> Troubled {
        let mut troubled = Troubled {
            repositories: lock(&self.repositories).troubled(),
            app_sets: self
                .app_sets
                .standings()
                .into_iter()
                .filter(|set| set.state == AppSetState::Failed)
                .map(|set| set.name)
                .collect(),
            refused: self.board.refusals().take(),
            ..Troubled::default()
        };
        for status in lock(&self.statuses).values() {
            let is_failing = matches!(status.sync, SyncStatus::Unknown | SyncStatus::Failed);
            if is_failing {
                troubled.clusters.insert(status.cluster.clone());
            }
            let stays_behind = status.chart.as_ref().is_some_and(|chart| !chart.message.is_empty());
            if is_failing || stays_behind {
                troubled.apps.insert(status.app.clone());
            }
        }
        troubled
    }

    /// The Secrets that these need.
    fn secrets_of(&self, config: &Config, troubled: &Troubled) -> BTreeSet<SecretName> {
        let referred = |secret: &SecretRef| name_of(&secret.name, secret.namespace.as_deref());
        let mut names = BTreeSet::new();
        for name in &troubled.clusters {
            let secret = config.clusters.get(name).and_then(|cluster| cluster.spec.secret());
            names.extend(secret.map(|(name, namespace)| name_of(name, namespace)));
        }
        names.extend(troubled.refused.iter().flat_map(|guarded| secrets_guarding(config, guarded)));
        for name in &troubled.repositories {
            let repository = config.repositories.get(repository_of(name));
            names.extend(repository.and_then(|repository| repository.spec.secret_ref.as_ref()).map(referred));
        }
        let made = self.app_sets.all();
        for name in &troubled.apps {
            let written = config.apps.get(name).map(|app| &app.spec);
            let app = written.or_else(|| made.values().find_map(|made| made.apps.get(name)));
            names.extend(app.and_then(|app| app.helm.as_ref()?.secret_ref.as_ref()).map(referred));
        }
        let sets = troubled.app_sets.iter().filter_map(|name| config.app_sets.get(name));
        for (_, requests) in sets.flat_map(|set| set.spec.pull_requests()) {
            names.extend(requests.secret_ref.as_ref().map(referred));
        }
        names
    }
}

/// The Secrets with what somebody has to know who is let in.
fn secrets_guarding(config: &Config, guarded: &Guarded) -> Vec<SecretName> {
    let shared = |webhook: &Webhook| {
        let secret = webhook.secret_ref.as_ref()?;
        Some(name_of(&secret.name, secret.namespace.as_deref()))
    };
    match guarded {
        Guarded::Agent(name) => {
            let secret = config.clusters.get(name).and_then(|cluster| cluster.spec.secret());
            secret.map(|(name, namespace)| name_of(name, namespace)).into_iter().collect()
        }
        Guarded::Repository(name) => {
            let webhook =
                config.repositories.get(repository_of(name)).and_then(|one| one.spec.webhook.as_ref());
            webhook.and_then(shared).into_iter().collect()
        }
        Guarded::AppSet(name) => {
            let requests = config.app_sets.get(name).into_iter().flat_map(|set| set.spec.pull_requests());
            requests.filter_map(|(_, requests)| shared(requests.webhook.as_ref()?)).collect()
        }
    }
}
