//! Objects of a cluster that are no part of a target, as renderings ask for them: one by its name, or all of a kind.
//!
//! Enters: a [`Query`]. Leaves: the object, or a list in Kubernetes' form, without managedFields; nothing where there is none, or
//! where the cluster does not serve the kind. Absent: what becomes of it, and when it is asked for again.

use super::Cluster;
use super::catalog::{Catalog, Resource};
use super::error::{ApiError, ApiErrorClass};
use super::rest::{Ask, Listing, encode};
use serde_json::json;
use std::fmt;
use trueup_model::Value;

/// Objects that a list has at most.
const MOST: usize = 10_000;

/// What is asked for: an object, or all objects of a kind, in a namespace or everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Query {
    /// `v1`, `apps/v1`.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// The namespace; empty for kinds that have none, and for all of them.
    pub namespace: String,
    /// The name; empty for all objects.
    pub name: String,
}

impl Query {
    /// A ConfigMap or Secret, or another kind of the core group.
    pub fn core(kind: &str, namespace: &str, name: &str) -> Self {
        let [kind, namespace, name] = [kind, namespace, name].map(str::to_owned);
        Self { api_version: "v1".to_owned(), kind, namespace, name }
    }

    /// The group and the version.
    fn version(&self) -> (&str, &str) {
        self.api_version.rsplit_once('/').unwrap_or(("", &self.api_version))
    }

    /// Whether its names can be parts of a path. Nothing has others.
    fn has_names(&self) -> bool {
        [&self.namespace, &self.name].iter().all(|name| !matches!(name.as_str(), "." | ".."))
    }
}

impl fmt::Display for Query {
    /// `Secret shop/db`, `all Pod of shop`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, name, .. } = self;
        match (namespace.as_str(), name.as_str()) {
            ("", "") => write!(f, "all {kind}"),
            (namespace, "") => write!(f, "all {kind} of {namespace}"),
            ("", name) => write!(f, "{kind} {name}"),
            (namespace, name) => write!(f, "{kind} {namespace}/{name}"),
        }
    }
}

impl Cluster {
    /// What is asked for, as the cluster has it that serves this catalog.
    ///
    /// # Errors
    /// What the server refuses; a group of which nothing is known at the moment; a list that is too long.
    pub async fn look_up(&self, catalog: &Catalog, query: &Query) -> Result<Option<Value>, ApiError> {
        let (group, version) = query.version();
        let Some(resource) = catalog.resource(group, version, &query.kind) else {
            return match catalog.unknown_group(group) {
                Some(why) => Err(ApiError::new(ApiErrorClass::Other, format!("get {query}: {why}"))),
                None => Ok(None),
            };
        };
        if !query.has_names() {
            return Ok(None);
        }
        let namespace = encode(&query.namespace);
        let collection = resource.collection(Some(&*namespace).filter(|namespace| !namespace.is_empty()));
        let found = if query.name.is_empty() {
            self.list_all(resource, &collection, query).await
        } else {
            let uri = format!("{collection}/{}", encode(&query.name));
            self.0.rest.json(Ask::get("get", query, uri)).await.map(without_managers)
        };
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.class == ApiErrorClass::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn list_all(
        &self,
        resource: &Resource,
        collection: &str,
        query: &Query,
    ) -> Result<Value, ApiError> {
        let listing = Listing { what: query, collection, selector: "", accept: None };
        let mut items = Vec::new();
        let take = |page: Vec<Value>| {
            items.extend(page.into_iter().map(|item| told(item, resource)));
            if items.len() > MOST {
                let message = format!("list {query}: there are more than {MOST}");
                return Err(ApiError::new(ApiErrorClass::Other, message));
            }
            Ok(())
        };
        self.0.rest.list(&listing, take).await?;
        // Its own version moves with every object of the kind, whether it is in the list or not.
        let kind = format!("{}List", resource.kind);
        Ok(json!({"apiVersion": resource.api_version(), "kind": kind, "metadata": {}, "items": items}))
    }
}

/// An item of a list, which says itself what it is.
fn told(mut item: Value, resource: &Resource) -> Value {
    if let Some(fields) = item.as_object_mut() {
        fields.entry("apiVersion").or_insert_with(|| resource.api_version().into());
        fields.entry("kind").or_insert_with(|| resource.kind.as_str().into());
    }
    without_managers(item)
}

fn without_managers(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_told_by_what_it_asks_for() {
        let told = |namespace: &str, name: &str| Query::core("Secret", namespace, name).to_string();
        assert_eq!(told("shop", "db"), "Secret shop/db");
        assert_eq!(told("shop", ""), "all Secret of shop");
        assert_eq!([told("", ""), told("", "db")], ["all Secret", "Secret db"]);
    }

    #[test]
    fn names_that_would_lead_elsewhere_in_a_path_name_nothing() {
        assert!(!Query::core("Secret", "shop", "..").has_names());
        assert!(!Query::core("Secret", ".", "db").has_names());
        assert!(Query::core("Secret", "shop", "db.v1").has_names());
        assert_eq!(encode("../a/b"), "..%2Fa%2Fb");
    }

    #[test]
    fn an_item_of_a_list_says_what_it_is_and_nobody_s_fields() {
        let resource = Resource {
            group: "apps".to_owned(),
            version: "v1".to_owned(),
            kind: "Deployment".to_owned(),
            plural: "deployments".to_owned(),
            scope: super::super::Scope::Namespaced,
            verbs: Vec::new(),
        };
        let item = json!({"metadata": {"name": "web", "managedFields": [{"manager": "x"}]}});
        let wanted = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}});
        assert_eq!(told(item, &resource), wanted);
    }
}
