//! Commands that wait: for another command, for containers, for a person who interrupts them.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::{Engine, Generation, eventually};

use crate::cli_env::{CliEnv, SOON, on_each_engine, says, solo};
use crate::{have, manifest};

on_each_engine!(
    a_second_apply_at_the_same_time_waits_for_the_first,
    delete_waits_for_containers_when_it_is_told_to,
    an_interrupted_apply_says_what_it_did_and_goes_on,
);

fn a_second_apply_at_the_same_time_waits_for_the_first(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    cli.write("all.yaml", &manifest::network("front", ""))?;
    // The first one waits for the engine, which does not answer.
    engine.pause()?;
    let start = || {
        let command = cli.command(&["apply", "-f", "all.yaml"]);
        cli.program().spawn_command(&command, None)
    };
    let first = start()?;
    // No other process may take the lock before the first one, not even to look.
    eventually("the first one holds the journal", SOON, || {
        let journal = cli.journal().map_err(|e| e.to_string())?;
        let owner = fs::read_to_string(journal.join("lock")).map_err(|e| e.to_string())?;
        if owner == first.pid().to_string() {
            return Ok(());
        }
        Err(format!("its lock belongs to process {owner:?}"))
    })?;
    let report = cli.report(&["apply", "-f", "all.yaml", "--lock-timeout", "0s"])?;
    let who = format!(
        "is locked by another dockfleet process with process ID {}",
        first.pid()
    );
    says(&report.failure("local")?, &[&who])?;
    let second = start()?;
    eventually("the second one says that it waits", SOON, || {
        let words = ["local: another dockfleet", "up to 30 s"];
        says(&second.log(), &words).map_err(|e| e.to_string())
    })?;
    engine.resume()?;
    for (process, changes) in [(first, "1 change made"), (second, "nothing changed")] {
        let status = process.wait(SOON)?;
        assert_eq!(status.code(), Some(0), "{}", process.log());
        says(&process.log(), &[changes])?;
    }
    assert_eq!(have::network_ids(engine)?.len(), 1);
    Ok(())
}

fn delete_waits_for_containers_when_it_is_told_to(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let yaml = manifest::network("used", "") + &manifest::network("free", "");
    cli.apply(&yaml)?.all_ready()?;
    engine.import_busybox()?;
    engine.run_container("box", &["--network", "used"], &[])?;
    // The first pass is a part of this time.
    let briefly = ["delete", "--wait", "--timeout", "5s", "-f", "all.yaml"];
    let report = cli.report(&briefly)?.ended_with(1)?;
    report.stands("free", "Gone", "Removed")?;
    report.stands("used", "Pending", "InUse")?;
    says(
        &report.stderr,
        &["local: waits for network used: in use by box"],
    )?;

    let command = cli.command(&["delete", "--wait", "-f", "all.yaml"]);
    let delete = cli.program().spawn_command(&command, None)?;
    eventually("it waits", SOON, || {
        says(&delete.log(), &["waits for network used"]).map_err(|e| e.to_string())
    })?;
    engine.docker(["rm", "--force", "box"])?;
    let status = delete.wait(SOON)?;
    assert_eq!(status.code(), Some(0), "{}", delete.log());
    says(&delete.log(), &["1 removed; 1 change made"])?;
    assert!(have::network_ids(engine)?.is_empty());
    Ok(())
}

fn an_interrupted_apply_says_what_it_did_and_goes_on(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let all: String = (0..200)
        .map(|i| manifest::volume(&format!("v{i:03}"), ""))
        .collect();
    cli.write("all.yaml", &all)?;
    let command = cli.command(&["apply", "-f", "all.yaml"]);
    let apply = cli.program().spawn_command(&command, None)?;
    eventually("some are made", SOON, || {
        match have::volume_names(engine).map_err(|e| e.to_string())?.len() {
            0 => Err("none".to_owned()),
            _ => Ok(()),
        }
    })?;
    let status = apply.terminate(SOON)?;
    let log = apply.log();
    let made = have::volume_names(engine)?.len();
    ensure!(made > 0, "{log}");
    if made < 200 {
        assert_eq!(status.code(), Some(1), "{log}");
        let result = format!("{made} ready, {} pending; {made} change", 200 - made);
        let hint = "finished actions stay; run the same command again to continue";
        says(&log, &[&result, hint])?;
    }
    let report = cli.report(&["apply", "-f", "all.yaml"])?.all_ready()?;
    assert_eq!(
        report.changed().context("changes")?,
        200 - u64::try_from(made)?
    );
    Ok(())
}

/// A cluster has room for 256 on a host.
#[test]
fn two_thousand_volumes_have_room() -> Result<()> {
    let engine = solo(Generation::Newest)?;
    let cli = CliEnv::at(&engine)?;
    for part in 0..4 {
        let some: String = (0..500)
            .map(|i| manifest::volume(&format!("v{part}{i:03}"), "deletionPolicy: Delete"))
            .collect();
        cli.write(&format!("all/{part}.yaml"), &some)?;
    }
    let long = Duration::from_mins(5);
    for (command, there) in [("apply", 2000), ("delete", 0)] {
        let command = cli.command(&[command, "-f", "all"]);
        let process = cli.program().spawn_command(&command, None)?;
        let status = process.wait(long)?;
        assert_eq!(status.code(), Some(0), "{}", process.log());
        assert_eq!(have::volume_names(&engine)?.len(), there);
    }
    Ok(())
}
