//! The series about targets, made from their statuses at each scrape.

use super::last::Last;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use std::collections::HashSet;
use std::fmt;
use trueup_plan::record::{SyncStatus, TargetStatus};

/// What every series about a target carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TargetLabels {
    pub(super) app: String,
    pub(super) environment: String,
    pub(super) cluster: String,
}

impl TargetLabels {
    pub(super) fn new(app: &str, environment: &str, cluster: &str) -> Self {
        Self { app: app.to_owned(), environment: environment.to_owned(), cluster: cluster.to_owned() }
    }

    fn of(status: &TargetStatus) -> Self {
        Self::new(&status.app, &status.environment, &status.cluster)
    }
}

/// The last statuses that were said.
pub(super) type Targets = Last<Vec<TargetStatus>>;

impl Targets {
    /// Takes new statuses for the old ones; gives the targets that are gone.
    pub(super) fn take(&self, statuses: &[TargetStatus]) -> Vec<TargetLabels> {
        let old = self.replace(statuses.to_vec());
        let here: HashSet<TargetLabels> = statuses.iter().map(TargetLabels::of).collect();
        old.iter().map(TargetLabels::of).filter(|labels| !here.contains(labels)).collect()
    }
}

impl Collector for Targets {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let statuses = self.get();
        let mut gauge = |name, help, series: Vec<Series>| family(&mut encoder, name, help, series);
        gauge("target_info", "How a target stands; always 1", statuses.iter().map(info).collect())?;
        gauge(
            "objects",
            "Objects of the target in Git",
            each(&statuses, |status| Some(count(status.objects))),
        )?;
        gauge(
            "drifted_objects",
            "Objects that others changed",
            each(&statuses, |status| Some(count(status.drifted))),
        )?;
        gauge(
            "drift_since_timestamp_seconds",
            "Since when the target has drifted",
            each(&statuses, drift_since),
        )?;
        gauge(
            "last_success_timestamp_seconds",
            "When the target was last synced in full",
            each(&statuses, last_success),
        )?;
        gauge(
            "prune_pending",
            "Objects that left Git and are still in the cluster",
            each(&statuses, |status| Some(count(status.prune_pending.len()))),
        )?;
        gauge(
            "blocked",
            "What keeps the target from being synced; 1 for each reason",
            statuses.iter().flat_map(blocked).collect(),
        )
    }
}

/// The labels beyond those of the target, and a value.
struct Series {
    target: TargetLabels,
    more: Vec<(&'static str, String)>,
    value: f64,
}

fn family(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, series: Vec<Series>) -> fmt::Result {
    if series.is_empty() {
        return Ok(());
    }
    // The registry ends the help texts of its own metrics with a period.
    let mut metric = encoder.encode_descriptor(name, &format!("{help}."), None, MetricType::Gauge)?;
    for Series { target, more, value } in series {
        ConstGauge::new(value).encode(metric.encode_family(&(target, more))?)?;
    }
    Ok(())
}

fn each(statuses: &[TargetStatus], value: impl Fn(&TargetStatus) -> Option<f64>) -> Vec<Series> {
    let series =
        |status| Some(Series { target: TargetLabels::of(status), more: Vec::new(), value: value(status)? });
    statuses.iter().filter_map(series).collect()
}

fn info(status: &TargetStatus) -> Series {
    let more = vec![
        ("sync_status", status.sync.to_string()),
        ("health_status", status.health.to_string()),
        ("suspended", status.suspended.to_string()),
        ("revision", status.revision.clone()),
    ];
    Series { target: TargetLabels::of(status), more, value: 1.0 }
}

fn blocked(status: &TargetStatus) -> Vec<Series> {
    let sync_is = |sync| status.sync == sync;
    let reasons = [
        ("suspended", status.suspended),
        ("failed", sync_is(SyncStatus::Failed)),
        ("unknown", sync_is(SyncStatus::Unknown)),
        ("drift", sync_is(SyncStatus::OutOfSync) && !status.drift.is_empty()),
        ("prune", !status.prune_pending.is_empty()),
        ("budget", status.held.is_some()),
    ];
    let holds = reasons.into_iter().filter(|(_, holds)| *holds);
    holds
        .map(|(reason, _)| Series {
            target: TargetLabels::of(status),
            more: vec![("reason", reason.to_owned())],
            value: 1.0,
        })
        .collect()
}

fn drift_since(status: &TargetStatus) -> Option<f64> {
    let times =
        status.drift.iter().filter_map(|drift| drift.since.as_deref()?.parse::<jiff::Timestamp>().ok());
    times.min().map(seconds)
}

fn last_success(status: &TargetStatus) -> Option<f64> {
    status.last_sync.map(seconds)
}

fn seconds(time: jiff::Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

/// Counts of objects are far below where a float loses ones.
#[allow(clippy::cast_precision_loss)]
pub(super) fn count(objects: usize) -> f64 {
    objects as f64
}
