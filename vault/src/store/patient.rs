//! A store that is asked again when it does not answer.
//!
//! Only what may pass is tried again (invariant 13): no answer, an answer that is cut off, a server that is busy. A
//! refusal, a full store or a missing file is an answer.

use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustic_core::Id;

use super::{Contents, FileKind, Part, Store, StoreError, path_of};
use crate::pause::jittered;

/// How long the first question is repeated: an address with a mistake does not get better.
const FIRST: Duration = Duration::from_secs(10);
/// How long an operation is repeated. Servers start again and networks come back in less.
const PATIENCE: Duration = Duration::from_mins(5);
/// The pause after the first failure. It doubles after each.
const SHORTEST: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);

/// A store that may be unreachable for a while.
#[derive(Debug)]
pub(super) struct PatientStore<S> {
    store: S,
    patience: Duration,
}

impl<S: Store> PatientStore<S> {
    pub(super) fn new(store: S, patience: Option<Duration>) -> Self {
        Self {
            store,
            patience: patience.unwrap_or(PATIENCE),
        }
    }
}

/// Does something until it is done, or its failure does not pass.
fn repeat<T>(
    patience: Duration,
    mut act: impl FnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let begin = Instant::now();
    let mut pause = SHORTEST;
    loop {
        let failed = match act() {
            Err(err @ StoreError::Unreachable(_)) => err,
            other => return other,
        };
        let pause_now = jittered(pause);
        if begin.elapsed() + pause_now > patience {
            return Err(failed);
        }
        thread::sleep(pause_now);
        pause = pause.saturating_mul(2).min(LONGEST);
    }
}

impl<S: Store> Store for PatientStore<S> {
    fn address(&self) -> String {
        self.store.address()
    }

    fn contents(&self) -> Result<Contents, StoreError> {
        repeat(self.patience.min(FIRST), || self.store.contents())
    }

    fn create(&self) -> Result<(), StoreError> {
        repeat(self.patience, || self.store.create())
    }

    fn list(&self, kind: FileKind) -> Result<Vec<(Id, u64)>, StoreError> {
        repeat(self.patience, || self.store.list(kind))
    }

    fn read(&self, kind: FileKind, id: &Id, part: Option<Part>) -> Result<Bytes, StoreError> {
        let read = || repeat(self.patience, || self.store.read(kind, id, part));
        let content = read()?;
        let is_right = |content: &Bytes| {
            part.is_some()
                || kind == FileKind::Config
                || id.blob_matches_reader(content.len() as u64, &mut content.as_ref())
        };
        if is_right(&content) {
            return Ok(content);
        }
        // What was damaged on its way is right the next time.
        drop(content);
        let again = read()?;
        if is_right(&again) {
            return Ok(again);
        }
        let path = path_of(kind, id);
        Err(StoreError::Damaged(format!(
            "{path} is not what was written"
        )))
    }

    fn write(&self, kind: FileKind, id: &Id, content: &[Bytes]) -> Result<(), StoreError> {
        repeat(self.patience, || self.store.write(kind, id, content))
    }

    fn write_config(&self, content: &[Bytes]) -> Result<bool, StoreError> {
        repeat(self.patience, || self.store.write_config(content))
    }

    fn remove(&self, kind: FileKind, id: &Id) -> Result<(), StoreError> {
        repeat(self.patience, || self.store.remove(kind, id))
    }
}
