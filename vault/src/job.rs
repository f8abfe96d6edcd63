//! A job: what the process of a job is asked for, and what it says. Both are one line of JSON each.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::error::VaultError;
use crate::snapshot::{Filter, Snapshot};
use crate::tally::{Problems, Progress};

/// What a job has to do. It has secrets, so it goes through a pipe, never into arguments or variables.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The repository.
    pub repository: Address,
    /// Its password.
    pub password: String,
    /// Whether an empty store gets a repository.
    #[serde(default)]
    pub create: bool,
    /// What to do with it.
    pub task: Task,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("repository", &self.repository)
            .field("create", &self.create)
            .field("task", &self.task)
            .finish_non_exhaustive()
    }
}

/// What to do with a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Task {
    /// Make a snapshot of a volume.
    Backup(Backup),
    /// List snapshots.
    List(Filter),
    /// Write a snapshot into an empty folder.
    Restore(Restore),
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

/// What the process of a job says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// How far it is.
    Progress(Progress),
    /// It is done.
    Done(Outcome),
    /// It failed.
    Failed(VaultError),
}

/// What a job did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// A backup.
    Backup(BackupOutcome),
    /// A list, the oldest snapshot first.
    List(Vec<Snapshot>),
    /// A restore.
    Restore(RestoreOutcome),
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
