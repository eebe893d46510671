//! What Git says: the rendered objects of a target, placed, labelled and hashed.

use crate::hooks::Hook;
use crate::ignore::Leave;
use crate::observed::{Known, Live};
use crate::order::{Stage, stage};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use trueup_merge::extract::Extract;
use trueup_merge::token::{Digest, Token};
use trueup_model::{GroupKind, ObjectId, Origin};

/// On an object: `"false"` keeps it when it leaves Git.
pub const PRUNE_ANNOTATION: &str = "trueup.dev/prune";
/// On an object: `"true"` allows deleting and creating it where an immutable field changed.
pub const RECREATE_ANNOTATION: &str = "trueup.dev/recreate";

/// On an object: the wave that it is applied in, a whole number.
pub const WAVE_ANNOTATION: &str = "trueup.dev/wave";

/// One object that should exist.
#[derive(Clone, Debug, PartialEq)]
pub struct Want {
    /// Its identity, with its namespace filled in.
    pub id: ObjectId,
    /// The version it is written in: `apps/v1`.
    pub api_version: String,
    /// The object as compact JSON with sorted keys, membership label included.
    pub body: Arc<[u8]>,
    /// Hash of the body and of all else that decides what an apply of it means.
    pub digest: Digest,
    /// Hash of the object as a live one shows it that was applied like this.
    pub extract: Extract,
    /// The file that it came from.
    pub origin: Origin,
    /// Its [`WAVE_ANNOTATION`] or `argocd.argoproj.io/sync-wave`, 0 where it has none.
    pub wave: i32,
    /// Whether it may be deleted and created again for an immutable field.
    pub recreate: bool,
    /// Objects of the same target that must have been applied before this one can be: its namespace, its CRD, what
    /// `config.kubernetes.io/depends-on` names.
    pub needs: Vec<ObjectId>,
    /// Fields of it that are left to others where the object is there already.
    pub leave: Vec<Leave>,
}

impl Want {
    /// The stage that the object's kind belongs to.
    pub fn stage(&self) -> Stage {
        stage(&self.id.group, &self.id.kind)
    }

    /// What an apply would leave behind, where the live object alone proves that it would change nothing. This is how a start
    /// without a ledger gets one without asking.
    pub fn proof(&self, live: &Live, epoch: u64) -> Option<Known> {
        self.likeness(live, epoch).filter(|_| live.shape.is_none())
    }

    /// The same where the object also leaves open what only its schema says.
    fn likeness(&self, live: &Live, epoch: u64) -> Option<Known> {
        (live.extract? == self.extract).then_some(self.known(live.token?, epoch))
    }

    /// What is known of the object once a live one with this token is as it should be.
    pub fn known(&self, token: Token, epoch: u64) -> Known {
        Known { digest: self.digest, token, epoch }
    }

    /// What can be said of a live member without asking the server, whose rules have the number `epoch` now.
    pub fn standing(&self, live: &Live, known: Option<&Known>, epoch: u64) -> Standing {
        let by_itself = |otherwise| match (self.likeness(live, epoch), &live.shape) {
            (Some(known), None) => Standing::Evident(known),
            (Some(known), Some(_)) => Standing::Likely(known),
            (None, _) => otherwise,
        };
        match known {
            None => by_itself(Standing::Doubtful),
            Some(known) if known.digest != self.digest => Standing::ChangedInGit,
            Some(known) if live.token != Some(known.token) => Standing::Doubtful,
            // Remembered without rules, by a trueup that knew of none: what a start without a ledger takes for proof is proof.
            Some(known) if epoch != 0 && known.epoch == 0 => by_itself(Standing::Outdated),
            Some(known) if epoch != 0 && known.epoch != epoch => Standing::Outdated,
            Some(_) => Standing::AsApplied,
        }
    }
}

/// What is known of a live member of a target before anything is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is remembered of it, and the object itself proves that it is as it should be.
    Evident(Known),
    /// The same, provided that in the places of its shape objects of this kind are what an apply makes of them: see
    /// [`Shape`](trueup_merge::extract::Shape).
    Likely(Known),
    /// It is as our last apply left it, and Git still wants that.
    AsApplied,
    /// The same, but by other rules than those in force: a schema, a webhook or an admission policy has changed since.
    Outdated,
    /// Git wants something else than what was applied last.
    ChangedInGit,
    /// Only the server can say.
    Doubtful,
}

impl Standing {
    /// Whether there is proof that nothing is to be done.
    pub fn is_proven(self) -> bool {
        match self {
            Self::Evident(_) | Self::AsApplied => true,
            Self::Likely(_) | Self::Outdated | Self::ChangedInGit | Self::Doubtful => false,
        }
    }
}

/// An object that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The file that it came from.
    pub origin: Origin,
    /// The wave that it would be in.
    pub wave: i32,
    /// Why.
    pub why: String,
}

/// The objects of a target at a revision.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// The target's name: `web@production`.
    pub target: String,
    /// The commit they were rendered from, 40 or 64 hex digits.
    pub revision: String,
    /// The objects by identity.
    pub objects: BTreeMap<ObjectId, Arc<Want>>,
    /// Objects that cannot be applied whatever the cluster holds.
    pub refused: BTreeMap<ObjectId, Refused>,
    /// Those of the refused ones that only lack their kind in the cluster, which may come yet.
    pub unserved: BTreeSet<ObjectId>,
    /// The kinds that the target itself defines.
    pub defines: BTreeSet<GroupKind>,
    /// Those of the objects that leave fields to others.
    pub loose: BTreeSet<ObjectId>,
    /// Those of the objects that are hooks.
    pub hooks: BTreeMap<ObjectId, Hook>,
    /// What the hooks are run for: a hash of all that is wanted; empty where there are none.
    pub run: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Health;
    use trueup_merge::token::digest;

    fn want() -> Want {
        let hash = |text: &str| digest(text.as_bytes(), "", "", 0);
        Want {
            id: ObjectId::new("", "ConfigMap", "shop", "web"),
            api_version: "v1".into(),
            body: Arc::from(&b"{}"[..]),
            digest: hash("wanted"),
            extract: hash("as wanted"),
            origin: Origin::default(),
            wave: 0,
            recreate: false,
            needs: Vec::new(),
            leave: Vec::new(),
        }
    }

    fn live(extract: &str, places: &[u64]) -> Live {
        let hash = |text: &str| digest(text.as_bytes(), "", "", 0);
        Live {
            uid: "u".into(),
            resource_version: "7".into(),
            token: Some(hash("live")),
            extract: Some(hash(extract)),
            shape: (!places.is_empty()).then(|| places.into()),
            health: Health::healthy(),
            deleting: false,
            keep: false,
        }
    }

    #[test]
    fn other_rules_are_a_doubt_and_unknown_ones_leave_it_to_the_object() {
        let want = want();
        let of = |live: &Live, epoch: u64| {
            let known = want.known(live.token.unwrap(), epoch);
            want.standing(live, Some(&known), 5)
        };
        let (alike, open, other) = (live("as wanted", &[]), live("as wanted", &[1]), live("defaulted", &[]));
        assert_eq!(of(&alike, 5), Standing::AsApplied);
        assert_eq!(of(&alike, 4), Standing::Outdated);
        assert!(matches!(of(&alike, 0), Standing::Evident(known) if known.epoch == 5));
        assert!(matches!(of(&open, 0), Standing::Likely(_)));
        assert_eq!(of(&other, 0), Standing::Outdated);
        assert_eq!(of(&other, 5), Standing::AsApplied);
    }
}
