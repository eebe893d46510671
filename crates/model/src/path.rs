//! Where a field stands in an object, in the terms of server-side apply's `fieldsV1`.

use crate::Value;
use std::collections::BTreeMap;
use std::fmt;

/// One step from a value to a value inside it.
///
/// Source: the path elements of sigs.k8s.io/structured-merge-diff (`f:`, `k:`, `v:`, `i:`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// A field of an object: `f:replicas`.
    Field(String),
    /// An item of an associative list, by the values of its keys: `k:{"name":"web"}`.
    Key(BTreeMap<String, Value>),
    /// A member of a set: `v:"finalizer"`.
    Value(Value),
    /// An item of an ordered list: `i:0`.
    Index(usize),
}

impl Segment {
    /// The name of a field.
    pub fn as_field(&self) -> Option<&str> {
        match self {
            Self::Field(name) => Some(name),
            Self::Key(_) | Self::Value(_) | Self::Index(_) => None,
        }
    }
}

/// A path from an object's root to a field in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath(pub Vec<Segment>);

impl FieldPath {
    /// The path one step further down.
    #[must_use]
    pub fn child(&self, segment: Segment) -> Self {
        let mut path = self.clone();
        path.0.push(segment);
        path
    }
}

impl fmt::Display for FieldPath {
    /// `spec.template.spec.containers[name=web].image`, `metadata.annotations["a.b/c"]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Field(name) if is_plain(name) => {
                    if depth > 0 {
                        f.write_str(".")?;
                    }
                    f.write_str(name)?;
                }
                Segment::Field(name) => write!(f, "[{name:?}]")?,
                Segment::Key(keys) => {
                    let pairs: Vec<_> =
                        keys.iter().map(|(key, value)| format!("{key}={}", bare(value))).collect();
                    write!(f, "[{}]", pairs.join(","))?;
                }
                Segment::Value(value) => write!(f, "[={}]", bare(value))?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_people_write_it() {
        let path = FieldPath(vec![
            Segment::Field("spec".into()),
            Segment::Field("containers".into()),
            Segment::Key(BTreeMap::from([("name".into(), "web".into())])),
            Segment::Field("image".into()),
        ]);
        assert_eq!(path.to_string(), "spec.containers[name=web].image");
        let annotation =
            FieldPath(vec![Segment::Field("annotations".into()), Segment::Field("a.b/c".into())]);
        assert_eq!(annotation.to_string(), "annotations[\"a.b/c\"]");
    }
}
