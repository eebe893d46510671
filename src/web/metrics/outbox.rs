//! The series about what waits for the shared history, as of the scrape.

use super::last::Last;
use super::targets::count;
use crate::store::Waiting;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;

/// What waited last; nothing where history is not shared.
pub(super) type Outbox = Last<Option<Waiting>>;

impl Collector for Outbox {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(waiting) = self.get() else { return Ok(()) };
        let mut gauge = |name: &str, help: &str, value: f64| {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)
        };
        gauge(
            "store_outbox_parcels",
            "Records that wait to be brought to the shared history.",
            count(waiting.parcels),
        )?;
        gauge(
            "store_outbox_oldest_age_seconds",
            "For how long the oldest of them has waited; 0 where none does.",
            waiting.oldest.as_secs_f64(),
        )
    }
}
