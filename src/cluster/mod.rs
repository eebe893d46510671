//! Clusters: what they serve, what they hold of ours, and the writes that change it. The only place that speaks to Kubernetes.
//!
//! Enters: how to reach an API server, and objects to apply or delete. Leaves: a catalog of kinds, the members of each
//! `ApplySet` in short, answers to writes, and [`ClusterEvent`]s that say where to look again. Absent: every decision.

mod access;
mod catalog;
pub mod declared;
mod epoch;
mod error;
mod fence;
mod gone;
mod index;
mod late;
mod leases;
mod lookup;
#[cfg(test)]
pub(crate) mod lossy;
mod objects;
pub mod overheard;
mod pace;
mod parent;
mod reading;
mod refusal;
mod releases;
mod resources;
mod rest;
mod reviews;
mod secrets;
mod strangers;
#[cfg(test)]
mod tests;
mod vacancy;
mod watch;

pub use access::{Access, Find, Reach, Via};
pub use catalog::{Catalog, Resource, Scope};
pub use epoch::Epochs;
pub use error::{ApiError, ApiErrorClass};
pub use fence::{Fence, since_boot};
pub use index::{Mark, Members, Touched};
pub use leases::{LEASES, Lease};
pub use lookup::Query;
pub use objects::{Applied, Apply, Deletion, Force, Mode};
pub use parent::{EventKind, Parent};
pub use releases::HandedOver;
pub use resources::Followed;
pub use rest::Counter;
pub use secrets::Abilities;
pub use strangers::{Found, Strangers};
pub use vacancy::Place;

use crate::ambient;
use anyhow::Context as _;
use index::{Changed, Index, Progress, Read, slim};
use late::Late;
use pace::Pace;
use parent::Parents;
use reading::whole;
use rest::Rest;
use reviews::Reviews;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use strangers::Looks;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use trueup_merge::secrets::MaskKey;
use trueup_model::{GroupKind, ObjectId};
use trueup_plan::observed::Live;

/// The name of our field manager.
pub const MANAGER: &str = "trueup";
/// How long a list answers that several targets share.
const FRESH: Duration = Duration::from_secs(10);
/// Places of one kind that are remembered at most. Kinds have few; without a bound, somebody could make many.
const PLACES: usize = 10_000;

/// Where something changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterEvent {
    /// A member of this set came, changed, went, or is known again.
    Member {
        /// The set's id.
        set: String,
    },
    /// The kinds that are served.
    Catalog,
    /// The connection: it was down and is up again.
    Connection,
}

/// Told where to look again.
pub type Listener = Arc<dyn Fn(ClusterEvent) + Send + Sync>;

/// One Kubernetes API. Cheap to clone; clones are the same cluster.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

/// Places of shapes that the server confirmed, by kind and version.
type Familiar = BTreeMap<(GroupKind, String), BTreeSet<u64>>;

struct Inner {
    name: String,
    rest: Rest,
    listener: Listener,
    catalog: RwLock<Arc<Catalog>>,
    index: Mutex<Index>,
    namespaces: Mutex<BTreeSet<String>>,
    watched: Mutex<BTreeSet<GroupKind>>,
    epochs: RwLock<Arc<Epochs>>,
    /// What it can do, with the catalog that goes with it.
    abilities: Mutex<Option<(Arc<Catalog>, Abilities)>>,
    familiar: Mutex<Familiar>,
    reviews: Mutex<Reviews>,
    late: Mutex<Late>,
    looks: Looks,
    parents: tokio::sync::Mutex<Option<Parents>>,
    /// By which values of Secrets are hashed in refusals: as long as this lives, it tells whether a value is still the same.
    mask: MaskKey,
    discovered: Notify,
    progressed: Notify,
    /// Ends where the server's history is found to be another one than the one that was followed.
    era: RwLock<CancellationToken>,
    /// How often it may have been another one.
    breaks: AtomicU64,
    losses: AtomicU64,
    /// Wakes whoever looks whether the server is what it was.
    lost: Notify,
    stop: CancellationToken,
}

/// A live object that was taken in.
struct Taken {
    id: ObjectId,
    /// What is known of it, if it is a member of a set.
    live: Option<Arc<Live>>,
    changed: Changed,
    /// The version that it was known in, where that is newer than the one that came.
    newer: Option<u64>,
}

