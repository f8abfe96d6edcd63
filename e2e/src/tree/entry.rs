//! What there is to know of one entry of a tree.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::fs::{self, Metadata};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::fs::{lgetxattr, llistxattr};

/// The most that the kernel keeps in the value of an attribute and in the list of their names, in
/// bytes (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const LONGEST: usize = 65_536;

/// What an entry is, in the word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    File,
    Folder,
    Symlink,
    Fifo,
    Socket,
    CharacterDevice,
    BlockDevice,
}

impl Sort {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Folder => "a folder",
            Self::Symlink => "a symlink",
            Self::Fifo => "a FIFO",
            Self::Socket => "a socket",
            Self::CharacterDevice => "a character device",
            Self::BlockDevice => "a block device",
        }
    }

    fn of(metadata: &Metadata) -> Self {
        let sort = metadata.file_type();
        if sort.is_dir() {
            Self::Folder
        } else if sort.is_symlink() {
            Self::Symlink
        } else if sort.is_fifo() {
            Self::Fifo
        } else if sort.is_socket() {
            Self::Socket
        } else if sort.is_char_device() {
            Self::CharacterDevice
        } else if sort.is_block_device() {
            Self::BlockDevice
        } else {
            Self::File
        }
    }
}

/// An entry; its content is still in the file.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) sort: Sort,
    /// With setuid, setgid and the sticky bit, without the sort.
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    /// Seconds and nanoseconds.
    pub(super) modified: (i64, i64),
    pub(super) size: u64,
    /// The bytes it takes on disk.
    pub(super) allocated: u64,
    /// The number of the device that it stands for.
    pub(super) device: u64,
    /// Where a symlink leads to.
    pub(super) target: Option<PathBuf>,
    pub(super) xattrs: BTreeMap<OsString, Vec<u8>>,
    /// The first of the paths that are this very file; `None` when it has one name only.
    pub(super) same_as: Option<PathBuf>,
}

/// The entries of a tree by their paths in it, the root as `.`.
pub(super) type Entries = BTreeMap<PathBuf, Entry>;

/// Looks at everything in a tree.
pub(super) fn entries(root: &Path) -> Result<Entries> {
    let mut found = Entries::new();
    let mut inodes: BTreeMap<(u64, u64), Vec<PathBuf>> = BTreeMap::new();
    let mut open = vec![PathBuf::from(".")];
    while let Some(name) = open.pop() {
        let path = root.join(&name);
        let metadata =
            fs::symlink_metadata(&path).with_context(|| format!("could not look at {path:?}"))?;
        let entry = entry(path, &metadata)?;
        if entry.sort == Sort::Folder {
            for inner in fs::read_dir(&entry.path)? {
                let inner = inner?.file_name();
                open.push(match name.as_os_str().as_bytes() {
                    b"." => inner.into(),
                    _ => name.join(inner),
                });
            }
        } else {
            let inode = (metadata.dev(), metadata.ino());
            inodes.entry(inode).or_default().push(name.clone());
        }
        found.insert(name, entry);
    }
    for mut names in inodes.into_values().filter(|names| names.len() > 1) {
        names.sort();
        for name in &names {
            if let Some(entry) = found.get_mut(name) {
                entry.same_as = names.first().cloned();
            }
        }
    }
    Ok(found)
}

fn entry(path: PathBuf, metadata: &Metadata) -> Result<Entry> {
    let sort = Sort::of(metadata);
    let target = match sort {
        Sort::Symlink => Some(fs::read_link(&path)?),
        _ => None,
    };
    Ok(Entry {
        sort,
        mode: metadata.mode() & 0o7777,
        owner: (metadata.uid(), metadata.gid()),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        size: metadata.size(),
        // The unit of `st_blocks`, whatever the file system's own is.
        allocated: metadata.blocks() * 512,
        device: metadata.rdev(),
        target,
        xattrs: xattrs(&path).with_context(|| format!("attributes of {path:?}"))?,
        same_as: None,
        path,
    })
}

fn xattrs(path: &Path) -> Result<BTreeMap<OsString, Vec<u8>>> {
    let mut names = vec![0; LONGEST];
    let length = llistxattr(path, names.as_mut_slice())?;
    names.truncate(length);
    let mut all = BTreeMap::new();
    for name in names.split(|byte| *byte == 0).filter(|n| !n.is_empty()) {
        let mut value = vec![0; LONGEST];
        let length = lgetxattr(path, CString::new(name)?, value.as_mut_slice())?;
        value.truncate(length);
        all.insert(OsString::from_vec(name.to_vec()), value);
    }
    Ok(all)
}
