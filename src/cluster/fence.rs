//! How long this process may write, where another one takes its place if it does not say in time that it lives.
//!
//! Enters: until when the right to write holds, from whoever renews it. Leaves: yes or no before each write, how long the write may be
//! under way, and connections that send nothing more once the right is over. Absent: who else may write, and why.
//!
//! The last look at the clock is made where bytes are handed to the system: a process that was stopped for a while may have been
//! stopped anywhere, also between a decision to write and the write. Time goes on in such a process and in a machine that sleeps,
//! which is why the clock is `CLOCK_BOOTTIME`. It is of this machine alone and is compared with no other one's.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustix::time::{ClockId, clock_gettime};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tower::Service;

#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// The time since this machine was started.
pub fn since_boot() -> Duration {
    let now = clock_gettime(CLOCK);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or_default(),
        u32::try_from(now.tv_nsec).unwrap_or_default(),
    )
}

/// The right to write. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Fence(Arc<Bounds>);

/// In milliseconds since the machine was started.
#[derive(Debug)]
struct Bounds {
    /// Up to when a write may begin.
    begin: AtomicU64,
    /// Up to when it may be under way.
    end: AtomicU64,
    /// How often the right was lost.
    lost: AtomicU64,
}

impl Fence {
    /// A right that nobody else has, and that is never over.
    pub fn open() -> Self {
        Self(Arc::new(Bounds { begin: u64::MAX.into(), end: u64::MAX.into(), lost: 0.into() }))
    }

    /// A right that is still to be given.
    pub fn closed() -> Self {
        Self(Arc::new(Bounds { begin: 0.into(), end: 0.into(), lost: 0.into() }))
    }

    /// Writes may begin up to one time, and be under way up to another one.
    pub fn extend(&self, begin: Duration, end: Duration) {
        self.0.end.store(milliseconds(end), Ordering::SeqCst);
        self.0.begin.store(milliseconds(begin), Ordering::SeqCst);
    }

    /// No write may begin any more, and what is under way is not sent on, also not if the right is given again.
    pub fn close(&self) {
        self.0.lost.fetch_add(1, Ordering::SeqCst);
        self.0.begin.store(0, Ordering::SeqCst);
        self.0.end.store(0, Ordering::SeqCst);
    }

    /// How long a write may be under way that begins now; `None` where none may begin.
    pub fn left(&self) -> Option<Duration> {
        let now = milliseconds(since_boot());
        let end = self.0.end.load(Ordering::SeqCst);
        (now < self.0.begin.load(Ordering::SeqCst) && now < end).then(|| Duration::from_millis(end - now))
    }

    /// How often the right was lost: what was begun at another number was begun under another right.
    pub(super) fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::SeqCst)
    }

    /// Whether what was begun when the right was lost that often may go on.
    fn holds(&self, lost: u64) -> bool {
        milliseconds(since_boot()) < self.0.end.load(Ordering::SeqCst) && lost == self.lost()
    }

    /// Whether it is never over.
    pub(super) fn is_open(&self) -> bool {
        self.0.begin.load(Ordering::SeqCst) == u64::MAX
    }
}

impl Default for Fence {
    fn default() -> Self {
        Self::open()
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Makes connections that look at the fence each time they send something.
#[derive(Clone)]
pub(super) struct Fenced {
    connector: HttpConnector,
    fence: Fence,
}

impl Fenced {
    pub(super) fn new(connector: HttpConnector, fence: Fence) -> Self {
        Self { connector, fence }
    }
}

impl Service<Uri> for Fenced {
    type Response = FencedStream;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = BoxFuture<'static, Result<FencedStream, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<Uri>::poll_ready(&mut self.connector, context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let fence = self.fence.clone();
        let lost = fence.lost();
        self.connector.call(to).map(move |stream| Ok(FencedStream { stream: stream?, fence, lost })).boxed()
    }
}

/// Why a connection sends nothing.
#[derive(Debug, thiserror::Error)]
#[error("the right to write is over")]
struct Over;

/// Whether nothing was sent because the connection is of another right, or there is none.
pub(super) fn is_over(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|cause| {
        let refused = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        refused.and_then(|refused| refused.downcast_ref::<Over>()).is_some()
    })
}

/// A connection that sends nothing once the fence was closed: what waits in it then was for another right than comes after it.
pub(super) struct FencedStream {
    stream: TokioIo<TcpStream>,
    fence: Fence,
    lost: u64,
}

impl FencedStream {
    fn check(&self) -> io::Result<()> {
        if self.fence.holds(self.lost) { Ok(()) } else { Err(io::Error::other(Over)) }
    }
}

impl Read for FencedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for FencedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }
}

impl Connection for FencedStream {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::poll_fn;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_write_begins_before_one_time_and_is_over_at_another() {
        assert!(Fence::open().left().is_some());
        let fence = Fence::closed();
        assert_eq!(fence.left(), None);
        let now = since_boot();
        fence.extend(now + 10 * SECOND, now + 20 * SECOND);
        assert!(fence.left().is_some_and(|left| left > 18 * SECOND && left <= 20 * SECOND));
        fence.extend(now, now + 20 * SECOND);
        assert_eq!((fence.left(), fence.holds(0)), (None, true));
        fence.close();
        assert!(!fence.holds(0));
        fence.extend(now + 10 * SECOND, now + 20 * SECOND);
        assert_eq!(
            (fence.holds(0), fence.holds(1)),
            (false, true),
            "what is left of the former right is not sent"
        );
    }

    #[tokio::test]
    async fn a_connection_sends_nothing_when_the_right_is_over() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let fence = Fence::closed();
        let now = since_boot();
        fence.extend(now + 10 * SECOND, now + 20 * SECOND);
        let mut stream = Fenced::new(HttpConnector::new(), fence.clone()).call(to).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        poll_fn(|context| Pin::new(&mut stream).poll_write(context, b"one")).await.unwrap();
        fence.extend(now, now);
        let refused = poll_fn(|context| Pin::new(&mut stream).poll_write(context, b"two")).await.unwrap_err();
        assert_eq!(refused.to_string(), "the right to write is over");
        assert!(is_over(&refused) && !is_over(&io::Error::other("gone")));
        drop(stream);
        let mut sent = String::new();
        server.read_to_string(&mut sent).await.unwrap();
        assert_eq!(sent, "one");
    }
}
