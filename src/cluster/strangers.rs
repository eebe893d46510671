//! Objects that are wanted and are in none of a target's sets: whether they exist, and who owns them.
//!
//! What is in a set of any target is known from the watches. Of the rest only metadata is read, and what a list showed answers all
//! targets for a while: many small targets of one namespace, begun together, need one list a kind. Somebody else's object that
//! is made in that time is taken for missing, as one would be that is made between a look and the write.

use super::error::{ApiError, ApiErrorClass};
use super::rest::{Listing, METADATA, METADATA_LIST};
use super::{Cluster, FRESH, MANAGER, Resource};
use crate::bounded::in_order;
use futures::FutureExt as _;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;
use trueup_merge::{managed, migrate, release};
use trueup_model::{GroupKind, ObjectId, Value};
use trueup_plan::apply_set::PART_OF;

/// Lists under way at once.
const LOOKS: usize = 8;
/// From this many objects of a kind and namespace on, one list is cheaper than a look at each.
const LIST_FROM: usize = 10;

/// An object that exists outside of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// `metadata.uid`.
    pub uid: String,
    /// Field managers other than trueup, sorted; none of an object that is in another set.
    pub managers: Vec<String>,
    /// The `ApplySet` that it is in.
    pub part_of: Option<String>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether `kubectl apply` (client-side) owns fields of it, which must be handed over first.
    pub migrate: bool,
    /// The Helm release that it says it is of: namespace and name; none of an object that is in another set.
    pub release: Option<(String, String)>,
}

/// What was found of objects outside of a target.
#[derive(Debug, Default)]
pub struct Strangers {
    /// Those that exist.
    pub found: BTreeMap<ObjectId, Found>,
    /// Kinds that could not be looked at.
    pub failed: BTreeMap<GroupKind, ApiError>,
}

/// What was lately seen of objects in no set, by kind and namespace.
#[derive(Default)]
pub(super) struct Looks(Mutex<BTreeMap<(GroupKind, String), Shared>>);

/// Whoever looks holds it.
type Shared = Arc<tokio::sync::Mutex<Look>>;

/// Of one kind in one namespace.
struct Look {
    since: Instant,
    /// How often connections to the server had been cut off by then: since, it may have been put back to a backup.
    interruptions: u64,
    /// How many objects were asked for one by one since then.
    asked: usize,
    /// All that exist and are in no set, by name.
    listed: Option<Arc<HashMap<String, Found>>>,
}

impl Look {
    fn new(interruptions: u64) -> Self {
        Self { since: Instant::now(), interruptions, asked: 0, listed: None }
    }

    fn holds(&self, interruptions: u64) -> bool {
        self.since.elapsed() < FRESH && self.interruptions == interruptions
    }
}

impl Looks {
    fn of(&self, kind: &GroupKind, namespace: &str, interruptions: u64) -> Shared {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let look = looks.entry((kind.clone(), namespace.to_owned()));
        look.or_insert_with(|| Arc::new(tokio::sync::Mutex::new(Look::new(interruptions)))).clone()
    }

    /// Has whoever asks next for objects of a kind look anew: one of them is being deleted, or gone.
    pub(super) fn forget(&self, kind: &GroupKind, namespace: &str) {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.remove(&(kind.clone(), namespace.to_owned()));
    }

    pub(super) fn forget_old(&self) {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.retain(|_, look| look.try_lock().is_ok_and(|look| look.since.elapsed() < FRESH));
    }
}

impl Cluster {
    /// Which of these objects exist, and who owns them.
    pub async fn strangers(&self, ids: &[ObjectId]) -> Strangers {
        let mut strangers = Strangers::default();
        let mut groups: BTreeMap<(GroupKind, &str), Vec<&ObjectId>> = BTreeMap::new();
        for id in ids {
            match self.0.with_index(|index| index.elsewhere(id)) {
                Some((set, live)) => {
                    let found = Found {
                        uid: live.uid.clone(),
                        managers: Vec::new(),
                        part_of: Some(set),
                        deleting: live.deleting,
                        migrate: false,
                        release: None,
                    };
                    strangers.found.insert(id.clone(), found);
                }
                None => groups.entry((id.group_kind(), &id.namespace)).or_default().push(id),
            }
        }
        let looks =
            groups.iter().map(|((kind, namespace), ids)| self.strangers_of(kind, namespace, ids).boxed());
        for ((kind, _), found) in groups.keys().zip(in_order(looks, LOOKS).await) {
            match found {
                Ok(found) => strangers.found.extend(found),
                Err(error) if error.class == ApiErrorClass::NotFound => {}
                Err(error) => drop(strangers.failed.insert(kind.clone(), error)),
            }
        }
        strangers
    }

    async fn strangers_of(
        &self,
        kind: &GroupKind,
        namespace: &str,
        ids: &[&ObjectId],
    ) -> Result<Vec<(ObjectId, Found)>, ApiError> {
        let catalog = self.catalog();
        let Some(resource) = catalog.preferred(kind) else { return Ok(Vec::new()) };
        if let Some(listed) = self.listed(kind, namespace, resource, ids.len()).await? {
            let found = ids.iter().filter_map(|id| Some(((*id).clone(), listed.get(&id.name)?.clone())));
            return Ok(found.collect());
        }
        let reads = ids.iter().map(|id| self.read(id, resource, Some(METADATA)));
        let read = futures::future::try_join_all(reads).await?;
        let found = ids.iter().zip(read).filter_map(|(id, object)| Some(((*id).clone(), stranger(&object?))));
        Ok(found.collect())
    }

    /// What a list shows or lately showed; `None` where so few objects are asked for that each can be looked at.
    async fn listed(
        &self,
        kind: &GroupKind,
        namespace: &str,
        resource: &Resource,
        asked: usize,
    ) -> Result<Option<Arc<HashMap<String, Found>>>, ApiError> {
        let interruptions = self.interruptions();
        let look = self.0.looks.of(kind, namespace, interruptions);
        // Whoever comes while somebody lists waits for that.
        let mut look = look.lock().await;
        if !look.holds(interruptions) {
            *look = Look::new(interruptions);
        }
        if look.listed.is_none() {
            if look.asked + asked < LIST_FROM {
                look.asked += asked;
                return Ok(None);
            }
            let begun = Look::new(interruptions);
            let listed = Some(Arc::new(self.list(namespace, resource).await?));
            *look = Look { listed, ..begun };
            self.0.forget_lists_when_old();
        }
        Ok(look.listed.clone())
    }

    /// All objects of a kind that are in no set.
    async fn list(&self, namespace: &str, resource: &Resource) -> Result<HashMap<String, Found>, ApiError> {
        let listing = Listing {
            what: &resource.name(),
            collection: &resource.collection(Some(namespace)),
            selector: &format!("!{PART_OF}"),
            accept: Some(METADATA_LIST),
        };
        let mut listed = HashMap::new();
        let take = |page: Vec<Value>| {
            for object in &page {
                let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
                listed.insert(name.to_owned(), stranger(object));
            }
            Ok(())
        };
        self.0.rest.list(&listing, take).await?;
        Ok(listed)
    }
}

fn stranger(object: &Value) -> Found {
    Found {
        uid: object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned(),
        managers: managed::other_managers(object, MANAGER),
        part_of: object
            .get("metadata")
            .and_then(|metadata| metadata.get("labels")?.get(PART_OF)?.as_str())
            .map(str::to_owned),
        deleting: object.pointer("/metadata/deletionTimestamp").is_some(),
        migrate: migrate::needed(object),
        release: release::release_of(object).map(|(namespace, name)| (namespace.to_owned(), name.to_owned())),
    }
}
