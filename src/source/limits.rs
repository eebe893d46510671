//! The bound of one network action: a deadline, and a way to give up early.
//!
//! Everything that waits in here runs on a thread for blocking work and waits for asynchronous
//! readers and writers through [`Limits::wait`], so no action outlives its deadline or its asker.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long an action may take, and whether anybody still wants its result.
#[derive(Clone)]
pub(super) struct Limits {
    runtime: tokio::runtime::Handle,
    deadline: Instant,
    /// The bound that the deadline came from, for the text of errors.
    pub(super) after: Duration,
    gone: CancellationToken,
}

/// Why waiting ended without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum GaveUp {
    #[error("the time is up")]
    TimedOut,
    #[error("nobody waits for the result any more")]
    Abandoned,
}

impl Limits {
    /// Limits that end after `after`, or when nobody wants the result any more.
    pub(super) fn new(after: Duration, gone: CancellationToken) -> Self {
        Self { runtime: tokio::runtime::Handle::current(), deadline: Instant::now() + after, after, gone }
    }

    /// Waits for `work` within the limits. Call it from threads for blocking work only.
    pub(super) fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T, GaveUp> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.gone.cancelled() => Err(GaveUp::Abandoned),
                done = tokio::time::timeout_at(self.deadline, work) => done.map_err(|_| GaveUp::TimedOut),
            }
        })
    }

    /// Whether there is no time left.
    pub(super) fn ended(&self) -> Option<GaveUp> {
        if Instant::now() >= self.deadline {
            Some(GaveUp::TimedOut)
        } else if self.gone.is_cancelled() {
            Some(GaveUp::Abandoned)
        } else {
            None
        }
    }

    /// Does `work` beside the action, and after it.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    /// Enters the runtime, for what must be created within it.
    pub(super) fn enter(&self) -> tokio::runtime::EnterGuard<'_> {
        self.runtime.enter()
    }
}

/// The limits of a conversation that outlives one action: those of the action that is under way.
#[derive(Clone)]
pub(super) struct Current(Arc<Mutex<Limits>>);

impl Current {
    pub(super) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Mutex::new(limits.clone())))
    }

    pub(super) fn get(&self) -> Limits {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, limits: &Limits) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = limits.clone();
    }
}

/// An asynchronous stream that is read and written by a thread for blocking work, within limits.
pub(super) struct Blocking<S> {
    stream: S,
    limits: Current,
}

impl<S> Blocking<S> {
    pub(super) fn new(stream: S, limits: Current) -> Self {
        Self { stream, limits }
    }
}

fn as_io(gave_up: GaveUp) -> io::Error {
    match gave_up {
        GaveUp::TimedOut => io::Error::new(io::ErrorKind::TimedOut, gave_up),
        GaveUp::Abandoned => io::Error::other(gave_up),
    }
}

impl<S: AsyncRead + Unpin> io::Read for Blocking<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.limits.get().wait(self.stream.read(buf)).map_err(as_io)?
    }
}

impl<S: AsyncWrite + Unpin> io::Write for Blocking<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.limits.get().wait(self.stream.write(buf)).map_err(as_io)?
    }

    fn flush(&mut self) -> io::Result<()> {
        self.limits.get().wait(self.stream.flush()).map_err(as_io)?
    }
}
