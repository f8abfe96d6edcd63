//! The files of a volume, in the order of a snapshot, with everything that could not be read.
//!
//! A container may change the volume meanwhile, also to lead a reader astray. So no path is ever resolved: each
//! folder is opened in its parent, and no link is followed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use jiff::{SignedDuration, Timestamp};
use rustic_core::repofile::{Metadata, Node, NodeType};
use rustic_core::{
    ErrorKind as RusticErrorKind, ReadSource, ReadSourceEntry, ReadSourceOpen, RusticError,
    RusticResult,
};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, StatxFlags, Timespec, openat, readlinkat, statat, statx,
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use super::trail::Trail;
use super::{folder_flags, mode, names};
use crate::backend::Backend;
use crate::tally::{Problem, Tally};

/// The folder in a snapshot that has the volumes.
const VOLUMES: &str = "/volumes";
/// The longest path of a folder in a snapshot, in bytes. Programs that use paths get no further than 4096. The library
/// keeps the path of each folder on the way to a file, so its memory grows with the square of this.
const LONGEST: usize = 12 << 10;
/// The most holes of a file, in bytes. All of them are read as zeros, at some hundred megabytes a second.
const HOLES: u64 = 1 << 40;
/// Two ticks of the slowest clock that the kernel takes times of files from, in nanoseconds.
const TICKS: i128 = 20_000_000;
/// The same for file systems whose times have no fraction, or one of two seconds.
const WHOLE: i128 = 2_000_000_000;
/// The attributes of a file that are of this host only.
const LOCAL_ATTRIBUTES: [&str; 1] = ["security.selinux"];

/// Returns the path of a volume in a snapshot. It must not change: files are compared with those of an earlier
/// snapshot by path.
pub(crate) fn path_in_snapshot(volume: &str) -> PathBuf {
    Path::new(VOLUMES).join(volume)
}

/// The files of one volume.
#[derive(Debug)]
pub(crate) struct Source {
    root: Arc<OwnedFd>,
    /// The path of the root in the snapshot.
    path: PathBuf,
    backend: Arc<Backend>,
    tally: Arc<Tally>,
}

impl Source {
    /// Opens the folder of a volume.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn open(
        folder: &Path,
        volume: &str,
        backend: Arc<Backend>,
        tally: Arc<Tally>,
    ) -> io::Result<Self> {
        let root = rustix::fs::open(folder, folder_flags(), Mode::empty())?;
        Ok(Self {
            root: Arc::new(root),
            path: path_in_snapshot(volume),
            backend,
            tally,
        })
    }

    /// Returns an entry of the snapshot for the folder of all volumes. It is always the same.
    fn volumes() -> ReadSourceEntry<OpenFile> {
        let meta = Metadata {
            mode: Some(mode::to_go(0o040_755)),
            mtime: Some(Timestamp::UNIX_EPOCH),
            atime: Some(Timestamp::UNIX_EPOCH),
            ctime: Some(Timestamp::UNIX_EPOCH),
            uid: Some(0),
            gid: Some(0),
            ..Metadata::default()
        };
        let path = PathBuf::from(VOLUMES);
        let name = path.file_name().unwrap_or_default();
        let node = Node::new_node(name, NodeType::Dir, meta);
        let open = None;
        ReadSourceEntry { path, node, open }
    }
}

impl ReadSource for Source {
    type Open = OpenFile;
    type Iter = Walk;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> Walk {
        Walk {
            first: Some(Self::volumes()),
            root: Some(Arc::clone(&self.root)),
            path: self.path.clone(),
            trail: Trail::new(Arc::clone(&self.root)),
            folders: Vec::new(),
            backend: Arc::clone(&self.backend),
            tally: Arc::clone(&self.tally),
        }
    }
}

/// The names in a folder, in the order of their bytes.
#[derive(Debug)]
struct Names {
    all: Vec<OsString>,
    next: usize,
    /// The time of the last change of the folder before they were read.
    version: (i64, u64),
    /// When they were read.
    at: Timespec,
}

