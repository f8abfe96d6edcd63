//! What stands between a store and its clients: a relay that a test makes slow, or cuts in the middle
//! of a transfer.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;

/// How much is passed on at once, in bytes.
const PIECE: usize = 16 * 1024;

/// A relay of TCP connections; dropping it ends them.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    socket: SocketAddrV4,
    listening: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    to: SocketAddrV4,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The bytes that clients may send still; `None` when nothing cuts them.
    left: Option<u64>,
    /// The bytes that clients have sent.
    sent: u64,
    /// Bytes in a second, of each connection and direction.
    rate: Option<u64>,
    ended: bool,
    open: Vec<Weak<TcpStream>>,
}

impl State {
    fn is_cut(&self) -> bool {
        self.ended || self.left == Some(0)
    }

    /// Ends all connections, as a router that was switched off does: nobody says goodbye.
    fn cut(&mut self) {
        for stream in self.open.drain(..).filter_map(|stream| stream.upgrade()) {
            // One that has ended is as good.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Relay {
    /// Listens at `socket` and passes everything on to `to`.
    pub(super) fn start(socket: SocketAddrV4, to: SocketAddrV4) -> Result<Self> {
        let listener = TcpListener::bind(socket)?;
        let shared = Arc::new(Shared {
            to,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let serving = Arc::clone(&shared);
        let listening = thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if serving.state().ended {
                    return;
                }
                // A connection that cannot be made is the client's to make anew.
                let _ = serving.connect(client);
            }
        });
        Ok(Self {
            shared,
            socket,
            listening: Some(listening),
        })
    }

    /// Lets at most this many bytes in a second through, for each connection and direction; `None` as
    /// many as come.
    pub fn limit(&self, bytes_in_a_second: Option<u64>) {
        self.shared.state().rate = bytes_in_a_second;
        self.shared.changed.notify_all();
    }

    /// Cuts all connections, and lets nobody through until [`Relay::mend`], when clients have sent this
    /// many bytes more; with 0 at once.
    pub fn cut_after(&self, bytes: u64) {
        let mut state = self.shared.state();
        state.left = Some(bytes);
        if state.is_cut() {
            state.cut();
        }
        self.shared.changed.notify_all();
    }

    /// Says whether it has cut the connections.
    pub fn is_cut(&self) -> bool {
        self.shared.state().is_cut()
    }

    /// Lets everybody through again.
    pub fn mend(&self) {
        self.shared.state().left = None;
    }

    /// Gives how many bytes clients have sent so far.
    pub fn sent(&self) -> u64 {
        self.shared.state().sent
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        {
            let mut state = self.shared.state();
            state.ended = true;
            state.cut();
        }
        self.shared.changed.notify_all();
        // Wakes the thread that listens.
        if TcpStream::connect(self.socket).is_ok()
            && let Some(thread) = self.listening.take()
        {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        let (client, server) = (Arc::new(client), Arc::new(TcpStream::connect(self.to)?));
        {
            let mut state = self.state();
            if state.is_cut() {
                return Ok(());
            }
            state.open.retain(|stream| stream.strong_count() > 0);
            state.open.push(Arc::downgrade(&client));
            state.open.push(Arc::downgrade(&server));
        }
        for (from, to, is_client) in [
            (Arc::clone(&client), Arc::clone(&server), true),
            (server, client, false),
        ] {
            let shared = Arc::clone(self);
            thread::spawn(move || {
                // Whichever way it ends, the other side is told.
                let _ = shared.pass_on(&from, &to, is_client);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
        Ok(())
    }

    fn pass_on(&self, mut from: &TcpStream, mut to: &TcpStream, is_client: bool) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        loop {
            let length = from.read(&mut piece)?;
            if length == 0 {
                return Ok(());
            }
            let length = if is_client {
                self.count(length)
            } else {
                length
            };
            to.write_all(piece.get(..length).unwrap_or(&piece))?;
            if is_client {
                let mut state = self.state();
                if state.is_cut() {
                    state.cut();
                }
            }
            self.pace(length);
        }
    }

    /// Counts what a client has sent, and gives how much of it may pass.
    fn count(&self, length: usize) -> usize {
        let mut state = self.state();
        let length = match &mut state.left {
            Some(left) => {
                let pass = usize::try_from(*left).map_or(length, |left| left.min(length));
                *left -= pass as u64;
                pass
            }
            None => length,
        };
        state.sent += length as u64;
        length
    }

    /// Waits as long as so many bytes take at the present rate.
    fn pace(&self, length: usize) {
        let begin = Instant::now();
        let mut state = self.state();
        while let Some(rate) = state.rate
            && !state.is_cut()
        {
            let takes = Duration::from_nanos(length as u64 * 1_000_000_000 / rate.max(1));
            let Some(left) = takes.checked_sub(begin.elapsed()) else {
                return;
            };
            state = match self.changed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}
