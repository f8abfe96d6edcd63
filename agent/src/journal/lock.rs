//! The lock of a journal: only one process may write it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::{Access, JournalError, error};

const FILE: &str = "lock";

/// The right to write what is in a folder, such as a journal, until it is dropped or its process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Creates a folder if it does not exist, and takes its lock.
    pub fn of_folder(dir: &Path) -> Result<Self, JournalError> {
        create_folder(dir)?;
        Self::take(dir)
    }

    /// Takes the lock of a folder; the error names the process that has it.
    fn take(dir: &Path) -> Result<Self, JournalError> {
        let path = dir.join(FILE);
        let io = |err| error::of_file(&path, Access::Write, &err);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::Locked {
                    path: dir.to_owned(),
                    pid: lock_owner(&mut file),
                });
            }
            Err(TryLockError::Error(err)) => return Err(io(err)),
        }
        file.set_len(0).map_err(io)?;
        file.write_all(std::process::id().to_string().as_bytes())
            .map_err(io)?;
        Ok(Self { _file: file })
    }
}

fn lock_owner(file: &mut File) -> String {
    let mut pid = String::new();
    // A process ID has at most 10 digits; any other text is not one.
    let read = file.take(16).read_to_string(&mut pid);
    match read {
        Ok(_) if pid.bytes().all(|b| b.is_ascii_digit()) && !pid.is_empty() => pid,
        _ => "unknown".to_owned(),
    }
}

/// Creates the folder of a journal, readable only by its owner: entries may contain confidential values.
fn create_folder(dir: &Path) -> Result<(), JournalError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|err| error::of_file(dir, Access::Write, &err))
}
