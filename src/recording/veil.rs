//! Takes the values of Secrets out of what is recorded: equal values become equal hashes, so that what differed differs still.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeSet;
use trueup_merge::secrets::{MaskKey, is_secret, masked};
use trueup_model::tree::{join, parent};
use trueup_model::{Value, yaml};

const LAST_APPLIED: &str = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";

/// Hashes under one key.
pub(super) struct Veil {
    key: MaskKey,
    /// Files that a kustomization makes Secrets of.
    sources: BTreeSet<String>,
}

impl Veil {
    pub(super) fn new(key: MaskKey) -> Self {
        Self { key, sources: BTreeSet::new() }
    }

    fn hash(&self, bytes: &[u8]) -> String {
        masked(&String::from_utf8_lossy(bytes).into_owned().into(), &self.key)
    }

    /// An answer of an API server, or an event.
    pub(super) fn answer(&self, path: &str, code: u16, mut body: Value) -> Value {
        if !path.split('/').any(|part| part == "secrets") {
            self.everywhere(&mut body);
            return body;
        }
        if code >= 400 {
            // A refusal may quote what it refuses.
            return serde_json::json!({"kind": "Status", "status": "Failure", "code": code, "reason": body["reason"]});
        }
        if let Some(items) = body.get_mut("items").and_then(Value::as_array_mut) {
            for item in items {
                self.secret(item);
            }
        }
        if let Some(object) = body.get_mut("object") {
            self.secret(object);
        }
        self.secret(&mut body);
        body
    }

    /// Secrets that stand where none is expected.
    fn everywhere(&self, value: &mut Value) {
        if is_secret(value) {
            return self.secret(value);
        }
        match value {
            Value::Object(fields) => fields.values_mut().for_each(|value| self.everywhere(value)),
            Value::Array(items) => items.iter_mut().for_each(|value| self.everywhere(value)),
            Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => {}
        }
    }

    fn secret(&self, object: &mut Value) {
        let hidden = |value: &Value, decode: bool| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let plain = if decode {
                STANDARD.decode(&text).unwrap_or_else(|_| text.into_bytes())
            } else {
                text.into_bytes()
            };
            let hash = self.hash(&plain);
            Value::String(if decode { STANDARD.encode(hash) } else { hash })
        };
        for (field, decode) in [("data", true), ("stringData", false)] {
            match object.get_mut(field) {
                Some(Value::Object(values)) => {
                    values.values_mut().for_each(|value| *value = hidden(value, decode));
                }
                Some(Value::Null) | None => {}
                Some(other) => *other = hidden(other, decode),
            }
        }
        if let Some(value) = object.pointer_mut(LAST_APPLIED) {
            *value = hidden(value, false);
        }
    }

    /// A file of a repository; nothing where it is no text, or no YAML although its name says so: who knows what is in it.
    pub(super) fn file(&mut self, path: &str, bytes: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(bytes).ok()?;
        if self.sources.contains(path) {
            return Some(self.source(path, text));
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        let is_yaml =
            [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end)) || name == "Kustomization";
        if !is_yaml {
            return Some(text.to_owned());
        }
        let mut documents = values(text)?;
        let before = documents.clone();
        for document in &mut documents {
            self.everywhere(document);
            self.generators(parent(path), document);
        }
        if documents == before {
            return Some(text.to_owned());
        }
        Some(documents.iter().map(|document| format!("{document}\n")).collect::<Vec<_>>().join("---\n"))
    }

    /// What a kustomization makes Secrets of.
    fn generators(&mut self, folder: &str, document: &mut Value) {
        let generators = document.get_mut("secretGenerator").and_then(Value::as_array_mut);
        for generator in generators.into_iter().flatten() {
            let named = ["files", "envs", "env"].into_iter().filter_map(|field| generator.get(field));
            for name in named.flat_map(texts) {
                let file = name.split_once('=').map_or(name.as_str(), |(_, file)| file);
                self.sources.extend(join(folder, file));
            }
            for literal in generator.get_mut("literals").and_then(Value::as_array_mut).into_iter().flatten() {
                let text = literal.as_str().unwrap_or_default().to_owned();
                let (key, value) = text.split_once('=').unwrap_or((text.as_str(), ""));
                *literal = format!("{key}={}", self.hash(value.trim_matches(['"', '\'']).as_bytes())).into();
            }
        }
    }

    fn source(&self, path: &str, text: &str) -> String {
        let is_env = path.rsplit_once('.').is_some_and(|(_, extension)| extension == "env");
        let is_list = is_env || text.lines().all(|line| line.is_empty() || line.contains('='));
        if !is_list {
            return self.hash(text.as_bytes());
        }
        let line = |line: &str| match line.split_once('=') {
            Some((key, value)) => format!("{key}={}\n", self.hash(value.as_bytes())),
            None => "\n".to_owned(),
        };
        text.lines().map(line).collect()
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Object(_) | Value::Number(_) | Value::Bool(_) | Value::Null => Vec::new(),
    }
}

