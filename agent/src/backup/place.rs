//! Whether a repository is where it is expected.
//!
//! A disk that is not mounted looks like an empty folder, and a store that lost its content looks like a new one. A new
//! repository there would hide the loss. So a folder on a wrong disk is refused, and a repository is created once only.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dockfleet_crds::{Open, Reason};
use dockfleet_planner::desired::hex;
use dockfleet_planner::kinds::backup::DesiredRepository;
use sha2::{Digest as _, Sha256};

use crate::durable_file;

/// Why a backup is not made, as in a status.
pub(super) type Refused = (Open<Reason>, String);

/// How long a folder may take to answer: one of an NFS server that is gone never does.
const ANSWER: Duration = Duration::from_mins(1);

/// Looks at a folder in a thread that may block.
pub(super) async fn in_time<T: Send + 'static>(
    look: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let looked = tokio::task::spawn_blocking(look);
    match tokio::time::timeout(ANSWER, looked).await {
        Ok(Ok(result)) => result,
        Ok(Err(err)) => Err((Reason::Internal.into(), err.to_string())),
        Err(_) => {
            let text = format!("its folder did not answer within {} s", ANSWER.as_secs());
            Err((Reason::StoreUnreachable.into(), text))
        }
    }
}

/// Checks the folder of a repository: it must exist, and be on a disk of its own.
pub(super) fn check(repository: &DesiredRepository, volume: &Path) -> Result<(), Refused> {
    let Some(base) = repository.base.as_deref().map(Path::new) else {
        return Ok(());
    };
    let unreachable = |text: String| (Reason::StoreUnreachable.into(), text);
    let device = |path: &Path| fs::metadata(path).map(|found| (found.is_dir(), found.dev()));
    let shown = base.display();
    let disk = match device(base) {
        Ok((true, disk)) => disk,
        Ok((false, _)) => return Err(unreachable(format!("{shown} is not a folder"))),
        Err(err) => {
            let hint = if err.kind() == io::ErrorKind::NotFound {
                "; is its disk mounted?"
            } else {
                ""
            };
            return Err(unreachable(format!("folder {shown}: {err}{hint}")));
        }
    };
    if repository.allow_same_disk {
        return Ok(());
    }
    let is_on = |path: &Path| device(path).is_ok_and(|(_, other)| other == disk);
    let where_ = if is_on(volume) {
        "the disk of the volume"
    } else if is_on(Path::new("/")) {
        "the disk of the system"
    } else {
        return Ok(());
    };
    Err(unreachable(format!(
        "folder {shown} is on {where_}: mount the disk or the network folder there, or allow it with \
         path.allowSameDisk"
    )))
}

/// Creates the folder of a host's own repository, in the folder that is there. Nobody else can read it.
pub(super) fn make_folder(repository: &DesiredRepository) -> Result<(), Refused> {
    let Some(base) = repository.base.as_deref() else {
        return Ok(());
    };
    let folder = Path::new(&repository.address);
    if folder == Path::new(base) {
        return Ok(());
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(err) if err.kind() != io::ErrorKind::AlreadyExists => {
            let text = format!("folder {} cannot be created: {err}", folder.display());
            Err((Reason::StoreRefused.into(), text))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Notes which repositories were there.
#[derive(Debug)]
pub(super) struct Known(PathBuf);

impl Known {
    /// Returns what is known of a repository. `folder` has a file for each.
    pub(super) fn of(folder: &Path, address: &str) -> Self {
        let name = hex(&Sha256::digest(address), 16);
        Self(folder.join(format!("{name}.repository")))
    }

    /// Whether it was there before.
    pub(super) fn was_there(&self) -> bool {
        self.0.exists()
    }

    /// Notes that it is there.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn is_there(&self, address: &str) -> io::Result<()> {
        if self.was_there() {
            return Ok(());
        }
        fs::create_dir_all(self.0.parent().unwrap_or(&self.0))?;
        durable_file::write(&self.0, format!("{address}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(base: &Path, allow_same_disk: bool) -> DesiredRepository {
        DesiredRepository {
            base: Some(base.display().to_string()),
            allow_same_disk,
            ..DesiredRepository::default()
        }
    }

    #[test]
    fn a_folder_that_is_not_on_a_disk_of_its_own_is_refused() {
        let (disk, other) = (Path::new("/"), Path::new("/proc"));
        let refused = |base: &Path, allow| check(&at(base, allow), disk).map_err(|(_, text)| text);
        let text = refused(disk, false).unwrap_err();
        assert!(
            text.starts_with("folder / is on the disk of the volume: "),
            "{text}"
        );
        assert_eq!(refused(disk, true), Ok(()));
        assert_eq!(refused(other, false), Ok(()));
        let missing = refused(Path::new("/no/such/folder"), true).unwrap_err();
        assert!(missing.ends_with("is its disk mounted?"), "{missing}");
        let file = refused(Path::new("/proc/version"), true).unwrap_err();
        assert_eq!(file, "/proc/version is not a folder");
        // A server has no folder here.
        assert_eq!(check(&DesiredRepository::default(), disk), Ok(()));
    }

    #[test]
    fn a_repository_that_was_there_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("repositories");
        let known = Known::of(&state, "/backup");
        assert!(!known.was_there());
        known.is_there("/backup").unwrap();
        known.is_there("/backup").unwrap();
        assert!(Known::of(&state, "/backup").was_there());
        assert!(!Known::of(&state, "/backup2").was_there());
    }
}
