//! A job: what the process of a job is asked for, and what it says. Both are one line of JSON each.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use rustic_core::repofile::MasterKey;
use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::address::Address;
use crate::error::VaultError;
use crate::snapshot::{Filter, Snapshot};
use crate::store::Use;
use crate::tally::{Problems, Progress};

/// What a job has to do. It has secrets, so it goes through a pipe, never into arguments or variables.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The repository.
    pub repository: Address,
    /// How its store is reached.
    #[serde(default)]
    pub access: Access,
    /// What opens it.
    pub secret: Secret,
    /// Whether an empty store gets a repository.
    #[serde(default)]
    pub create: bool,
    /// The name of this host, for others that have to wait for it.
    #[serde(default)]
    pub host: String,
    /// What to do with it.
    pub task: Task,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("repository", &self.repository)
            .field("access", &self.access)
            .field("create", &self.create)
            .field("host", &self.host)
            .field("task", &self.task)
            .finish_non_exhaustive()
    }
}

/// What opens a repository.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Secret {
    /// The password of one of its keys. To derive a key from it takes 128 MB of memory and half a second.
    Password(String),
    /// The key that all of the repository is encrypted with, as [`Outcome::Opened`] has it.
    Key(Box<MasterKey>),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password",
            Self::Key(_) => "Key",
        })
    }
}

/// What to do with a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Task {
    /// Open or create it, and nothing else.
    Open,
    /// Make a snapshot of a volume.
    Backup(Backup),
    /// List snapshots.
    List(Filter),
    /// Write a snapshot into an empty folder.
    Restore(Restore),
    /// Check the repository.
    Check(Check),
    /// Remove the snapshots with these IDs.
    Forget(BTreeSet<String>),
    /// Remove data that no snapshot uses.
    Prune,
}

impl Task {
    /// Returns how the files of the store are used.
    pub(crate) fn purpose(&self) -> Use {
        match self {
            Self::Restore(_) => Use::Restore,
            Self::Open
            | Self::Backup(_)
            | Self::List(_)
            | Self::Check(_)
            | Self::Forget(_)
            | Self::Prune => Use::Other,
        }
    }
}

/// A backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// The folder with the data of the volume.
    pub folder: PathBuf,
    /// The name of the Docker volume.
    pub volume: String,
    /// The name of the host. It must stay the same, or every file is read again.
    pub host: String,
    /// More tags for the snapshot.
    #[serde(default)]
    pub tags: Vec<String>,
    /// How the backup is checked before its snapshot is written.
    #[serde(default)]
    pub verify: Verify,
}

/// How a backup is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verify {
    /// Not at all.
    None,
    /// Every file of the store that the snapshot needs is there, in its size.
    #[default]
    Metadata,
    /// All that was written for it is read back, too.
    ReadData,
}

/// A restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restore {
    /// `latest`, or the first digits of an ID.
    pub snapshot: String,
    /// Which snapshots are considered.
    pub filter: Filter,
    /// The folder to write into.
    pub folder: PathBuf,
}

/// A check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// The share of the data that is read, in percent. The rest is checked by name and size.
    pub read_percent: u8,
}

/// What a job waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Waits {
    /// Whether a backup or a restore waits for [`crate::Job::go`] after [`Event::Ready`], before it reads or writes the
    /// volume. So containers are not down while it waits for a lock, or for a slow store.
    pub go: bool,
    /// How long it waits for the locks of others, at most; without it, an hour.
    pub lock: Option<Duration>,
}

/// What the process of a job says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// How far it is.
    Progress(Progress),
    /// It waits for another job: who that is and what it does, in words.
    Waits(String),
    /// It has its lock and has read what it needs from the store, and waits for [`crate::Job::go`].
    Ready,
    /// All files of the volume are read: it may change again.
    SourceRead,
    /// It is done.
    Done(Outcome),
    /// It failed.
    Failed(VaultError),
}

/// What a job did.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The repository is there, and this opens it without its password.
    Opened(Secret),
    /// A backup.
    Backup(BackupOutcome),
    /// A list, the oldest snapshot first.
    List(Vec<Snapshot>),
    /// A restore.
    Restore(RestoreOutcome),
    /// A check.
    Check(CheckOutcome),
    /// Removed snapshots.
    Forget(ForgetOutcome),
    /// Removed data.
    Prune(PruneOutcome),
}

/// What a backup did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupOutcome {
    /// Its snapshot.
    pub snapshot: Snapshot,
    /// Bytes of files that were read; unchanged files are not read.
    pub read: u64,
    /// Bytes that were written to the store.
    pub written: u64,
    /// Files that are missing in the snapshot, or may not be of one time.
    pub problems: Problems,
    /// How it was checked.
    pub verified: Verify,
    /// Milliseconds from the first file to the snapshot.
    pub milliseconds: u64,
}

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreOutcome {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// What was written.
    pub written: Progress,
    /// Files that could not be written as they were.
    pub problems: Problems,
    /// Milliseconds from the first file to the last.
    pub milliseconds: u64,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckOutcome {
    /// The number of errors.
    pub errors: u64,
    /// The first of them, in words.
    pub first: Vec<String>,
    /// The share of the data that was read, in percent.
    pub read_percent: u8,
}

/// What was removed from the list of snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForgetOutcome {
    /// The removed snapshots.
    pub removed: Vec<Snapshot>,
    /// The number of those that are left.
    pub kept: u64,
}

/// What was removed from the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PruneOutcome {
    /// Bytes that snapshots use.
    pub used: u64,
    /// Bytes that were marked, and are removed by a run a day later or more.
    pub marked: u64,
    /// Bytes that were removed.
    pub removed: u64,
}
