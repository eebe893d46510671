//! Many futures at once, but not too many.

use futures::StreamExt as _;
use futures::future::BoxFuture;

/// Runs the futures, at most `limit` at a time; gives their results in the order of the futures.
///
/// They are boxed because a stream that maps borrowed items into futures is not `Send` for any lifetime
/// (rust-lang/rust#102211).
pub(crate) async fn in_order<T>(futures: Vec<BoxFuture<'_, T>>, limit: usize) -> Vec<T> {
    futures::stream::iter(futures).buffered(limit).collect().await
}