impl Names {
    fn of(folder: &OwnedFd) -> io::Result<Self> {
        let version = Self::version(folder)?;
        Ok(Self {
            at: clock_gettime(ClockId::RealtimeCoarse),
            all: names(folder)?,
            next: 0,
            version,
        })
    }

    fn version(folder: &OwnedFd) -> io::Result<(i64, u64)> {
        let found = rustix::fs::fstat(folder)?;
        Ok((found.st_ctime, found.st_ctime_nsec))
    }

    fn next(&mut self) -> Option<&OsStr> {
        let name = self.all.get(self.next)?;
        self.next += 1;
        Some(name)
    }

    /// Leaves out the names that are left.
    fn end(&mut self) {
        self.next = self.all.len();
    }

    /// Returns the names that were added since the names were read, of files that are older: they were moved here from
    /// where they may not have been read yet. New files are no loss, and neither are removed ones.
    fn moved_in(&self, folder: &OwnedFd) -> Vec<OsString> {
        if Self::version(folder).is_ok_and(|now| now == self.version) {
            return Vec::new();
        }
        // A folder that was removed has no names.
        let mut new = names(folder).unwrap_or_default();
        new.retain(|name| self.all.binary_search(name).is_err() && self.is_older(folder, name));
        new
    }

    /// Whether a file was created before the names were read. A file system that does not say so is not trusted.
    fn is_older(&self, folder: &OwnedFd, name: &OsStr) -> bool {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let Ok(found) = statx(folder, name, flags, StatxFlags::BTIME) else {
            return false;
        };
        let created = (found.stx_btime.tv_sec, i64::from(found.stx_btime.tv_nsec));
        let is_known = found.stx_mask & StatxFlags::BTIME.bits() != 0;
        !is_known || created < (self.at.tv_sec, self.at.tv_nsec)
    }
}

/// Goes through the files of a volume.
#[derive(Debug)]
pub(crate) struct Walk {
    first: Option<ReadSourceEntry<OpenFile>>,
    root: Option<Arc<OwnedFd>>,
    /// The path of the current folder, or of the entry in it that is being read.
    path: PathBuf,
    /// The folders from the root to the current one.
    trail: Trail,
    /// The names in each of them.
    folders: Vec<Names>,
    backend: Arc<Backend>,
    tally: Arc<Tally>,
}

impl Walk {
    /// Returns an entry for the root of the volume, and begins with it.
    fn root(&mut self, root: &Arc<OwnedFd>) -> Option<ReadSourceEntry<OpenFile>> {
        let path = self.path.clone();
        let name = path.file_name().unwrap_or_default().to_owned();
        let found = rustix::fs::fstat(root).map_err(io::Error::from);
        let (found, names) = match found.and_then(|found| Ok((found, Names::of(root)?))) {
            Ok(found) => found,
            Err(err) => {
                self.tally.problem(&path, &Problem::of(&err));
                return None;
            }
        };
        // A link in /proc would not be followed, but its `.` is the folder.
        let own = format!("/proc/self/fd/{}/.", root.as_raw_fd());
        let attributes = attributes(Path::new(&own));
        let node = self.node(&name, &path, &found, NodeType::Dir, attributes);
        self.folders.push(names);
        let open = None;
        Some(ReadSourceEntry { path, node, open })
    }

    /// Returns an entry for a name in the current folder, and begins with it if it is a folder. `None` if it cannot be
    /// read.
    fn entry(&mut self, folder: &Arc<OwnedFd>, name: &OsStr) -> Option<ReadSourceEntry<OpenFile>> {
        self.path.push(name);
        let depth = self.folders.len();
        let path = self.path.clone();
        let entry = self.read(folder, &path, name);
        if self.folders.len() == depth {
            self.path.pop();
        }
        match entry {
            Ok(entry) => Some(entry),
            Err(err) => {
                self.tally.problem(&path, &Problem::of(&err));
                None
            }
        }
    }

