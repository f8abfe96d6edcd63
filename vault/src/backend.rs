//! A [`Store`] as the library sees it, and what the library must not do by itself.
//!
//! The library writes the snapshot at the end of a backup, whatever could not be read. Here it is held back: only
//! [`Backend::allow_snapshots`] lets one be written, when it is known how good the backup is. And the library
//! goes on reading after its store failed: [`Backend::failure`] is what ends the backup.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use rustic_core::{
    BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend,
};

use crate::store::{FileKind, Part, Store, StoreError, path_of};

/// A store for the library.
#[derive(Debug)]
pub(crate) struct Backend {
    store: Box<dyn Store>,
    /// The first error of the store that was not expected.
    failure: OnceLock<StoreError>,
    may_write_snapshots: AtomicBool,
    /// Another host has created the repository just before.
    is_taken: AtomicBool,
    /// The only key that is shown.
    key: Mutex<Option<Id>>,
    /// The files that were written, with their sizes in bytes.
    written: Mutex<BTreeMap<(FileKind, Id), u64>>,
    bytes_written: AtomicU64,
}

impl Backend {
    pub(crate) fn new(store: Box<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            store,
            failure: OnceLock::new(),
            may_write_snapshots: AtomicBool::new(false),
            is_taken: AtomicBool::new(false),
            key: Mutex::default(),
            written: Mutex::default(),
            bytes_written: AtomicU64::new(0),
        })
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// From now on snapshots are written.
    pub(crate) fn allow_snapshots(&self) {
        self.may_write_snapshots.store(true, Ordering::Relaxed);
    }

    /// Whether another host has created the repository just before this one could.
    pub(crate) fn is_taken(&self) -> bool {
        self.is_taken.load(Ordering::Relaxed)
    }

    /// Shows only one of the keys from now on.
    pub(crate) fn show_key(&self, id: Id) {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    }

    /// Writes the config of a new repository, and looks whether it is the one that counts: not every store can write
    /// only what is not there.
    fn write_config(&self, content: &[Bytes]) -> RusticResult<()> {
        self.done(self.store.write_config(content))?;
        let stored = self.store.read(FileKind::Config, &Id::default(), None);
        if self.done(stored)? == content.concat() {
            return Ok(());
        }
        self.is_taken.store(true, Ordering::Relaxed);
        let text = "another host has created the repository";
        Err(RusticError::new(ErrorKind::Repository, text))
    }

    /// From now on nothing is written or removed: others may do what this job excludes.
    pub(crate) fn lose_lock(&self) {
        let text = "the lock of the repository could not be renewed for too long";
        let _ = self.failure.set(StoreError::Unreachable(text.to_owned()));
    }

    /// Fails after the store has failed once.
    fn works(&self) -> RusticResult<()> {
        match self.failure() {
            Some(failure) => Err(RusticError::new(ErrorKind::Backend, failure.to_string())),
            None => Ok(()),
        }
    }

    /// Returns the first error of the store.
    pub(crate) fn failure(&self) -> Option<&StoreError> {
        self.failure.get()
    }

    /// Returns the files that were written so far, with their sizes in bytes.
    pub(crate) fn written(&self) -> BTreeMap<(FileKind, Id), u64> {
        self.written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Returns the number of bytes that were written to the store.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.bytes_written.load(Ordering::Relaxed)
    }

    fn done<T>(&self, answer: Result<T, StoreError>) -> RusticResult<T> {
        answer.map_err(|err| {
            let text = err.to_string();
            // The first one says most: others follow from it.
            let _ = self.failure.set(err);
            RusticError::new(ErrorKind::Backend, text)
        })
    }

    fn part(&self, kind: FileType, id: &Id, part: Option<Part>) -> RusticResult<Bytes> {
        let kind = kind.into();
        let answer = self.store.read(kind, id, part).and_then(|content| {
            let short = part.is_some_and(|part| part.length != content.len() as u64);
            if short {
                let path = path_of(kind, id);
                let text = format!("{path} is shorter than it was written");
                return Err(StoreError::Damaged(text));
            }
            Ok(content)
        });
        self.done(answer)
    }
}

impl ReadBackend for Backend {
    fn location(&self) -> String {
        self.store.address()
    }

    fn list_with_size(&self, kind: FileType) -> RusticResult<Vec<(Id, u32)>> {
        let files = self.done(self.store.list(kind.into()))?;
        let sized = |(id, size): (Id, u64)| {
            u32::try_from(size).map(|size| (id, size)).map_err(|_| {
                StoreError::Damaged(format!("{} has {size} bytes", id.to_hex().as_str()))
            })
        };
        let mut files: Vec<(Id, u32)> = self.done(files.into_iter().map(sized).collect())?;
        if kind == FileType::Key {
            let only = *self.key.lock().unwrap_or_else(PoisonError::into_inner);
            files.retain(|(id, _)| only.is_none_or(|only| only == *id));
        }
        Ok(files)
    }

    fn read_full(&self, kind: FileType, id: &Id) -> RusticResult<Bytes> {
        self.part(kind, id, None)
    }

    fn read_partial(
        &self,
        kind: FileType,
        id: &Id,
        _cacheable: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        let (offset, length) = (offset.into(), length.into());
        self.part(kind, id, Some(Part { offset, length }))
    }

    fn warmup_path(&self, _kind: FileType, id: &Id) -> String {
        id.to_hex().as_str().to_owned()
    }
}

impl WriteBackend for Backend {
    fn create(&self) -> RusticResult<()> {
        self.done(self.store.create())
    }

    fn write_bytes(
        &self,
        kind: FileType,
        id: &Id,
        _cacheable: bool,
        content: BytesList,
    ) -> RusticResult<()> {
        if kind == FileType::Snapshot && !self.may_write_snapshots.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.works()?;
        let size = content.size() as u64;
        if kind == FileType::Config {
            self.write_config(content.slice())?;
        } else {
            self.done(self.store.write(kind.into(), id, content.slice()))?;
        }
        self.bytes_written.fetch_add(size, Ordering::Relaxed);
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.insert((kind.into(), *id), size);
        Ok(())
    }

    fn remove(&self, kind: FileType, id: &Id, _cacheable: bool) -> RusticResult<()> {
        self.works()?;
        self.done(self.store.remove(kind.into(), id))
    }
}
