//! Fits what is wanted to what is there, for objects of which fields are left to others.
//!
//! Enters: the rendered objects, and what is known of the live ones. Leaves: the objects as they are to be applied, and which
//! fields are left as they are. An object is read only where its ownership may have changed since it was read last: while
//! what we own of it is what our last apply left, nothing that we let go of has come back to us.

use super::target::TargetState;
use crate::bounded::in_order;
use crate::cluster::{Cluster, MANAGER};
use futures::FutureExt as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use trueup_merge::token::Digest;
use trueup_model::{ObjectId, Value};
use trueup_plan::desired::{Desired, Want};
use trueup_plan::ignore::IgnoredField;
use trueup_plan::observed::{Observed, Verdict};

const IN_FLIGHT: usize = 16;

/// The objects of a target that leave fields to others, as they were fitted last.
#[derive(Default)]
pub struct Fits {
    objects: BTreeMap<ObjectId, Fit>,
    /// The rendering that was fitted, and the result.
    last: Option<(Arc<Desired>, Arc<Desired>)>,
}

struct Fit {
    /// The digest of the object as Git has it.
    written: Digest,
    want: Arc<Want>,
    ignored: Vec<IgnoredField>,
}

impl Fits {
    /// The fields that are left to others.
    pub fn ignored(&self) -> impl Iterator<Item = &IgnoredField> {
        self.objects.values().flat_map(|fit| &fit.ignored)
    }
}

/// What is to be applied of `desired`. Objects that could not be read are told apart in the verdicts: nothing is decided about
/// them.
pub async fn fit(
    cluster: &Cluster,
    state: &mut TargetState,
    desired: &Arc<Desired>,
    observed: &Observed,
) -> (Arc<Desired>, BTreeMap<ObjectId, Verdict>) {
    let mut unread = BTreeMap::new();
    if desired.loose.is_empty() {
        state.fits = Fits::default();
        return (desired.clone(), unread);
    }
    let exists = |id: &&ObjectId| observed.members.contains_key(*id) || observed.strangers.contains_key(*id);
    let gone: Vec<&ObjectId> =
        state.fits.objects.keys().filter(|id| !exists(id) || !desired.loose.contains(*id)).collect();
    let mut changed = !gone.is_empty();
    for id in gone.into_iter().cloned().collect::<Vec<_>>() {
        state.fits.objects.remove(&id);
    }
    let due: Vec<&Want> = desired
        .loose
        .iter()
        .filter(exists)
        .filter_map(|id| desired.objects.get(id).map(Arc::as_ref))
        .filter(|want| !holds(want, state, observed))
        .collect();
    let looks = due.iter().map(|want| cluster.get_in(&want.id, &want.api_version).boxed());
    for (want, live) in due.iter().zip(in_order(looks, IN_FLIGHT).await) {
        match live {
            Ok(Some(live)) => {
                take(state, want, &live, observed);
                changed = true;
            }
            // It is gone since it was seen: the next turn creates it.
            Ok(None) => {}
            Err(error) => {
                let why = format!("its fields are left to others, and it could not be read: {error}");
                unread.insert(want.id.clone(), Verdict::Refused(why));
            }
        }
    }
    let same = state.fits.last.as_ref().filter(|(of, _)| !changed && Arc::ptr_eq(of, desired));
    if let Some((_, fitted)) = same {
        return (fitted.clone(), unread);
    }
    let mut fitted = Desired::clone(desired);
    for (id, fit) in &state.fits.objects {
        fitted.objects.insert(id.clone(), fit.want.clone());
    }
    let fitted = Arc::new(fitted);
    state.fits.last = Some((desired.clone(), fitted.clone()));
    (fitted, unread)
}

/// Whether the object was fitted as Git has it now, and is as our last apply left it.
fn holds(want: &Want, state: &TargetState, observed: &Observed) -> bool {
    let live = observed.members.get(&want.id).and_then(|live| live.token);
    let known = state.ledger.get(&want.id).map(|known| known.token);
    state.fits.objects.get(&want.id).is_some_and(|fit| fit.written == want.digest)
        && live.is_some()
        && live == known
}

fn take(state: &mut TargetState, written: &Want, live: &Value, observed: &Observed) {
    let (want, ignored) = written.fitted(live, MANAGER);
    let before = state.fits.objects.get(&written.id);
    let applied = |digest: Digest| {
        digest == written.digest
            || before.is_some_and(|fit| fit.written == written.digest && fit.want.digest == digest)
    };
    // Letting go of a field is no change in Git. Where what we still own is as it should be, nothing is to be done either.
    if state.ledger.get(&written.id).is_some_and(|known| known.digest != want.digest)
        && let Some(known) = Arc::make_mut(&mut state.ledger).get_mut(&written.id)
    {
        if let Some(proven) = observed.members.get(&written.id).and_then(|live| want.proof(live, known.epoch))
        {
            *known = proven;
        } else if applied(known.digest) {
            *known = want.known(known.token, known.epoch);
        }
    }
    let fit = Fit { written: written.digest, want: Arc::new(want), ignored };
    state.fits.objects.insert(written.id.clone(), fit);
}