    /// Goes back to the folder that the current one is in.
    fn leave(&mut self) {
        if let (Some(names), Some(folder)) = (self.folders.pop(), self.trail.current()) {
            for name in names.moved_in(folder) {
                let path = self.path.join(name);
                self.tally.problem(&path, &Problem::Moved);
            }
        }
        if self.trail.leave().is_some() {
            self.path.pop();
        }
    }

    fn read(
        &mut self,
        folder: &Arc<OwnedFd>,
        path: &Path,
        name: &OsStr,
    ) -> io::Result<ReadSourceEntry<OpenFile>> {
        let found = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(found.st_mode);
        let mut inner = None;
        if kind == FileType::RegularFile {
            is_not_too_sparse(&found)?;
        }
        let node_type = match kind {
            FileType::Directory => {
                if path.as_os_str().len() > LONGEST {
                    let text = format!("the path of this folder is longer than {LONGEST} bytes");
                    return Err(io::Error::other(text));
                }
                let fd = openat(folder, name, folder_flags(), Mode::empty())?;
                let names = Names::of(&fd);
                inner = Some((fd, names));
                NodeType::Dir
            }
            FileType::Symlink => {
                let target = readlinkat(folder, name, Vec::new())?;
                NodeType::from_link(Path::new(OsStr::from_bytes(target.as_bytes())))
            }
            FileType::BlockDevice => NodeType::Dev {
                device: found.st_rdev,
            },
            FileType::CharacterDevice => NodeType::Chardev {
                device: found.st_rdev,
            },
            FileType::Fifo => NodeType::Fifo,
            FileType::Socket => NodeType::Socket,
            FileType::RegularFile => NodeType::File,
            FileType::Unknown => return Err(io::Error::other("a file of an unknown type")),
        };
        // restic would give those of a link to what it points at, wherever that is.
        let attributes = if kind == FileType::Symlink {
            Ok((Vec::new(), None))
        } else {
            let own = format!("/proc/self/fd/{}", folder.as_raw_fd());
            attributes(&Path::new(&own).join(name))
        };
        let node = self.node(name, path, &found, node_type, attributes);
        match inner {
            Some((fd, Ok(names))) => {
                self.trail.enter(name, fd)?;
                self.folders.push(names);
            }
            // The folder itself is in the snapshot.
            Some((_, Err(err))) => self.tally.problem(path, &Problem::of(&err)),
            None => {}
        }
        let open = (kind == FileType::RegularFile).then(|| OpenFile {
            folder: Arc::clone(folder),
            name: name.to_owned(),
            path: path.to_owned(),
            version: Version::of(&found),
            tally: Arc::clone(&self.tally),
        });
        let path = path.to_owned();
        Ok(ReadSourceEntry { path, node, open })
    }

    /// Returns the entry of a snapshot, and counts it.
    fn node(
        &self,
        name: &OsStr,
        path: &Path,
        found: &Stat,
        node_type: NodeType,
        attributes: io::Result<(Vec<Value>, Option<OsString>)>,
    ) -> Node {
        let is_folder = matches!(node_type, NodeType::Dir);
        let is_file = matches!(node_type, NodeType::File);
        let links = if is_folder { 0 } else { found.st_nlink };
        let mtime = timestamp(found.st_mtime, found.st_mtime_nsec);
        if mtime.is_none() {
            let text = "its time of modification is after the year 9999".to_owned();
            self.tally.problem(path, &Problem::Attributes(text));
        }
        let mut ctime = timestamp(found.st_ctime, found.st_ctime_nsec);
        let changed = (found.st_ctime, found.st_ctime_nsec);
        if is_file && is_fresh(changed, clock_gettime(ClockId::RealtimeCoarse)) {
            // Not the time that the next backup finds, so it reads the file again.
            ctime = ctime.and_then(|time| time.checked_sub(SignedDuration::from_nanos(1)).ok());
        }
        let mut meta = Metadata {
            mode: Some(mode::to_go(found.st_mode)),
            mtime,
            // Each backup changes the time of access, and would so change the tree.
            atime: mtime,
            ctime,
            uid: Some(found.st_uid),
            gid: Some(found.st_gid),
            // Names are of the container, not of this host.
            user: None,
            group: None,
            inode: found.st_ino,
            device_id: if links > 1 { found.st_dev } else { 0 },
            size: if is_file { size(found) } else { 0 },
            links,
            ..Metadata::default()
        };
        let problem = match attributes {
            Ok((all, unkept)) => {
                // What is made of text is read as text.
                meta.extended_attributes = serde_json::from_value(all.into()).unwrap_or_default();
                unkept.map(|name| {
                    format!(
                        "the name of attribute {} is not UTF-8",
                        name.display().to_string().escape_debug()
                    )
                })
            }
            Err(err) => Some(err.to_string()),
        };
        if let Some(problem) = problem {
            self.tally.problem(path, &Problem::Attributes(problem));
        }
        self.tally.found(is_folder, meta.size);
        Node::new_node(name, node_type, meta)
    }
}