fn values(text: &str) -> Option<Vec<Value>> {
    let documents = yaml::documents(text).ok()?;
    Some(documents.into_iter().map(|document| document.value).collect())
}

/// Takes user and password out of the addresses of a document.
pub(super) fn strip_credentials(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(strip_credentials),
        Value::Array(items) => items.iter_mut().for_each(strip_credentials),
        Value::String(text) => {
            if let Some((scheme, rest)) = text.split_once("://")
                && let Some((user, host)) = rest.split('/').next().unwrap_or_default().rsplit_once('@')
                && !user.is_empty()
                && scheme != "ssh"
            {
                let tail = rest.split_once('/').map_or(String::new(), |(_, tail)| format!("/{tail}"));
                *text = format!("{scheme}://{host}{tail}");
            }
        }
        Value::Number(_) | Value::Bool(_) | Value::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn veil() -> Veil {
        Veil::new([7; 32])
    }

    #[test]
    fn a_value_has_the_same_hash_in_git_and_in_the_cluster_and_is_in_neither() {
        let mut veil = veil();
        let live = json!({"kind": "SecretList", "apiVersion": "v1", "items": [{"metadata": {"name": "s"}, "data": {"p": STANDARD.encode("hunter2")}}]});
        let live = veil.answer("/api/v1/secrets", 200, live);
        let file = veil
            .file(
                "a/s.yaml",
                b"kind: Secret\napiVersion: v1\nmetadata: {name: s}\nstringData: {p: hunter2}\n",
            )
            .unwrap();
        let in_git: Value = serde_json::from_str(&file).unwrap();
        let in_cluster = STANDARD.decode(live["items"][0]["data"]["p"].as_str().unwrap()).unwrap();
        assert_eq!(in_git["stringData"]["p"].as_str().unwrap().as_bytes(), in_cluster);
        assert!(!format!("{live}{file}").contains("hunter2"));
        assert!(!format!("{live}").contains(&STANDARD.encode("hunter2")));
    }

    #[test]
    fn an_event_and_a_refusal_of_a_secret_show_nothing_of_it() {
        let veil = veil();
        let event = json!({"type": "ADDED", "object": {"kind": "Secret", "apiVersion": "v1", "data": {"p": "aHVudGVyMg=="},
            "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"data\":{\"p\":\"aHVudGVyMg==\"}}"}}}});
        let refusal = json!({"kind": "Status", "message": "hunter2 is no number", "reason": "Invalid"});
        let told = [
            veil.answer("/api/v1/secrets", 200, event),
            veil.answer("/api/v1/namespaces/a/secrets/s", 422, refusal),
        ];
        for told in told {
            assert!(
                !told.to_string().contains("hunter2") && !told.to_string().contains("aHVudGVyMg"),
                "{told}"
            );
        }
    }

    #[test]
    fn what_a_kustomization_makes_secrets_of_is_hidden_too() {
        let mut veil = veil();
        let text = "secretGenerator:\n- name: s\n  literals: [p=hunter2]\n  files: [token.txt, t=sub/other]\n  envs: [../all.env]\n";
        let told = veil.file("app/kustomization.yaml", text.as_bytes()).unwrap();
        let files = ["app/token.txt", "app/sub/other", "all.env"]
            .map(|path| veil.file(path, b"A=hunter2\n").unwrap());
        assert!(told.contains("p=<hash"), "{told}");
        assert!(files.iter().all(|file| file.starts_with("A=<hash")), "{files:?}");
        assert_eq!(veil.file("app/readme.txt", b"A=1").as_deref(), Some("A=1"));
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_what_holds_no_secret_stays_as_it_is() {
        let mut veil = veil();
        assert_eq!(veil.file("a.yaml", b"kind: Secret\nstringData: {p: hunter2\n"), None);
        let text = "# why\nkind: ConfigMap\napiVersion: v1\n";
        assert_eq!(veil.file("b.yaml", text.as_bytes()).as_deref(), Some(text));
    }

    #[test]
    fn an_address_keeps_its_place_and_loses_its_password() {
        let mut document =
            json!({"spec": {"url": "https://me:secret@git.example.com/a.git", "other": "ssh://git@host/a"}});
        strip_credentials(&mut document);
        assert_eq!(
            document["spec"],
            json!({"url": "https://git.example.com/a.git", "other": "ssh://git@host/a"})
        );
    }
}
