//! What is known of the types of built-in kinds in Go: numbers of fields, names of types, and what JSON leaves out.
//!
//! Source: `tables/go-types.txt`, which is made of the types' own sources (`cargo run -p trueup-testkit --bin go-types-table`).

use std::collections::HashMap;
use std::sync::LazyLock;

static TABLE: LazyLock<HashMap<&'static str, Vec<GoField>>> =
    LazyLock::new(|| include_str!("../tables/go-types.txt").lines().filter_map(line).collect());

/// A field of a struct.
pub(crate) struct GoField {
    /// Its name in JSON.
    pub(crate) name: &'static str,
    /// Its number on the wire, behind those of the messages that JSON does not have around it.
    pub(crate) path: Vec<u32>,
    /// Its type: `*v1.PodSecurityContext`, `[]string`.
    pub(crate) go: &'static str,
    /// Whether JSON leaves it out when it has its zero value.
    pub(crate) is_dropped_when_zero: bool,
}

impl GoField {
    /// Whether nothing written and a zero value are two things.
    pub(crate) fn is_pointer(&self) -> bool {
        self.go.starts_with('*')
    }
}

/// The fields of a type; `None` where it has a form of its own on the wire, or is not known.
pub(crate) fn fields(type_name: &str) -> Option<&'static [GoField]> {
    TABLE.get(type_name).map(Vec::as_slice)
}

/// One field of a type.
pub(crate) fn field(type_name: &str, name: &str) -> Option<&'static GoField> {
    fields(type_name)?.iter().find(|field| field.name == name)
}

/// `io.k8s.api.core.v1.Volume name=1:string hostPath=2/1:*v1.HostPathVolumeSource?`.
fn line(line: &'static str) -> Option<(&'static str, Vec<GoField>)> {
    let mut words = line.split(' ');
    let name = words.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
    Some((name, words.filter_map(word).collect()))
}

fn word(word: &'static str) -> Option<GoField> {
    let (name, rest) = word.split_once('=')?;
    let (path, go) = rest.split_once(':')?;
    let path = path.split('/').map(|number| number.parse().ok()).collect::<Option<Vec<u32>>>()?;
    let (go, is_dropped_when_zero) = go.strip_suffix('?').map_or((go, false), |go| (go, true));
    Some(GoField { name, path, go, is_dropped_when_zero })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_fields_of_the_types_that_the_schemas_have() {
        let mut missing = Vec::new();
        for (name, model) in crate::kinds::models() {
            let Some(fields) = fields(name) else { continue };
            for property in model["properties"].as_object().into_iter().flatten().map(|(name, _)| name) {
                if !matches!(property.as_str(), "apiVersion" | "kind")
                    && !fields.iter().any(|field| field.name == property)
                {
                    missing.push(format!("{name}.{property}"));
                }
            }
        }
        assert!(missing.is_empty(), "{missing:?}");
        let path = field("io.k8s.api.core.v1.Volume", "hostPath").unwrap();
        assert_eq!((path.path.as_slice(), path.go), ([2, 1].as_slice(), "*v1.HostPathVolumeSource"));
    }
}
