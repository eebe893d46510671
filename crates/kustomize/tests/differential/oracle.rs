//! The real kustomize, in a Go program that answers any number of questions.

use serde_json::{Value, json};
use trueup_oracle::{OracleError, Original};

/// What managed-by labels say; the library alone does not know it.
const VERSION: &str = "-X sigs.k8s.io/kustomize/api/provenance.version=v5.8.2";

pub(crate) struct Oracle(trueup_oracle::Oracle);

impl Oracle {
    pub(crate) fn start() -> Self {
        let original = Original::of_crate(env!("CARGO_MANIFEST_DIR")).with_link_flags(VERSION);
        // Small heaps that are thrown away at once: collecting them less often halves the time.
        Self(original.with_variable("GOGC", "800").start().unwrap())
    }

    pub(crate) fn build(&mut self, files: &super::case::Files, root: &str) -> Result<String, String> {
        self.ask(&json!({"files": files, "root": root}))
    }

    /// With charts, which the program `helm` renders.
    pub(crate) fn build_with_charts(
        &mut self,
        files: &super::case::Files,
        root: &str,
        helm: &std::path::Path,
    ) -> Result<String, String> {
        self.ask(&json!({"files": files, "root": root, "helm": helm}))
    }

    /// `reader` is `strict` or `lenient`.
    pub(crate) fn read_yaml(&mut self, text: &str, reader: &str) -> Result<Value, String> {
        self.ask(&json!({"yaml": text, "reader": reader})).map(|text| serde_json::from_str(&text).unwrap())
    }

    fn ask(&mut self, question: &Value) -> Result<String, String> {
        let answer = match self.0.ask(question) {
            // kustomize ends the process for some inputs; that is a refusal.
            Err(OracleError::Ended) => return Err("the process ended".to_owned()),
            answer => answer.unwrap(),
        };
        let text = |key: &str| answer[key].as_str().map(str::to_owned);
        text("output").ok_or_else(|| text("error").unwrap_or_default())
    }
}
