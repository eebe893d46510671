//! Fields that a kind does not have, and keys that come twice: refused, told as warnings, or dropped without a word, as
//! `fieldValidation` asks.
//!
//! Enters: an object as it was sent. Leaves: a refusal or warnings. Absent: keys that come twice in YAML, which is read elsewhere.
//!
//! Source: KEP-2885; k8s.io/apiserver `pkg/endpoints/handlers/create.go` and `patch.go`.

use crate::Sandbox;
use crate::answer::{About, Cause, Refusal};
use crate::kinds::Kind;
use crate::request::{Request, Target};
use crate::shapes::{Part, Shape, shape};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

impl Sandbox {
    /// Looks for fields that the kind does not have in what was sent.
    pub(crate) fn check_known(
        &mut self,
        request: &Request<'_>,
        target: &Target,
        object: &Value,
    ) -> Result<(), Refusal> {
        if target.subresource == "scale" {
            return Ok(());
        }
        let validation = request.option("fieldValidation").unwrap_or_default();
        if validation == "Ignore" {
            return Ok(());
        }
        let mut unknown = unknown(&target.kind, object);
        if !request.content_type.contains("yaml") {
            let words =
                if request.content_type.starts_with("application/json-patch") { "json patch " } else { "" };
            let twice = twice(request.body);
            unknown.splice(0..0, twice.iter().map(|path| format!("{words}duplicate field {path:?}")));
        }
        if unknown.is_empty() {
            return Ok(());
        }
        if validation != "Strict" {
            self.warnings.extend(unknown);
            return Ok(());
        }
        let why = format!("strict decoding error: {}", unknown.join(", "));
        if request.method == "PATCH" {
            let message = format!("Invalid value: {:?}: {why}", object.to_string());
            let cause = Cause { reason: "FieldValueInvalid", message, field: "patch".to_owned() };
            return Err(Refusal::invalid(About::default(), vec![cause]));
        }
        let Kind { kind, version, .. } = target.kind.as_ref();
        Err(Refusal::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {kind}: {why}"
        )))
    }

    /// What the last answer warns of, as the text of `Warning` headers; nobody is told twice.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }
}

/// The keys that come more than once in a JSON document, each told once: `spec.containers[0].image`.
fn twice(body: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let seed = Twice { at: String::new(), found: &mut found };
    // What cannot be read is refused where it is read.
    let _ = seed.deserialize(&mut serde_json::Deserializer::from_slice(body));
    found
}

struct Twice<'f> {
    at: String,
    found: &'f mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Twice<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Twice<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let at = join(&self.at, &key);
            if !seen.insert(key) && !self.found.contains(&at) {
                self.found.push(at.clone());
            }
            map.next_value_seed(Twice { at, found: self.found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut index = 0;
        while items
            .next_element_seed(Twice { at: format!("{}[{index}]", self.at), found: self.found })?
            .is_some()
        {
            index += 1;
        }
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

fn unknown(kind: &Kind, object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match (&kind.custom, kind.type_ref.named.as_deref()) {
        (Some(custom), _) => {
            let schema = &custom.schema;
            let known = |name: &String| matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
            let rest: Map<String, Value> = object
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(name, _)| !known(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            of_type(
                &object["metadata"],
                "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
                "metadata",
                &mut found,
            );
            structural(&rest.into(), schema, "", &mut found);
        }
        (None, Some(type_name)) => of_type(object, type_name, "", &mut found),
        (None, None) => {}
    }
    found
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

fn tell(at: &str, found: &mut Vec<String>) {
    found.push(format!("unknown field {at:?}"));
}

fn structural(value: &Value, schema: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let additional = &schema["additionalProperties"];
            let keeps =
                schema["x-kubernetes-preserve-unknown-fields"] == true || *additional == Value::Bool(true);
            for (name, value) in fields {
                let at = join(at, name);
                match schema["properties"].get(name) {
                    Some(below) => structural(value, below, &at, found),
                    None if additional.is_object() => structural(value, additional, &at, found),
                    None if keeps => {}
                    None => tell(&at, found),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                structural(item, &schema["items"], &format!("{at}[{index}]"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn of_type(value: &Value, type_name: &str, at: &str, found: &mut Vec<String>) {
    const NOTHING: &str = "v1.CustomResourceSubresourceStatus";
    let has_fields = |shape: &&Shape| shape.fields.is_some() || shape.name.ends_with(NOTHING);
    let Some(shape) = shape(type_name).filter(has_fields) else { return };
    for (name, value) in value.as_object().into_iter().flatten() {
        let at = join(at, name);
        match shape.field(name) {
            Some(field) => of_part(value, &field.part, &at, found),
            None => tell(&at, found),
        }
    }
}

fn of_part(value: &Value, part: &Part, at: &str, found: &mut Vec<String>) {
    if let Some(name) = part.type_name {
        return of_type(value, name, at, found);
    }
    match (value, &part.items, &part.entries) {
        (Value::Array(items), Some(part), _) => {
            for (index, item) in items.iter().enumerate() {
                of_part(item, part, &format!("{at}[{index}]"), found);
            }
        }
        (Value::Object(entries), _, Some(part)) => {
            for (name, entry) in entries {
                of_part(entry, part, &join(at, name), found);
            }
        }
        (_, _, _) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_come_twice_are_found_wherever_they_are() {
        for (body, expected) in [
            (r#"{"a": 1, "b": {"a": 1}}"#, &[][..]),
            (r#"{"a": 1, "a": 2, "a": 3}"#, &["a"]),
            (r#"{"spec": {"list": [{}, {"x": 1.5, "x": null}]}, "spec": true}"#, &["spec.list[1].x", "spec"]),
            (r#"{"a": 1, "b""#, &[]),
        ] {
            assert_eq!(twice(body.as_bytes()), expected, "{body}");
        }
    }
}