impl Iterator for Walk {
    type Item = RusticResult<ReadSourceEntry<OpenFile>>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        if let Some(root) = self.root.take() {
            return self.root(&root).map(Ok);
        }
        loop {
            // The library goes on after the store failed; nothing more is read then.
            if self.backend.failure().is_some() {
                return None;
            }
            let names = self.folders.last_mut()?;
            let Some(name) = names.next().map(OsStr::to_owned) else {
                self.leave();
                continue;
            };
            let Some(folder) = self.trail.current().map(Arc::clone) else {
                // What is left of it is nowhere in the snapshot.
                self.tally.problem(&self.path, &Problem::Moved);
                names.end();
                continue;
            };
            if let Some(entry) = self.entry(&folder, &name) {
                return Some(Ok(entry));
            }
        }
    }
}

/// A file that is opened when its turn comes.
#[derive(Debug)]
pub(crate) struct OpenFile {
    folder: Arc<OwnedFd>,
    name: OsString,
    path: PathBuf,
    version: Version,
    tally: Arc<Tally>,
}

impl ReadSourceOpen for OpenFile {
    type Reader = Reader;

    fn open(self) -> RusticResult<Reader> {
        match open_file(&self.folder, &self.name, self.version) {
            Ok(file) => Ok(Reader {
                left: self.version.size,
                file,
                path: self.path,
                version: self.version,
                tally: self.tally,
                is_done: false,
            }),
            Err(err) => {
                self.tally.problem(&self.path, &Problem::of(&err));
                let text = err.to_string();
                Err(RusticError::new(RusticErrorKind::InputOutput, text))
            }
        }
    }
}

/// Reads a file up to the size that it had when it was found. A file that grows all the time ends nevertheless.
#[derive(Debug)]
pub(crate) struct Reader {
    file: File,
    path: PathBuf,
    version: Version,
    left: u64,
    tally: Arc<Tally>,
    is_done: bool,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = usize::try_from(self.left).unwrap_or(usize::MAX);
        let limit = limit.min(buffer.len());
        let read = buffer
            .get_mut(..limit)
            .map_or(Ok(0), |part| self.file.read(part));
        match read {
            Ok(0) => {
                self.end(limit > 0);
                Ok(0)
            }
            Ok(length) => {
                self.left -= length as u64;
                self.tally.read(length as u64);
                Ok(length)
            }
            Err(err) if err.kind() == ErrorKind::Interrupted => Err(err),
            Err(err) => {
                self.tally.problem(&self.path, &Problem::of(&err));
                Err(err)
            }
        }
    }
}

impl Reader {
    /// Checks whether the file is still what it was.
    fn end(&mut self, is_shorter: bool) {
        if std::mem::replace(&mut self.is_done, true) {
            return;
        }
        let now = rustix::fs::fstat(&self.file).map(|found| Version::of(&found));
        if is_shorter || now != Ok(self.version) {
            self.tally.problem(&self.path, &Problem::Changed);
        }
    }
}

