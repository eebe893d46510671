//! What `/metrics` shows, and where the rest of trueup counts.
//!
//! Series about targets are made from the statuses at each scrape, so a series goes when its target goes. Counters and
//! histograms are pushed by those who do the work.

mod app_sets;
mod clusters;
mod last;
mod outbox;
mod process;
mod targets;
#[cfg(test)]
mod tests;

use crate::store::Waiting;
use crate::sync::view::{AppSetStanding, ClusterStanding};
use app_sets::AppSets;
use clusters::Clusters;
use outbox::Outbox;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use targets::{TargetLabels, Targets};
use trueup_plan::record::TargetStatus;

/// The part of a turn that a duration is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Asking Git.
    Fetch,
    /// Making manifests of a commit.
    Render,
    /// Looking at the cluster.
    Observe,
    /// Deciding.
    Plan,
    /// Carrying out.
    Apply,
    /// Judging health.
    Health,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Render => "render",
            Self::Observe => "observe",
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::Health => "health",
        }
    }
}

/// How a piece of work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As it should.
    Success,
    /// In whole or in part not.
    Failure,
}

impl Ended {
    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// What became of a delivery of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// A repository is asked for it.
    Accepted,
    /// It was believed, and concerns nothing that is followed.
    Ignored,
    /// It does not know the secret.
    Unauthorized,
    /// No secret is configured.
    Forbidden,
    /// It is about a repository that is not configured.
    Unknown,
    /// Its body is too large.
    TooLarge,
    /// It cannot be understood.
    Invalid,
    /// There was no room for it.
    Busy,
}

