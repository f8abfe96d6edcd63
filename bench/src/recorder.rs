//! A socket in front of an engine that records the requests of clients.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};

use crate::http::{self, Message};

/// The bytes of one connection to the engine since the last read.
type Sent = Arc<Mutex<Vec<u8>>>;

/// A socket that forwards everything to an engine unchanged, and records the requests.
#[derive(Debug)]
pub(crate) struct Recorder {
    path: PathBuf,
    engine: PathBuf,
    connections: Arc<Mutex<Vec<Sent>>>,
}

impl Recorder {
    /// Listens on `path` for as long as this process lives, or until [`step_aside`](Self::step_aside).
    pub(crate) fn start(path: PathBuf, engine: PathBuf) -> Result<Self> {
        let listener = UnixListener::bind(&path)
            .with_context(|| format!("could not listen on {}", path.display()))?;
        let connections: Arc<Mutex<Vec<Sent>>> = Arc::default();
        let (target, all) = (engine.clone(), Arc::clone(&connections));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let sent = Sent::default();
                lock(&all).push(Arc::clone(&sent));
                // Either side sees a lost connection as its end.
                let _ = pass_on(client, &target, sent);
            }
        });
        Ok(Self {
            path,
            engine,
            connections,
        })
    }

    /// Returns its address in the form of `DOCKER_HOST`.
    pub(crate) fn docker_host(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// Returns the requests since the last call. No request may be in progress.
    pub(crate) fn take(&self) -> Result<Vec<Message>> {
        let mut requests = Vec::new();
        for sent in lock(&self.connections).iter() {
            let bytes = std::mem::take(&mut *lock(sent));
            let mut rest = bytes.as_slice();
            while let Some(request) = http::read(&mut rest)? {
                requests.push(request);
            }
        }
        Ok(requests)
    }

    /// Makes the same address point to the engine itself from now on.
    ///
    /// A client with a state folder for each address keeps it, and there is no recorder in between.
    pub(crate) fn step_aside(&self) -> Result<()> {
        let beside = self.path.with_extension("link");
        symlink(&self.engine, &beside)?;
        fs::rename(&beside, &self.path)?;
        Ok(())
    }
}

fn pass_on(client: UnixStream, engine: &Path, sent: Sent) -> io::Result<()> {
    let engine = UnixStream::connect(engine)?;
    let (to_engine, to_client) = (engine.try_clone()?, client.try_clone()?);
    thread::spawn(move || pump(client, to_engine, Some(&sent)));
    thread::spawn(move || pump(engine, to_client, None));
    Ok(())
}

/// Copies until the end of `from`, and then closes `to`.
fn pump(mut from: UnixStream, mut to: UnixStream, keep: Option<&Sent>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let bytes = buffer.get(..count).unwrap_or_default();
        if let Some(sent) = keep {
            lock(sent).extend_from_slice(bytes);
        }
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    // The other side may already have closed it.
    let _ = to.shutdown(Shutdown::Write);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