/// What changes when a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Version {
    fn of(found: &Stat) -> Self {
        Self {
            device: found.st_dev,
            inode: found.st_ino,
            size: size(found),
            modified: (found.st_mtime, found.st_mtime_nsec.cast_signed()),
            changed: (found.st_ctime, found.st_ctime_nsec.cast_signed()),
        }
    }
}

/// Opens a file to read it, if possible without a change of its time of access. What has taken its place since it was
/// found is not opened: a device may do something when it is.
fn open_file(folder: &OwnedFd, name: &OsStr, version: Version) -> io::Result<File> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let own = openat(folder, name, flags, Mode::empty())?;
    let found = rustix::fs::fstat(&own)?;
    let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
    if !is_file || (found.st_dev, found.st_ino) != (version.device, version.inode) {
        return Err(io::Error::other("another file has taken its place"));
    }
    let path = format!("/proc/self/fd/{}", own.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(&path, flags | OFlags::NOATIME, Mode::empty());
    let opened = match opened {
        // Only the owner of a file, or root, may ask for it.
        Err(rustix::io::Errno::PERM) => rustix::fs::open(&path, flags, Mode::empty()),
        other => other,
    };
    Ok(File::from(opened?))
}

/// Returns the extended attributes of a file as JSON, sorted, and the first name that the format cannot keep. Their type
/// in the library is not public. A file system without attributes is as a file without them.
fn attributes(path: &Path) -> io::Result<(Vec<Value>, Option<OsString>)> {
    let names = match xattr::list(path) {
        Err(err) if err.kind() == ErrorKind::Unsupported => return Ok((Vec::new(), None)),
        other => other?,
    };
    let mut names: Vec<OsString> = names.collect();
    names.sort_unstable();
    let (mut all, mut unkept) = (Vec::new(), None);
    for name in names {
        let Some(text) = name.to_str() else {
            unkept.get_or_insert(name);
            continue;
        };
        if LOCAL_ATTRIBUTES.contains(&text) {
            continue;
        }
        if let Some(value) = xattr::get(path, &name)? {
            all.push(json!({ "name": text, "value": BASE64_STANDARD.encode(value) }));
        }
    }
    Ok((all, unkept))
}

/// Checks that a file does not have more holes than can be read in an acceptable time.
fn is_not_too_sparse(found: &Stat) -> io::Result<()> {
    let allocated = u64::try_from(found.st_blocks).unwrap_or_default() * 512;
    if size(found).saturating_sub(allocated) <= HOLES {
        return Ok(());
    }
    let text = format!(
        "it has {} bytes, and only {allocated} of them are not holes",
        size(found)
    );
    Err(io::Error::other(text))
}

/// Whether a file was changed so shortly before that another change might have the same time.
fn is_fresh(changed: (i64, u64), now: Timespec) -> bool {
    let Ok(nanoseconds) = i64::try_from(changed.1) else {
        return true;
    };
    let step = if nanoseconds == 0 { WHOLE } else { TICKS };
    let age = (i128::from(now.tv_sec) - i128::from(changed.0)) * 1_000_000_000
        + i128::from(now.tv_nsec - nanoseconds);
    age < step
}

fn size(found: &Stat) -> u64 {
    u64::try_from(found.st_size).unwrap_or_default()
}

