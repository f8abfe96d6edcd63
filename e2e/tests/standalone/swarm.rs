//! A swarm and an overlay network from files: every command on all hosts in one process.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::{Engine, Fleet, Generation, eventually};
use serde_json::Value;

use crate::cli_env::{CliEnv, SOON, for_each_generation, pair, says, solo, stands, text};
use crate::{have, manifest};

for_each_generation!(
    two_hosts_form_a_swarm_with_a_network_and_leave_it,
    the_local_engine_is_a_swarm_of_its_own,
    i14_no_swarm_is_created_before_every_host_has_answered,
    i14_a_swarm_whose_record_is_lost_is_found_again,
    a_member_in_no_file_stays_one,
    a_swarm_that_is_in_no_file_is_pruned,
    a_deletion_goes_on_when_a_host_is_back,
    i3_a_host_in_a_foreign_swarm_stays_in_it,
    three_managers_and_the_first_one_leaves,
    i14_a_killed_program_leaves_one_swarm,
    what_only_the_controller_can_do_is_refused,
);

/// The files' hosts, by their engines.
fn hosts(engines: &[&Engine]) -> String {
    engines.iter().map(|e| manifest::host(e, "{}")).collect()
}

fn swarm(spec: &str) -> String {
    let spec = format!("hostSelector: {{}}\nadvertiseAddress: eth0\n{spec}");
    manifest::document("SwarmCluster", "shop", &spec)
}

fn overlay() -> String {
    manifest::network("mesh", "driver: overlay")
}

fn info(engine: &Engine) -> Result<Value> {
    Ok(engine.get("/info")?["Swarm"].clone())
}

/// Checks that the engines are in one swarm, of which the first one is the only manager, and gives its ID.
fn one_swarm(engines: &[&Engine]) -> Result<String> {
    let [manager, workers @ ..] = engines else {
        anyhow::bail!("no engine");
    };
    let first = info(manager)?;
    ensure!(first["ControlAvailable"] == true, "{first}");
    let mut nodes = BTreeSet::from([text(&first["NodeID"])]);
    for worker in workers {
        let info = info(worker)?;
        ensure!(info["LocalNodeState"] == "active", "{info}");
        ensure!(info["ControlAvailable"] == false, "{info}");
        nodes.insert(text(&info["NodeID"]));
    }
    let listed = manager.get("/nodes")?;
    let listed = listed.as_array().context("no list of nodes")?;
    let listed: BTreeSet<String> = listed.iter().map(|n| text(&n["ID"])).collect();
    ensure!(listed == nodes, "{listed:?} instead of {nodes:?}");
    Ok(text(&first["Cluster"]["ID"]))
}

/// Checks that an engine is in no swarm.
fn is_free(engine: &Engine) -> Result<()> {
    let info = info(engine)?;
    ensure!(info["LocalNodeState"] == "inactive", "{info}");
    Ok(())
}

fn active(engine: &Engine) -> Result<bool> {
    Ok(info(engine)?["LocalNodeState"] == "active")
}

/// The records of swarms and overlay networks.
fn records(cli: &CliEnv) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(cli.state_dir().join("recorded"))?;
    let mut paths = entries
        .map(|e| e.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.retain(|p| p.extension().is_some_and(|e| e == "json"));
    Ok(paths)
}

/// Checks that the tokens of a swarm are in no file of the state folder and in no output.
fn no_token(cli: &CliEnv, manager: &Engine, output: &str) -> Result<()> {
    let tokens = manager.get("/swarm")?["JoinTokens"].take();
    for role in ["Worker", "Manager"] {
        let token = text(&tokens[role]);
        ensure!(token.starts_with("SWMTKN-"), "{tokens}");
        ensure!(!output.contains(&token), "a token was printed: {output}");
        let found = std::process::Command::new("grep")
            .args(["--recursive", "--text", "--fixed-strings", &token])
            .arg(cli.state_dir())
            .output()?;
        ensure!(
            found.status.code() == Some(1),
            "a token is in a file: {found:?}"
        );
    }
    Ok(())
}

