//! Every typed source of a volume arrives on the engine with its exact options.

use anyhow::Result;
use dockfleet_e2e::Engine;
use serde_json::{Value, json};

use crate::cli_env::{CliEnv, on_each_engine, says};
use crate::{have, manifest};

on_each_engine!(
    every_source_of_a_volume_arrives,
    a_size_that_the_data_root_cannot_limit_is_refused_in_words,
);

fn sources() -> [(&'static str, &'static str, Value); 9] {
    let mount = |kind: &str, device: &str, o: &str| json!({"type": kind, "device": device, "o": o});
    [
        ("plain", "", Value::Null),
        (
            "scratch",
            "tmpfs: {size: 64Mi, mode: '1777', uid: 1000, gid: 1001}",
            mount(
                "tmpfs",
                "tmpfs",
                "size=67108864,mode=1777,uid=1000,gid=1001",
            ),
        ),
        (
            "any-scratch",
            "tmpfs: {}",
            json!({"type": "tmpfs", "device": "tmpfs"}),
        ),
        (
            "folder",
            "bind: {path: /srv/data}",
            mount("none", "/srv/data", "bind"),
        ),
        (
            "fixed-folder",
            "bind: {path: /srv/fixed, readOnly: true}",
            mount("none", "/srv/fixed", "bind,ro"),
        ),
        (
            "share",
            "nfs: {server: nfs.example.org, path: /export/a, version: '4.2', mountOptions: [hard, timeo=600]}",
            mount(
                "nfs",
                ":/export/a",
                "addr=nfs.example.org,vers=4.2,rw,hard,timeo=600",
            ),
        ),
        (
            "fixed-share",
            "nfs: {server: 192.0.2.10, path: /export/b, readOnly: true}",
            mount("nfs", ":/export/b", "addr=192.0.2.10,ro"),
        ),
        (
            "raw",
            "options: {type: tmpfs, device: tmpfs, o: 'size=1m,noexec'}",
            mount("tmpfs", "tmpfs", "size=1m,noexec"),
        ),
        (
            "raw-without-o",
            "driver: local\noptions: {type: tmpfs, device: none}",
            json!({"type": "tmpfs", "device": "none"}),
        ),
    ]
}

fn every_source_of_a_volume_arrives(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let mut yaml = String::new();
    for (name, spec, _) in sources() {
        let spec = format!("volumeName: {name}-vol\nlabels: {{team: shop, empty: ''}}\n{spec}");
        yaml += &manifest::volume(name, &spec);
    }
    let report = cli.apply(&yaml)?.all_ready()?;
    for (name, _, options) in sources() {
        let object = format!("{name}-vol");
        let made = have::volume(engine, &object)?;
        assert_eq!(made["Driver"], "local", "{name}");
        let none = options.is_null() && made["Options"] == json!({});
        assert!(
            none || made["Options"] == options,
            "{name}: {}",
            made["Options"]
        );
        assert_eq!(made["Labels"]["team"], "shop", "{name}");
        assert_eq!(made["Labels"]["empty"], "", "{name}");
        assert_eq!(made["Labels"]["io.dockfleet.managed"], "true", "{name}");
        assert_eq!(made["Labels"]["io.dockfleet.name"], name);
        let row = report.row(name)?;
        assert_eq!(row["object"], object);
        assert_eq!(row["id"], made["Labels"]["io.dockfleet.volume-id"]);
    }
    cli.is_settled(&yaml)
}

fn a_size_that_the_data_root_cannot_limit_is_refused_in_words(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    // What the engine itself says: a data root on XFS with quotas takes it.
    let tried = json!({"Name": "tried", "DriverOpts": {"size": "10485760"}});
    let tried = engine.post("/volumes/create", &tried)?;
    let yaml = manifest::volume("limited", "size: 10Mi") + &manifest::volume("data", "");
    let report = cli.apply(&yaml)?;
    assert!(have::has_volume(engine, "data")?);
    if tried.status == 201 {
        report.all_ready()?;
        let made = have::volume(engine, "limited")?;
        assert_eq!(made["Options"], json!({"size": "10485760"}));
        return cli.is_settled(&yaml);
    }
    let message = report
        .ended_with(1)?
        .stands("limited", "Failed", "EngineRefused")?;
    says(&message, &["quota"])?;
    assert!(!have::has_volume(engine, "limited")?);
    Ok(())
}
