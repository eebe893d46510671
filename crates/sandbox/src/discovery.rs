//! What the API tells of itself: versions, groups, kinds and schemas.
//!
//! Source: aggregated discovery (KEP-3352), `APIGroupList`, `APIResourceList`, and `/openapi/v3` (KEP-2896).

use crate::Sandbox;
use crate::answer::Answer;
use crate::kinds::Kind;
use crate::request::Request;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The version of Kubernetes that the built-in kinds are those of.
const VERSION: &str = "v1.36.3";

impl Sandbox {
    /// The answer to a request that is about the API itself.
    pub(crate) fn discover(&self, request: &Request<'_>) -> Option<Answer> {
        if request.method != "GET" {
            return None;
        }
        let parts: Vec<&str> = request.path.split('/').filter(|part| !part.is_empty()).collect();
        Some(match parts.as_slice() {
            ["version"] => {
                Answer::ok(json!({"major": "1", "minor": "36", "gitVersion": VERSION, "gitCommit": "",
                "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux/amd64"}))
            }
            ["healthz" | "livez" | "readyz"] => Answer::ok("ok".into()),
            ["api"] if is_aggregated(request) => self.aggregated(""),
            ["apis"] if is_aggregated(request) => self.aggregated("*"),
            ["api"] => Answer::ok(json!({"kind": "APIVersions", "versions": ["v1"],
                "serverAddressByClientCIDRs": []})),
            ["apis"] => self.groups(),
            ["api", version] => self.resources("", version)?,
            ["apis", group] => Answer::ok(self.group(group)?),
            ["apis", group, version] => self.resources(group, version)?,
            ["openapi", "v3"] => self.documents(),
            ["openapi", "v3", "api", version] => self.document("", version)?,
            ["openapi", "v3", "apis", group, version] => self.document(group, version)?,
            _ => return None,
        })
    }

    /// Versions by group, the one that is preferred first.
    fn by_group(&self) -> BTreeMap<String, Vec<String>> {
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for kind in self.kinds.iter() {
            let versions = groups.entry(kind.group.clone()).or_default();
            if !versions.contains(&kind.version) {
                versions.push(kind.version.clone());
            }
        }
        for versions in groups.values_mut() {
            versions.sort_by_key(|version| std::cmp::Reverse(rank(version)));
        }
        groups
    }

    fn of(&self, group: &str, version: &str) -> impl Iterator<Item = &Arc<Kind>> {
        self.kinds.iter().filter(move |kind| kind.group == group && kind.version == version)
    }

