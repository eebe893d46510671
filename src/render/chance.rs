//! Chance that can be repeated: what templates make of random bytes and of the time follows from a seed.
//!
//! Each call has bytes of its own, which depend on the seed, the template that is rendered, the function, its arguments and how
//! often it was called like that before. So a call that comes to a chart, or goes, changes nothing of what others made.
//!
//! Deliberately absent: keeping what was made. Equal bytes make equal keys, certificates and passwords.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trueup_helm::{Call, Calls, Random};

/// What chance and time are made of. Whoever knows it knows all passwords that a chart made.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Seed {
    /// What random bytes follow from.
    pub bytes: [u8; 32],
    /// What time templates find it to be.
    pub time: Timestamp,
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A function of chance that a template called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Called {
    /// The path of the template.
    pub template: String,
    /// The function's name.
    pub function: String,
}

/// The chance of one rendering.
#[derive(Clone)]
pub struct Chance(Arc<Mutex<State>>);

struct State {
    seed: [u8; 32],
    /// The seed of the call that is under way, and how many blocks of its bytes were taken.
    site: [u8; 32],
    block: u64,
    /// How often there was a call like that.
    calls: BTreeMap<[u8; 32], u64>,
    called: Vec<Called>,
}

impl Chance {
    /// Begins anew.
    pub fn new(seed: &Seed) -> Self {
        let state = State {
            seed: seed.bytes,
            site: seed.bytes,
            block: 0,
            calls: BTreeMap::new(),
            called: Vec::new(),
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Where the bytes come from.
    pub fn random(&self) -> Random {
        let chance = self.clone();
        Arc::new(move |bytes: &mut [u8]| chance.state().fill(bytes))
    }

    /// Who is told of calls.
    pub fn calls(&self) -> Calls {
        let chance = self.clone();
        Arc::new(move |call: Call| chance.state().begin(call))
    }

    /// What was called, each once, in order of templates.
    pub fn called(&self) -> Vec<Called> {
        let mut called = self.state().called.clone();
        called.sort();
        called.dedup();
        called
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin(&mut self, call: Call) {
        let Call { template, function, arguments } = call;
        let mut hash = Sha256::new().chain_update(self.seed);
        for part in [&template, &function, &arguments] {
            // With its length, so that no two lists of parts are one text.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let site: [u8; 32] = hash.finalize().into();
        let times = self.calls.entry(site).or_default();
        self.site = Sha256::new().chain_update(site).chain_update(times.to_be_bytes()).finalize().into();
        *times += 1;
        self.block = 0;
        self.called.push(Called { template, function });
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block =
                Sha256::new().chain_update(self.site).chain_update(self.block.to_be_bytes()).finalize();
            self.block += 1;
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What these calls get, of a seed.
    fn drawn(seed: u8, calls: &[&str]) -> Vec<[u8; 40]> {
        let chance = Chance::new(&Seed { bytes: [seed; 32], ..Seed::default() });
        let (told, random) = (chance.calls(), chance.random());
        let draw = |call: &&str| {
            let (template, function) = call.split_once(' ').unwrap();
            let [template, function] = [template, function].map(str::to_owned);
            told(Call { template, function, arguments: "[12]".to_owned() });
            let mut bytes = [0; 40];
            random(&mut bytes);
            bytes
        };
        calls.iter().map(draw).collect()
    }

    #[test]
    fn what_a_call_gets_follows_from_the_seed_and_its_place_and_from_no_other_call() {
        let few = drawn(1, &["a rand", "a rand", "b rand"]);
        let more = drawn(1, &["0 new", "b rand", "a uuid", "a rand", "a rand"]);
        assert_eq!([few[0], few[1], few[2]], [more[3], more[4], more[1]]);
        assert!(few[0] != few[1] && few[0] != few[2] && more[2] != more[3]);
        assert_ne!(few[0][..8], few[0][32..]);
        assert_ne!(drawn(2, &["a rand"])[0], few[0]);
    }
}
