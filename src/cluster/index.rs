//! What the watches have shown, reduced to what decisions need: the members of each `ApplySet`.
//!
//! Enters: lists and events of the watches, and the answers to our own writes, in any order. An entry is only ever replaced by
//! one of a newer resource version, so an event from before our write cannot undo what the write's answer said; and an answer from
//! before an object went does not bring it back.

use super::catalog::Resource;
use super::gone::Gone;
use super::reading::Head;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use trueup_merge::extract::Shape;
use trueup_model::{GroupKind, ObjectId, Value};
use trueup_plan::observed::Live;

/// How long a watch may be down before what it showed counts as unknown.
const STALE: Duration = Duration::from_secs(15);

/// Changes of a set that are kept for whoever follows it; where there are more, all of it is to be looked at.
const LOGGED: usize = 256;

/// Shapes that may be kept though no object has them any more.
const SPARE_SHAPES: usize = 1000;

/// The members of a target, and the kinds of which nothing is known.
#[derive(Clone, Debug, Default)]
pub struct Members {
    /// The live members.
    pub members: BTreeMap<ObjectId, Arc<Live>>,
    /// Kinds that cannot be looked at, and why.
    pub unknown: BTreeMap<GroupKind, String>,
}

/// What changed in a set since somebody looked at all of it.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    /// When this was.
    pub mark: Mark,
    /// The objects that changed; `None` where one is no member any more.
    pub objects: BTreeMap<ObjectId, Option<Arc<Live>>>,
}

/// A moment in the life of an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// How far the watch of a kind is, in one namespace or (the empty name) over all of them.
#[derive(Clone, Debug)]
pub(super) enum Progress {
    /// The first list has not come back yet.
    Starting,
    /// The list is complete and events follow it. It is as the server was when connections to it had been cut off this often.
    Following(u64),
    /// The connection is down since then.
    Down(Instant, String),
    /// It may not be watched, or not at all: why.
    Refused(String),
}

/// What a change means to a set.
pub(super) type Changed = BTreeSet<String>;

#[derive(Default)]
pub(super) struct Index {
    objects: BTreeMap<ObjectId, (Arc<str>, Arc<Live>)>,
    gone: Gone,
    sets: HashMap<Arc<str>, BTreeSet<ObjectId>>,
    /// The shapes that objects have. Many have the same.
    shapes: BTreeSet<Shape>,
    watches: BTreeMap<GroupKind, BTreeMap<String, Progress>>,
    /// Kinds whose first list somebody gave up waiting for.
    awaited: BTreeSet<GroupKind>,
    /// Moves with each change of any set.
    now: Mark,
    /// What changed in the sets that somebody follows.
    logs: HashMap<Arc<str>, Log>,
}

/// The changes of a set after a moment.
struct Log {
    since: Mark,
    changes: Vec<(Mark, ObjectId)>,
}

/// A live object as it was sent, read as far as is needed.
pub(super) enum Read<'b> {
    /// It is in a set.
    Member {
        /// The set.
        set: String,
        /// Its identity.
        id: ObjectId,
        /// Its version.
        version: String,
        /// The object.
        bytes: &'b [u8],
    },
    /// It is in none, in this version.
    Outside(ObjectId, String),
}

impl<'b> Read<'b> {
    /// Reads the head of an object of a kind; `None` where the bytes are no object.
    pub(super) fn of(bytes: &'b [u8], resource: &Resource) -> Option<Self> {
        let head = Head::of(bytes)?;
        let id = head.id(resource)?;
        Some(match head.set() {
            Some(set) => Self::Member { set: set.to_owned(), id, version: head.version().to_owned(), bytes },
            None => Self::Outside(id, head.version().to_owned()),
        })
    }
}

/// The slim form of a live object.
pub(super) fn slim(object: &Value) -> Arc<Live> {
    Arc::new(Live::of(object, super::MANAGER))
}