fn two_hosts_form_a_swarm_with_a_network_and_leave_it(generation: Generation) -> Result<()> {
    let (h1, h2) = pair(generation)?;
    let cli = CliEnv::for_hosts_in_files()?;
    let all = hosts(&[&h1, &h2]) + &swarm("removedHosts: Leave") + &overlay();

    cli.write("all.yaml", &all)?;
    let mut apply = cli.command(&["apply", "-f", "all.yaml", "-o", "json"]);
    apply.env("DOCKFLEET_LOG", "trace");
    let output = cli.program().run_command(&apply, None)?;
    let printed = format!("{}{}", output.stdout, output.stderr);
    assert_eq!(output.code(), Some(0), "{printed}");
    no_token(&cli, &h1, &printed)?;
    let id = one_swarm(&[&h1, &h2])?;
    let network = have::network(&h1, "mesh")?;
    assert_eq!(network["Driver"], "overlay");

    // Nothing is left to do, and both hosts are ready.
    cli.is_settled(&all)?;
    let get = cli.report(&["get", "-f", "all.yaml"])?.all_ready()?;
    assert_eq!(get.rows().len(), 4);
    assert_eq!(one_swarm(&[&h1, &h2])?, id);

    // Containers of both hosts reach each other by name.
    for engine in [&h1, &h2] {
        engine.import_busybox()?;
        let name = format!("on-{}", engine.host().name());
        engine.run_container(&name, &["--network", "mesh"], &[])?;
    }
    let ping = ["exec", "on-h1", "ping", "-c", "1", "-W", "5", "on-h2"];
    eventually("an answer of the other container", SOON, || {
        h1.docker(ping).map_err(|err| format!("{err:#}"))
    })?;

    let dry = cli.with(&all, &["delete", "--dry-run"])?;
    for (host, name) in [("h1", "mesh"), ("h1", "shop"), ("h2", "shop")] {
        assert_eq!(dry.row_on(host, name)?["action"], "remove", "{host} {name}");
    }

    // A container holds the network and its host in the swarm.
    h1.docker(["rm", "--force", "on-h1"])?;
    let report = cli.delete(&all)?.ended_with(1)?;
    says(
        &stands(report.row_on("h2", "shop")?, "Pending", "InUse")?,
        &["on-h2"],
    )?;
    assert!(have::has_network(&h1, "mesh")?);
    assert_eq!(one_swarm(&[&h1, &h2])?, id);
    h2.docker(["rm", "--force", "on-h2"])?;
    let report = cli.delete(&all)?;
    assert_eq!(report.code, Some(0), "{report:?}");
    is_free(&h1)?;
    is_free(&h2)?;
    assert_eq!(records(&cli)?, Vec::<PathBuf>::new());
    cli.delete(&all)?.ended_with(0)?;
    Ok(())
}

fn the_local_engine_is_a_swarm_of_its_own(generation: Generation) -> Result<()> {
    let engine = solo(generation)?;
    let cli = CliEnv::at(&engine)?;
    let all = swarm("") + &overlay();

    let diff = cli.with(&all, &["diff"])?.ended_with(2)?;
    for name in ["shop", "mesh"] {
        assert_eq!(diff.row(name)?["action"], "create", "{name}");
    }
    cli.with(&all, &["apply", "--dry-run"])?.ended_with(0)?;
    is_free(&engine)?;
    assert!(!cli.state_dir().exists());

    cli.apply(&all)?.all_ready()?;
    let id = one_swarm(&[&engine])?;
    assert!(have::has_network(&engine, "mesh")?);
    cli.is_settled(&all)?;
    assert_eq!(cli.report(&["get"])?.all_ready()?.rows().len(), 2);

    // A second network, while the swarm is in no file.
    let second = manifest::network("second", "driver: overlay");
    assert_eq!(
        cli.with(&second, &["diff"])?.ended_with(2)?.row("second")?["action"],
        "create"
    );
    cli.apply(&second)?.all_ready()?;
    cli.delete(&second)?.ended_with(0)?;
    assert!(!have::has_network(&engine, "second")?);

    // By default the swarm stays, and is taken up again.
    let report = cli.delete(&all)?.ended_with(0)?;
    report.stands("shop", "Gone", "Retained")?;
    report.stands("mesh", "Gone", "Removed")?;
    assert_eq!(one_swarm(&[&engine])?, id);
    cli.apply(&all)?.all_ready()?;
    assert_eq!(one_swarm(&[&engine])?, id);
    Ok(())
}

