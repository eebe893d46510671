//! The real kustomize, in a Go program that answers any number of questions.

use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub(crate) struct Oracle {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
struct Answer {
    output: Option<String>,
    error: Option<String>,
}

impl Oracle {
    pub(crate) fn start() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle");
        let built = Command::new(folder.join("build.sh")).stderr(Stdio::inherit()).output();
        let built = built.expect("tests/oracle/build.sh runs");
        assert!(
            built.status.success(),
            "the oracle is built with Go 1.26 or later, see https://go.dev/doc/install"
        );
        let program = String::from_utf8(built.stdout).unwrap();
        let mut process = Command::new(program.trim())
            // Small heaps that are thrown away at once: collecting them less often halves the time.
            .env("GOGC", "800")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the oracle runs");
        let questions = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, questions, answers }
    }

    pub(crate) fn build(&mut self, files: &super::case::Files, root: &str) -> Result<String, String> {
        self.ask(&json!({"files": files, "root": root}))
    }

    /// `reader` is `strict` or `lenient`.
    pub(crate) fn read_yaml(&mut self, text: &str, reader: &str) -> Result<Value, String> {
        self.ask(&json!({"yaml": text, "reader": reader})).map(|text| serde_json::from_str(&text).unwrap())
    }

    fn ask(&mut self, question: &Value) -> Result<String, String> {
        writeln!(self.questions, "{question}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        if line.is_empty() {
            // kustomize ends the process for some inputs; that is a refusal.
            *self = Self::start();
            return Err("the process ended".to_owned());
        }
        let answer: Answer = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        answer.output.ok_or_else(|| answer.error.unwrap_or_default())
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
