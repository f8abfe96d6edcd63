//! What was removed or exchanged by hand: made again, or reported, as the policies say.

use anyhow::{Result, ensure};
use dockfleet_e2e::{Engine, eventually};
use serde_json::json;

use crate::cli_env::{CliEnv, SOON, on_each_engine, says, text};
use crate::{have, manifest};

on_each_engine!(
    a_network_removed_by_hand_is_made_again,
    watch_makes_again_what_is_removed_by_hand,
    watch_follows_its_files,
    observe_reports_what_is_missing_and_leaves_it_so,
    a_network_exchanged_by_hand_is_a_conflict,
    a_lost_volume_is_reported_and_not_made_again,
    a_lost_volume_is_made_again_when_its_policy_says_so,
    a_volume_without_data_of_its_own_is_made_again,
    a_volume_exchanged_by_hand_is_lost,
);

fn a_network_removed_by_hand_is_made_again(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let yaml = manifest::subnet("front", "10.60.0.0/24", "") + &manifest::network("back", "");
    cli.apply(&yaml)?.all_ready()?;
    let (front, back) = (
        have::network_id(engine, "front")?,
        have::network_id(engine, "back")?,
    );
    have::remove(engine, "/networks/front")?;

    let get = cli.report(&["get"])?.ended_with(1)?;
    assert_eq!(get.row("back")?["state"], "Ready");
    assert_eq!(get.row("front")?["state"], "Pending");
    let diff = cli.with(&yaml, &["diff"])?.ended_with(2)?;
    assert_eq!(diff.rows().len(), 1, "{diff:?}");
    assert_eq!(diff.row("front")?["action"], "create");
    assert!(
        !have::has_network(engine, "front")?,
        "get and diff only look"
    );

    let report = cli.apply(&yaml)?.all_ready()?;
    assert_eq!(report.changed(), Some(1));
    assert_ne!(have::network_id(engine, "front")?, front);
    assert_eq!(have::network_id(engine, "back")?, back);
    cli.is_settled(&yaml)
}

fn watch_makes_again_what_is_removed_by_hand(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let yaml = manifest::network("front", "") + &manifest::volume("scratch", "tmpfs: {}");
    let watch = cli.watch(&yaml)?;
    let mut before = String::new();
    for _ in 0..2 {
        let both = eventually("the network and the volume", SOON, || {
            ensure_both(engine, &before).map_err(|e| e.to_string())
        });
        before = both.map_err(|e| e.context(watch.log()))?;
        have::remove(engine, "/volumes/scratch")?;
        have::remove(engine, "/networks/front")?;
    }
    eventually("the network and the volume", SOON, || {
        ensure_both(engine, &before).map_err(|e| e.to_string())
    })?;
    let status = watch.terminate(SOON)?;
    assert!(status.success(), "{status}: {}", watch.log());
    cli.is_settled(&yaml)
}

/// Gives the ID of the network once it is another than `before` and the volume is there.
fn ensure_both(engine: &Engine, before: &str) -> Result<String> {
    let id = have::network_id(engine, "front")?;
    ensure!(id != before, "it is still the old one");
    ensure!(have::has_volume(engine, "scratch")?, "there is no volume");
    Ok(id)
}