/// Invariant 14: a host that does not answer may be in a swarm that was created for this resource before.
fn i14_no_swarm_is_created_before_every_host_has_answered(generation: Generation) -> Result<()> {
    let (h1, h2) = pair(generation)?;
    let cli = CliEnv::for_hosts_in_files()?;
    let all = hosts(&[&h1, &h2]) + &swarm("");
    h2.stop()?;
    let report = cli.apply(&all)?.ended_with(1)?;
    report.failure("h2")?;
    says(&report.stderr, &["SwarmCluster default/shop", "h2 has not"])?;
    is_free(&h1)?;
    h2.start_again()?;
    cli.apply(&all)?.all_ready()?;
    one_swarm(&[&h1, &h2]).map(drop)
}

/// Invariant 14: the labels of the swarm say for which resource it was created.
fn i14_a_swarm_whose_record_is_lost_is_found_again(generation: Generation) -> Result<()> {
    let (h1, h2) = pair(generation)?;
    let cli = CliEnv::for_hosts_in_files()?;
    let all = hosts(&[&h1, &h2]) + &swarm("") + &overlay();
    cli.apply(&all)?.all_ready()?;
    let id = one_swarm(&[&h1, &h2])?;
    let network = have::network_id(&h1, "mesh")?;
    fs::remove_dir_all(cli.state_dir().join("recorded"))?;
    let report = cli.apply(&all)?.all_ready()?;
    assert_eq!(report.changed(), Some(0), "{report:?}");
    assert_eq!(one_swarm(&[&h1, &h2])?, id);
    assert_eq!(have::network_id(&h1, "mesh")?, network);
    cli.is_settled(&all)?;

    // A record that cannot be read is no lost one.
    let records = records(&cli)?;
    fs::write(records.first().context("no record")?, "{")?;
    let output = cli.run(&["apply", "-f", "all.yaml"])?;
    assert_eq!(output.code(), Some(3), "{output:?}");
    says(&output.stderr, &["cannot read", "recorded"])?;

    // Without the journals too, nobody creates another one.
    fs::remove_dir_all(cli.state_dir())?;
    cli.apply(&all)?;
    assert_eq!(one_swarm(&[&h1, &h2])?, id);
    Ok(())
}

/// Absence from the files is no permission.
fn a_member_in_no_file_stays_one(generation: Generation) -> Result<()> {
    let (h1, h2) = pair(generation)?;
    let cli = CliEnv::for_hosts_in_files()?;
    let shared = swarm("removedHosts: Leave") + &overlay();
    let all = hosts(&[&h1, &h2]) + &shared;
    cli.apply(&all)?.all_ready()?;
    let id = one_swarm(&[&h1, &h2])?;

    let part = hosts(&[&h1]) + &shared;
    let report = cli.apply(&part)?.all_ready()?;
    assert_eq!(report.changed(), Some(0), "{report:?}");
    says(&report.stderr, &["h2 stays a member, and is in no file"])?;
    // Its engine may be away as well.
    h2.stop()?;
    cli.apply(&part)?.all_ready()?;
    h2.start_again()?;
    cli.apply(&part)?.all_ready()?;
    let output = cli.run(&["delete", "-f", "all.yaml"])?;
    assert_eq!(output.code(), Some(3), "{output:?}");
    says(
        &output.stderr,
        &["all.yaml:", "SwarmCluster default/shop", "h2", "in no file"],
    )?;
    assert!(have::has_network(&h1, "mesh")?);
    cli.apply(&all)?.all_ready()?;
    assert_eq!(one_swarm(&[&h1, &h2])?, id);
    // The worker alone cannot delete the network of the manager.
    cli.write("part.yaml", &(hosts(&[&h2]) + &overlay()))?;
    let output = cli.run(&["delete", "-f", "part.yaml"])?;
    assert_eq!(output.code(), Some(3), "{output:?}");
    says(
        &output.stderr,
        &["part.yaml:", "DockerNetwork default/mesh", "h1"],
    )
}

