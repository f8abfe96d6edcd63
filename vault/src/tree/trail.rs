//! The way from a folder to one inside of it, however deep that is: only the last folders on it are open.
//!
//! A process may have a thousand open files, a container may make folders that are deeper, and their paths are longer
//! than the kernel takes. So a folder is left through its `..`. Somebody may move folders meanwhile: what is found is
//! only taken if it is the folder that was entered.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, fstat, openat, statat, unlinkat};

use super::{folder_flags, names};

/// The folders that are open at the same time.
const OPEN: usize = 32;

/// The folders from a root to the current one.
#[derive(Debug)]
pub(crate) struct Trail {
    root: Arc<OwnedFd>,
    /// Those below the root.
    folders: Vec<Entered>,
}

/// A folder that was entered.
#[derive(Debug)]
struct Entered {
    name: OsString,
    identity: (u64, u64),
    /// `None` while it is closed, and if it is lost.
    fd: Option<Arc<OwnedFd>>,
}

impl Trail {
    pub(crate) fn new(root: Arc<OwnedFd>) -> Self {
        Self {
            root,
            folders: Vec::new(),
        }
    }

    /// Returns the current folder; `None` if it was moved to elsewhere while it was closed.
    pub(crate) fn current(&self) -> Option<&Arc<OwnedFd>> {
        match self.folders.last() {
            None => Some(&self.root),
            Some(folder) => folder.fd.as_ref(),
        }
    }

    /// Returns how many folders are between the root and the current one, with the latter.
    pub(crate) fn depth(&self) -> usize {
        self.folders.len()
    }

    /// Makes a folder in the current one the current one.
    pub(crate) fn enter(&mut self, name: &OsStr, fd: OwnedFd) -> io::Result<()> {
        let identity = identity(&fd)?;
        self.folders.push(Entered {
            name: name.to_owned(),
            identity,
            fd: Some(Arc::new(fd)),
        });
        let closed = self.folders.len().checked_sub(OPEN + 1);
        if let Some(folder) = closed.and_then(|at| self.folders.get_mut(at)) {
            folder.fd = None;
        }
        Ok(())
    }

    /// Makes the folder that the current one is in the current one. Returns the name of the left one in it; `None` at the
    /// root.
    pub(crate) fn leave(&mut self) -> Option<OsString> {
        let left = self.folders.pop()?;
        if self.folders.last().is_some_and(|f| f.fd.is_none()) {
            let above = left.fd.as_ref().and_then(|fd| self.above(fd));
            let found = above.or_else(|| self.by_names());
            if let Some(folder) = self.folders.last_mut() {
                folder.fd = found.map(Arc::new);
            }
        }
        Some(left.name)
    }

    /// Opens the folder that another one is in, if it is the current one.
    fn above(&self, inner: &OwnedFd) -> Option<OwnedFd> {
        self.if_current(openat(inner, "..", folder_flags(), Mode::empty()).ok()?)
    }

    /// Opens the current folder by the names of all folders on the way.
    fn by_names(&self) -> Option<OwnedFd> {
        let mut at = openat(&self.root, ".", folder_flags(), Mode::empty()).ok()?;
        for folder in &self.folders {
            at = openat(&at, &folder.name, folder_flags(), Mode::empty()).ok()?;
        }
        self.if_current(at)
    }

    fn if_current(&self, found: OwnedFd) -> Option<OwnedFd> {
        let wanted = self.folders.last()?.identity;
        (identity(&found).ok()? == wanted).then_some(found)
    }
}

fn identity(fd: impl AsFd) -> io::Result<(u64, u64)> {
    let found = fstat(fd)?;
    Ok((found.st_dev, found.st_ino))
}

/// Removes a folder with all that is in it. No link is followed.
pub(crate) fn remove_all(parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let root = openat(parent, name, folder_flags(), Mode::empty())?;
    let mut trail = Trail::new(Arc::new(root));
    loop {
        let lost = || io::Error::other("a folder was moved while it was removed");
        let folder = Arc::clone(trail.current().ok_or_else(lost)?);
        let mut inner = None;
        for name in names(&folder)? {
            let found = statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
                // Those that are empty are gone at once, and a full one is entered.
                if unlinkat(&folder, &name, AtFlags::REMOVEDIR).is_err() {
                    inner = Some(name);
                    break;
                }
            } else {
                unlinkat(&folder, &name, AtFlags::empty())?;
            }
        }
        if let Some(name) = inner {
            let fd = openat(&folder, &name, folder_flags(), Mode::empty())?;
            trail.enter(&name, fd)?;
            continue;
        }
        let Some(left) = trail.leave() else {
            return Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?);
        };
        unlinkat(trail.current().ok_or_else(lost)?, &left, AtFlags::REMOVEDIR)?;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use rustix::fs::{mkdirat, open};

    use super::*;

    /// Makes folders of one name in each other, and returns the innermost.
    pub(crate) fn deep(root: &Path, name: &str, levels: usize) -> OwnedFd {
        let mut at = open(root, folder_flags(), Mode::empty()).unwrap();
        for _ in 0..levels {
            mkdirat(&at, name, Mode::RWXU).unwrap();
            at = openat(&at, name, folder_flags(), Mode::empty()).unwrap();
        }
        at
    }

    fn opened(path: &Path) -> OwnedFd {
        open(path, folder_flags(), Mode::empty()).unwrap()
    }

    #[test]
    fn all_folders_are_found_again_on_the_way_back_and_few_are_open() {
        let folder = tempfile::tempdir().unwrap();
        let levels = 2000;
        deep(folder.path(), "d", levels);
        let mut trail = Trail::new(Arc::new(opened(folder.path())));
        let mut seen = Vec::new();
        for _ in 0..levels {
            let inner = openat(trail.current().unwrap(), "d", folder_flags(), Mode::empty());
            let inner = inner.unwrap();
            seen.push(identity(&inner).unwrap());
            trail.enter(OsStr::new("d"), inner).unwrap();
        }
        assert_eq!(
            trail.folders.iter().filter(|f| f.fd.is_some()).count(),
            OPEN
        );
        for expected in seen.into_iter().rev() {
            assert_eq!(identity(trail.current().unwrap()).unwrap(), expected);
            assert_eq!(trail.leave().unwrap(), "d");
        }
        assert_eq!(trail.leave(), None);
        remove_all(&opened(folder.path()), OsStr::new("d")).unwrap();
        assert!(folder.path().read_dir().unwrap().next().is_none());
    }

    #[test]
    fn a_folder_that_was_moved_away_is_not_taken_for_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        deep(at, "d", OPEN + 10);
        let mut trail = Trail::new(Arc::new(opened(at)));
        for _ in 0..OPEN + 10 {
            let inner = openat(trail.current().unwrap(), "d", folder_flags(), Mode::empty());
            trail.enter(OsStr::new("d"), inner.unwrap()).unwrap();
        }
        // Another folder takes the place of the 9th, whose contents go on in another place.
        let ninth = at.join("d/d/d/d/d/d/d/d/d");
        std::fs::rename(ninth.join("d"), at.join("elsewhere")).unwrap();
        std::fs::create_dir(ninth.join("d")).unwrap();
        std::fs::rename(&ninth, at.join("ninth")).unwrap();
        std::fs::create_dir(&ninth).unwrap();
        while trail.depth() > 9 {
            trail.leave();
        }
        assert!(trail.current().is_none());
        trail.leave();
        let eighth = identity(opened(&at.join("d/d/d/d/d/d/d/d"))).unwrap();
        assert_eq!(identity(trail.current().unwrap()).unwrap(), eighth);
    }
}
