//! One engine is one host, whatever leads to it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use dockfleet_e2e::{Engine, Generation, eventually};

use crate::cli_env::{CliEnv, SOON, for_each_generation, pair, says, solo, text};
use crate::{have, manifest};

for_each_generation!(
    one_engine_by_two_paths_is_refused_before_anything_is_touched,
    a_path_that_opens_later_is_not_followed,
    two_runs_by_two_paths_make_nothing_twice,
    machines_that_were_copied_are_two_engines,
);

/// Two hosts of one engine: one by its socket and one by a link to it.
fn two_paths(engine: &Engine, cli: &CliEnv) -> Result<[String; 2]> {
    let link = cli.file("link.sock");
    symlink(engine.socket(), &link)?;
    let endpoint = |at: &str| format!("endpoint: {at}");
    Ok([
        manifest::reached_by("a", "{}", &endpoint(&engine.docker_host())),
        manifest::reached_by("b", "{}", &endpoint(&format!("unix://{}", link.display()))),
    ])
}

fn resources() -> String {
    manifest::network("front", "") + &manifest::volume("data", "")
}

fn id(engine: &Engine) -> Result<String> {
    Ok(text(&engine.get("/info")?["ID"]))
}

fn one_engine_by_two_paths_is_refused_before_anything_is_touched(
    generation: Generation,
) -> Result<()> {
    let engine = solo(generation)?;
    let cli = CliEnv::for_hosts_in_files()?;
    let hosts = two_paths(&engine, &cli)?;
    cli.write("all.yaml", &(hosts.concat() + &resources()))?;
    let sentence = format!("DockerHosts a and b are one engine (ID {}, ", id(&engine)?);
    for line in [
        "apply -f all.yaml",
        "apply -f all.yaml -o json",
        "apply --watch -f all.yaml",
        "apply --dry-run -f all.yaml",
        "diff -f all.yaml",
        "delete -f all.yaml",
        "get -f all.yaml",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let output = cli.run(&words)?;
        ensure!(output.code() == Some(3), "{line}: {output:?}");
        says(
            &output.stderr,
            &[&sentence, "keep one of them", "engine-id"],
        )?;
        if line.ends_with("json") {
            says(&output.stdout, &["\"failures\"", &sentence])?;
        } else {
            assert_eq!(output.stdout, "", "{line}");
        }
    }
    assert!(have::network_ids(&engine)?.is_empty());
    assert!(have::volume_names(&engine)?.is_empty());
    assert!(!cli.state_dir().exists());
    // A host beside them that does not answer changes nothing about that.
    let nowhere = manifest::reached_by("c", "{}", "endpoint: unix:///nowhere/docker.sock");
    cli.write("all.yaml", &(hosts.concat() + &nowhere + &resources()))?;
    let output = cli.run(&["apply", "-f", "all.yaml"])?;
    ensure!(output.code() == Some(3), "{output:?}");
    says(&output.stderr, &[&sentence])?;
    let [first, _] = hosts;
    cli.apply(&(first + &resources()))?.all_ready()?;
    Ok(())
}

fn a_path_that_opens_later_is_not_followed(generation: Generation) -> Result<()> {
    let engine = solo(generation)?;
    let cli = CliEnv::for_hosts_in_files()?;
    let hosts = two_paths(&engine, &cli)?;
    fs::remove_file(cli.file("link.sock"))?;
    let watch = cli.watch(&(hosts.concat() + &resources()))?;
    let says_soon = |words: &str| {
        eventually(words, SOON, || {
            says(&watch.log(), &[words]).map_err(|e| e.to_string())
        })
    };
    says_soon("2 changes made")?;
    says_soon("host b: no Docker Engine answers")?;
    let before = have::everything(&engine)?;
    symlink(engine.socket(), cli.file("link.sock"))?;
    says_soon("host b: nothing is done: DockerHosts a and b are one engine")?;
    assert_eq!(have::everything(&engine)?, before);
    Ok(())
}

fn two_runs_by_two_paths_make_nothing_twice(generation: Generation) -> Result<()> {
    let engine = solo(generation)?;
    let cli = CliEnv::for_hosts_in_files()?;
    let [first, second] = two_paths(&engine, &cli)?;
    cli.apply(&(first + &resources()))?.all_ready()?;
    let before = have::everything(&engine)?;
    let again = cli.apply(&(second + &resources()))?.all_ready()?;
    assert_eq!(again.changed(), Some(0));
    assert_eq!(have::everything(&engine)?, before);
    Ok(())
}

/// A machine that was made from an image with Docker in it has the ID of the original.
fn machines_that_were_copied_are_two_engines(generation: Generation) -> Result<()> {
    let (first, second) = pair(generation)?;
    let file = |engine: &Engine| -> PathBuf {
        match generation {
            Generation::Debian20 => engine.data_root().with_file_name("key.json"),
            Generation::Newest => engine.data_root().join("engine-id"),
        }
    };
    second.stop()?;
    fs::copy(file(&first), file(&second))?;
    second.start_again()?;
    assert_eq!(id(&first)?, id(&second)?);
    let cli = CliEnv::for_hosts_in_files()?;
    let hosts = manifest::host(&first, "{}") + &manifest::host(&second, "{}");
    let report = cli.apply(&(hosts + &resources()))?.all_ready()?;
    assert_eq!(report.rows().len(), 4);
    Ok(())
}
