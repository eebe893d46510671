//! What decides, beside an object itself, what an apply of it means: schemas, and whoever changes objects on their way in.
//!
//! Enters: the custom resource definitions, the hashes of the OpenAPI index, the mutating webhooks and admission policies.
//! Leaves: one number for each API version, which moves when any of that changes. What trueup may not read stands still in
//! it, and is left to the audit. Absent: what the rules say. Certificates of webhooks are left out: they change by the week.

use super::catalog::Catalog;
use super::rest::{Ask, METADATA, METADATA_LIST};
use super::watch::{WATCH_SECONDS, WATCH_SILENCE};
use super::{ClusterEvent, Inner};
use futures::FutureExt as _;
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::hash::{Hash as _, Hasher};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use trueup_model::{GroupKind, Value};

/// How often the OpenAPI index is read. What changes a schema is watched, but for an upgrade of the API server or of one behind it.
const POLL: Duration = Duration::from_mins(5);
/// How soon it is read after a change: it follows the definitions with a delay.
const POLL_AFTER_CHANGE: [Duration; 3] =
    [Duration::from_secs(5), Duration::from_secs(15), Duration::from_mins(1)];
/// How long to wait where nothing may be watched, or a watch ends at once.
const UNWATCHED: Duration = Duration::from_mins(4);
/// A watch that ends sooner is none.
const AT_ONCE: Duration = Duration::from_secs(2);
/// The API server follows its own configuration with a delay (policies: a second, and longer where it is busy): what it is asked
/// before would be answered by the old rules, and taken for an answer by the new ones.
const SETTLE: Duration = Duration::from_secs(5);

/// A hash that is the same in every build, since it is stored.
#[derive(Default)]
struct Sum(Sha256);

impl Hasher for Sum {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let full = self.0.clone().finalize();
        full.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// The rules in force, as numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    /// By `apps/v1`.
    openapi: BTreeMap<String, u64>,
    /// By group: its custom resource definitions.
    definitions: BTreeMap<String, u64>,
    /// Who changes objects of which groups on their way in.
    admission: Vec<(Vec<String>, u64)>,
}

impl Epochs {
    /// A number for the rules by which objects of an API version (`apps/v1`) are read and changed on their way in; 0 only where
    /// nothing is known yet.
    pub fn of(&self, api_version: &str) -> u64 {
        if *self == Self::default() {
            return 0;
        }
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let mut hash = Sum::default();
        self.openapi.get(api_version).hash(&mut hash);
        self.definitions.get(group).hash(&mut hash);
        for (groups, rules) in &self.admission {
            if groups.iter().any(|other| other == "*" || other == group) {
                rules.hash(&mut hash);
            }
        }
        // 0 is taken.
        hash.finish() | 1
    }
}

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// The collections of what changes objects: webhooks, policies, their bindings; as far as the cluster serves them.
fn collections(catalog: &Catalog) -> [Option<String>; 3] {
    ["MutatingWebhookConfiguration", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"].map(
        |kind| {
            catalog
                .preferred(&GroupKind::new("admissionregistration.k8s.io", kind))
                .map(|resource| resource.collection(None))
        },
    )
}

/// Reads all of it anew. What cannot be read stays as it was.
pub(super) async fn refresh(cluster: &Inner) -> Vec<(String, String)> {
    let mut epochs = Epochs::clone(&cluster.rules());
    let mut watched = Vec::new();
    if let Some(openapi) = openapi(cluster).await {
        epochs.openapi = openapi;
    }
    if let Some(list) = list(cluster, DEFINITIONS, Some(METADATA_LIST)).await {
        epochs.definitions = definitions(&list);
        watched.push((DEFINITIONS.to_owned(), version(&list)));
    }
    let mut lists = Vec::new();
    for path in collections(&cluster.catalog()).into_iter().flatten() {
        if let Some(list) = list(cluster, &path, None).await {
            watched.push((path, version(&list)));
            lists.push(list);
        }
    }
    if !lists.is_empty() {
        epochs.admission = admission(&lists);
    }
    put(cluster, &epochs);
    watched
}

fn put(cluster: &Inner, epochs: &Epochs) {
    let before = {
        let mut known = cluster.epochs.write().unwrap_or_else(PoisonError::into_inner);
        if **known == *epochs {
            return;
        }
        std::mem::replace(&mut *known, Arc::new(epochs.clone()))
    };
    let stands = |version: &str| before.of(version) == epochs.of(version);
    cluster.familiar().retain(|(_, version), _| stands(version));
    if *before != Epochs::default() {
        cluster.tell(ClusterEvent::Catalog);
    }
}

async fn openapi(cluster: &Inner) -> Option<BTreeMap<String, u64>> {
    let index =
        cluster.rest.json(Ask::get("get", &"the OpenAPI index", "/openapi/v3".to_owned())).await.ok()?;
    Some(hashes(&index))
}

