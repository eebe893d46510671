//! The threads that speak to repositories: so many at once, each for one action within its limits.
//!
//! Enters: work that waits for a network or a disk. Leaves: its result. A thread may not outlive the runtime whose clock it waits by, so
//! who stops the runtime ends these first.

use super::SourceError;
use super::limits::Limits;
use crate::ambient;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Questions and fetches that run at once. Most of the time they wait for the network.
const AT_ONCE: u32 = 16;
/// How long threads may take to end. They do as soon as they wait for something.
const FAREWELL: Duration = Duration::from_secs(5);

/// Cheap to clone; clones share their bound and their end.
#[derive(Clone)]
pub(super) struct Threads {
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Threads {
    pub(super) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE as usize)), stop: CancellationToken::new() }
    }

    /// Runs `work` on a thread. When the caller goes away, or all are to end, work that waits ends.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        location: &(impl Display + ?Sized),
        bound: Duration,
        work: impl FnOnce(&Limits) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let failed = |cause: String| SourceError::Damaged { location: location.to_string(), cause };
        let place = self.places.clone().acquire_owned().await.map_err(|error| failed(error.to_string()))?;
        let asked = self.stop.child_token();
        let _asked_for = asked.clone().drop_guard();
        let limits = Limits::new(bound, asked);
        let done = ambient::blocking(move || {
            let _place = place;
            work(&limits)
        });
        // A panic can only come out of reading objects that are not what they should be.
        done.await.unwrap_or_else(|error| Err(failed(error.to_string())))
    }

    /// Ends what is under way, and waits until it has ended.
    pub(super) async fn end(&self) {
        self.stop.cancel();
        let _ = tokio::time::timeout(FAREWELL, self.places.acquire_many(AT_ONCE)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const LONG: Duration = Duration::from_hours(1);

    #[tokio::test(flavor = "multi_thread")]
    async fn what_waits_ends_with_who_asked_for_it_and_with_all_others() {
        let threads = Threads::new();
        for asker_goes in [true, false] {
            let (begins, begun) = mpsc::channel();
            let (ends, ended) = mpsc::channel();
            let asked = tokio::spawn({
                let threads = threads.clone();
                async move {
                    let work = move |limits: &Limits| {
                        begins.send(()).unwrap();
                        ends.send(limits.wait(std::future::pending::<()>()).is_err()).unwrap();
                        Ok(())
                    };
                    threads.run("here", LONG, work).await
                }
            });
            tokio::task::block_in_place(|| begun.recv().unwrap());
            if asker_goes {
                asked.abort();
            } else {
                threads.end().await;
                assert!(ended.try_recv().unwrap(), "it has ended by then");
                continue;
            }
            assert!(tokio::task::block_in_place(|| ended.recv().unwrap()));
        }
    }
}
