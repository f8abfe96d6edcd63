//! Resources that are only looked at: nothing on the host is ever changed for them.

use anyhow::Result;
use dockfleet_e2e::Engine;
use serde_json::json;

use crate::cli_env::{CliEnv, on_each_engine, says};
use crate::{have, manifest};

on_each_engine!(
    an_observed_resource_is_compared_and_never_touched,
    a_suspended_resource_is_not_made_changed_or_taken_over,
    what_is_suspended_is_let_go_of_and_not_removed,
    what_is_observed_is_not_removed_either,
);

fn an_observed_resource_is_compared_and_never_touched(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let body = json!({"Name": "same", "Options": {"com.docker.network.driver.mtu": "1400"}});
    have::make_network(engine, &body)?;
    have::make_network(engine, &json!({"Name": "different"}))?;
    have::make_volume(engine, &json!({"Name": "data"}))?;
    let before = have::everything(engine)?;
    let policies = "managementPolicy: Observe\nadoptionPolicy: Force\nupdatePolicy: WhenUnused\n\
                    bridge: {mtu: 1400}";
    let network = |name| manifest::network(name, policies);
    let yaml = [
        network("same"),
        network("different"),
        network("absent"),
        manifest::volume("data", "managementPolicy: Observe\nadoptionPolicy: Force"),
        manifest::volume("no-data", "managementPolicy: Observe"),
    ]
    .concat();
    for _ in 0..2 {
        let report = cli.apply(&yaml)?.ended_with(1)?;
        assert_eq!(report.changed(), Some(0));
        assert_eq!(report.row("same")?["state"], "Ready");
        assert_eq!(report.row("data")?["state"], "Ready");
        let message = report.stands("different", "Drifted", "Drifted")?;
        says(
            &message,
            &["managementPolicy is Observe", "want 1400, have nothing"],
        )?;
        for name in ["absent", "no-data"] {
            says(
                &report.stands(name, "Drifted", "Missing")?,
                &["managementPolicy is Observe"],
            )?;
        }
        assert_eq!(have::everything(engine)?, before);
    }
    cli.delete(&yaml)?.ended_with(0)?;
    assert_eq!(have::everything(engine)?, before);
    Ok(())
}

fn a_suspended_resource_is_not_made_changed_or_taken_over(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    have::make_network(engine, &json!({"Name": "theirs"}))?;
    let changed = |mtu: u16, more: &str| {
        let spec = format!("updatePolicy: WhenUnused\nbridge: {{mtu: {mtu}}}\n{more}");
        manifest::network("changed", &spec)
    };
    let removed = |more: &str| manifest::network("removed", more);
    cli.apply(&(changed(1400, "") + &removed("")))?
        .all_ready()?;
    have::remove(engine, "/networks/removed")?;
    let before = have::everything(engine)?;

    let suspend = "suspend: true";
    let more = |more: &str| {
        [
            changed(1300, more),
            removed(more),
            manifest::network("new", more),
            manifest::volume("data", more),
            manifest::network("theirs", &format!("adoptionPolicy: IfMatching\n{more}")),
        ]
        .concat()
    };
    for _ in 0..2 {
        let report = cli.apply(&more(suspend))?.ended_with(1)?;
        assert_eq!(report.changed(), Some(0));
        report.stands("changed", "Drifted", "Suspended")?;
        for name in ["removed", "new", "data", "theirs"] {
            says(
                &report.stands(name, "Pending", "Suspended")?,
                &["suspend is true"],
            )?;
        }
        assert_eq!(have::everything(engine)?, before);
    }
    // Then all of it is done.
    cli.apply(&more(""))?.all_ready()?;
    cli.is_settled(&more(""))
}

fn what_is_suspended_is_let_go_of_and_not_removed(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let spec = "suspend: true\ndeletionPolicy: Delete";
    let plain = manifest::network("front", "") + &manifest::volume("data", "");
    cli.apply(&plain)?.all_ready()?;
    let before = have::everything(engine)?;
    let yaml = manifest::network("front", spec) + &manifest::volume("data", spec);
    cli.apply(&yaml)?.all_ready()?;
    let report = cli.delete(&yaml)?.ended_with(0)?;
    for name in ["front", "data"] {
        report.stands(name, "Gone", "Retained")?;
    }
    assert_eq!(have::everything(engine)?, before);
    Ok(())
}

fn what_is_observed_is_not_removed_either(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let ours = manifest::network("front", "");
    cli.apply(&ours)?.all_ready()?;
    let before = have::everything(engine)?;
    let yaml = manifest::network("front", "managementPolicy: Observe\ndeletionPolicy: Delete");
    cli.apply(&yaml)?.all_ready()?;
    let nothing = manifest::network("other", "");
    cli.with(&nothing, &["apply", "--prune", "--yes"])?
        .ended_with(0)?;
    assert_eq!(have::network(engine, "front")?, before.0[0]);
    Ok(())
}
