//! What the engine refuses: told in its own words, without stopping the rest and without a trace.

use anyhow::Result;
use dockfleet_e2e::Engine;
use serde_json::json;

use crate::cli_env::{CliEnv, on_each_engine, says};
use crate::{have, manifest};

on_each_engine!(
    what_the_engine_refuses_is_told_and_stops_nothing_else,
    a_refusal_that_is_over_is_made_good,
    passwords_in_options_are_not_shown,
);

fn what_the_engine_refuses_is_told_and_stops_nothing_else(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let first = manifest::subnet("first", "10.90.0.0/16", "");
    cli.apply(&first)?.all_ready()?;
    // Two networks of one input that overlap would be an input error.
    let yaml = [
        manifest::subnet("overlaps", "10.90.1.0/24", ""),
        manifest::network("no-parent", "driver: macvlan\nmacvlan: {parent: eth9}"),
        manifest::volume("no-plugin", "driver: nosuch"),
        manifest::network("good", ""),
        manifest::volume("data", ""),
    ]
    .concat();
    for changed in [2, 0] {
        let report = cli.apply(&yaml)?.ended_with(1)?;
        assert_eq!(report.changed(), Some(changed));
        for (name, words) in [
            ("overlaps", "overlap"),
            ("no-parent", "eth9"),
            ("no-plugin", "nosuch"),
        ] {
            let message = report.stands(name, "Failed", "EngineRefused")?;
            says(&message.to_lowercase(), &["the engine refuses", words])?;
        }
        for name in ["good", "data"] {
            assert_eq!(report.row(name)?["state"], "Ready", "{name}");
        }
        let made: Vec<_> = have::network_ids(engine)?.into_keys().collect();
        assert_eq!(made, ["first", "good"]);
        assert_eq!(have::volume_names(engine)?, ["data"]);
    }
    // For an object that was never created, the engine is not asked.
    cli.delete(&yaml)?.ended_with(0)?;
    cli.delete(&first)?.ended_with(0)?;
    assert!(have::network_ids(engine)?.is_empty());
    Ok(())
}

fn a_refusal_that_is_over_is_made_good(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let body = json!({"Name": "theirs", "IPAM": {"Config": [{"Subnet": "10.91.0.0/16"}]}});
    have::make_network(engine, &body)?;
    let yaml = manifest::subnet("ours", "10.91.1.0/24", "");
    cli.apply(&yaml)?
        .ended_with(1)?
        .stands("ours", "Failed", "EngineRefused")?;
    have::remove(engine, "/networks/theirs")?;
    cli.apply(&yaml)?.all_ready()?;
    cli.is_settled(&yaml)
}

/// Invariant 9, as far as files can keep it: what is printed and logged has no password.
fn passwords_in_options_are_not_shown(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let share = |password: &str| {
        let o = format!("addr=192.0.2.1,username=u,password={password}");
        manifest::volume(
            "share",
            &format!("options: {{type: cifs, device: //192.0.2.1/s, o: '{o}'}}"),
        )
    };
    cli.apply(&share("hunter2"))?.all_ready()?;
    let made = have::volume(engine, "share")?;
    assert_eq!(
        made["Options"]["o"],
        "addr=192.0.2.1,username=u,password=hunter2"
    );
    cli.apply(&share("hunter3"))?
        .ended_with(1)?
        .stands("share", "Drifted", "Drifted")?;
    for line in [
        "apply -f all.yaml -o json",
        "apply -f all.yaml",
        "diff -f all.yaml",
        "get",
        "--log trace apply -f all.yaml",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let output = cli.run(&words)?;
        let said = format!("{}{}", output.stdout, output.stderr);
        for password in ["hunter2", "hunter3"] {
            assert!(!said.contains(password), "{line}: {said}");
        }
        says(&said, &["share"])?;
    }
    Ok(())
}
