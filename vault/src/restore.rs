//! Writes a snapshot into an empty folder.
//!
//! All is written into a folder inside of it first, and moved up when it is complete. So half a restore is never taken
//! for the data of the volume, and a container that starts meanwhile writes beside it and not into what goes away.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rustix::fs::{
    AtFlags, FlockOperation, Mode, RenameFlags, flock, mkdirat, openat, renameat, renameat_with,
    statat, syncfs, unlinkat,
};
use rustix::io::Errno;

use crate::error::{Reason, VaultError};
use crate::job::{Restore, RestoreOutcome};
use crate::repository::{Opened, of};
use crate::snapshot;
use crate::tally::{Problem, Tally};
use crate::tree::target::{Target, set_metadata};
use crate::tree::trail::remove_all;
use crate::tree::{folder_flags, names};

/// The folder for a restore that is not complete. A backup does not read a volume that has it.
pub(crate) const UNFINISHED: &str = ".dockfleet-restore";

/// Writes a snapshot into an empty folder. `ready` is called before anything is written: it may wait.
pub(crate) fn run(
    opened: Opened,
    task: &Restore,
    tally: &Arc<Tally>,
    ready: impl FnOnce() -> Result<(), VaultError>,
) -> Result<RestoreOutcome, VaultError> {
    may_write(&task.folder)?;
    let (snapshot, file) = snapshot::choose(
        &opened.repository,
        &opened.backend,
        &task.filter,
        &task.snapshot,
    )?;
    let (repository, backend) = opened.with_index()?;
    let Some(path) = file.paths.iter().next() else {
        let text = format!("snapshot {} has no files", snapshot.short_id());
        return Err(VaultError::new(Reason::NoSnapshot, text));
    };
    let node = repository.node_from_path(file.tree, Path::new(path));
    let node = node.map_err(|err| of(&backend, &err, "cannot read the snapshot"))?;
    ready()?;
    if let Some(failure) = backend.failure() {
        return Err(failure.clone().into());
    }
    let begin = Instant::now();
    let staging = Staging::create(&task.folder)?;
    Target::new(&repository, &backend, Arc::clone(&staging.fd), tally).write(&node)?;
    let problems = tally.problems();
    if problems.disk_full {
        return Err(VaultError::new(
            Reason::TargetFull,
            "no space is left for the data; nothing was restored",
        ));
    }
    let root_metadata = |root: &OwnedFd| set_metadata(root, OsStr::new("."), &node.meta, false);
    if let Err(err) = staging.finish(root_metadata)? {
        tally.problem(Path::new("."), &Problem::Failed(err.to_string()));
    }
    let problems = tally.problems();
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
    path: PathBuf,
    target: OwnedFd,
    /// Locked as long as this process lives.
    fd: Arc<OwnedFd>,
}

impl Staging {
    /// Creates it in a folder that is empty, or has only what an earlier restore has left. Only root reads what is in it.
    fn create(target: &Path) -> Result<Self, VaultError> {
        let failed = |err: io::Error| unwritable(target, &err);
        let path = target.join(UNFINISHED);
        let target_fd = open(target).map_err(failed)?;
        others(&target_fd).map_err(failed)?.map_or(Ok(()), Err)?;
        if path.exists() {
            // Whoever has locked it is at work.
            drop(lock(&target_fd)?);
            remove_all(&target_fd, OsStr::new(UNFINISHED)).map_err(failed)?;
        }
        mkdirat(&target_fd, UNFINISHED, Mode::RWXU).map_err(|err| failed(err.into()))?;
        let fd = Arc::new(lock(&target_fd)?);
        Ok(Self {
            path,
            target: target_fd,
            fd,
        })
    }

    /// Moves everything up, and gives the target its own metadata. Returns what went wrong with the latter.
    fn finish(
        self,
        set_metadata: impl Fn(&OwnedFd) -> io::Result<()>,
    ) -> Result<io::Result<()>, VaultError> {
        let failed = |err: io::Error| unwritable(&self.path, &err);
        // All data is on the disk before any of it counts.
        syncfs(&self.fd).map_err(|err| failed(err.into()))?;
        others(&self.target).map_err(failed)?.map_or(Ok(()), Err)?;
        // Who may not read the data must not do so while it is moved. Times change with each name, so they come again.
        let _ = set_metadata(&self.target);
        let mut moved: Vec<OsString> = Vec::new();
        for name in names(&self.fd).map_err(failed)? {
            if let Err(err) = move_new(&self.fd, &self.target, &name) {
                let back = moved
                    .iter()
                    .all(|name| move_new(&self.target, &self.fd, name).is_ok());
                if !back {
                    // What is left says that the rest is not all.
                    let path = self.path.clone();
                    std::mem::forget(self);
                    return Err(unwritable(&path, &err));
                }
                return Err(failed(err));
            }
            moved.push(name);
        }
        unlinkat(&self.target, UNFINISHED, AtFlags::REMOVEDIR).map_err(|err| failed(err.into()))?;
        let done = set_metadata(&self.target);
        syncfs(&self.target).map_err(|err| failed(err.into()))?;
        Ok(done)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What stays is removed by the next restore.
        let _ = remove_all(&self.target, OsStr::new(UNFINISHED));
    }
}

/// Checks that a folder has nothing but what an earlier restore has left.
fn may_write(target: &Path) -> Result<(), VaultError> {
    let failed = |err: io::Error| unwritable(target, &err);
    let fd = open(target).map_err(failed)?;
    others(&fd).map_err(failed)?.map_or(Ok(()), Err)
}

/// Moves a file or folder, unless there is another one of its name.
fn move_new(from: &OwnedFd, to: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match renameat_with(from, name, to, name, RenameFlags::NOREPLACE) {
        // Not every file system can do both at once.
        Err(Errno::INVAL | Errno::NOSYS) => match statat(to, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(renameat(from, name, to, name)?),
            Ok(_) => Err(Errno::EXIST.into()),
            Err(err) => Err(err.into()),
        },
        other => Ok(other?),
    }
}

/// Returns an error if there is something in a folder that no earlier restore has left.
fn others(target: &OwnedFd) -> io::Result<Option<VaultError>> {
    let mut names = names(target)?.into_iter().filter(|name| name != UNFINISHED);
    Ok(names.next().map(|name| {
        let name = name.to_string_lossy().escape_debug().to_string();
        let text = format!("there is data in it, such as {name}");
        VaultError::new(Reason::TargetNotEmpty, text)
    }))
}

fn open(folder: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(folder, folder_flags(), Mode::empty())?)
}

fn lock(target: &OwnedFd) -> Result<OwnedFd, VaultError> {
    let fd = openat(target, UNFINISHED, folder_flags(), Mode::empty());
    let fd = fd.map_err(|err| unwritable(Path::new(UNFINISHED), &err.into()))?;
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
    use std::fs;

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
        staging.finish(|_| Ok(())).unwrap().unwrap();
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
