//! `--show-only` and `--output-dir`: what a chart makes, by the files that it comes from.
//!
//! Source: Helm v4.3, `pkg/cmd/template.go`.

use crate::path_pattern::PathPattern;
use crate::render::{Crds, Rendered};
use std::fmt::Write as _;

/// Why nothing is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotShown {
    /// No document is from such a file.
    #[error("could not find template {0} in chart")]
    Missing(String),
    /// The pattern cannot be read.
    #[error("{0}: is no pattern of a path")]
    Pattern(String),
}

impl Rendered {
    /// What `helm template --show-only` prints: the documents of files that one of the patterns fits, in the order of the
    /// patterns. A pattern is a path within the chart, such as `templates/*.yaml`.
    ///
    /// # Errors
    /// A pattern that nothing fits, or that is none.
    pub fn to_text_of(&self, patterns: &[String], crds: Crds) -> Result<String, NotShown> {
        let text = self.to_text(crds);
        let documents = documents(&text);
        let mut shown = String::new();
        for pattern in patterns {
            let fits = PathPattern::new(pattern).map_err(|_| NotShown::Pattern(pattern.clone()))?;
            let before = shown.len();
            for document in &documents {
                if source(document).is_some_and(|path| fits.matches(path)) {
                    shown.extend(["---\n", document, "\n"]);
                }
            }
            if shown.len() == before {
                return Err(NotShown::Missing(pattern.clone()));
            }
        }
        Ok(shown)
    }

    /// What `helm template --output-dir` writes: for each file that made something, as `web/templates/service.yaml`, its documents, in
    /// the order in which the first of each is printed.
    pub fn to_files(&self, crds: Crds) -> Vec<(String, String)> {
        let mut files: Vec<(String, String)> = Vec::new();
        let mut add = |source: &str, content: &str| {
            let at = files.iter().position(|(path, _)| path == source).unwrap_or(files.len());
            if at == files.len() {
                files.push((source.to_owned(), String::new()));
            }
            let _ = writeln!(files[at].1, "---\n# Source: {source}\n{content}");
        };
        if crds == Crds::Included {
            self.crds.iter().for_each(|crd| add(&crd.file, &crd.text));
        }
        let hooks = self.hooks.iter().map(|hook| &hook.manifest);
        self.manifests.iter().chain(hooks).for_each(|manifest| add(&manifest.template, &manifest.text));
        files
    }
}

/// The documents of a stream: each begins behind dashes at the beginning of a line.
fn documents(text: &str) -> Vec<&str> {
    let mut starts = vec![(0, 0)];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some(rest) = line.strip_prefix("---") {
            starts.push((at, at + line.len() - rest.trim_start_matches([' ', '\t']).len()));
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).map(|(end, _)| *end).chain([text.len()]);
    let parts = starts.iter().zip(ends).map(|((_, start), end)| text[*start..end].trim_start());
    parts.filter(|document| !document.is_empty()).collect()
}

/// The path within the chart that a document is from.
fn source(document: &str) -> Option<&str> {
    let line = document.lines().find_map(|line| line.split_once("# Source: ").map(|(_, path)| path))?;
    let (chart, path) = line.split_once('/')?;
    (!chart.is_empty() && !path.is_empty()).then_some(path)
}
