//! Which resources a selector means: regular expressions for what they are called, and label and
//! annotation selectors as the Kubernetes API writes them.

use crate::error::{Error, Place};
use crate::id::GvkRef;
use crate::model::Selector;
use crate::resmap::ResMap;
use crate::resource::Resource;
use regex::Regex;
use std::borrow::Cow;

/// A selector with its expressions compiled.
pub(crate) struct Matcher {
    group: Pattern,
    version: Pattern,
    kind: Pattern,
    name: Pattern,
    namespace: Pattern,
    labels: Requirements,
    annotations: Requirements,
}

/// An expression for a whole text.
enum Pattern {
    Any,
    Text(String),
    Expression(Regex),
}

impl Pattern {
    fn new(pattern: &str) -> Result<Self, String> {
        if pattern.is_empty() {
            return Ok(Self::Any);
        }
        if pattern.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'/')) {
            return Ok(Self::Text(pattern.to_owned()));
        }
        Regex::new(&format!("^(?:{pattern})$"))
            .map(Self::Expression)
            .map_err(|_| format!("{pattern:?} is not a regular expression; correct it, or write \\ before what is meant as it stands"))
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Text(wanted) => wanted == text,
            Self::Expression(expression) => expression.is_match(text),
        }
    }
}

impl Matcher {
    pub(crate) fn new(selector: &Selector, place: &Place) -> Result<Self, Error> {
        let fail = |field: &'static str| {
            move |message: String| {
                let subject = if selector.field.is_empty() {
                    field.to_owned()
                } else {
                    format!("{}.{field}", selector.field)
                };
                Error::new(&place.at(selector.line), subject, message)
            }
        };
        Ok(Self {
            group: Pattern::new(&selector.gvk.group).map_err(fail("group"))?,
            version: Pattern::new(&selector.gvk.version).map_err(fail("version"))?,
            kind: Pattern::new(&selector.gvk.kind).map_err(fail("kind"))?,
            name: Pattern::new(&selector.name).map_err(fail("name"))?,
            namespace: Pattern::new(&selector.namespace).map_err(fail("namespace"))?,
            labels: Requirements::parse(&selector.labels).map_err(fail("labelSelector"))?,
            annotations: Requirements::parse(&selector.annotations).map_err(fail("annotationSelector"))?,
        })
    }

    /// The positions of the resources that the selector means, by their first or present name.
    pub(crate) fn select(&self, resources: &mut ResMap) -> Vec<usize> {
        let candidates = match &self.name {
            Pattern::Text(name) => resources.with_name(name),
            Pattern::Any | Pattern::Expression(_) => (0..resources.len()).collect(),
        };
        candidates.into_iter().filter(|position| self.means(resources.get(*position))).collect()
    }

    fn means(&self, resource: &Resource) -> bool {
        let (now, first) = (resource.id(), resource.original_id());
        (self.namespace.matches(first.namespace) || self.namespace.matches(now.namespace))
            && (self.name.matches(first.name) || self.name.matches(now.name))
            && self.matches_gvk(now.gvk)
            && self.matches_metadata(resource)
    }

    fn matches_gvk(&self, gvk: GvkRef<'_>) -> bool {
        self.group.matches(gvk.group) && self.version.matches(gvk.version) && self.kind.matches(gvk.kind)
    }

    /// True when the identity fits, whose namespace is compared as written.
    pub(crate) fn matches_identity(&self, gvk: GvkRef<'_>, name: &str, namespace: &str) -> bool {
        self.matches_gvk(gvk) && self.name.matches(name) && self.namespace.matches(namespace)
    }

    pub(crate) fn matches_metadata(&self, resource: &Resource) -> bool {
        self.labels.hold(|key| resource.metadata_entry("labels", key))
            && self.annotations.hold(|key| resource.metadata_entry("annotations", key))
    }
}

/// `app=web,tier in (a, b),!old`.
#[derive(Debug, Default)]
pub(crate) struct Requirements(Vec<Requirement>);

