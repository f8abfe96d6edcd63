use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use dockfleet_e2e::Folder;
use dockfleet_e2e::tree::{Content, differences};
use rustix::fs::{XattrFlags, lremovexattr, lsetxattr};

const SOME: Content = Content {
    small_files: 10,
    random_bytes: 200_000,
    seed: 7,
};

/// Two trees that are the same.
struct Pair {
    original: PathBuf,
    copy: PathBuf,
    _folder: Folder,
}

impl Pair {
    fn new() -> Result<Self> {
        let folder = Folder::new()?;
        let original = folder.file("original");
        SOME.make(&original)?;
        Self::of(folder)
    }

    /// Takes the tree `original` of a folder, and makes a copy by means of the system.
    fn of(folder: Folder) -> Result<Self> {
        let pair = Self {
            original: folder.file("original"),
            copy: folder.file("copy"),
            _folder: folder,
        };
        run(Command::new("cp")
            .arg("-a")
            .args([&pair.original, &pair.copy]))?;
        Ok(pair)
    }

    fn differences(&self) -> Result<Vec<String>> {
        differences(&self.original, &self.copy)
    }

    /// Does something to an entry of the copy, after which it and its folder have their times again.
    fn change(&self, name: &str, change: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let path = self.copy.join(name);
        change(&path)?;
        for name in Path::new(name).ancestors().take(2) {
            let (was, is) = (self.original.join(name), self.copy.join(name));
            if was.symlink_metadata().is_ok() && is.symlink_metadata().is_ok() {
                run(Command::new("touch").args(["-h", "-r"]).args([was, is]))?;
            }
        }
        Ok(())
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    Ok(fs::set_permissions(path, Permissions::from_mode(mode))?)
}

fn set_attribute(path: &Path, name: &str, value: &str) -> Result<()> {
    let flags = XattrFlags::empty();
    Ok(lsetxattr(path, name, value.as_bytes(), flags)?)
}

#[test]
fn a_faithful_copy_has_no_differences() -> Result<()> {
    let pair = Pair::new()?;
    assert_eq!(pair.differences()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn one_seed_makes_one_tree_and_another_seed_another() -> Result<()> {
    let folder = Folder::new()?;
    let [one, again, other] = ["one", "again", "other"].map(|name| folder.file(name));
    SOME.make(&one)?;
    SOME.make(&again)?;
    Content { seed: 8, ..SOME }.make(&other)?;
    assert_eq!(differences(&one, &again)?, Vec::<String>::new());
    let found = differences(&one, &other)?;
    assert!(
        found.contains(&r#""random": content differs from byte 0 on"#.to_owned()),
        "{found:#?}"
    );
    Ok(())
}

/// An entry, what is done to it, and what is found.
type Case = (&'static str, fn(&Path) -> Result<()>, &'static str);

const CASES: &[Case] = &[
    (
        "empty/file",
        |path| Ok(fs::remove_file(path)?),
        r#""empty/file": missing, was a file"#,
    ),
    (
        "empty/folder",
        |path| Ok(fs::remove_dir(path)?),
        r#""empty/folder": missing, was a folder"#,
    ),
    (
        "empty/more\n",
        |path| Ok(symlink("x", path)?),
        r#""empty/more\n": a symlink, and was not there"#,
    ),
    (
        "empty/file",
        |path| {
            fs::remove_file(path)?;
            Ok(fs::create_dir(path)?)
        },
        r#""empty/file": a folder, was a file"#,
    ),
    (
        "special/socket",
        |path| {
            fs::remove_file(path)?;
            run(Command::new("mkfifo").arg(path))
        },
        r#""special/socket": a FIFO, was a socket"#,
    ),
    (
        "random",
        |path| {
            let file = File::options().read(true).write(true).open(path)?;
            let mut byte = [0];
            file.read_exact_at(&mut byte, 70_001)?;
            byte[0] ^= 1;
            Ok(file.write_all_at(&byte, 70_001)?)
        },
        r#""random": content differs from byte 70001 on"#,
    ),
    (
        "random",
        |path| Ok(File::options().write(true).open(path)?.set_len(199_999)?),
        r#""random": 199999 bytes, was 200000"#,
    ),
    (
        "permissions/mode 4755",
        |path| set_mode(path, 0o755),
        r#""permissions/mode 4755": mode 0755, was 4755"#,
    ),
    (
        "permissions/folder 1777",
        |path| set_mode(path, 0o777),
        r#""permissions/folder 1777": mode 0777, was 1777"#,
    ),
    (
        "permissions/owner 4",
        |path| Ok(lchown(path, Some(0), None)?),
        r#""permissions/owner 4": owner 0:4294967294, was 4294967294:4294967294"#,
    ),
    (
        "symlinks/owned",
        |path| Ok(lchown(path, None, Some(0))?),
        r#""symlinks/owned": owner 1000:0, was 1000:1000"#,
    ),
    (
        "symlinks/dangling",
        |path| {
            fs::remove_file(path)?;
            Ok(symlink("no such files", path)?)
        },
        r#""symlinks/dangling": target "no such files", was "no such file""#,
    ),
    (
        "special/character 1 3",
        |path| {
            fs::remove_file(path)?;
            run(Command::new("mknod").arg(path).args(["c", "1", "5"]))?;
            lchown(path, Some(1000), Some(1000))?;
            set_mode(path, 0o666)
        },
        r#""special/character 1 3": device 1:5, was 1:3"#,
    ),
    (
        "links/second",
        |path| {
            fs::remove_file(path)?;
            Ok(fs::write(path, "one file, three names")?)
        },
        r#""links/second": one file with no other, was "links/first""#,
    ),
    (
        "attributes/file",
        |path| Ok(lremovexattr(path, "user.empty")?),
        r#""attributes/file": attribute user.empty missing, was """#,
    ),
    (
        "attributes/folder",
        |path| set_attribute(path, "user.text", "values"),
        r#""attributes/folder": attribute user.text "values", was "value""#,
    ),
    (
        "attributes/symlink",
        |path| set_attribute(path, "trusted.more", "\n"),
        r#""attributes/symlink": attribute trusted.more "\n", was missing"#,
    ),
];

#[test]
fn every_sort_of_difference_is_found() -> Result<()> {
    let pair = Pair::new()?;
    for (name, change, expected) in CASES {
        fs::remove_dir_all(&pair.copy)?;
        run(Command::new("cp")
            .arg("-a")
            .args([&pair.original, &pair.copy]))?;
        pair.change(name, change)?;
        assert_eq!(pair.differences()?, [*expected]);
    }
    Ok(())
}

#[test]
fn a_time_is_compared_to_the_nanosecond_also_of_folders_and_symlinks() -> Result<()> {
    let pair = Pair::new()?;
    let mut expected = Vec::new();
    for name in [".", "names", "symlinks/dangling", "times/file 7"] {
        let path = pair.copy.join(name);
        let was = path.symlink_metadata()?;
        let time = was.modified()? + Duration::from_nanos(1);
        let seconds = time.duration_since(std::time::UNIX_EPOCH)?;
        let is = format!("{}.{:09}", seconds.as_secs(), seconds.subsec_nanos());
        run(Command::new("touch")
            .args(["-h", "-d", &format!("@{is}")])
            .arg(&path))?;
        expected.push(format!(
            "{name:?}: modified {is}, was {}.{:09}",
            was.mtime(),
            was.mtime_nsec()
        ));
    }
    assert_eq!(pair.differences()?, expected);
    Ok(())
}

#[test]
fn an_access_list_is_compared() -> Result<()> {
    let pair = Pair::new()?;
    for name in ["access", "default"] {
        lremovexattr(
            pair.copy.join("attributes/default list"),
            format!("system.posix_acl_{name}"),
        )?;
    }
    let found = pair.differences()?;
    assert_eq!(found.len(), 2, "{found:#?}");
    for (name, found) in ["access", "default"].iter().zip(&found) {
        let begin = format!(
            r#""attributes/default list": attribute system.posix_acl_{name} missing, was "\x02\x00"#
        );
        assert!(found.starts_with(&begin), "{found}");
    }
    Ok(())
}

#[test]
fn two_files_that_became_one_are_a_difference() -> Result<()> {
    let folder = Folder::new()?;
    let original = folder.file("original");
    fs::create_dir(&original)?;
    fs::write(original.join("one"), "same")?;
    run(Command::new("cp")
        .arg("-a")
        .args([original.join("one"), original.join("other")]))?;
    let pair = Pair::of(folder)?;
    pair.change("other", |path| {
        fs::remove_file(path)?;
        Ok(fs::hard_link(path.with_file_name("one"), path)?)
    })?;
    assert_eq!(
        pair.differences()?,
        [
            r#""one": one file with "one", was no other"#,
            r#""other": one file with "one", was no other"#,
        ]
    );
    Ok(())
}

#[test]
fn a_sparse_file_without_its_holes_is_a_difference() -> Result<()> {
    let pair = Pair::new()?;
    let names = ["hole at the end", "only a hole"].map(|name| format!("sparse/{name}"));
    let mut expected = Vec::new();
    for name in &names {
        let (was, is) = (pair.original.join(name), pair.copy.join(name));
        pair.change(name, |path| {
            fs::remove_file(path)?;
            run(Command::new("cp")
                .args(["-a", "--sparse=never"])
                .args([&was, &is]))
        })?;
        let [was, is] = [was, is].map(|path| path.metadata().map(|about| about.blocks() * 512));
        expected.push(format!(
            "{name:?}: takes {} bytes on disk, was {}",
            is?, was?
        ));
    }
    assert_eq!(pair.differences()?, expected);
    // The other way round it only got smaller.
    assert_eq!(
        differences(&pair.copy, &pair.original)?,
        Vec::<String>::new()
    );
    Ok(())
}
