//! What the standard library cannot do to an entry of a tree; nothing here follows a symlink.

use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, Mode, Timespec, Timestamps, XattrFlags, fallocate,
    lsetxattr, makedev, mknodat, utimensat,
};

/// `cap_net_raw=ep`, as `ping` has it: `struct vfs_cap_data`, revision 2, of `linux/capability.h`.
pub(super) const NET_RAW: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// Makes a FIFO, a socket or a device, which anybody may use.
pub(super) fn make(path: &Path, sort: FileType, device: (u32, u32)) -> Result<()> {
    let device = makedev(device.0, device.1);
    mknodat(CWD, path, sort, Mode::from_raw_mode(0o666), device)
        .with_context(|| format!("could not make {path:?}"))
}

/// Gives it to a user and a group. This takes setuid, setgid and capabilities away.
pub(super) fn set_owner(path: &Path, uid: u32, gid: u32) -> Result<()> {
    lchown(path, Some(uid), Some(gid)).with_context(|| format!("could not give away {path:?}"))
}

/// Sets the permissions of what is no symlink.
pub(super) fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .with_context(|| format!("could not set the mode of {path:?}"))
}

/// Sets the time of the last modification, in seconds and nanoseconds.
pub(super) fn set_time(path: &Path, time: (i64, i64)) -> Result<()> {
    let time = Timespec {
        tv_sec: time.0,
        tv_nsec: time.1,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .with_context(|| format!("could not set the time of {path:?}"))
}

/// Sets an extended attribute.
pub(super) fn set_attribute(path: &Path, name: &[u8], value: &[u8]) -> Result<()> {
    lsetxattr(path, CString::new(name)?, value, XattrFlags::empty())
        .with_context(|| format!("could not set {} of {path:?}", name.escape_ascii()))
}

/// Gives a file this size, with blocks and no data.
pub(super) fn allocate(file: &File, length: u64) -> Result<()> {
    fallocate(file, FallocateFlags::empty(), 0, length).context("could not allocate blocks")
}

/// Gives a POSIX access list in the form of the kernel (`linux/posix_acl_xattr.h`):
/// `u::rw-,u:1000:rwx,g::r--,g:2000:r-x,m::rwx,o::---`.
pub(super) fn access_list() -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let entries: [(u16, u16, u32); 6] = [
        (0x01, 6, NOBODY),
        (0x02, 7, 1000),
        (0x04, 4, NOBODY),
        (0x08, 5, 2000),
        (0x10, 7, NOBODY),
        (0x20, 0, NOBODY),
    ];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}
