//! Backups of volumes, in repositories that `restic` reads.
//!
//! The format is written by the library `rustic_core`, and nothing outside of this crate knows it: a job is a
//! [`Request`] to a process of its own ([`Job`]), and its [`Outcome`]. What the library does not do well enough is
//! done here: it reads files (`tree::source`) and writes them (`tree::target`), counts what it could not read
//! (`tally`), and decides whether there is a snapshot at all (`backup`).

mod access;
mod address;
mod backend;
mod backup;
mod error;
mod job;
mod lock;
mod maintenance;
mod pause;
pub mod process;
mod repository;
mod restore;
mod snapshot;
mod store;
mod tally;
mod tree;
mod verify;

#[cfg(test)]
mod tests;

pub use access::{Access, Limits, Login, Ssh};
pub use address::{Address, AddressError, RestAddress, S3Address, SftpAddress};
pub use error::{Reason, VaultError};
pub use job::{
    Backup, BackupOutcome, Check, CheckOutcome, Event, ForgetOutcome, Outcome, PruneOutcome,
    Request, Restore, RestoreOutcome, Secret, Task, Verify, Waits,
};
pub use process::Job;
pub use snapshot::{Filter, LATEST, Snapshot};
pub use tally::{Problems, Progress};
