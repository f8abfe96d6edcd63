//! Writes a snapshot into an empty folder.
//!
//! All is written into a folder inside of it first, and moved up when it is complete. So half a restore is never taken
//! for the data of the volume, and a container that starts meanwhile writes beside it and not into what goes away.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rustix::fs::{FlockOperation, Mode, OFlags, flock, syncfs};

use crate::error::{Reason, VaultError};
use crate::job::{Restore, RestoreOutcome};
use crate::repository::{Opened, of};
use crate::snapshot;
use crate::tally::Tally;
use crate::tree::target::{Target, set_metadata};

/// The folder for a restore that is not complete. A backup does not read a volume that has it.
pub(crate) const UNFINISHED: &str = ".dockfleet-restore";

/// Writes a snapshot into an empty folder.
pub(crate) fn run(
    opened: Opened,
    task: &Restore,
    tally: &Arc<Tally>,
) -> Result<RestoreOutcome, VaultError> {
    let begin = Instant::now();
    let (snapshot, file) = snapshot::choose(
        &opened.repository,
        &opened.backend,
        &task.filter,
        &task.snapshot,
    )?;
    let staging = Staging::create(&task.folder)?;
    let (repository, backend) = opened.with_index()?;
    let Some(path) = file.paths.iter().next() else {
        let text = format!("snapshot {} has no files", snapshot.short_id());
        return Err(VaultError::new(Reason::NoSnapshot, text));
    };
    let node = repository.node_from_path(file.tree, Path::new(path));
    let node = node.map_err(|err| of(&backend, &err, "cannot read the snapshot"))?;
    Target::new(&repository, &backend, Arc::clone(&staging.fd), tally).write(&node)?;
    let problems = tally.problems();
    if problems.disk_full {
        return Err(VaultError::new(
            Reason::TargetFull,
            "no space is left for the data; nothing was restored",
        ));
    }
    staging.finish(|root| set_metadata(root, OsStr::new("."), &node.meta, false))?;
    Ok(RestoreOutcome {
        snapshot,
        written: tally.progress(),
        problems,
        milliseconds: u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// The folder that a restore writes into. It is removed with all that is in it, unless the restore is finished.
#[derive(Debug)]
struct Staging {
    target: PathBuf,
    path: PathBuf,
    /// Locked as long as this process lives.
    fd: Arc<OwnedFd>,
}

impl Staging {
    /// Creates it in a folder that is empty, or has only what an earlier restore has left.
    fn create(target: &Path) -> Result<Self, VaultError> {
        let path = target.join(UNFINISHED);
        others(target)?;
        if path.exists() {
            // Whoever has locked it is at work.
            drop(lock(&path)?);
            fs::remove_dir_all(&path).map_err(|err| unwritable(&path, &err))?;
        }
        fs::create_dir(&path).map_err(|err| unwritable(&path, &err))?;
        let fd = Arc::new(lock(&path)?);
        let target = target.to_owned();
        Ok(Self { target, path, fd })
    }

    /// Moves everything up, and gives the target its own metadata.
    fn finish(
        self,
        set_metadata: impl FnOnce(&OwnedFd) -> io::Result<()>,
    ) -> Result<(), VaultError> {
        others(&self.target)?;
        let failed = |err: io::Error| unwritable(&self.target, &err);
        // All data is on the disk before any of it counts.
        syncfs(&self.fd).map_err(|err| failed(err.into()))?;
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            fs::rename(entry.path(), self.target.join(entry.file_name())).map_err(failed)?;
        }
        fs::remove_dir(&self.path).map_err(failed)?;
        let root = open(&self.target).map_err(failed)?;
        set_metadata(&root).map_err(failed)?;
        syncfs(&root).map_err(|err| failed(err.into()))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What stays is removed by the next restore.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Checks that there is nothing in a folder but what an earlier restore has left.
fn others(target: &Path) -> Result<(), VaultError> {
    let failed = |err: io::Error| unwritable(target, &err);
    for entry in fs::read_dir(target).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name != UNFINISHED {
            return Err(VaultError::new(
                Reason::TargetNotEmpty,
                format!(
                    "there is data in it, such as {}",
                    Path::new(&name).display()
                ),
            ));
        }
    }
    Ok(())
}

fn open(folder: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(folder, flags, Mode::empty())?)
}

fn lock(folder: &Path) -> Result<OwnedFd, VaultError> {
    let fd = open(folder).map_err(|err| unwritable(folder, &err))?;
    flock(&fd, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        let text = "another restore into it is running";
        VaultError::new(Reason::TargetNotEmpty, text)
    })?;
    Ok(fd)
}

fn unwritable(path: &Path, err: &io::Error) -> VaultError {
    let reason = match err.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Reason::TargetFull,
        _ => Reason::TargetUnwritable,
    };
    VaultError::new(reason, format!("{}: {err}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_restore_has_left_is_replaced_and_a_running_one_is_not() {
        let target = tempfile::tempdir().unwrap();
        fs::create_dir_all(target.path().join(UNFINISHED).join("half")).unwrap();
        let staging = Staging::create(target.path()).unwrap();
        assert!(fs::read_dir(&staging.path).unwrap().next().is_none());
        let second = Staging::create(target.path()).unwrap_err();
        assert_eq!(second.message, "another restore into it is running");
        fs::write(staging.path.join("a"), "1").unwrap();
        staging.finish(|_| Ok(())).unwrap();
        let names = fs::read_dir(target.path())
            .unwrap()
            .map(|e| e.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn i16_data_that_appears_meanwhile_stays_and_ends_the_restore() {
        let target = tempfile::tempdir().unwrap();
        let staging = Staging::create(target.path()).unwrap();
        fs::write(staging.path.join("a"), "restored").unwrap();
        fs::write(target.path().join("a"), "new").unwrap();
        let err = staging.finish(|_| Ok(())).unwrap_err();
        assert_eq!(err.reason, Reason::TargetNotEmpty);
        assert_eq!(fs::read_to_string(target.path().join("a")).unwrap(), "new");
        assert!(!target.path().join(UNFINISHED).exists());
    }
}
