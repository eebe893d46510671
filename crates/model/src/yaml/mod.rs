//! YAML as Kubernetes reads it, with positions, and as `kustomize build` prints it.
//!
//! In comes text; out come [`Node`]s that know where they stand, or JSON values. The rules are those of
//! sigs.k8s.io/yaml 1.6 (YAML 1.1 scalars as go-yaml v2 resolves them) and of the `YAMLReader` of
//! k8s.io/apimachinery (documents end at a line `---`, directives are refused). Three things are
//! stricter or kinder than there: a key that is written twice is refused (unless a merge key brought the
//! first one), documents behind a `...` line are read and not dropped, and nesting is bounded by
//! [`MAX_DEPTH`].
//!
//! Absent on purpose: comments, styles and the order of a mapping's keys in what is printed.

mod block;
mod compose;
mod emit;
mod making;
mod resolve;
mod tabs;
mod timestamp;

use crate::Value;

/// How deep lists and mappings may stand in each other, aliases expanded. Real manifests stay below 60.
pub const MAX_DEPTH: usize = 256;

/// Where a node stands in its text; both count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {message}", at.line, at.column)]
pub struct YamlError {
    /// Where.
    pub at: Position,
    /// What, in a sentence without a period.
    pub message: String,
}

/// A value that knows where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where the value starts.
    pub at: Position,
    /// The value.
    pub content: Content,
}

/// What a [`Node`] holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// null, a boolean, a number or a string.
    Scalar(Value),
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order it was written: key, where the key stands, value.
    Map(Vec<(String, Position, Node)>),
}

/// What becomes of a key that is written twice in one mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Doubled {
    /// The text is refused.
    #[default]
    Refused,
    /// The last one counts, as where tools read their own configuration.
    LastCounts,
}

/// Which plain words are booleans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Words {
    /// Those of YAML 1.1, `yes`, `no`, `on`, `off`, `y` and `n` among them, as Kubernetes has it.
    #[default]
    Yaml11,
    /// `true` and `false`, as go-yaml 3 and with it kustomize has it.
    TrueAndFalse,
}

/// What a date or a time without quotes becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dates {
    /// The text that stands there, as Kubernetes has it.
    #[default]
    AsWritten,
    /// An instant in the form of RFC 3339, as go-yaml 3 and with it kustomize has it.
    Instants,
}

/// What may be a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// Texts, numbers and booleans, which become texts, as Kubernetes has it.
    #[default]
    Words,
    /// Texts alone below the document's own keys, as kustomize has it when it prints.
    Texts,
}

/// What becomes of a float without a fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Floats {
    /// An integer below 1e21, as Go's JSON prints it.
    #[default]
    AsPrinted,
    /// A float, for those who make a text of it: `7e6` is `7e+06` then, and no `7000000`.
    Kept,
}

/// How a text is read where readers differ; the default is how Kubernetes does it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What becomes of a doubled key.
    pub doubled: Doubled,
    /// Which words are booleans.
    pub words: Words,
    /// What a date or a time without quotes becomes.
    pub dates: Dates,
    /// What may be a key.
    pub keys: Keys,
    /// What becomes of a float without a fraction.
    pub floats: Floats,
}

/// One document of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its value.
    pub value: Value,
    /// The line its first key stands on, from 1.
    pub line: usize,
}

/// All documents of a text; the ones that are empty, null or only comments are left out.
///
/// # Errors
/// The first thing in the text that Kubernetes would not read, with its position.
pub fn parse(text: &str) -> Result<Vec<Node>, YamlError> {
    parse_as(text, Reading::default())
}

/// As [`parse`], with the freedoms that other readers of the same files take.
///
/// # Errors
/// The first thing in the text that cannot be read, with its position.
pub fn parse_as(text: &str, reading: Reading) -> Result<Vec<Node>, YamlError> {
    or_spaced(text, |text| compose::compose(text, reading))
}