fn version(text: &str) -> u64 {
    // Comparable as numbers since Kubernetes 1.35 (KEP-5504); what is not a number is never thought older.
    text.parse().unwrap_or(u64::MAX)
}

impl Index {
    /// What is known of an object, if it is known in this version and set already: nothing of it has to be read then.
    pub(super) fn known(&self, set: &str, id: &ObjectId, as_of: &str) -> Option<&Arc<Live>> {
        let (known_set, live) = self.objects.get(id)?;
        (&**known_set == set && live.resource_version == as_of).then_some(live)
    }

    /// How many objects are known.
    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    /// Puts a live object in, unless a newer one is there; gives the sets that are concerned.
    pub(super) fn put(&mut self, set: &str, id: ObjectId, live: Arc<Live>) -> Changed {
        let mut changed = Changed::new();
        if self.gone.version(&id).is_some_and(|gone| version(&live.resource_version) <= gone) {
            return changed;
        }
        if let Some((old_set, old)) = self.objects.get_mut(&id) {
            let (was, is) = (version(&old.resource_version), version(&live.resource_version));
            if is < was {
                return changed;
            }
            let same = (&old.uid, old.token, &old.health, old.deleting, old.keep)
                == (&live.uid, live.token, &live.health, live.deleting, live.keep);
            if &**old_set == set {
                let looks_same = same && (old.extract, &old.shape) == (live.extract, &live.shape);
                *old = live;
                if !same {
                    changed.insert(set.to_owned());
                }
                if !looks_same {
                    self.log(set, &id);
                }
                return changed;
            }
            changed.extend(self.remove(&id));
        }
        changed.insert(set.to_owned());
        self.log(set, &id);
        // Each name is kept once, however many objects and tables speak of it.
        let set = self.set(set);
        self.sets.entry(set.clone()).or_default().insert(id.clone());
        self.objects.insert(id, (set, live));
        changed
    }

    fn log(&mut self, set: &str, id: &ObjectId) {
        self.now = Mark(self.now.0 + 1);
        let Some(log) = self.logs.get_mut(set) else { return };
        if log.changes.len() < LOGGED {
            log.changes.push((self.now, id.clone()));
        } else {
            *log = Log { since: self.now, changes: Vec::new() };
        }
    }

    /// Notes what changes in a set from now on. There is one who follows a set: whoever did so before has to look at all of it.
    pub(super) fn follow(&mut self, set: &str) -> Mark {
        self.now = Mark(self.now.0 + 1);
        let (name, since) = (self.set(set), self.now);
        self.logs.insert(name, Log { since, changes: Vec::new() });
        since
    }

    /// What changed in a followed set after `since`. `None` where that is not known, or one of the kinds is unknown.
    pub(super) fn touched(&mut self, set: &str, since: Mark, kinds: &BTreeSet<GroupKind>) -> Option<Touched> {
        if kinds.iter().any(|kind| self.unknown(kind).is_some()) {
            return None;
        }
        let log = self.logs.get_mut(set).filter(|log| log.since <= since)?;
        log.changes.retain(|(at, _)| *at > since);
        let ids: BTreeSet<ObjectId> = log.changes.iter().map(|(_, id)| id.clone()).collect();
        let objects = ids.into_iter().map(|id| (id.clone(), self.member(set, &id))).collect();
        Some(Touched { mark: self.now, objects })
    }

    /// An object, if it is in the set.
    pub(super) fn member(&self, set: &str, id: &ObjectId) -> Option<Arc<Live>> {
        self.objects.get(id).filter(|(of, _)| **of == *set).map(|(_, live)| live.clone())
    }

    /// Whether an object is known, and has this uid where one is named.
    pub(super) fn has(&self, id: &ObjectId, uid: &str) -> bool {
        self.objects.get(id).is_some_and(|(_, live)| uid.is_empty() || live.uid == uid)
    }

