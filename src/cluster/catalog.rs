//! The kinds that a cluster serves.
//!
//! Source: aggregated discovery (KEP-3352, `apidiscovery.k8s.io/v2`), with the older form where a server has no other.

use super::error::{ApiError, ApiErrorClass};
use super::rest::{Ask, Rest};
use bytes::Bytes;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use trueup_model::{GroupKind, ObjectId, Value};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// The core group, and all others.
const ROOTS: [&str; 2] = ["/api", "/apis"];

/// Whether a kind's objects live in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// They do.
    Namespaced,
    /// They belong to the cluster.
    Cluster,
}

/// A kind in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// API group, empty for the core group.
    pub group: String,
    /// Version: `v1`.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// The name in paths: `deployments`.
    pub plural: String,
    /// Namespaced or not.
    pub scope: Scope,
    /// `get`, `list`, `watch`, `patch`, ….
    pub verbs: Vec<String>,
}

impl Resource {
    /// The path of the kind's collection, in a namespace or over all of them.
    pub(super) fn collection(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        match (self.scope, namespace) {
            (Scope::Namespaced, Some(namespace)) => format!("{root}/namespaces/{namespace}/{}", self.plural),
            (Scope::Namespaced, None) | (Scope::Cluster, _) => format!("{root}/{}", self.plural),
        }
    }

    /// The path of an object.
    pub(super) fn object(&self, id: &ObjectId) -> String {
        format!("{}/{}", self.collection(Some(&id.namespace)), id.name)
    }

    /// `v1`, or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `widgets.example.com`.
    pub fn name(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }
}

/// All kinds of a cluster at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// The versions of each kind, the preferred one first.
    kinds: BTreeMap<GroupKind, Vec<Resource>>,
    /// Groups that could not be asked, and why.
    unknown: BTreeMap<String, String>,
}

impl Catalog {
    /// A kind in a version.
    pub fn resource(&self, group: &str, version: &str, kind: &str) -> Option<&Resource> {
        self.kinds.get(&GroupKind::new(group, kind))?.iter().find(|resource| resource.version == version)
    }

    /// A kind in the version that the server prefers.
    pub fn preferred(&self, kind: &GroupKind) -> Option<&Resource> {
        self.kinds.get(kind)?.first()
    }

    /// The versions that a kind is served in.
    pub fn versions(&self, kind: &GroupKind) -> Vec<String> {
        self.kinds
            .get(kind)
            .map(|all| all.iter().map(|resource| resource.version.clone()).collect())
            .unwrap_or_default()
    }

    /// Why nothing is known of a group, where that is so.
    pub fn unknown_group(&self, group: &str) -> Option<&str> {
        self.unknown.get(group).map(String::as_str)
    }

    /// All API versions, and each kind with its own before it: `apps/v1`, `apps/v1/Deployment`.
    pub fn api_versions(&self) -> Vec<String> {
        let mut all = std::collections::BTreeSet::new();
        for resource in self.kinds.values().flatten() {
            let version = resource.api_version();
            all.insert(format!("{version}/{}", resource.kind));
            all.insert(version);
        }
        all.into_iter().collect()
    }

    /// Whether nothing has been discovered yet.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }
}

/// Asks a server what it serves. What several servers say in the same words, or one of them again, is read and kept once.
pub(super) async fn discover(rest: &Rest) -> Result<Arc<Catalog>, ApiError> {
    let mut answers = Vec::new();
    for root in ROOTS {
        let mut ask = Ask::get("get", &"the API's kinds", root.to_owned());
        ask.accept = Some(AGGREGATED);
        answers.push(rest.bytes(ask).await?);
    }
    if let Some(catalog) = READ.find(&answers) {
        return Ok(catalog);
    }
    let (mut catalog, mut is_told) = (Catalog::default(), true);
    for (root, answer) in ROOTS.into_iter().zip(&answers) {
        let kind: Kind<'_> = read(answer)?;
        if kind.kind.as_deref() == Some("APIGroupDiscoveryList") {
            read_aggregated(&mut catalog, read(answer)?);
        } else {
            is_told = false;
            discover_each(rest, &mut catalog, root, &read(answer)?).await?;
        }
    }
    let catalog = Arc::new(catalog);
    // Where the answers do not tell all of it, the same ones may be of another catalog tomorrow.
    if is_told {
        READ.keep(answers, &catalog);
    }
    Ok(catalog)
}

