//! The series about AppSets, made from how they stand at each scrape.

use super::last::Last;
use super::targets::count;
use crate::sync::view::{AppSetStanding, AppSetState};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;

/// How they stood last.
pub(super) type AppSets = Last<Vec<AppSetStanding>>;

impl Collector for AppSets {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let standings = self.get();
        if standings.is_empty() {
            return Ok(());
        }
        let mut gauge = |name: &str, help: &str, value: fn(&AppSetStanding) -> f64| -> fmt::Result {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for standing in &standings {
                let labels = [("app_set", standing.name.as_str())];
                ConstGauge::new(value(standing)).encode(metric.encode_family(&labels)?)?;
            }
            Ok(())
        };
        gauge("app_set_apps", "Apps that the AppSet has made.", |set| count(set.apps.len()))?;
        gauge("app_set_held_removals", "Apps that wait until a person confirms that they go.", |set| {
            count(set.held.len())
        })?;
        gauge(
            "app_set_leaving_apps",
            "Apps that the AppSet no longer makes and that are being pruned.",
            |set| count(set.leaving.len()),
        )?;
        gauge("app_set_failing", "Whether it is not known what the AppSet asks for.", |set| {
            if set.state == AppSetState::Failed { 1.0 } else { 0.0 }
        })
    }
}
