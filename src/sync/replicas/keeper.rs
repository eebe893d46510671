//! Keeps this replica's Lease, and takes and gives up shards.
//!
//! Enters: the Leases as they are watched, the clock of this machine. Leaves: Leases that are written, shards that the engine is told to
//! take or to let go of, and how long it may write. One thing is done after another here, so that a shard is never taken by a
//! Lease that is lost already; only letting go takes its time beside it, because turns end when they end.

use super::leases::{self, Kin, View};
use super::shards::{Shard, Table, shared_out};
use super::share::{Others, Share};
use crate::ambient;
use crate::cluster::{ApiError, ApiErrorClass, Cluster, Followed, LEASES, Lease, since_boot};
use crate::sync::engine::Engine;
use crate::web::metrics::{Ended, Metrics};
use anyhow::{Context as _, Result, anyhow};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The file of the state folder that names the replica which works with it.
const FILE: &str = "replica";
/// Changes of Leases that follow each other within this time are looked at together.
const SETTLE: Duration = Duration::from_millis(20);
/// How soon what did not go well is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often the watch may be behind with the table before something else is the matter.
const UNSEEN: u32 = 2;
/// How long leaving may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// What a replica says of itself.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Whose Leases are shared.
    pub kin: Kin,
    /// The namespace of the Leases.
    pub namespace: String,
    /// How long a Lease lasts without a renewal; at least three seconds.
    pub duration: Duration,
    /// Where this replica answers the others, as `host:port`, if they can reach it.
    pub address: Option<String>,
    /// What its name begins with: the pod's or the machine's.
    pub host: String,
    /// The state folder, which is this process' alone: who was named in it is gone.
    pub state: PathBuf,
}

/// Keeps the Lease of this replica.
pub struct Keeper {
    terms: Terms,
    engine: Engine,
    share: Share,
    metrics: Metrics,
    cluster: Cluster,
    followed: Followed,
    session: Option<Session>,
    /// The Leases of other replicas as they were seen.
    seen: BTreeMap<String, Seen>,
    /// Replicas that have no Lease any more.
    gone: BTreeSet<String>,
    /// Shards that are being let go of.
    leaving: BTreeSet<Shard>,
    /// Shards that were let go of and that the table still says are ours.
    left: BTreeSet<Shard>,
    over: (mpsc::UnboundedSender<BTreeSet<Shard>>, mpsc::UnboundedReceiver<BTreeSet<Shard>>),
    /// How often the table was there when it was to be made, and still is not among the Leases that are followed.
    unseen: u32,
    /// When something is to be done again that did not go well.
    again: Option<Duration>,
    /// What was logged last.
    trouble: String,
}

/// A Lease of another replica.
struct Seen {
    version: String,
    /// When it will have run out if it stays so.
    until: Duration,
}

/// A Lease that this replica has, under a name that it has never had before.
struct Session {
    replica: String,
    lease: Lease,
    /// When the last request was sent that renewed it.
    renewed: Duration,
    /// When to renew it again.
    due: Duration,
}

impl Terms {
    fn renew_every(&self) -> Duration {
        self.duration / 3
    }

    /// How long after a renewal writes may begin, and be under way. Who waits for the Lease to run out waits for all of it.
    fn writes(&self) -> (Duration, Duration) {
        (self.duration * 2 / 3, self.duration * 9 / 10)
    }

    /// The longest that a request about Leases may take.
    fn patience(&self) -> Duration {
        self.duration / 6
    }
}

impl Keeper {
    /// A keeper that does nothing yet. `cluster` is one that is written to without a fence.
    pub fn new(terms: Terms, engine: Engine, share: Share, metrics: Metrics, cluster: Cluster) -> Self {
        let followed = cluster.follow_resources(LEASES.0, &terms.namespace, [LEASES.1], terms.kin.label());
        Self {
            terms,
            engine,
            share,
            metrics,
            cluster,
            followed,
            session: None,
            seen: BTreeMap::new(),
            gone: BTreeSet::new(),
            leaving: BTreeSet::new(),
            left: BTreeSet::new(),
            over: mpsc::unbounded_channel(),
            unseen: 0,
            again: None,
            trouble: String::new(),
        }
    }

