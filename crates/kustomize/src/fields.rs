//! Reads typed fields out of YAML nodes and collects every complaint on the way.
//!
//! Field names match as Go's JSON decoder matches them, exactly or with another case. An unknown field is
//! an error that names the nearest known one, unless the document is a plugin's configuration, where
//! kustomize itself passes over what it does not know.

use crate::error::{Error, Place};
use std::collections::BTreeMap;
use trueup_model::Value;
use trueup_model::yaml::{Content, Node, Position};

/// A string and the line it stands on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) value: String,
    pub(crate) line: usize,
}

/// What happens to a field that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    Refuse,
    PassOver,
}

/// Reads one file's nodes.
pub(crate) struct Reader<'e> {
    pub(crate) file: &'e str,
    pub(crate) unknown: Unknown,
    pub(crate) errors: &'e mut Vec<Error>,
}

impl Reader<'_> {
    pub(crate) fn complain(&mut self, line: usize, subject: impl Into<String>, message: impl Into<String>) {
        self.errors.push(Error::new(&Place::new(self.file, line), subject, message));
    }

    fn mismatch(&mut self, node: &Node, field: &str, wanted: &str) {
        let found = match &node.content {
            Content::Scalar(Value::String(_)) => "a string",
            Content::Scalar(Value::Number(_)) => "a number",
            Content::Scalar(Value::Bool(_)) => "a boolean",
            Content::Scalar(_) => "null",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        };
        let advice = match (wanted, found) {
            ("a string", "a number" | "a boolean") => "; write it in quotes",
            ("a list", _) => "; begin each entry with - ",
            (_, _) => "",
        };
        let advice = advice.trim_end();
        self.complain(node.at.line, field, format!("must be {wanted}, not {found}{advice}"));
    }

    /// The entries of a mapping whose keys are all in `known`; null is an empty mapping.
    pub(crate) fn object<'n>(
        &mut self,
        node: &'n Node,
        field: &str,
        known: &'static [&'static str],
    ) -> Object<'n> {
        let entries: &[(String, Position, Node)] = match &node.content {
            Content::Map(entries) => entries,
            Content::Scalar(Value::Null) => &[],
            Content::Scalar(_) | Content::List(_) => {
                let wanted = match known.len() {
                    0..=NAMED => format!("a mapping with {}", listed(known, "or")),
                    _ => "a mapping".to_owned(),
                };
                self.mismatch(node, field, &wanted);
                &[]
            }
        };
        let mut found = Vec::with_capacity(entries.len());
        for (key, at, value) in entries {
            match known
                .iter()
                .find(|name| **name == key)
                .or_else(|| known.iter().find(|name| name.eq_ignore_ascii_case(key)))
            {
                Some(name) => found.push((*name, at.line, value)),
                None => self.refuse_unknown(key, *at, field, known),
            }
        }
        Object { entries: found, line: node.at.line }
    }

    fn refuse_unknown(&mut self, key: &str, at: Position, field: &str, known: &[&str]) {
        if self.unknown == Unknown::PassOver {
            return;
        }
        let subject = if field.is_empty() { key.to_owned() } else { format!("{field}.{key}") };
        let advice = match nearest(key, known) {
            Some(near) => format!("; did you mean {near}?"),
            None if known.len() <= NAMED => format!("; there are {}", listed(known, "and")),
            None => String::new(),
        };
        self.complain(at.line, subject, format!("unknown field{advice}"));
    }

    pub(crate) fn string(&mut self, node: Option<&Node>, field: &str) -> String {
        self.text(node, field).value
    }

    pub(crate) fn text(&mut self, node: Option<&Node>, field: &str) -> Text {
        let Some(node) = node else { return Text::default() };
        match &node.content {
            Content::Scalar(Value::String(value)) => Text { value: value.clone(), line: node.at.line },
            Content::Scalar(Value::Null) => Text::default(),
            Content::Scalar(_) | Content::List(_) | Content::Map(_) => {
                self.mismatch(node, field, "a string");
                Text::default()
            }
        }
    }

    pub(crate) fn flag(&mut self, node: Option<&Node>, field: &str) -> bool {
        let Some(node) = node else { return false };
        match &node.content {
            Content::Scalar(Value::Bool(value)) => *value,
            Content::Scalar(Value::Null) => false,
            Content::Scalar(_) | Content::List(_) | Content::Map(_) => {
                self.mismatch(node, field, "true or false");
                false
            }
        }
    }

    pub(crate) fn whole_number(&mut self, node: Option<&Node>, field: &str) -> i64 {
        let Some(node) = node else { return 0 };
        match &node.content {
            Content::Scalar(Value::Null) => 0,
            Content::Scalar(Value::Number(number)) if number.is_i64() => number.as_i64().unwrap_or_default(),
            Content::Scalar(_) | Content::List(_) | Content::Map(_) => {
                self.mismatch(node, field, "a whole number");
                0
            }
        }
    }

    pub(crate) fn list<'n>(&mut self, node: Option<&'n Node>, field: &str) -> &'n [Node] {
        match node.map(|node| (node, &node.content)) {
            None | Some((_, Content::Scalar(Value::Null))) => &[],
            Some((_, Content::List(items))) => items,
            Some((node, Content::Scalar(_) | Content::Map(_))) => {
                self.mismatch(node, field, "a list");
                &[]
            }
        }
    }

    pub(crate) fn texts(&mut self, node: Option<&Node>, field: &str) -> Vec<Text> {
        self.list(node, field).iter().map(|item| self.text(Some(item), field)).collect()
    }

    pub(crate) fn strings(&mut self, node: Option<&Node>, field: &str) -> Vec<String> {
        self.list(node, field).iter().map(|item| self.string(Some(item), field)).collect()
    }

    pub(crate) fn string_map(&mut self, node: Option<&Node>, field: &str) -> BTreeMap<String, String> {
        let Some(node) = node else { return BTreeMap::new() };
        match &node.content {
            Content::Map(entries) => entries
                .iter()
                .map(|(key, _, value)| (key.clone(), self.string(Some(value), &format!("{field}.{key}"))))
                .collect(),
            Content::Scalar(Value::Null) => BTreeMap::new(),
            Content::Scalar(_) | Content::List(_) => {
                self.mismatch(node, field, "a mapping of strings");
                BTreeMap::new()
            }
        }
    }

    /// Reads each item of a list with `read`.
    pub(crate) fn each<T>(
        &mut self,
        node: Option<&Node>,
        field: &str,
        mut read: impl FnMut(&mut Self, &Node, &str) -> T,
    ) -> Vec<T> {
        let items = self.list(node, field);
        items.iter().enumerate().map(|(index, item)| read(self, item, &format!("{field}[{index}]"))).collect()
    }

    /// Reads the node with `read` when it is there and not null.
    pub(crate) fn optional<T>(
        &mut self,
        node: Option<&Node>,
        field: &str,
        read: impl FnOnce(&mut Self, &Node, &str) -> T,
    ) -> Option<T> {
        node.filter(|node| !node.is_null()).map(|node| read(self, node, field))
    }
}

