//! Maps errors of SQLite and of the file system to errors of a journal. A journal is damaged only if SQLite
//! finds that its content is not valid: a read-only folder, a full disk or a lock says nothing about the
//! content.

use std::io::{Error, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::ErrorCode;
use rustix::fs::Access as Permission;

use super::{Access, JournalError};

/// Whether a path exists. It is an error if that cannot be found out.
pub(super) fn exists(path: &Path, access: Access) -> Result<bool, JournalError> {
    path.try_exists().map_err(|err| of_file(path, access, &err))
}

/// Checks that a file can be opened, without opening it: closing it would release the locks that SQLite has
/// on it in this process.
pub(super) fn usable(path: &Path, access: Access) -> Result<(), JournalError> {
    let found = std::fs::metadata(path).map_err(|err| of_file(path, access, &err))?;
    if !found.is_file() {
        let why = "it is not a file".to_owned();
        return Err(blocked(path, access, why));
    }
    // SQLite treats an empty file as an empty database. Dockfleet never leaves one, so it was truncated.
    if found.len() == 0 {
        let (path, why) = (path.to_owned(), "it is empty".to_owned());
        return Err(JournalError::Corrupt { path, why });
    }
    let wanted = match access {
        Access::Read => Permission::READ_OK,
        Access::Write => Permission::READ_OK | Permission::WRITE_OK,
    };
    rustix::fs::access(path, wanted).map_err(|err| of_file(path, access, &err.into()))
}

/// Maps an error of SQLite.
pub(super) fn of(path: &Path, access: Access, err: &rusqlite::Error) -> JournalError {
    match err.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => JournalError::Busy {
            path: path.to_owned(),
        },
        Some(ErrorCode::DiskFull) => blocked(path, access, FULL.to_owned()),
        // A log that cannot be mapped or made larger.
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationAborted
            | ErrorCode::OperationInterrupted
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::NoLargeFileSupport
            | ErrorCode::AuthorizationForStatementDenied,
        ) => blocked(path, access, folder_of(path, access, err)),
        // Not a database, or one without our tables, or with something else in them.
        _ => JournalError::Corrupt {
            path: path.to_owned(),
            why: err.to_string(),
        },
    }
}

/// Maps an error of the file system.
pub(super) fn of_file(path: &Path, access: Access, err: &Error) -> JournalError {
    blocked(path, access, sentence(path, err))
}

fn blocked(path: &Path, access: Access, why: String) -> JournalError {
    JournalError::Blocked {
        access,
        path: path.to_owned(),
        why,
    }
}

const FULL: &str = "no space is left on its disk; make room";

/// Returns the reason of an error. SQLite creates files beside its own, and does not report that the folder
/// is read-only.
fn folder_of(path: &Path, access: Access, err: &rusqlite::Error) -> String {
    let folder = path.parent().unwrap_or(path);
    match rustix::fs::access(folder, Permission::WRITE_OK) {
        Err(denied) if access == Access::Write => sentence(folder, &denied.into()),
        _ => err.to_string(),
    }
}

fn sentence(path: &Path, err: &Error) -> String {
    match err.kind() {
        ErrorKind::ReadOnlyFilesystem => "its file system is mounted read-only".to_owned(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => FULL.to_owned(),
        ErrorKind::PermissionDenied => denied(path, err),
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists | ErrorKind::NotFound => {
            obstacle(path).unwrap_or_else(|| err.to_string())
        }
        _ => err.to_string(),
    }
}

/// Names the owner of the first part of the path that this process may not use.
fn denied(path: &Path, err: &Error) -> String {
    let me = rustix::process::geteuid().as_raw();
    let seen = path.ancestors().find_map(|p| Some((p, p.metadata().ok()?)));
    match seen {
        Some((place, found)) if found.uid() != me => format!(
            "permission denied: {} belongs to user {} (mode {:o}), and this process is user {me}; \
             run it as that user",
            place.display(),
            found.uid(),
            found.mode() & 0o7777
        ),
        Some((place, found)) => format!(
            "permission denied: {} has mode {:o}",
            place.display(),
            found.mode() & 0o7777
        ),
        None => err.to_string(),
    }
}

/// Names the file that is in the place of a folder.
fn obstacle(path: &Path) -> Option<String> {
    let place = path
        .ancestors()
        .find(|p| p.symlink_metadata().is_ok_and(|_| !p.is_dir()))?;
    let what = if place.is_symlink() && !place.exists() {
        "a broken symbolic link"
    } else {
        "not a folder"
    };
    Some(format!("{} is {what}", place.display()))
}
