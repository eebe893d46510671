//! How many requests may be under way at once: as many as the server answers as fast as it can.
//!
//! Enters: how long each write took, and the server's word when it has too much to do. Leaves: permits, in the order in which
//! they were asked for. The bound moves as TCP's does: up for each round of answers that came as fast as ever, down
//! by half when the server refuses (429), and then nobody asks before `Retry-After`. Absent: any limit of requests a second,
//! which would slow down a server that has priority and fairness of its own.

use super::error::{ApiError, ApiErrorClass};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Where the bound begins; measured to keep a small API server busy without queueing in it.
const FIRST: usize = 32;
/// How far it grows where the configuration names no bound.
const MOST: usize = 64;
/// An answer within this time is fast, however fast others were.
const FAST: Duration = Duration::from_millis(100);
/// Answers that take so many times the best that was seen are a queue in the server.
const QUEUEING: u32 = 4;
/// The longest that a server's `Retry-After` is waited for.
const LONGEST_HOLD: Duration = Duration::from_secs(30);
const SHORTEST_HOLD: Duration = Duration::from_millis(200);

/// Permits for requests to one server.
pub(super) struct Pace {
    permits: Semaphore,
    state: Mutex<State>,
}

struct State {
    most: usize,
    bound: usize,
    /// Permits that there are: more than the bound until those that are out come back.
    given: usize,
    /// Answers of this round, and how long they took together.
    answers: usize,
    took: Duration,
    /// The fastest round of late.
    best: Duration,
    /// Whether nothing has gone too far yet.
    is_beginning: bool,
    hold: Option<Instant>,
    cut: Option<Instant>,
}

/// The right to one request. To be given back with [`Pace::answered`].
pub(super) struct Permit<'p> {
    permit: SemaphorePermit<'p>,
    since: Instant,
}

impl Pace {
    /// A pace below `most` requests at once.
    pub(super) fn below(most: Option<NonZeroU32>) -> Self {
        let most = most.and_then(|most| usize::try_from(most.get()).ok()).unwrap_or(MOST);
        let bound = FIRST.min(most);
        let state = State {
            most,
            bound,
            given: bound,
            answers: 0,
            took: Duration::ZERO,
            best: Duration::MAX,
            is_beginning: true,
            hold: None,
            cut: None,
        };
        Self { permits: Semaphore::new(bound), state: Mutex::new(state) }
    }

    /// Waits until one more request may be made.
    pub(super) async fn permit(&self) -> Option<Permit<'_>> {
        // The semaphore is never closed.
        let permit = self.permits.acquire().await.ok()?;
        loop {
            let hold = self.state().hold;
            match hold.filter(|until| *until > Instant::now()) {
                Some(until) => tokio::time::sleep_until(until).await,
                None => return Some(Permit { permit, since: Instant::now() }),
            }
        }
    }

    /// Gives a permit back, with what came of the request. Only writes tell how busy the server is: reads differ in size.
    pub(super) fn answered(&self, permit: Permit<'_>, verb: &str, error: Option<&ApiError>) {
        let Permit { permit, since } = permit;
        let mut state = self.state();
        match error {
            Some(error) if error.class == ApiErrorClass::Throttled => state.refused(error.retry_after),
            None if matches!(verb, "patch" | "delete") => state.took(since.elapsed()),
            Some(_) | None => {}
        }
        if state.given > state.bound {
            state.given -= 1;
            permit.forget();
        } else {
            drop(permit);
        }
        if state.given < state.bound {
            self.permits.add_permits(state.bound - state.given);
            state.given = state.bound;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn took(&mut self, took: Duration) {
        self.answers += 1;
        self.took += took;
        if self.answers < self.bound {
            return;
        }
        let mean = self.took / u32::try_from(self.answers).unwrap_or(u32::MAX);
        (self.answers, self.took) = (0, Duration::ZERO);
        // What was best long ago may be out of reach now.
        self.best = self.best.saturating_add(self.best / 16).min(mean);
        if mean <= FAST || mean <= self.best * QUEUEING {
            let more = if self.is_beginning { (self.bound / 8).max(1) } else { 1 };
            self.bound = (self.bound + more).min(self.most);
        } else {
            self.is_beginning = false;
            self.bound = (self.bound - self.bound / 8).max(1);
        }
    }

    fn refused(&mut self, retry_after: Option<Duration>) {
        let now = Instant::now();
        let hold = retry_after.unwrap_or(SHORTEST_HOLD).clamp(SHORTEST_HOLD, LONGEST_HOLD);
        self.hold = Some(self.hold.map_or(now + hold, |until| until.max(now + hold)));
        // Requests that were out together are refused together: that counts once.
        if self.cut.is_none_or(|cut| now.duration_since(cut) >= hold) {
            self.cut = Some(now);
            self.is_beginning = false;
            self.bound = (self.bound / 2).max(1);
        }
        (self.answers, self.took) = (0, Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(most: u32) -> Pace {
        Pace::below(NonZeroU32::new(most))
    }

    async fn answers(pace: &Pace, count: usize, each: Duration, error: Option<&ApiError>) {
        for _ in 0..count {
            let permit = pace.permit().await.unwrap();
            tokio::time::sleep(each).await;
            pace.answered(permit, "patch", error);
        }
    }

    fn throttled(seconds: u64) -> ApiError {
        let mut error = ApiError::new(ApiErrorClass::Throttled, "too many requests");
        error.retry_after = Some(Duration::from_secs(seconds));
        error
    }

    #[tokio::test(start_paused = true)]
    async fn never_more_are_under_way_than_the_configuration_allows() {
        let pace = below(2);
        answers(&pace, 500, Duration::from_millis(1), None).await;
        let _first = pace.permit().await.unwrap();
        let _second = pace.permit().await.unwrap();
        assert!(tokio::time::timeout(Duration::from_mins(1), pace.permit()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn fast_answers_raise_the_bound_and_slow_ones_lower_it() {
        let pace = below(80);
        answers(&pace, 1000, Duration::from_millis(5), None).await;
        let raised = pace.permits.available_permits();
        assert!(raised > FIRST, "{raised}");
        answers(&pace, 1000, Duration::from_millis(500), None).await;
        let lowered = pace.permits.available_permits();
        assert!(lowered < FIRST, "{lowered}");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_refusal_half_as_many_are_asked_and_none_before_the_server_said() {
        let pace = below(32);
        answers(&pace, 1, Duration::from_millis(1), Some(&throttled(3))).await;
        let refused = Instant::now();
        let permit = pace.permit().await.unwrap();
        assert!(refused.elapsed() >= Duration::from_secs(3), "{:?}", refused.elapsed());
        pace.answered(permit, "patch", None);
        // Permits go as they come back.
        answers(&pace, 14, Duration::from_millis(1), None).await;
        assert_eq!(pace.permits.available_permits(), 16);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_are_refused_together_lower_the_bound_once() {
        let pace = below(32);
        let error = throttled(1);
        let out = [pace.permit().await.unwrap(), pace.permit().await.unwrap(), pace.permit().await.unwrap()];
        for permit in out {
            pace.answered(permit, "patch", Some(&error));
        }
        assert_eq!(pace.state().bound, 16);
    }
}
