//! Leases of `coordination.k8s.io/v1`, one at a time.
//!
//! Enters: what a Lease is to say. Leaves: the Lease as the API server has it. Changes and deletions are of exactly the object that
//! is meant, by its uid, and where that matters of its version. Absent: what Leases mean.

use super::Cluster;
use super::error::{ApiError, ApiErrorClass};
use super::rest::Ask;
use http::Method;
use serde_json::json;
use std::collections::BTreeMap;
use trueup_model::Value;

/// The group and version of Leases, and the collection.
pub const LEASES: (&str, &str) = ("coordination.k8s.io/v1", "leases");

/// A Lease, as far as trueup uses it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Whose it is; empty where it is nobody's.
    pub holder: String,
    /// After how many seconds without a renewal it has run out.
    pub seconds: Option<i64>,
    /// When it was got, and when it was last renewed, as its holder's clock says.
    pub acquired: Option<String>,
    /// See `acquired`.
    pub renewed: Option<String>,
    /// How often it changed hands.
    pub transitions: i64,
    /// Its uid; empty before it is written.
    pub uid: String,
    /// Its `resourceVersion`; empty before it is written.
    pub version: String,
}

impl Lease {
    /// Reads one.
    pub fn read(object: &Value) -> Self {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let texts = |pointer: &str| -> BTreeMap<String, String> {
            let all = object.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
            all.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
        };
        let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64);
        Self {
            name: text("/metadata/name").unwrap_or_default(),
            labels: texts("/metadata/labels"),
            annotations: texts("/metadata/annotations"),
            holder: text("/spec/holderIdentity").unwrap_or_default(),
            seconds: number("/spec/leaseDurationSeconds"),
            acquired: text("/spec/acquireTime"),
            renewed: text("/spec/renewTime"),
            transitions: number("/spec/leaseTransitions").unwrap_or_default(),
            uid: text("/metadata/uid").unwrap_or_default(),
            version: text("/metadata/resourceVersion").unwrap_or_default(),
        }
    }

    fn body(&self) -> Value {
        let holder = Some(&self.holder).filter(|holder| !holder.is_empty());
        let spec = json!({
            "holderIdentity": holder,
            "leaseDurationSeconds": self.seconds,
            "acquireTime": self.acquired,
            "renewTime": self.renewed,
            "leaseTransitions": self.transitions,
        });
        let metadata = json!({"name": self.name, "labels": self.labels, "annotations": self.annotations});
        json!({"metadata": metadata, "spec": spec})
    }
}

impl Cluster {
    /// Makes a Lease; refused as a conflict where there is one of the name.
    pub async fn create_lease(&self, namespace: &str, lease: &Lease) -> Result<Value, ApiError> {
        let mut body = lease.body();
        body["apiVersion"] = LEASES.0.into();
        body["kind"] = "Lease".into();
        self.write_lease("create", Method::POST, collection(namespace), &lease.name, &body).await
    }

    /// Makes an existing Lease say what this one says: the one of its uid, and of its version if it has one.
    pub async fn change_lease(&self, namespace: &str, lease: &Lease) -> Result<Value, ApiError> {
        let mut body = lease.body();
        body["metadata"]["uid"] = lease.uid.as_str().into();
        if !lease.version.is_empty() {
            body["metadata"]["resourceVersion"] = lease.version.as_str().into();
        }
        self.write_lease("patch", Method::PATCH, path(namespace, &lease.name), &lease.name, &body).await
    }

    /// Deletes a Lease: the one of its uid and of its version, as far as it has them. One that is gone is as good.
    pub async fn delete_lease(&self, namespace: &str, lease: &Lease) -> Result<(), ApiError> {
        let mut preconditions = BTreeMap::new();
        for (name, value) in [("uid", &lease.uid), ("resourceVersion", &lease.version)] {
            if !value.is_empty() {
                preconditions.insert(name, value);
            }
        }
        let body = json!({ "preconditions": preconditions });
        let path = path(namespace, &lease.name);
        match self.write_lease("delete", Method::DELETE, path, &lease.name, &body).await {
            Err(error) if error.class != ApiErrorClass::NotFound => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Whether there is a Lease of the name, as the API server knows it at this moment.
    pub async fn has_lease(&self, namespace: &str, name: &str) -> Result<bool, ApiError> {
        let what = format!("Lease {name}");
        match self.0.rest.json(Ask::get("get", &what, path(namespace, name))).await {
            Ok(_) => Ok(true),
            Err(error) if error.class == ApiErrorClass::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn write_lease(
        &self,
        verb: &'static str,
        method: Method,
        uri: String,
        name: &str,
        body: &Value,
    ) -> Result<Value, ApiError> {
        let content_type = if verb == "patch" { "application/merge-patch+json" } else { "application/json" };
        let ask = Ask {
            verb,
            what: &format!("Lease {name}"),
            method,
            uri,
            content_type: Some(content_type),
            accept: None,
            body: body.to_string().into(),
        };
        self.0.rest.json(ask).await
    }
}

fn collection(namespace: &str) -> String {
    format!("/apis/{}/namespaces/{namespace}/{}", LEASES.0, LEASES.1)
}

fn path(namespace: &str, name: &str) -> String {
    format!("{}/{name}", collection(namespace))
}

#[cfg(test)]
mod tests {
    use super::super::lossy::Lossy;
    use super::*;

    #[tokio::test]
    async fn a_lease_is_changed_and_deleted_as_it_was_seen_and_no_other_one() {
        let cluster = Lossy::new().cluster().await;
        let lease = Lease {
            name: "one".to_owned(),
            labels: [("trueup.dev/lease".to_owned(), "replica".to_owned())].into(),
            holder: "me".to_owned(),
            seconds: Some(30),
            renewed: Some("2026-11-22T10:00:00.000000Z".to_owned()),
            ..Lease::default()
        };
        let made = Lease::read(&cluster.create_lease("shop", &lease).await.unwrap());
        assert_eq!(Lease { uid: String::new(), version: String::new(), ..made.clone() }, lease);
        let again = cluster.create_lease("shop", &lease).await.unwrap_err();
        assert_eq!(again.class, ApiErrorClass::Conflict);
        let renewed = Lease { renewed: Some("2026-11-22T10:00:10.000000Z".to_owned()), ..made.clone() };
        let renewed = Lease::read(&cluster.change_lease("shop", &renewed).await.unwrap());
        assert_eq!(renewed.renewed.as_deref(), Some("2026-11-22T10:00:10.000000Z"));
        assert_eq!(
            cluster.delete_lease("shop", &made).await.unwrap_err().class,
            ApiErrorClass::Conflict,
            "it was renewed"
        );
        cluster.delete_lease("shop", &renewed).await.unwrap();
        cluster.delete_lease("shop", &renewed).await.unwrap();
        assert!(!cluster.has_lease("shop", "one").await.unwrap());
        assert_eq!(
            cluster.change_lease("shop", &renewed).await.unwrap_err().class,
            ApiErrorClass::NotFound,
            "what is gone is not made again by a renewal"
        );
    }
}
