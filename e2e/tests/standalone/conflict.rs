//! What exists and is not ours stays as it is, unless the resource says to take it over (3).

use anyhow::Result;
use dockfleet_e2e::{Engine, Generation};
use serde_json::json;

use crate::cli_env::{CliEnv, on_each_engine, says, solo};
use crate::{have, manifest};

on_each_engine!(
    objects_of_others_stay_and_their_owner_is_named,
    a_resource_of_another_folder_is_named_as_owner,
    a_matching_object_is_taken_over_when_allowed,
    a_different_object_is_not_taken_over_as_matching,
    force_takes_over_and_reports_what_differs,
    two_resources_do_not_share_a_name,
);

const COMPOSE: &str = "com.docker.compose.project";

/// A network and a volume that another tool made.
fn make(engine: &Engine) -> Result<()> {
    let labels = json!({COMPOSE: "shop"});
    let network = json!({
        "Name": "front",
        "Labels": labels,
        "Options": {"com.docker.network.driver.mtu": "1400"},
    });
    have::make_network(engine, &network)?;
    let options = json!({"type": "tmpfs", "device": "tmpfs", "o": "size=1m"});
    let volume = json!({"Name": "data", "Labels": labels, "DriverOpts": options});
    have::make_volume(engine, &volume)
}

/// What takes the two for its own: with the same settings, or with others.
fn want(policy: &str, same: bool) -> String {
    let (mtu, size) = if same { (1400, "1m") } else { (1300, "2m") };
    let network = format!("adoptionPolicy: {policy}\nbridge: {{mtu: {mtu}}}");
    let volume = format!(
        "adoptionPolicy: {policy}\noptions: {{type: tmpfs, device: tmpfs, o: size={size}}}"
    );
    manifest::network("front", &network) + &manifest::volume("data", &volume)
}

fn objects_of_others_stay_and_their_owner_is_named(engine: &Engine, cli: &CliEnv) -> Result<()> {
    make(engine)?;
    let before = have::everything(engine)?;
    // Even one that is just as wanted, and a name that is free beside it is used (7).
    let yaml = want("Never", true) + &manifest::network("free", "");
    let report = cli.apply(&yaml)?.ended_with(1)?;
    for (name, object) in [("front", "network front"), ("data", "volume data")] {
        let message = report.stands(name, "Failed", "Conflict")?;
        says(&message, &[object, "compose project shop"])?;
    }
    assert_eq!(report.row("free")?["state"], "Ready");
    have::remove(engine, "/networks/free")?;
    assert_eq!(have::everything(engine)?, before);

    // What was never ours is not let go of either.
    cli.delete(&want("Never", true))?.ended_with(0)?;
    assert_eq!(have::everything(engine)?, before);
    Ok(())
}

fn a_resource_of_another_folder_is_named_as_owner(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let other = CliEnv::at(engine)?;
    let of = |name: &str| {
        let network = format!("networkName: front\nlabels: {{made: for-{name}}}");
        manifest::network(name, &network)
    };
    other.apply(&of("theirs"))?.all_ready()?;
    let before = have::everything(engine)?;
    let report = cli.apply(&of("ours"))?.ended_with(1)?;
    let message = report.stands("ours", "Failed", "Conflict")?;
    says(&message, &["network front", "default/theirs"])?;
    assert_eq!(have::everything(engine)?, before);
    Ok(())
}

fn a_matching_object_is_taken_over_when_allowed(engine: &Engine, cli: &CliEnv) -> Result<()> {
    make(engine)?;
    let before = have::everything(engine)?;
    let yaml = want("IfMatching", true);
    let diff = cli.with(&yaml, &["diff"])?.ended_with(2)?;
    for name in ["front", "data"] {
        assert_eq!(diff.row(name)?["action"], "adopt");
    }
    let report = cli.apply(&yaml)?.all_ready()?;
    assert_eq!(report.changed(), Some(0));
    assert_eq!(
        report.row("front")?["id"],
        have::network_id(engine, "front")?
    );
    assert_eq!(have::everything(engine)?, before);
    cli.is_settled(&yaml)?;

    // Taken over, they are let go of like the rest: the network goes, the volume is retained.
    cli.delete(&yaml)?.ended_with(0)?;
    assert!(!have::has_network(engine, "front")?);
    assert!(have::has_volume(engine, "data")?);
    Ok(())
}

