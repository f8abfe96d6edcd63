//! A resource that changes: reported, or replaced when nothing uses it.

use std::fs;

use anyhow::Result;
use dockfleet_e2e::{Engine, Folder, eventually};
use serde_json::{Value, json};

use crate::cli_env::{CliEnv, SOON, on_each_engine, says};
use crate::{have, manifest};

on_each_engine!(
    without_permission_a_changed_network_is_reported,
    an_unused_network_is_replaced,
    a_network_in_use_is_replaced_when_it_is_free,
    watch_replaces_a_network_when_it_is_free,
    a_network_that_stays_different_is_not_replaced_again_and_again,
    a_changed_volume_is_reported_and_keeps_its_data,
    a_volume_whose_data_is_elsewhere_is_replaced_when_nothing_uses_it,
    watch_replaces_a_volume_when_it_is_free,
    a_change_of_policy_alone_changes_nothing_on_the_host,
);

const MTU: &str = "com.docker.network.driver.mtu";

fn front(policy: &str, mtu: u16) -> String {
    let spec = format!("updatePolicy: {policy}\nbridge: {{mtu: {mtu}}}");
    manifest::subnet("front", "10.70.0.0/24", &spec)
}

fn without_permission_a_changed_network_is_reported(engine: &Engine, cli: &CliEnv) -> Result<()> {
    cli.apply(&front("Never", 1400))?.all_ready()?;
    let before = have::network(engine, "front")?;
    for _ in 0..2 {
        let report = cli.apply(&front("Never", 1300))?.ended_with(1)?;
        assert_eq!(report.changed(), Some(0));
        let message = report.stands("front", "Drifted", "Drifted")?;
        says(&message, &["updatePolicy is Never", MTU])?;
        let diff = json!([{"field": format!("options[{MTU}]"), "want": "1300", "have": "1400"}]);
        assert_eq!(report.row("front")?["diff"], diff);
        assert_eq!(have::network(engine, "front")?, before);
    }
    // Back to what it was, all is well.
    cli.is_settled(&front("Never", 1400))
}

fn an_unused_network_is_replaced(engine: &Engine, cli: &CliEnv) -> Result<()> {
    cli.apply(&front("WhenUnused", 1400))?.all_ready()?;
    let before = have::network_id(engine, "front")?;
    let yaml = front("WhenUnused", 1300);
    let diff = cli.with(&yaml, &["diff"])?.ended_with(2)?;
    assert_eq!(diff.row("front")?["action"], "replace");
    assert_eq!(
        have::network_id(engine, "front")?,
        before,
        "diff only looks"
    );
    cli.apply(&yaml)?.all_ready()?;
    let after = have::network(engine, "front")?;
    assert_ne!(after["Id"], before.as_str());
    assert_eq!(after["Options"][MTU], "1300");
    cli.is_settled(&yaml)
}

fn a_network_in_use_is_replaced_when_it_is_free(engine: &Engine, cli: &CliEnv) -> Result<()> {
    cli.apply(&front("WhenUnused", 1400))?.all_ready()?;
    let before = have::network_id(engine, "front")?;
    engine.import_busybox()?;
    engine.run_container("running", &["--network", "front"], &[])?;
    engine.docker([
        "create",
        "--network",
        "front",
        "--name",
        "idle",
        "busybox:local",
    ])?;
    let yaml = front("WhenUnused", 1300);
    for user in ["running", "idle"] {
        for _ in 0..2 {
            let report = cli.apply(&yaml)?.ended_with(1)?;
            assert_eq!(report.changed(), Some(0));
            says(&report.stands("front", "Drifted", "InUse")?, &[user])?;
            let now = have::network(engine, "front")?;
            assert_eq!(now["Id"], before.as_str(), "{user} uses it");
            assert_eq!(now["Options"][MTU], "1400");
        }
        engine.docker(["rm", "--force", user])?;
    }
    cli.apply(&yaml)?.all_ready()?;
    let after = have::network(engine, "front")?;
    assert_ne!(after["Id"], before.as_str());
    assert_eq!(after["Options"][MTU], "1300");
    cli.is_settled(&yaml)
}