    /// Works until it is told to stop, when all turns are over; then leaves what it has to the others.
    pub async fn keep(mut self, stop: CancellationToken) {
        let mut changes = self.followed.changes();
        loop {
            let done = self.step().await;
            self.note(done.err());
            let pause = self.pause();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(shards) = self.over.1.recv() => self.has_left(&shards),
                _ = changes.changed() => tokio::time::sleep(SETTLE).await,
                () = tokio::time::sleep(pause) => {}
            }
            changes.mark_unchanged();
        }
        self.share.fence().close();
        if let Some(session) = self.session.take() {
            let lease = of_any_version(&session.lease);
            let deletion = self.cluster.delete_lease(&self.terms.namespace, &lease);
            match tokio::time::timeout(FAREWELL, deletion).await {
                Ok(Ok(())) => tracing::info!(replica = session.replica, "left the shards to the others"),
                Ok(Err(error)) => tracing::warn!(%error, "the Lease could not be given back"),
                Err(_) => tracing::warn!("the Lease could not be given back in time"),
            }
        }
        self.cluster.stop();
    }

    fn note(&mut self, error: Option<anyhow::Error>) {
        let told = error.map(|error| format!("{error:#}")).unwrap_or_default();
        if told.is_empty() {
            self.again = None;
        } else {
            self.again = Some(since_boot() + AGAIN);
            if told != self.trouble {
                tracing::warn!(error = told, "this replica's part cannot be kept up");
            }
        }
        self.trouble = told;
        let lapsed = self.share.fence().left().is_none();
        let why = if self.trouble.is_empty() { "it has not been given one yet" } else { &self.trouble };
        self.engine.says_of_its_part(lapsed.then(|| format!("this replica has no Lease: {why}")));
    }

    /// How long nothing has to be done.
    fn pause(&self) -> Duration {
        let due = self.session.as_ref().map(|session| session.due);
        let others = self.seen.iter().filter(|(replica, _)| !self.gone.contains(*replica));
        let next = others.map(|(_, seen)| seen.until).chain(due).min();
        let next = self.again.or(next);
        next.map_or(AGAIN, |next| next.saturating_sub(since_boot())).max(SETTLE)
    }

    async fn step(&mut self) -> Result<()> {
        self.renew().await?;
        let Some(session) = &self.session else { return Ok(()) };
        let replica = session.replica.clone();
        if self.followed.is_unheard() {
            return Ok(());
        }
        let objects = self.followed.objects().map_err(anyhow::Error::msg).context("Leases")?;
        let mut view = View::of(self.terms.kin, &objects);
        self.watch_over(&view, &replica).await?;
        view.replicas.retain(|other, _| !self.gone.contains(other));
        self.deal(&view, &replica).await
    }

    /// Sees to it that this replica has a Lease.
    async fn renew(&mut self) -> Result<()> {
        let now = since_boot();
        let Some(session) = &self.session else { return self.begin().await };
        if session.due > now {
            return Ok(());
        }
        let lease = Lease { renewed: Some(time()), ..of_any_version(&session.lease) };
        let written = self.asked(self.cluster.change_lease(&self.terms.namespace, &lease)).await;
        self.metrics.lease_renewed(if written.is_ok() { Ended::Success } else { Ended::Failure });
        match written {
            Ok(object) => {
                self.extend(now);
                let every = self.terms.renew_every();
                if let Some(session) = &mut self.session {
                    (session.lease, session.renewed, session.due) = (Lease::read(&object), now, now + every);
                }
                self.followed.note(LEASES.1, object);
                Ok(())
            }
            Err(error) if matches!(error.class, ApiErrorClass::NotFound | ApiErrorClass::Conflict) => {
                self.lose().await;
                self.begin().await
            }
            Err(error) => Err(error).context("the Lease could not be renewed"),
        }
    }

    fn extend(&self, renewed: Duration) {
        let (begin, end) = self.terms.writes();
        self.share.fence().extend(renewed + begin, renewed + end);
    }

    /// The Lease is somebody's no more: all turns end before there is another one.
    async fn lose(&mut self) {
        self.share.fence().close();
        let Some(session) = self.session.take() else { return };
        tracing::warn!(
            replica = session.replica,
            silent = ?since_boot().saturating_sub(session.renewed),
            "the Lease was lost; others have taken over"
        );
        let lost = self.share.held().len();
        let all: BTreeSet<Shard> = Shard::all().collect();
        self.engine.let_go(&all).await;
        self.metrics.shards_moved("lost", lost);
        self.over = mpsc::unbounded_channel();
        (self.leaving, self.left) = (BTreeSet::new(), BTreeSet::new());
        self.metrics.shards_held(0);
    }

    async fn begin(&mut self) -> Result<()> {
        let file = self.terms.state.join(FILE);
        if let Ok(before) = std::fs::read_to_string(&file) {
            // The folder has been locked since: the process that had it is no more.
            let lease = Lease { name: self.terms.kin.name_of(before.trim()), ..Lease::default() };
            self.asked(self.cluster.delete_lease(&self.terms.namespace, &lease)).await?;
        }
        let replica = self.name()?;
        std::fs::write(&file, &replica).with_context(|| file.display().to_string())?;
        let seconds = i64::try_from(self.terms.duration.as_secs()).unwrap_or(i64::MAX);
        let lease =
            leases::of_replica(self.terms.kin, &replica, seconds, self.terms.address.as_deref(), &time());
        let now = since_boot();
        let object = self.asked(self.cluster.create_lease(&self.terms.namespace, &lease)).await?;
        tracing::info!(replica, "takes part");
        let (lease, due) = (Lease::read(&object), now + self.terms.renew_every());
        self.followed.note(LEASES.1, object);
        self.session = Some(Session { replica, lease, renewed: now, due });
        self.extend(now);
        Ok(())
    }

    /// A name that no replica had before.
    fn name(&self) -> Result<String> {
        let random: [u8; 4] = ambient::secret().context("random numbers")?;
        let mut host: String = self.terms.host.to_lowercase();
        host.retain(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '.');
        host.truncate(200);
        Ok(format!("{}-{:08x}", host.trim_matches(['-', '.']), u32::from_be_bytes(random)))
    }

    /// Deletes Leases that were not renewed in time, each as it was seen.
    async fn watch_over(&mut self, view: &View, me: &str) -> Result<()> {
        self.seen.retain(|replica, _| view.replicas.contains_key(replica));
        self.gone.retain(|replica| {
            let named = |table: &Lease| leases::shards(table).values().any(|holder| holder == replica);
            view.replicas.contains_key(replica) || view.table.as_ref().is_some_and(named)
        });
        for (replica, lease) in view.replicas.iter().filter(|(replica, _)| *replica != me) {
            if self.gone.contains(replica) {
                continue;
            }
            let now = since_boot();
            let lasts = lease.seconds.and_then(|seconds| u64::try_from(seconds).ok());
            let lasts = lasts.map_or(self.terms.duration, Duration::from_secs);
            let fresh = || Seen { version: lease.version.clone(), until: now + lasts };
            let seen = self.seen.entry(replica.clone()).or_insert_with(fresh);
            if seen.version != lease.version {
                *seen = fresh();
            }
            if now < seen.until {
                continue;
            }
            match self.asked(self.cluster.delete_lease(&self.terms.namespace, lease)).await {
                Ok(()) => {
                    tracing::warn!(replica, "has not renewed its Lease; its shards are free");
                    self.gone.insert(replica.clone());
                }
                // It was renewed after all; the watch is about to say so.
                Err(error) if error.class == ApiErrorClass::Conflict => {
                    self.seen.insert(replica.clone(), fresh());
                }
                Err(error) => return Err(error).context("a Lease that has run out could not be deleted"),
            }
        }
        Ok(())
    }

    /// Takes what is free and is to be this replica's, and begins to let go of what is to be another one's.
    async fn deal(&mut self, view: &View, me: &str) -> Result<()> {
        let Some(table) = &view.table else {
            let installation = self.engine.installation();
            let table = leases::empty_table(self.terms.kin, &installation);
            return match self.asked(self.cluster.create_lease(&self.terms.namespace, &table)).await {
                Ok(object) => {
                    self.followed.note(LEASES.1, object);
                    Ok(())
                }
                // Somebody else made it; the watch is about to say so.
                Err(error) if error.class == ApiErrorClass::Conflict && self.unseen < UNSEEN => {
                    self.unseen += 1;
                    Ok(())
                }
                Err(error) if error.class == ApiErrorClass::Conflict => {
                    Err(anyhow!(leases::unmarked(self.terms.kin, &self.terms.namespace)))
                }
                Err(error) => Err(error).context("the table of shards"),
            };
        };
        self.unseen = 0;
        if let Some(installation) = leases::installation(table) {
            self.engine.is_of(installation);
        }
        let mut replicas: BTreeSet<String> = view.replicas.keys().cloned().collect();
        replicas.insert(me.to_owned());
        let says = leases::shards(table);
        let mut now = says.clone();
        for holder in says.values().collect::<BTreeSet<_>>() {
            if !replicas.contains(holder) && !self.is_gone(holder).await? {
                // Its Lease is still to be heard of.
                replicas.insert(holder.clone());
            }
        }
        now.retain(|_, holder| replicas.contains(holder));
        let wanted = shared_out(&now, &replicas);
        let (held, mine) = (self.share.held(), of(&now, me));
        let lost: BTreeSet<Shard> = held.difference(&mine).copied().collect();
        if !lost.is_empty() {
            // Somebody has written into the table by hand.
            self.engine.let_go(&lost).await;
        }
        self.left.retain(|shard| mine.contains(shard));
        let to_go: BTreeSet<Shard> = held
            .intersection(&mine)
            .filter(|shard| wanted.get(shard).is_some_and(|replica| replica != me))
            .copied()
            .collect();
        self.begin_to_let_go(to_go);
        let is_to_be_taken = |(shard, replica): (&Shard, &String)| {
            let is_free = !now.contains_key(shard);
            // Or it was taken by a write of which nothing was heard.
            let is_ours = mine.contains(shard)
                && !held.contains(shard)
                && !self.leaving.contains(shard)
                && !self.left.contains(shard);
            (replica == me && (is_free || is_ours)).then_some(*shard)
        };
        let taken: BTreeSet<Shard> = wanted.iter().filter_map(is_to_be_taken).collect();
        let mut next = now;
        next.retain(|shard, holder| holder != me || !self.left.contains(shard));
        next.extend(taken.iter().map(|shard| (*shard, me.to_owned())));
        if next != says {
            let changed = leases::with_shards(table, &next, &time());
            match self.asked(self.cluster.change_lease(&self.terms.namespace, &changed)).await {
                Ok(object) => self.followed.note(LEASES.1, object),
                // Somebody else was faster; the watch is about to say so.
                Err(error) if error.class == ApiErrorClass::Conflict => return Ok(()),
                Err(error) => return Err(error).context("the table of shards"),
            }
        }
        self.settle(view, &next, &taken).await;
        Ok(())
    }

    /// The table is as it was meant to be.
    async fn settle(&mut self, view: &View, table: &Table, taken: &BTreeSet<Shard>) {
        self.metrics.shards_moved("released", self.left.len());
        self.left.clear();
        let addresses = view.replicas.iter().filter_map(|(replica, lease)| {
            let is_me = self.session.as_ref().is_some_and(|session| session.replica == *replica);
            Some((replica.clone(), leases::address(lease)?.clone())).filter(|_| !is_me)
        });
        self.share.meet(Others { addresses: addresses.collect(), table: table.clone() });
        if !taken.is_empty() {
            tracing::info!(shards = taken.len(), "takes shards");
            self.metrics.shards_moved("taken", taken.len());
            self.engine.take_over(taken).await;
        }
        self.metrics.shards_held(self.share.held().len());
    }

    fn has_left(&mut self, shards: &BTreeSet<Shard>) {
        self.leaving.retain(|shard| !shards.contains(shard));
        self.left.extend(shards);
    }

    fn begin_to_let_go(&mut self, shards: BTreeSet<Shard>) {
        if shards.is_empty() {
            return;
        }
        tracing::info!(shards = shards.len(), "lets go of shards");
        self.leaving.extend(&shards);
        let (engine, over) = (self.engine.clone(), self.over.0.clone());
        tokio::spawn(async move {
            engine.let_go(&shards).await;
            // Nobody listens any more where the Lease was lost meanwhile.
            let _ = over.send(shards);
        });
    }

    /// Whether a replica that the table names has no Lease any more, so that it is nobody's what it had.
    async fn is_gone(&mut self, replica: &str) -> Result<bool> {
        if self.gone.contains(replica) {
            return Ok(true);
        }
        let name = self.terms.kin.name_of(replica);
        let has = self.asked(self.cluster.has_lease(&self.terms.namespace, &name)).await?;
        if !has {
            self.gone.insert(replica.to_owned());
        }
        Ok(!has)
    }

    async fn asked<T>(&self, request: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
        let answer = tokio::time::timeout(self.terms.patience(), request).await;
        answer.unwrap_or_else(|_| Err(ApiError::unanswered("Leases", self.terms.patience())))
    }
}

fn of(table: &Table, replica: &str) -> BTreeSet<Shard> {
    table.iter().filter(|(_, holder)| *holder == replica).map(|(shard, _)| *shard).collect()
}

fn of_any_version(lease: &Lease) -> Lease {
    Lease { version: String::new(), ..lease.clone() }
}

fn time() -> String {
    format!("{:.6}", ambient::now())
}
