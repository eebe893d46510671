//! Time, randomness and threads: what a process takes from around it beside its adapters.
//!
//! In a process of its own these are the machine's. In a simulation, which is one thread, the time follows tokio's clock, which can
//! be paused; random numbers follow from a seed; and blocking work is done in place. So what was seen once can be seen again.

use jiff::{SignedDuration, Timestamp};
use std::cell::RefCell;
use std::io::Read as _;
use tokio::task::JoinError;
use tokio::time::Instant;

thread_local! {
    static SIMULATED: RefCell<Option<Simulated>> = const { RefCell::new(None) };
}

/// What a simulated process takes for the machine's.
struct Simulated {
    start: Timestamp,
    began: Instant,
    random: u64,
}

/// Holds as long as this thread simulates.
#[must_use = "the simulation ends when this is dropped"]
pub struct Simulation(());

/// Simulates on this thread from now on, which is `start` there. To be called within tokio's runtime.
pub fn simulate(start: Timestamp, seed: u64) -> Simulation {
    let began = Instant::now();
    SIMULATED.with_borrow_mut(|simulated| *simulated = Some(Simulated { start, began, random: seed }));
    Simulation(())
}

impl Simulation {
    /// Sets the clock, forwards or backwards.
    pub fn set_clock(&self, now: Timestamp) {
        SIMULATED.with_borrow_mut(|simulated| {
            if let Some(simulated) = simulated {
                simulated.start = now;
                simulated.began = Instant::now();
            }
        });
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        SIMULATED.with_borrow_mut(|simulated| *simulated = None);
    }
}

fn simulated<T>(of: impl FnOnce(&mut Simulated) -> T) -> Option<T> {
    SIMULATED.with_borrow_mut(|simulated| simulated.as_mut().map(of))
}

/// The time of day.
pub fn now() -> Timestamp {
    let now = |simulated: &mut Simulated| {
        let passed = SignedDuration::try_from(simulated.began.elapsed()).unwrap_or(SignedDuration::MAX);
        simulated.start.checked_add(passed).unwrap_or(Timestamp::MAX)
    };
    simulated(now).unwrap_or_else(Timestamp::now)
}

/// A number from 0 to 1 that differs from call to call; good enough to spread retries.
pub fn fraction() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let bits = simulated(Simulated::next).unwrap_or_else(|| RandomState::new().hash_one(0u8)) >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    let fraction = bits as f64 / (1u64 << 53) as f64;
    fraction
}

/// Bytes that nobody can guess.
///
/// # Errors
/// The machine has no source of random numbers.
pub fn secret<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let drawn = simulated(|simulated| {
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&simulated.next().to_be_bytes()[..part.len()]);
        }
    });
    if drawn.is_none() {
        std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes))?;
    }
    Ok(bytes)
}

/// The name of the machine; in a pod the pod's.
pub fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::env::var("HOSTNAME").map_err(std::io::Error::other));
    let name = name.unwrap_or_default();
    if name.trim().is_empty() { "trueup".to_owned() } else { name.trim().to_owned() }
}

/// Does work that blocks where it holds up nobody.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    if simulated(|_| ()).is_some() {
        // As long as it may take on another thread, others go on.
        tokio::task::yield_now().await;
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await
}

/// Runs a future that blocks on a thread of its own.
///
/// # Errors
/// The system has no thread left.
pub fn on_thread(name: &str, work: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
    if simulated(|_| ()).is_some() {
        tokio::spawn(work);
        return Ok(());
    }
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(move || futures::executor::block_on(work)).map(drop)
}

impl Simulated {
    /// The next random number (`SplitMix64`).
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_simulated_process_sees_tokios_time_and_the_same_numbers_for_the_same_seed() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let seen = async || {
            let simulation = simulate(start, 7);
            tokio::time::sleep(Duration::from_hours(1)).await;
            let seen = (now(), fraction().to_bits(), secret::<12>().unwrap());
            simulation.set_clock(start);
            assert_eq!(now(), start);
            seen
        };
        let first = seen().await;
        assert_eq!(first.0, start + SignedDuration::from_hours(1));
        assert_eq!(first, seen().await);
        assert_ne!(first.1, fraction().to_bits());
    }
}
