//! How much is in a volume: a slow walk through its folder, only when somebody asks for it.
//!
//! An engine counts too (`docker system df`), but it reads all volumes at full speed, and leaves out those with
//! options. Here one volume is read, with pauses, and no file is opened. A container may change the volume meanwhile,
//! also to lead a reader astray. So no path is ever resolved: each folder is opened in its parent, and no link is
//! followed.

use std::collections::HashMap;
use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit, setpriority_process, setrlimit};
use serde::Serialize;

use crate::engine::{Engine, EngineError};
use crate::volume_data::{self, VolumeDataError};

/// The walk works for this time, and then pauses as long: others on the disk have half of the time.
const STRETCH: Duration = Duration::from_millis(20);
/// How many entries are looked at between two looks at the clock.
const BETWEEN_LOOKS: u32 = 64;
/// Files with several names whose other names are still to come, at most. They need about 30 MB.
const LINKED_FILES: usize = 500_000;
/// To count is never more important than what the host is for.
const NICE: i32 = 10;

/// How much is in a volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeUsage {
    /// Files and everything else that is no folder. A file with several names counts once.
    pub files: u64,
    /// Folders, without that of the volume itself.
    pub folders: u64,
    /// The lengths of all files, in bytes.
    pub bytes: u64,
    /// What files and folders take on the disk, in bytes: less than their lengths where files have holes or are
    /// compressed.
    pub allocated: u64,
    /// Folders that could not be read. What is in them is not counted.
    pub unread: u64,
}

/// Why a volume was not measured.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// Its folder is not here.
    #[error(transparent)]
    Data(#[from] VolumeDataError),
    /// Its folder cannot be opened.
    #[error("the folder of volume {0} cannot be read: {1}")]
    Folder(String, io::Error),
}

/// Measures volumes one after the other: those with these names, or all if there are none. Each result comes with the
/// name of its volume. `on_begin` is called before each walk.
///
/// # Errors
/// If the engine does not list its volumes.
pub async fn measure_volumes(
    engine: &Engine,
    names: &[String],
    mut on_begin: impl FnMut(&str),
) -> Result<Vec<(String, Result<VolumeUsage, UsageError>)>, EngineError> {
    let mut measured = Vec::new();
    for (name, folder) in volume_data::folders(engine, names).await? {
        let usage = match folder {
            Ok(folder) => {
                on_begin(&name);
                let walk = tokio::task::spawn_blocking(move || measure(&folder));
                let walked = walk.await.map_err(io::Error::other).flatten();
                walked.map_err(|err| UsageError::Folder(name.clone(), err))
            }
            Err(err) => Err(err.into()),
        };
        measured.push((name, usage));
    }
    Ok(measured)
}

/// Measures a folder, with pauses. It stays in the file system of the folder.
///
/// # Errors
/// If the folder itself cannot be opened.
pub fn measure(folder: &Path) -> io::Result<VolumeUsage> {
    // What fails here only makes it less polite. It is of this thread only.
    let _ = setpriority_process(None, NICE);
    // Each folder between the root and a file is open.
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    let _ = setrlimit(Resource::Nofile, files);

    let root = rustix::fs::open(folder, folder_flags(), Mode::empty())?;
    let found = fstat(&root)?;
    let mut walk = Walk {
        usage: VolumeUsage::default(),
        device: found.st_dev,
        linked: HashMap::new(),
        pace: Pace::new(),
    };
    walk.usage.allocated += allocated(&found);
    let mut folders = vec![open(root)?];
    while let Some(current) = folders.last_mut() {
        walk.pace.step();
        match current.entries.next() {
            Some(Ok(entry)) => match walk.entry(&current.fd, entry.file_name()) {
                Ok(Some(inner)) => folders.push(inner),
                // Where programs are at work, files come and go.
                Ok(None) | Err(Errno::NOENT) => {}
                Err(_) => walk.usage.unread += 1,
            },
            Some(Err(_)) => {
                walk.usage.unread += 1;
                folders.pop();
            }
            None => {
                folders.pop();
            }
        }
    }
    Ok(walk.usage)
}

/// A folder whose names are being read.
struct OpenFolder {
    fd: OwnedFd,
    entries: Dir,
}

fn open(fd: OwnedFd) -> rustix::io::Result<OpenFolder> {
    let entries = Dir::read_from(&fd)?;
    Ok(OpenFolder { fd, entries })
}

/// Opens a folder itself, and no link to one.
fn folder_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

struct Walk {
    usage: VolumeUsage,
    /// The file system of the volume.
    device: u64,
    /// By inode, how many names of a file are still to come.
    linked: HashMap<u64, u32>,
    pace: Pace,
}

