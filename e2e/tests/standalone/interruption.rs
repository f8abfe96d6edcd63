//! Containers that are paused or stopped while their volume is read, and run again whatever happens.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use dockfleet_e2e::{Engine, Process, eventually};
use rustix::process::Signal;

use crate::backup::{job_of, mountpoint, run, signal, store, volume};
use crate::cli_env::{CliEnv, SOON, on_each_engine, says};

on_each_engine!(
    paused_and_stopped_containers_run_again,
    containers_run_while_a_backup_waits_for_a_lock,
    a_container_that_did_not_run_is_left_alone,
    containers_that_would_not_be_as_before_are_not_stopped,
    a_backup_that_is_killed_leaves_no_container_paused,
    what_even_the_guard_could_not_put_back_is_put_back_by_the_next_backup,
    a_downtime_that_is_too_long_ends_the_backup,
);

/// Starts a container that uses the volume `data`.
fn app(engine: &Engine) -> Result<()> {
    let folder = volume(engine, "data")?;
    fs::write(folder.join("large"), vec![7; 32 << 20])?;
    engine.import_busybox()?;
    engine.run_container(
        "app",
        &["-v", "data:/data", "--stop-signal", "KILL"],
        &["sleep", "600"],
    )?;
    Ok(())
}

fn state(engine: &Engine, container: &str) -> Result<String> {
    let state = engine.docker(["inspect", "-f", "{{.State.Status}}", container])?;
    Ok(state.trim().to_owned())
}

/// Waits until a container has a state.
pub(crate) fn is(engine: &Engine, container: &str, wanted: &str) -> Result<()> {
    let wait = format!("container {container} to be {wanted}");
    eventually(&wait, SOON, || match state(engine, container) {
        Ok(is) if is == wanted => Ok(()),
        Ok(is) => Err(is),
        Err(err) => Err(err.to_string()),
    })
}

/// Starts a backup, and halts its job while the container does not run.
fn halted(engine: &Engine, cli: &CliEnv, more: &[&str]) -> Result<(Process, u32)> {
    let store = store(cli)?;
    app(engine)?;
    run(cli, &["snapshots", "--from", &store])?;
    let args = [
        "backup",
        "data",
        "--to",
        &store,
        "--create",
        "--password-file",
        "password",
    ];
    let command = cli.command(&[&args[..], more].concat());
    let process = cli.program().spawn_command(&command, None)?;
    let wanted = if more.contains(&"stop") {
        "exited"
    } else {
        "paused"
    };
    is(engine, "app", wanted)?;
    let job = job_of(&process)?;
    signal(job, Signal::STOP)?;
    Ok((process, job))
}

fn paused_and_stopped_containers_run_again(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let store = store(cli)?;
    app(engine)?;
    for (how, events) in [("pause", ["pause", "unpause"]), ("stop", ["die", "start"])] {
        let since = engine.docker(["info", "-f", "{{.SystemTime}}"])?;
        let backup = [
            "backup",
            "data",
            "--to",
            &store,
            "--create",
            "--consistency",
            how,
        ];
        run(cli, &backup)?.ok()?;
        assert_eq!(state(engine, "app")?, "running");
        let now = engine.docker(["info", "-f", "{{.SystemTime}}"])?;
        let seen = engine.docker([
            "events",
            "--since",
            since.trim(),
            "--until",
            now.trim(),
            "-f",
            "container=app",
            "--format",
            "{{.Action}}",
        ])?;
        says(&seen, &events)?;
    }
    Ok(())
}

fn containers_run_while_a_backup_waits_for_a_lock(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let store = store(cli)?;
    app(engine)?;
    let folder = mountpoint(engine, "data")?;
    for number in 0..3000 {
        fs::create_dir(folder.join(format!("folder-{number}")))?;
    }
    let backup = ["backup", "data", "--to", &store, "--create"];
    run(cli, &backup)?.ok()?;
    // It reads all folders of the snapshot while it has the lock, which takes long enough to see it.
    let prune = ["repository", "prune", &store];
    let prune = spawn(cli, &prune)?;
    let locks = PathBuf::from(&store).join("locks");
    let is_locked = || -> Result<bool> {
        let mut names = fs::read_dir(&locks)?.flatten().map(|e| e.file_name());
        // Its name is a hash; a file with another one is not complete.
        Ok(names.any(|name| name.len() == 64))
    };
    let begin = Instant::now();
    while !is_locked()? {
        ensure!(begin.elapsed() < SOON, "no lock: {}", prune.log());
        thread::sleep(Duration::from_millis(1));
    }
    let pruning = job_of(&prune)?;
    signal(pruning, Signal::STOP)?;
    ensure!(is_locked()?, "the lock is gone");

    let waiting = spawn(cli, &[&backup[..], &["--consistency", "stop"]].concat())?;
    eventually("a backup that waits", SOON, || {
        let log = waiting.log();
        log.contains(") removes data in this repository")
            .then_some(())
            .ok_or(log)
    })?;
    assert_eq!(state(engine, "app")?, "running");
    let started = || engine.docker(["inspect", "-f", "{{.State.StartedAt}}", "app"]);
    let before = started()?;
    // Another one does not wait for so long.
    let check = ["repository", "check", &store, "--lock-wait", "1s"];
    let impatient = run(cli, &check)?;
    assert_eq!(impatient.code(), Some(1), "{impatient:?}");
    let who = format!("(process {pruning}, since 2");
    let said = [
        "removes data in this repository, and was waited for 1 s",
        &who,
    ];
    says(&impatient.stderr, &said)?;
    signal(pruning, Signal::CONT)?;
    assert!(prune.wait(SOON)?.success(), "{}", prune.log());
    assert!(waiting.wait(SOON)?.success(), "{}", waiting.log());
    assert_eq!(state(engine, "app")?, "running");
    assert_ne!(started()?, before, "it was not stopped at all");
    Ok(())
}

