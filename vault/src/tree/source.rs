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
use jiff::Timestamp;
use rustic_core::repofile::{Metadata, Node, NodeType};
use rustic_core::{
    ErrorKind as RusticErrorKind, ReadSource, ReadSourceEntry, ReadSourceOpen, RusticError,
    RusticResult,
};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, openat, readlinkat, statat};
use serde_json::{Value, json};

use super::{folder_flags, mode, names};
use crate::backend::Backend;
use crate::tally::{Problem, Tally};

/// The folder in a snapshot that has the volumes.
const VOLUMES: &str = "/volumes";
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
            folders: Vec::new(),
            backend: Arc::clone(&self.backend),
            tally: Arc::clone(&self.tally),
        }
    }
}

/// A folder whose entries are being read.
#[derive(Debug)]
struct Folder {
    fd: Arc<OwnedFd>,
    path: PathBuf,
    /// The names that are left, in the order of their bytes.
    names: std::vec::IntoIter<OsString>,
}

/// Goes through the files of a volume.
#[derive(Debug)]
pub(crate) struct Walk {
    first: Option<ReadSourceEntry<OpenFile>>,
    root: Option<Arc<OwnedFd>>,
    path: PathBuf,
    /// The folders from the root to the current one.
    folders: Vec<Folder>,
    backend: Arc<Backend>,
    tally: Arc<Tally>,
}

impl Walk {
    /// Begins with the entries of a folder.
    fn enter(&mut self, fd: Arc<OwnedFd>, path: PathBuf) {
        match names(&fd) {
            Ok(names) => self.folders.push(Folder {
                fd,
                path,
                names: names.into_iter(),
            }),
            Err(err) => self.tally.problem(&path, &Problem::of(&err)),
        }
    }

    /// Returns an entry for the root of the volume, and begins with it.
    fn root(&mut self, root: Arc<OwnedFd>) -> Option<ReadSourceEntry<OpenFile>> {
        let path = self.path.clone();
        let name = path.file_name().unwrap_or_default().to_owned();
        let found = match rustix::fs::fstat(&root) {
            Ok(found) => found,
            Err(err) => {
                self.tally.problem(&path, &Problem::of(&err.into()));
                return None;
            }
        };
        // A link in /proc would not be followed, but its `.` is the folder.
        let own = format!("/proc/self/fd/{}/.", root.as_raw_fd());
        let attributes = attributes(Path::new(&own));
        let node = self.node(&name, &path, &found, NodeType::Dir, attributes);
        self.enter(root, path.clone());
        let open = None;
        Some(ReadSourceEntry { path, node, open })
    }

    /// Returns an entry for a name in a folder, and begins with it if it is a folder. `None` if it cannot be read.
    fn entry(
        &mut self,
        folder: &Arc<OwnedFd>,
        path: &Path,
        name: &OsStr,
    ) -> Option<ReadSourceEntry<OpenFile>> {
        match self.read(folder, path, name) {
            Ok(entry) => Some(entry),
            Err(err) => {
                self.tally.problem(path, &Problem::of(&err));
                None
            }
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
        let node_type = match kind {
            FileType::Directory => {
                inner = Some(openat(folder, name, folder_flags(), Mode::empty())?);
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
        if let Some(inner) = inner {
            self.enter(Arc::new(inner), path.to_owned());
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
        let mut meta = Metadata {
            mode: Some(mode::to_go(found.st_mode)),
            mtime,
            // Each backup changes the time of access, and would so change the tree.
            atime: mtime,
            ctime: timestamp(found.st_ctime, found.st_ctime_nsec),
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
                unkept.map(|name| format!("the name of attribute {} is not UTF-8", name.display()))
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
            return self.root(root).map(Ok);
        }
        loop {
            // The library goes on after the store failed; nothing more is read then.
            if self.backend.failure().is_some() {
                return None;
            }
            let folder = self.folders.last_mut()?;
            let Some(name) = folder.names.next() else {
                self.folders.pop();
                continue;
            };
            let (fd, path) = (Arc::clone(&folder.fd), folder.path.join(&name));
            if let Some(entry) = self.entry(&fd, &path, &name) {
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

fn size(found: &Stat) -> u64 {
    u64::try_from(found.st_size).unwrap_or_default()
}

fn timestamp(seconds: i64, nanoseconds: u64) -> Option<Timestamp> {
    let nanoseconds = i32::try_from(nanoseconds).ok()?;
    Timestamp::new(seconds, nanoseconds).ok()
}