/// What was read last, as it was told.
static READ: Known = Known(Mutex::new(VecDeque::new()));
/// How many different ones are kept: servers of a fleet say mostly the same.
const KNOWN: usize = 8;

/// Answers of servers, and what is in them.
struct Known(Mutex<VecDeque<(Vec<Bytes>, Arc<Catalog>)>>);

impl Known {
    fn find(&self, answers: &[Bytes]) -> Option<Arc<Catalog>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(told, _)| told == answers).map(|(_, catalog)| catalog.clone())
    }

    fn keep(&self, answers: Vec<Bytes>, catalog: &Arc<Catalog>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.truncate(KNOWN - 1);
        known.push_front((answers, catalog.clone()));
    }
}

fn read<'a, T: Deserialize<'a>>(answer: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(answer).map_err(|error| {
        ApiError::new(
            ApiErrorClass::Other,
            format!("get the API's kinds: the answer cannot be read: {error}"),
        )
    })
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    kind: Option<Cow<'a, str>>,
}

fn list<'v>(value: &'v Value, field: &str) -> impl Iterator<Item = &'v Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What of an aggregated answer says which kinds there are. All that a server may leave out may be null, too.
#[derive(Deserialize)]
struct Aggregated<'a> {
    #[serde(borrow)]
    items: Option<Vec<AggregatedGroup<'a>>>,
}

#[derive(Deserialize)]
struct AggregatedGroup<'a> {
    #[serde(borrow)]
    metadata: Named<'a>,
    versions: Option<Vec<AggregatedVersion<'a>>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct AggregatedVersion<'a> {
    #[serde(borrow)]
    version: Cow<'a, str>,
    freshness: Option<Cow<'a, str>>,
    resources: Option<Vec<AggregatedResource<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AggregatedResource<'a> {
    #[serde(borrow)]
    resource: Cow<'a, str>,
    response_kind: Option<ResponseKind<'a>>,
    scope: Option<Cow<'a, str>>,
    verbs: Option<Vec<Cow<'a, str>>>,
}

#[derive(Deserialize)]
struct ResponseKind<'a> {
    #[serde(borrow)]
    group: Option<Cow<'a, str>>,
    kind: Option<Cow<'a, str>>,
}

fn read_aggregated(catalog: &mut Catalog, answer: Aggregated<'_>) {
    for group in answer.items.into_iter().flatten() {
        let name = group.metadata.name.unwrap_or_default();
        for version in group.versions.into_iter().flatten() {
            if version.freshness.as_deref() == Some("Stale") {
                let why = format!("the server behind the API group {name} does not answer");
                catalog.unknown.insert(name.clone().into_owned(), why);
            }
            for resource in version.resources.into_iter().flatten() {
                let Some(ResponseKind { group, kind: Some(kind) }) = resource.response_kind else { continue };
                // A subresource, such as `scale`, may answer with a kind of another group.
                if group.is_some_and(|group| !group.is_empty() && group != name) {
                    continue;
                }
                let scope = match resource.scope.as_deref() {
                    Some("Namespaced") => Scope::Namespaced,
                    Some(_) | None => Scope::Cluster,
                };
                add(
                    catalog,
                    Resource {
                        group: name.clone().into_owned(),
                        version: version.version.clone().into_owned(),
                        kind: kind.into_owned(),
                        plural: resource.resource.into_owned(),
                        scope,
                        verbs: resource.verbs.into_iter().flatten().map(Cow::into_owned).collect(),
                    },
                );
            }
        }
    }
}

