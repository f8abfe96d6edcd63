//! Backups of volumes into a folder, and back.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use dockfleet_e2e::tree::{Content, differences};
use dockfleet_e2e::{Engine, Process, Restic, StoreAddress, beyond_restic, eventually, is_proof};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::cli_env::{CliEnv, SOON, on_each_engine, says, text};

on_each_engine!(
    a_volume_comes_back_on_another_name,
    everything_that_a_file_has_comes_back_by_dockfleet_and_by_restic,
    restic_and_dockfleet_respect_each_others_locks,
    retention_removes_what_is_not_kept,
    a_restore_needs_an_empty_volume_that_nothing_uses,
    bad_input_is_refused_before_anything_is_done,
);

/// The password of repositories.
pub(crate) const PASSWORD: &str = "correct horse";

/// Creates a volume, and returns its folder.
pub(crate) fn volume(engine: &Engine, name: &str) -> Result<PathBuf> {
    engine.docker(["volume", "create", name])?;
    mountpoint(engine, name)
}

/// Returns the folder of a volume.
pub(crate) fn mountpoint(engine: &Engine, name: &str) -> Result<PathBuf> {
    let found = engine.docker_json(["volume", "inspect", name])?;
    let folder = found[0]["Mountpoint"].as_str();
    Ok(folder.context("no mountpoint")?.into())
}

/// Returns this much content, or, for a proof, as much as a volume has.
pub(crate) fn content(small_files: u32, random_bytes: u64) -> Content {
    let (small_files, random_bytes) = if is_proof() {
        (10_000, 200 << 20)
    } else {
        (small_files, random_bytes)
    };
    Content {
        small_files,
        random_bytes,
        seed: 1,
    }
}

/// Returns the process of the job that a command has started.
pub(crate) fn job_of(command: &Process) -> Result<u32> {
    let pid = command.pid();
    eventually("the process of a job", SOON, || {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.map_err(|err| err.to_string())?;
        let is_job = |pid: &&str| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line.ends_with(b"backup-job\0"))
        };
        let job = children.split_whitespace().find(is_job);
        job.and_then(|pid| pid.parse().ok())
            .ok_or_else(|| format!("children: {children}"))
    })
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(pid.try_into()?).context("no process")?;
    Ok(kill_process(pid, signal)?)
}

/// Makes a folder for a repository, and its password.
pub(crate) fn store(cli: &CliEnv) -> Result<String> {
    cli.write("password", &format!("{PASSWORD}\nand something else\n"))?;
    let folder = cli.file("store");
    fs::create_dir(&folder)?;
    Ok(folder.display().to_string())
}

/// Runs a command of backups, with the password.
pub(crate) fn run(cli: &CliEnv, args: &[&str]) -> Result<dockfleet_e2e::Output> {
    cli.run(&[args, &["--password-file", "password"]].concat())
}

fn a_volume_comes_back_on_another_name(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let store = store(cli)?;
    let folder = volume(engine, "shop-data")?;
    fs::create_dir(folder.join("orders"))?;
    fs::write(folder.join("orders/1"), "a sofa")?;
    let made = run(
        cli,
        &[
            "backup",
            "shop-data",
            "--to",
            &store,
            "--create",
            "--host",
            "h1",
        ],
    )?
    .ok()?;
    says(&made, &["SNAPSHOT", "shop-data", "6 B", "Complete"])?;

    // Nothing has to be remembered: the repository says what it has.
    let listed = run(cli, &["snapshots", "--from", &store, "-o", "json"])?.ok()?;
    let listed: serde_json::Value = serde_json::from_str(&listed)?;
    assert_eq!(text(&listed["results"][0]["volume"]), "shop-data");
    assert_eq!(text(&listed["results"][0]["host"]), "h1");

    let back = run(
        cli,
        &[
            "restore",
            "shop-data",
            "--from",
            &store,
            "--to-volume",
            "again",
        ],
    )?
    .ok()?;
    says(&back, &["shop-data", "again"])?;
    let again = mountpoint(engine, "again")?;
    assert_eq!(fs::read_to_string(again.join("orders/1"))?, "a sofa");
    // What shows that this process sees the engine's volumes is gone.
    let all = engine.docker(["volume", "ls", "-q"])?;
    assert_eq!(
        all.split_whitespace().collect::<Vec<_>>(),
        ["again", "shop-data"]
    );
    Ok(())
}

