//! What is wrong with a configuration, and where.

use super::resource::Kind;
use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong in one place. Secrets are never part of the message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, as it was asked for.
    pub file: PathBuf,
    /// Line, from 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// Column in characters, from 1; 0 where the file as a whole is meant.
    pub column: usize,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl fmt::Display for Problem {
    /// `trueup.yaml:12:3: unknown field`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// All that is wrong with a configuration, by file and line. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    /// One problem a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A field of an object, from its root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(pub Vec<Step>);

/// One step of a [`Place`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into a field.
    Field(String),
    /// To an item of a list, from 0.
    Item(usize),
}

impl Place {
    /// A field of the object itself.
    pub fn root(name: &str) -> Self {
        Self::default().field(name)
    }

    /// A field of `spec`.
    pub fn spec(name: &str) -> Self {
        Self::root("spec").field(name)
    }

    /// A field of this place.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Field(name.to_owned()));
        Self(steps)
    }

    /// The place of an App as that of an AppSet's template.
    pub(crate) fn within_template(&self) -> Self {
        Self(Self::spec("template").0.into_iter().chain(self.0.iter().cloned()).collect())
    }

    /// An item of the list at this place.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Item(index));
        Self(steps)
    }
}

impl fmt::Display for Place {
    /// `spec.environments[1]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if index == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Item(item) => write!(f, "[{item}]")?,
            }
        }
        Ok(())
    }
}

/// Something wrong in an object, wherever the object came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The object's kind.
    pub kind: Kind,
    /// The object's name.
    pub name: String,
    /// The field.
    pub place: Place,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Finding {
    /// `App web, spec.path: leaves the repository`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, {}: {}", self.kind, self.name, self.place, self.message)
    }
}

/// What a check of one object found so far.
#[derive(Debug, Default)]
pub struct Findings(pub Vec<(Place, String)>);

impl Findings {
    /// Notes something wrong at `place`.
    pub fn add(&mut self, place: Place, message: impl Into<String>) {
        self.0.push((place, message.into()));
    }
}
