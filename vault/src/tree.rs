//! Files and folders of a volume: how they are read, and how they are written.

pub(crate) mod mode;
pub(crate) mod source;
pub(crate) mod target;
pub(crate) mod trail;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{Dir, OFlags};

/// Returns how a folder is opened to be read: itself, and no link to one.
pub(crate) fn folder_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

/// Returns the names in a folder, in the order of their bytes.
pub(crate) fn names(folder: &OwnedFd) -> io::Result<Vec<OsString>> {
    let mut all = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            all.push(OsStr::from_bytes(name).to_owned());
        }
    }
    all.sort_unstable();
    Ok(all)
}
