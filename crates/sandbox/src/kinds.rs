//! Which kinds there are, and their schemas: the built-in ones from a table that was asked of a real API server
//! (`tables/kinds.json`), others from their definitions.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use trueup_merge::structured::openapi::{self, UnknownFields};
use trueup_merge::structured::schema::{Schema, TypeRef};

/// `cargo run -p trueup-testkit --bin kinds-table` writes it.
const TABLE: &str = include_str!("../tables/kinds.json");

static BUILT_IN: LazyLock<Kinds> = LazyLock::new(Kinds::read);

/// The OpenAPI schemas of the built-in kinds, by name.
pub(crate) fn models() -> &'static Map<String, Value> {
    &BUILT_IN.models
}

/// One kind in one version.
#[derive(Clone, Debug)]
pub struct Kind {
    /// The API group; empty for the core.
    pub group: String,
    /// The version: `v1`.
    pub version: String,
    /// The kind: `Deployment`.
    pub kind: String,
    /// The name in paths: `deployments`.
    pub plural: String,
    /// The name for one: `deployment`.
    pub singular: String,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
    /// Short names: `deploy`.
    pub short_names: Vec<String>,
    /// Groups of kinds that people ask for together: `all`.
    pub categories: Vec<String>,
    /// What can be done.
    pub verbs: Vec<String>,
    /// `status`, `scale` and so on.
    pub subresources: BTreeSet<String>,
    /// The schema for merging, and the type in it.
    pub schema: Arc<Schema>,
    /// The type in the schema.
    pub type_ref: TypeRef,
    /// What the definition of a custom resource says; `None` for a built-in kind.
    pub custom: Option<Arc<Custom>>,
}

/// What the definition of a custom resource says of one of its versions.
#[derive(Clone, Debug)]
pub struct Custom {
    /// Its structural schema.
    pub schema: Value,
    /// The version that its objects are stored in.
    pub storage: String,
    /// The definition's name.
    pub definition: String,
    /// The version of its definition: columns, paths of the scale.
    pub version: Value,
    /// Its CEL rules; `None` where it has none.
    pub rules: Option<Arc<kube_cel::CompiledSchema>>,
}

impl Kind {
    /// `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// What its objects are stored under, whatever the version.
    pub fn resource(&self) -> (String, String) {
        (self.group.clone(), self.plural.clone())
    }

    /// Whether its objects are stored under this.
    pub fn is_stored_under(&self, resource: &(String, String)) -> bool {
        self.group == resource.0 && self.plural == resource.1
    }

    /// Whether another kind is the same in any version.
    pub fn is_a_version_of(&self, other: &Self) -> bool {
        self.group == other.group && self.plural == other.plural
    }

    /// Whether an `apiVersion` is that of the kind.
    pub fn is_in(&self, api_version: &str) -> bool {
        match api_version.split_once('/') {
            Some((group, version)) => self.group == group && self.version == version,
            None => self.group.is_empty() && self.version == api_version,
        }
    }
}

/// All kinds.
#[derive(Clone)]
pub struct Kinds {
    kinds: Arc<BTreeMap<(String, String, String), Arc<Kind>>>,
    /// The OpenAPI schemas of the built-in kinds, by name.
    pub models: Arc<Map<String, Value>>,
}

fn text(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn texts(value: &Value, field: &str) -> Vec<String> {
    let items = value.get(field).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Kinds {
    /// The kinds that every cluster has.
    pub fn built_in() -> Self {
        BUILT_IN.clone()
    }

    fn read() -> Self {
        // The table is part of the program, and a test reads it.
        let table: Value = serde_json::from_str(TABLE).unwrap_or_default();
        let models = table.get("schemas").and_then(Value::as_object).cloned().unwrap_or_default();
        let schema = Arc::new(openapi::schema(&models, UnknownFields::Refused).unwrap_or_default());
        let mut kinds: BTreeMap<(String, String, String), Kind> = BTreeMap::new();
        let lines = table.get("kinds").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for line in lines {
            let Some(resource) = line.get("resource") else { continue };
            let name = text(resource, "name");
            let (group, version) = (text(line, "group"), text(line, "version"));
            if let Some((plural, subresource)) = name.split_once('/') {
                if let Some(kind) = kinds.get_mut(&(group, version, plural.to_owned())) {
                    kind.subresources.insert(subresource.to_owned());
                }
                continue;
            }
            let kind = Kind {
                kind: text(resource, "kind"),
                plural: name.clone(),
                singular: text(resource, "singularName"),
                namespaced: resource.get("namespaced").and_then(Value::as_bool).unwrap_or_default(),
                short_names: texts(resource, "shortNames"),
                categories: texts(resource, "categories"),
                verbs: texts(resource, "verbs"),
                subresources: BTreeSet::new(),
                schema: schema.clone(),
                type_ref: TypeRef::named(&text(line, "schema")),
                custom: None,
                group: group.clone(),
                version: version.clone(),
            };
            kinds.insert((group, version, name), kind);
        }
        let kinds = kinds.into_iter().map(|(key, kind)| (key, Arc::new(kind))).collect();
        Self { kinds: Arc::new(kinds), models: Arc::new(models) }
    }

    /// The kind with this name in paths.
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Kind>> {
        self.kinds.get(&(group.to_owned(), version.to_owned(), plural.to_owned())).cloned()
    }

    /// All kinds, in the order of group, version and name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.kinds.values()
    }

    /// Puts these kinds in place of those that a definition brought before.
    pub fn define(&mut self, definition: &str, kinds: Vec<Kind>) {
        let all = Arc::make_mut(&mut self.kinds);
        all.retain(|_, kind| kind.custom.as_ref().is_none_or(|custom| custom.definition != definition));
        for kind in kinds {
            let key = (kind.group.clone(), kind.version.clone(), kind.plural.clone());
            all.insert(key, Arc::new(kind));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_kinds_that_people_write_and_each_has_its_type() {
        let kinds = Kinds::built_in();
        for (group, version, plural) in [
            ("", "v1", "configmaps"),
            ("apps", "v1", "deployments"),
            ("apiextensions.k8s.io", "v1", "customresourcedefinitions"),
            ("networking.k8s.io", "v1", "ingresses"),
        ] {
            let kind = kinds.resource(group, version, plural).unwrap();
            assert!(kind.schema.resolve(&kind.type_ref).is_some_and(|atom| atom.map.is_some()), "{plural}");
        }
        assert!(kinds.resource("apps", "v1", "deployments").unwrap().subresources.contains("scale"));
    }
}
