//! Charts: from a chart and values to what Helm would install.
//!
//! Enters: a loaded chart, values, and bytes of chance to make passwords and keys of. Leaves: what `crates/helm` makes. Absent:
//! where charts come from.

use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use trueup_helm::Random;

/// How long a chart may take. The slowest real ones take well below a second.
const LONGEST: Duration = Duration::from_mins(1);

/// Random bytes that follow from a seed, without end.
pub fn from_seed(seed: [u8; 32]) -> Random {
    let block = AtomicU64::new(0);
    Arc::new(move |bytes: &mut [u8]| {
        for chunk in bytes.chunks_mut(32) {
            let number = block.fetch_add(1, Ordering::Relaxed);
            let digest = Sha256::new().chain_update(seed).chain_update(number.to_be_bytes()).finalize();
            chunk.copy_from_slice(&digest[..chunk.len()]);
        }
    })
}

/// Says when a rendering that begins now has taken too long.
pub fn deadline() -> Arc<dyn Fn() -> bool + Send + Sync> {
    let begun = Instant::now();
    Arc::new(move || begun.elapsed() > LONGEST)
}