fn watch_replaces_a_network_when_it_is_free(engine: &Engine, cli: &CliEnv) -> Result<()> {
    cli.apply(&front("WhenUnused", 1400))?.all_ready()?;
    engine.import_busybox()?;
    engine.run_container("running", &["--network", "front"], &[])?;
    let watch = cli.watch(&front("WhenUnused", 1300))?;
    eventually("a word about the container", SOON, || {
        says(&watch.log(), &["InUse", "running"]).map_err(|e| e.to_string())
    })?;
    assert_eq!(have::network(engine, "front")?["Options"][MTU], "1400");
    engine.docker(["rm", "--force", "running"])?;
    eventually("the new network", SOON, || {
        let now = have::network(engine, "front").map_err(|e| e.to_string())?;
        (now["Options"][MTU] == "1300")
            .then_some(())
            .ok_or_else(|| now.to_string())
    })
    .map_err(|e| e.context(watch.log()))
}

/// A network that was made from this very revision and differs all the same would differ again.
fn a_network_that_stays_different_is_not_replaced_again_and_again(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let yaml = front("WhenUnused", 1400);
    cli.apply(&yaml)?.all_ready()?;
    let made = have::network(engine, "front")?;
    have::remove(engine, "/networks/front")?;
    let body = json!({"Name": "front", "Labels": made["Labels"], "IPAM": made["IPAM"]});
    let id = have::make_network(engine, &body)?;
    for _ in 0..3 {
        let report = cli.apply(&yaml)?.ended_with(1)?;
        assert_eq!(report.changed(), Some(0));
        let message = report.stands("front", "Drifted", "Drifted")?;
        says(&message, &[MTU, "want 1400"])?;
        assert_eq!(have::network_id(engine, "front")?, id);
    }
    Ok(())
}

fn a_changed_volume_is_reported_and_keeps_its_data(engine: &Engine, cli: &CliEnv) -> Result<()> {
    cli.apply(&manifest::volume("data", "labels: {team: shop}"))?
        .all_ready()?;
    let before = have::volume(engine, "data")?;
    let changed = "labels: {team: bank}\nlossPolicy: Recreate\ntmpfs: {size: 1Mi}";
    let report = cli
        .apply(&manifest::volume("data", changed))?
        .ended_with(1)?;
    assert_eq!(report.changed(), Some(0));
    let message = report.stands("data", "Drifted", "Drifted")?;
    says(&message, &["options[type]", "want tmpfs, have nothing"])?;
    assert_eq!(have::volume(engine, "data")?, before);
    Ok(())
}

fn scratch(size: &str) -> String {
    let spec = format!("updatePolicy: WhenUnused\ntmpfs: {{size: {size}}}");
    manifest::volume("scratch", &spec)
}

