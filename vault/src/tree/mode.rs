//! File types and permissions as restic stores them: in the bits of Go's `os.FileMode`
//! (<https://pkg.go.dev/io/fs#FileMode>), which are not those of `st_mode`.

use rustix::fs::FileType;

const PERMISSIONS: u32 = 0o777;
const DIR: u32 = 1 << 31;
const SYMLINK: u32 = 1 << 27;
const DEVICE: u32 = 1 << 26;
const FIFO: u32 = 1 << 25;
const SOCKET: u32 = 1 << 24;
const SETUID: u32 = 1 << 23;
const SETGID: u32 = 1 << 22;
const CHAR_DEVICE: u32 = 1 << 21;
const STICKY: u32 = 1 << 20;

/// The bits above the permissions, in `st_mode` and in Go.
const SPECIAL: [(u32, u32); 3] = [(0o4000, SETUID), (0o2000, SETGID), (0o1000, STICKY)];

/// Returns the Go bits of an `st_mode`.
pub(crate) fn to_go(st_mode: u32) -> u32 {
    let kind = match FileType::from_raw_mode(st_mode) {
        FileType::Directory => DIR,
        FileType::Symlink => SYMLINK,
        FileType::BlockDevice => DEVICE,
        FileType::CharacterDevice => DEVICE | CHAR_DEVICE,
        FileType::Fifo => FIFO,
        FileType::Socket => SOCKET,
        FileType::RegularFile | FileType::Unknown => 0,
    };
    let special = SPECIAL.iter().filter(|(unix, _)| st_mode & unix != 0);
    special.fold(kind | (st_mode & PERMISSIONS), |all, (_, go)| all | go)
}

/// Returns the permissions, with setuid, setgid and sticky, of Go bits.
pub(crate) fn permissions(go: u32) -> u32 {
    let special = SPECIAL.iter().filter(|(_, bit)| go & bit != 0);
    special.fold(go & PERMISSIONS, |all, (unix, _)| all | unix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_go() {
        // As printed by a Go program: fmt.Printf("%#o", info.Mode()).
        for (unix, go) in [
            (0o100_644, 0o644),
            (0o040_755, 0o20_000_000_755),
            (0o041_777, 0o20_004_000_777),
            (0o104_755, 0o40_000_755),
            (0o120_777, 0o1_000_000_777),
            (0o020_620, 0o410_000_620),
            (0o060_660, 0o400_000_660),
        ] {
            assert_eq!(to_go(unix), go, "{unix:o}");
            assert_eq!(permissions(go), unix & 0o7777, "{unix:o}");
        }
    }
}
