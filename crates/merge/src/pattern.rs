//! Field patterns: which fields a person means.
//!
//! A pattern is a JSON pointer (RFC 6901) whose steps into lists are selectors, because the items of the lists that several
//! writers share are told apart by their keys and not by their places: `/spec/template/spec/containers/[name=app]/image`.
//! `*` stands for any one step, and a pattern means all below it as well.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use trueup_model::{FieldPath, Segment, Value};

/// The fields at and below certain paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPattern(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Any,
    Field(String),
    /// The item with these keys; a key without a name is the item itself.
    Item(BTreeMap<String, String>),
}

/// Why a text is no pattern.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PatternError {
    /// It does not begin with a slash.
    #[error("a field is written as a JSON pointer, such as /spec/replicas")]
    NoSlash,
    /// It has a step without a name.
    #[error("a step of the pointer is empty")]
    Empty,
    /// A selector is not closed, or has no `=`.
    #[error("{0:?} is no selector of a list item: write [name=app]")]
    Selector(String),
    /// It means what makes the object that object.
    #[error("{0} is part of what makes an object the object that it is")]
    Identity(String),
}

/// The root of all fields that say which object it is, and who owns it.
const IDENTITY: [&[&str]; 6] = [
    &["apiVersion"],
    &["kind"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "uid"],
    &["metadata", "managedFields"],
];

impl FromStr for FieldPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix('/').ok_or(PatternError::NoSlash)?;
        let pattern = Self(parts(rest).into_iter().map(step).collect::<Result<_, _>>()?);
        let fields: Vec<Option<&str>> = pattern
            .0
            .iter()
            .map(|step| match step {
                Step::Field(name) => Some(name.as_str()),
                Step::Any | Step::Item(_) => None,
            })
            .collect();
        // A pattern means all below it, so what lies above an identity means it as well.
        let covers = |identity: &&[&str]| {
            fields.iter().zip(identity.iter()).all(|(field, part)| field.is_none_or(|field| field == *part))
        };
        match IDENTITY.into_iter().find(|identity| covers(identity)) {
            Some(identity) => Err(PatternError::Identity(format!("/{}", identity.join("/")))),
            None => Ok(pattern),
        }
    }
}

// A slash inside of a selector belongs to it.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut open) = (0, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '[' if at == start => open = true,
            ']' => open = false,
            '/' if !open => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn step(text: &str) -> Result<Step, PatternError> {
    let wrong = || PatternError::Selector(text.to_owned());
    match text {
        "" => Err(PatternError::Empty),
        "*" => Ok(Step::Any),
        _ => match text.strip_prefix('[') {
            None => Ok(Step::Field(text.replace("~1", "/").replace("~0", "~"))),
            Some(rest) => {
                let inner = rest.strip_suffix(']').ok_or_else(wrong)?;
                let pair = |pair: &str| {
                    let (key, value) = pair.split_once('=')?;
                    Some((key.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
                };
                inner.split(',').map(pair).collect::<Option<_>>().map(Step::Item).ok_or_else(wrong)
            }
        },
    }
}

impl FieldPattern {
    /// How many steps of the path the pattern covers, where the path is one that it means, or lies below one.
    pub fn covers(&self, path: &[Segment]) -> Option<usize> {
        let fits =
            path.len() >= self.0.len() && self.0.iter().zip(path).all(|(step, segment)| step.fits(segment));
        fits.then_some(self.0.len())
    }

    /// The narrowest pattern for a path.
    pub fn exactly(path: &FieldPath) -> Self {
        let mut steps = Vec::new();
        for segment in &path.0 {
            match segment {
                Segment::Field(name) => steps.push(Step::Field(name.clone())),
                Segment::Key(keys) => {
                    steps.push(Step::Item(keys.iter().map(|(k, v)| (k.clone(), bare(v))).collect()));
                }
                Segment::Value(value) => {
                    steps.push(Step::Item(BTreeMap::from([(String::new(), bare(value))])));
                }
                // An ordered list has one owner, so only all of it can be left to another.
                Segment::Index(_) => break,
            }
        }
        Self(steps)
    }
}

impl Step {
    fn fits(&self, segment: &Segment) -> bool {
        match (self, segment) {
            (Self::Any, _) => true,
            (Self::Field(name), Segment::Field(field)) => name == field,
            (Self::Item(wanted), Segment::Key(keys)) => {
                wanted.iter().all(|(key, value)| keys.get(key).is_some_and(|found| bare(found) == *value))
            }
            (Self::Item(wanted), Segment::Value(value)) => wanted.get("") == Some(&bare(value)),
            (Self::Field(_), Segment::Key(_) | Segment::Value(_) | Segment::Index(_))
            | (Self::Item(_), Segment::Field(_) | Segment::Index(_)) => false,
        }
    }
}

impl fmt::Display for FieldPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.0 {
            match step {
                Step::Any => f.write_str("/*")?,
                Step::Field(name) => write!(f, "/{}", name.replace('~', "~0").replace('/', "~1"))?,
                Step::Item(keys) => {
                    let pairs: Vec<String> =
                        keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
                    write!(f, "/[{}]", pairs.join(","))?;
                }
            }
        }
        Ok(())
    }
}

fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(elements: &[&str]) -> Vec<Segment> {
        elements.iter().map(|element| crate::fields::segment(element).unwrap()).collect()
    }

    #[test]
    fn a_pattern_means_its_fields_and_all_below() {
        let image =
            path(&["f:spec", "f:template", "f:spec", "f:containers", r#"k:{"name":"app"}"#, "f:image"]);
        for (pattern, covered) in [
            ("/spec/template/spec/containers/[name=app]/image", Some(6)),
            ("/spec/template/spec/containers/[name=app]", Some(5)),
            ("/spec/template/spec/containers/*/image", Some(6)),
            ("/spec/template", Some(2)),
            ("/spec/template/spec/containers/[name=other]/image", None),
            ("/spec/template/spec/containers/0/image", None),
            ("/spec/template/spec/containers/[name=app]/image/tag", None),
            ("/spec/templates", None),
        ] {
            assert_eq!(pattern.parse::<FieldPattern>().unwrap().covers(&image), covered, "{pattern}");
        }
        let slash: FieldPattern = "/metadata/annotations/example.com~1at".parse().unwrap();
        assert!(slash.covers(&path(&["f:metadata", "f:annotations", "f:example.com/at"])).is_some());
        let port: FieldPattern = "/spec/ports/[port=80,protocol=TCP]".parse().unwrap();
        assert!(port.covers(&path(&["f:spec", "f:ports", r#"k:{"port":80,"protocol":"TCP"}"#])).is_some());
        assert!(port.covers(&path(&["f:spec", "f:ports", r#"k:{"port":80,"protocol":"UDP"}"#])).is_none());
        let finalizer: FieldPattern = "/metadata/finalizers/[=example.com/hold]".parse().unwrap();
        assert!(
            finalizer.covers(&path(&["f:metadata", "f:finalizers", r#"v:"example.com/hold""#])).is_some()
        );
    }

    #[test]
    fn the_narrowest_pattern_for_a_path_means_it_and_is_read_as_it_is_written() {
        for elements in [
            &["f:spec", "f:replicas"][..],
            &["f:metadata", "f:annotations", "f:example.com/a~b"],
            &["f:spec", "f:ports", r#"k:{"port":80,"protocol":"TCP"}"#, "f:targetPort"],
            &["f:metadata", "f:finalizers", r#"v:"example.com/hold""#],
        ] {
            let path = path(elements);
            let pattern = FieldPattern::exactly(&FieldPath(path.clone()));
            assert_eq!(pattern.covers(&path), Some(path.len()), "{pattern}");
            assert_eq!(pattern.to_string().parse(), Ok(pattern));
        }
        let ordered = FieldPath(path(&["f:spec", "f:args", "i:1"]));
        assert_eq!(FieldPattern::exactly(&ordered).to_string(), "/spec/args");
    }

    #[test]
    fn what_is_no_pattern_says_what_is_wrong() {
        for (text, wrong) in [
            ("spec.replicas", "JSON pointer"),
            ("", "JSON pointer"),
            ("/", "empty"),
            ("/spec//x", "empty"),
            ("/spec/[name", "selector"),
            ("/spec/[name]", "selector"),
            ("/metadata", "/metadata/name is part of"),
            ("/*", "/apiVersion is part of"),
            ("/metadata/*", "/metadata/name is part of"),
            ("/kind", "/kind is part of"),
        ] {
            let error = text.parse::<FieldPattern>().unwrap_err().to_string();
            assert!(error.contains(wrong), "{text}: {error}");
        }
        assert_eq!(json!(text_of("/metadata/labels/x")), "/metadata/labels/x");
    }

    fn text_of(text: &str) -> String {
        text.parse::<FieldPattern>().unwrap().to_string()
    }
}
