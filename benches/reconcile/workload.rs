//! The objects that everybody applies.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use trueup_testkit::Api;

/// What the objects are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mix {
    /// `ConfigMap`s only.
    ConfigMaps,
    /// 60 % `ConfigMap`s, 15 % RBAC and service accounts, 10 % Services, 10 % Deployments without replicas, 5 % custom
    /// resources with defaults and lists by key.
    Wide,
    /// `ConfigMap`s of one base that each app is an overlay of, among many files that are no part of any. The first object of
    /// an app is patched by its overlay.
    Overlays,
}

/// An app: a kustomization with a file an object, or an overlay of the base.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) namespace: String,
    /// What its objects' names begin with.
    pub(crate) name: String,
    pub(crate) objects: usize,
    pub(crate) mix: Mix,
}

/// The paths of the collections that objects of a mix are in.
pub(crate) fn collections(mix: Mix, namespace: &str) -> Vec<String> {
    let core = |plural: &str| format!("/api/v1/namespaces/{namespace}/{plural}");
    let group = |group: &str, plural: &str| format!("/apis/{group}/namespaces/{namespace}/{plural}");
    match mix {
        Mix::ConfigMaps | Mix::Overlays => vec![core("configmaps")],
        Mix::Wide => vec![
            core("configmaps"),
            core("serviceaccounts"),
            core("services"),
            group("rbac.authorization.k8s.io/v1", "roles"),
            group("rbac.authorization.k8s.io/v1", "rolebindings"),
            group("apps/v1", "deployments"),
            group("bench.example.com/v1", "routes"),
        ],
    }
}

#[derive(Clone, Copy)]
enum Kind {
    ConfigMap,
    Role,
    RoleBinding,
    ServiceAccount,
    Service,
    Deployment,
    Route,
}