    fn aggregated(&self, which: &str) -> Answer {
        let groups = self.by_group();
        let meant = groups.iter().filter(|(group, _)| group.is_empty() == which.is_empty());
        let items: Vec<Value> = meant
            .map(|(group, versions)| {
                let versions: Vec<Value> = versions
                    .iter()
                    .map(|version| {
                        let resources: Vec<Value> =
                            self.of(group, version).map(|kind| aggregated_kind(kind)).collect();
                        json!({"version": version, "freshness": "Current", "resources": resources})
                    })
                    .collect();
                let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
                json!({"metadata": metadata, "versions": versions})
            })
            .collect();
        Answer::Json {
            code: 200,
            body: json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}),
            media_type: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        }
    }

    fn groups(&self) -> Answer {
        let groups = self.by_group();
        let groups: Vec<Value> =
            groups.keys().filter(|name| !name.is_empty()).filter_map(|name| self.group(name)).collect();
        Answer::ok(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
    }

    fn group(&self, name: &str) -> Option<Value> {
        let groups = self.by_group();
        let versions: Vec<Value> = groups
            .get(name)?
            .iter()
            .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
            .collect();
        Some(json!({"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": versions,
            "preferredVersion": versions.first()}))
    }

    fn resources(&self, group: &str, version: &str) -> Option<Answer> {
        let mut resources = Vec::new();
        for kind in self.of(group, version) {
            resources.push(json!({"name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced,
                "kind": kind.kind, "verbs": kind.verbs, "shortNames": kind.short_names, "categories": kind.categories}));
            for subresource in &kind.subresources {
                let shown = subresource_kind(kind, subresource);
                resources.push(json!({"name": format!("{}/{subresource}", kind.plural), "singularName": "",
                    "namespaced": kind.namespaced, "kind": shown, "verbs": ["get", "patch", "update"]}));
            }
        }
        if resources.is_empty() {
            return None;
        }
        let name = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        Some(Answer::ok(
            json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": resources}),
        ))
    }

    fn documents(&self) -> Answer {
        let mut paths = Map::new();
        for (group, versions) in self.by_group() {
            for version in versions {
                let path = if group.is_empty() {
                    format!("api/{version}")
                } else {
                    format!("apis/{group}/{version}")
                };
                // The schemas of built-in kinds never change; those of others do so with their definitions.
                let hash: u64 = self
                    .of(&group, &version)
                    .filter_map(|kind| kind.custom.as_ref())
                    .flat_map(|custom| custom.schema.to_string().into_bytes())
                    .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                    });
                let url = format!("/openapi/v3/{path}?hash={hash:016X}");
                paths.insert(path, json!({"serverRelativeURL": url}));
            }
        }
        Answer::ok(json!({"paths": paths}))
    }

    fn document(&self, group: &str, version: &str) -> Option<Answer> {
        let mut schemas = Map::clone(&self.kinds.models);
        let mut paths = Map::new();
        for kind in self.of(group, version) {
            let known = json!([{"group": group, "version": version, "kind": kind.kind}]);
            paths.insert(path_of(kind), operations(&known[0]));
            let name = kind.type_ref.named.clone().unwrap_or_default();
            match &kind.custom {
                Some(custom) => {
                    let mut schema = custom.schema.clone();
                    schema["x-kubernetes-group-version-kind"] = known;
                    schemas.insert(name.replace('/', "."), schema);
                }
                None => {
                    if let Some(schema) = schemas.get_mut(&name) {
                        schema["x-kubernetes-group-version-kind"] = known;
                    }
                }
            }
        }
        let is_empty = paths.is_empty();
        let info = json!({"title": "Kubernetes", "version": VERSION});
        let document =
            json!({"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}});
        (!is_empty).then(|| Answer::ok(document))
    }
}

fn path_of(kind: &Kind) -> String {
    let root = if kind.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", kind.group) };
    let namespace = if kind.namespaced { "namespaces/{namespace}/" } else { "" };
    format!("{root}/{}/{namespace}{}/{{name}}", kind.version, kind.plural)
}

/// What clients look for before they leave validation to the server.
fn operations(kind: &Value) -> Value {
    let options: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation", "force"]
        .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}))
        .into();
    json!({"patch": {"parameters": options, "x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": kind}})
}

fn is_aggregated(request: &Request<'_>) -> bool {
    request.accept.contains("as=APIGroupDiscoveryList") && request.accept.contains("v=v2;")
}

fn aggregated_kind(kind: &Kind) -> Value {
    let subresources: Vec<Value> = kind
        .subresources
        .iter()
        .map(|name| {
            json!({"subresource": name, "responseKind": {"group": "", "version": "", "kind": subresource_kind(kind, name)},
                "verbs": ["get", "patch", "update"]})
        })
        .collect();
    json!({"resource": kind.plural, "singularResource": kind.singular, "verbs": kind.verbs,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "shortNames": kind.short_names, "categories": kind.categories, "subresources": subresources})
}

fn subresource_kind<'k>(kind: &'k Kind, subresource: &str) -> &'k str {
    if subresource == "scale" { "Scale" } else { &kind.kind }
}

/// How far ahead a version is: stable ones before betas before alphas, later ones before earlier.
fn rank(version: &str) -> (u8, u32, u32) {
    let digits = |text: &str| text.parse().unwrap_or(0);
    let text = version.strip_prefix('v').unwrap_or_default();
    for (word, stability) in [("beta", 1), ("alpha", 0)] {
        if let Some((major, minor)) = text.split_once(word) {
            return (stability, digits(major), digits(minor));
        }
    }
    (2, digits(text), 0)
}