#[derive(Debug)]
struct Requirement {
    key: String,
    holds: Holds,
}

#[derive(Debug)]
enum Holds {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
    Above(i64),
    Below(i64),
}

impl Requirements {
    fn parse(text: &str) -> Result<Self, String> {
        let requirements = parts(text).into_iter().map(requirement).collect::<Result<_, _>>()?;
        Ok(Self(requirements))
    }

    fn hold<'r>(&self, value_of: impl Fn(&str) -> Option<Cow<'r, str>>) -> bool {
        self.0.iter().all(|requirement| {
            let value = value_of(&requirement.key);
            let number = || value.as_deref().and_then(|text| text.parse::<i64>().ok());
            match &requirement.holds {
                Holds::Exists => value.is_some(),
                Holds::Absent => value.is_none(),
                Holds::In(values) => value.is_some_and(|value| values.iter().any(|wanted| *wanted == value)),
                Holds::NotIn(values) => value.is_none_or(|value| values.iter().all(|other| *other != value)),
                Holds::Above(limit) => number().is_some_and(|number| number > *limit),
                Holds::Below(limit) => number().is_some_and(|number| number < *limit),
            }
        })
    }
}

/// The requirements of a selector: split at commas that are not in parentheses.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (index, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    if text.trim().is_empty() { Vec::new() } else { parts }
}

fn requirement(part: &str) -> Result<Requirement, String> {
    let text = part.trim();
    let read = |key: &str, holds: Holds| {
        let key = key.trim();
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        if key.is_empty() || !key.chars().all(known) {
            return Err(format!(
                "{text:?} is not a requirement; write it as key=value, key in (a, b), key or !key"
            ));
        }
        Ok(Requirement { key: key.to_owned(), holds })
    };
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some(key) = text.strip_prefix('!') {
        return read(key, Holds::Absent);
    }
    if let Some(open) = text.find('(') {
        let values = text[open + 1..].strip_suffix(')').ok_or_else(|| {
            format!("the ( in {text:?} is never closed; close it behind the last value, as in key in (a, b)")
        })?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let head = text[..open].trim_end();
        if let Some(key) = head.strip_suffix(" notin") {
            return read(key, Holds::NotIn(values));
        }
        let key = head
            .strip_suffix(" in")
            .ok_or_else(|| format!("{text:?} needs in or notin before its values, as in key in (a, b)"))?;
        return read(key, Holds::In(values));
    }
    if let Some((key, value)) = text.split_once("!=") {
        return read(key, Holds::NotIn(one(value)));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return read(key, Holds::In(one(value)));
    }
    let limit = |value: &str| {
        value.trim().parse().map_err(|_| {
            format!("{text:?} compares with something that is no whole number; write one, or use = or in")
        })
    };
    if let Some((key, value)) = text.split_once('>') {
        return read(key, Holds::Above(limit(value)?));
    }
    if let Some((key, value)) = text.split_once('<') {
        return read(key, Holds::Below(limit(value)?));
    }
    read(text, Holds::Exists)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(selector: &str, wanted: bool) {
        let labels = |key: &str| match key {
            "app" => Some(Cow::Borrowed("web")),
            "size" => Some(Cow::Borrowed("5")),
            _ => None,
        };
        assert_eq!(Requirements::parse(selector).unwrap().hold(labels), wanted, "{selector}");
    }

    #[test]
    fn a_selector_holds_as_the_api_server_reads_it() {
        check("", true);
        check("app", true);
        check("!app", false);
        check("app=web", true);
        check("app == web, size!=4", true);
        check("app in (db, web),size", true);
        check("app notin (db, web)", false);
        check("tier!=a", true);
        check("size>4,size<6", true);
        check("size>5", false);
        assert!(Requirements::parse("app in db)").is_err());
        assert!(Requirements::parse("=x").is_err());
    }
}
