//! Helm's own engine, in a Go program that answers many questions at a time, and this crate beside it.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use trueup_helm::{Chart, Error, Options, Release, RenderBounds, read_values, render};
use trueup_model::MemoryTree;
use trueup_oracle::{OracleError, Original};

/// What is rendered: a chart of a template, of what it can include, and of values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Case {
    /// The template, whose text is not looked at any further: the chart's notes.
    pub(crate) text: Vec<u8>,
    /// What defines other templates.
    pub(crate) partial: Vec<u8>,
    /// The chart's `values.yaml`.
    pub(crate) values: String,
}

/// What came of it. What is said of what is refused need not be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Output(String),
    Refused(String),
    /// A bound of ours was met, or Go's program ended: nothing can be compared.
    Endless,
}

const METADATA: &str = "apiVersion: v2\nname: t\nversion: 1.2.3\nappVersion: \"4.5\"\n";
const FILE: &str = "one\ntwo: é\n";

impl Case {
    fn files(&self) -> [(&'static str, &[u8]); 5] {
        [
            ("Chart.yaml", METADATA.as_bytes()),
            ("values.yaml", self.values.as_bytes()),
            ("files/a.txt", FILE.as_bytes()),
            ("templates/_all.tpl", &self.partial),
            ("templates/NOTES.txt", &self.text),
        ]
    }

    /// What this crate makes of it.
    pub(crate) fn ours(&self) -> Outcome {
        match self.rendered() {
            Ok(output) => Outcome::Output(output),
            Err(Error::Limit(_)) => Outcome::Endless,
            Err(error) => Outcome::Refused(error.to_string()),
        }
    }

    fn rendered(&self) -> Result<String, Error> {
        let mut tree = MemoryTree::default();
        for (path, content) in self.files() {
            tree.insert(path, content);
        }
        let chart = Chart::from_tree(&tree, "")?;
        let random = Arc::new(|bytes: &mut [u8]| bytes.fill(7));
        let mut options = Options::new(Release::install("rel", "ns1"), jiff::Timestamp::now(), random);
        options.bounds = RenderBounds { steps: 3_000_000, output: 4 << 20 };
        Ok(render(&chart, &read_values("").unwrap(), &options)?.notes)
    }

    fn question(&self) -> Value {
        let files = self.files().map(|(path, content)| json!([path, hex(content)]));
        json!({ "files": files })
    }
}

pub(crate) struct Oracle(trueup_oracle::Oracle);

impl Oracle {
    pub(crate) fn start() -> Self {
        Self(original().start().unwrap())
    }

    /// What Helm makes of each.
    pub(crate) fn theirs(&mut self, cases: &[Case]) -> Vec<Outcome> {
        let questions: Vec<_> = cases.iter().map(Case::question).collect();
        match self.0.ask(&questions.into()) {
            Ok(answers) => answers.as_array().unwrap().iter().map(outcome).collect(),
            // Go ends where a stack grows without end. One after another tells which it was.
            Err(OracleError::Ended) if cases.len() > 1 => {
                cases.iter().flat_map(|case| self.theirs(std::slice::from_ref(case))).collect()
            }
            Err(OracleError::Ended) => vec![Outcome::Endless],
            Err(error) => panic!("{error}"),
        }
    }
}

/// Helm, as a program.
pub(crate) fn original() -> Original {
    Original::of_crate(env!("CARGO_MANIFEST_DIR")).with_variable("TZ", "UTC")
}

fn outcome(answer: &Value) -> Outcome {
    if let Some(error) = answer["error"].as_str() {
        return Outcome::Refused(error.to_owned());
    }
    let made: BTreeMap<&str, &str> = answer["output"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str().unwrap()))
        .collect();
    Outcome::Output(String::from_utf8_lossy(&unhex(made["t/templates/NOTES.txt"])).into_owned())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
