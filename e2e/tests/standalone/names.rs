//! Names that an engine could take for something else.

use anyhow::Result;
use dockfleet_e2e::Engine;

use crate::cli_env::{CliEnv, on_each_engine, says};
use crate::{have, manifest};

on_each_engine!(
    a_name_inside_another_name_is_another_object,
    a_name_that_begins_the_id_of_another_is_just_a_name,
    the_name_on_the_host_cannot_change,
);

fn a_name_inside_another_name_is_another_object(engine: &Engine, cli: &CliEnv) -> Result<()> {
    engine.docker(["network", "create", "data-long"])?;
    engine.docker(["volume", "create", "data-long"])?;
    let before = have::everything(engine)?;
    let yaml = manifest::network("data", "") + &manifest::volume("data", "deletionPolicy: Delete");
    let report = cli.apply(&yaml)?;
    assert_eq!(report.changed(), Some(2));
    cli.is_settled(&yaml)?;
    cli.delete(&yaml)?.ended_with(0)?;
    assert_eq!(have::everything(engine)?, before);
    Ok(())
}

fn a_name_that_begins_the_id_of_another_is_just_a_name(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let theirs = engine.docker(["network", "create", "theirs"])?;
    let before = have::everything(engine)?;
    let yaml = manifest::network("ours", &format!("networkName: '{}'", &theirs[..12]));
    let report = cli.apply(&yaml)?.all_ready()?;
    assert_ne!(report.row("ours")?["id"], theirs.as_str());
    assert_eq!(
        have::network_id(engine, &theirs[..12])?,
        report.row("ours")?["id"]
    );
    cli.is_settled(&yaml)?;
    cli.delete(&yaml)?.ended_with(0)?;
    assert_eq!(have::everything(engine)?, before);
    Ok(())
}

fn the_name_on_the_host_cannot_change(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let named = |name: &str| manifest::network("front", &format!("networkName: {name}"));
    cli.apply(&named("old"))?.all_ready()?;
    let before = have::everything(engine)?;
    let report = cli.apply(&named("new"))?.ended_with(1)?;
    says(
        &report.stands("front", "Failed", "Invalid")?,
        &["old", "new"],
    )?;
    assert_eq!(have::everything(engine)?, before);
    // Deleted first, it can have the other name.
    cli.delete(&named("new"))?.ended_with(0)?;
    cli.apply(&named("new"))?.all_ready()?;
    let all: Vec<_> = have::network_ids(engine)?.into_keys().collect();
    assert_eq!(all, ["new"]);
    Ok(())
}
