//! Whether a set has no objects in some places any more: a record only lets go of those.
//!
//! Enters: a set, and places. Leaves: why one of them may hold members after all. The watches tell it where nothing was cut off since they
//! were heard of. A server that is put back to a backup has members again that were pruned since, and cuts all connections off: what the
//! watch of a kind showed before is then from a history that has not happened, until that watch is heard of again. Such kinds are asked for.

use super::Cluster;
use super::catalog::Scope;
use super::rest::{Ask, METADATA_LIST, encode};
use crate::bounded::in_order;
use futures::FutureExt as _;
use std::collections::BTreeSet;
use trueup_model::{GroupKind, ObjectId, Value};
use trueup_plan::apply_set::PART_OF;

/// Questions under way at once.
const ASKED: usize = 8;

/// A kind in a namespace, or (the empty name) wherever it is looked at.
pub type Place = (GroupKind, String);

impl Cluster {
    /// Makes sure that a set has no members in these places.
    ///
    /// # Errors
    /// The first place, and why it may have some.
    pub async fn vacant(&self, set: &str, places: &BTreeSet<Place>) -> Result<(), String> {
        let interruptions = self.interruptions();
        let unheard: Vec<&Place> = self.0.with_index(|index| {
            places.iter().filter(|(kind, _)| !index.is_heard(kind, interruptions)).collect()
        });
        let questions = unheard.into_iter().map(|(kind, namespace)| self.ask(set, kind, namespace).boxed());
        in_order(questions, ASKED).await.into_iter().collect::<Result<(), String>>()?;
        if self.interruptions() != interruptions {
            return Err("a connection to the cluster was cut off meanwhile".to_owned());
        }
        let is_meant = |id: &ObjectId| {
            let at = |namespace: &str| places.contains(&(id.group_kind(), namespace.to_owned()));
            at("") || at(&id.namespace)
        };
        self.0.with_index(|index| {
            index.member_where(set, is_meant).map_or(Ok(()), |id| Err(format!("{id} is there")))
        })
    }

    async fn ask(&self, set: &str, kind: &GroupKind, namespace: &str) -> Result<(), String> {
        let mut catalog = self.catalog();
        if catalog.preferred(kind).is_none() {
            catalog = self.discover().await.map_err(|error| error.to_string())?;
        }
        let Some(resource) = catalog.preferred(kind) else {
            // What is not served has no objects.
            return catalog.unknown_group(&kind.group).map_or(Ok(()), |why| Err(why.to_owned()));
        };
        let namespaces = match namespace {
            "" => self.0.with_index(|index| index.parts(kind)),
            _ if resource.scope == Scope::Cluster => return Ok(()),
            namespace => vec![namespace.to_owned()],
        };
        let namespaces = if namespaces.is_empty() { vec![String::new()] } else { namespaces };
        for namespace in namespaces {
            let collection = resource.collection(Some(&*namespace).filter(|namespace| !namespace.is_empty()));
            let selector = encode(&format!("{PART_OF}={set}"));
            let what = resource.name();
            let uri = format!("{collection}?labelSelector={selector}&limit=1");
            let ask = Ask { accept: Some(METADATA_LIST), ..Ask::get("list", &what, uri) };
            let list = self.0.rest.json(ask).await.map_err(|error| error.to_string())?;
            let text = |pointer| list.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            if list.pointer("/items/0").is_some() {
                return Err(format!(
                    "{kind} {}/{} is there",
                    text("/items/0/metadata/namespace"),
                    text("/items/0/metadata/name")
                ));
            }
            // A server may end a page before it found what it looks for.
            if !text("/metadata/continue").is_empty() {
                return Err(format!("not all objects of {kind} were looked at"));
            }
        }
        Ok(())
    }
}