    /// The set that an object is in, and the object.
    pub(super) fn elsewhere(&self, id: &ObjectId) -> Option<(String, Arc<Live>)> {
        self.objects.get(id).map(|(set, live)| (set.to_string(), live.clone()))
    }

    /// The version in which an object is known, or known to have gone, where that is newer than this one.
    pub(super) fn newer(&self, id: &ObjectId, live: &Live) -> Option<u64> {
        let known = self.objects.get(id).map(|(_, known)| version(&known.resource_version));
        let known = known.or_else(|| self.gone.version(id))?;
        (known > version(&live.resource_version)).then_some(known)
    }

    /// Forgets all objects: the server's history is another one than the one that they are from. Gives the sets that are concerned.
    pub(super) fn rewind(&mut self) -> Changed {
        self.objects.clear();
        self.gone.clear();
        // Whoever follows a set looks at all of it again.
        self.logs.clear();
        for progress in self.watches.values_mut().flat_map(BTreeMap::values_mut) {
            *progress = Progress::Starting;
        }
        std::mem::take(&mut self.sets).into_keys().map(|set| set.to_string()).collect()
    }

    fn set(&self, set: &str) -> Arc<str> {
        self.sets.get_key_value(set).map_or_else(|| set.into(), |(known, _)| known.clone())
    }

    /// Has an object that nobody else holds yet share what others have as well.
    pub(super) fn share(&mut self, live: &mut Arc<Live>) {
        if let Some(live) = Arc::get_mut(live) {
            live.shape = live.shape.take().map(|shape| self.shape(shape));
        }
    }

    fn shape(&mut self, shape: Shape) -> Shape {
        if let Some(known) = self.shapes.get(&shape) {
            return known.clone();
        }
        // Those that no object has any more go before there are many.
        if self.shapes.len() >= self.objects.len() + SPARE_SHAPES {
            self.shapes.retain(|shape| Arc::strong_count(shape) > 1);
        }
        self.shapes.insert(shape.clone());
        shape
    }

    /// Takes an object out that went in a version, unless it is known in a newer one: it was deleted, or is a member no longer.
    pub(super) fn went(&mut self, id: &ObjectId, as_of: &str) -> Changed {
        let went = version(as_of);
        if self.objects.get(id).is_some_and(|(_, live)| version(&live.resource_version) > went) {
            return Changed::new();
        }
        if went < u64::MAX {
            self.gone.note(id, went);
        }
        self.remove(id)
    }

    /// Takes an object out, whatever was known of it.
    pub(super) fn remove(&mut self, id: &ObjectId) -> Changed {
        let Some((set, _)) = self.objects.remove(id) else { return Changed::new() };
        self.log(&set, id);
        if let Some(ids) = self.sets.get_mut(&set) {
            ids.remove(id);
            if ids.is_empty() {
                self.sets.remove(&set);
                self.logs.remove(&set);
            }
        }
        Changed::from([set.to_string()])
    }

    /// Takes out what a complete list of the kind, as of a resource version, did not show.
    pub(super) fn retain(
        &mut self,
        kind: &GroupKind,
        namespace: &str,
        listed: &BTreeSet<ObjectId>,
        as_of: &str,
    ) -> Changed {
        let gone: Vec<ObjectId> = self
            .objects
            .iter()
            .filter(|(id, (_, live))| {
                id.kind == kind.kind
                    && id.group == kind.group
                    && (namespace.is_empty() || id.namespace == namespace)
                    && !listed.contains(id)
                    && version(&live.resource_version) <= version(as_of)
            })
            .map(|(id, _)| id.clone())
            .collect();
        gone.iter().flat_map(|id| self.remove(id)).collect()
    }

