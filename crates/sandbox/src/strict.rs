//! Fields that a kind does not have: refused, told as warnings, or dropped without a word, as `fieldValidation` asks.
//!
//! Enters: an object as it was sent. Leaves: a refusal or warnings. Absent: keys that come twice, of which the last is all
//! that is left once an object is read.
//!
//! Source: KEP-2885; k8s.io/apiserver `pkg/endpoints/handlers/create.go` and `patch.go`.

use crate::Sandbox;
use crate::answer::{About, Cause, Refusal};
use crate::fields::reference;
use crate::kinds::{Kind, models};
use crate::request::{Request, Target};
use serde_json::{Map, Value};

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
        let unknown = unknown(&target.kind, object);
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
    let Some(properties) = models().get(type_name).and_then(|model| model["properties"].as_object()) else {
        return;
    };
    for (name, value) in value.as_object().into_iter().flatten() {
        let at = join(at, name);
        match properties.get(name) {
            Some(schema) => of_schema(value, schema, &at, found),
            None => tell(&at, found),
        }
    }
}

fn of_schema(value: &Value, schema: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(name) = reference(schema) {
        return of_type(value, name, at, found);
    }
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                of_schema(item, &schema["items"], &format!("{at}[{index}]"), found);
            }
        }
        Value::Object(entries) => {
            for (name, entry) in entries {
                of_schema(entry, &schema["additionalProperties"], &join(at, name), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
