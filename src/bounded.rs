//! Many futures at once, but not too many.

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;

/// Runs the futures, at most `limit` at a time; gives their results in the order of the futures.
///
/// Each is made only when its turn comes, so that ten thousand of them take no more room than `limit`, and one that is slow
/// holds up none behind it.
pub(crate) async fn in_order<'a, T: Send>(
    futures: impl Iterator<Item = BoxFuture<'a, T>> + Send,
    limit: usize,
) -> Vec<T> {
    let mut waiting = futures.enumerate();
    let mut running = FuturesUnordered::new();
    let mut results: Vec<Option<T>> = Vec::new();
    loop {
        while running.len() < limit.max(1)
            && let Some((place, future)) = waiting.next()
        {
            results.push(None);
            running.push(async move { (place, future.await) });
        }
        let Some((place, result)) = running.next().await else { break };
        if let Some(empty) = results.get_mut(place) {
            *empty = Some(result);
        }
    }
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn results_are_in_order_and_no_more_than_the_limit_run_at_once() {
        let (made, under_way, most, done) = <(AtomicUsize, AtomicUsize, AtomicUsize, AtomicUsize)>::default();
        let work = (0..100_u64).map(|number| {
            made.fetch_add(1, Ordering::SeqCst);
            let (under_way, most, made, done) = (&under_way, &most, &made, &done);
            async move {
                let now = under_way.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                assert!(made.load(Ordering::SeqCst) - done.load(Ordering::SeqCst) <= 8, "made too early");
                // The first is the slowest: it holds up nobody.
                tokio::time::sleep(Duration::from_millis(if number == 0 { 5000 } else { number % 7 })).await;
                under_way.fetch_sub(1, Ordering::SeqCst);
                done.fetch_add(1, Ordering::SeqCst);
                number
            }
            .boxed()
        });
        assert_eq!(in_order(work, 8).await, (0..100).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), 8);
    }
}
