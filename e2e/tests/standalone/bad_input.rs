//! Input that cannot be used: told with file and line, and nothing is touched.

use anyhow::Result;
use dockfleet_e2e::{Engine, Generation};

use crate::cli_env::{CliEnv, SOON, on_each_engine, says, solo};
use crate::{have, manifest};

on_each_engine!(a_dry_run_changes_nothing);

fn untouched(engine: &Engine) -> Result<()> {
    assert!(have::network_ids(engine)?.is_empty());
    assert!(have::volume_names(engine)?.is_empty());
    Ok(())
}

/// A network whose subnet is a part of another one's, or two bridges with one subnet: the engine would create
/// the first and refuse the second.
#[test]
fn networks_that_overlap_on_a_host_are_named_with_both_places() -> Result<()> {
    let engine = solo(Generation::Newest)?;
    let cli = CliEnv::at(&engine)?;
    let subnet = |subnet: &str| format!("ipam:\n  config:\n  - subnet: {subnet}");
    cli.write(
        "a.yaml",
        &manifest::network("wide", &subnet("10.81.0.0/16")),
    )?;
    cli.write(
        "b.yaml",
        &manifest::network("narrow", &subnet("10.81.7.0/24")),
    )?;
    for command in ["apply", "diff"] {
        let output = cli.run(&[command, "-f", "."])?;
        assert_eq!(output.code(), Some(3), "{output:?}");
        let places = [
            "b.yaml:5: DockerNetwork/narrow: spec.ipam.config: subnet 10.81.7.0/24 overlaps 10.81.0.0/16 of ",
            "a.yaml:5: DockerNetwork/wide on host",
        ];
        says(&output.stderr, &places)?;
        untouched(&engine)?;
    }
    // The engine says the same.
    cli.report(&["apply", "-f", "a.yaml"])?.ended_with(0)?;
    let refused = cli.report(&["apply", "-f", "b.yaml"])?.ended_with(1)?;
    says(&refused.row("narrow")?.to_string(), &["overlaps"])?;
    // What is to be deleted need not exist at the same time.
    cli.report(&["delete", "-f", "."])?.ended_with(0)?;
    untouched(&engine)
}

#[test]
fn one_broken_document_among_good_ones_stops_all() -> Result<()> {
    let engine = solo(Generation::Newest)?;
    let cli = CliEnv::at(&engine)?;
    let good = manifest::network("good", "") + &manifest::volume("data", "");
    cli.write("a-good.yaml", &good)?;
    let cases = [
        // What is wrong in one document, its line, and what is said of it.
        (
            "mtoo: 1\nhostSelector: {}",
            6,
            "unknown field \"spec.mtoo\"",
        ),
        ("hostSelector: {}\ninternal: 'yes'", 7, "spec.internal"),
        ("hostSelector: {}\ndriver: overlay2", 7, "overlay2"),
        (
            "hostSelector: {}\nipam:\n  config:\n  - subnet: 10.1.2.3/24",
            9,
            "write 10.1.2.0/24",
        ),
        (
            "hostSelector: {}\nbridge: {mtu: 9}\nmacvlan: {}",
            8,
            "macvlan options are set",
        ),
        ("driver: bridge", 5, "no host is selected"),
    ];
    for (spec, line, message) in cases {
        cli.write(
            "b-bad.yaml",
            &manifest::document("DockerNetwork", "bad", spec),
        )?;
        for command in ["apply", "diff", "delete"] {
            let output = cli.run(&[command, "-f", "."])?;
            assert_eq!(output.code(), Some(3), "{spec}: {output:?}");
            let place = format!("b-bad.yaml:{line}: DockerNetwork/bad: ");
            says(&output.stderr, &[&place, message])?;
            assert!(output.stdout.is_empty(), "{output:?}");
        }
    }
    cli.write("b-bad.yaml", "kind: DockerNetwork\nspec: {\n")?;
    let output = cli.run(&["apply", "-f", "."])?;
    assert_eq!(output.code(), Some(3), "{output:?}");
    says(&output.stderr, &["b-bad.yaml:"])?;
    untouched(&engine)?;
    assert!(!cli.state_dir().exists(), "not even a journal was begun");

    // Without it all is well.
    cli.write("b-bad.yaml", &manifest::network("better", ""))?;
    cli.report(&["apply", "-f", "."])?.all_ready()?;
    assert!(have::has_network(&engine, "good")?);
    Ok(())
}

