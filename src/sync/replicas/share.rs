//! The part of the work that this replica has, as those who do the work see it.
//!
//! Enters: shards that are taken and given up, and who keeps the others. Leaves: whether something is this replica's at this moment.
//! Absent: how that is settled between replicas.

use super::super::agents::Hub;
use super::shards::{Shard, Table};
use crate::cluster::Fence;
use reqwest::Client;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{RwLock as Gate, RwLockReadGuard, watch};

/// What this replica has. Clones are the same.
#[derive(Clone, Debug)]
pub struct Share(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    fence: Fence,
    held: RwLock<BTreeSet<Shard>>,
    /// Held by whoever writes something of a shard outside of a turn.
    gate: Gate<()>,
    others: watch::Sender<Others>,
    client: Client,
    /// Who decides what counts over several clusters, where this is an agent.
    hub: Option<Hub>,
}

/// The other replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// Where each one answers, by its name.
    pub addresses: BTreeMap<String, String>,
    /// What is whose.
    pub table: Table,
}

impl Share {
    /// Nothing yet, and no right to write.
    ///
    /// # Errors
    /// The other replicas could not be asked anything.
    pub fn nothing() -> reqwest::Result<Self> {
        Self::under(None)
    }

    /// The same, for an agent of a hub.
    ///
    /// # Errors
    /// The other replicas could not be asked anything.
    pub fn under(hub: Option<Hub>) -> reqwest::Result<Self> {
        let inner = Inner {
            client: Client::builder().no_proxy().build()?,
            fence: Fence::closed(),
            held: RwLock::default(),
            gate: Gate::default(),
            others: watch::Sender::new(Others::default()),
            hub,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// The hub of an agent.
    pub(in crate::sync) fn hub(&self) -> Option<&Hub> {
        self.0.hub.as_ref()
    }

    pub(in crate::sync) fn client(&self) -> &Client {
        &self.0.client
    }

    /// The right to write.
    pub fn fence(&self) -> &Fence {
        &self.0.fence
    }

    /// Whether something of this name is this replica's.
    pub fn has(&self, name: &str) -> bool {
        self.held().contains(&Shard::of(name))
    }

    /// The shards that are this replica's.
    pub fn held(&self) -> BTreeSet<Shard> {
        self.0.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same, for as long as what is given is held.
    pub async fn hold(&self, name: &str) -> Option<RwLockReadGuard<'_, ()>> {
        let gate = self.0.gate.read().await;
        self.has(name).then_some(gate)
    }

    /// What the other replicas are, as it changes.
    pub fn others(&self) -> watch::Receiver<Others> {
        self.0.others.subscribe()
    }

    /// The other replicas, and where they answer.
    pub fn addresses(&self) -> BTreeMap<String, String> {
        self.0.others.borrow().addresses.clone()
    }

    /// The other replica that keeps something of this name, and where it answers.
    pub fn keeper_of(&self, name: &str) -> Option<(String, String)> {
        let others = self.0.others.borrow();
        let replica = others.table.get(&Shard::of(name))?;
        Some((replica.clone(), others.addresses.get(replica)?.clone()))
    }

    pub(super) fn meet(&self, others: Others) {
        self.0.others.send_if_modified(|known| {
            let is_news = *known != others;
            *known = others;
            is_news
        });
    }

    pub(in crate::sync) fn take(&self, shards: &BTreeSet<Shard>) {
        self.0.held.write().unwrap_or_else(PoisonError::into_inner).extend(shards);
    }

    /// Gives shards up; nothing that was begun by [`Share::hold`] goes on afterwards.
    pub(in crate::sync) async fn give_up(&self, shards: &BTreeSet<Shard>) {
        self.0.held.write().unwrap_or_else(PoisonError::into_inner).retain(|shard| !shards.contains(shard));
        drop(self.0.gate.write().await);
    }
}
