//! The series about clusters, made from how they stand at each scrape.

use super::last::Last;
use crate::sync::view::{ClusterStanding, ClusterState};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;

/// How they stood last.
pub(super) type Clusters = Last<Vec<ClusterStanding>>;

impl Collector for Clusters {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // Of one that nobody has asked yet there is nothing to tell.
        let mut standings = self.get();
        standings.retain(|standing| standing.state != ClusterState::Pending);
        if standings.is_empty() {
            return Ok(());
        }
        let help = "Whether the cluster's API server answers.";
        let mut up = encoder.encode_descriptor("cluster_up", help, None, MetricType::Gauge)?;
        for standing in &standings {
            let value = if standing.state == ClusterState::Reachable { 1.0 } else { 0.0 };
            let labels = [("cluster", standing.name.as_str())];
            ConstGauge::new(value).encode(up.encode_family(&labels)?)?;
        }
        standings.retain(|standing| !standing.version.is_empty());
        if standings.is_empty() {
            return Ok(());
        }
        let help = "The version of Kubernetes that the cluster told last; always 1.";
        let mut info = encoder.encode_descriptor("cluster_info", help, None, MetricType::Gauge)?;
        for standing in &standings {
            let labels = [("cluster", standing.name.as_str()), ("version", standing.version.as_str())];
            ConstGauge::new(1_i64).encode(info.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