impl Walk {
    /// Counts what has a name in a folder. Returns it if it is a folder whose entries are to be counted, too.
    fn entry(&mut self, folder: &OwnedFd, name: &CStr) -> rustix::io::Result<Option<OpenFolder>> {
        if matches!(name.to_bytes(), b"." | b"..") {
            return Ok(None);
        }
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        let found = statat(folder, name, flags)?;
        if found.st_dev != self.device {
            return Ok(None);
        }
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => {
                self.usage.folders += 1;
                self.usage.allocated += allocated(&found);
                let inner = openat(folder, name, folder_flags(), Mode::empty())?;
                // Another file system may have been mounted there, or another folder moved there, since.
                let opened = fstat(&inner)?;
                let is_same = (opened.st_dev, opened.st_ino) == (found.st_dev, found.st_ino);
                is_same.then(|| open(inner)).transpose()
            }
            kind => {
                if self.is_first_name(&found) {
                    self.usage.files += 1;
                    self.usage.allocated += allocated(&found);
                    if kind == FileType::RegularFile {
                        self.usage.bytes += u64::try_from(found.st_size).unwrap_or_default();
                    }
                }
                Ok(None)
            }
        }
    }

    /// Whether no other name of a file was counted. A file is forgotten after its last name. If too many are waiting
    /// for theirs, each name counts.
    fn is_first_name(&mut self, found: &Stat) -> bool {
        let others = u32::try_from(found.st_nlink)
            .unwrap_or(u32::MAX)
            .saturating_sub(1);
        if others == 0 {
            return true;
        }
        if let Some(left) = self.linked.get_mut(&found.st_ino) {
            *left -= 1;
            if *left == 0 {
                self.linked.remove(&found.st_ino);
            }
            return false;
        }
        if self.linked.len() < LINKED_FILES {
            self.linked.insert(found.st_ino, others);
        }
        true
    }
}

fn allocated(found: &Stat) -> u64 {
    // The unit of the kernel, whatever the block size is.
    u64::try_from(found.st_blocks).unwrap_or_default() * 512
}

/// Pauses after each stretch of work.
struct Pace {
    begin: Instant,
    steps: u32,
}

impl Pace {
    fn new() -> Self {
        Self {
            begin: Instant::now(),
            steps: 0,
        }
    }

    fn step(&mut self) {
        self.steps += 1;
        if self.steps < BETWEEN_LOOKS {
            return;
        }
        self.steps = 0;
        let worked = self.begin.elapsed();
        if worked >= STRETCH {
            thread::sleep(worked);
            self.begin = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    #[test]
    fn every_file_counts_once_and_nothing_outside_does() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("large"), vec![1; 1 << 20]).unwrap();
        let volume = tempfile::tempdir().unwrap();
        let root = volume.path();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), [1; 1000]).unwrap();
        fs::hard_link(root.join("a/b/file"), root.join("a/again")).unwrap();
        fs::hard_link(root.join("a/b/file"), root.join("third")).unwrap();
        let name_outside = outside.path().join("also outside");
        fs::write(root.join("half outside"), [1; 10]).unwrap();
        fs::hard_link(root.join("half outside"), &name_outside).unwrap();
        symlink(outside.path(), root.join("a/link")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let usage = measure(root).unwrap();
        let on_disk = |name: &str| fs::symlink_metadata(root.join(name)).unwrap().blocks() * 512;
        let all = ["", "a", "a/b", "a/b/file", "half outside", "a/link", "loop"];
        let expected = VolumeUsage {
            files: 4,
            folders: 2,
            bytes: 1010,
            allocated: all.map(on_disk).iter().sum(),
            unread: 0,
        };
        assert_eq!(usage, expected);
    }

    #[test]
    fn a_hole_has_a_length_and_takes_nothing() {
        let volume = tempfile::tempdir().unwrap();
        let empty = measure(volume.path()).unwrap();
        let sparse = File::create(volume.path().join("sparse")).unwrap();
        sparse.set_len(1 << 30).unwrap();
        let usage = measure(volume.path()).unwrap();
        assert_eq!((usage.files, usage.bytes), (1, 1 << 30));
        assert!(usage.allocated <= empty.allocated + (1 << 16), "{usage:?}");
    }

    #[test]
    fn a_deep_folder_is_measured_to_its_bottom() {
        const DEPTH: u64 = 300;
        let volume = tempfile::tempdir().unwrap();
        let mut folder: std::path::PathBuf = volume.path().into();
        folder.extend((0..DEPTH).map(|_| "d"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("bottom"), "1").unwrap();
        let usage = measure(volume.path()).unwrap();
        assert_eq!(
            (usage.folders, usage.files, usage.bytes, usage.unread),
            (DEPTH, 1, 1, 0)
        );
    }

    #[test]
    fn half_of_the_time_is_left_to_others() {
        let mut pace = Pace::new();
        let begin = Instant::now();
        let mut paused = Duration::ZERO;
        while begin.elapsed() < Duration::from_millis(200) {
            let step = Instant::now();
            pace.step();
            paused += step.elapsed();
        }
        let share = paused.as_secs_f64() / begin.elapsed().as_secs_f64();
        assert!(share > 0.4, "{share}");
    }

    #[test]
    fn what_is_no_folder_is_an_error() {
        let volume = tempfile::tempdir().unwrap();
        let file = volume.path().join("file");
        fs::write(&file, "").unwrap();
        symlink(volume.path(), volume.path().join("link")).unwrap();
        assert!(measure(&file).is_err());
        assert!(measure(&volume.path().join("link")).is_err());
        assert!(measure(&volume.path().join("nothing")).is_err());
    }
}