impl Delivered {
    fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Ignored => "ignored",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Unknown => "unknown",
            Self::TooLarge => "too_large",
            Self::Invalid => "invalid",
            Self::Busy => "busy",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    forge: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SyncLabels {
    app: String,
    environment: String,
    cluster: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    verb: String,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MoveLabels {
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

/// All that is measured; clones share it.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    targets: Targets,
    app_sets: AppSets,
    clusters: Clusters,
    outbox: Outbox,
    syncs: Family<SyncLabels, Counter>,
    stages: Family<StageLabels, Histogram, fn() -> Histogram>,
    kubernetes_requests: Family<RequestLabels, Counter>,
    git_requests: Family<ResultLabels, Counter>,
    deliveries: Family<DeliveryLabels, Counter>,
    queue_depth: Gauge,
    queue_wait: Histogram,
    looked_at: Counter,
    shards: Gauge,
    moves: Family<MoveLabels, Counter>,
    renewals: Family<ResultLabels, Counter>,
}

/// How a scrape wants its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The text format of Prometheus, version 0.0.4.
    Prometheus,
    /// `OpenMetrics` 1.0.
    OpenMetrics,
}

impl Format {
    /// What an `Accept` header asks for; Prometheus' own where it leaves that open.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The `Content-Type` of it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing measured yet.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            targets: Targets::default(),
            app_sets: AppSets::default(),
            clusters: Clusters::default(),
            outbox: Outbox::default(),
            syncs: Family::default(),
            stages: Family::new_with_constructor(durations),
            kubernetes_requests: Family::default(),
            git_requests: Family::default(),
            deliveries: Family::default(),
            queue_depth: Gauge::default(),
            queue_wait: durations(),
            looked_at: Counter::default(),
            shards: Gauge::default(),
            moves: Family::default(),
            renewals: Family::default(),
        };
        metrics.registry = Arc::new(metrics.register());
        metrics
    }

    fn register(&self) -> Registry {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(process::Process));
        let ours = registry.sub_registry_with_prefix("trueup");
        ours.register_collector(Box::new(self.targets.clone()));
        ours.register_collector(Box::new(self.app_sets.clone()));
        ours.register_collector(Box::new(self.clusters.clone()));
        ours.register_collector(Box::new(self.outbox.clone()));
        ours.register("sync", "Turns that changed something or failed to, by result", self.syncs.clone());
        ours.register("stage_duration_seconds", "How long each stage of a turn took", self.stages.clone());
        ours.register(
            "kubernetes_requests",
            "Requests to Kubernetes API servers by verb and HTTP status",
            self.kubernetes_requests.clone(),
        );
        ours.register("git_requests", "Requests to Git servers by result", self.git_requests.clone());
        ours.register(
            "webhook_deliveries",
            "Deliveries of webhooks by forge and by what became of them",
            self.deliveries.clone(),
        );
        ours.register("queue_depth", "Targets that wait for their turn", self.queue_depth.clone());
        ours.register(
            "queue_wait_seconds",
            "How long targets waited between being due and their turn",
            self.queue_wait.clone(),
        );
        ours.register("objects_looked_at", "Objects that turns compared with Git", self.looked_at.clone());
        ours.register("replica_shards", "Shards of all clusters that this replica has", self.shards.clone());
        ours.register(
            "replica_shard_moves",
            "Shards that this replica took, released or lost",
            self.moves.clone(),
        );
        ours.register(
            "replica_lease_renewals",
            "Attempts to renew this replica's Lease, by result",
            self.renewals.clone(),
        );
        let build = [("version", env!("CARGO_PKG_VERSION")), ("revision", env!("TRUEUP_COMMIT"))];
        ours.sub_registry_with_labels(build.into_iter().map(|(name, value)| (name.into(), value.into())))
            .register("build_info", "The version that runs; always 1", ConstGauge::new(1_i64));
        registry
    }

    /// Counts a turn that changed something or failed to.
    pub fn sync_done(&self, app: &str, environment: &str, cluster: &str, result: Ended) {
        self.syncs.get_or_create(&sync_labels(app, environment, cluster, result)).inc();
    }

    /// Notes how long a stage took.
    pub fn stage(&self, stage: Stage, took: Duration) {
        self.stages.get_or_create(&StageLabels { stage: stage.as_str() }).observe(took.as_secs_f64());
    }

    /// Counts a request to an API server: `get`, `list`, `watch`, `patch`, …, and its HTTP status; 0 where there was no
    /// answer.
    pub fn kubernetes_request(&self, verb: &str, code: u16) {
        let code = if code == 0 { "none".to_owned() } else { code.to_string() };
        self.kubernetes_requests.get_or_create(&RequestLabels { verb: verb.to_owned(), code }).inc();
    }

    /// Counts a request to a Git server.
    pub fn git_request(&self, result: Ended) {
        self.git_requests.get_or_create(&ResultLabels { result: result.as_str() }).inc();
    }

    /// Counts a delivery of a webhook.
    pub fn delivery(&self, forge: &'static str, result: Delivered) {
        self.deliveries.get_or_create(&DeliveryLabels { forge, result: result.as_str() }).inc();
    }

    /// Says how many targets wait for their turn.
    pub fn queue_depth(&self, depth: i64) {
        self.queue_depth.set(depth);
    }

    /// Notes how long a target waited for its turn.
    pub fn queue_wait(&self, waited: Duration) {
        self.queue_wait.observe(waited.as_secs_f64());
    }

    /// Counts objects that a turn compares with Git.
    pub fn looked_at(&self, objects: usize) {
        self.looked_at.inc_by(objects as u64);
    }

    /// Says how many shards this replica has.
    pub fn shards_held(&self, shards: usize) {
        self.shards.set(i64::try_from(shards).unwrap_or(i64::MAX));
    }

    /// Counts shards that came or went: `taken`, `released`, `lost`.
    pub fn shards_moved(&self, direction: &'static str, shards: usize) {
        if shards > 0 {
            self.moves.get_or_create(&MoveLabels { direction }).inc_by(shards as u64);
        }
    }

    /// Counts an attempt to renew this replica's Lease.
    pub fn lease_renewed(&self, result: Ended) {
        self.renewals.get_or_create(&ResultLabels { result: result.as_str() }).inc();
    }

    /// Says how all targets stand; series of targets that are not among them go.
    pub fn statuses(&self, statuses: &[TargetStatus]) {
        for gone in self.targets.take(statuses) {
            for result in [Ended::Success, Ended::Failure] {
                self.syncs.remove(&sync_labels(&gone.app, &gone.environment, &gone.cluster, result));
            }
        }
    }

    /// Says how all AppSets stand; series of those that are not among them go.
    pub fn app_sets(&self, standings: Vec<AppSetStanding>) {
        self.app_sets.replace(standings);
    }

    /// Says how this replica's clusters stand; series of those that are not among them go.
    pub fn clusters(&self, standings: Vec<ClusterStanding>) {
        self.clusters.replace(standings);
    }

    /// Says what waits for the shared history; nothing where history is not shared.
    pub fn outbox(&self, waiting: Option<Waiting>) {
        self.outbox.replace(waiting);
    }

    /// The text of a scrape.
    ///
    /// # Errors
    /// A value cannot be written, which no value of ours does.
    pub fn scrape(&self, format: Format) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(match format {
            Format::OpenMetrics => text,
            Format::Prometheus => as_prometheus(&text),
        })
    }
}

fn sync_labels(app: &str, environment: &str, cluster: &str, result: Ended) -> SyncLabels {
    let TargetLabels { app, environment, cluster } = TargetLabels::new(app, environment, cluster);
    SyncLabels { app, environment, cluster, result: result.as_str() }
}

/// From a millisecond to more than four minutes.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 19))
}

/// Turns `OpenMetrics` into the older format: there a counter's descriptor carries the full name of its samples, and
/// neither `UNIT` nor `EOF` is known.
///
/// Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>.
fn as_prometheus(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let counter = |line: &str| line.starts_with("# TYPE ") && line.ends_with(" counter");
        let describes_counter =
            counter(line) || line.starts_with("# HELP ") && lines.peek().is_some_and(|next| counter(next));
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some(hash), Some(what), Some(name), Some(rest)) if describes_counter => {
                result.extend([hash, " ", what, " ", name, "_total ", rest]);
            }
            (_, _, _, _) => result.push_str(line),
        }
        result.push('\n');
    }
    result
}
