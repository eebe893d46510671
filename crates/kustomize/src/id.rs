//! What a resource is called: group, version, kind, name and namespace, as kustomize compares them.

use crate::scope;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The namespace of everything that has none by nature.
pub(crate) const NO_NAMESPACE: &str = "_non_namespaceable_";
/// The namespace of everything that does not name one.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

/// `apps/v1` as group and version; a core version has the empty group.
pub(crate) fn group_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// A group, version and kind of which each may be empty: empty parts select everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gvk {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
}

impl Gvk {
    /// True when each part that is written here equals that of `gvk`.
    pub(crate) fn selects(&self, gvk: GvkRef<'_>) -> bool {
        (self.kind.is_empty() || self.kind == gvk.kind)
            && (self.group.is_empty() || self.group == gvk.group)
            && (self.version.is_empty() || self.version == gvk.version)
    }

    pub(crate) fn as_ref(&self) -> GvkRef<'_> {
        GvkRef { group: &self.group, version: &self.version, kind: &self.kind }
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// The group, version and kind of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GvkRef<'a> {
    pub(crate) group: &'a str,
    pub(crate) version: &'a str,
    pub(crate) kind: &'a str,
}

impl GvkRef<'_> {
    pub(crate) fn is_cluster_scoped(self) -> bool {
        scope::is_cluster_scoped(self.group, self.version, self.kind)
    }
}

impl fmt::Display for GvkRef<'_> {
    /// `Deployment.apps`, `ConfigMap`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.kind.is_empty() { "any kind" } else { self.kind })?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        Ok(())
    }
}

/// The identity of a resource, now or at an earlier stage of the build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id<'a> {
    pub(crate) gvk: GvkRef<'a>,
    pub(crate) name: &'a str,
    /// The namespace that counts: [`DEFAULT_NAMESPACE`] for none, [`NO_NAMESPACE`] for cluster-scoped kinds.
    pub(crate) namespace: &'a str,
}

impl Id<'_> {
    /// A number by which equal ids are found; the same in every process.
    pub(crate) fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

impl fmt::Display for Id<'_> {
    /// `Deployment.apps shop/web`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.gvk)?;
        if self.namespace != NO_NAMESPACE && self.namespace != DEFAULT_NAMESPACE {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(self.name)
    }
}

/// The namespace that counts for a namespaced object.
pub(crate) fn or_default(namespace: &str) -> &str {
    if namespace.is_empty() { DEFAULT_NAMESPACE } else { namespace }
}
