//! Writes files of a snapshot into a folder.
//!
//! The library can do that too, but it reads with twenty threads and keeps what they read: a gigabyte of memory for
//! a volume of a gigabyte. Here a few threads write one file each.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rustic_core::repofile::{BlobType, Metadata, Node, NodeType};
use rustic_core::{BlobId, DataId, IndexedFullStatus, Repository};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, chmodat,
    chownat, fstat, linkat, mkdirat, mknodat, openat, openat2, symlinkat, utimensat,
};
use rustix::io::Errno;

use super::trail::Trail;
use super::{folder_flags, mode};
use crate::backend::Backend;
use crate::error::VaultError;
use crate::tally::{Problem, Tally};

/// Threads that write files. More would need more memory, and a disk would not be faster.
const WRITERS: usize = 2;
/// Files that wait for a thread.
const WAITING: usize = 64;
/// Nanoseconds in a second.
const NANOSECONDS: i64 = 1_000_000_000;
/// Zeros of this length become a hole: the block size of common file systems, in bytes.
const HOLE: usize = 4096;

/// The longest path that the kernel is given, in bytes: it takes 4096 with the end.
const PART: usize = 4000;
/// What is said of a folder that is gone.
const MOVED: &str = "it was moved while it was written";

/// A file on its way to a thread.
struct FileJob {
    folder: Arc<OwnedFd>,
    path: PathBuf,
    node: Node,
}

/// The first name of a file, and its content.
type FirstName = (PathBuf, Option<Vec<DataId>>);

/// The folder that a snapshot is written into.
pub(crate) struct Target<'a> {
    repository: &'a Repository<IndexedFullStatus>,
    backend: &'a Backend,
    root: Arc<OwnedFd>,
    tally: &'a Tally,
    /// The first name of each file that has several, with its content, by device and inode.
    links: Mutex<BTreeMap<(u64, u64), FirstName>>,
}

impl std::fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl<'a> Target<'a> {
    pub(crate) fn new(
        repository: &'a Repository<IndexedFullStatus>,
        backend: &'a Backend,
        root: Arc<OwnedFd>,
        tally: &'a Tally,
    ) -> Self {
        Self {
            repository,
            backend,
            root,
            tally,
            links: Mutex::default(),
        }
    }