    /// Notes how far a watch is; gives the sets that are concerned when what is known changes.
    pub(super) fn progress(&mut self, kind: &GroupKind, namespace: &str, progress: Progress) -> Changed {
        let parts = self.watches.entry(kind.clone()).or_default();
        // Once one watch covers all namespaces, or each has its own, the other form is over.
        parts.retain(|part, _| part.is_empty() == namespace.is_empty());
        let old = parts.remove(namespace);
        let (now, moved) = match (old, progress) {
            (Some(Progress::Following(before)), Progress::Following(heard)) => {
                (Progress::Following(before.max(heard)), false)
            }
            // How long it has been down counts from the beginning.
            (Some(Progress::Down(since, _)), Progress::Down(_, why)) => (Progress::Down(since, why), false),
            (Some(Progress::Refused(old)), Progress::Refused(new)) => {
                let moved = old != new;
                (Progress::Refused(new), moved)
            }
            // What was never listed in full is no better known for having been tried a moment ago.
            (Some(Progress::Starting | Progress::Refused(_)), Progress::Down(_, why)) => {
                (Progress::Refused(why), true)
            }
            (_, new) => (new, true),
        };
        parts.insert(namespace.to_owned(), now);
        if parts.values().all(|progress| matches!(progress, Progress::Following(_))) {
            self.awaited.remove(kind);
        }
        if moved { self.sets_of(kind) } else { Changed::new() }
    }

    fn sets_of(&self, kind: &GroupKind) -> Changed {
        let of_kind = |id: &ObjectId| id.kind == kind.kind && id.group == kind.group;
        let sets: BTreeSet<&Arc<str>> =
            self.objects.iter().filter(|(id, _)| of_kind(id)).map(|(_, (set, _))| set).collect();
        sets.into_iter().map(ToString::to_string).collect()
    }

    /// Whether the first list of a kind has come back, or never will.
    pub(super) fn is_settled(&self, kind: &GroupKind) -> bool {
        self.watches.get(kind).is_some_and(|parts| {
            !parts.is_empty() && parts.values().all(|progress| !matches!(progress, Progress::Starting))
        })
    }