fn everything_that_a_file_has_comes_back_by_dockfleet_and_by_restic(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let store = store(cli)?;
    let folder = volume(engine, "odd")?;
    content(500, 8 << 20).make(&folder)?;
    let to_store = [
        "backup",
        "odd",
        "--to",
        &store,
        "--create",
        "--verify",
        "read-data",
        "-o",
        "json",
    ];
    let made = run(cli, &to_store)?;
    // The format keeps names of attributes as text. What it cannot keep is told, and nothing else is.
    assert_eq!(made.code(), Some(1), "{made:?}");
    let made: Value = serde_json::from_str(&made.stdout)?;
    let made = &made["results"][0];
    assert_eq!(made["problems"]["failed"], 1, "{made}");
    says(
        &text(&made["problems"]["first"][0]),
        &["/volumes/odd/attributes/odd names", "is not UTF-8"],
    )?;

    run(
        cli,
        &["restore", "odd", "--from", &store, "--to-volume", "again"],
    )?
    .ok()?;
    let again = mountpoint(engine, "again")?;
    let lost = differences(&folder, &again)?;
    let [name, link] = &lost[..] else {
        anyhow::bail!("lost: {lost:#?}");
    };
    says(name, &["attributes/odd names", "attribute user.not UTF-8"])?;
    // Documented: attributes of symbolic links are not kept.
    says(
        link,
        &["attributes/symlink", "attribute trusted.dockfleet missing"],
    )?;

    let restic = Restic::new(&StoreAddress::Path(store.into()), "", PASSWORD)?;
    restic.check()?;
    let target = cli.file("restic");
    restic.restore(&text(&made["snapshot"]["id"]), &target)?;
    let lost = beyond_restic(differences(&folder, &target.join("volumes/odd"))?);
    assert_eq!(lost, [""; 0], "{lost:#?}");
    Ok(())
}

fn restic_and_dockfleet_respect_each_others_locks(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let store = store(cli)?;
    let folder = volume(engine, "data")?;
    fs::write(folder.join("a"), "1")?;
    let backup = ["backup", "data", "--to", &store, "--create"];
    run(cli, &backup)?.ok()?;
    let restic = Restic::new(&StoreAddress::Path(store.clone().into()), "", PASSWORD)?;
    restic.backup(&folder)?;

    // A backup that does not end: its process is stopped.
    fs::write(folder.join("b"), vec![1; 64 << 20])?;
    let args = [&backup[..], &["--password-file", "password"]].concat();
    let process = cli.program().spawn_command(&cli.command(&args), None)?;
    let locks = PathBuf::from(&store).join("locks");
    let lock = || fs::read_dir(&locks).is_ok_and(|mut all| all.next().is_some());
    eventually("a lock", SOON, || {
        lock().then_some(()).ok_or_else(|| process.log())
    })?;
    let job = job_of(&process)?;
    signal(job, Signal::STOP)?;
    let refused = restic.run(["prune"])?;
    assert_ne!(refused.code(), Some(0), "{refused:?}");
    says(&refused.stderr, &["already locked"])?;
    signal(job, Signal::CONT)?;
    assert!(process.wait(SOON)?.success(), "{}", process.log());
    restic.run(["prune"])?.ok()?;
    restic.check()?;
    Ok(())
}

