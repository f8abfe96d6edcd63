//! `dockfleet usage`: what it counts is what `du` and `find` count.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Engine;
use dockfleet_e2e::tree::Content;
use serde_json::Value;

use crate::backup::volume;
use crate::cli_env::{CliEnv, on_each_engine, says};

on_each_engine!(
    a_volume_is_measured_as_du_measures_it,
    what_is_mounted_in_a_volume_is_not_counted,
    a_volume_that_is_not_here_is_an_error,
);

/// Runs the command, and returns the rows of its JSON.
fn measured(cli: &CliEnv, line: &str) -> Result<Value> {
    let output = cli.run_shell(line)?.ok()?;
    let document: Value = serde_json::from_str(&output)?;
    Ok(document["results"].clone())
}

/// Returns the number that a line for the shell prints first, for a folder as `$1`.
fn number(line: &str, folder: &Path) -> Result<u64> {
    let output = Command::new("sh")
        .args(["-c", line, "sh"])
        .arg(folder)
        .output()?;
    ensure!(output.status.success(), "{line}: {output:?}");
    let text = String::from_utf8(output.stdout)?;
    let first = text.split_whitespace().next().context("no number")?;
    Ok(first.parse()?)
}

fn a_volume_is_measured_as_du_measures_it(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let content = Content {
        small_files: 2_000,
        random_bytes: 3 << 20,
        seed: 2,
    };
    let folder = volume(engine, "odd")?;
    content.make(&folder)?;
    fs::write(volume(engine, "small")?.join("a"), "a sofa")?;
    let tmpfs = ["-o", "type=tmpfs", "-o", "device=tmpfs", "ram"];
    engine.docker([&["volume", "create"][..], &tmpfs].concat())?;
    // Delayed allocation of a file system: until then a file takes less.
    ensure!(Command::new("sync").status()?.success(), "sync");

    let rows = measured(cli, "dockfleet usage -o json")?;
    let names: Vec<_> = rows.as_array().context("no rows")?.iter().collect();
    let names: Vec<_> = names.iter().map(|row| row["volume"].clone()).collect();
    assert_eq!(names, ["odd", "small"], "the largest first");
    let odd = &rows[0];
    let on_disk = number("du --summarize --block-size=1 \"$1\"", &folder)?;
    assert_eq!(odd["allocated"], on_disk, "{odd}");
    // Each file by its inode: several have more than one name.
    let once = "sort --unique | awk '{ n += $2; c++ } END { printf \"%d %d\", BY, c }'";
    let bytes = format!(
        "find \"$1\" -type f -printf '%i %s\\n' | {}",
        once.replace("BY", "n")
    );
    assert_eq!(odd["bytes"], number(&bytes, &folder)?, "{odd}");
    let files = format!(
        "find \"$1\" ! -type d -printf '%i 0\\n' | {}",
        once.replace("BY", "c")
    );
    assert_eq!(odd["files"], number(&files, &folder)?, "{odd}");
    let folders = number(
        "find \"$1\" -mindepth 1 -type d -printf x | wc --bytes",
        &folder,
    )?;
    assert_eq!(odd["folders"], folders, "{odd}");
    assert_eq!(odd["unread"], 0, "{odd}");

    let table = cli.run(&["usage", "small"])?.ok()?;
    says(&table, &["VOLUME", "ON DISK", "small", "6 B"])?;
    ensure!(!table.contains("odd"), "{table}");
    Ok(())
}

fn what_is_mounted_in_a_volume_is_not_counted(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let folder = volume(engine, "data")?;
    fs::create_dir(folder.join("inner"))?;
    fs::write(folder.join("a"), "a sofa")?;
    let inner = folder.join("inner").display().to_string();
    // The mount is gone with its namespace.
    let line = format!(
        "unshare --mount sh -c 'mount -t tmpfs tmpfs {inner} && echo 1234567 >{inner}/b \
         && dockfleet usage data -o json'"
    );
    let rows = measured(cli, &line)?;
    assert_eq!(
        (&rows[0]["files"], &rows[0]["bytes"]),
        (&1.into(), &6.into())
    );
    Ok(())
}

fn a_volume_that_is_not_here_is_an_error(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let tmpfs = ["-o", "type=tmpfs", "-o", "device=tmpfs", "ram"];
    engine.docker([&["volume", "create"][..], &tmpfs].concat())?;
    volume(engine, "data")?;
    let output = cli.run(&["usage", "data", "ram", "nothing"])?;
    assert_eq!(output.code(), Some(1), "{output:?}");
    says(&output.stdout, &["data"])?;
    says(
        &output.stderr,
        &["comes from a mount (tmpfs)", "there is no volume nothing"],
    )?;
    let output = cli.run(&["usage", "nothing", "-o", "json"])?;
    assert_eq!(output.code(), Some(1), "{output:?}");
    let document: Value = serde_json::from_str(&output.stdout)?;
    assert_eq!(
        document["failures"][0]["message"],
        "there is no volume nothing"
    );
    // What shows that this process sees the engine's volumes is gone.
    let all = engine.docker(["volume", "ls", "-q"])?;
    assert_eq!(all.split_whitespace().collect::<Vec<_>>(), ["data", "ram"]);
    Ok(())
}
