//! What goes wrong during backups and restores, and what is left of it.

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::{Engine, Process, Restic, StoreAddress};
use rustix::process::Signal;
use serde_json::Value;

use crate::backup::{PASSWORD, job_of, mountpoint, run, signal, store, volume};
use crate::cli_env::{CliEnv, on_each_engine, says};
use crate::interruption::is;

on_each_engine!(
    a_full_store_gets_no_snapshot_and_stays_whole,
    a_full_disk_leaves_an_empty_volume,
    a_job_that_is_killed_leaves_a_whole_repository,
    a_file_that_changes_while_it_is_read_is_told,
    a_file_that_vanishes_is_no_error,
    a_restore_that_is_killed_is_made_again,
    a_restore_that_fails_leaves_no_new_volume,
    a_store_that_can_only_be_read_is_checked_and_restored_from,
    an_engine_that_is_killed_gets_its_containers_back,
);

/// How long a job may take: it is the last to get time on a busy machine.
const END: Duration = Duration::from_mins(3);

/// A small file system, mounted in a folder until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path, megabytes: u32) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "small"])
            .arg(folder)
            .status()?;
        ensure!(mounted.success(), "mount: {mounted}");
        Ok(Self(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The folder it is in is removed next, and says so if it is still mounted.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Writes a file that does not compress.
fn large(path: &Path, megabytes: u64) -> Result<()> {
    let mut random = fs::File::open("/dev/urandom")?;
    let mut file = fs::File::create(path)?;
    std::io::copy(
        &mut std::io::Read::take(&mut random, megabytes << 20),
        &mut file,
    )?;
    Ok(())
}

fn snapshots(cli: &CliEnv, store: &str) -> Result<usize> {
    let listed = run(cli, &["snapshots", "--from", store, "-o", "json"])?.ok()?;
    let listed: Value = serde_json::from_str(&listed)?;
    Ok(listed["results"].as_array().context("no list")?.len())
}

fn restic(store: &str) -> Result<Restic> {
    Restic::new(&StoreAddress::Path(store.into()), "", PASSWORD)
}

/// Starts a command of backups, and halts its job after it has read this many bytes.
fn halted(cli: &CliEnv, args: &[&str], bytes: u64) -> Result<(Process, u32)> {
    let args = [args, &["--password-file", "password"]].concat();
    let process = cli.program().spawn_command(&cli.command(&args), None)?;
    let begin = Instant::now();
    let job = loop {
        // The first job of a command opens the repository only.
        let job = job_of(&process)?;
        let io = fs::read_to_string(format!("/proc/{job}/io")).unwrap_or_default();
        let read = io
            .lines()
            .find_map(|l| l.strip_prefix("rchar: ")?.parse::<u64>().ok());
        if read.is_some_and(|read| read >= bytes) {
            break job;
        }
        ensure!(
            begin.elapsed() < END,
            "a job that has read {read:?} bytes only"
        );
        // A job that is not halted at once has read everything.
        thread::sleep(Duration::from_millis(1));
    };
    signal(job, Signal::STOP)?;
    Ok((process, job))
}

fn a_full_store_gets_no_snapshot_and_stays_whole(engine: &Engine, cli: &CliEnv) -> Result<()> {
    cli.write("password", PASSWORD)?;
    let disk = SmallDisk::mount(&cli.file("small"), 24)?;
    let store = disk.0.display().to_string();
    let folder = volume(engine, "data")?;
    fs::write(folder.join("a"), "small")?;
    let backup = ["backup", "data", "--to", &store, "--create"];
    run(cli, &backup)?.ok()?;
    large(&folder.join("b"), 64)?;
    let full = run(cli, &backup)?;
    assert_eq!(full.code(), Some(1), "{full:?}");
    says(&full.stderr, &["the store has no space left"])?;
    assert_eq!(snapshots(cli, &store)?, 1);
    // What was written stays until it is pruned; it is in nobody's way.
    fs::remove_file(folder.join("b"))?;
    let grown = Command::new("mount")
        .args(["-o", "remount,size=64m"])
        .arg(&disk.0)
        .status()?;
    ensure!(grown.success(), "remount: {grown}");
    run(cli, &backup)?.ok()?;
    restic(&store)?.check()
}

fn a_full_disk_leaves_an_empty_volume(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let store = store(cli)?;
    let folder = volume(engine, "data")?;
    large(&folder.join("a"), 32)?;
    run(cli, &["backup", "data", "--to", &store, "--create"])?.ok()?;
    let target = volume(engine, "target")?;
    let disk = SmallDisk::mount(&target, 16)?;
    let restore = ["restore", "data", "--from", &store, "--to-volume", "target"];
    let full = run(cli, &restore)?;
    assert_eq!(full.code(), Some(1), "{full:?}");
    says(
        &full.stderr,
        &[
            "volume target",
            "no space is left for the data; nothing was restored",
        ],
    )?;
    assert!(fs::read_dir(&target)?.next().is_none());
    drop(disk);
    run(cli, &restore)?.ok()?;
    Ok(())
}

fn a_job_that_is_killed_leaves_a_whole_repository(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let store = store(cli)?;
    let folder = volume(engine, "data")?;
    fs::write(folder.join("a"), "first")?;
    let backup = ["backup", "data", "--to", &store, "--create"];
    run(cli, &backup)?.ok()?;
    large(&folder.join("b"), 16)?;
    let (process, job) = halted(cli, &backup, 4 << 20)?;
    signal(job, Signal::KILL)?;
    assert_eq!(process.wait(END)?.code(), Some(1));
    says(&process.log(), &["ended without a result"])?;
    assert_eq!(snapshots(cli, &store)?, 1);
    let next = run(cli, &[&backup[..], &["-o", "json"]].concat())?.ok()?;
    let next: Value = serde_json::from_str(&next)?;
    assert_eq!(next["results"][0]["snapshot"]["partial"], false, "{next}");
    // The lock of the job is still there.
    restic(&store)?
        .run(["check", "--read-data", "--no-lock"])?
        .ok()?;
    Ok(())
}

fn a_file_that_changes_while_it_is_read_is_told(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let store = store(cli)?;
    let folder = volume(engine, "data")?;
    large(&folder.join("b"), 16)?;
    let backup = ["backup", "data", "--to", &store, "--create", "-o", "json"];
    let (process, job) = halted(cli, &backup, 4 << 20)?;
    let second = run(cli, &backup)?;
    assert_eq!(second.code(), Some(1), "{second:?}");
    let who = format!(
        "volume data: a backup (process {}) is running",
        process.pid()
    );
    says(&second.stderr, &[&who])?;
    // Both know the password.
    for pid in [process.pid(), job] {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits"))?;
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        let words: Vec<&str> = core.unwrap_or_default().split_whitespace().collect();
        assert_eq!(words[4..6], ["0", "0"], "{words:?}");
    }
    let mut file = OpenOptions::new().write(true).open(folder.join("b"))?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(b"other")?;
    signal(job, Signal::CONT)?;
    assert_eq!(process.wait(END)?.code(), Some(1));
    says(
        &process.log(),
        &[
            "1 files changed while they were read",
            "/volumes/data/b: changed while it was read",
        ],
    )?;
    // It is a snapshot all the same, and says what it is.
    let listed = run(cli, &["snapshots", "--from", &store])?.ok()?;
    says(&listed, &["Partial"])?;
    run(cli, &backup)?.ok()?;
    let listed = run(cli, &["snapshots", "--from", &store])?.ok()?;
    says(&listed, &["Partial", "Complete"])
}

fn a_file_that_vanishes_is_no_error(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let store = store(cli)?;
    let folder = volume(engine, "data")?;
    large(&folder.join("b"), 16)?;
    for number in 0..1000 {
        fs::write(folder.join(format!("z{number}")), "soon gone")?;
    }
    let backup = ["backup", "data", "--to", &store, "--create"];
    let (process, job) = halted(cli, &backup, 4 << 20)?;
    for number in 0..1000 {
        fs::remove_file(folder.join(format!("z{number}")))?;
    }
    signal(job, Signal::CONT)?;
    assert!(process.wait(END)?.success(), "{}", process.log());
    restic(&store)?.check()
}

fn a_restore_that_is_killed_is_made_again(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let store = store(cli)?;
    let folder = volume(engine, "data")?;
    large(&folder.join("b"), 16)?;
    let backup = |name: &str| run(cli, &["backup", name, "--to", &store, "--create"]);
    backup("data")?.ok()?;
    let restore = ["restore", "data", "--from", &store, "--to-volume", "again"];
    let (process, job) = halted(cli, &restore, 4 << 20)?;
    let again = mountpoint(engine, "again")?;
    assert!(again.join(".dockfleet-restore").exists());
    assert!(!again.join("b").exists(), "half of the data");
    let second = run(cli, &restore)?;
    let who = format!(
        "volume again: a restore (process {}) is running",
        process.pid()
    );
    says(&second.stderr, &[&who])?;
    signal(job, Signal::KILL)?;
    process.wait(END)?;
    // Half a volume must not become the last backup.
    let half = backup("again")?;
    assert_eq!(half.code(), Some(1), "{half:?}");
    says(
        &half.stderr,
        &["a restore into the volume was not finished"],
    )?;
    run(cli, &restore)?.ok()?;
    assert!(
        fs::read(again.join("b"))? == fs::read(folder.join("b"))?,
        "other data"
    );
    assert!(!again.join(".dockfleet-restore").exists());
    Ok(())
}

fn a_restore_that_fails_leaves_no_new_volume(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let store = store(cli)?;
    let folder = volume(engine, "data")?;
    large(&folder.join("b"), 16)?;
    run(cli, &["backup", "data", "--to", &store, "--create"])?.ok()?;
    let data = PathBuf::from(&store).join("data");
    fs::rename(&data, data.with_file_name("lost"))?;
    fs::create_dir(&data)?;
    volume(engine, "old")?;
    for target in ["new", "old"] {
        let restore = ["restore", "data", "--from", &store, "--to-volume", target];
        let failed = run(cli, &restore)?;
        assert_eq!(failed.code(), Some(1), "{failed:?}");
        says(
            &failed.stderr,
            &[&format!("volume {target}: missing in the store")],
        )?;
    }
    let all = engine.docker(["volume", "ls", "-q"])?;
    let all: Vec<&str> = all.split_whitespace().collect();
    assert_eq!(all, ["data", "old"]);
    Ok(())
}

fn a_store_that_can_only_be_read_is_checked_and_restored_from(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    cli.write("password", PASSWORD)?;
    let disk = SmallDisk::mount(&cli.file("small"), 24)?;
    let store = disk.0.display().to_string();
    let folder = volume(engine, "data")?;
    fs::write(folder.join("a"), "small")?;
    run(cli, &["backup", "data", "--to", &store, "--create"])?.ok()?;
    let mounted = Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(&disk.0)
        .status()?;
    ensure!(mounted.success(), "remount: {mounted}");
    let checked = run(cli, &["repository", "check", &store, "--read-data", "100"])?.ok()?;
    says(&checked, &["100 %"])?;
    let restore = ["restore", "data", "--from", &store, "--to-volume", "again"];
    run(cli, &restore)?.ok()?;
    let refused = run(cli, &["backup", "data", "--to", &store])?;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    says(&refused.stderr, &["the store refuses"])
}

fn an_engine_that_is_killed_gets_its_containers_back(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let store = store(cli)?;
    let folder = volume(engine, "data")?;
    large(&folder.join("b"), 16)?;
    engine.import_busybox()?;
    engine.run_container(
        "app",
        &["-v", "data:/data", "--stop-signal", "KILL"],
        &["sleep", "600"],
    )?;
    let backup = [
        "backup",
        "data",
        "--to",
        &store,
        "--create",
        "--consistency",
        "stop",
    ];
    let (process, job) = halted(cli, &backup, 4 << 20)?;
    engine.kill()?;
    signal(job, Signal::CONT)?;
    assert_eq!(process.wait(END)?.code(), Some(1));
    says(
        &process.log(),
        &["not everything runs as before: container app"],
    )?;
    engine.start_again()?;
    // Its guard has waited for the engine.
    is(engine, "app", "running")?;
    let next = run(cli, &backup)?;
    assert_eq!(
        (next.stderr.as_str(), next.code()),
        ("", Some(0)),
        "{next:?}"
    );
    is(engine, "app", "running")
}