fn a_different_object_is_not_taken_over_as_matching(engine: &Engine, cli: &CliEnv) -> Result<()> {
    make(engine)?;
    let before = have::everything(engine)?;
    let report = cli.apply(&want("IfMatching", false))?.ended_with(1)?;
    let message = report.stands("front", "Failed", "Conflict")?;
    says(&message, &["compose project shop", "1300", "1400"])?;
    // To a create that asks for other options the engine answers 201 and does nothing.
    let message = report.stands("data", "Failed", "Conflict")?;
    says(&message, &["compose project shop", "size=2m", "size=1m"])?;
    let diff = json!([{"field": "options[o]", "want": "size=2m", "have": "size=1m"}]);
    assert_eq!(report.row("data")?["diff"], diff);
    assert_eq!(have::everything(engine)?, before);
    Ok(())
}

fn force_takes_over_and_reports_what_differs(engine: &Engine, cli: &CliEnv) -> Result<()> {
    make(engine)?;
    let before = have::everything(engine)?;
    for _ in 0..2 {
        let report = cli.apply(&want("Force", false))?.ended_with(1)?;
        assert_eq!(report.changed(), Some(0));
        let message = report.stands("front", "Drifted", "Drifted")?;
        says(&message, &["want 1300, have 1400"])?;
        let message = report.stands("data", "Drifted", "Drifted")?;
        says(&message, &["want size=2m, have size=1m"])?;
        assert_eq!(have::everything(engine)?, before);
    }
    Ok(())
}

fn two_resources_do_not_share_a_name(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let of = |name: &str, mtu| {
        let spec = format!("networkName: front\nbridge: {{mtu: {mtu}}}");
        manifest::network(name, &spec)
    };
    let yaml = of("one", 1400) + &of("two", 1300);
    let report = cli.apply(&yaml)?.ended_with(1)?;
    assert_eq!(report.row("one")?["state"], "Ready");
    let message = report.stands("two", "Failed", "Conflict")?;
    says(&message, &["front", "default/one"])?;
    let made = have::network(engine, "front")?;
    assert_eq!(made["Options"]["com.docker.network.driver.mtu"], "1400");
    Ok(())
}

#[test]
fn networks_of_one_name_on_20_are_reported_and_none_is_removed() -> Result<()> {
    let engine = solo(Generation::Debian20)?;
    let cli = CliEnv::at(&engine)?;
    // Two that others made, and one beside ours.
    let body = json!({"Name": "twin"});
    let mut others = vec![
        have::make_network(&engine, &body)?,
        have::make_network(&engine, &body)?,
    ];
    let ours = manifest::network("ours", "");
    cli.apply(&ours)?.all_ready()?;
    let mut pair = vec![
        have::network_id(&engine, "ours")?,
        have::make_network(&engine, &json!({"Name": "ours"}))?,
    ];
    let before = have::everything(&engine)?;

    let yaml = ours + &manifest::network("twin", "adoptionPolicy: Force");
    let report = cli.apply(&yaml)?.ended_with(1)?;
    assert_eq!(report.changed(), Some(0));
    for (name, ids) in [("twin", &mut others), ("ours", &mut pair)] {
        let message = report.stands(name, "Failed", "Conflict")?;
        for id in ids.iter() {
            says(&message, &[&id[..12]])?;
        }
        let mut found = have::network_ids(&engine)?.remove(name).unwrap_or_default();
        found.sort();
        ids.sort();
        assert_eq!(&found, ids, "{name}");
    }
    assert_eq!(have::everything(&engine)?, before);
    Ok(())
}
