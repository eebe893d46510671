//! Kubernetes objects by their identity, and rendered manifests with where they came from.

use crate::{Folding, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The API group of an `apiVersion`: `apps` of `apps/v1`; empty for the core group.
pub fn group_of(api_version: &str) -> &str {
    api_version.rsplit_once('/').map_or("", |(group, _)| group)
}

/// An API group (empty for the core group) and a kind: `apps` and `Deployment`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKind {
    /// `apps`, or empty for the core group.
    pub group: String,
    /// `Deployment`.
    pub kind: String,
}

impl GroupKind {
    /// A group and kind from their parts; the core group is the empty string.
    pub fn new(group: impl Into<String>, kind: impl Into<String>) -> Self {
        Self { group: group.into(), kind: kind.into() }
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.kind)
        } else {
            write!(f, "{}.{}", self.kind, self.group)
        }
    }
}

/// What makes an object the same object across versions of its API and of its content. Copies share their text, since
/// every stage of a turn names each object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(Arc<Identity>);

/// The parts of an [`ObjectId`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// API group, empty for the core group. The version is no part of the identity.
    pub group: String,
    /// Kind, such as `ConfigMap`.
    pub kind: String,
    /// Namespace; empty for an object that is cluster-scoped (or not yet placed).
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl ObjectId {
    /// An identity from its parts: the core group and no namespace are empty strings.
    pub fn new(
        group: impl Into<String>,
        kind: impl Into<String>,
        namespace: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        let (group, kind, namespace, name) = (group.into(), kind.into(), namespace.into(), name.into());
        Self(Arc::new(Identity { group, kind, namespace, name }))
    }

    /// The identity that is written in an object; what is missing is empty.
    pub fn of(object: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &object["metadata"];
        let group = group_of(object["apiVersion"].as_str().unwrap_or_default());
        Self::new(group, text(&object["kind"]), text(&metadata["namespace"]), text(&metadata["name"]))
    }

    /// The same object in another namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self::new(&self.group, &self.kind, namespace, &self.name)
    }

    /// The group and kind of the object.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind::new(&self.group, &self.kind)
    }
}

impl Deref for ObjectId {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.0
    }
}

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Arc::new(Identity::deserialize(deserializer)?)))
    }
}

impl fmt::Display for ObjectId {
    /// `Deployment.apps shop/web`, `ConfigMap shop/settings`, `Namespace shop`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if self.namespace.is_empty() {
            write!(f, " {}", self.name)
        } else {
            write!(f, " {}/{}", self.namespace, self.name)
        }
    }
}

/// Where a rendered object was written: a file of the repository and the line its document starts at.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Path below the repository's root, with `/`.
    pub path: String,
    /// Line of the document's first key, counted from 1; 0 where there is none (a generated object).
    pub line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 { f.write_str(&self.path) } else { write!(f, "{}:{}", self.path, self.line) }
    }
}

/// One rendered Kubernetes object and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The object: a JSON object with at least `apiVersion`, `kind` and `metadata.name`.
    pub value: Folding,
    /// The file that it came from.
    pub origin: Origin,
}

impl Manifest {
    /// `apiVersion`, empty when missing.
    pub fn api_version(&self) -> &str {
        self.value.text(&["apiVersion"]).unwrap_or_default()
    }

    /// `kind`, empty when missing.
    pub fn kind(&self) -> &str {
        self.value.text(&["kind"]).unwrap_or_default()
    }

    /// `metadata.name`, empty when missing.
    pub fn name(&self) -> &str {
        self.metadata("name")
    }

    /// `metadata.namespace`, empty when missing.
    pub fn namespace(&self) -> &str {
        self.metadata("namespace")
    }

    /// The API group in `apiVersion`; empty for the core group.
    pub fn group(&self) -> &str {
        group_of(self.api_version())
    }

    /// The value of an annotation, if the object carries it.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.value.text(&["metadata", "annotations", key])
    }

    /// The identity as written: an object without a namespace has an empty one.
    pub fn id(&self) -> ObjectId {
        ObjectId::new(self.group(), self.kind(), self.namespace(), self.name())
    }

    fn metadata(&self, field: &str) -> &str {
        self.value.text(&["metadata", field]).unwrap_or_default()
    }
}
