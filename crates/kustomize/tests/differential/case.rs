//! Cases as texts: why the case is there, the files of a tree, and kustomize's answer.
//!
//! ```text
//! A label comes before a selector.
//! == top/kustomization.yaml
//! namePrefix: a-
//! => output
//! apiVersion: v1
//! ```
//!
//! The answer is `=> output` or `=> refused`, followed by what kustomize printed. The folder `top` is built.

use std::collections::BTreeMap;
use std::fmt::Write as _;

pub(crate) type Files = BTreeMap<String, String>;

pub(crate) const ROOT: &str = "top";

pub(crate) struct Case {
    pub(crate) why: String,
    pub(crate) files: Files,
    /// `None` for a case that is yet to be recorded.
    pub(crate) answer: Option<Result<String, String>>,
}

impl Case {
    pub(crate) fn read(text: &str) -> Self {
        let mut case = Self { why: String::new(), files: Files::new(), answer: None };
        let mut part = &mut case.why;
        for line in text.split_inclusive('\n') {
            if let Some(path) = line.strip_prefix("== ") {
                part = case.files.entry(path.trim_end().to_owned()).or_default();
            } else if line.trim_end() == "=> output" {
                let (Ok(text) | Err(text)) = case.answer.insert(Ok(String::new()));
                part = text;
            } else if line.trim_end() == "=> refused" {
                let (Ok(text) | Err(text)) = case.answer.insert(Err(String::new()));
                part = text;
            } else {
                part.push_str(line);
            }
        }
        case
    }

    /// Whether this answer is the one that is recorded. In which words a tree is refused does not matter.
    #[allow(dead_code, reason = "the tests that do not ask kustomize have no answer of it")]
    pub(crate) fn says(&self, answer: &Result<String, String>) -> bool {
        match (answer, &self.answer) {
            (Ok(output), Some(Ok(recorded))) => output == recorded,
            (Err(_), Some(Err(_))) => true,
            (Ok(_) | Err(_), _) => false,
        }
    }

    /// What [`Self::read`] reads.
    #[allow(dead_code, reason = "the tests that do not ask kustomize do not write either")]
    pub(crate) fn written(&self) -> String {
        let mut text = self.why.clone();
        for (path, file) in &self.files {
            let _ = write!(text, "== {path}\n{file}{}", if file.ends_with('\n') { "" } else { "\n" });
        }
        match &self.answer {
            None => {}
            Some(Ok(output)) => {
                let _ = write!(text, "=> output\n{output}");
            }
            Some(Err(error)) => {
                let _ = writeln!(text, "=> refused\n{}", error.trim_end());
            }
        }
        text
    }
}
