//! Get and list.

use crate::Sandbox;
use crate::answer::{Answer, Refusal};
use crate::kinds::Kind;
use crate::request::{Request, Target};
use crate::select::Selector;
use crate::store::Key;
use serde_json::{Value, json};
use std::sync::Arc;

/// A stored object in the version of a kind.
pub(crate) fn versioned(object: &Value, kind: &Kind) -> Value {
    let mut object = object.clone();
    crate::autoscaler_versions::convert(&mut object, kind);
    object
}

/// The same as it is before it is changed.
pub(crate) fn filled(object: &Value, kind: &Kind) -> Value {
    let mut object = versioned(object, kind);
    if let Some(custom) = kind.custom.as_ref().filter(|custom| custom.storage != kind.version) {
        // What the stored version does not have is filled in.
        crate::crds::default(&mut object, &custom.schema, crate::crds::Nulls::Dropped);
    }
    object
}

/// A stored object as lists have it: those of built-in kinds do not say there what they are.
fn listed(object: &Value, kind: &Kind) -> Value {
    let mut object = versioned(object, kind);
    if let (None, Some(fields)) = (&kind.custom, object.as_object_mut()) {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    object
}

impl Sandbox {
    /// The object that a request names.
    pub(crate) fn found(&self, target: &Target) -> Result<&Arc<Value>, Refusal> {
        let key = key(target);
        self.store.get(&target.kind.resource(), &key).ok_or_else(|| Refusal::not_found(target.about(&key.1)))
    }

    pub(crate) fn get(&self, target: &Target) -> Result<Answer, Refusal> {
        let object = versioned(self.found(target)?, &target.kind);
        if target.subresource == "scale" {
            if let Some(why) = crate::scale::missing(&target.kind, &object) {
                return Err(Refusal::failed(&why));
            }
            return Ok(Answer::ok(crate::scale::scale(&target.kind, &object)));
        }
        Ok(Answer::ok(object))
    }

    pub(crate) fn list(&self, request: &Request<'_>, target: &Target) -> Result<Answer, Refusal> {
        let selector = Selector::of(request, &target.kind)?;
        let limit: usize = request.option("limit").and_then(|limit| limit.parse().ok()).unwrap_or(0);
        let after = request.option("continue").filter(|token| !token.is_empty());
        let (revision, after) = match after.as_deref().map(|token| token.splitn(3, '/').collect::<Vec<_>>()) {
            None => (self.store.revision().to_string(), None),
            Some(parts) => match parts.as_slice() {
                [revision, namespace, name] => {
                    ((*revision).to_owned(), Some(((*namespace).to_owned(), (*name).to_owned())))
                }
                _ => {
                    return Err(Refusal::bad_request(
                        "continue key is not valid: it was not given by this server",
                    ));
                }
            },
        };
        let is_meant = |key: &Key| {
            target.namespace.as_ref().is_none_or(|namespace| key.0 == *namespace)
                && after.as_ref().is_none_or(|after| key > after)
        };
        let resource = target.kind.resource();
        // The rest of a list is what it was when its first part was told.
        let Ok(Ok(objects)) = revision.parse().map(|revision| self.store.all_at(&resource, revision)) else {
            return Err(Refusal::expired(EXPIRED.to_owned()));
        };
        let mut found = objects.iter().filter(|(key, object)| is_meant(key) && selector.matches(object));
        let mut items = Vec::new();
        let mut last = None;
        for (key, object) in found.by_ref() {
            items.push(listed(object, &target.kind));
            if items.len() == limit {
                last = Some(key.clone());
                break;
            }
        }
        let rest = found.count();
        let mut metadata = json!({"resourceVersion": revision});
        if target.kind.custom.is_some() {
            metadata["continue"] = "".into();
        }
        if let Some((namespace, name)) = last.filter(|_| rest > 0) {
            metadata["continue"] = format!("{revision}/{namespace}/{name}").into();
            metadata["remainingItemCount"] = rest.into();
        }
        Ok(Answer::ok(
            json!({"kind": format!("{}List", target.kind.kind), "apiVersion": target.kind.api_version(),
            "metadata": metadata, "items": items}),
        ))
    }
}

const EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.";

/// Namespace and name of the object that a request names.
pub(crate) fn key(target: &Target) -> Key {
    (target.namespace.clone().unwrap_or_default(), target.name.clone().unwrap_or_default())
}
