//! An engine that goes away or hangs in the middle.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Result, ensure};
use dockfleet_e2e::{Engine, eventually};

use crate::cli_env::{CliEnv, Report, SOON, on_each_engine, says, text};
use crate::{have, manifest};

on_each_engine!(
    an_engine_killed_in_the_middle_leaves_nothing_double_or_lost,
    a_program_killed_in_the_middle_leaves_nothing_double_or_lost,
    an_engine_that_hangs_is_an_error_and_not_a_wait_for_ever,
    watch_outlives_a_restart_of_the_engine,
);

const MANY: usize = 30;

fn many() -> String {
    let network = |n| manifest::subnet(&format!("net{n}"), &format!("10.80.{n}.0/24"), "");
    let volume = |n| manifest::volume(&format!("vol{n}"), "");
    (0..MANY)
        .map(network)
        .chain((0..MANY).map(volume))
        .collect()
}

/// Waits until some networks are made, and not all of them.
fn in_the_middle(engine: &Engine) -> Result<()> {
    let made = eventually("the first networks", SOON, || {
        let made = have::network_ids(engine).map_err(|e| e.to_string())?.len();
        if made < 3 {
            Err(format!("{made} networks"))
        } else {
            Ok(made)
        }
    })?;
    ensure!(made < MANY, "it was over too soon");
    Ok(())
}

/// Networks by their names, as far as they were made.
type Made = BTreeMap<String, Vec<String>>;

fn made(engine: &Engine) -> Result<Made> {
    let made = have::network_ids(engine)?;
    ensure!(made.len() < MANY, "{} networks were made", made.len());
    Ok(made)
}

/// What was there is still there.
fn is_kept(engine: &Engine, before: &Made) -> Result<()> {
    let after = have::network_ids(engine)?;
    for (name, ids) in before {
        assert_eq!(after.get(name), Some(ids), "{name} was there");
    }
    Ok(())
}

/// Everything is there, once.
fn is_complete(engine: &Engine, cli: &CliEnv, yaml: &str) -> Result<()> {
    let after = have::network_ids(engine)?;
    assert_eq!(after.len(), MANY);
    assert!(after.values().all(|ids| ids.len() == 1), "{after:?}");
    assert_eq!(have::volume_names(engine)?.len(), MANY);
    cli.is_settled(yaml)
}

fn an_engine_killed_in_the_middle_leaves_nothing_double_or_lost(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let yaml = many();
    cli.write("all.yaml", &yaml)?;
    let command = cli.command(&["apply", "-f", "all.yaml"]);
    let apply = cli.program().spawn_command(&command, None)?;
    in_the_middle(engine)?;
    engine.kill()?;
    let status = apply.wait(SOON)?;
    assert_eq!(status.code(), Some(1), "{}", apply.log());
    says(&apply.log(), &["EngineUnreachable"])?;
    engine.start_again()?;
    let before = made(engine)?;
    let report = cli.apply(&yaml)?;
    is_kept(engine, &before)?;
    let cleared = clear_up_after_the_engine(engine, &report)?;
    cli.apply(&yaml)?.all_ready()?;
    if cleared == Cleared::VolumesAlone {
        is_kept(engine, &before)?;
    }
    is_complete(engine, cli, &yaml)
}

/// What a person had to take from an engine by hand.
#[derive(PartialEq, Eq)]
enum Cleared {
    /// Volumes at the most.
    VolumesAlone,
    /// Its memory of networks.
    Networks,
}

/// Does what the messages ask a person to do: an engine that is killed while it makes something may be
/// left with the half of it.
fn clear_up_after_the_engine(engine: &Engine, report: &Report) -> Result<Cleared> {
    let mut cleared = Cleared::VolumesAlone;
    for row in report.rows().iter().filter(|r| r["state"] != "Ready") {
        let (name, message) = (text(&row["object"]), text(&row["message"]));
        if row["reason"] == "Conflict" {
            // Nothing tells whose a volume without labels is.
            let labels = &have::volume(engine, &name)?["Labels"];
            let none = labels.as_object().is_none_or(serde_json::Map::is_empty);
            ensure!(none, "{row}: {labels}");
            engine.docker(["volume", "rm", &name])?;
        } else {
            says(
                &message,
                &["it was killed while it created network", "does not list"],
            )?;
            ensure!(!have::has_network(engine, &name)?, "{row}");
            engine.stop()?;
            fs::remove_file(engine.data_root().join("network/files/local-kv.db"))?;
            engine.start_again()?;
            cleared = Cleared::Networks;
        }
    }
    Ok(cleared)
}

fn a_program_killed_in_the_middle_leaves_nothing_double_or_lost(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let yaml = many();
    cli.write("all.yaml", &yaml)?;
    let command = cli.command(&["apply", "-f", "all.yaml"]);
    let apply = cli.program().spawn_command(&command, None)?;
    in_the_middle(engine)?;
    apply.kill()?;
    let before = made(engine)?;
    cli.apply(&yaml)?.all_ready()?;
    is_kept(engine, &before)?;
    is_complete(engine, cli, &yaml)
}

fn an_engine_that_hangs_is_an_error_and_not_a_wait_for_ever(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let yaml = manifest::network("front", "");
    engine.pause()?;
    let report = cli.apply(&yaml)?.ended_with(1)?;
    says(
        &report.failure("local")?,
        &["no answer within 10 s", "docker.sock"],
    )?;
    engine.resume()?;
    assert!(!have::has_network(engine, "front")?);
    cli.apply(&yaml)?.all_ready()?;
    Ok(())
}

fn watch_outlives_a_restart_of_the_engine(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let watch = cli.watch(&manifest::network("front", ""))?;
    let comes = || {
        eventually("the network", SOON, || {
            match have::has_network(engine, "front") {
                Ok(true) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .map_err(|e| e.context(watch.log()))
    };
    comes()?;
    let id = have::network_id(engine, "front")?;
    engine.stop()?;
    eventually("a word about the engine", SOON, || {
        says(&watch.log(), &["EngineUnreachable"]).map_err(|e| e.to_string())
    })?;
    engine.start_again()?;
    assert_eq!(
        have::network_id(engine, "front")?,
        id,
        "it was not asked for again"
    );
    have::remove(engine, "/networks/front")?;
    comes()?;
    assert!(watch.is_running());
    Ok(())
}
