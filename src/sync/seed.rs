//! What chance and time are made of in a target's chart, kept in a Secret of the target.
//!
//! A password, a key or a certificate that a chart makes would be another one at each rendering. The seed that they follow from is
//! made once, kept beside the target's record, and read again by whoever renders the target. It is written before the first
//! object that was made with it. When the Secret is gone and somebody asks for a sync, a new one is made.
//!
//! Absent: the values themselves. See [`crate::render::chance`].

use super::target::{TargetSpec, TargetState};
use crate::ambient;
use crate::cluster::{ApiErrorClass, Cluster};
use crate::render::Seed;
use std::collections::BTreeMap;

/// The Secret's key for the bytes.
const BYTES: &str = "seed";
/// The Secret's key for the time.
const TIME: &str = "time";

/// A seed, and what is known of its Secret.
#[derive(Clone, Default)]
pub struct Kept {
    seed: Option<Seed>,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    /// Nobody has looked whether there is one.
    #[default]
    Unread,
    /// There is none yet.
    Missing,
    /// It holds the seed.
    Kept,
}

impl Kept {
    /// Looks again before it is used the next time.
    pub fn doubt(&mut self) {
        self.standing = Standing::Unread;
    }

    /// Whether it is known if there is a Secret.
    pub fn is_read(&self) -> bool {
        self.standing != Standing::Unread
    }

    /// The seed to render with: for the time being one of its own, where nobody has looked yet.
    pub fn seed(&mut self) -> Result<Seed, String> {
        if let Some(seed) = &self.seed {
            return Ok(seed.clone());
        }
        let bytes = ambient::secret().map_err(|error| format!("random numbers: {error}"))?;
        let seed = Seed { bytes, time: ambient::now() };
        self.seed = Some(seed.clone());
        Ok(seed)
    }
}

/// Reads the target's seed; a new one takes its place where there is none any more.
pub async fn read(cluster: &Cluster, spec: &TargetSpec, state: &mut TargetState) -> Result<(), String> {
    let (namespace, name) = (spec.parent_namespace(), spec.parent_name());
    match cluster.secret(namespace, &name).await {
        Ok(data) => {
            let seed = parse(&data).ok_or_else(|| {
                format!("Secret {namespace}/{name} holds no seed for the chart's random values; delete it, and sync, to have new ones made")
            })?;
            state.kept = Kept { seed: Some(seed), standing: Standing::Kept };
        }
        Err(error) if error.class == ApiErrorClass::NotFound => {
            let was_there = state.uses_chance();
            let seed = state.kept.seed.take().filter(|_| !was_there);
            state.kept = Kept { seed, standing: Standing::Missing };
        }
        Err(error) => return Err(error.to_string()),
    }
    Ok(())
}

/// Sees to it that the seed is kept before something is applied that was made with it.
pub async fn keep(cluster: &Cluster, spec: &TargetSpec, state: &mut TargetState) -> Result<(), String> {
    let is_used = state.uses_chance();
    if !is_used || state.kept.standing == Standing::Kept {
        return Ok(());
    }
    let seed = state.kept.seed()?;
    let data = BTreeMap::from([(BYTES, seed.bytes.to_vec()), (TIME, seed.time.to_string().into_bytes())]);
    let (namespace, name) = (spec.parent_namespace(), spec.parent_name());
    match cluster.create_secret(namespace, &name, &data).await {
        Ok(()) => {
            state.kept.standing = Standing::Kept;
            Ok(())
        }
        Err(error) => {
            // Perhaps somebody else made one: what it says counts.
            state.kept.doubt();
            Err(format!("the seed of the chart's random values could not be kept: {error}"))
        }
    }
}

fn parse(data: &BTreeMap<String, Vec<u8>>) -> Option<Seed> {
    let bytes = data.get(BYTES)?.as_slice().try_into().ok()?;
    let time = std::str::from_utf8(data.get(TIME)?).ok()?.parse().ok()?;
    Some(Seed { bytes, time })
}
