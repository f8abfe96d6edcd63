//! Makes a tree: what is in it, folder by folder.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::fs::FileType;

use super::node;
use super::random::Random;

/// Small files in one folder.
const IN_A_FOLDER: u32 = 100;
/// Small files are smaller, in bytes.
const SMALL: u64 = 4096;
/// The size of a sparse file: long enough to tell whether its holes are kept, and read in a moment.
const SPARSE: u64 = 4 << 20;
/// Names of files that a shell, a terminal, a text file or JSON makes something else of.
const NAMES: &[&[u8]] = &[
    b" leading space",
    b"trailing space ",
    b"new\nline",
    b"carriage\rreturn",
    b"tab\tand \x1b[31mescape\x7f",
    b"-dash",
    b"--option=value",
    b"quotes ' \" `",
    b"$(command) ${variable} %s %2F",
    b"back\\slash",
    b"glob*?[a-z]{1,2}",
    b"~",
    b"#comment",
    b"!exclamation",
    b"colon:and;semicolon",
    b".hidden",
    b"...",
    b"Case",
    b"case",
    // One letter, composed and decomposed.
    "\u{e9}".as_bytes(),
    "e\u{301}".as_bytes(),
    "鯨 🐳".as_bytes(),
    b"not UTF-8 \xff\xfe\x80",
    b"Latin-1 \xe9",
];
/// Owners: of a user, of a container with remapped users, the last one there is.
const OWNERS: &[(u32, u32)] = &[
    (1000, 1000),
    (0, 100),
    (65_534, 65_534),
    (100_000, 165_535),
    (4_294_967_294, 4_294_967_294),
];
/// Permissions, with setuid, setgid and the sticky bit.
const MODES: &[u32] = &[
    0o0000, 0o0400, 0o0644, 0o4755, 0o2755, 0o6711, 0o1644, 0o7777,
];
/// The same for folders.
const FOLDER_MODES: &[u32] = &[0o0500, 0o0700, 0o1777, 0o2775, 0o7000];
/// Seconds and nanoseconds: around 1970, 2038 and 2262, and the ends of what ext4 keeps.
const TIMES: &[(i64, i64)] = &[
    (0, 0),
    (0, 1),
    (-1, 999_999_999),
    (-2_147_483_648, 0),
    (1_700_000_000, 123_456_789),
    (2_147_483_647, 999_999_999),
    (2_147_483_648, 1),
    // The largest in 64 bits of nanoseconds, about; and the end of ext4.
    (9_223_372_035, 999_999_999),
    (15_032_385_534, 999_999_999),
];
/// Major and minor numbers of devices; the last are the largest that fit.
const DEVICES: &[(u32, u32)] = &[(1, 3), (7, 0), (250, 70_000), (4095, 1_048_575)];

/// How much is in a tree besides one of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// How many small files, up to 4 KiB each.
    pub small_files: u32,
    /// The size of one large file, in bytes; it does not compress.
    pub random_bytes: u64,
    /// What the contents are made from; the same seed makes the same tree.
    pub seed: u64,
}

impl Content {
    /// Makes the tree in `root`, a folder that is empty or is made. Takes root: devices and other
    /// people's files are in it.
    pub fn make(&self, root: &Path) -> Result<()> {
        fs::create_dir_all(root)?;
        let mut maker = Maker {
            root: root.to_owned(),
            random: Random::new(self.seed),
            made: vec![root.to_owned()],
            times: Vec::new(),
        };
        maker.names()?;
        maker.deep()?;
        maker.permissions()?;
        maker.times()?;
        maker.links()?;
        maker.symlinks()?;
        maker.special()?;
        maker.sparse()?;
        maker.attributes()?;
        maker.empty()?;
        maker.small(self.small_files)?;
        let large = maker.path("", "random");
        maker.file(large, self.random_bytes)?;
        maker.set_times()
    }
}

struct Maker {
    root: PathBuf,
    random: Random,
    /// Everything; each gets a time in the end, because a folder's changes with what is made in it.
    made: Vec<PathBuf>,
    /// Those that get a certain time.
    times: Vec<(PathBuf, (i64, i64))>,
}

impl Maker {
    /// Makes a name of the tree.
    fn path(&self, folder: &str, name: impl AsRef<OsStr>) -> PathBuf {
        self.root.join(folder).join(name.as_ref())
    }

    fn folder(&mut self, path: PathBuf) -> Result<PathBuf> {
        fs::create_dir(&path).with_context(|| format!("could not make {path:?}"))?;
        self.made.push(path.clone());
        Ok(path)
    }

    fn top(&mut self, name: &str) -> Result<()> {
        self.folder(self.root.join(name)).map(drop)
    }

    fn file(&mut self, path: PathBuf, length: u64) -> Result<PathBuf> {
        let mut file =
            File::create_new(&path).with_context(|| format!("could not make {path:?}"))?;
        self.random.write(length, &mut file)?;
        self.made.push(path.clone());
        Ok(path)
    }

