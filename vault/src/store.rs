//! Where a repository is stored: files of five kinds, each named after the hash of its content.
//!
//! The layout is that of restic, so that `restic` reads the same store:
//! <https://restic.readthedocs.io/en/stable/100_references.html#repository-layout>

mod ahead;
#[cfg(test)]
mod fake;
mod http;
mod line;
mod path;
mod patient;
mod rest;
mod s3;
mod sftp;

use std::fmt::{Debug, Write as _};

use bytes::Bytes;
use rustic_core::{FileType, Id};
use sha2::{Digest as _, Sha256};

use self::ahead::AheadStore;
use self::path::PathStore;
use self::patient::PatientStore;
use self::rest::RestStore;
use self::s3::S3Store;
use self::sftp::SftpStore;
use crate::access::Access;
use crate::address::Address;

/// The end of the names of files that are not complete.
const TEMPORARY: &str = ".tmp";

/// What a store answered, if not what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    /// It does not answer. A repository that cannot be reached is never taken for a missing one.
    #[error("the store cannot be reached: {0}")]
    Unreachable(String),
    /// Only an answer that there is no such bucket or folder.
    #[error("the store does not exist: {0}")]
    NotThere(String),
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

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FileKind {
    /// The only one of its kind; its ID is zero.
    Config,
    Key,
    Lock,
    Snapshot,
    Index,
    Pack,
}

impl FileKind {
    /// The kinds with a folder of their own.
    pub(crate) const IN_FOLDERS: [Self; 5] = [
        Self::Key,
        Self::Lock,
        Self::Snapshot,
        Self::Index,
        Self::Pack,
    ];

    /// Returns the folder of the kind.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            // It is a file.
            Self::Config => "config",
            Self::Key => "keys",
            Self::Lock => "locks",
            Self::Snapshot => "snapshots",
            Self::Index => "index",
            Self::Pack => "data",
        }
    }
}

impl From<FileType> for FileKind {
    fn from(kind: FileType) -> Self {
        match kind {
            FileType::Config => Self::Config,
            FileType::Key => Self::Key,
            FileType::Snapshot => Self::Snapshot,
            FileType::Index => Self::Index,
            FileType::Pack => Self::Pack,
        }
    }
}

/// What a store is before a repository is created in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    /// The store answers, and there is nothing in it.
    Nothing,
    /// The creation of a repository was begun: there is no config, and there are only folders, keys and locks.
    Unfinished,
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
    fn list(&self, kind: FileKind) -> Result<Vec<(Id, u64)>, StoreError>;

    /// Returns a file, or of a part of it what there is.
    fn read(&self, kind: FileKind, id: &Id, part: Option<Part>) -> Result<Bytes, StoreError>;

    /// Returns a whole file that was written just now, not from the memory of this host.
    fn read_back(&self, kind: FileKind, id: &Id) -> Result<Bytes, StoreError> {
        self.read(kind, id, None)
    }

    /// Writes a file: as a whole and durably, or not at all.
    fn write(&self, kind: FileKind, id: &Id, content: &[Bytes]) -> Result<(), StoreError>;

    /// Writes the config, unless there is one. Returns whether it was written; after an answer that was lost, `false` may
    /// mean the own one.
    fn write_config(&self, content: &[Bytes]) -> Result<bool, StoreError>;

    /// Removes a file. It need not exist.
    fn remove(&self, kind: FileKind, id: &Id) -> Result<(), StoreError>;
}

/// A part of a file, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl Part {
    /// Returns the value of the header `Range`.
    fn range(self) -> String {
        let last = self.offset.saturating_add(self.length).saturating_sub(1);
        format!("bytes={}-{last}", self.offset)
    }

    /// Returns the part of a whole file.
    fn of(self, whole: &Bytes) -> Bytes {
        let place = |at: u64| usize::try_from(at).map_or(whole.len(), |at| at.min(whole.len()));
        let begin = place(self.offset);
        whole.slice(begin..place(self.offset.saturating_add(self.length)))
    }
}

/// How the files of a store are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Pieces of packs are read one after the other.
    Restore,
    /// Few pieces are read.
    Other,
}

/// Returns the store at an address. Nothing is asked of it yet.
pub(crate) fn open(
    address: &Address,
    access: &Access,
    purpose: Use,
) -> Result<Box<dyn Store>, StoreError> {
    let store: Box<dyn Store> = match address {
        Address::Path(path) => return Ok(Box::new(PathStore::new(path.clone()))),
        Address::S3(s3) => patient(S3Store::new(s3, access)?, access),
        Address::Rest(rest) => patient(RestStore::new(rest, access)?, access),
        Address::Sftp(sftp) => patient(SftpStore::new(sftp, access)?, access),
    };
    Ok(match purpose {
        Use::Restore => Box::new(AheadStore::new(store)),
        Use::Other => store,
    })
}

fn patient(store: impl Store, access: &Access) -> Box<dyn Store> {
    Box::new(PatientStore::new(store, access.patience))
}

/// Returns the size of a content in pieces, in bytes.
fn size_of(content: &[Bytes]) -> u64 {
    content.iter().map(|piece| piece.len() as u64).sum()
}

/// Returns the path of a file below the root of the store.
pub(crate) fn path_of(kind: FileKind, id: &Id) -> String {
    let hex = id.to_hex();
    let (folder, name) = (kind.folder(), hex.as_str());
    match kind {
        FileKind::Config => folder.to_owned(),
        FileKind::Pack => format!("{folder}/{}/{name}", name.get(..2).unwrap_or_default()),
        FileKind::Index | FileKind::Key | FileKind::Lock | FileKind::Snapshot => {
            format!("{folder}/{name}")
        }
    }
}

/// Returns the ID that a file name is, if it is one. Other files are not of the repository: a program that was killed
/// leaves temporary ones.
pub(crate) fn id_of(name: &str) -> Option<Id> {
    // The kind matters for the config only, which has a name and no ID.
    Id::parse_some(name, FileType::Pack)
}

/// Returns whether a store without a config has only what the beginning of a creation leaves, if nothing else is in it.
fn is_unfinished(store: &dyn Store) -> Result<bool, StoreError> {
    for kind in [FileKind::Snapshot, FileKind::Index, FileKind::Pack] {
        match store.list(kind) {
            Ok(files) if files.is_empty() => {}
            Err(StoreError::Missing(_)) => {}
            Ok(_) => return Ok(false),
            Err(err) => return Err(err),
        }
    }
    Ok(true)
}

/// Whether a folder of a kind has files with this name while a repository is created.
fn is_of_creation(kind: FileKind, name: &str) -> bool {
    match kind {
        // A program that was killed leaves temporary ones.
        FileKind::Key | FileKind::Lock => {
            id_of(name).is_some() || name.starts_with(".tmp") || is_temporary(name)
        }
        FileKind::Pack => name.len() == 2 && name.bytes().all(|b| b.is_ascii_hexdigit()),
        FileKind::Config | FileKind::Snapshot | FileKind::Index => false,
    }
}

/// Whether a name has the end that temporary files get here.
fn is_temporary(name: &str) -> bool {
    name.strip_suffix(TEMPORARY).is_some()
}

/// Whether a name in the root of a store is that of a temporary config.
fn is_temporary_config(name: &str) -> bool {
    name.starts_with("config.") && is_temporary(name)
}

/// Returns the ID of a file: the hash of its content.
pub(crate) fn id_for(content: &[u8]) -> Id {
    let hash = Sha256::digest(content);
    let hex = hash.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a text does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    hex.parse().unwrap_or_default()
}
