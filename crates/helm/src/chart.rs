//! A chart as it was loaded: its files in their places, and the charts within it.

use crate::lock::Lock;
use crate::metadata::{Dependency, Metadata};
use crate::values::Values;
use std::collections::HashSet;
use std::sync::Arc;

/// A chart. It can be shared between threads and rendered any number of times.
#[derive(Debug, Clone)]
pub struct Chart {
    /// What `Chart.yaml` says.
    pub metadata: Metadata,
    /// What `Chart.lock` says, where there is one.
    pub lock: Option<Lock>,
    /// The values of `values.yaml`.
    pub values: Values,
    /// `values.schema.json`, where there is one.
    pub schema: Option<Arc<[u8]>>,
    /// What is below `templates/`, in the order it was found.
    pub templates: Vec<File>,
    /// All files that are none of the others: what `.Files` shows, definitions in `crds/` among them.
    pub files: Vec<File>,
    /// The charts below `charts/`.
    pub dependencies: Vec<Self>,
    /// What should be said to whoever uses it.
    pub warnings: Vec<String>,
}

/// A file of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path within the chart.
    pub name: String,
    /// What it holds.
    pub data: Arc<[u8]>,
}

impl Chart {
    /// What it asks for and does not hold, with the place in its list. Whoever has such a chart puts it among its
    /// `dependencies`.
    pub fn lacking(&self) -> impl Iterator<Item = (usize, &Dependency)> {
        let here: HashSet<&str> = self.dependencies.iter().map(Self::name).collect();
        let wanted = self.metadata.dependencies.iter().flatten().enumerate();
        wanted.filter(move |(_, wanted)| !here.contains(wanted.name.as_str()))
    }

    /// The name in `Chart.yaml`.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// The files that hold definitions of kinds, those of the charts within it left out.
    pub fn crd_files(&self) -> impl Iterator<Item = &File> {
        let extensions = [".yaml", ".yml", ".json"];
        self.files.iter().filter(move |file| {
            let dot = file.name.rfind('.').unwrap_or(file.name.len());
            file.name.starts_with("crds/")
                && extensions.iter().any(|known| file.name[dot..].eq_ignore_ascii_case(known))
        })
    }
}
