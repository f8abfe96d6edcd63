//! The journal: to be looked at while somebody writes it, and written by one process alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::Result;
use dockfleet_e2e::{Engine, eventually};
use serde_json::Value;

use crate::cli_env::{CliEnv, SOON, on_each_engine, says, text};
use crate::{have, manifest};

on_each_engine!(
    the_journal_can_be_read_while_watch_runs,
    while_watch_runs_others_look_and_do_not_apply,
    the_journal_is_found_in_the_folder_of_all,
    a_lost_journal_makes_nothing_double_and_removes_nothing,
);

fn records(cli: &CliEnv) -> Result<Vec<Value>> {
    let journal = cli.journal()?.display().to_string();
    let printed = cli.run(&["journal", &journal, "-o", "json"])?.ok()?;
    let printed: Value = serde_json::from_str(&printed)?;
    assert_eq!(printed["failures"], serde_json::json!([]));
    Ok(printed["results"].as_array().cloned().unwrap_or_default())
}

fn the_journal_is_found_in_the_folder_of_all(_: &Engine, cli: &CliEnv) -> Result<()> {
    cli.apply(&manifest::network("front", ""))?.all_ready()?;
    let state = cli.state_dir().display().to_string();
    let host = cli.journal()?.display().to_string();
    let by_variable = cli.run(&["journal"])?.ok()?;
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
        assert_eq!(cli.run(args)?.ok()?, by_variable, "{args:?}");
    }
    // Of several each row says which.
    let other = cli.state_dir().join("other-host");
    let file = cli.journal()?.join("journal.db");
    fs::create_dir(&other)?;
    fs::copy(file, other.join("journal.db"))?;
    let both = cli.run(&["journal"])?.ok()?;
    assert_eq!(both.matches("default/front").count(), 2, "{both}");
    says(&both, &["JOURNAL", "local-", "other-host"])
}

fn the_journal_can_be_read_while_watch_runs(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let yaml = manifest::network("front", "networkName: front-net") + &manifest::volume("data", "");
    let watch = cli.watch(&yaml)?;
    let found = eventually("two records", SOON, || {
        let found = records(cli).map_err(|e| e.to_string())?;
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

    let journal = cli.journal()?;
    let table = cli
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

    let none = cli.run(&["journal", "/nowhere"])?;
    assert_eq!(none.code(), Some(1), "{none:?}");
    says(&none.stderr, &["/nowhere"])
}

fn while_watch_runs_others_look_and_do_not_apply(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let yaml = manifest::network("front", "");
    let watch = cli.watch(&yaml)?;
    eventually("the first pass", SOON, || {
        says(&watch.log(), &["1 change made"]).map_err(|e| e.to_string())
    })?;
    cli.report(&["get"])?.all_ready()?;
    cli.report(&["diff", "-f", "all.yaml"])?.ended_with(0)?;
    cli.write("more.yaml", &manifest::network("more", ""))?;
    for command in ["apply", "delete"] {
        let args = [command, "-f", "more.yaml", "--lock-timeout", "0s"];
        let report = cli.report(&args)?.ended_with(1)?;
        says(
            &report.failure("local")?,
            &["is locked by", &watch.pid().to_string()],
        )?;
    }
    assert!(!have::has_network(engine, "more")?);
    Ok(())
}

fn a_lost_journal_makes_nothing_double_and_removes_nothing(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let yaml = manifest::network("front", "") + &manifest::volume("data", "deletionPolicy: Delete");
    cli.apply(&yaml)?.all_ready()?;
    let before = have::everything(engine)?;
    fs::remove_dir_all(cli.state_dir())?;
    // Without a record there is no permission, whatever the labels say (1).
    cli.with(
        &manifest::network("other", "suspend: true"),
        &["apply", "--prune", "--yes"],
    )?;
    cli.delete(&yaml)?;
    assert_eq!(have::everything(engine)?, before);
    // The labels say whose they are: they are taken up again.
    let report = cli.apply(&yaml)?.all_ready()?;
    assert_eq!(report.changed(), Some(0));
    assert_eq!(have::everything(engine)?, before);
    cli.is_settled(&yaml)
}
