//! What goes wrong with a chart: which chart, which file, and where in it.

use trueup_model::TreeError;

/// Why a chart could not be loaded or rendered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the chart is not what it should be.
    #[error("chart {chart}: {file}: {message}")]
    File {
        /// The chart's name, or the folder or archive where the name is not known yet.
        chart: String,
        /// The file's path within the chart.
        file: String,
        /// What is wrong, with the line where there is one.
        message: String,
    },
    /// The chart as a whole is not what it should be.
    #[error("chart {chart}: {message}")]
    Chart {
        /// The chart's name, or the folder or archive where the name is not known yet.
        chart: String,
        /// What is wrong.
        message: String,
    },
    /// A folder could not be read.
    #[error("chart {chart}")]
    Tree {
        /// The chart's folder.
        chart: String,
        /// The cause.
        #[source]
        source: TreeError,
    },
    /// Values do not fit a chart's schema; the text names each value's path.
    #[error("values don't meet the specifications of the schema(s) in the following chart(s):\n{0}")]
    Schema(String),
    /// A template could not be read or executed; the text is Go's, with template, line and column.
    #[error("{0}")]
    Template(String),
    /// A bound was met: steps, depth, output, or the caller's wish to stop.
    #[error("{0}")]
    Limit(String),
    /// What a template made is no manifest.
    #[error("YAML parse error on {template}: {message}")]
    Manifest {
        /// The template's path, with those of its charts before it.
        template: String,
        /// What is wrong, with the line within the manifest.
        message: String,
    },
}

impl Error {
    pub(crate) fn file(chart: &str, file: &str, message: impl Into<String>) -> Self {
        Self::File { chart: chart.to_owned(), file: file.to_owned(), message: message.into() }
    }

    pub(crate) fn chart(chart: &str, message: impl Into<String>) -> Self {
        Self::Chart { chart: chart.to_owned(), message: message.into() }
    }
}
