//! Credentials of a share, from a Secret in the files.

use std::fs;

use anyhow::{Result, ensure};
use dockfleet_e2e::Engine;
use serde_json::json;

use crate::cli_env::{CliEnv, on_each_engine, says};
use crate::{have, manifest};

on_each_engine!(a_secret_in_the_files_reaches_the_engine_and_nothing_else);

const FIRST: &str = "kanarienvogel-4711";
const SECOND: &str = "zaunkoenig-0815";

fn files(password: &str) -> String {
    let share = "cifs: {server: nas.invalid, share: team, credentialsSecret: {name: login}}";
    format!(
        "{}---\napiVersion: v1\nkind: Secret\n\
         metadata: {{name: login, labels: {{dockfleet.io/credentials: 'true'}}}}\n\
         stringData: {{username: shop, password: '{password}'}}\n",
        manifest::volume("share", share)
    )
}

/// Invariant 9.
fn a_secret_in_the_files_reaches_the_engine_and_nothing_else(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let silent = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let output = cli.run(&words)?;
        let said = format!("{}{}", output.stdout, output.stderr);
        for password in [FIRST, SECOND] {
            ensure!(!said.contains(password), "{line}: {said}");
        }
        Ok(said)
    };
    cli.write("all.yaml", &files(FIRST))?;
    silent("--log trace diff -f all.yaml")?;
    silent("--log trace apply -f all.yaml")?;
    let options = |password: &str| {
        let o = format!("addr=nas.invalid,rw,username=shop,password={password}");
        json!({"type": "cifs", "device": "//nas.invalid/team", "o": o})
    };
    assert_eq!(have::volume(engine, "share")?["Options"], options(FIRST));
    cli.is_settled(&files(FIRST))?;
    says(&silent("get")?, &["share", "Ready"])?;

    // Another password is told of, and taken when the volume is made anew.
    let report = cli.apply(&files(SECOND))?.ended_with(1)?;
    let message = report.stands("share", "Drifted", "Drifted")?;
    says(&message, &["other credentials", "docker volume rm share"])?;
    for line in ["apply -f all.yaml", "diff -f all.yaml", "get -o yaml"] {
        says(&silent(line)?, &["share"])?;
    }
    engine.docker(["volume", "rm", "share"])?;
    cli.apply(&files(SECOND))?.all_ready()?;
    assert_eq!(have::volume(engine, "share")?["Options"], options(SECOND));
    // With permission it is made anew, as soon as nothing uses it.
    let replaceable = |password: &str| {
        let policy = "updatePolicy: WhenUnused\n  cifs:";
        files(password).replacen("cifs:", policy, 1)
    };
    let replaced = replaceable(FIRST);
    engine.import_busybox()?;
    engine.docker([
        "create",
        "--volume",
        "share:/s",
        "--name",
        "user",
        "busybox:local",
    ])?;
    let message = cli.apply(&replaced)?.stands("share", "Drifted", "InUse")?;
    says(
        &message,
        &[
            "user",
            "cifs.credentialsSecret: want its credentials, have others",
        ],
    )?;
    assert_eq!(have::volume(engine, "share")?["Options"], options(SECOND));
    engine.docker(["rm", "user"])?;
    cli.write("all.yaml", &replaced)?;
    silent("--log trace apply -f all.yaml")?;
    assert_eq!(have::volume(engine, "share")?["Options"], options(FIRST));
    cli.is_settled(&replaced)?;
    cli.apply(&replaceable(SECOND))?.all_ready()?;
    assert_eq!(have::volume(engine, "share")?["Options"], options(SECOND));

    // What is no good is told without its value, and takes nothing away.
    let report = cli.apply(&files(&format!("{FIRST},ro")))?.ended_with(1)?;
    let message = report.stands("share", "Failed", "CredentialsMissing")?;
    says(&message, &["Secret default/login", "comma"])?;
    silent("apply -f all.yaml -o json")?;
    assert_eq!(have::volume(engine, "share")?["Options"], options(SECOND));

    let journal = cli.journal()?;
    for format in ["table", "json", "yaml"] {
        let folder = journal.display().to_string();
        silent(&format!("journal {folder} -o {format}"))?;
    }
    for file in fs::read_dir(journal)? {
        let bytes = fs::read(file?.path())?;
        for password in [FIRST, SECOND] {
            let found = bytes
                .windows(password.len())
                .any(|w| w == password.as_bytes());
            ensure!(!found, "the journal has a password");
        }
    }
    cli.delete(&files(SECOND))?.ended_with(0)?;
    assert_eq!(have::volume_names(engine)?, ["share"]);
    Ok(())
}
