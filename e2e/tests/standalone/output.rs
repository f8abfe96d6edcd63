//! What is printed: for people, and for programs.

use anyhow::{Context as _, Result};
use dockfleet_e2e::{Engine, Generation};
use serde_json::Value;

use crate::cli_env::{CliEnv, on_each_engine, says, solo};
use crate::{have, manifest};

on_each_engine!(
    the_table_tells_everything_in_a_line,
    json_and_yaml_say_the_same,
    get_shows_how_things_stand_and_changes_nothing,
);

/// Something of every kind of result: ready, and in conflict.
fn mixed(engine: &Engine) -> Result<String> {
    engine.docker(["network", "create", "theirs"])?;
    Ok(manifest::network("front", "networkName: front-net") + &manifest::network("theirs", ""))
}

fn the_table_tells_everything_in_a_line(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let yaml = mixed(engine)?;
    cli.write("all.yaml", &yaml)?;
    let first = cli.run(&["apply", "-f", "all.yaml"])?;
    assert_eq!(first.code(), Some(1), "{first:?}");
    let lines: Vec<&str> = first.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{first:?}");
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        words(lines[0]),
        ["HOST", "KIND", "NAME", "STATUS", "MESSAGE"]
    );
    assert_eq!(
        words(lines[1]),
        ["local", "DockerNetwork", "default/front", "Ready"]
    );
    let conflict = words(lines[2]);
    assert_eq!(
        conflict[..4],
        ["local", "DockerNetwork", "default/theirs", "Conflict"]
    );
    assert_eq!(lines[3], "1 ready, 1 failed; 1 change made");
    assert!(!lines.iter().any(|l| l.ends_with(' ')), "{first:?}");

    let wide = cli.run(&["apply", "-o", "wide", "-f", "all.yaml"])?;
    let id = have::network_id(engine, "front-net")?;
    says(
        &wide.stdout,
        &["OBJECT", "front-net", &id[..12], "nothing changed"],
    )?;
    for output in [&first, &wide] {
        for text in [&output.stdout, &output.stderr] {
            assert!(
                !text.contains('\u{1b}'),
                "no colours into a pipe: {output:?}"
            );
        }
    }
    Ok(())
}

fn json_and_yaml_say_the_same(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let yaml = mixed(engine)?;
    cli.apply(&yaml)?.ended_with(1)?;
    for command in ["apply", "diff"] {
        let print = |format: &str| cli.run(&[command, "-o", format, "-f", "all.yaml"]);
        let json: Value = serde_json::from_str(&print("json")?.stdout)?;
        let printed = print("yaml")?.stdout;
        let yaml: Value = serde_saphyr::from_str(&printed).with_context(|| printed.clone())?;
        assert_eq!(yaml, json, "{command}");
    }
    let report = cli.with(&yaml, &["apply"])?;
    let mut keys: Vec<_> = report
        .row("front")?
        .as_object()
        .context("an object")?
        .keys()
        .collect();
    keys.sort();
    assert_eq!(
        keys,
        ["host", "id", "kind", "name", "namespace", "object", "state"]
    );
    assert_eq!(report.row("theirs")?["kind"], "DockerNetwork");
    Ok(())
}

fn get_shows_how_things_stand_and_changes_nothing(engine: &Engine, cli: &CliEnv) -> Result<()> {
    assert!(cli.report(&["get"])?.ended_with(0)?.rows().is_empty());
    let yaml = manifest::network("front", "bridge: {mtu: 1400}") + &manifest::volume("data", "");
    cli.apply(&yaml)?.all_ready()?;
    let get = cli.report(&["get"])?.all_ready()?;
    assert_eq!(get.rows().len(), 2);
    assert_eq!(get.row("front")?["id"], have::network_id(engine, "front")?);
    cli.apply(&yaml.replace("mtu: 1400", "mtu: 1300"))?
        .ended_with(1)?;
    let before = have::everything(engine)?;
    let get = cli.report(&["get"])?.ended_with(1)?;
    get.stands("front", "Drifted", "Drifted")?;
    assert_eq!(have::everything(engine)?, before);
    Ok(())
}

#[test]
fn colours_and_progress_are_for_terminals() -> Result<()> {
    let engine = solo(Generation::Newest)?;
    let cli = CliEnv::at(&engine)?;
    cli.write("all.yaml", &manifest::network("front", ""))?;
    let line = "TERM=xterm script -q -e -c 'dockfleet apply -f all.yaml' /dev/null";
    let output = cli.run_shell(line)?;
    assert_eq!(output.code(), Some(0), "{output:?}");
    says(&output.stdout, &["\u{1b}[", "local: ", "Ready"])?;
    let line = "NO_COLOR=1 TERM=xterm script -q -e -c 'dockfleet apply -f all.yaml' /dev/null";
    let output = cli.run_shell(line)?;
    assert!(!output.stdout.contains('\u{1b}'), "{output:?}");
    Ok(())
}