    /// Somebody goes on without what is not known of these kinds yet.
    pub(super) fn give_up<'k>(&mut self, kinds: impl Iterator<Item = &'k GroupKind>) {
        let unknown: Vec<GroupKind> = kinds.filter(|kind| !self.is_settled(kind)).cloned().collect();
        self.awaited.extend(unknown);
    }

    /// Whether nothing could be learnt of a kind so far, or for too long.
    pub(super) fn is_missed(&self, kind: &GroupKind) -> bool {
        if self.awaited.contains(kind) {
            return true;
        }
        let mut parts = self.watches.get(kind).into_iter().flat_map(BTreeMap::values);
        parts.any(|progress| match progress {
            Progress::Refused(_) => true,
            Progress::Down(since, _) => since.elapsed() > STALE,
            Progress::Following(_) | Progress::Starting => false,
        })
    }

    /// Why a kind is unknown, where it is.
    fn unknown(&self, kind: &GroupKind) -> Option<String> {
        let Some(parts) = self.watches.get(kind) else {
            return Some(format!("{kind} has not been listed yet"));
        };
        parts.values().find_map(|progress| match progress {
            Progress::Following(_) => None,
            Progress::Starting => Some(format!("{kind} has not been listed yet")),
            Progress::Down(since, why) => (since.elapsed() > STALE).then(|| why.clone()),
            Progress::Refused(why) => Some(why.clone()),
        })
    }

    /// Whether all that is known of a kind was heard from the server when connections to it had been cut off this often.
    pub(super) fn is_heard(&self, kind: &GroupKind, interruptions: u64) -> bool {
        self.watches.get(kind).is_some_and(|parts| {
            !parts.is_empty()
                && parts
                    .values()
                    .all(|progress| matches!(progress, Progress::Following(heard) if *heard == interruptions))
        })
    }

    /// A member of a set of which this is true.
    pub(super) fn member_where(&self, set: &str, is_meant: impl Fn(&ObjectId) -> bool) -> Option<&ObjectId> {
        self.sets.get(set).into_iter().flatten().find(|id| is_meant(id))
    }

    /// Where a kind is watched: the namespaces, or (the empty name) all of them.
    pub(super) fn parts(&self, kind: &GroupKind) -> Vec<String> {
        self.watches.get(kind).into_iter().flat_map(BTreeMap::keys).cloned().collect()
    }

    /// The members of some sets, and what is not known of the watched kinds.
    pub(super) fn members(&self, sets: &[String]) -> Members {
        let ids = sets.iter().filter_map(|set| self.sets.get(set.as_str())).flatten();
        let members = ids.filter_map(|id| Some((id.clone(), self.objects.get(id)?.1.clone()))).collect();
        let unknown =
            self.watches.keys().filter_map(|kind| Some((kind.clone(), self.unknown(kind)?))).collect();
        Members { members, unknown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::catalog::Scope;
    use crate::cluster::reading::whole;
    use serde_json::json;
    use trueup_plan::apply_set::PART_OF;

    fn resource() -> Resource {
        Resource {
            group: String::new(),
            version: "v1".into(),
            kind: "ConfigMap".into(),
            plural: "configmaps".into(),
            scope: Scope::Namespaced,
            verbs: Vec::new(),
        }
    }

    fn put(index: &mut Index, name: &str, version: &str, set: &str) -> Changed {
        let object = json!({"metadata": {"name": name, "namespace": "a", "uid": "u", "resourceVersion": version, "labels": {PART_OF: set}}});
        take(index, &object)
    }

    fn take(index: &mut Index, object: &Value) -> Changed {
        let bytes = object.to_string();
        match Read::of(bytes.as_bytes(), &resource()).unwrap() {
            Read::Member { set, id, bytes, .. } => {
                index.put(&set, id, slim(&whole(bytes, &resource()).unwrap()))
            }
            Read::Outside(id, version) => index.went(&id, &version),
        }
    }

    fn names(index: &Index, set: &str) -> Vec<String> {
        index.members(&[set.to_owned()]).members.keys().map(|id| id.name.clone()).collect()
    }

    #[test]
    fn an_event_from_before_our_write_is_ignored() {
        let mut index = Index::default();
        put(&mut index, "x", "10", "new");
        assert!(put(&mut index, "x", "9", "old").is_empty());
        assert_eq!(names(&index, "new"), ["x"]);
    }

    #[test]
    fn an_answer_from_before_an_object_went_does_not_bring_it_back() {
        let mut index = Index::default();
        let id = ObjectId::new("", "ConfigMap", "a", "x");
        put(&mut index, "x", "10", "s");
        assert_eq!(index.went(&id, "12"), Changed::from(["s".into()]));
        assert!(put(&mut index, "x", "11", "s").is_empty() && names(&index, "s").is_empty());
        let list = slim(&json!({"metadata": {"name": "x", "namespace": "a", "resourceVersion": "11"}}));
        assert_eq!(
            index.newer(&id, &list),
            Some(12),
            "a list as of then that has it is from another history"
        );
        put(&mut index, "x", "13", "s");
        assert!(index.went(&id, "12").is_empty(), "it was made anew since");
        assert_eq!(names(&index, "s"), ["x"]);
        assert_eq!(index.went(&id, "14"), Changed::from(["s".into()]));
        index.rewind();
        put(&mut index, "x", "9", "s");
        assert_eq!(names(&index, "s"), ["x"]);
    }

    #[test]
    fn a_member_that_moves_concerns_both_sets() {
        let mut index = Index::default();
        put(&mut index, "x", "1", "one");
        assert_eq!(put(&mut index, "x", "2", "two"), Changed::from(["one".into(), "two".into()]));
        assert!(names(&index, "one").is_empty());
    }

    #[test]
    fn an_object_that_leaves_its_set_is_no_member_of_any() {
        let mut index = Index::default();
        put(&mut index, "x", "1", "one");
        let bare = json!({"metadata": {"name": "x", "namespace": "a", "resourceVersion": "2"}});
        assert_eq!(take(&mut index, &bare), Changed::from(["one".into()]));
        assert!(names(&index, "one").is_empty());
    }

    fn touched(index: &mut Index, since: Mark) -> Option<(Mark, Vec<(String, bool)>)> {
        let touched = index.touched("s", since, &BTreeSet::new())?;
        let named = touched.objects.iter().map(|(id, live)| (id.name.clone(), live.is_some()));
        Some((touched.mark, named.collect()))
    }

    #[test]
    fn whoever_follows_a_set_is_told_what_came_changed_and_went_in_it_and_of_nothing_else() {
        let mut index = Index::default();
        put(&mut index, "x", "1", "s");
        put(&mut index, "y", "1", "s");
        assert!(touched(&mut index, Mark(0)).is_none(), "nobody follows it");
        let begin = index.follow("s");
        put(&mut index, "other", "1", "another");
        put(&mut index, "x", "2", "s");
        assert_eq!(touched(&mut index, begin).unwrap().1, [], "another version of the same says nothing");
        index.remove(&ObjectId::new("", "ConfigMap", "a", "y"));
        put(&mut index, "z", "3", "s");
        let (mark, changes) = touched(&mut index, begin).unwrap();
        assert_eq!(changes, [("y".to_owned(), false), ("z".to_owned(), true)]);
        assert_eq!(touched(&mut index, begin).unwrap().1, changes, "it was not taken note of yet");
        assert_eq!(touched(&mut index, mark).unwrap().1, []);
        assert_eq!(touched(&mut index, begin).unwrap().1, [], "what was taken note of is not told again");
    }

    #[test]
    fn where_more_changed_than_is_kept_or_another_follows_all_of_a_set_is_to_be_looked_at() {
        let mut index = Index::default();
        let begin = index.follow("s");
        for number in 0..=LOGGED {
            assert!(touched(&mut index, begin).is_some());
            put(&mut index, &format!("x-{number}"), "1", "s");
        }
        assert!(touched(&mut index, begin).is_none());
        let again = index.follow("s");
        assert!(touched(&mut index, again).is_some());
        index.follow("s");
        assert!(touched(&mut index, again).is_none());
        let kinds = BTreeSet::from([GroupKind::new("", "ConfigMap")]);
        let last = index.follow("s");
        assert!(index.touched("s", last, &kinds).is_none(), "the kind has not been listed yet");
    }

    #[test]
    fn an_object_is_known_in_the_version_and_set_that_were_read_and_in_no_other() {
        let mut index = Index::default();
        put(&mut index, "x", "7", "one");
        let id = ObjectId::new("", "ConfigMap", "a", "x");
        assert!(index.known("one", &id, "7").is_some());
        assert!(index.known("one", &id, "8").is_none());
        assert!(index.known("two", &id, "7").is_none());
    }

    #[test]
    fn a_fresh_list_takes_out_what_it_does_not_show_but_not_what_came_after_it() {
        let mut index = Index::default();
        put(&mut index, "old", "5", "s");
        put(&mut index, "new", "20", "s");
        let kind = GroupKind::new("", "ConfigMap");
        index.retain(&kind, "", &BTreeSet::new(), "10");
        assert_eq!(names(&index, "s"), ["new"]);
    }

    #[test]
    fn a_kind_is_unknown_until_it_was_listed_and_when_it_may_not_be() {
        let mut index = Index::default();
        let kind = GroupKind::new("", "ConfigMap");
        let unknown = |index: &Index| index.members(&[]).unknown.len();
        index.progress(&kind, "", Progress::Starting);
        assert_eq!((unknown(&index), index.is_settled(&kind)), (1, false));
        index.progress(&kind, "", Progress::Following(0));
        assert_eq!((unknown(&index), index.is_settled(&kind)), (0, true));
        index.progress(&kind, "", Progress::Refused("forbidden".into()));
        assert_eq!((unknown(&index), index.is_settled(&kind)), (1, true));
    }
}