fn watch_follows_its_files(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let first = manifest::network("one", "");
    let watch = cli.watch(&first)?;
    let appears = |name: &str| {
        eventually("a network", SOON, || {
            match have::has_network(engine, name) {
                Ok(true) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .map_err(|e| e.context(watch.log()))
    };
    appears("one")?;
    // What cannot be read changes nothing, and the watch goes on.
    cli.write("all.yaml", "kind: [")?;
    eventually("a word about the file", SOON, || {
        says(&watch.log(), &["all.yaml:"]).map_err(|e| e.to_string())
    })?;
    assert!(watch.is_running());
    cli.write("all.yaml", &(first + &manifest::network("two", "")))?;
    appears("two")?;
    assert!(have::has_network(engine, "one")?);
    Ok(())
}

fn observe_reports_what_is_missing_and_leaves_it_so(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let observe = "driftPolicy: Observe";
    let yaml = manifest::network("front", observe)
        + &manifest::volume("data", observe)
        + &manifest::volume("scratch", "driftPolicy: Observe\ntmpfs: {}");
    cli.apply(&yaml)?.all_ready()?;
    have::remove(engine, "/networks/front")?;
    have::remove(engine, "/volumes/scratch")?;
    for _ in 0..2 {
        let report = cli.apply(&yaml)?.ended_with(1)?;
        assert_eq!(report.changed(), Some(0));
        for (name, kind) in [("front", "network"), ("scratch", "volume")] {
            let message = report.stands(name, "Drifted", "Missing")?;
            says(&message, &["removed by hand", "driftPolicy is Observe"])?;
            let diff = json!([{"field": kind, "want": name, "have": ""}]);
            assert_eq!(report.row(name)?["diff"], diff);
        }
        assert_eq!(report.row("data")?["state"], "Ready");
        assert!(!have::has_network(engine, "front")?);
        assert_eq!(have::volume_names(engine)?, ["data"]);
    }
    // With another policy it is made again.
    let yaml = yaml.replace(observe, "driftPolicy: Enforce");
    cli.apply(&yaml)?.all_ready()?;
    assert!(have::has_network(engine, "front")?);
    Ok(())
}

fn a_network_exchanged_by_hand_is_a_conflict(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let yaml = manifest::network("front", "updatePolicy: WhenUnused\nbridge: {mtu: 1400}");
    cli.apply(&yaml)?.all_ready()?;
    have::remove(engine, "/networks/front")?;
    let theirs = have::make_network(engine, &json!({"Name": "front"}))?;
    let report = cli.apply(&yaml)?.ended_with(1)?;
    report.stands("front", "Failed", "Conflict")?;
    assert_eq!(have::network_id(engine, "front")?, theirs);
    // Nor is it removed with the resource: the tombstone is for another identity (1).
    cli.delete(&yaml)?;
    assert_eq!(have::network_id(engine, "front")?, theirs);
    Ok(())
}

/// Invariant 2.
fn a_lost_volume_is_reported_and_not_made_again(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let yaml = manifest::volume("data", "") + &manifest::network("front", "");
    cli.apply(&yaml)?.all_ready()?;
    have::remove(engine, "/volumes/data")?;
    for command in [&["apply"][..], &["diff"], &["apply", "--dry-run"]] {
        let report = cli.with(&yaml, command)?;
        let message = report.stands("data", "Failed", "Lost")?;
        says(
            &message,
            &["data", "gone with its data", "lossPolicy: Recreate"],
        )?;
        assert!(!have::has_volume(engine, "data")?, "{command:?}");
    }
    cli.apply(&yaml)?.ended_with(1)?;
    cli.report(&["get"])?.stands("data", "Failed", "Lost")?;
    // A person decides.
    let yaml = yaml.replace("{}\n---", "{}\n  lossPolicy: Recreate\n---");
    let report = cli.apply(&yaml)?.all_ready()?;
    assert_eq!(report.changed(), Some(1));
    assert!(have::has_volume(engine, "data")?);
    Ok(())
}

fn a_lost_volume_is_made_again_when_its_policy_says_so(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let yaml = manifest::volume("cache", "lossPolicy: Recreate");
    cli.apply(&yaml)?.all_ready()?;
    let before = text(&have::volume(engine, "cache")?["Labels"]["io.dockfleet.volume-id"]);
    have::remove(engine, "/volumes/cache")?;
    let report = cli.apply(&yaml)?.all_ready()?;
    assert_eq!(report.changed(), Some(1));
    let after = text(&have::volume(engine, "cache")?["Labels"]["io.dockfleet.volume-id"]);
    ensure!(before != after, "another volume has another identity");
    cli.is_settled(&yaml)
}

fn a_volume_without_data_of_its_own_is_made_again(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let sources = [
        ("scratch", "tmpfs: {size: 1Mi}"),
        ("folder", "bind: {path: /srv}"),
        ("share", "nfs: {server: nfs.example.org, path: /export}"),
    ];
    let yaml: String = sources
        .iter()
        .map(|(n, s)| manifest::volume(n, s))
        .collect();
    cli.apply(&yaml)?.all_ready()?;
    for (name, _) in sources {
        have::remove(engine, &format!("/volumes/{name}"))?;
    }
    let report = cli.apply(&yaml)?.all_ready()?;
    assert_eq!(report.changed(), Some(3));
    assert_eq!(have::volume_names(engine)?, ["folder", "scratch", "share"]);
    cli.is_settled(&yaml)
}

fn a_volume_exchanged_by_hand_is_lost(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let yaml = manifest::volume("data", "deletionPolicy: Delete");
    cli.apply(&yaml)?.all_ready()?;
    have::remove(engine, "/volumes/data")?;
    have::make_volume(
        engine,
        &json!({"Name": "data", "Labels": {"whose": "mine"}}),
    )?;
    let before = have::everything(engine)?;
    let report = cli.apply(&yaml)?.ended_with(1)?;
    report.stands("data", "Failed", "Lost")?;
    cli.delete(&yaml)?;
    assert_eq!(
        have::everything(engine)?,
        before,
        "it is somebody else's (3)"
    );
    Ok(())
}
