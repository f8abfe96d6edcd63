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
    the_journal_is_found_in_the_folder_of_all,
    a_lost_journal_makes_nothing_double_and_removes_nothing,
);

fn records(desk: &Desk) -> Result<Vec<Value>> {
    let journal = desk.journal()?.display().to_string();
    let printed = desk.run(&["journal", &journal, "-o", "json"])?.ok()?;
    let printed: Value = serde_json::from_str(&printed)?;
    assert_eq!(printed["failures"], serde_json::json!([]));
    Ok(printed["results"].as_array().cloned().unwrap_or_default())
}

fn the_journal_is_found_in_the_folder_of_all(_: &Engine, desk: &Desk) -> Result<()> {
    desk.apply(&manifest::network("front", ""))?.all_ready()?;
    let state = desk.state_dir().display().to_string();
    let host = desk.journal()?.display().to_string();
    let by_variable = desk.run(&["journal"])?.ok()?;
    says(&by_variable, &["default/front"])?;
    assert!(
        !by_variable.contains("JOURNAL"),
        "there is one: {by_variable}"
    );
    for args in [
        &["journal", &state][..],
        &["journal", &host],
        &["journal", "--state-dir", &state],
    ] {
        assert_eq!(desk.run(args)?.ok()?, by_variable, "{args:?}");
    }
    // Of several each row says which.
    let other = desk.state_dir().join("other-host");
    let file = desk.journal()?.join("journal.db");
    fs::create_dir(&other)?;
    fs::copy(file, other.join("journal.db"))?;
    let both = desk.run(&["journal"])?.ok()?;
    assert_eq!(both.matches("default/front").count(), 2, "{both}");
    says(&both, &["JOURNAL", "local-", "other-host"])
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
        let args = [command, "-f", "more.yaml", "--lock-timeout", "0s"];
        let report = desk.report(&args)?.ended_with(1)?;
        says(
            &report.failure("local")?,
            &["is held by", &watch.pid().to_string()],
        )?;
    }
    assert!(!have::has_network(engine, "more")?);
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