impl App {
    /// The kustomization, and the files that it names; paths are from the repository's root.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        let mut files: Vec<(String, String)> =
            (0..self.objects).map(|index| (self.file(index), self.text(index, 0))).collect();
        files.push((self.root(), self.kustomization(|_| true)));
        if self.mix == Mix::Overlays {
            files.extend((0..self.objects).map(|index| (base_file(index), base_text(index, 0))));
            files.push(("base/kustomization.yaml".to_owned(), base_kustomization(self.objects)));
        }
        files
    }

    /// The path of the kustomization.
    pub(crate) fn root(&self) -> String {
        format!("{}/kustomization.yaml", self.name)
    }

    /// The kustomization of some of the objects.
    pub(crate) fn kustomization(&self, has: impl Fn(usize) -> bool) -> String {
        let mut root = format!(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: {}\nlabels:\n  - pairs:\n      bench: reconcile\nresources:\n",
            self.namespace
        );
        if self.mix == Mix::Overlays {
            // Writing to a String cannot fail.
            let _ = write!(root, "  - ../base\nnamePrefix: {}-\npatches:\n  - path: patch.yaml\n", self.name);
            return root;
        }
        for index in (0..self.objects).filter(|index| has(*index)) {
            let _ = writeln!(root, "  - {}.yaml", self.object(index));
        }
        root
    }

    /// The path of the file that an object is changed in.
    pub(crate) fn file(&self, index: usize) -> String {
        match (self.mix, index) {
            (Mix::Overlays, 0) => format!("{}/patch.yaml", self.name),
            (Mix::Overlays, _) => base_file(index),
            (Mix::ConfigMaps | Mix::Wide, _) => format!("{}/{}.yaml", self.name, self.object(index)),
        }
    }

    /// The text of that file.
    pub(crate) fn text(&self, index: usize, version: usize) -> String {
        let object = match (self.mix, index) {
            (Mix::Overlays, 0) => json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
                "name": base_name(0), "annotations": {VERSION: format!("v{version}")}}}),
            (Mix::Overlays, _) => return base_text(index, version),
            (Mix::ConfigMaps | Mix::Wide, _) => self.written(index, version),
        };
        trueup_model::yaml::to_yaml(&object)
    }

    /// The path of an object in the API.
    pub(crate) fn path(&self, index: usize) -> String {
        let collections = collections(self.mix, &self.namespace);
        let place = match (self.mix, self.kind(index)) {
            (Mix::ConfigMaps | Mix::Overlays, _) | (Mix::Wide, Kind::ConfigMap) => 0,
            (Mix::Wide, Kind::ServiceAccount) => 1,
            (Mix::Wide, Kind::Service) => 2,
            (Mix::Wide, Kind::Role) => 3,
            (Mix::Wide, Kind::RoleBinding) => 4,
            (Mix::Wide, Kind::Deployment) => 5,
            (Mix::Wide, Kind::Route) => 6,
        };
        format!("{}/{}", collections[place], self.object(index))
    }

    /// An object as kustomize renders it.
    pub(crate) fn rendered(&self, index: usize, version: usize) -> Value {
        let mut object = self.written(index, version);
        object["metadata"]["namespace"] = self.namespace.clone().into();
        object["metadata"]["labels"] = json!({"bench": "reconcile"});
        object
    }

    pub(crate) fn object(&self, index: usize) -> String {
        format!("{}-{}", self.name, base_name(index))
    }

    /// Whether an object is a custom resource.
    pub(crate) fn is_route(&self, index: usize) -> bool {
        matches!(self.kind(index), Kind::Route)
    }

    fn kind(&self, index: usize) -> Kind {
        match (self.mix, index % 20) {
            (Mix::ConfigMaps | Mix::Overlays, _) | (Mix::Wide, 0..12) => Kind::ConfigMap,
            (Mix::Wide, 12) => Kind::Role,
            (Mix::Wide, 13) => Kind::RoleBinding,
            (Mix::Wide, 14) => Kind::ServiceAccount,
            (Mix::Wide, 15 | 16) => Kind::Service,
            (Mix::Wide, 17 | 18) => Kind::Deployment,
            (Mix::Wide, _) => Kind::Route,
        }
    }

    fn written(&self, index: usize, version: usize) -> Value {
        let name = self.object(index);
        let (api_version, kind, mut body) = match self.kind(index) {
            Kind::ConfigMap => ("v1", "ConfigMap", config_map(index)),
            Kind::Role => ("rbac.authorization.k8s.io/v1", "Role", role()),
            Kind::RoleBinding => ("rbac.authorization.k8s.io/v1", "RoleBinding", role_binding(&name)),
            Kind::ServiceAccount => ("v1", "ServiceAccount", json!({"automountServiceAccountToken": false})),
            Kind::Service => ("v1", "Service", service(&name)),
            Kind::Deployment => ("apps/v1", "Deployment", deployment(&name)),
            Kind::Route => ("bench.example.com/v1", "Route", route(index)),
        };
        body["apiVersion"] = api_version.into();
        body["kind"] = kind.into();
        body["metadata"] = json!({"name": name, "annotations": {VERSION: format!("v{version}")}});
        body
    }
}

/// How many files of a large repository belong to no app.
const ELSEWHERE: usize = 50_000;

/// What else a repository with such apps contains: paths and texts.
pub(crate) fn elsewhere(mix: Mix) -> impl Iterator<Item = (String, String)> {
    let files = if mix == Mix::Overlays { ELSEWHERE } else { 0 };
    (0..files).map(|index| {
        (format!("elsewhere/{:03}/file-{index:05}.txt", index / 100), format!("What file {index} says.\n"))
    })
}

/// What an object of the base is called, and one of an app behind the app's name.
fn base_name(index: usize) -> String {
    format!("{index:05}")
}

fn base_file(index: usize) -> String {
    format!("base/{}.yaml", base_name(index))
}

fn base_text(index: usize, version: usize) -> String {
    let mut object = config_map(index);
    object["apiVersion"] = "v1".into();
    object["kind"] = "ConfigMap".into();
    object["metadata"] = json!({"name": base_name(index), "annotations": {VERSION: format!("v{version}")}});
    trueup_model::yaml::to_yaml(&object)
}

