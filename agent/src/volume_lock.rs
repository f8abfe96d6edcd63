//! The right to back up or restore one volume, which one process has at a time.
//!
//! Two backups would interrupt the same containers, and the first to end would let them run beside the second.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The end of the names of these files.
const SUFFIX: &str = ".lock";
/// The longest part of a volume's name in the name of a file, in bytes. Two longer names may share a lock.
const LONGEST: usize = 200;
/// The longest content of such a file that is read, in bytes.
const MOST: u64 = 1024;

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum VolumeLockError {
    /// Another process has it.
    #[error("volume {volume}: {holder} is running; try again when it has ended")]
    Held {
        /// The volume.
        volume: String,
        /// Who has it, in words.
        holder: String,
    },
    /// The file of the lock cannot be written.
    #[error("{} cannot be locked", .0.display())]
    File(PathBuf, #[source] io::Error),
}

/// Who has a lock.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    /// What it does, such as `backup`.
    doing: String,
    process: u32,
}

/// A lock that is held until it is dropped, or its process ends.
#[derive(Debug)]
pub struct VolumeLock(File);

impl VolumeLock {
    /// Takes the lock of a volume for `doing`, such as `backup`. `folder` has the locks; it is created if it does not
    /// exist.
    ///
    /// # Errors
    /// If another process has it, or its file cannot be written.
    pub fn take(folder: &Path, volume: &str, doing: &str) -> Result<Self, VolumeLockError> {
        let short: String = volume.chars().take(LONGEST).collect();
        let path = folder.join(format!("{short}{SUFFIX}"));
        let failed = |err: io::Error| VolumeLockError::File(path.clone(), err);
        fs::create_dir_all(folder).map_err(failed)?;
        // It is never removed: somebody could have opened it, and lock what is gone.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(VolumeLockError::Held {
                    volume: volume.to_owned(),
                    holder: holder(&mut file),
                });
            }
            Err(TryLockError::Error(err)) => return Err(failed(err)),
        }
        let text = serde_json::to_vec(&Holder {
            doing: doing.to_owned(),
            process: std::process::id(),
        });
        let text = text.map_err(|err| failed(err.into()))?;
        file.set_len(0).map_err(failed)?;
        file.write_all(&text).map_err(failed)?;
        Ok(Self(file))
    }
}

impl Drop for VolumeLock {
    fn drop(&mut self) {
        // The next holder writes its own name, and until then nobody is named.
        let _ = self.0.set_len(0);
    }
}

/// Returns who has a lock, in words.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(MOST).read_to_string(&mut text);
    match read.map(|_| serde_json::from_str::<Holder>(&text)) {
        Ok(Ok(Holder { doing, process })) => {
            format!("a {} (process {process})", doing.escape_debug())
        }
        _ => "a backup or restore".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_has_one_lock_and_says_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("volumes");
        let held = VolumeLock::take(&folder, "data", "backup").unwrap();
        let other = VolumeLock::take(&folder, "other", "restore").unwrap();
        let err = VolumeLock::take(&folder, "data", "restore").unwrap_err();
        let process = std::process::id();
        assert_eq!(
            err.to_string(),
            format!(
                "volume data: a backup (process {process}) is running; try again when it has ended"
            )
        );
        drop((held, other));
        VolumeLock::take(&folder, "data", "restore").unwrap();
    }

    #[test]
    fn the_longest_name_of_a_volume_has_a_lock() {
        let folder = tempfile::tempdir().unwrap();
        let name = "v".repeat(255);
        let _held = VolumeLock::take(folder.path(), &name, "backup").unwrap();
        VolumeLock::take(folder.path(), &name, "backup").unwrap_err();
    }
}