    /// Writes the entries of a folder of a snapshot into the target, with all below them.
    ///
    /// # Errors
    /// If the store fails. What cannot be written is counted.
    pub(crate) fn write(&self, node: &Node) -> Result<(), VaultError> {
        let left = std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(WAITING);
            let receiver = Arc::new(Mutex::new(receiver));
            for _ in 0..WRITERS {
                let receiver = Arc::clone(&receiver);
                scope.spawn(move || self.write_files(&receiver));
            }
            self.write_all(node, &sender)
        });
        if let Some(err) = self.backend.failure() {
            return Err(err.clone().into());
        }
        self.finish(left);
        Ok(())
    }

    /// Writes everything in a folder of a snapshot. Returns what is left to do when all files are written.
    fn write_all(&self, node: &Node, files: &SyncSender<FileJob>) -> Vec<Left> {
        let mut trail = Trail::new(Arc::clone(&self.root));
        let mut path = PathBuf::new();
        let mut folders = vec![self.entries(&path, node).into_iter()];
        let mut left = Vec::new();
        while let Some(nodes) = folders.last_mut() {
            if self.backend.failure().is_some() || self.tally.is_disk_full() {
                break;
            }
            let Some(node) = nodes.next() else {
                folders.pop();
                if trail.leave().is_some() {
                    path.pop();
                }
                continue;
            };
            let Some(folder) = trail.current().map(Arc::clone) else {
                self.failed(&path, MOVED);
                *nodes = Vec::new().into_iter();
                continue;
            };
            let name = node.name().into_owned();
            path.push(&name);
            let (depth, is_folder) = (trail.depth(), matches!(node.node_type, NodeType::Dir));
            let place = Place {
                folder,
                path: &path,
                name: &name,
                depth,
            };
            match self.entry(&place, &node, files, &mut left) {
                Ok(Some(inner)) => match trail.enter(&name, inner) {
                    Ok(()) => folders.push(self.entries(&path, &node).into_iter()),
                    Err(err) => self.io_failed(&path, &err),
                },
                Ok(None) => {}
                Err(err) => self.io_failed(&path, &err),
            }
            if !is_folder || trail.depth() == depth {
                path.pop();
            }
        }
        left
    }

    /// Returns the entries of a folder of a snapshot.
    fn entries(&self, path: &Path, node: &Node) -> Vec<Node> {
        let Some(id) = node.subtree else {
            self.failed(path, "the snapshot has no entries of this folder");
            return Vec::new();
        };
        match self.repository.get_tree(&id) {
            Ok(tree) => tree.nodes,
            Err(err) => {
                self.failed(path, &err.display_log());
                Vec::new()
            }
        }
    }

    /// Writes an entry, or gives it to a thread. Returns a folder that was created.
    fn entry(
        &self,
        place: &Place<'_>,
        node: &Node,
        files: &SyncSender<FileJob>,
        left: &mut Vec<Left>,
    ) -> io::Result<Option<OwnedFd>> {
        let (folder, name) = (&place.folder, place.name);
        if !is_one_name(name) {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "not the name of a file",
            ));
        }
        let later = |what| Left {
            depth: place.depth,
            name: name.to_owned(),
            what,
        };
        if self.is_another_name(place.path, node) {
            left.push(later(What::Link(node.meta.device_id, node.meta.inode)));
            return Ok(None);
        }
        match &node.node_type {
            NodeType::Dir => {
                mkdirat(folder, name, Mode::RWXU)?;
                let inner = openat(folder, name, folder_flags(), Mode::empty())?;
                self.tally.found(true, 0);
                left.push(later(What::Folder(Box::new(node.meta.clone()))));
                return Ok(Some(inner));
            }
            NodeType::File => {
                let job = FileJob {
                    folder: Arc::clone(folder),
                    path: place.path.to_owned(),
                    node: node.clone(),
                };
                files.send(job).map_err(io::Error::other)?;
                return Ok(None);
            }
            NodeType::Symlink { .. } => symlinkat(node.node_type.to_link(), folder, name)?,
            NodeType::Dev { device } => special(folder, name, FileType::BlockDevice, *device)?,
            NodeType::Chardev { device } => {
                special(folder, name, FileType::CharacterDevice, *device)?;
            }
            NodeType::Fifo => special(folder, name, FileType::Fifo, 0)?,
            NodeType::Socket => special(folder, name, FileType::Socket, 0)?,
        }
        let is_link = matches!(node.node_type, NodeType::Symlink { .. });
        self.tally.found(false, 0);
        set_metadata(folder, name, &node.meta, is_link)?;
        Ok(None)
    }

    /// Whether it is a further name of a file that has one already. An inode may have been used again during the
    /// backup: then the content is another one.
    fn is_another_name(&self, path: &Path, node: &Node) -> bool {
        let meta = &node.meta;
        if meta.links < 2 {
            return false;
        }
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (meta.device_id, meta.inode);
        if let Some((_, content)) = links.get(&key) {
            return *content == node.content;
        }
        links.insert(key, (path.to_owned(), node.content.clone()));
        false
    }

    /// Gives files their further names, and folders their metadata. All files are written by now.
    ///
    /// A folder's times change with each name in it, so it comes after all that is in it.
    fn finish(&self, left: Vec<Left>) {
        let mut trail = Trail::new(Arc::clone(&self.root));
        let mut path = PathBuf::new();
        let mut entered: Vec<Box<Metadata>> = Vec::new();
        // Below a folder that cannot be opened, nothing is reached.
        let mut unreached = usize::MAX;
        for Left { depth, name, what } in left {
            if depth > unreached {
                continue;
            }
            unreached = usize::MAX;
            while trail.depth() > depth {
                self.leave(&mut trail, &mut path, entered.pop());
            }
            path.push(&name);
            let done = match (trail.current(), what) {
                (None, _) => Err(io::Error::other(MOVED)),
                (Some(folder), What::Link(device, inode)) => {
                    self.link(folder, &name, (device, inode))
                }
                (Some(folder), What::Folder(meta)) => {
                    let inner = openat(folder, &name, folder_flags(), Mode::empty());
                    let inner = inner.map_err(io::Error::from);
                    match inner.and_then(|inner| trail.enter(&name, inner)) {
                        Ok(()) => {
                            entered.push(meta);
                            continue;
                        }
                        Err(err) => {
                            unreached = depth;
                            Err(err)
                        }
                    }
                }
            };
            if let Err(err) = done {
                self.io_failed(&path, &err);
            }
            path.pop();
        }
        while trail.depth() > 0 {
            self.leave(&mut trail, &mut path, entered.pop());
        }
    }

    /// Leaves a folder that is complete, and gives it its metadata.
    fn leave(&self, trail: &mut Trail, path: &mut PathBuf, meta: Option<Box<Metadata>>) {
        if let (Some(name), Some(meta)) = (trail.leave(), meta) {
            let done = match trail.current() {
                Some(folder) => set_metadata(folder, &name, &meta, false),
                None => Err(io::Error::other(MOVED)),
            };
            if let Err(err) = done {
                self.io_failed(path, &err);
            }
        }
        path.pop();
    }

    /// Gives a file a further name.
    fn link(&self, folder: &OwnedFd, name: &OsStr, file: (u64, u64)) -> io::Result<()> {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((first, _)) = links.get(&file) else {
            return Ok(());
        };
        let first_name = first.file_name().unwrap_or_default();
        let from = self.parent_of(first)?;
        linkat(&from, first_name, folder, name, AtFlags::empty())?;
        self.tally.found(false, 0);
        Ok(())
    }

    /// Opens the folder that a path is in, which was written before. No link that appeared meanwhile is followed.
    fn parent_of(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let mut at = openat(&self.root, ".", flags, Mode::empty())?;
        for part in parts(path.parent().unwrap_or_else(|| Path::new(""))) {
            at = match openat2(&at, &part, flags, Mode::empty(), resolve) {
                // Linux before 5.6.
                Err(Errno::NOSYS) => openat(&at, &part, flags, Mode::empty())?,
                other => other?,
            };
        }
        Ok(at)
    }

    /// Writes files until there are no more.
    fn write_files(&self, files: &Mutex<Receiver<FileJob>>) {
        loop {
            let next = files.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = next else {
                return;
            };
            if self.backend.failure().is_some() || self.tally.is_disk_full() {
                continue;
            }
            let name = job.path.file_name().map(OsString::from).unwrap_or_default();
            let written = self.content(&job, &name);
            let written =
                written.and_then(|()| set_metadata(&job.folder, &name, &job.node.meta, false));
            match written {
                Ok(()) => self.tally.found(false, job.node.meta.size),
                Err(err) => self.io_failed(&job.path, &err),
            }
        }
    }

    /// Writes the content of a file.
    fn content(&self, job: &FileJob, name: &OsStr) -> io::Result<()> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&job.folder, name, flags, Mode::RUSR | Mode::WUSR)?;
        let mut file = File::from(file);
        let mut length = 0;
        for id in job.node.content.iter().flatten() {
            let blob = self
                .repository
                .get_blob_cached(&BlobId::from(*id), BlobType::Data);
            let blob = blob.map_err(|err| io::Error::other(err.display_log()))?;
            if !id.blob_matches_reader(blob.len() as u64, &mut blob.as_ref()) {
                return Err(io::Error::other(
                    "what was read back is not what was stored",
                ));
            }
            write_sparse(&mut file, &blob)?;
            length += blob.len() as u64;
            self.tally.read(blob.len() as u64);
        }
        // A hole at the end is not yet part of the file.
        file.set_len(length)
    }

    fn io_failed(&self, path: &Path, err: &io::Error) {
        let is_full = matches!(
            err.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded
        );
        if is_full {
            self.tally.disk_full();
        }
        self.failed(path, &err.to_string());
    }

    fn failed(&self, path: &Path, why: &str) {
        self.tally.problem(path, &Problem::Failed(why.to_owned()));
    }
}

