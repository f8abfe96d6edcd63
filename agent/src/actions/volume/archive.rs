//! The tar archives in which an engine shows the top folder of a volume, and sets its owner and permissions.
//!
//! The archive is that of the whole file system of a helper container, in the order of names. So it begins with the
//! root folder, which belongs to the container's root. With `userns-remap` an engine shows the IDs of the host (20.10
//! to 29), and that folder tells where those of containers begin. In the other direction the engine maps them itself.

use dockfleet_planner::kinds::volume::TopFolder;

/// The folder of a helper container where the volume is. Only few names come before it in the archive.
pub(super) const FOLDER: &str = "data";

/// Size of a block.
const BLOCK: usize = 512;
/// The largest number that seven octal digits can have.
const MAX_OCTAL: u32 = 0o7_777_777;
/// What containers see instead of an ID that is not theirs (Linux, `overflowuid`).
const NOBODY: u32 = 65_534;
/// The bits of a mode that are permissions.
const PERMISSIONS: u64 = 0o7777;

/// What an archive says about the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) folder: TopFolder,
    /// When the folder was last modified, in seconds.
    pub(super) modified: u64,
}

/// How far the beginning of an archive says anything about the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// More of the archive is needed.
    Unfinished,
    /// The folder is in it.
    Found(Found),
    /// It ends without the folder, or is not an archive.
    Absent,
}

/// One entry of an archive.
struct Header {
    name: String,
    uid: u64,
    gid: u64,
    mode: u64,
    size: u64,
    modified: u64,
    kind: u8,
}

/// Numbers that are too large for a header and come before it.
#[derive(Default)]
struct Extended {
    uid: Option<u64>,
    gid: Option<u64>,
}

/// Reads the beginning of an archive.
pub(super) fn read(bytes: &[u8]) -> Reading {
    let mut root: Option<Header> = None;
    let mut folder: Option<Header> = None;
    let mut extended = Extended::default();
    let mut rest = bytes;
    loop {
        let Some((block, after)) = rest.split_at_checked(BLOCK) else {
            return Reading::Unfinished;
        };
        if block.iter().all(|byte| *byte == 0) {
            return found(root.as_ref(), folder.as_ref(), false);
        }
        let Some(mut header) = Header::read(block) else {
            return Reading::Absent;
        };
        let Some(size) = usize::try_from(header.size).ok().and_then(padded) else {
            return Reading::Absent;
        };
        match header.kind {
            // What POSIX calls an extended header.
            b'x' => match after.get(..size) {
                Some(body) => extended = Extended::read(body),
                None => return Reading::Unfinished,
            },
            // A header for all entries, and long names of GNU's tar.
            b'g' | b'K' | b'L' => {}
            _ => {
                let extended = std::mem::take(&mut extended);
                header.uid = extended.uid.unwrap_or(header.uid);
                header.gid = extended.gid.unwrap_or(header.gid);
                let name = header.name.trim_start_matches('/');
                if folder.is_some() {
                    // Go leaves out what is not ASCII, which may be the whole name of a file.
                    let inside = name
                        .strip_prefix(FOLDER)
                        .is_some_and(|n| n.starts_with('/'));
                    return found(root.as_ref(), folder.as_ref(), inside);
                }
                match name.trim_end_matches('/') {
                    "" | "." => root = Some(header),
                    FOLDER => folder = Some(header),
                    _ => {}
                }
            }
        }
        rest = after.get(size..).unwrap_or_default();
    }
}

fn found(root: Option<&Header>, folder: Option<&Header>, has_files: bool) -> Reading {
    let (Some(root), Some(folder)) = (root, folder) else {
        return Reading::Absent;
    };
    let seen = |id: u64, first: u64| {
        let id = id.checked_sub(first).and_then(|id| u32::try_from(id).ok());
        id.unwrap_or(NOBODY)
    };
    Reading::Found(Found {
        folder: TopFolder {
            uid: seen(folder.uid, root.uid),
            gid: seen(folder.gid, root.gid),
            mode: u32::try_from(folder.mode & PERMISSIONS).unwrap_or_default(),
            has_files,
        },
        modified: folder.modified,
    })
}

/// Returns a size with what fills its last block.
fn padded(size: usize) -> Option<usize> {
    size.checked_next_multiple_of(BLOCK)
}

impl Header {
    fn read(block: &[u8]) -> Option<Self> {
        let name = block.get(..100)?.split(|byte| *byte == 0).next()?;
        Some(Self {
            name: String::from_utf8_lossy(name).into_owned(),
            mode: number(block.get(100..108)?)?,
            uid: number(block.get(108..116)?)?,
            gid: number(block.get(116..124)?)?,
            size: number(block.get(124..136)?)?,
            modified: number(block.get(136..148)?)?,
            kind: *block.get(156)?,
        })
    }
}

impl Extended {
    /// Reads records of the form `LENGTH KEY=VALUE\n`.
    fn read(body: &[u8]) -> Self {
        let mut all = Self::default();
        for record in String::from_utf8_lossy(body).lines() {
            let pair = record
                .split_once(' ')
                .and_then(|(_, pair)| pair.split_once('='));
            match pair {
                Some(("uid", value)) => all.uid = value.parse().ok(),
                Some(("gid", value)) => all.gid = value.parse().ok(),
                Some(_) | None => {}
            }
        }
        all
    }
}

/// Reads a number: octal digits, or, if it is too large for them, the bytes of the number after a marked first one.
fn number(field: &[u8]) -> Option<u64> {
    if let Some((first, rest)) = field.split_first()
        && first & 0x80 != 0
    {
        let bytes = std::iter::once(first & 0x7f).chain(rest.iter().copied());
        return bytes.into_iter().try_fold(0_u64, |sum, byte| {
            Some(sum.checked_mul(256)? | u64::from(byte))
        });
    }
    let text = std::str::from_utf8(field).ok()?;
    let digits = text.trim_matches(|c| c == ' ' || c == '\0');
    if digits.is_empty() {
        return Some(0);
    }
    u64::from_str_radix(digits, 8).ok()
}

/// Returns an archive that gives the folder this owner and these permissions, and leaves its time as it was.
pub(super) fn write(found: &Found) -> Vec<u8> {
    let Found { folder, modified } = found;
    let mut header = vec![0_u8; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| {
        for (slot, byte) in header.iter_mut().skip(at).zip(bytes) {
            *slot = *byte;
        }
    };
    put(0, format!("{FOLDER}/").as_bytes());
    put(100, &field(folder.mode));
    put(108, &field(folder.uid));
    put(116, &field(folder.gid));
    put(124, format!("{:011o}", 0).as_bytes());
    put(136, format!("{modified:011o}").as_bytes());
    put(148, b"        ");
    put(156, b"5");
    put(257, b"ustar  ");
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    let sum = format!("{sum:06o}\0");
    for (slot, byte) in header.iter_mut().skip(148).zip(sum.bytes()) {
        *slot = byte;
    }
    header.resize(3 * BLOCK, 0);
    header
}

fn field(number: u32) -> Vec<u8> {
    if number <= MAX_OCTAL {
        return format!("{number:07o}\0").into_bytes();
    }
    let mut bytes = vec![0x80, 0, 0, 0];
    bytes.extend(number.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests;
