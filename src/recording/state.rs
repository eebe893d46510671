//! What was known at a moment of a recording: the configuration, the commit of each repository, and the objects of each cluster.

use super::{Entry, Line, VERSION};
use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::path::Path;
use trueup_model::ObjectId;
use trueup_plan::apply_set::PART_OF;
use trueup_plan::record::TargetStatus;

/// What had come in.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// When the last of it came.
    pub(super) at: Timestamp,
    /// The documents of the configuration.
    pub(super) configuration: Vec<Value>,
    /// The last commit of each repository, by its address and what of it is followed.
    pub(super) commits: BTreeMap<(String, Option<String>), String>,
    /// What the files of a commit of a repository hold, by path.
    pub(super) files: BTreeMap<(String, String), BTreeMap<String, String>>,
    /// Texts by what they are known by.
    pub(super) contents: BTreeMap<String, Option<String>>,
    /// By name.
    pub(super) clusters: BTreeMap<String, Cluster>,
    /// How each target stood after its last turn.
    pub(super) turns: BTreeMap<String, TargetStatus>,
    /// Whether something is missing that came later.
    pub(super) is_cut: bool,
}

/// What was known of a cluster.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    pub(super) objects: BTreeMap<ObjectId, Value>,
    /// Kinds as discovery tells of them.
    pub(super) kinds: Vec<Value>,
    /// What a list that comes as a watch has shown so far, by path.
    shown: BTreeMap<String, BTreeSet<ObjectId>>,
}

/// Reads a recording as far as `until`.
pub(super) fn read(path: &Path, until: Option<Timestamp>) -> Result<Known> {
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut known = Known::default();
    for (number, line) in std::io::BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| path.display().to_string())?;
        let line: Line = match serde_json::from_str(&line) {
            Ok(line) => line,
            Err(_) if number == 0 => bail!("{}: is no recording of trueup's", path.display()),
            Err(error) => {
                // The last line of a process that was killed.
                tracing::warn!(line = number + 1, %error, "the recording is not read any further");
                break;
            }
        };
        match &line.entry {
            Entry::Recording { version, .. } if *version != VERSION => {
                bail!("{}: has shape {version}, and this trueup reads {VERSION}", path.display())
            }
            _ if until.is_some_and(|until| line.at > until) => break,
            entry => {
                known.at = line.at;
                known.take(entry);
            }
        }
    }
    if known.configuration.is_empty() {
        bail!("{}: nothing was configured by then", path.display());
    }
    Ok(known)
}

impl Known {
    fn take(&mut self, entry: &Entry) {
        match entry {
            Entry::Recording { .. } => {}
            Entry::Configuration(documents) => self.configuration.clone_from(documents),
            Entry::Commit { repository, followed, revision } => {
                self.commits.insert((repository.clone(), followed.clone()), revision.clone());
            }
            Entry::File { repository, revision, path, content } => {
                let files = self.files.entry((repository.clone(), revision.clone())).or_default();
                files.insert(path.clone(), content.clone());
            }
            Entry::Content { id, text } => drop(self.contents.insert(id.clone(), text.clone())),
            Entry::Answer { cluster, method, path, query, code, body } => {
                let cluster = self.clusters.entry(cluster.clone()).or_default();
                cluster.answer(method, path, query, *code, body);
            }
            Entry::Turn { status, .. } => drop(self.turns.insert(status.target.clone(), (**status).clone())),
            Entry::Full {} => self.is_cut = true,
        }
    }
}

impl Cluster {
    fn answer(&mut self, method: &str, path: &str, query: &str, code: u16, body: &Value) {
        if query.contains("dryRun") {
            return;
        }
        if code == 404 && !body["details"]["kind"].is_null() {
            if let Some(id) = named(path, &self.objects) {
                self.objects.remove(&id);
            }
            return;
        }
        if !(200..300).contains(&code) {
            return;
        }
        if query.contains("watch=true") {
            return self.event(path, query, body);
        }
        match body["kind"].as_str() {
            Some("APIGroupDiscoveryList") => {
                let new = body["items"].as_array().cloned().unwrap_or_default();
                let is_old = |item: &Value| {
                    new.iter().any(|other| other["metadata"]["name"] == item["metadata"]["name"])
                };
                self.kinds.retain(|item| !is_old(item));
                self.kinds.extend(new);
            }
            Some("Status") if method == "DELETE" => {
                if let Some(id) = named(path, &self.objects) {
                    self.objects.remove(&id);
                }
            }
            Some(kind) if kind.ends_with("List") && body["items"].is_array() => {
                self.list(path, query, kind, body);
            }
            Some(_) => self.put(body),
            None => {}
        }
    }

    /// Puts an object in that came whole.
    fn put(&mut self, object: &Value) {
        let kind = object["kind"].as_str().unwrap_or_default();
        let is_object = object["metadata"]["uid"].is_string() && object["apiVersion"].is_string();
        if is_object && kind != "PartialObjectMetadata" && kind != "Event" {
            self.objects.insert(ObjectId::of(object), object.clone());
        }
    }

