//! Kinds that the cluster does not serve yet and that are given some time to come.
//!
//! A CRD may be on its way: another target brings it, or somebody installs it by hand. For a while that is a reason to
//! wait, after that it is a mistake that somebody has to be told of. A catalog that changes is a trigger of its own, so the
//! only thing that is timed here is the end of the patience.

use super::directory::Directory;
use super::target::{TargetSpec, TargetState};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;
use trueup_model::{GroupKind, ObjectId};
use trueup_plan::desired::Desired;

/// How long a kind may take that nobody is known to bring.
const UNANNOUNCED: Duration = Duration::from_secs(10);
/// How long a kind may take that another target brings.
const ANNOUNCED: Duration = Duration::from_mins(1);

/// What is waited for, by kind, and when the first patience is over.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Awaited {
    /// Kinds with what to say of them.
    pub kinds: BTreeMap<GroupKind, String>,
    /// When to look again.
    pub again: Option<Duration>,
}

/// The unserved kinds of a target that are still waited for.
pub fn awaited(
    spec: &TargetSpec,
    state: &mut TargetState,
    desired: &Desired,
    directory: &Directory,
    now: Instant,
) -> Awaited {
    let unserved: BTreeSet<GroupKind> = desired.unserved.iter().map(ObjectId::group_kind).collect();
    state.awaiting.retain(|kind, _| unserved.contains(kind));
    let mut awaited = Awaited::default();
    for kind in unserved {
        let since = *state.awaiting.entry(kind.clone()).or_insert(now);
        let bringer = directory.bringer(&spec.name, &spec.cluster, &kind);
        let patience = if bringer.is_some() { ANNOUNCED } else { UNANNOUNCED };
        let left = (since + patience).saturating_duration_since(now);
        if left.is_zero() {
            continue;
        }
        awaited.again = Some(awaited.again.map_or(left, |again| again.min(left)));
        let what = match bringer {
            Some(target) => format!("waits for the kind {kind}, which {target} brings"),
            None => format!("waits for the kind {kind}, which the cluster does not know yet"),
        };
        awaited.kinds.insert(kind, what);
    }
    awaited
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::target::tests::spec;

    fn widget() -> Desired {
        let id = ObjectId::new("example.com", "Widget", "shop", "w");
        Desired { unserved: BTreeSet::from([id]), ..Desired::default() }
    }

    #[test]
    fn a_kind_is_waited_for_and_longer_where_another_target_of_the_cluster_brings_it() {
        let (spec, mut state, directory) = (spec("app@test"), TargetState::default(), Directory::default());
        let start = Instant::now();
        let mut waits = |directory: &Directory, seconds: u64| {
            let now = start + Duration::from_secs(seconds);
            awaited(&spec, &mut state, &widget(), directory, now).kinds.into_values().next()
        };
        let unknown = "waits for the kind Widget.example.com, which the cluster does not know yet";
        assert_eq!(waits(&directory, 0).as_deref(), Some(unknown));
        assert_eq!(waits(&directory, 10), None);
        let crds = Desired {
            defines: BTreeSet::from([GroupKind::new("example.com", "Widget")]),
            ..Desired::default()
        };
        directory.claim("crds@far", "elsewhere", &crds);
        assert_eq!(waits(&directory, 10), None);
        directory.claim("crds@test", "here", &crds);
        let brought = "waits for the kind Widget.example.com, which crds@test brings";
        assert_eq!(waits(&directory, 10).as_deref(), Some(brought));
        assert_eq!(waits(&directory, 60), None);
    }

    #[test]
    fn a_kind_that_came_and_went_is_waited_for_anew() {
        let (spec, mut state, directory) = (spec("app@test"), TargetState::default(), Directory::default());
        let start = Instant::now();
        awaited(&spec, &mut state, &widget(), &directory, start);
        let later = start + Duration::from_hours(1);
        assert_eq!(awaited(&spec, &mut state, &Desired::default(), &directory, later), Awaited::default());
        assert_eq!(awaited(&spec, &mut state, &widget(), &directory, later).again, Some(UNANNOUNCED));
    }
}
