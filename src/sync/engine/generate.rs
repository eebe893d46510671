//! Keeps the Apps that AppSets make at what their repositories say.
//!
//! Enters: that something may have changed. Leaves: the configuration put to work anew where there are other Apps than before.

use super::{Core, lock};
use std::sync::Arc;
use std::time::Duration;

/// Changes that follow each other within this time are looked at once.
const SETTLE: Duration = Duration::from_millis(50);
/// After how long Apps that could not be put to work are put to work again.
const AGAIN: Duration = Duration::from_secs(5);

impl Core {
    /// Looks again what AppSets ask for, soon.
    pub(super) fn generate_again(&self) {
        self.generate.notify_one();
    }

    /// Whether an AppSet reads a repository.
    pub(super) fn is_generated_from(&self, repository: &str) -> bool {
        let config = lock(&self.config);
        config
            .iter()
            .flat_map(|config| config.app_sets.values())
            .any(|set| set.spec.ones().iter().any(|(_, one)| one.repository() == Some(repository)))
    }

    /// Looks whenever something may have changed, until the end.
    pub(super) async fn generate(self: Arc<Self>) {
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = self.generate.notified() => {}
            }
            tokio::time::sleep(SETTLE).await;
            let Some(config) = lock(&self.config).clone() else { continue };
            if config.app_sets.is_empty() {
                continue;
            }
            let troubles = self.setup();
            let known = |name: &str| {
                let mut known = lock(&self.repositories).known(name);
                let trouble = troubles.troubles.get(&("Repository", name.to_owned()));
                known.trouble = known.trouble.or_else(|| trouble.cloned());
                known
            };
            let changed = self.app_sets.look(&config, known).await;
            self.board.show_app_sets(self.app_sets.standings());
            if !changed {
                continue;
            }
            // The configuration may be another one by now; then that is put to work with these Apps.
            let Some(config) = lock(&self.config).clone() else { continue };
            if let Err(error) = self.configure(&config).await {
                tracing::warn!(error = format!("{error:#}"), "the Apps of AppSets could not be put to work");
                tokio::time::sleep(AGAIN).await;
                self.generate_again();
            }
        }
    }
}