    fn list(&mut self, path: &str, query: &str, kind: &str, list: &Value) {
        let mut listed = BTreeSet::new();
        for item in list["items"].as_array().into_iter().flatten() {
            let mut item = item.clone();
            if item["kind"].is_null() {
                item["kind"] = kind.trim_end_matches("List").into();
                item["apiVersion"] = list["apiVersion"].clone();
            }
            listed.insert(ObjectId::of(&item));
            self.put(&item);
        }
        let is_whole = list["metadata"]["continue"].as_str().unwrap_or_default().is_empty()
            && !query.contains("continue=")
            && query.contains("labelSelector=applyset.kubernetes.io%2Fpart-of");
        if is_whole {
            self.retain(path, &listed);
        }
    }

    fn event(&mut self, path: &str, query: &str, event: &Value) {
        let object = &event["object"];
        match event["type"].as_str() {
            // It begins.
            None if query.contains("sendInitialEvents=true") => {
                self.shown.insert(path.to_owned(), BTreeSet::new());
            }
            Some("ADDED" | "MODIFIED") => {
                if let Some(shown) = self.shown.get_mut(path) {
                    shown.insert(ObjectId::of(object));
                }
                self.put(object);
            }
            Some("DELETED") => drop(self.objects.remove(&ObjectId::of(object))),
            Some("BOOKMARK")
                if object["metadata"]["annotations"]["k8s.io/initial-events-end"].is_string() =>
            {
                if let Some(shown) = self.shown.remove(path) {
                    self.retain(path, &shown);
                }
            }
            Some(_) | None => {}
        }
    }

    /// Takes members out that a complete list of a kind did not show.
    fn retain(&mut self, path: &str, listed: &BTreeSet<ObjectId>) {
        let (group, plural, namespace) = collection(path);
        self.objects.retain(|id, object| {
            let is_meant = id.group == group
                && plural_of(&id.kind) == plural
                && (namespace.is_empty() || id.namespace == namespace)
                && object["metadata"]["labels"][PART_OF].is_string();
            !is_meant || listed.contains(id)
        });
    }
}

/// Group, name of the kind in paths, and namespace of a path of a collection.
fn collection(path: &str) -> (&str, &str, &str) {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["api", _, "namespaces", namespace, plural, ..] => ("", plural, namespace),
        ["api", _, plural, ..] => ("", plural, ""),
        ["apis", group, _, "namespaces", namespace, plural, ..] => (group, plural, namespace),
        ["apis", group, _, plural, ..] => (group, plural, ""),
        _ => ("", "", ""),
    }
}

/// The object that a path names, among those that are known.
fn named(path: &str, objects: &BTreeMap<ObjectId, Value>) -> Option<ObjectId> {
    let (group, plural, namespace) = collection(path);
    let name = path.rsplit('/').next()?;
    let is_meant = |id: &&ObjectId| {
        id.group == group && plural_of(&id.kind) == plural && id.namespace == namespace && id.name == name
    };
    objects.keys().find(is_meant).cloned()
}

/// A kind as paths have it, as its definition would have it unless somebody had other ideas.
fn plural_of(kind: &str) -> String {
    let kind = kind.to_lowercase();
    match kind.as_bytes() {
        [.., b's' | b'x'] if kind != "endpoints" => format!("{kind}es"),
        [.., before, b'y'] if !b"aeiou".contains(before) => format!("{}ies", &kind[..kind.len() - 1]),
        [.., b's'] => kind,
        _ => format!("{kind}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(name: &str, set: Option<&str>) -> Value {
        let labels = set.map(|set| json!({PART_OF: set})).unwrap_or_default();
        json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, "namespace": "a", "uid": name, "labels": labels}})
    }

    fn names(cluster: &Cluster) -> Vec<&str> {
        cluster.objects.keys().map(|id| id.name.as_str()).collect()
    }

    #[test]
    fn what_a_new_list_or_a_deletion_does_not_have_any_more_is_gone() {
        let mut cluster = Cluster::default();
        let items = |names: &[&str]| -> Value { names.iter().map(|name| object(name, Some("s"))).collect() };
        let list = |names: &[&str]| json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {}, "items": items(names)});
        let query = "labelSelector=applyset.kubernetes.io%2Fpart-of&limit=500";
        cluster.answer("GET", "/api/v1/configmaps", query, 200, &list(&["x", "y"]));
        cluster.put(&object("record", None));
        cluster.answer("GET", "/api/v1/configmaps", query, 200, &list(&["y"]));
        assert_eq!(names(&cluster), ["record", "y"]);
        cluster.answer("DELETE", "/api/v1/namespaces/a/configmaps/y", "", 200, &json!({"kind": "Status"}));
        assert_eq!(names(&cluster), ["record"]);
    }

    #[test]
    fn events_are_followed_and_a_list_that_comes_as_a_watch_is_complete_at_its_end() {
        let mut cluster = Cluster::default();
        cluster.put(&object("old", Some("s")));
        let (path, query) = ("/api/v1/configmaps", "watch=true&sendInitialEvents=true");
        let mut event = |event: Value| cluster.answer("GET", path, query, 200, &event);
        event(Value::Null);
        event(json!({"type": "ADDED", "object": object("new", Some("s"))}));
        event(
            json!({"type": "BOOKMARK", "object": {"metadata": {"annotations": {"k8s.io/initial-events-end": "true"}}}}),
        );
        event(json!({"type": "ADDED", "object": object("newer", Some("s"))}));
        event(json!({"type": "DELETED", "object": object("newer", Some("s"))}));
        assert_eq!(names(&cluster), ["new"]);
    }
}