fn a_volume_whose_data_is_elsewhere_is_replaced_when_nothing_uses_it(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let share = |server: &str, policy: &str| {
        let spec = format!("updatePolicy: {policy}\nnfs: {{server: {server}, path: /a}}");
        manifest::volume("share", &spec)
    };
    let identity = |volume: &str| -> Result<Value> {
        Ok(have::volume(engine, volume)?["Labels"]["io.dockfleet.volume-id"].clone())
    };
    cli.apply(&(share("192.0.2.1", "Never") + &scratch("1Mi")))?
        .all_ready()?;
    let before = (identity("share")?, identity("scratch")?);
    let never = cli.apply(&share("192.0.2.2", "Never"))?.ended_with(1)?;
    let message = never.stands("share", "Drifted", "Drifted")?;
    says(&message, &["updatePolicy is Never", "addr=192.0.2.2"])?;
    assert_eq!(identity("share")?, before.0);

    engine.import_busybox()?;
    engine.run_container("running", &["--volume", "scratch:/s"], &[])?;
    engine.run_container("stopped", &["--volume", "scratch:/s"], &[])?;
    engine.docker(["stop", "stopped"])?;
    let create = [
        "create",
        "--volume",
        "scratch:/s",
        "--name",
        "created",
        "busybox:local",
    ];
    engine.docker(create)?;
    let yaml = share("192.0.2.2", "WhenUnused") + &scratch("2Mi");
    let diff = cli.with(&yaml, &["diff"])?.ended_with(2)?;
    assert_eq!(diff.row("share")?["action"], "replace");
    assert_eq!(identity("share")?, before.0, "diff only looks");
    for user in ["running", "stopped", "created"] {
        let report = cli.apply(&yaml)?.ended_with(1)?;
        says(&report.stands("scratch", "Drifted", "InUse")?, &[user])?;
        assert_eq!(identity("scratch")?, before.1, "{user} uses it");
        engine.docker(["rm", "--force", user])?;
    }
    let made = have::volume(engine, "share")?;
    assert_eq!(made["Options"]["o"], "addr=192.0.2.2,rw");
    assert_ne!(identity("share")?, before.0);
    cli.apply(&yaml)?.all_ready()?;
    assert_eq!(
        have::volume(engine, "scratch")?["Options"]["o"],
        "size=2097152"
    );
    assert_ne!(identity("scratch")?, before.1);
    cli.is_settled(&yaml)?;

    // Invariant 2: what was on the host stays there.
    cli.apply(&manifest::volume("data", ""))?.all_ready()?;
    let data = have::volume(engine, "data")?;
    let moved = manifest::volume("data", "updatePolicy: WhenUnused\ntmpfs: {}");
    let report = cli.apply(&moved)?.ended_with(1)?;
    let message = report.stands("data", "Drifted", "Drifted")?;
    says(&message, &["left as it is, it stores data on this host"])?;
    assert_eq!(have::volume(engine, "data")?, data);
    Ok(())
}

/// A folder of the host is the same before and after, with all that is in it.
fn watch_replaces_a_volume_when_it_is_free(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let folders = Folder::new()?;
    for folder in ["old", "new"] {
        fs::create_dir(folders.file(folder))?;
        fs::write(folders.file(folder).join("f"), folder)?;
    }
    let bind = |folder: &str| {
        let path = folders.file(folder);
        let spec = format!(
            "updatePolicy: WhenUnused\nbind: {{path: {}}}",
            path.display()
        );
        manifest::volume("files", &spec)
    };
    cli.apply(&bind("old"))?.all_ready()?;
    engine.import_busybox()?;
    engine.run_container("user", &["--volume", "files:/f"], &[])?;
    let watch = cli.watch(&bind("new"))?;
    eventually("a word about the container", SOON, || {
        says(&watch.log(), &["InUse", "user"]).map_err(|e| e.to_string())
    })?;
    assert_eq!(engine.docker(["exec", "user", "cat", "/f/f"])?, "old");
    engine.docker(["rm", "--force", "user"])?;
    let device = folders.file("new").display().to_string();
    eventually("the new volume", SOON, || {
        match have::volume(engine, "files") {
            Ok(now) if now["Options"]["device"] == device.as_str() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .map_err(|e| e.context(watch.log()))?;
    watch.terminate(SOON)?;
    engine.run_container("user", &["--volume", "files:/f"], &[])?;
    assert_eq!(engine.docker(["exec", "user", "cat", "/f/f"])?, "new");
    assert_eq!(fs::read_to_string(folders.file("old").join("f"))?, "old");
    cli.is_settled(&bind("new"))
}

fn a_change_of_policy_alone_changes_nothing_on_the_host(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    cli.apply(&front("WhenUnused", 1400))?.all_ready()?;
    let before = have::network(engine, "front")?;
    let policies =
        "driftPolicy: Observe\ndeletionPolicy: Retain\nadoptionPolicy: Force\nbridge: {mtu: 1400}";
    let yaml = manifest::subnet("front", "10.70.0.0/24", policies);
    let report = cli.apply(&yaml)?.all_ready()?;
    assert_eq!(report.changed(), Some(0));
    cli.is_settled(&yaml)?;
    assert_eq!(have::network(engine, "front")?, before);
    Ok(())
}
