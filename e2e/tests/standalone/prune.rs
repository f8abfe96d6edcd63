//! What is in no file any more: left alone, unless somebody says to prune and confirms it.

use anyhow::Result;
use dockfleet_e2e::Engine;

use crate::cli_env::{CliEnv, on_each_engine, says};
use crate::{have, manifest};

on_each_engine!(
    applying_other_files_touches_nothing_else,
    prune_without_a_terminal_wants_a_yes,
    prune_asks_at_a_terminal,
    the_question_is_sorted_and_has_what_was_made,
    prune_asks_again_when_what_it_showed_has_changed,
    prune_lets_go_by_policy,
    prune_keeps_what_is_in_use_and_what_is_not_ours,
    prune_takes_silence_for_no_wish,
);

fn first() -> String {
    manifest::network("one", "")
}

/// What is in no file later.
fn rest() -> String {
    [
        manifest::network("two", ""),
        manifest::network("kept-net", "deletionPolicy: Retain"),
        manifest::volume("data", ""),
        manifest::volume("cache", "deletionPolicy: Delete"),
    ]
    .concat()
}

fn applied(cli: &CliEnv) -> Result<()> {
    cli.apply(&(first() + &rest()))?.all_ready()?;
    Ok(())
}

fn applying_other_files_touches_nothing_else(engine: &Engine, cli: &CliEnv) -> Result<()> {
    applied(cli)?;
    let before = have::everything(engine)?;
    let report = cli.apply(&first())?.all_ready()?;
    assert_eq!(report.rows().len(), 1);
    assert_eq!(have::everything(engine)?, before);
    // What was applied before is not forgotten.
    let get = cli.report(&["get"])?.ended_with(0)?;
    assert_eq!(get.rows().len(), 5);
    cli.is_settled(&(first() + &rest()))
}

fn prune_without_a_terminal_wants_a_yes(engine: &Engine, cli: &CliEnv) -> Result<()> {
    applied(cli)?;
    let before = have::everything(engine)?;
    let new = first() + &manifest::network("new", "");
    cli.write("all.yaml", &new)?;
    let output = cli.run(&["apply", "--prune", "-f", "all.yaml"])?;
    assert_eq!(output.code(), Some(3), "{output:?}");
    says(
        &output.stderr,
        &[
            "--yes",
            "default/two",
            "default/cache",
            "(Delete)",
            "(Retain)",
        ],
    )?;
    assert!(!output.stderr.contains("default/one"), "{output:?}");
    assert_eq!(have::everything(engine)?, before, "nothing was touched");

    // Nothing to prune, nothing to ask.
    let all = first() + &rest();
    cli.with(&all, &["apply", "--prune"])?.all_ready()?;
    Ok(())
}

fn prune_asks_at_a_terminal(engine: &Engine, cli: &CliEnv) -> Result<()> {
    applied(cli)?;
    cli.write("all.yaml", &first())?;
    let before = have::everything(engine)?;
    let answer = |word: &str| {
        let line = format!(
            "echo {word} | script -q -e -c 'dockfleet apply --prune -f all.yaml' /dev/null"
        );
        cli.run_shell(&line)
    };
    let no = answer("n")?;
    says(&no.stdout, &["default/two", "[y/N]"])?;
    assert_eq!(no.code(), Some(3), "{no:?}");
    assert_eq!(have::everything(engine)?, before, "the answer was no");
    let yes = answer("y")?;
    assert_eq!(yes.code(), Some(0), "{yes:?}");
    assert!(!have::has_network(engine, "two")?);
    assert!(have::has_network(engine, "one")?);
    Ok(())
}

fn the_question_is_sorted_and_has_what_was_made(engine: &Engine, cli: &CliEnv) -> Result<()> {
    engine.docker(["network", "create", "theirs"])?;
    let made = ["zebra", "ape", "mule"].map(|name| manifest::network(name, ""));
    let never = [
        manifest::network("theirs", ""),
        manifest::volume("no-plugin", "driver: nosuch"),
    ];
    let volume = manifest::volume("data", "");
    let yaml = [first(), made.concat(), never.concat(), volume].concat();
    cli.apply(&yaml)?.ended_with(1)?;
    cli.write("all.yaml", &first())?;
    let line = "echo YES | script -q -e -c 'dockfleet apply --prune -f all.yaml' /dev/null";
    let output = cli.run_shell(line)?;
    assert_eq!(output.code(), Some(0), "{output:?}");
    let (question, _) = output.stdout.split_once("[y/N]").unwrap_or_default();
    let listed: Vec<&str> = question
        .lines()
        .filter_map(|l| l.trim().strip_prefix("local "))
        .collect();
    let wanted = [
        "DockerNetwork default/ape (Delete)",
        "DockerNetwork default/mule (Delete)",
        "DockerNetwork default/zebra (Delete)",
        "DockerVolume default/data (Retain)",
    ];
    assert_eq!(listed, wanted, "{output:?}");
    let left: Vec<_> = have::network_ids(engine)?.into_keys().collect();
    assert_eq!(left, ["one", "theirs"]);
    // What was never made needs no answer, and is forgotten with the rest.
    assert_eq!(cli.report(&["get"])?.all_ready()?.rows().len(), 1);
    Ok(())
}

