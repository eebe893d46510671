//! Waiting for what another process brings about.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

const PAUSE: Duration = Duration::from_millis(50);

/// Asks `probe` until it gives a value. `None` and errors both mean "not yet"; when `timeout` is over, the last error is the
/// cause of the failure, so that a test says what it kept seeing.
pub fn wait_until<T>(
    what: &str,
    timeout: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + timeout;
    loop {
        let last = match probe() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if Instant::now() >= end {
            return match last {
                Some(error) => {
                    Err(error).with_context(|| format!("waited {timeout:?} until {what}, in vain"))
                }
                None => bail!("waited {timeout:?} until {what}, in vain"),
            };
        }
        thread::sleep(PAUSE);
    }
}
