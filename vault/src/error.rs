//! Why a job failed, as a value that goes from the process of the job to the agent or the command.

use rustic_core::RusticError;
use serde::{Deserialize, Serialize};

use crate::store::StoreError;

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct VaultError {
    /// The kind of failure.
    pub reason: Reason,
    /// What happened, in words.
    pub message: String,
}

/// The kind of a failure, as a reason in a status.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::Display,
)]
pub enum Reason {
    /// The store does not answer, or not in time.
    StoreUnreachable,
    /// The store has no space left.
    StoreFull,
    /// The store does not accept the credentials, or does not allow the operation.
    StoreRefused,
    /// There is no repository in the store.
    NoRepository,
    /// There is something in the store that is not a repository, so none is created.
    NotEmpty,
    /// No key of the repository can be opened with the password.
    WrongPassword,
    /// Something in the repository is missing or was changed.
    Damaged,
    /// Another job has the repository, for longer than was waited.
    Locked,
    /// The data of the volume cannot be read.
    SourceUnreadable,
    /// The volume is empty, and its last backup was not.
    SourceEmpty,
    /// The target of a restore has data.
    TargetNotEmpty,
    /// The target of a restore cannot be written.
    TargetUnwritable,
    /// No space is left at the target of a restore.
    TargetFull,
    /// No snapshot matches.
    NoSnapshot,
    /// The process of the job ended without a result.
    Interrupted,
    /// A reason of a newer version, or a bug.
    #[serde(other)]
    Internal,
}

impl VaultError {
    /// Returns a failure.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// Returns what an error of the library means, if the store had no error itself.
    pub(crate) fn of(err: &RusticError, doing: &str) -> Self {
        let reason = if err.is_incorrect_password() {
            Reason::WrongPassword
        } else {
            Reason::Internal
        };
        Self::new(reason, format!("{doing}: {}", err.display_log()))
    }
}

impl From<StoreError> for VaultError {
    fn from(err: StoreError) -> Self {
        let reason = match err {
            StoreError::Unreachable(_) | StoreError::NotThere(_) => Reason::StoreUnreachable,
            StoreError::Full(_) => Reason::StoreFull,
            StoreError::Refused(_) => Reason::StoreRefused,
            StoreError::Missing(_) | StoreError::Damaged(_) => Reason::Damaged,
        };
        Self::new(reason, err.to_string())
    }
}