async fn discover_each(
    rest: &Rest,
    catalog: &mut Catalog,
    root: &str,
    answer: &Value,
) -> Result<(), ApiError> {
    let mut versions: Vec<(String, String)> = list(answer, "versions")
        .filter_map(|version| Some((String::new(), version.as_str()?.to_owned())))
        .collect();
    for group in list(answer, "groups") {
        for version in list(group, "versions") {
            versions.push((text(group, "/name"), text(version, "/version")));
        }
    }
    for (group, version) in versions {
        let uri =
            if group.is_empty() { format!("{root}/{version}") } else { format!("{root}/{group}/{version}") };
        let kinds = match rest.json(Ask::get("get", &"the API's kinds", uri)).await {
            Ok(kinds) => kinds,
            // A group whose server is down says nothing about the other groups.
            Err(error) if error.is_passing() && !group.is_empty() => {
                catalog.unknown.insert(group.clone(), error.to_string());
                continue;
            }
            Err(error) => return Err(error),
        };
        for resource in list(&kinds, "resources") {
            let plural = text(resource, "/name");
            if !plural.contains('/') {
                add(
                    catalog,
                    Resource {
                        group: group.clone(),
                        version: version.clone(),
                        kind: text(resource, "/kind"),
                        plural,
                        scope: match resource.get("namespaced").and_then(Value::as_bool) {
                            Some(true) => Scope::Namespaced,
                            Some(false) | None => Scope::Cluster,
                        },
                        verbs: list(resource, "verbs")
                            .filter_map(|verb| verb.as_str().map(str::to_owned))
                            .collect(),
                    },
                );
            }
        }
    }
    Ok(())
}

fn add(catalog: &mut Catalog, resource: Resource) {
    // Kinds that can only be created (reviews) have no objects to keep.
    if resource.kind.is_empty() || !resource.verbs.iter().any(|verb| verb == "get") {
        return;
    }
    let versions = catalog.kinds.entry(GroupKind::new(&resource.group, &resource.kind)).or_default();
    if !versions.iter().any(|known| known.version == resource.version) {
        versions.push(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_told_in_the_same_words_is_read_once_and_not_kept_for_ever() {
        let known = Known(Mutex::default());
        let answers = |number: usize| vec![Bytes::from("{}"), Bytes::from(number.to_string())];
        let first = Arc::new(Catalog::default());
        known.keep(answers(0), &first);
        assert!(Arc::ptr_eq(&known.find(&answers(0)).unwrap(), &first));
        assert!(known.find(&answers(1)).is_none());
        (1..=KNOWN).for_each(|number| known.keep(answers(number), &Arc::default()));
        assert!(known.find(&answers(0)).is_none());
        assert_eq!(known.0.lock().unwrap().len(), KNOWN);
    }

    #[test]
    fn aggregated_discovery_gives_versions_in_the_servers_order_and_names_stale_groups() {
        let mut catalog = Catalog::default();
        let resource = |kind: &str, plural: &str| {
            json!({"resource": plural, "scope": "Namespaced", "verbs": ["get", "list"],
            "responseKind": {"group": "", "version": "", "kind": kind}})
        };
        let answer = json!({"kind": "APIGroupDiscoveryList", "items": [
            {"metadata": {"name": "apps", "creationTimestamp": null}, "versions": [
                {"version": "v1", "freshness": "Current", "resources": [resource("Deployment", "deployments")]},
                {"version": "v1beta1", "resources": [
                    resource("Deployment", "deployments"),
                    {"resource": "tokens", "scope": "Namespaced", "verbs": ["get"],
                     "responseKind": {"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"}}]},
                {"version": "v1alpha1", "resources": null}]},
            {"metadata": {"name": "metrics.example.com"}, "versions": [{"version": "v1", "freshness": "Stale"}]}]});
        read_aggregated(&mut catalog, read(answer.to_string().as_bytes()).unwrap());
        assert!(catalog.versions(&GroupKind::new("apps", "TokenRequest")).is_empty());
        let kind = GroupKind::new("apps", "Deployment");
        assert_eq!(catalog.versions(&kind), ["v1", "v1beta1"]);
        let id = ObjectId::new("apps", "Deployment", "shop", "web");
        assert_eq!(
            catalog.preferred(&kind).unwrap().object(&id),
            "/apis/apps/v1/namespaces/shop/deployments/web"
        );
        assert!(catalog.unknown_group("metrics.example.com").is_some());
    }
}
