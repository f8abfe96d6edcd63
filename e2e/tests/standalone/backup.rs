//! Backups of volumes into a folder, and back.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use dockfleet_e2e::Engine;

use crate::cli_env::{CliEnv, on_each_engine, says, text};

on_each_engine!(
    a_volume_comes_back_on_another_name,
    a_restore_needs_an_empty_volume_that_nothing_uses,
    bad_input_is_refused_before_anything_is_done,
);

/// Creates a volume, and returns its folder.
fn volume(engine: &Engine, name: &str) -> Result<PathBuf> {
    engine.docker(["volume", "create", name])?;
    let found = engine.docker_json(["volume", "inspect", name])?;
    Ok(found[0]["Mountpoint"]
        .as_str()
        .context("no mountpoint")?
        .into())
}

/// Makes a folder for a repository, and its password.
fn store(cli: &CliEnv) -> Result<String> {
    cli.write("password", "correct horse\nand something else\n")?;
    let folder = cli.file("store");
    fs::create_dir(&folder)?;
    Ok(folder.display().to_string())
}

/// Runs a command of backups, with the password.
fn run(cli: &CliEnv, args: &[&str]) -> Result<dockfleet_e2e::Output> {
    cli.run(&[args, &["--password-file", "password"]].concat())
}

fn a_volume_comes_back_on_another_name(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let store = store(cli)?;
    let folder = volume(engine, "shop-data")?;
    fs::create_dir(folder.join("orders"))?;
    fs::write(folder.join("orders/1"), "a sofa")?;
    let made = run(
        cli,
        &[
            "backup",
            "shop-data",
            "--to",
            &store,
            "--create",
            "--host",
            "h1",
        ],
    )?
    .ok()?;
    says(&made, &["SNAPSHOT", "shop-data", "6 B", "Complete"])?;

    // Nothing has to be remembered: the repository says what it has.
    let listed = run(cli, &["snapshots", "--from", &store, "-o", "json"])?.ok()?;
    let listed: serde_json::Value = serde_json::from_str(&listed)?;
    assert_eq!(text(&listed["results"][0]["volume"]), "shop-data");
    assert_eq!(text(&listed["results"][0]["host"]), "h1");

    let back = run(
        cli,
        &[
            "restore",
            "shop-data",
            "--from",
            &store,
            "--to-volume",
            "again",
        ],
    )?
    .ok()?;
    says(&back, &["shop-data", "again"])?;
    let found = engine.docker_json(["volume", "inspect", "again"])?;
    let again = PathBuf::from(found[0]["Mountpoint"].as_str().context("no mountpoint")?);
    assert_eq!(fs::read_to_string(again.join("orders/1"))?, "a sofa");
    // What shows that this process sees the engine's volumes is gone.
    let all = engine.docker(["volume", "ls", "-q"])?;
    assert_eq!(
        all.split_whitespace().collect::<Vec<_>>(),
        ["again", "shop-data"]
    );
    Ok(())
}

fn a_restore_needs_an_empty_volume_that_nothing_uses(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let store = store(cli)?;
    let folder = volume(engine, "data")?;
    fs::write(folder.join("a"), "1")?;
    run(cli, &["backup", "data", "--to", &store, "--create"])?.ok()?;
    let full = run(cli, &["restore", "data", "--from", &store])?;
    assert_eq!(full.code(), Some(1), "{full:?}");
    says(
        &full.stderr,
        &["volume data: there is data in it, such as a"],
    )?;
    assert_eq!(fs::read_to_string(folder.join("a"))?, "1");

    volume(engine, "used")?;
    engine.import_busybox()?;
    engine.run_container("app", &["-v", "used:/used"], &["sleep", "600"])?;
    let used = run(
        cli,
        &["restore", "data", "--from", &store, "--to-volume", "used"],
    )?;
    assert_eq!(used.code(), Some(1), "{used:?}");
    says(&used.stderr, &["container app runs and uses volume used"])
}

fn bad_input_is_refused_before_anything_is_done(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let store = store(cli)?;
    let refused = |args: &[&str], words: &[&str]| -> Result<()> {
        let output = run(cli, args)?;
        assert_ne!(output.code(), Some(0), "{args:?}: {output:?}");
        says(&output.stderr, words)
    };
    volume(engine, "data")?;
    engine.docker([
        "volume",
        "create",
        "-o",
        "type=tmpfs",
        "-o",
        "device=tmpfs",
        "ram",
    ])?;
    refused(
        &["backup", "nothing", "--to", &store, "--create"],
        &["there is no volume nothing"],
    )?;
    refused(
        &["backup", "ram", "--to", &store, "--create"],
        &["comes from a mount (tmpfs)"],
    )?;
    refused(
        &["backup", "data", "--to", "backup"],
        &["is not a repository", "/backup"],
    )?;
    refused(
        &["backup", "data", "--to", &store],
        &["there is no repository at", "--create"],
    )?;
    let missing = format!("{store}/not-mounted");
    refused(
        &["backup", "data", "--to", &missing, "--create"],
        &["there is no folder", "mount its disk"],
    )?;
    refused(
        &["restore", "data", "--from", &store],
        &["there is no repository at"],
    )?;
    assert!(
        fs::read_dir(&store)?.next().is_none(),
        "nothing was written"
    );
    run(cli, &["backup", "data", "--to", &store, "--create"])?.ok()?;
    cli.write("password", "guess\n")?;
    refused(
        &["snapshots", "--from", &store],
        &["the password opens no key of the repository"],
    )
}