fn base_kustomization(objects: usize) -> String {
    let mut root =
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n".to_owned();
    for index in 0..objects {
        // Writing to a String cannot fail.
        let _ = writeln!(root, "  - {}.yaml", base_name(index));
    }
    root
}

/// The annotation that a change changes.
pub(crate) const VERSION: &str = "bench.example.com/version";

const SETTINGS: &str = "[cache]\nsize = 512\nttl = 300\n\n[log]\nlevel = info\nformat = json\n";

fn config_map(index: usize) -> Value {
    json!({"data": {
        "url": format!("https://service-{index}.example.com/"),
        "timeout": "30s",
        "settings.ini": SETTINGS,
    }})
}

fn role() -> Value {
    json!({"rules": [
        {"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]},
    ]})
}

fn role_binding(name: &str) -> Value {
    json!({
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
    })
}

fn service(name: &str) -> Value {
    json!({"spec": {
        "selector": {"app": name},
        "ports": [
            {"name": "http", "port": 80, "targetPort": "http"},
            {"name": "metrics", "port": 9090, "targetPort": 9090, "protocol": "TCP"},
        ],
    }})
}

fn deployment(name: &str) -> Value {
    json!({"spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{
                "name": "web",
                "image": "registry.example.com/shop/web:1.27.3",
                "ports": [{"name": "http", "containerPort": 8080}],
                "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "REGION", "value": "eu-1"}],
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 5},
            }]},
        },
    }})
}

fn route(index: usize) -> Value {
    json!({"spec": {
        "host": format!("shop-{index}.example.com"),
        "rules": [
            {"name": "static", "path": "/static", "backends": [{"name": "cdn", "weight": 10}]},
            {"name": "api", "path": "/api", "backends": [{"name": "old"}, {"name": "new"}]},
        ],
    }})
}

/// Makes the kind of the custom resources, and waits until it is served.
pub(crate) fn define_routes(api: &Api) -> Result<()> {
    let text = json!({"type": "string"});
    let backend = json!({"type": "object", "required": ["name"], "properties": {
        "name": text, "weight": {"type": "integer", "default": 1}, "protocol": {"type": "string", "default": "http"}}});
    let rule = json!({"type": "object", "required": ["name"], "properties": {
        "name": text, "path": text, "timeout": {"type": "string", "default": "30s"},
        "backends": {"type": "array", "items": backend,
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}}});
    let spec = json!({"type": "object", "properties": {
        "host": text, "tls": {"type": "boolean", "default": true},
        "rules": {"type": "array", "items": rule,
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}}});
    let status = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "routes.bench.example.com"},
        "spec": {"group": "bench.example.com", "scope": "Namespaced",
            "names": {"kind": "Route", "plural": "routes", "singular": "route", "listKind": "RouteList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}}}]},
    });
    api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition)?;
    trueup_testkit::wait_until("routes are served", std::time::Duration::from_secs(30), || {
        Ok(api.find("/apis/bench.example.com/v1/routes?limit=1")?.map(drop))
    })
}

/// Makes sure that the cluster holds so many objects: a contender that left some out was not fast.
pub(crate) fn check(api: &Api, mix: Mix, namespace: &str, expected: usize) -> Result<()> {
    let mut found = 0;
    for collection in collections(mix, namespace) {
        let mut more = String::new();
        loop {
            let page =
                api.get(&format!("{collection}?labelSelector=bench%3Dreconcile&limit=500&continue={more}"))?;
            found += page["items"].as_array().map_or(0, Vec::len);
            match page["metadata"]["continue"].as_str() {
                Some(next) if !next.is_empty() => next.clone_into(&mut more),
                Some(_) | None => break,
            }
        }
    }
    ensure!(found == expected, "{found} of {expected} objects are there");
    Ok(())
}

/// Takes all objects away, so that the next contender finds the cluster as this one did.
pub(crate) fn clear(api: &Api, mix: Mix, namespace: &str) -> Result<()> {
    for collection in collections(mix, namespace) {
        api.delete(&collection)?;
    }
    Ok(())
}