impl Cluster {
    /// Makes ready to speak to a cluster, which need not be up. `counter` is told of each request, `listener` of each change.
    pub async fn connect(access: &Access, counter: Counter, listener: Listener) -> anyhow::Result<Self> {
        Self::reach(&Reach::Network, access, &Fence::open(), counter, listener).await
    }

    /// The same for a cluster that may be somewhere else than in the network, and that is only written to while the fence allows it.
    pub async fn reach(
        reach: &Reach,
        access: &Access,
        fence: &Fence,
        counter: Counter,
        listener: Listener,
    ) -> anyhow::Result<Self> {
        let clients = reach.clients(access, fence).await?;
        let inner = Inner {
            name: access.name.clone(),
            rest: Rest::new(clients, counter, Pace::below(access.in_flight), fence.clone()),
            listener,
            catalog: RwLock::default(),
            index: Mutex::default(),
            namespaces: Mutex::default(),
            watched: Mutex::default(),
            epochs: RwLock::default(),
            abilities: Mutex::default(),
            familiar: Mutex::default(),
            reviews: Mutex::new(Reviews::new(Instant::now())),
            late: Mutex::new(Late::new(Instant::now())),
            looks: Looks::default(),
            parents: tokio::sync::Mutex::default(),
            mask: ambient::secret().context("random numbers")?,
            discovered: Notify::new(),
            progressed: Notify::new(),
            era: RwLock::default(),
            breaks: AtomicU64::new(0),
            losses: AtomicU64::new(0),
            lost: Notify::new(),
            stop: CancellationToken::new(),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// The cluster's name in the configuration.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Asks what the cluster serves. The same catalog stays in force where nothing changed.
    pub async fn discover(&self) -> Result<Arc<Catalog>, ApiError> {
        self.0.discover().await
    }

    /// What the cluster was last known to serve; empty before the first discovery.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.0.catalog()
    }

    /// Keeps the index current for these kinds from now on.
    pub fn watch(&self, kinds: &BTreeSet<GroupKind>) {
        let mut watched = self.0.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.is_empty() && !kinds.is_empty() {
            tokio::spawn(watch::follow_kinds(self.0.clone()));
            tokio::spawn(epoch::follow(self.0.clone()));
        }
        for kind in kinds {
            if watched.insert(kind.clone()) {
                self.0.note(kind, "", Progress::Starting);
                tokio::spawn(watch::follow(self.0.clone(), kind.clone()));
            }
        }
    }

    /// Adds namespaces in which kinds are watched that may not be watched as a whole.
    pub fn scope(&self, namespaces: &BTreeSet<String>) {
        self.0.namespaces.lock().unwrap_or_else(PoisonError::into_inner).extend(namespaces.iter().cloned());
    }

    /// Waits until the first list of each kind is there or refused, but no longer than `limit`. Where that was too short, a later list is
    /// told as a [`ClusterEvent::Connection`].
    pub async fn settled(&self, kinds: &BTreeSet<GroupKind>, limit: Duration) {
        let wait = async {
            loop {
                let progressed = self.0.progressed.notified();
                tokio::pin!(progressed);
                progressed.as_mut().enable();
                if self.0.with_index(|index| kinds.iter().all(|kind| index.is_settled(kind))) {
                    return;
                }
                progressed.await;
            }
        };
        if tokio::time::timeout(limit, wait).await.is_err() {
            self.0.with_index(|index| index.give_up(kinds.iter()));
        }
    }

    /// The members of these sets, and which watched kinds are unknown.
    pub fn members(&self, sets: &[String]) -> Members {
        self.0.with_index(|index| index.members(sets))
    }

    /// The members of a set among these objects.
    pub fn members_among<'i>(
        &self,
        set: &str,
        ids: impl Iterator<Item = &'i ObjectId>,
    ) -> BTreeMap<ObjectId, Arc<Live>> {
        self.0.with_index(|index| ids.filter_map(|id| Some((id.clone(), index.member(set, id)?))).collect())
    }

    /// The same as [`Cluster::members`], and a mark by which [`Cluster::touched`] tells what changes in the first of the sets from now on.
    pub fn follow_members(&self, sets: &[String]) -> (Members, Mark) {
        self.0.with_index(|index| {
            let mark = sets.first().map(|set| index.follow(set)).unwrap_or_default();
            (index.members(sets), mark)
        })
    }