#[test]
fn every_form_of_input_is_read() -> Result<()> {
    let engine = solo(Generation::Newest)?;
    let cli = CliEnv::at(&engine)?;
    let item = |kind: &str, name: &str| {
        format!(
            r#"{{"apiVersion": "dockfleet.io/v1alpha1", "kind": "{kind}",
                "metadata": {{"name": "{name}"}}, "spec": {{"hostSelector": {{}}}}}}"#
        )
    };
    cli.write("one.json", &item("DockerNetwork", "from-json"))?;
    let list = format!(
        r#"{{"apiVersion": "v1", "kind": "List", "items": [{}, {}]}}"#,
        item("DockerNetwork", "from-list"),
        item("DockerVolume", "from-list")
    );
    cli.write("list.yml", &list)?;
    let several = manifest::network("first", "") + &manifest::network("second", "");
    cli.write("several.yaml", &several)?;
    cli.write("notes.txt", "not a manifest")?;
    cli.write("inner/deep.yaml", &manifest::network("deep", ""))?;

    let report = cli.report(&["apply", "-f", "."])?.all_ready()?;
    assert_eq!(report.rows().len(), 5, "{report:?}");
    assert!(
        !have::has_network(&engine, "deep")?,
        "folders are not entered by themselves"
    );
    cli.report(&["apply", "-R", "-f", "."])?.all_ready()?;
    assert!(have::has_network(&engine, "deep")?);

    cli.write("inner/piped.yaml", &manifest::network("piped", ""))?;
    let piped = cli.run_shell("dockfleet apply -f - -f one.json < inner/piped.yaml")?;
    assert_eq!(piped.code(), Some(0), "{piped:?}");
    let all: Vec<_> = have::network_ids(&engine)?.into_keys().collect();
    assert_eq!(
        all,
        ["deep", "first", "from-json", "from-list", "piped", "second"]
    );
    assert_eq!(have::volume_names(&engine)?, ["from-list"]);
    Ok(())
}

fn a_dry_run_changes_nothing(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let yaml = manifest::network("front", "bridge: {mtu: 1400}") + &manifest::volume("data", "");
    let dry = cli.with(&yaml, &["apply", "--dry-run"])?;
    assert_eq!(dry.code, Some(0));
    for name in ["front", "data"] {
        assert_eq!(dry.row(name)?["action"], "create");
    }
    untouched(engine)?;
    cli.apply(&yaml)?.all_ready()?;
    let before = have::everything(engine)?;
    let changed = yaml
        .replace("mtu: 1400", "mtu: 1300")
        .replace("DockerVolume", "DockerNetwork");
    cli.with(&changed, &["apply", "--dry-run"])?;
    assert_eq!(have::everything(engine)?, before);
    cli.is_settled(&yaml)
}

#[test]
fn what_cannot_be_read_is_named() -> Result<()> {
    let engine = solo(Generation::Newest)?;
    let cli = CliEnv::at(&engine)?;
    cli.write("empty/notes.txt", "")?;
    cli.write(
        "twice.yaml",
        &(manifest::network("one", "") + &manifest::network("one", "")),
    )?;
    cli.write(
        "other.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n",
    )?;
    cli.write(
        "hub.yaml",
        &manifest::document("HostAssignment", "h1", "entries: []"),
    )?;
    let no_way = manifest::document("DockerHost", "h1", "allowedNamespaces: {from: All}");
    cli.write("no-way.yaml", &no_way)?;
    let same = "connection: {direct: {endpoint: 'unix:///run/one.sock'}}";
    let twins = ["h1", "h2"].map(|name| manifest::document("DockerHost", name, same));
    cli.write("twins.yaml", &twins.concat())?;
    for (path, parts) in [
        ("missing.yaml", &["missing.yaml", "No such file"][..]),
        ("empty", &["empty", "no manifest"]),
        ("twice.yaml", &["twice.yaml:10:", "twice.yaml:4"]),
        ("other.yaml", &["other.yaml:2:", "Pod"]),
        ("hub.yaml", &["hub.yaml:3:", "HostAssignment"]),
        (
            "no-way.yaml",
            &["no-way.yaml:5:", "h1", "spec.connection.direct"],
        ),
        ("twins.yaml", &["h1 and h2", "unix:///run/one.sock"]),
    ] {
        let output = cli.run(&["apply", "-f", path])?;
        assert_eq!(output.code(), Some(3), "{path}: {output:?}");
        says(&output.stderr, parts)?;
    }
    for line in [
        &["apply"][..],
        &["apply", "-f", "x", "-o", "xml"],
        &["frobnicate"],
    ] {
        let output = cli.run(line)?;
        assert_eq!(output.code(), Some(3), "{line:?}: {output:?}");
    }
    untouched(&engine)
}