/// Where an entry is written.
struct Place<'a> {
    folder: Arc<OwnedFd>,
    path: &'a Path,
    name: &'a OsStr,
    /// Folders above it, without the root.
    depth: usize,
}

/// What is left to do after all files are written. A list of it is in the order of the snapshot.
struct Left {
    depth: usize,
    name: OsString,
    what: What,
}

enum What {
    /// The metadata of a folder.
    Folder(Box<Metadata>),
    /// A further name of the file with this device and inode.
    Link(u64, u64),
}

/// Cuts a path into parts that the kernel takes.
fn parts(path: &Path) -> Vec<PathBuf> {
    let mut parts = Vec::new();
    let mut part = PathBuf::new();
    for name in path {
        if !part.as_os_str().is_empty() && part.as_os_str().len() + name.len() >= PART {
            parts.push(std::mem::take(&mut part));
        }
        part.push(name);
    }
    if !part.as_os_str().is_empty() {
        parts.push(part);
    }
    parts
}

/// A damaged or forged snapshot must not write elsewhere.
fn is_one_name(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    !matches!(bytes, b"" | b"." | b"..") && !bytes.contains(&b'/')
}

/// Writes bytes, and leaves holes where they are zero for long enough.
fn write_sparse(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let zeros = rest.iter().take_while(|b| **b == 0).count();
        if zeros >= HOLE || zeros == rest.len() {
            let skipped = i64::try_from(zeros).map_err(io::Error::other)?;
            file.seek(SeekFrom::Current(skipped))?;
            rest = rest.get(zeros..).unwrap_or_default();
            continue;
        }
        let block = [0; HOLE];
        let next_hole = rest.chunks(HOLE).position(|chunk| chunk == block);
        let end = next_hole
            .filter(|n| *n > 0)
            .map_or(rest.len(), |n| n * HOLE);
        let (data, left) = rest.split_at(end);
        file.write_all(data)?;
        rest = left;
    }
    Ok(())
}

