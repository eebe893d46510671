//! The originals that trueup's libraries are held to: small Go programs around the real kustomize, structured-merge-diff or
//! text/template, that answer each line of JSON on their standard input with one on their standard output.
//!
//! Enters: the folder of such a program and questions. Leaves: its answers. What a question means is between a test and its
//! program.

use serde_json::Value;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const BUILD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/build.sh");

/// Which program, and how it runs.
#[derive(Clone, Debug)]
pub struct Original {
    folder: PathBuf,
    link_flags: String,
    environment: Vec<(&'static str, &'static str)>,
}

/// A program that runs. It ends when this is dropped.
#[derive(Debug)]
pub struct Oracle {
    original: Original,
    program: PathBuf,
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum OracleError {
    /// The program could not be built; the builder said why on the standard error.
    #[error("{} could not be built: it needs Go 1.26 or later, see https://go.dev/doc/install", .0.display())]
    NotBuilt(PathBuf),
    /// It ended instead of answering. It was started anew and can be asked again.
    #[error("the program ended without an answer")]
    Ended,
    /// It answered with something that is no JSON.
    #[error("no answer: {1}: {0}")]
    NoAnswer(String, #[source] serde_json::Error),
    /// It could not be run or spoken to.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Original {
    /// The program in `tests/oracle` of the crate at `manifest_dir`.
    pub fn of_crate(manifest_dir: &str) -> Self {
        let folder = Path::new(manifest_dir).join("tests/oracle");
        Self { folder, link_flags: String::new(), environment: Vec::new() }
    }

    /// With flags for Go's linker.
    #[must_use]
    pub fn with_link_flags(self, flags: &str) -> Self {
        Self { link_flags: flags.to_owned(), ..self }
    }

    /// With a variable of the environment.
    #[must_use]
    pub fn with_variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    /// Builds the program where this was not done yet, which takes minutes, and starts it.
    pub fn start(self) -> Result<Oracle, OracleError> {
        let program = self.program()?;
        Oracle::run(self, program)
    }

    /// Where the program is. It is built where this was not done yet, which takes minutes.
    pub fn program(&self) -> Result<PathBuf, OracleError> {
        let built =
            Command::new(BUILD).arg(&self.folder).arg(&self.link_flags).stderr(Stdio::inherit()).output()?;
        if !built.status.success() {
            return Err(OracleError::NotBuilt(self.folder.clone()));
        }
        Ok(PathBuf::from(String::from_utf8_lossy(&built.stdout).trim()))
    }
}

impl Oracle {
    fn run(original: Original, program: PathBuf) -> Result<Self, OracleError> {
        let mut process = Command::new(&program)
            .envs(original.environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(questions), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::Error::other("the program has no pipes").into());
        };
        Ok(Self { original, program, process, questions, answers: BufReader::new(answers) })
    }

    /// Its answer to a question.
    pub fn ask(&mut self, question: &Value) -> Result<Value, OracleError> {
        let mut line = String::new();
        let asked = writeln!(self.questions, "{question}");
        if asked.is_err() || self.answers.read_line(&mut line)? == 0 {
            *self = Self::run(self.original.clone(), self.program.clone())?;
            return Err(OracleError::Ended);
        }
        serde_json::from_str(&line).map_err(|error| OracleError::NoAnswer(line, error))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // It may have ended by itself; all that matters is that it is gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