#[test]
fn an_engine_that_does_not_answer_is_named() -> Result<()> {
    for (docker_host, shown) in [
        ("unix:///nowhere/docker.sock", "unix:///nowhere/docker.sock"),
        ("tcp://127.0.0.1:1", "tcp://127.0.0.1:1"),
    ] {
        let cli = CliEnv::with_docker_host(docker_host)?;
        for command in ["apply", "delete"] {
            let report = cli
                .with(&manifest::network("front", ""), &[command])?
                .ended_with(1)?;
            says(
                &report.failure("local")?,
                &["no Docker Engine answers at", shown],
            )?;
        }
        let get = cli.run(&["get"])?;
        assert_eq!(get.code(), Some(1), "{get:?}");
        says(
            &get.stdout,
            &["no Docker Engine answers at", shown, "1 not reached"],
        )?;
        let diff = cli.run(&["diff", "-f", "all.yaml"])?;
        assert_eq!(diff.code(), Some(1), "{diff:?}");
        says(&diff.stderr, &["no Docker Engine answers at", shown])?;
    }
    let cli = CliEnv::with_docker_host("nonsense")?;
    cli.write("all.yaml", &manifest::network("front", ""))?;
    let output = cli.run(&["apply", "-f", "all.yaml"])?;
    assert_eq!(output.code(), Some(3), "{output:?}");
    says(&output.stderr, &["nonsense"])
}

#[test]
fn a_hint_is_given_where_no_host_is_selected() -> Result<()> {
    let engine = solo(Generation::Newest)?;
    let cli = CliEnv::at(&engine)?;
    let elsewhere = manifest::document("DockerNetwork", "front", "hostNames: [h9]");
    cli.write("all.yaml", &elsewhere)?;
    let output = cli.run(&["apply", "-f", "all.yaml"])?;
    says(
        &output.stderr,
        &["warning", "default/front", "selects none of the hosts"],
    )?;
    assert_eq!(
        output.stdout.lines().last(),
        Some("1 on no host; nothing changed")
    );
    untouched(&engine)?;
    // A watch of nothing can be ended like any other.
    let watch = cli.watch(&elsewhere)?;
    dockfleet_e2e::eventually("its first word", SOON, || {
        says(&watch.log(), &["selects none"]).map_err(|e| e.to_string())
    })?;
    watch.terminate(SOON)?;
    Ok(())
}

/// Invariant 9.
#[test]
fn i9_warnings_of_a_volume_are_printed_without_the_password() -> Result<()> {
    let engine = solo(Generation::Newest)?;
    let cli = CliEnv::at(&engine)?;
    let share = "{type: cifs, device: //files/share, o: 'username=shop,password=canary'}";
    let spec = format!("hostSelector: {{}}\nlabels: {{site: }}\noptions: {share}");
    cli.write(
        "all.yaml",
        &manifest::document("DockerVolume", "share", &spec),
    )?;
    let output = cli.run(&["apply", "-f", "all.yaml"])?;
    assert_eq!(output.code(), Some(0), "{output:?}");
    let expected = [
        "warning",
        "spec.labels.site: it has no value and is ignored",
        "default/share",
        "options: password in o looks like a credential",
    ];
    says(&output.stderr, &expected)?;
    assert!(!format!("{output:?}").contains("canary"), "{output:?}");
    Ok(())
}