    /// What changed in a set since its members were followed; `None` where all of them have to be looked at.
    pub fn touched(&self, set: &str, since: Mark, kinds: &BTreeSet<GroupKind>) -> Option<Touched> {
        self.0.with_index(|index| index.touched(set, since, kinds))
    }

    /// The rules in force. The same ones stay in place while nothing of them changes.
    pub fn rules(&self) -> Arc<Epochs> {
        self.0.rules()
    }

    /// A number for the rules by which objects of an API version (`apps/v1`) are read and changed on their way in: it moves
    /// with their schema and with what mutates them. 0 where nothing is known of that.
    pub fn epoch(&self, api_version: &str) -> u64 {
        self.0.rules().of(api_version)
    }

    /// Whether objects of a kind, written in this version, are known to be what an apply makes of them in all these places of
    /// their shapes.
    pub fn is_familiar(&self, kind: &GroupKind, api_version: &str, places: &[u64]) -> bool {
        let familiar = self.0.familiar();
        let known = familiar.get(&(kind.clone(), api_version.to_owned()));
        known.is_some_and(|known| places.iter().all(|place| known.contains(place)))
    }

    /// Notes that the server confirmed a shape: a dry run of an object that looked as wanted left it as it is. It was asked
    /// while the rules had the number `epoch`; if they have another by now, nothing is noted.
    pub fn confirm(&self, kind: &GroupKind, api_version: &str, places: &[u64], epoch: u64) {
        let mut familiar = self.0.familiar();
        // Looked at under the lock: who moves the number takes it afterwards.
        if self.epoch(api_version) != epoch {
            return;
        }
        let known = familiar.entry((kind.clone(), api_version.to_owned())).or_default();
        if known.len() + places.len() > PLACES {
            known.clear();
        }
        known.extend(places);
    }

    /// A number that moves when what was read of the cluster before may be from a history that it does not have any more.
    pub fn breaks(&self) -> u64 {
        self.0.breaks.load(Ordering::SeqCst)
    }

    /// How often that happened, or a watch was cut off. A server that is put back to a backup ends all connections before anything
    /// else tells of it.
    pub fn interruptions(&self) -> u64 {
        self.0.interruptions()
    }

    /// Up to when objects of a set may still be created by a write that was given up, or that an earlier process sent; `None` where
    /// that time is over. Until then their kinds have to be watched.
    pub fn late_until(&self, set: &str) -> Option<Instant> {
        self.0.late().until(set, Instant::now())
    }

    /// Whether a write of this process got no answer and may still come through.
    pub fn awaits_lost_writes(&self) -> bool {
        self.0.late().is_awaited(Instant::now())
    }

    /// Whether nothing of it was looked at yet.
    pub fn is_new(&self) -> bool {
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Another process has written here until now: what was read of records is read again, and what it sent may still be on its way.
    pub async fn succeed(&self) {
        self.0.late().succeed(Instant::now());
        *self.0.parents.lock().await = None;
    }

    /// How many objects of all sets are known.
    pub fn objects(&self) -> usize {
        self.0.with_index(|index| index.len())
    }

    /// How many of so many objects may be asked about now because the rules changed, which concerns all of them at once.
    pub fn reviews(&self, wanted: usize) -> usize {
        self.0.reviews.lock().unwrap_or_else(PoisonError::into_inner).take(wanted, Instant::now())
    }

    /// Ends all watches.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }
}

impl Inner {
    fn familiar(&self) -> MutexGuard<'_, Familiar> {
        self.familiar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn late(&self) -> MutexGuard<'_, Late> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rules(&self) -> Arc<Epochs> {
        self.epochs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn catalog(&self) -> Arc<Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn discover(&self) -> Result<Arc<Catalog>, ApiError> {
        let fresh = catalog::discover(&self.rest).await?;
        let (catalog, was_empty) = {
            let mut known = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
            if *known == fresh {
                return Ok(known.clone());
            }
            let was_empty = known.is_empty();
            *known = fresh;
            (known.clone(), was_empty)
        };
        if was_empty {
            epoch::refresh(self).await;
        }
        self.discovered.notify_waiters();
        if !was_empty {
            self.tell(ClusterEvent::Catalog);
        }
        Ok(catalog)
    }

