//! A packed chart as a source: the newest version in a range, or one that is named.
//!
//! Its revision is the version and the digest, `1.2.3@sha256:…`, and its tree has nothing but the archive. Archives are
//! kept by the store of charts, so that the last one is there when the server is not.

use super::charts::{self, Chart, ChartSource};
use super::spec::ChartUrl;
use super::{Commit, Head, SourceError};
use std::sync::{Arc, Mutex, PoisonError};
use trueup_model::MemoryTree;

/// The name of the archive in its tree.
const ARCHIVE: &str = "content";

/// A chart that is a source.
pub(super) struct PackedChart {
    at: ChartUrl,
    source: ChartSource,
    last: Mutex<Option<Chart>>,
}

impl PackedChart {
    pub(super) fn new(at: &ChartUrl, source: ChartSource) -> Self {
        Self { at: at.clone(), source, last: Mutex::default() }
    }

    /// Looks which version it is now, and has it fetched. One that is named exactly is asked for once.
    pub(super) async fn poll(&self) -> Result<Head, SourceError> {
        if let Some(last) = self.last()
            && charts::is_exact(&self.at.location, &self.at.range)
        {
            return Ok(self.head(&last));
        }
        let chart = self.source.fetch(&self.at.name, &self.at.range).await?;
        let head = self.head(&chart);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(chart);
        Ok(head)
    }

    pub(super) fn fetch(&self, revision: &str) -> Result<Commit, SourceError> {
        self.kept(revision).ok_or_else(|| SourceError::CommitMissing {
            location: self.location(),
            revision: revision.to_owned(),
        })
    }

    /// The archive of a revision, from here.
    pub(super) fn kept(&self, revision: &str) -> Option<Commit> {
        let chart = self.last().filter(|last| written(last) == revision).or_else(|| {
            let (version, digest) = revision.split_once('@')?;
            self.source.kept(version, digest)
        })?;
        let mut tree = MemoryTree::new();
        tree.insert(ARCHIVE, &chart.bytes);
        Some(Commit::of(revision, Arc::new(tree)))
    }

    fn head(&self, chart: &Chart) -> Head {
        Head { reference: self.location(), revision: written(chart), advertised: None }
    }

    fn location(&self) -> String {
        self.at.to_string()
    }

    fn last(&self) -> Option<Chart> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn written(chart: &Chart) -> String {
    format!("{}@{}", chart.version, chart.digest)
}