    fn names(&mut self) -> Result<()> {
        self.top("names")?;
        for name in NAMES {
            self.file(self.path("names", OsStr::from_bytes(name)), 30)?;
        }
        // The longest that a name may be is 255 bytes.
        self.file(self.path("names", "n".repeat(255)), 30)?;
        self.file(self.path("names", "é".repeat(127)), 30)?;
        let folder = self.path("names", OsStr::from_bytes(b"folder \xff\n"));
        let folder = self.folder(folder)?;
        self.file(folder.join("inner"), 30)?;
        Ok(())
    }

    /// A path of 2 KiB; the kernel takes 4, and a copy is below another folder.
    fn deep(&mut self) -> Result<()> {
        self.top("deep")?;
        let mut folder = self.root.join("deep");
        for _ in 0..20 {
            folder = self.folder(folder.join("d".repeat(100)))?;
        }
        self.file(folder.join("bottom"), 30)?;
        Ok(())
    }

    fn permissions(&mut self) -> Result<()> {
        self.top("permissions")?;
        for (number, (uid, gid)) in OWNERS.iter().enumerate() {
            let file = self.file(self.path("permissions", format!("owner {number}")), 10)?;
            node::set_owner(&file, *uid, *gid)?;
        }
        for mode in MODES {
            let file = self.file(self.path("permissions", format!("mode {mode:04o}")), 10)?;
            node::set_owner(&file, 1000, 1000)?;
            node::set_mode(&file, *mode)?;
        }
        for mode in FOLDER_MODES {
            let folder = self.path("permissions", format!("folder {mode:04o}"));
            let folder = self.folder(folder)?;
            self.file(folder.join("inner"), 10)?;
            node::set_owner(&folder, 1000, 2000)?;
            node::set_mode(&folder, *mode)?;
        }
        Ok(())
    }

    fn times(&mut self) -> Result<()> {
        self.top("times")?;
        for (number, time) in TIMES.iter().enumerate() {
            let file = self.file(self.path("times", format!("file {number}")), 10)?;
            let folder = self.folder(self.path("times", format!("folder {number}")))?;
            self.file(folder.join("inner"), 10)?;
            self.times.push((file, *time));
            self.times.push((folder, *time));
        }
        Ok(())
    }

    /// Hard links: within a folder, to another, of a file with setuid, and of what is no file.
    fn links(&mut self) -> Result<()> {
        self.top("links")?;
        self.top("links/other")?;
        let link = |original: &Path, name: &str| -> Result<()> {
            let path = self.root.join("links").join(name);
            Ok(fs::hard_link(original, &path)?)
        };
        let first = self.root.join("links/first");
        fs::write(&first, "one file, three names")?;
        link(&first, "second")?;
        link(&first, "other/third")?;
        let tool = self.root.join("links/tool");
        fs::write(&tool, "#!/bin/sh\n")?;
        node::set_mode(&tool, 0o4755)?;
        link(&tool, "other/tool")?;
        let dangling = self.root.join("links/symlink");
        symlink("nowhere", &dangling)?;
        link(&dangling, "other/symlink")?;
        let fifo = self.root.join("links/fifo");
        node::make(&fifo, FileType::Fifo, (0, 0))?;
        link(&fifo, "other/fifo")?;
        self.made.extend([first, tool, dangling, fifo]);
        Ok(())
    }

    fn symlinks(&mut self) -> Result<()> {
        self.top("symlinks")?;
        let long = "../".repeat(300) + "far/away";
        let targets: [(&str, &[u8]); 9] = [
            ("file", b"../random"),
            ("folder", b"../names"),
            ("root", b".."),
            ("absolute", b"/etc/hostname"),
            ("dangling", b"no such file"),
            ("itself", b"itself"),
            ("long", long.as_bytes()),
            ("odd", b"not UTF-8 \xff\n"),
            ("owned", b"../random"),
        ];
        for (name, target) in targets {
            let path = self.path("symlinks", name);
            symlink(OsStr::from_bytes(target), &path)?;
            self.made.push(path);
        }
        node::set_owner(&self.path("symlinks", "owned"), 1000, 1000)
    }

    fn special(&mut self) -> Result<()> {
        self.top("special")?;
        let mut add = |name: String, sort, device, mode| -> Result<()> {
            let path = self.root.join("special").join(name);
            node::make(&path, sort, device)?;
            node::set_owner(&path, 1000, 1000)?;
            node::set_mode(&path, mode)?;
            self.made.push(path);
            Ok(())
        };
        add("socket".into(), FileType::Socket, (0, 0), 0o755)?;
        add("fifo".into(), FileType::Fifo, (0, 0), 0o620)?;
        for device in DEVICES {
            let (major, minor) = device;
            let numbers = format!("{major} {minor}");
            let name = format!("character {numbers}");
            add(name, FileType::CharacterDevice, *device, 0o666)?;
            add(
                format!("block {numbers}"),
                FileType::BlockDevice,
                *device,
                0o660,
            )?;
        }
        Ok(())
    }

