//! The journal: to be looked at while somebody writes it, and written by one process alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::Result;
use dockfleet_e2e::{Engine, eventually};
use serde_json::Value;

use crate::desk::{Desk, SOON, on_each_engine, says, text};
use crate::{have, manifest};

on_each_engine!(
    the_journal_can_be_read_while_watch_runs,
    while_watch_runs_others_look_and_do_not_apply,
    a_second_apply_at_the_same_time_is_refused,
    a_lost_journal_makes_nothing_double_and_removes_nothing,
);

fn records(desk: &Desk) -> Result<Vec<Value>> {
    let journal = desk.journal()?.display().to_string();
    let printed = desk.run(&["journal", &journal, "-o", "json"])?.ok()?;
    Ok(serde_json::from_str(&printed)?)
}

fn the_journal_can_be_read_while_watch_runs(engine: &Engine, desk: &Desk) -> Result<()> {
    let yaml = manifest::network("front", "networkName: front-net") + &manifest::volume("data", "");
    let watch = desk.watch(&yaml)?;
    let found = eventually("two records", SOON, || {
        let found = records(desk).map_err(|e| e.to_string())?;
        let owned = found
            .iter()
            .filter(|r| r["stage"] == "Owned" && r["wasReady"] == true);
        if owned.count() == 2 {
            Ok(found)
        } else {
            Err(format!("{found:?}"))
        }
    })?;
    let of = |name: &str| {
        found
            .iter()
            .find(|r| r["name"] == name)
            .cloned()
            .unwrap_or_default()
    };
    let front = of("front");
    assert_eq!(front["object"], "front-net");
    assert_eq!(front["id"], have::network_id(engine, "front-net")?);
    assert_eq!(front["adopted"], false);
    let label = &have::volume(engine, "data")?["Labels"]["io.dockfleet.volume-id"];
    assert_eq!(of("data")["id"], *label);

    let journal = desk.journal()?;
    let table = desk
        .run(&["journal", &journal.display().to_string()])?
        .ok()?;
    says(
        &table,
        &[
            "KIND",
            "default/front",
            "front-net",
            "Owned",
            &text(&front["id"])[..12],
        ],
    )?;
    assert!(watch.is_running());
    let mode = fs::metadata(&journal)?.permissions().mode();
    assert_eq!(mode & 0o77, 0, "others have no business in it: {mode:o}");

    let none = desk.run(&["journal", "/nowhere"])?;
    assert_eq!(none.code(), Some(1), "{none:?}");
    says(&none.stderr, &["/nowhere"])
}

fn while_watch_runs_others_look_and_do_not_apply(engine: &Engine, desk: &Desk) -> Result<()> {
    let yaml = manifest::network("front", "");
    let watch = desk.watch(&yaml)?;
    eventually("the first pass", SOON, || {
        says(&watch.log(), &["1 change made"]).map_err(|e| e.to_string())
    })?;
    desk.report(&["get"])?.all_ready()?;
    desk.report(&["diff", "-f", "all.yaml"])?.ended_with(0)?;
    desk.write("more.yaml", &manifest::network("more", ""))?;
    for command in ["apply", "delete"] {
        let report = desk.report(&[command, "-f", "more.yaml"])?.ended_with(1)?;
        says(
            &report.failure("local")?,
            &["is held by", &watch.pid().to_string()],
        )?;
    }
    assert!(!have::has_network(engine, "more")?);
    Ok(())
}

fn a_second_apply_at_the_same_time_is_refused(engine: &Engine, desk: &Desk) -> Result<()> {
    let yaml = manifest::network("front", "");
    desk.write("all.yaml", &yaml)?;
    // Whoever comes first waits for the engine, which does not answer.
    engine.pause()?;
    let start = || {
        let command = desk.command(&["apply", "-f", "all.yaml"]);
        desk.program().spawn_command(&command, None)
    };
    let both = [start()?, start()?];
    let refused = eventually("the refusal of one", SOON, || {
        let ended = both.iter().position(|p| !p.is_running());
        ended.ok_or_else(|| "both run".to_owned())
    })?;
    engine.resume()?;
    let status = both.map(|p| (p.wait(SOON).map(|s| s.code()), p.log()));
    let (code, log) = &status[refused];
    assert_eq!(code.as_ref().ok(), Some(&Some(1)), "{log}");
    says(log, &["host local", "is held by", "process id"])?;
    let (code, log) = &status[1 - refused];
    assert_eq!(code.as_ref().ok(), Some(&Some(0)), "{log}");
    assert_eq!(have::network_ids(engine)?.len(), 1);
    Ok(())
}

fn a_lost_journal_makes_nothing_double_and_removes_nothing(
    engine: &Engine,
    desk: &Desk,
) -> Result<()> {
    let yaml = manifest::network("front", "") + &manifest::volume("data", "deletionPolicy: Delete");
    desk.apply(&yaml)?.all_ready()?;
    let before = have::everything(engine)?;
    fs::remove_dir_all(desk.state_dir())?;
    // Without a record there is no permission, whatever the labels say (1).
    desk.with(
        &manifest::network("other", "suspend: true"),
        &["apply", "--prune", "--yes"],
    )?;
    desk.delete(&yaml)?;
    assert_eq!(have::everything(engine)?, before);
    // The labels say whose they are: they are taken up again.
    let report = desk.apply(&yaml)?.all_ready()?;
    assert_eq!(report.changed(), Some(0));
    assert_eq!(have::everything(engine)?, before);
    desk.is_settled(&yaml)
}