    fn with_index<T>(&self, work: impl FnOnce(&mut Index) -> T) -> T {
        work(&mut self.index.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a live object of a kind in, as the server sent it: a member is put in the index, unless that knows it in this
    /// version already, and what is no member is taken out. Gives what is known of it now.
    fn take(&self, bytes: &[u8], resource: &Resource) -> Option<Taken> {
        self.take_where(bytes, resource, |_, _| true)
    }

    /// The same of a member only where the index, as it is at that moment, says so.
    fn take_where(
        &self,
        bytes: &[u8],
        resource: &Resource,
        is_wanted: impl Fn(&Index, &ObjectId) -> bool,
    ) -> Option<Taken> {
        match Read::of(bytes, resource)? {
            Read::Member { set, id, version, bytes } => {
                let known = self.with_index(|index| index.known(&set, &id, &version).cloned());
                if let Some(live) = known {
                    return Some(Taken { id, live: Some(live), changed: Changed::new(), newer: None });
                }
                let mut live = slim(&whole(bytes, resource)?);
                let (newer, changed) = self.with_index(|index| {
                    if !is_wanted(index, &id) {
                        return (None, Changed::new());
                    }
                    index.share(&mut live);
                    (index.newer(&id, &live), index.put(&set, id.clone(), live.clone()))
                });
                Some(Taken { id, live: Some(live), changed, newer })
            }
            Read::Outside(id, version) => {
                let changed = self.with_index(|index| index.went(&id, &version));
                Some(Taken { id, live: None, changed, newer: None })
            }
        }
    }

    fn era(&self) -> CancellationToken {
        self.era.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The server does not know any more what was followed. It may have been put back to a backup.
    fn note_break(&self) {
        self.breaks.fetch_add(1, Ordering::SeqCst);
    }

    fn interruptions(&self) -> u64 {
        self.breaks.load(Ordering::SeqCst) + self.losses.load(Ordering::SeqCst)
    }

    /// A watch was cut off.
    fn note_loss(&self) {
        self.losses.fetch_add(1, Ordering::SeqCst);
        self.lost.notify_one();
    }

    /// The server has been put back to an older state: what is known of it is from a history that has not happened.
    fn rewind(&self) {
        tracing::warn!(
            cluster = self.name,
            "the cluster was put back to an older state; everything is looked at anew"
        );
        let over = std::mem::take(&mut *self.era.write().unwrap_or_else(PoisonError::into_inner));
        let changed = self.with_index(Index::rewind);
        self.note_break();
        over.cancel();
        self.progressed.notify_waiters();
        self.changed(&changed);
        self.tell(ClusterEvent::Connection);
    }

    fn namespaces(&self) -> BTreeSet<String> {
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, kind: &GroupKind, namespace: &str, progress: Progress) {
        let (changed, is_news) = self.with_index(|index| {
            let was_missed = index.is_missed(kind);
            let changed = index.progress(kind, namespace, progress);
            (changed, was_missed && !index.is_missed(kind))
        });
        self.progressed.notify_waiters();
        self.changed(&changed);
        // Who waited for it has no members of the kind yet, perhaps.
        if is_news {
            self.tell(ClusterEvent::Connection);
        }
    }

    fn start(&self, kind: &GroupKind) {
        let settled = self.with_index(|index| index.is_settled(kind));
        if !settled {
            self.note(kind, "", Progress::Starting);
        }
    }

    fn changed(&self, sets: &Changed) {
        for set in sets {
            self.tell(ClusterEvent::Member { set: set.clone() });
        }
    }

    fn tell(&self, event: ClusterEvent) {
        (self.listener)(event);
    }

    /// What a list that targets share showed is not kept for longer than it answers.
    fn forget_lists_when_old(self: &Arc<Self>) {
        let cluster = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(FRESH).await;
            if let Some(cluster) = cluster.upgrade() {
                cluster.looks.forget_old();
                cluster.forget_old_parents().await;
            }
        });
    }

    /// Waits a while; true where the cluster was let go meanwhile.
    async fn pause(&self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => true,
            () = tokio::time::sleep(pause) => false,
        }
    }
}