fn a_swarm_that_is_in_no_file_is_pruned(generation: Generation) -> Result<()> {
    let (h1, h2) = pair(generation)?;
    let cli = CliEnv::for_hosts_in_files()?;
    let left = hosts(&[&h1, &h2]) + &manifest::network("left", "");
    cli.apply(&(left.clone() + &swarm("removedHosts: Leave") + &overlay()))?
        .all_ready()?;
    // Without the wish, and with a wish that nobody confirmed, it stays.
    cli.apply(&left)?.all_ready()?;
    let output = cli.run(&["apply", "--prune", "-f", "all.yaml"])?;
    assert_eq!(output.code(), Some(3), "{output:?}");
    says(
        &output.stderr,
        &["SwarmCluster default/shop", "DockerNetwork default/mesh"],
    )?;
    one_swarm(&[&h1, &h2])?;
    // All of its members have to be in the files.
    cli.write(
        "part.yaml",
        &(hosts(&[&h1]) + &manifest::network("left", "")),
    )?;
    let output = cli.run(&["apply", "--prune", "--yes", "-f", "part.yaml"])?;
    assert_eq!(output.code(), Some(3), "{output:?}");
    says(
        &output.stderr,
        &["SwarmCluster default/shop", "h2", "in no file"],
    )?;
    one_swarm(&[&h1, &h2])?;
    // Who agrees has seen what goes.
    let asked = "script -q -e -c 'dockfleet apply --prune -f all.yaml' /dev/null";
    let no = cli.run_shell(&format!("echo n | {asked}"))?;
    assert_eq!(no.code(), Some(3), "{no:?}");
    one_swarm(&[&h1, &h2])?;
    let yes = cli.run_shell(&format!("echo y | {asked}"))?;
    assert_eq!(yes.code(), Some(0), "{yes:?}");
    is_free(&h1)?;
    is_free(&h2)?;
    assert_eq!(records(&cli)?, Vec::<PathBuf>::new());
    cli.is_settled(&left)
}

/// A deletion does not wait for a host (7), and is not over without it.
fn a_deletion_goes_on_when_a_host_is_back(generation: Generation) -> Result<()> {
    let (h1, h2) = pair(generation)?;
    let cli = CliEnv::for_hosts_in_files()?;
    let all = hosts(&[&h1, &h2]) + &swarm("removedHosts: Leave") + &overlay();
    cli.apply(&all)?.all_ready()?;
    h2.stop()?;
    let report = cli.delete(&all)?.ended_with(1)?;
    report.failure("h2")?;
    is_free(&h1)?;
    h2.start_again()?;
    // Its swarm no longer exists, and its engine is `pending` for ever.
    let report = cli.delete(&all)?;
    assert_eq!(report.code, Some(0), "{report:?}");
    is_free(&h2)?;
    assert_eq!(records(&cli)?, Vec::<PathBuf>::new());
    // From the beginning.
    cli.apply(&all)?.all_ready()?;
    one_swarm(&[&h1, &h2]).map(drop)
}

/// Invariant 3: a swarm that somebody else formed is not touched.
fn i3_a_host_in_a_foreign_swarm_stays_in_it(generation: Generation) -> Result<()> {
    let (h1, h2) = pair(generation)?;
    let cli = CliEnv::for_hosts_in_files()?;
    h1.docker(["swarm", "init", "--advertise-addr", "eth0"])?;
    let before = info(&h1)?["Cluster"]["ID"].clone();
    let all = hosts(&[&h1, &h2]) + &swarm("");
    let report = cli.apply(&all)?.ended_with(1)?;
    stands(report.row_on("h1", "shop")?, "Failed", "Conflict")?;
    assert_eq!(report.row_on("h2", "shop")?["state"], "Ready");
    assert_eq!(info(&h1)?["Cluster"]["ID"], before);
    assert_ne!(info(&h2)?["Cluster"]["ID"], before);
    Ok(())
}