/// Starts a command of backups, with the password.
fn spawn(cli: &CliEnv, args: &[&str]) -> Result<Process> {
    let args = [args, &["--password-file", "password"]].concat();
    cli.program().spawn_command(&cli.command(&args), None)
}

fn a_container_that_did_not_run_is_left_alone(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let store = store(cli)?;
    app(engine)?;
    engine.docker([
        "create",
        "--name",
        "idle",
        "-v",
        "data:/data",
        "busybox:local",
        "sleep",
        "600",
    ])?;
    engine.run_container("resting", &["-v", "data:/data"], &["sleep", "600"])?;
    engine.docker(["pause", "resting"])?;
    for how in ["pause", "stop"] {
        run(
            cli,
            &[
                "backup",
                "data",
                "--to",
                &store,
                "--create",
                "--consistency",
                how,
            ],
        )?
        .ok()?;
        for (container, is) in [
            ("app", "running"),
            ("idle", "created"),
            ("resting", "paused"),
        ] {
            assert_eq!(state(engine, container)?, is, "{container} after {how}");
        }
    }
    // An engine takes a minute to end beside a paused container.
    engine.docker(["unpause", "resting"])?;
    Ok(())
}

fn containers_that_would_not_be_as_before_are_not_stopped(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let store = store(cli)?;
    app(engine)?;
    let more = [
        ("gone", &["--rm"][..], "is removed when it stops"),
        ("slow", &["--stop-timeout", "300"], "may take 300 s to stop"),
    ];
    for (name, options, why) in more {
        let options = [&["-v", "data:/data"], options].concat();
        engine.run_container(name, &options, &["sleep", "600"])?;
        let backup = [
            "backup",
            "data",
            "--to",
            &store,
            "--create",
            "--consistency",
        ];
        let refused = run(cli, &[&backup[..], &["stop"]].concat())?;
        assert_eq!(refused.code(), Some(1), "{refused:?}");
        says(&refused.stderr, &[&format!("container {name} "), why])?;
        for container in ["app", name] {
            assert_eq!(state(engine, container)?, "running");
        }
        run(cli, &[&backup[..], &["pause"]].concat())?.ok()?;
        engine.docker(["rm", "-f", name])?;
    }
    Ok(())
}

fn a_backup_that_is_killed_leaves_no_container_paused(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let (process, job) = halted(engine, cli, &["--consistency", "pause"])?;
    process.kill()?;
    is(engine, "app", "running")?;
    signal(job, Signal::CONT)?;
    // Nothing is left of it: the next backup is as the first one.
    let store = cli.file("store").display().to_string();
    let next = run(
        cli,
        &[
            "backup",
            "data",
            "--to",
            &store,
            "--create",
            "--consistency",
            "stop",
        ],
    )?;
    assert_eq!(next.stderr, "", "{next:?}");
    assert_eq!(next.code(), Some(0), "{next:?}");
    assert_eq!(state(engine, "app")?, "running");
    Ok(())
}

fn what_even_the_guard_could_not_put_back_is_put_back_by_the_next_backup(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let (process, job) = halted(engine, cli, &["--consistency", "stop"])?;
    let pid = process.pid();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    for child in children.split_whitespace() {
        signal(child.parse()?, Signal::KILL)?;
    }
    process.kill()?;
    assert_eq!(state(engine, "app")?, "exited");
    let _ = job;
    let store = cli.file("store").display().to_string();
    let next = run(cli, &["backup", "data", "--to", &store, "--create"])?;
    says(
        &next.stderr,
        &["a backup of volume data was cut off; its containers run again: app"],
    )?;
    assert_eq!(state(engine, "app")?, "running");
    Ok(())
}

fn a_downtime_that_is_too_long_ends_the_backup(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let limit = ["--consistency", "pause", "--max-downtime", "3s"];
    let (process, _) = halted(engine, cli, &limit)?;
    let end = process.wait(SOON)?;
    assert_eq!(end.code(), Some(1));
    says(&process.log(), &["--max-downtime", "no snapshot was made"])?;
    assert_eq!(state(engine, "app")?, "running");
    Ok(())
}