    fn sparse(&mut self) -> Result<()> {
        self.top("sparse")?;
        let data = b"data".repeat(1024);
        let places: [(&str, &[u64]); 5] = [
            ("only a hole", &[]),
            ("hole first", &[SPARSE - 4096]),
            ("hole in the middle", &[0, SPARSE - 4096]),
            ("hole at the end", &[0]),
            // Not where a block begins.
            ("many holes", &[1_000_001, 2_000_003, 3_000_005]),
        ];
        for (name, places) in places {
            let path = self.path("sparse", name);
            let mut file = File::create_new(&path)?;
            file.set_len(SPARSE)?;
            for place in places {
                file.seek(SeekFrom::Start(*place))?;
                file.write_all(&data)?;
            }
            self.made.push(path);
        }
        // Not sparse, though it holds nothing but zeros.
        let zeros = self.path("sparse", "zeros");
        fs::write(&zeros, vec![0; 1 << 20])?;
        let allocated = self.path("sparse", "allocated");
        node::allocate(&File::create_new(&allocated)?, 1 << 20)?;
        self.made.extend([zeros, allocated]);
        Ok(())
    }

    fn attributes(&mut self) -> Result<()> {
        self.top("attributes")?;
        let file = self.file(self.path("attributes", "file"), 10)?;
        let folder = self.folder(self.path("attributes", "folder"))?;
        let binary: Vec<u8> = (0..=255).collect();
        for path in [&file, &folder] {
            node::set_attribute(path, b"user.text", b"value")?;
            node::set_attribute(path, b"user.empty", b"")?;
            node::set_attribute(path, b"user.binary", &binary)?;
        }
        // ext4 keeps about 4 KiB for all attributes of a file.
        let long = self.file(self.path("attributes", "long"), 10)?;
        node::set_attribute(&long, b"user.long", &b"long ".repeat(600))?;
        let odd = self.file(self.path("attributes", "odd names"), 10)?;
        node::set_attribute(&odd, "user.鯨".as_bytes(), b"1")?;
        node::set_attribute(&odd, b"user.with space\n", b"2")?;
        node::set_attribute(&odd, b"user.not UTF-8 \xff", b"3")?;

        // Those that only root sees can be on anything.
        node::set_attribute(&file, b"trusted.dockfleet", b"4")?;
        let fifo = self.path("attributes", "fifo");
        node::make(&fifo, FileType::Fifo, (0, 0))?;
        let link = self.path("attributes", "symlink");
        symlink("file", &link)?;
        for path in [&fifo, &link] {
            node::set_attribute(path, b"trusted.dockfleet", b"5")?;
        }
        self.made.extend([fifo, link]);

        let tool = self.file(self.path("attributes", "capability"), 10)?;
        node::set_owner(&tool, 1000, 1000)?;
        node::set_mode(&tool, 0o755)?;
        node::set_attribute(&tool, b"security.capability", &node::NET_RAW)?;

        let shared = self.file(self.path("attributes", "access list"), 10)?;
        node::set_attribute(&shared, b"system.posix_acl_access", &node::access_list())?;
        // What is made in this folder inherits from it; a copy must not give its files more.
        let inherits = self.folder(self.path("attributes", "default list"))?;
        self.file(inherits.join("plain"), 10)?;
        self.folder(inherits.join("plain folder"))?;
        node::set_attribute(&inherits, b"system.posix_acl_access", &node::access_list())?;
        node::set_attribute(&inherits, b"system.posix_acl_default", &node::access_list())
    }

    fn empty(&mut self) -> Result<()> {
        self.top("empty")?;
        self.file(self.path("empty", "file"), 0)?;
        self.folder(self.path("empty", "folder"))?;
        self.folder(self.path("empty", "folders"))?;
        self.folder(self.path("empty", "folders/inner"))?;
        Ok(())
    }

    fn small(&mut self, count: u32) -> Result<()> {
        self.top("small")?;
        for number in 0..count {
            let folder = self.path("small", format!("{:04}", number / IN_A_FOLDER));
            if number % IN_A_FOLDER == 0 {
                self.folder(folder.clone())?;
            }
            let length = self.random.below(SMALL);
            let file = self.file(folder.join(format!("{number:06}")), length)?;
            node::set_owner(&file, 1000 + number % 7, 1000)?;
            node::set_mode(&file, if number % 3 == 0 { 0o600 } else { 0o644 })?;
        }
        Ok(())
    }

    fn set_times(mut self) -> Result<()> {
        for path in &self.made {
            // In the years 2001 to 2017.
            let second = 1_000_000_000 + self.random.below(500_000_000);
            let nanosecond = self.random.below(1_000_000_000);
            node::set_time(path, (second.try_into()?, nanosecond.try_into()?))?;
        }
        for (path, time) in &self.times {
            node::set_time(path, *time)?;
        }
        Ok(())
    }
}