/// A mapping whose keys are known.
pub(crate) struct Object<'n> {
    entries: Vec<(&'static str, usize, &'n Node)>,
    pub(crate) line: usize,
}

impl<'n> Object<'n> {
    /// The value of a field; the last one where two spellings were used.
    pub(crate) fn get(&self, field: &str) -> Option<&'n Node> {
        self.entries.iter().rev().find(|(name, ..)| *name == field).map(|(.., node)| *node)
    }

    /// The line that the field's key stands on.
    pub(crate) fn line_of(&self, field: &str) -> Option<usize> {
        self.entries.iter().rev().find(|(name, ..)| *name == field).map(|(_, line, _)| *line)
    }
}

/// A value as nodes without positions of their own: all of it stands at `line`.
pub(crate) fn node_of(value: &Value, line: usize) -> Node {
    let at = Position { line, column: 1 };
    let content = match value {
        Value::Array(items) => Content::List(items.iter().map(|item| node_of(item, line)).collect()),
        Value::Object(entries) => {
            Content::Map(entries.iter().map(|(key, value)| (key.clone(), at, node_of(value, line))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Content::Scalar(value.clone()),
    };
    Node { at, content }
}

/// As many names are told one by one.
const NAMED: usize = 10;

/// `a, b and c`.
pub(crate) fn listed(names: &[&str], word: &str) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [all @ .., last] => format!("{} {word} {last}", all.join(", ")),
    }
}

/// The known name that takes the fewest edits to reach, when it takes few.
pub(crate) fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    let written = written.to_ascii_lowercase();
    let limit = (written.len() / 3).max(1);
    known
        .iter()
        .map(|name| (strsim::levenshtein(&written, &name.to_ascii_lowercase()), *name))
        .filter(|(edits, _)| *edits <= limit)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_known_name_is_named_only_when_it_is_near() {
        let known = ["resources", "replicas", "namePrefix"];
        assert_eq!(nearest("resource", &known), Some("resources"));
        assert_eq!(nearest("nameprefx", &known), Some("namePrefix"));
        assert_eq!(nearest("spec", &known), None);
    }
}
