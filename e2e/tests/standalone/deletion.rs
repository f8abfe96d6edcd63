//! Letting go: by policy, never while something uses it, and never of more than was named.

use std::fs;
use std::path::Path;

use anyhow::Result;
use dockfleet_e2e::{Engine, Generation};
use serde_json::json;

use crate::cli_env::{CliEnv, on_each_engine, says, solo, text};
use crate::{have, manifest};

on_each_engine!(
    networks_go_and_volumes_stay_unless_told_otherwise,
    a_network_in_use_stays_until_its_containers_are_gone,
    a_volume_in_use_stays_until_its_containers_are_gone,
    what_could_not_go_yet_can_be_kept_after_all,
    a_retained_volume_is_taken_up_again_with_its_data,
    a_deletion_of_other_files_touches_nothing,
    what_is_gone_already_is_gone,
    what_another_journal_holds_is_told_of,
);

fn networks_go_and_volumes_stay_unless_told_otherwise(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let yaml = [
        manifest::network("goes", ""),
        manifest::network("stays", "deletionPolicy: Retain"),
        manifest::volume("kept", ""),
        manifest::volume("removed", "deletionPolicy: Delete"),
    ]
    .concat();
    cli.apply(&yaml)?.all_ready()?;
    let stays = have::network(engine, "stays")?;
    let kept = have::volume(engine, "kept")?;

    let dry = cli.with(&yaml, &["delete", "--dry-run"])?.ended_with(0)?;
    for (name, action) in [
        ("goes", "remove"),
        ("stays", "retain"),
        ("kept", "retain"),
        ("removed", "remove"),
    ] {
        assert_eq!(dry.row(name)?["action"], action, "{name}");
    }
    assert_eq!(
        have::volume_names(engine)?,
        ["kept", "removed"],
        "a dry run"
    );
    assert!(have::has_network(engine, "goes")?, "a dry run");

    let report = cli.delete(&yaml)?.ended_with(0)?;
    assert_eq!(report.changed(), Some(2));
    report.stands("goes", "Gone", "Removed")?;
    report.stands("removed", "Gone", "Removed")?;
    says(
        &report.stands("stays", "Gone", "Retained")?,
        &["stays on the host"],
    )?;
    says(
        &report.stands("kept", "Gone", "Retained")?,
        &["stays on the host"],
    )?;
    assert!(!have::has_network(engine, "goes")?);
    assert_eq!(have::volume_names(engine)?, ["kept"]);
    assert_eq!(have::network(engine, "stays")?, stays, "labels included");
    assert_eq!(have::volume(engine, "kept")?, kept, "labels included");
    assert_eq!(kept["Labels"]["io.dockfleet.name"], "kept");
    Ok(())
}

/// Deletes `yaml` while containers `running` and `idle` use its only object, and after each of them
/// is gone.
fn goes_only_when_unused(
    engine: &Engine,
    cli: &CliEnv,
    yaml: &str,
    is_there: impl Fn() -> Result<bool>,
) -> Result<()> {
    for user in ["running", "idle"] {
        for _ in 0..2 {
            let report = cli.delete(yaml)?.ended_with(1)?;
            assert_eq!(report.changed(), Some(0), "{user}");
            let message = report.stands("used", "Pending", "InUse")?;
            says(&message, &[user])?;
            assert!(is_there()?, "{user} uses it");
        }
        engine.docker(["rm", "--force", user])?;
    }
    let report = cli.delete(yaml)?.ended_with(0)?;
    assert_eq!(report.changed(), Some(1));
    report.stands("used", "Gone", "Removed")?;
    assert!(!is_there()?);
    Ok(())
}

fn a_network_in_use_stays_until_its_containers_are_gone(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let yaml = manifest::network("used", "");
    cli.apply(&yaml)?.all_ready()?;
    engine.import_busybox()?;
    engine.run_container("running", &["--network", "used"], &[])?;
    // The engine would let the network go from under this one, and it would never start again.
    engine.docker([
        "create",
        "--network",
        "used",
        "--name",
        "idle",
        "busybox:local",
    ])?;
    goes_only_when_unused(engine, cli, &yaml, || have::has_network(engine, "used"))
}

fn a_volume_in_use_stays_until_its_containers_are_gone(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let yaml = manifest::volume("used", "deletionPolicy: Delete");
    cli.apply(&yaml)?.all_ready()?;
    engine.import_busybox()?;
    let mount = ["--network", "none", "-v", "used:/data"];
    engine.run_container("running", &mount, &[])?;
    let create = [
        &["create", "--name", "idle"],
        &mount[..],
        &["busybox:local"],
    ]
    .concat();
    engine.docker(create)?;
    goes_only_when_unused(engine, cli, &yaml, || have::has_volume(engine, "used"))
}

