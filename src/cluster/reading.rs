//! Reads what the API server sends no further than is needed.
//!
//! Enters: the bytes of an event or of a page of a list. Leaves: each object's identity and version, borrowed from the bytes, and
//! the object's own bytes, unread. Most events tell what the answer to our own write told already: those are dropped here,
//! before anything is built of them.

use super::catalog::Resource;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use trueup_model::{ObjectId, Value};
use trueup_plan::apply_set::PART_OF;

/// The annotation of the bookmark that ends the list at the beginning of a watch (KEP-3157).
const LIST_ENDS: &str = "k8s.io/initial-events-end";

/// One event of a watch.
#[derive(Deserialize)]
pub(super) struct Event<'b> {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK`, `ERROR`.
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'b, str>,
    /// The object, or for an error a `Status`.
    #[serde(borrow)]
    pub object: &'b RawValue,
}

/// A page of a list.
#[derive(Deserialize)]
pub(super) struct Page<'b> {
    /// The list's own metadata.
    #[serde(borrow, default)]
    pub metadata: PageMetadata<'b>,
    /// The objects; `null` where there are none.
    #[serde(borrow, default)]
    pub items: Option<Vec<&'b RawValue>>,
}

/// The metadata of a page.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageMetadata<'b> {
    /// The version that the list shows.
    #[serde(borrow, default)]
    pub resource_version: Cow<'b, str>,
    /// Where the next page begins; empty for the last.
    #[serde(borrow, default)]
    pub r#continue: Cow<'b, str>,
}

/// What tells an object and its version from others.
#[derive(Deserialize)]
pub(super) struct Head<'b> {
    #[serde(borrow, default)]
    metadata: Metadata<'b>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'b> {
    #[serde(borrow, default)]
    name: Cow<'b, str>,
    #[serde(borrow, default)]
    namespace: Cow<'b, str>,
    #[serde(borrow, default)]
    resource_version: Cow<'b, str>,
    #[serde(borrow, default)]
    labels: Option<BTreeMap<Cow<'b, str>, Option<Cow<'b, str>>>>,
    #[serde(borrow, default)]
    annotations: Option<BTreeMap<Cow<'b, str>, Option<Cow<'b, str>>>>,
}

/// A `Status`, as an event carries it.
#[derive(Deserialize)]
pub(super) struct Refusal {
    /// The HTTP code.
    #[serde(default)]
    pub code: u16,
    /// The server's words.
    #[serde(default)]
    pub message: String,
}

impl<'b> Head<'b> {
    /// Reads the head of an object and skips the rest of it.
    pub(super) fn of(object: &'b [u8]) -> Option<Self> {
        serde_json::from_slice(object).ok()
    }

    /// `metadata.resourceVersion`.
    pub(super) fn version(&self) -> &str {
        &self.metadata.resource_version
    }

    /// The `ApplySet` that the object is in.
    pub(super) fn set(&self) -> Option<&str> {
        self.metadata.labels.as_ref()?.get(PART_OF)?.as_deref()
    }

    /// Whether this bookmark ends the list at the beginning of a watch.
    pub(super) fn ends_list(&self) -> bool {
        let value = self.metadata.annotations.as_ref().and_then(|all| all.get(LIST_ENDS)?.as_deref());
        value == Some("true")
    }

    /// The identity of the object, which is of this kind.
    pub(super) fn id(&self, resource: &Resource) -> Option<ObjectId> {
        (!self.metadata.name.is_empty()).then(|| {
            ObjectId::new(
                &resource.group,
                &resource.kind,
                self.metadata.namespace.clone().into_owned(),
                self.metadata.name.clone().into_owned(),
            )
        })
    }
}

/// The whole of an object that is of this kind, which items of a list do not say.
pub(super) fn whole(object: &[u8], resource: &Resource) -> Option<Value> {
    let mut object: Value = serde_json::from_slice(object).ok()?;
    let fields = object.as_object_mut()?;
    fields.entry("kind").or_insert_with(|| resource.kind.clone().into());
    fields.entry("apiVersion").or_insert_with(|| resource.api_version().into());
    Some(object)
}