fn hashes(index: &Value) -> BTreeMap<String, u64> {
    let paths = index.get("paths").and_then(Value::as_object).into_iter().flatten();
    let of_version = |(path, entry): (&String, &Value)| {
        let version = path.strip_prefix("apis/").or_else(|| path.strip_prefix("api/"))?;
        Some((version.to_owned(), number(entry.get("serverRelativeURL")?)))
    };
    paths.filter_map(of_version).collect()
}

async fn list(cluster: &Inner, path: &str, accept: Option<&'static str>) -> Option<Value> {
    let mut ask = Ask::get("list", &path, path.to_owned());
    ask.accept = accept;
    cluster.rest.json(ask).await.ok()
}

fn version(list: &Value) -> String {
    text(list, "/metadata/resourceVersion").to_owned()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.get("items").and_then(Value::as_array).into_iter().flatten()
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value) -> u64 {
    let mut hash = Sum::default();
    value.to_string().hash(&mut hash);
    hash.finish()
}

// The generation of a definition moves with its spec and not with its status.
fn definitions(list: &Value) -> BTreeMap<String, u64> {
    let mut groups: BTreeMap<String, Sum> = BTreeMap::new();
    for item in items(list) {
        let name = text(item, "/metadata/name");
        let Some((_, group)) = name.split_once('.') else { continue };
        let hash = groups.entry(group.to_owned()).or_default();
        (name, text(item, "/metadata/uid")).hash(hash);
        item.pointer("/metadata/generation").and_then(Value::as_i64).hash(hash);
    }
    groups.into_iter().map(|(group, hash)| (group, hash.finish())).collect()
}

fn admission(lists: &[Value]) -> Vec<(Vec<String>, u64)> {
    let all = || lists.iter().flat_map(items);
    let mut found = Vec::new();
    for webhook in all().filter_map(|item| item.get("webhooks")?.as_array()).flatten() {
        let mut webhook = webhook.clone();
        if let Some(client) = webhook.get_mut("clientConfig").and_then(Value::as_object_mut) {
            client.remove("caBundle");
        }
        found.push((groups(webhook.get("rules")), number(&webhook)));
    }
    for policy in all().filter(|item| item.pointer("/spec/matchConstraints").is_some()) {
        let name = text(policy, "/metadata/name");
        let mut hash = Sum::default();
        policy.get("spec").map(number).hash(&mut hash);
        for binding in all().filter(|item| text(item, "/spec/policyName") == name) {
            binding.get("spec").map(number).hash(&mut hash);
        }
        found.push((groups(policy.pointer("/spec/matchConstraints/resourceRules")), hash.finish()));
    }
    found
}

/// The groups of rules that are about changes of objects that exist.
fn groups(rules: Option<&Value>) -> Vec<String> {
    let texts = |rule: &Value, field: &str| -> Vec<String> {
        let all = rule.get(field).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let about_updates = |rule: &&Value| {
        texts(rule, "operations").iter().any(|operation| operation == "UPDATE" || operation == "*")
    };
    let rules = rules.and_then(Value::as_array).into_iter().flatten();
    rules.filter(about_updates).flat_map(|rule| texts(rule, "apiGroups")).collect()
}

/// Keeps the numbers current until the cluster is let go.
pub(super) async fn follow(cluster: Arc<Inner>) {
    let mut soon = [].iter();
    loop {
        let era = cluster.era();
        let followed = refresh(&cluster).await;
        let watches: Vec<_> =
            followed.iter().map(|(path, from)| change(&cluster, path, from).boxed()).collect();
        let mut changed = if watches.is_empty() {
            tokio::time::sleep(UNWATCHED).boxed()
        } else {
            futures::future::select_all(watches).map(|_| ()).boxed()
        };
        loop {
            let next = soon.next().copied().unwrap_or(POLL);
            tokio::select! {
                biased;
                () = cluster.stop.cancelled() => return,
                () = era.cancelled() => break,
                () = &mut changed => break,
                () = tokio::time::sleep(next) => {
                    if let Some(openapi) = openapi(&cluster).await {
                        let known = Epochs::clone(&cluster.rules());
                        put(&cluster, &Epochs { openapi, ..known });
                    }
                }
            }
        }
        if cluster.pause(SETTLE).await {
            return;
        }
        soon = POLL_AFTER_CHANGE.iter();
    }
}

/// Ends when something of the collection has changed, or cannot be followed any further.
async fn change(cluster: &Inner, path: &str, from: &str) {
    let mut version = from.to_owned();
    loop {
        let began = tokio::time::Instant::now();
        match quiet(cluster, path, &version).await {
            // Who is only told that nothing happened goes on from there.
            Some(seen) => version = seen,
            None => return,
        }
        if began.elapsed() < AT_ONCE {
            return tokio::time::sleep(UNWATCHED).await;
        }
    }
}

/// Watches as long as nothing happens; gives the version until which nothing did, or `None` where something did.
async fn quiet(cluster: &Inner, path: &str, from: &str) -> Option<String> {
    let uri = format!(
        "{path}?watch=true&allowWatchBookmarks=true&resourceVersion={from}&timeoutSeconds={WATCH_SECONDS}"
    );
    let mut ask = Ask::get("watch", &path, uri);
    ask.accept = Some(METADATA);
    let Ok(mut body) = cluster.rest.stream(ask).await else {
        // What may be listed and not watched is listed again after a while.
        tokio::time::sleep(UNWATCHED).await;
        return None;
    };
    let (mut version, mut buffer) = (from.to_owned(), Vec::new());
    loop {
        let frame = tokio::time::timeout(WATCH_SILENCE, body.frame()).await;
        let Ok(Some(Ok(frame))) = frame else { return Some(version) };
        buffer.extend_from_slice(&frame.into_data().unwrap_or_default());
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            version = bookmark(&line)?;
        }
    }
}