/// While the question stands there, somebody applies something else with the same journal.
fn prune_asks_again_when_what_it_showed_has_changed(engine: &Engine, cli: &CliEnv) -> Result<()> {
    applied(cli)?;
    cli.write("all.yaml", &first())?;
    cli.write("more.yaml", &manifest::network("three", ""))?;
    let asked = |times: u8| {
        format!("until [ \"$(grep -c 'y/N' shown 2>/dev/null)\" = {times} ]; do sleep 0.05; done")
    };
    let line = format!(
        "{{ {}; dockfleet apply -f more.yaml >&2; echo y; {}; echo n; }} \
         | script -q -e -f -c 'dockfleet apply --prune -f all.yaml' shown",
        asked(1),
        asked(2),
    );
    let output = cli.run_shell(&line)?;
    assert_eq!(output.code(), Some(3), "{output:?}");
    let (first_time, again) = output
        .stdout
        .split_once("the list has changed")
        .unwrap_or_default();
    says(first_time, &["default/two"])?;
    says(again, &["default/two", "default/three"])?;
    assert!(!first_time.contains("default/three"), "{output:?}");
    for name in ["one", "two", "three"] {
        assert!(have::has_network(engine, name)?, "the last answer was no");
    }
    Ok(())
}

fn prune_lets_go_by_policy(engine: &Engine, cli: &CliEnv) -> Result<()> {
    applied(cli)?;
    let one = have::network_id(engine, "one")?;
    let diff = cli.with(&first(), &["diff", "--prune"])?.ended_with(2)?;
    assert_eq!(diff.rows().len(), 4);
    assert_eq!(diff.row("two")?["action"], "remove");
    assert_eq!(diff.row("data")?["action"], "retain");
    assert!(have::has_network(engine, "two")?, "diff only looks");

    let report = cli
        .with(&first(), &["apply", "--prune", "--yes"])?
        .ended_with(0)?;
    assert_eq!(report.changed(), Some(2));
    report.stands("two", "Gone", "Removed")?;
    report.stands("kept-net", "Gone", "Retained")?;
    report.stands("data", "Gone", "Retained")?;
    report.stands("cache", "Gone", "Removed")?;
    let left: Vec<_> = have::network_ids(engine)?.into_keys().collect();
    assert_eq!(left, ["kept-net", "one"]);
    assert_eq!(have::volume_names(engine)?, ["data"]);
    assert_eq!(have::network_id(engine, "one")?, one);
    assert_eq!(cli.report(&["get"])?.rows().len(), 1);
    Ok(())
}

fn prune_keeps_what_is_in_use_and_what_is_not_ours(engine: &Engine, cli: &CliEnv) -> Result<()> {
    engine.docker(["network", "create", "theirs"])?;
    engine.docker(["volume", "create", "their-data"])?;
    applied(cli)?;
    engine.import_busybox()?;
    engine.run_container("box", &["--network", "two", "-v", "cache:/cache"], &[])?;
    let prune = ["apply", "--prune", "--yes"];
    let report = cli.with(&first(), &prune)?.ended_with(1)?;
    for name in ["two", "cache"] {
        says(&report.stands(name, "Pending", "InUse")?, &["box"])?;
    }
    assert!(have::has_network(engine, "two")?);
    assert!(have::has_volume(engine, "cache")?);
    engine.docker(["rm", "--force", "box"])?;
    cli.with(&first(), &prune)?.ended_with(0)?;
    let left: Vec<_> = have::network_ids(engine)?.into_keys().collect();
    assert_eq!(left, ["kept-net", "one", "theirs"]);
    assert_eq!(have::volume_names(engine)?, ["data", "their-data"]);
    Ok(())
}

/// Invariant 1: a pipe whose first half failed, a file that is being written, or a link that leads nowhere is no
/// permission.
fn prune_takes_silence_for_no_wish(engine: &Engine, cli: &CliEnv) -> Result<()> {
    applied(cli)?;
    let before = have::everything(engine)?;
    cli.write("nothing.yaml", "# to be written\n")?;
    let host = manifest::document("DockerHost", "h1", &direct(engine));
    cli.write("hosts.yaml", &host)?;
    cli.write("links/one.yaml", &first())?;
    let linked = cli.run_shell("ln -s ../gone links/two.yaml")?;
    assert_eq!(linked.code(), Some(0), "{linked:?}");
    for (args, part) in [
        (
            &["-f", "links", "--prune", "--yes"][..],
            "links/two.yaml: cannot be read: a link to ../gone, which does not exist",
        ),
        (&["-f", "nothing.yaml", "--prune", "--yes"], "no manifest"),
        (
            &["-f", "hosts.yaml", "--prune", "--yes"],
            "would remove or release everything",
        ),
        (
            &["-f", "all.yaml", "--prune", "--yes", "--watch"],
            "--watch",
        ),
        (&["-f", "-", "--watch"], "no manifest"),
    ] {
        cli.write("all.yaml", &first())?;
        let output = cli.run(&[&["apply"], args].concat())?;
        assert_eq!(output.code(), Some(3), "{args:?}: {output:?}");
        says(&output.stderr, &[part])?;
    }
    assert_eq!(have::everything(engine)?, before, "nothing was touched");
    Ok(())
}

fn direct(engine: &Engine) -> String {
    format!(
        "connection: {{direct: {{endpoint: '{}'}}}}",
        engine.docker_host()
    )
}