fn three_managers_and_the_first_one_leaves(generation: Generation) -> Result<()> {
    let fleet = Fleet::new()?;
    let engine = |name: &str| Engine::start(&fleet.host(name)?, generation);
    let (h1, h2, h3) = (engine("h1")?, engine("h2")?, engine("h3")?);
    let cli = CliEnv::for_hosts_in_files()?;
    let files = |first: &str| {
        let spec = "hostSelector: {matchLabels: {in: shop}}\nadvertiseAddress: eth0\n\
                    removedHosts: Leave\nmanagers: {count: 3}";
        [
            manifest::host(&h1, first),
            manifest::host(&h2, "{in: shop}"),
            manifest::host(&h3, "{in: shop}"),
            manifest::document("SwarmCluster", "shop", spec),
        ]
        .concat()
    };
    cli.apply(&files("{in: shop}"))?.all_ready()?;
    for engine in [&h1, &h2, &h3] {
        // The others know it a moment before the engine itself.
        eventually("a manager", SOON, || match info(engine) {
            Ok(info) if info["ControlAvailable"] == true => Ok(()),
            other => Err(format!("{other:?}")),
        })?;
    }
    cli.is_settled(&files("{in: shop}"))?;
    // The writer goes, and another manager removes its node.
    let report = cli.apply(&files("{}"))?;
    assert_eq!(report.code, Some(0), "{report:?}");
    is_free(&h1)?;
    let nodes = h2.get("/nodes")?;
    assert_eq!(nodes.as_array().map(Vec::len), Some(2), "{nodes}");
    assert!(active(&h2)? && active(&h3)?);
    let report = cli.delete(&files("{}"))?;
    assert_eq!(report.code, Some(0), "{report:?}");
    is_free(&h2)?;
    is_free(&h3)
}

/// Invariant 14: a program that is killed at any moment leaves one swarm, and the next one goes on.
fn i14_a_killed_program_leaves_one_swarm(generation: Generation) -> Result<()> {
    let (h1, h2) = pair(generation)?;
    let cli = CliEnv::for_hosts_in_files()?;
    let all = hosts(&[&h1, &h2]) + &swarm("") + &overlay();
    cli.write("all.yaml", &all)?;
    let command = cli.command(&["apply", "-f", "all.yaml"]);
    // As soon as there is a swarm, before it is recorded; and as soon as the other host has joined.
    for engine in [&h1, &h2] {
        let apply = cli.program().spawn_command(&command, None)?;
        eventually("a host in a swarm", SOON, || match active(engine) {
            Ok(true) => Ok(()),
            other => Err(format!("{other:?}")),
        })?;
        drop(apply);
    }
    let report = cli.apply(&all)?;
    assert_eq!(report.code, Some(0), "{report:?}");
    let id = one_swarm(&[&h1, &h2])?;
    cli.is_settled(&all)?;
    assert_eq!(one_swarm(&[&h1, &h2])?, id);
    Ok(())
}

fn what_only_the_controller_can_do_is_refused(generation: Generation) -> Result<()> {
    let engine = solo(generation)?;
    let cli = CliEnv::at(&engine)?;
    let refused = |yaml: &str, args: &[&str], parts: &[&str]| {
        cli.write("all.yaml", yaml)?;
        let output = cli.run(&[args, &["-f", "all.yaml"]].concat())?;
        ensure!(output.code() == Some(3), "{output:?}");
        says(&output.stderr, parts)
    };
    let watch = "all.yaml:5: SwarmCluster default/shop: --watch does not follow";
    let both = swarm("") + &overlay();
    refused(
        &both,
        &["apply", "--watch"],
        &[watch, "DockerNetwork default/mesh"],
    )?;
    let locks = "all.yaml:8: SwarmCluster default/shop: spec.autoLock is true";
    refused(&swarm("autoLock: true"), &["apply"], &[locks])?;
    is_free(&engine)?;
    assert!(!cli.state_dir().exists());
    // What cannot change later cannot change here either.
    cli.apply(&swarm("subnetSize: 24"))?.all_ready()?;
    let other = swarm("subnetSize: 25");
    refused(
        &other,
        &["apply"],
        &["all.yaml:8: ", "subnetSize cannot change"],
    )
}