fn what_could_not_go_yet_can_be_kept_after_all(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let yaml = manifest::network("used", "");
    cli.apply(&yaml)?.all_ready()?;
    let id = have::network_id(engine, "used")?;
    engine.import_busybox()?;
    engine.run_container("running", &["--network", "used"], &[])?;
    cli.delete(&yaml)?.ended_with(1)?;
    cli.apply(&yaml)?.all_ready()?;
    engine.docker(["rm", "--force", "running"])?;
    cli.is_settled(&yaml)?;
    assert_eq!(
        have::network_id(engine, "used")?,
        id,
        "the deletion is void"
    );
    Ok(())
}

fn a_retained_volume_is_taken_up_again_with_its_data(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let yaml = manifest::volume("data", "labels: {team: shop}");
    cli.apply(&yaml)?.all_ready()?;
    let mountpoint = text(&have::volume(engine, "data")?["Mountpoint"]);
    let note = Path::new(&mountpoint).join("note");
    fs::write(&note, "kept")?;
    // Only now: what Engine 20.10 calls the creation moves with the content.
    let before = have::volume(engine, "data")?;
    cli.delete(&yaml)?.ended_with(0)?;
    let report = cli.apply(&yaml)?.all_ready()?;
    assert_eq!(report.changed(), Some(0));
    assert_eq!(have::volume(engine, "data")?, before);
    assert_eq!(fs::read_to_string(note)?, "kept");
    cli.is_settled(&yaml)?;

    // It is ours as it was before: with the other policy it goes.
    let yaml = manifest::volume("data", "labels: {team: shop}\ndeletionPolicy: Delete");
    cli.apply(&yaml)?.all_ready()?;
    cli.delete(&yaml)?.ended_with(0)?;
    assert!(!have::has_volume(engine, "data")?);
    Ok(())
}

fn a_deletion_of_other_files_touches_nothing(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let ours = manifest::network("ours", "") + &manifest::volume("data", "deletionPolicy: Delete");
    cli.apply(&ours)?.all_ready()?;
    let before = have::everything(engine)?;
    let report = cli.delete(&manifest::network("other", ""))?;
    assert_eq!(report.changed(), Some(0));
    assert_eq!(have::everything(engine)?, before);
    cli.is_settled(&ours)
}

fn what_is_gone_already_is_gone(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let yaml = manifest::network("front", "") + &manifest::volume("data", "deletionPolicy: Delete");
    cli.apply(&yaml)?.all_ready()?;
    have::remove(engine, "/networks/front")?;
    have::remove(engine, "/volumes/data")?;
    for _ in 0..2 {
        let report = cli.delete(&yaml)?.ended_with(0)?;
        assert_eq!(report.changed(), Some(0));
    }
    assert!(cli.report(&["get"])?.ended_with(0)?.rows().is_empty());
    // The loss of the volume was accepted with its deletion: this is a new one.
    cli.apply(&yaml)?.all_ready()?;
    Ok(())
}

fn what_another_journal_holds_is_told_of(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let yaml = manifest::network("front", "") + &manifest::volume("data", "");
    cli.apply(&yaml)?.all_ready()?;
    engine.docker(["network", "create", "theirs"])?;
    let before = have::everything(engine)?;

    let stranger = CliEnv::at(engine)?;
    let all = yaml.clone() + &manifest::network("theirs", "");
    let report = stranger.delete(&all)?.ended_with(0)?;
    assert_eq!(have::everything(engine)?, before);
    let journal = stranger.journal()?.display().to_string();
    for object in ["network front", "volume data"] {
        says(&report.stderr, &[object, "--state-dir", &journal])?;
    }
    assert_eq!(report.stderr.matches("hint:").count(), 2, "{report:?}");

    // Who holds them is told nothing, also where one of them stays.
    for _ in 0..2 {
        let report = cli.delete(&yaml)?.ended_with(0)?;
        assert_eq!(report.stderr, "");
    }
    assert!(!have::has_network(engine, "front")?);
    assert!(have::has_volume(engine, "data")?);
    Ok(())
}

/// Engines before 25.0 can have two networks of one name.
#[test]
fn what_was_removed_beside_a_double_is_told() -> Result<()> {
    let engine = solo(Generation::Debian20)?;
    let cli = CliEnv::at(&engine)?;
    let yaml = manifest::network("twin", "");
    cli.apply(&yaml)?.all_ready()?;
    let theirs = have::make_network(&engine, &json!({"Name": "twin"}))?;
    let report = cli.delete(&yaml)?.ended_with(0)?;
    assert_eq!(report.changed(), Some(1));
    says(
        &report.stands("twin", "Gone", "Removed")?,
        &[
            "the network of this resource was removed",
            "network twin",
            "stays",
        ],
    )?;
    assert_eq!(have::network_id(&engine, "twin")?, theirs);
    Ok(())
}
