//! A connection to a store, which is never still for too long and never faster than allowed.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::access::Limits;

/// How long no byte may move while something is waited for. A busy server needs seconds, a dead one never answers.
pub(super) const STALLED: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 60 });
/// The most that is moved at once under a limit, as a part of a second.
const SLICES: u64 = 16;
/// Bounds of a slice in bytes: below, the overhead would be more than the data; above, it is one write.
const SLICE: std::ops::RangeInclusive<u64> = 256..=65_536;

/// The pace of all connections of a store, in both directions.
#[derive(Clone, Debug, Default)]
pub(super) struct Paces {
    up: Option<Arc<Pace>>,
    down: Option<Arc<Pace>>,
}

impl Paces {
    pub(super) fn new(limits: Limits) -> Self {
        let pace = |rate: u64| Arc::new(Pace::new(rate));
        Self {
            up: limits.upload.map(pace),
            down: limits.download.map(pace),
        }
    }
}

/// How much may be moved in one direction.
#[derive(Debug)]
struct Pace {
    rate: u64,
    /// When all that was moved so far is paid for.
    paid: Mutex<Instant>,
}

impl Pace {
    fn new(rate: u64) -> Self {
        Self {
            rate: rate.max(1),
            paid: Mutex::new(Instant::now()),
        }
    }

    /// Returns how much may be moved at once.
    fn slice(&self) -> usize {
        let slice = (self.rate / SLICES).clamp(*SLICE.start(), *SLICE.end());
        usize::try_from(slice).unwrap_or(usize::MAX)
    }

    /// Counts bytes that were moved, and returns when more may follow.
    fn moved(&self, bytes: usize) -> Instant {
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let nanoseconds = bytes as u64 * 1_000_000_000 / self.rate;
        let cost = Duration::from_nanos(nanoseconds);
        *paid = (*paid).max(Instant::now()) + cost;
        *paid
    }
}

/// A connection with its clock.
#[derive(Debug)]
pub(super) struct Line<T> {
    inner: T,
    paces: Paces,
    may_write: Option<Pin<Box<Sleep>>>,
    may_read: Option<Pin<Box<Sleep>>>,
    stalled: Duration,
    /// When the connection is given up, unless a byte moves.
    dead: Pin<Box<Sleep>>,
}

impl<T> Line<T> {
    pub(super) fn new(inner: T, paces: Paces, stalled: Duration) -> Self {
        Self {
            inner,
            paces,
            may_write: None,
            may_read: None,
            stalled,
            dead: Box::pin(sleep_until(Instant::now() + stalled)),
        }
    }

    fn lives(&mut self) {
        self.dead.as_mut().reset(Instant::now() + self.stalled);
    }

    /// Returns an error when nothing has moved for too long.
    fn poll_dead(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        ready!(self.dead.as_mut().poll(cx));
        let text = format!("no byte was moved for {} seconds", self.stalled.as_secs());
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, text))
    }
}

/// Waits until the pace allows more.
fn poll_pause(pause: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> Poll<()> {
    if let Some(sleep) = pause {
        ready!(sleep.as_mut().poll(cx));
        *pause = None;
    }
    Poll::Ready(())
}

impl<T: AsyncRead + Unpin> AsyncRead for Line<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(poll_pause(&mut this.may_read, cx));
        let most = this.paces.down.as_ref().map_or(usize::MAX, |p| p.slice());
        let most = most.min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        let Poll::Ready(done) = Pin::new(&mut this.inner).poll_read(cx, &mut part) else {
            return this.poll_dead(cx).map(Err);
        };
        done?;
        let read = part.filled().len();
        buf.advance(read);
        this.lives();
        if let Some(pace) = &this.paces.down {
            this.may_read = Some(Box::pin(sleep_until(pace.moved(read))));
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Line<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(poll_pause(&mut this.may_write, cx));
        let most = this.paces.up.as_ref().map_or(usize::MAX, |p| p.slice());
        let part = buf.get(..most).unwrap_or(buf);
        let Poll::Ready(done) = Pin::new(&mut this.inner).poll_write(cx, part) else {
            return this.poll_dead(cx).map(Err);
        };
        let written = done?;
        this.lives();
        if let Some(pace) = &this.paces.up {
            this.may_write = Some(Box::pin(sleep_until(pace.moved(written))));
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl Connection for Line<TcpStream> {
    fn connected(&self) -> Connected {
        self.inner.connected()
    }
}
