//! Where a repository is stored: files of five kinds, each named after the hash of its content.
//!
//! The layout is that of restic, so that `restic` reads the same store:
//! <https://restic.readthedocs.io/en/stable/100_references.html#repository-layout>

mod path;

use std::fmt::Debug;

use bytes::Bytes;
use rustic_core::{FileType, Id};

pub(crate) use self::path::PathStore;

/// What a store answered, if not what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    /// It does not answer. A repository that cannot be reached is never taken for a missing one.
    #[error("the store cannot be reached: {0}")]
    Unreachable(String),
    #[error("the store has no space left: {0}")]
    Full(String),
    #[error("the store refuses: {0}")]
    Refused(String),
    /// Only an answer that the file does not exist.
    #[error("missing in the store: {0}")]
    Missing(String),
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

/// What a store is before a repository is created in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    /// The store answers, and there is nothing in it.
    Nothing,
    /// There is a repository.
    Repository,
    /// There is something else.
    Other,
}

/// A place for the files of one repository. Calls block.
pub(crate) trait Store: Send + Sync + Debug + 'static {
    /// Returns the address, without secrets.
    fn address(&self) -> String;

    /// Returns what is stored.
    fn contents(&self) -> Result<Contents, StoreError>;

    /// Prepares the store for a new repository.
    fn create(&self) -> Result<(), StoreError>;

    /// Returns all files of a kind with their sizes in bytes.
    fn list(&self, kind: FileType) -> Result<Vec<(Id, u64)>, StoreError>;

    /// Returns a file, or `length` bytes of it from `offset`.
    fn read(&self, kind: FileType, id: &Id, part: Option<Part>) -> Result<Bytes, StoreError>;

    /// Writes a file: as a whole and durably, or not at all.
    fn write(&self, kind: FileType, id: &Id, content: &[Bytes]) -> Result<(), StoreError>;

    /// Removes a file. It need not exist.
    fn remove(&self, kind: FileType, id: &Id) -> Result<(), StoreError>;
}

/// A part of a file, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// Returns the path of a file below the root of the store.
pub(crate) fn path_of(kind: FileType, id: &Id) -> String {
    let hex = id.to_hex();
    let name = hex.as_str();
    match kind {
        FileType::Config => "config".to_owned(),
        FileType::Pack => format!("data/{}/{name}", name.get(..2).unwrap_or_default()),
        FileType::Index | FileType::Key | FileType::Snapshot => {
            format!("{}/{name}", kind.dirname())
        }
    }
}