fn retention_removes_what_is_not_kept(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let store = store(cli)?;
    let folder = volume(engine, "data")?;
    let backup = |content: &str, keep: &[&str]| -> Result<Value> {
        fs::write(folder.join("a"), content)?;
        let args = ["backup", "data", "--to", &store, "--create", "-o", "json"];
        let made = run(cli, &[&args[..], keep].concat())?.ok()?;
        let made: Value = serde_json::from_str(&made)?;
        Ok(made["results"][0].clone())
    };
    let ids = |all: &[&Value]| {
        all.iter()
            .map(|m| m["snapshot"]["id"].clone())
            .collect::<Vec<_>>()
    };
    let first = backup("1", &[])?;
    let second = backup("2", &[])?;
    let third = backup("3", &["--keep-last", "2"])?;
    assert_eq!(third["removed"], Value::from(ids(&[&first])), "{third}");
    let listed = run(cli, &["snapshots", "--from", &store, "-o", "json"])?.ok()?;
    let listed: Value = serde_json::from_str(&listed)?;
    let left: Vec<_> = listed["results"]
        .as_array()
        .context("no list")?
        .iter()
        .map(|s| s["id"].clone())
        .collect();
    assert_eq!(left, ids(&[&second, &third]));
    let pruned = run(cli, &["repository", "prune", &store])?.ok()?;
    says(&pruned, &["USED", "MARKED", "REMOVED"])?;
    let checked = run(cli, &["repository", "check", &store, "--read-data", "100"])?.ok()?;
    says(&checked, &["100 %"])
}

fn a_restore_needs_an_empty_volume_that_nothing_uses(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let store = store(cli)?;
    let folder = volume(engine, "data")?;
    fs::write(folder.join("a"), "1")?;
    run(cli, &["backup", "data", "--to", &store, "--create"])?.ok()?;
    let full = run(cli, &["restore", "data", "--from", &store])?;
    assert_eq!(full.code(), Some(1), "{full:?}");
    says(
        &full.stderr,
        &["volume data: there is data in it, such as a"],
    )?;
    assert_eq!(fs::read_to_string(folder.join("a"))?, "1");

    volume(engine, "used")?;
    engine.import_busybox()?;
    engine.run_container("app", &["-v", "used:/used"], &["sleep", "600"])?;
    let used = run(
        cli,
        &["restore", "data", "--from", &store, "--to-volume", "used"],
    )?;
    assert_eq!(used.code(), Some(1), "{used:?}");
    says(&used.stderr, &["container app runs and uses volume used"])
}

fn bad_input_is_refused_before_anything_is_done(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let store = store(cli)?;
    let refused = |args: &[&str], words: &[&str]| -> Result<()> {
        let output = run(cli, args)?;
        assert_ne!(output.code(), Some(0), "{args:?}: {output:?}");
        says(&output.stderr, words)
    };
    volume(engine, "data")?;
    engine.docker([
        "volume",
        "create",
        "-o",
        "type=tmpfs",
        "-o",
        "device=tmpfs",
        "ram",
    ])?;
    refused(
        &["backup", "nothing", "--to", &store, "--create"],
        &["there is no volume nothing"],
    )?;
    refused(
        &["backup", "ram", "--to", &store, "--create"],
        &["comes from a mount (tmpfs)"],
    )?;
    refused(
        &["backup", "data", "--to", "backup"],
        &["--to <REPOSITORY>: not a repository", "/backup"],
    )?;
    refused(
        &["backup", "data", "--to", &store],
        &["there is no repository at", "--create"],
    )?;
    let missing = format!("{store}/not-mounted");
    refused(
        &["backup", "data", "--to", &missing, "--create"],
        &["there is no folder", "mount its disk"],
    )?;
    refused(
        &["restore", "data", "--from", &store],
        &["there is no repository at"],
    )?;
    assert!(
        fs::read_dir(&store)?.next().is_none(),
        "nothing was written"
    );
    run(cli, &["backup", "data", "--to", &store, "--create"])?.ok()?;
    cli.write("password", "guess\n")?;
    refused(
        &["snapshots", "--from", &store],
        &["the password opens no key of the repository"],
    )
}