fn timestamp(seconds: i64, nanoseconds: u64) -> Option<Timestamp> {
    let nanoseconds = i32::try_from(nanoseconds).ok()?;
    Timestamp::new(seconds, nanoseconds).ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::store::{self, Use};
    use crate::{Access, Address};

    /// A folder as a source, and what was found in it.
    struct Bench {
        folder: tempfile::TempDir,
        tally: Arc<Tally>,
    }

    impl Bench {
        fn in_folder(folder: &Path) -> Self {
            Self {
                folder: tempfile::tempdir_in(folder).unwrap(),
                tally: Arc::default(),
            }
        }

        fn walk(&self) -> Walk {
            let address = Address::Path("/nothing".into());
            let store = store::open(&address, &Access::default(), Use::Other).unwrap();
            let backend = Backend::new(store);
            let tally = Arc::clone(&self.tally);
            let source = Source::open(self.folder.path(), "v", backend, tally);
            source.unwrap().entries()
        }

        /// Reads until a path is found.
        fn until(walk: &mut Walk, end: &str) -> Node {
            let found = walk.find(|entry| entry.as_ref().unwrap().path.ends_with(end));
            found.unwrap().unwrap().node
        }
    }

    #[test]
    fn a_file_that_was_just_changed_is_read_again_next_time() {
        let bench = Bench::in_folder(&std::env::temp_dir());
        let path = bench.folder.path().join("a");
        std::fs::write(&path, "1").unwrap();
        let found = statat(rustix::fs::CWD, &path, AtFlags::empty()).unwrap();
        let changed = timestamp(found.st_ctime, found.st_ctime_nsec);
        let begin = Instant::now();
        let ctime = || Bench::until(&mut bench.walk(), "a").meta.ctime;
        // Nothing else is as fast as this.
        if begin.elapsed() < Duration::from_millis(5) {
            assert_ne!(ctime(), changed);
        }
        while ctime() != changed {
            assert!(begin.elapsed() < Duration::from_secs(10));
        }
    }

    #[test]
    fn the_steps_of_a_clock_are_known_by_its_times() {
        let now = Timespec {
            tv_sec: 100,
            tv_nsec: 10_000_000,
        };
        for (changed, fresh) in [
            ((100, 10_000_000), true),
            ((99, 999_000_000), true),
            ((99, 989_000_000), false),
            ((99, 0), true),
            ((98, 0), false),
            ((200, 1), true),
        ] {
            assert_eq!(is_fresh(changed, now), fresh, "{changed:?}");
        }
    }

    #[test]
    fn what_is_moved_to_where_all_is_read_is_told_and_what_is_new_or_gone_is_not() {
        let bench = Bench::in_folder(&std::env::temp_dir());
        let at = |name: &str| bench.folder.path().join(name);
        for folder in ["a", "b"] {
            std::fs::create_dir(at(folder)).unwrap();
        }
        for file in ["a/1", "a/2", "b/1", "b/2"] {
            std::fs::write(at(file), "1").unwrap();
        }
        let begin = clock_gettime(ClockId::RealtimeCoarse);
        while clock_gettime(ClockId::RealtimeCoarse) == begin {}
        let mut walk = bench.walk();
        Bench::until(&mut walk, "a/1");
        std::fs::rename(at("b/2"), at("a/0")).unwrap();
        std::fs::remove_file(at("a/2")).unwrap();
        std::fs::write(at("a/new"), "1").unwrap();
        assert_eq!(walk.count(), 2, "b, b/1");
        let problems = bench.tally.problems();
        assert_eq!((problems.failed, problems.changed), (0, 1), "{problems:?}");
        assert_eq!(
            problems.first,
            ["/volumes/v/a/0: moved while the volume was read"]
        );
    }

    #[test]
    fn what_would_be_read_for_days_or_has_no_time_is_told() {
        // A file system with times of 64 bits and files of any size.
        let bench = Bench::in_folder(Path::new("/dev/shm"));
        let at = |name: &str| bench.folder.path().join(name);
        let large = File::create(at("large")).unwrap();
        large.set_len(HOLES + 4096).unwrap();
        File::create(at("not-too-large"))
            .unwrap()
            .set_len(HOLES)
            .unwrap();
        let late = File::create(at("time")).unwrap();
        let time = std::time::UNIX_EPOCH + Duration::from_hours(83_000_000);
        late.set_modified(time).unwrap();
        assert_eq!(bench.walk().count(), 4, "both folders above, and two files");
        let problems = bench.tally.problems();
        assert_eq!((problems.failed, problems.changed), (2, 0), "{problems:?}");
        assert_eq!(
            problems.first,
            [
                "/volumes/v/large: it has 1099511631872 bytes, and only 0 of them are not holes",
                "/volumes/v/time: its time of modification is after the year 9999",
            ]
        );
    }
}
