//! What went wrong in a build: every problem that could be found, each with its file and line.

use crate::remote::Needed;
use std::collections::BTreeSet;
use std::fmt;
use trueup_model::TreeError;

/// One problem of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The file that has to be changed, below the repository's root.
    pub file: String,
    /// Line in that file, from 1; 0 where the whole file is meant.
    pub line: usize,
    /// The field or the object that is concerned; empty for the file itself.
    pub subject: String,
    /// What is wrong and what to do, without a period.
    pub message: String,
}

impl Error {
    /// A problem at a place of a file.
    pub(crate) fn new(place: &Place, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { file: place.file.clone(), line: place.line, subject: subject.into(), message: message.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.subject.is_empty() {
            write!(f, ": {}", self.subject)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for Error {}

/// Everything that stands in the way of a build; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors(pub Vec<Error>);

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Other repositories, or files behind URLs, have to be read first.
    Missing(BTreeSet<Needed>),
    /// Something is wrong.
    Errors(Errors),
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

/// A place in a file of the repository; line 0 is the file as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: usize,
}

impl Place {
    pub(crate) fn new(file: impl Into<String>, line: usize) -> Self {
        Self { file: file.into(), line }
    }

    /// The same file at another line.
    pub(crate) fn at(&self, line: usize) -> Self {
        Self { file: self.file.clone(), line }
    }
}

/// A tree's error in words, without the path when the message already starts with it.
pub(crate) fn describe(error: &TreeError) -> String {
    if let TreeError::Escapes { path, target } = error
        && path.is_empty()
    {
        return format!("{target} is outside the repository; copy what it names into it");
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
