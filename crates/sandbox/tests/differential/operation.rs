//! One operation of a sequence: a request in which the places stand open that differ from server to server.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// What stands for the namespace of a sequence, and for the prefix of its names that are in no namespace.
pub const NAMESPACE: &str = "@ns@";

/// A request. In the path and in all texts of the body `@ns@` stands for the sequence's namespace, `$uid:PATH` and `$rv:PATH` for
/// what the server said last of the object at PATH, and `$continue` for the last token of a list.
#[derive(Clone)]
pub struct Operation {
    pub method: &'static str,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub accept: &'static str,
    pub media_type: &'static str,
    pub body: Option<Value>,
}

impl Operation {
    /// Whether nothing is stored by it.
    pub fn is_dry_run(&self) -> bool {
        let in_body = self.body.as_ref().is_some_and(|body| body["dryRun"].is_array());
        in_body || self.query.iter().any(|(key, _)| key == "dryRun")
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        for (index, (key, value)) in self.query.iter().enumerate() {
            write!(f, "{}{key}={value}", if index == 0 { '?' } else { '&' })?;
        }
        if self.accept != JSON {
            write!(f, " (as {})", self.accept)?;
        }
        if let Some(body) = &self.body {
            write!(f, " ({}) {body}", self.media_type)?;
        }
        Ok(())
    }
}

pub const JSON: &str = "application/json";
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
pub const APPLY: &str = "application/apply-patch+yaml";
pub const JSON_PATCH: &str = "application/json-patch+json";
pub const MERGE_PATCH: &str = "application/merge-patch+json";
pub const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// A request with nothing open.
#[derive(Clone)]
pub struct Filled {
    pub method: &'static str,
    pub path: String,
    pub query: String,
    pub accept: &'static str,
    pub media_type: &'static str,
    pub user: &'static str,
    pub body: Vec<u8>,
}

/// What one server said that later operations refer to.
#[derive(Default)]
pub struct Memory {
    objects: BTreeMap<String, (String, String)>,
    token: String,
}

impl Memory {
    /// Notes what an answer says.
    pub fn note(&mut self, path: &str, body: &Value) {
        let metadata = &body["metadata"];
        if let (Some(uid), Some(version)) = (metadata["uid"].as_str(), metadata["resourceVersion"].as_str()) {
            let name = metadata["name"].as_str().unwrap_or_default();
            let path = path.trim_end_matches("/status").trim_end_matches("/scale");
            let is_named = path.ends_with(&format!("/{name}"));
            let path = if is_named { path.to_owned() } else { format!("{path}/{name}") };
            self.objects.insert(path, (uid.to_owned(), version.to_owned()));
        }
        if body["items"].is_array() || body["rows"].is_array() {
            metadata["continue"].as_str().unwrap_or_default().clone_into(&mut self.token);
        }
    }

    fn fill_text(&self, text: &str, namespace: &str) -> String {
        if text == "$continue" {
            return self.token.clone();
        }
        let text = text.replace(NAMESPACE, namespace);
        let about = |prefix: &str| text.strip_prefix(prefix).map(|path| self.objects.get(path));
        match (about("$uid:"), about("$rv:")) {
            (Some(known), _) => known
                .map_or_else(|| "00000000-0000-4000-8000-000000000000".to_owned(), |known| known.0.clone()),
            (None, Some(known)) => known.map_or_else(|| "1".to_owned(), |known| known.1.clone()),
            (None, None) => text,
        }
    }

    fn fill_value(&self, value: &Value, namespace: &str) -> Value {
        match value {
            Value::String(text) => self.fill_text(text, namespace).into(),
            Value::Array(items) => items.iter().map(|item| self.fill_value(item, namespace)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(key, value)| (key.clone(), self.fill_value(value, namespace))).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// The request as this server gets it.
    pub fn fill(&self, operation: &Operation, namespace: &str) -> Filled {
        let query: Vec<String> = operation
            .query
            .iter()
            .map(|(key, value)| format!("{key}={}", encoded(&self.fill_text(value, namespace))))
            .collect();
        let body = operation.body.as_ref().map(|body| match self.fill_value(body, namespace) {
            // What no document can hold is sent as it is written.
            Value::String(text) => text,
            body => body.to_string(),
        });
        Filled {
            method: operation.method,
            path: operation.path.replace(NAMESPACE, namespace),
            query: query.join("&"),
            accept: operation.accept,
            media_type: operation.media_type,
            user: "",
            body: body.unwrap_or_default().into_bytes(),
        }
    }
}

fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