fn special(folder: &OwnedFd, name: &OsStr, kind: FileType, device: u64) -> io::Result<()> {
    Ok(mknodat(
        folder,
        name,
        kind,
        Mode::RUSR | Mode::WUSR,
        device,
    )?)
}

/// Sets owner, attributes, permissions and times, in this order: a change of the owner removes setuid and capabilities,
/// and an access list changes permissions. What takes the place of the file meanwhile is not followed to elsewhere.
pub(crate) fn set_metadata(
    folder: &OwnedFd,
    name: &OsStr,
    meta: &Metadata,
    is_link: bool,
) -> io::Result<()> {
    let (uid, gid) = (meta.uid.map(Uid::from_raw), meta.gid.map(Gid::from_raw));
    let mtime = meta.mtime.unwrap_or(Timestamp::UNIX_EPOCH);
    let times = Timestamps {
        last_access: timespec(meta.atime.unwrap_or(mtime)),
        last_modification: timespec(mtime),
    };
    if is_link {
        chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        return Ok(utimensat(folder, name, &times, AtFlags::SYMLINK_NOFOLLOW)?);
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let own = openat(folder, name, flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&own)?.st_mode) == FileType::Symlink {
        return Err(io::Error::other("a link has taken the place of it"));
    }
    chownat(&own, "", uid, gid, AtFlags::EMPTY_PATH)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", own.as_raw_fd()));
    let mut failed = None;
    for attribute in &meta.extended_attributes {
        let value = attribute.value.as_deref().unwrap_or_default();
        // A file system that cannot keep it keeps the rest, and says so in words that mean a full disk elsewhere.
        if let Err(err) = xattr::set_deref(&path, &attribute.name, value) {
            let name = attribute.name.escape_debug();
            failed.get_or_insert_with(|| io::Error::other(format!("attribute {name}: {err}")));
        }
    }
    if let Some(go) = meta.mode {
        let mode = Mode::from_raw_mode(mode::permissions(go));
        chmodat(CWD, &path, mode, AtFlags::empty())?;
    }
    utimensat(CWD, &path, &times, AtFlags::empty())?;
    failed.map_or(Ok(()), Err)
}

/// Returns a time as the kernel has it: also before 1970, the nanoseconds are after the second.
fn timespec(time: Timestamp) -> Timespec {
    let nanoseconds = i64::from(time.subsec_nanosecond());
    let is_before = nanoseconds < 0;
    Timespec {
        tv_sec: time.as_second() - i64::from(is_before),
        tv_nsec: if is_before {
            nanoseconds + NANOSECONDS
        } else {
            nanoseconds
        },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn zeros_become_holes_and_the_content_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut content = vec![0; 1 << 20];
        content[300_000] = 1;
        content[700_001..710_000].fill(2);
        let mut file = File::create(&path).unwrap();
        for part in content.chunks(123_457) {
            write_sparse(&mut file, part).unwrap();
        }
        file.set_len(content.len() as u64).unwrap();
        assert!(std::fs::read(&path).unwrap() == content);
        let allocated = std::fs::metadata(&path).unwrap().blocks() * 512;
        assert!(allocated < 200_000, "{allocated}");
    }

    #[test]
    fn times_before_1970_are_as_the_kernel_has_them() {
        let time = timespec(Timestamp::new(-1, 999_999_999).unwrap());
        assert_eq!((time.tv_sec, time.tv_nsec), (-1, 999_999_999));
        let time = timespec(Timestamp::new(-2, 0).unwrap());
        assert_eq!((time.tv_sec, time.tv_nsec), (-2, 0));
    }

    #[test]
    fn only_single_names_are_written() {
        for name in ["", ".", "..", "a/b", "/etc"] {
            assert!(!is_one_name(OsStr::new(name)), "{name}");
        }
        assert!(is_one_name(OsStr::new("...")));
    }
}