/// The version of an event that says nothing else.
fn bookmark(line: &[u8]) -> Option<String> {
    let event: Value = serde_json::from_slice(line).ok()?;
    let version = text(&event, "/object/metadata/resourceVersion");
    (text(&event, "/type") == "BOOKMARK" && !version.is_empty()).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definitions_of(generation: i64) -> BTreeMap<String, u64> {
        let item = |name: &str, generation: i64| json!({"metadata": {"name": name, "uid": name, "generation": generation}});
        definitions(&json!({"items": [item("as.one.example", generation), item("bs.two.example", 1)]}))
    }

    fn webhook(group: &str, operation: &str, certificate: &str) -> Vec<(Vec<String>, u64)> {
        admission(&[
            json!({"items": [{"webhooks": [{"name": "w", "clientConfig": {"url": "u", "caBundle": certificate},
            "rules": [{"apiGroups": [group], "operations": [operation]}]}]}]}),
        ])
    }

    #[test]
    fn a_changed_definition_moves_its_own_group_alone() {
        let of = |generation| Epochs { definitions: definitions_of(generation), ..Epochs::default() };
        let (before, after) = (of(1), of(2));
        assert_ne!(before.of("one.example/v1"), after.of("one.example/v1"));
        assert_eq!(before.of("two.example/v1"), after.of("two.example/v1"));
        assert_eq!(before.of("v1"), after.of("v1"));
        assert_eq!(Epochs::default().of("v1"), 0, "nothing is known yet");
    }

    #[test]
    fn a_webhook_moves_what_it_may_change_and_its_certificate_moves_nothing() {
        let of = |admission| Epochs { definitions: definitions_of(1), admission, ..Epochs::default() };
        let (none, apps) = (of(Vec::new()), of(webhook("apps", "UPDATE", "a")));
        assert_ne!(none.of("apps/v1"), apps.of("apps/v1"));
        assert_eq!(none.of("v1"), apps.of("v1"));
        assert_eq!(apps.of("apps/v1"), of(webhook("apps", "UPDATE", "b")).of("apps/v1"));
        assert_ne!(none.of("v1"), of(webhook("*", "*", "a")).of("v1"));
        assert_eq!(none.of("apps/v1"), of(webhook("apps", "DELETE", "a")).of("apps/v1"));
    }

    #[test]
    fn a_policy_counts_with_its_bindings() {
        let of = |bindings: Value| {
            let policy = json!({"metadata": {"name": "p"}, "spec": {"matchConstraints": {"resourceRules": [{"apiGroups": [""], "operations": ["UPDATE"]}]}}});
            let admission = admission(&[json!({"items": [policy]}), json!({"items": bindings})]);
            Epochs { admission, ..Epochs::default() }.of("v1")
        };
        assert_ne!(of(json!([])), of(json!([{"metadata": {"name": "b"}, "spec": {"policyName": "p"}}])));
        assert_eq!(of(json!([])), of(json!([{"metadata": {"name": "b"}, "spec": {"policyName": "other"}}])));
    }

    #[test]
    fn a_bookmark_says_that_nothing_happened_and_any_other_event_that_something_did() {
        let event =
            |kind: &str| json!({"type": kind, "object": {"metadata": {"resourceVersion": "7"}}}).to_string();
        assert_eq!(bookmark(event("BOOKMARK").as_bytes()), Some("7".to_owned()));
        for other in ["ADDED", "MODIFIED", "DELETED", "ERROR"] {
            assert_eq!(bookmark(event(other).as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn the_openapi_index_is_read_by_api_version() {
        let index = json!({"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=A"},
            "apis/apps/v1": {"serverRelativeURL": "/openapi/v3/apis/apps/v1?hash=B"}, "version": {"serverRelativeURL": "x"}}});
        assert_eq!(hashes(&index).keys().collect::<Vec<_>>(), ["apps/v1", "v1"]);
    }
}