/// All documents of a text as values; the ones that are empty, null or only comments are left out.
///
/// # Errors
/// The first thing in the text that Kubernetes would not read, with its position.
pub fn documents(text: &str) -> Result<Vec<Document>, YamlError> {
    documents_as(text, Reading::default())
}

/// As [`documents`], with the freedoms that other readers of the same files take.
///
/// # Errors
/// The first thing in the text that cannot be read, with its position.
pub fn documents_as(text: &str, reading: Reading) -> Result<Vec<Document>, YamlError> {
    or_spaced(text, |text| compose::values(text, reading))
}

/// What is read; where tabs are in the way, what is read without those that nobody minds.
fn or_spaced<T>(text: &str, read: impl Fn(&str) -> Result<T, YamlError>) -> Result<T, YamlError> {
    match read(text) {
        Err(error) if error.message.starts_with("tabs disallowed") => match tabs::spaced(text) {
            Some(spaced) => read(&spaced),
            None => Err(error),
        },
        other => other,
    }
}

/// As [`documents_as`], for who wants only a few of a document's own keys: those `wanted`, where it is a mapping. The rest is read as well, so
/// that this is nothing where that would be an error, and dropped, which is several times faster.
///
/// Nothing, too, of texts that are not plain enough for it, or whose keys may not be written twice: those are for [`documents_as`].
pub fn heads(text: &str, wanted: &[&str], reading: Reading) -> Option<Vec<Document>> {
    block::heads(text, wanted, reading)
}

/// The value in the layout of `kustomize build`: keys in natural order, two spaces a level, list items
/// below their key without further indent, strings quoted and lines wrapped where go-yaml v2 does.
pub fn to_yaml(value: &Value) -> String {
    emit::emit(value)
}

/// The value in the layout of go-yaml 3 with an indent of two, as Helm's `toYamlPretty` has it: list items are indented
/// below their key, lines are not wrapped, and a float is written with an exponent from a million on.
pub fn to_yaml_pretty(value: &Value) -> String {
    emit::emit_pretty(value)
}

/// The key of a struct's field, for [`to_yaml_pretty`] alone: fields are printed in their own order, from 0, and not in that of their names.
pub fn field_key(place: u8, name: &str) -> String {
    emit::placed(place, name)
}

/// True for a word that is a boolean in YAML 1.1 but not in 1.2, such as `yes`; `y` and `n` are such words too.
pub fn is_old_boolean(text: &str) -> bool {
    resolve::is_old_boolean(text)
}

/// The instant that a date or a time without quotes is, in RFC 3339; `None` for every other text.
pub fn instant(text: &str) -> Option<String> {
    timestamp::as_instant(text)
}

impl Node {
    /// The value without positions; the node stays.
    pub fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Content::Map(entries) => {
                Value::Object(entries.iter().map(|(key, _, node)| (key.clone(), node.to_value())).collect())
            }
        }
    }

    /// The value without positions; nothing is copied.
    pub fn into_value(self) -> Value {
        match self.content {
            Content::Scalar(value) => value,
            Content::List(items) => Value::Array(items.into_iter().map(Self::into_value).collect()),
            Content::Map(entries) => {
                Value::Object(entries.into_iter().map(|(key, _, node)| (key, node.into_value())).collect())
            }
        }
    }

    /// The value of a mapping's key; `None` where there is no such key or no mapping.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.iter().find(|(name, ..)| name == key).map(|(.., node)| node)
    }

    /// The entries of a mapping in the order they were written.
    pub fn as_map(&self) -> Option<&[(String, Position, Self)]> {
        match &self.content {
            Content::Map(entries) => Some(entries),
            Content::Scalar(_) | Content::List(_) => None,
        }
    }

    /// The items of a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        match &self.content {
            Content::List(items) => Some(items),
            Content::Scalar(_) | Content::Map(_) => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(value) => value.as_str(),
            Content::List(_) | Content::Map(_) => None,
        }
    }

    /// Whether this is null, written or left out.
    pub fn is_null(&self) -> bool {
        matches!(self.content, Content::Scalar(Value::Null))
    }
}

#[cfg(test)]
mod tests;
