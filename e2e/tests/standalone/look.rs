//! Commands that only look: they say what `apply` says, of every state, in every output, and of folders
//! that nothing can be written to.

use std::fs;

use anyhow::{Result, ensure};
use dockfleet_e2e::Engine;
use serde_json::Value;

use crate::cli_env::{CliEnv, Report, on_each_engine, says};
use crate::{have, manifest};

on_each_engine!(
    get_diff_and_apply_say_the_same_of_the_same_state,
    what_get_was_told_goes_with_its_cause,
    a_dry_run_ends_as_doing_it_would,
    a_folder_that_cannot_be_written_is_looked_at_and_not_called_damaged,
    what_failed_is_in_every_output,
);

fn share(name: &str) -> String {
    let login = "cifs: {server: nas.invalid, share: team, credentialsSecret: {name: NAME-login}}";
    manifest::volume(name, &login.replace("NAME", name))
}

fn login(of: &str, password: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Secret\n\
         metadata: {{name: {of}-login, labels: {{dockfleet.io/credentials: 'true'}}}}\n\
         stringData: {{username: shop, password: {password}}}\n"
    )
}

/// What a row says beside its name.
fn words(row: &Value) -> [&Value; 4] {
    [&row["state"], &row["reason"], &row["message"], &row["id"]]
}

fn get_diff_and_apply_say_the_same_of_the_same_state(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let files = |mtu: u32, password: &str, kept: &str| {
        let mtu = format!("bridge: {{mtu: {mtu}}}");
        [
            manifest::network("fine", ""),
            manifest::network("differs", &mtu),
            manifest::network("used", &format!("{mtu}\nupdatePolicy: WhenUnused")),
            manifest::network("missing", "driftPolicy: Observe"),
            manifest::volume("lost", ""),
            share("other-password"),
            login("other-password", password),
            share("no-secret"),
            kept.to_owned(),
        ]
        .concat()
    };
    engine.docker(["network", "create", "theirs"])?;
    let before = files(1400, "first-password", &login("no-secret", "a-password"));
    cli.apply(&before)?.all_ready()?;
    engine.import_busybox()?;
    engine.run_container("box", &["--network", "used"], &[])?;
    engine.docker(["network", "rm", "missing"])?;
    engine.docker(["volume", "rm", "lost"])?;

    let after = [
        files(1300, "second-password", ""),
        manifest::network("theirs", ""),
        manifest::network("no-parent", "driver: macvlan\nmacvlan: {parent: eth9}"),
        manifest::volume("no-plugin", "driver: nosuch"),
        share("never-had-one"),
    ]
    .concat();
    let apply = cli.apply(&after)?.ended_with(1)?;
    for (name, reason) in [
        ("differs", "Drifted"),
        ("used", "InUse"),
        ("missing", "Missing"),
        ("lost", "Lost"),
        ("other-password", "Drifted"),
        ("no-secret", "CredentialsMissing"),
        ("theirs", "Conflict"),
        ("no-parent", "EngineRefused"),
        ("no-plugin", "EngineRefused"),
        ("never-had-one", "CredentialsMissing"),
    ] {
        assert_eq!(apply.row(name)?["reason"], reason, "{name}");
    }
    let get = cli.report(&["get"])?.ended_with(1)?;
    let diff = cli.report(&["diff", "-f", "all.yaml"])?.ended_with(2)?;
    let dry = cli
        .report(&["apply", "--dry-run", "-f", "all.yaml"])?
        .ended_with(1)?;
    for row in apply.rows() {
        let name = row["name"].as_str().unwrap_or_default();
        assert_eq!(words(get.row(name)?), words(row), "get, {name}");
        if name != "fine" {
            assert_eq!(words(diff.row(name)?), words(row), "diff, {name}");
            assert_eq!(words(dry.row(name)?), words(row), "dry run, {name}");
        }
    }
    assert_eq!(get.rows().len(), apply.rows().len());
    assert_eq!(diff.rows().len(), apply.rows().len() - 1);

    // Of what waits for a container, too, when it is to go.
    let report = cli.with(&manifest::network("used", ""), &["delete"])?;
    let deleted = report.ended_with(1)?;
    let get = cli.report(&["get"])?;
    assert_eq!(words(get.row("used")?), words(deleted.row("used")?));
    let dry = cli.report(&["delete", "--dry-run", "-f", "all.yaml"])?;
    assert_eq!(
        words(dry.ended_with(1)?.row("used")?),
        words(deleted.row("used")?)
    );

    // Each difference is printed once.
    cli.write("all.yaml", &after)?;
    let table = cli.run(&["diff", "-f", "all.yaml"])?.stdout;
    assert_eq!(table.matches("want 1300, have 1400").count(), 2, "{table}");
    Ok(())
}

/// What was said is said no more when it is so no more, and nothing hangs on it.
fn what_get_was_told_goes_with_its_cause(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let refused = manifest::volume("data", "driver: nosuch");
    cli.apply(&refused)?.ended_with(1)?;
    cli.report(&["get"])?
        .stands("data", "Failed", "EngineRefused")?;
    let said = cli.journal()?.join("messages.json");
    let text = fs::read_to_string(&said)?;
    for other in ["", "no JSON", "[]", "{\"x\": 1}"] {
        fs::write(&said, other)?;
        cli.report(&["get"])?
            .stands("data", "Pending", "Progressing")?;
    }
    fs::write(&said, text)?;
    // Another wish is not what was refused.
    let diff = cli.with(&manifest::volume("data", ""), &["diff"])?;
    diff.ended_with(2)?
        .stands("data", "Pending", "Progressing")?;
    cli.apply(&manifest::volume("data", ""))?.all_ready()?;
    cli.report(&["get"])?.all_ready()?;
    // What is in no file any more is forgotten with `delete`, also where there is nothing to remove.
    let lacking = share("share");
    cli.apply(&lacking)?.ended_with(1)?;
    cli.report(&["get"])?
        .stands("share", "Failed", "CredentialsMissing")?;
    cli.delete(&lacking)?.ended_with(0)?;
    assert_eq!(cli.report(&["get"])?.all_ready()?.rows().len(), 1);
    // With credentials that only files have, get does not guess.
    let with_login = share("share") + &login("share", "a-password");
    cli.apply(&with_login)?.all_ready()?;
    engine.docker(["volume", "rm", "share"])?;
    let get = cli.report(&["get"])?;
    says(
        &get.stands("share", "Pending", "Progressing")?,
        &["to be created: removed by hand"],
    )
}

fn a_dry_run_ends_as_doing_it_would(engine: &Engine, cli: &CliEnv) -> Result<()> {
    engine.docker(["network", "create", "theirs"])?;
    let good = manifest::network("good", "");
    let conflict = good.clone() + &manifest::network("theirs", "");
    let before = have::everything(engine)?;
    cli.with(&good, &["apply", "--dry-run"])?.ended_with(0)?;
    let dry = cli
        .with(&conflict, &["apply", "--dry-run"])?
        .ended_with(1)?;
    assert_eq!(dry.row("good")?["action"], "create");
    dry.stands("theirs", "Failed", "Conflict")?;
    assert_eq!(have::everything(engine)?, before);
    cli.apply(&conflict)?.ended_with(1)?;
    cli.with(&conflict, &["apply", "--dry-run"])?
        .ended_with(1)?;
    cli.with(&conflict, &["delete", "--dry-run"])?
        .ended_with(0)?;
    cli.delete(&conflict)?.ended_with(0)?;
    assert!(have::has_network(engine, "theirs")?);
    Ok(())
}

/// Runs lines of the shell where `ro` is the state folder, mounted read-only.
fn read_only(cli: &CliEnv, lines: &str) -> Result<Report> {
    fs::create_dir_all(cli.file("ro"))?;
    let mount = "mount --bind \"$DOCKFLEET_STATE_DIR\" ro && mount -o remount,bind,ro ro";
    cli.write("inside.sh", &format!("set -e\n{mount}\n{lines}\n"))?;
    Report::of(cli.run_shell("unshare --mount sh inside.sh")?)
}

fn a_folder_that_cannot_be_written_is_looked_at_and_not_called_damaged(
    _: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let yaml = manifest::network("front", "") + &manifest::volume("data", "");
    cli.apply(&yaml)?.all_ready()?;
    let journal = cli.journal()?;
    let look = |what: &str| {
        for command in [
            "get",
            "diff -f all.yaml",
            "apply --dry-run -f all.yaml",
            "journal",
        ] {
            let line = format!("dockfleet {command} --state-dir ro -o json");
            let report = read_only(cli, &line)?.ended_with(0)?;
            let rows = report.rows().len();
            ensure!(rows == 2 || command.contains("-f"), "{what}: {report:?}");
        }
        anyhow::Ok(())
    };
    look("as apply left it")?;
    for file in ["journal.db-wal", "journal.db-shm"] {
        let _ = fs::remove_file(journal.join(file));
    }
    look("without the files that SQLite makes")?;
    let report = read_only(cli, "dockfleet apply -f all.yaml --state-dir ro -o json")?;
    let reported = report.ended_with(1)?.failure("local")?;
    says(&reported, &["cannot write to ro/", "mounted read-only"])?;
    assert!(!reported.contains("damaged"), "{reported}");

    // Another user's, and no folder at all.
    let line = "setpriv --reuid 65534 --clear-groups dockfleet get -o json";
    let reported = Report::of(cli.run_shell(line)?)?.ended_with(1)?;
    says(
        &reported.failure("local")?,
        &["cannot read ", "permission denied", "belongs to user 0"],
    )?;
    cli.write("file", "")?;
    let reported = cli.report(&["apply", "-f", "all.yaml", "--state-dir", "file"])?;
    says(
        &reported.failure("local")?,
        &["cannot write to ", "file is not a folder"],
    )?;
    let reported = cli.report(&["get", "--state-dir", "typo"])?.ended_with(3)?;
    says(
        &reported.stderr,
        &["--state-dir typo: the folder does not exist"],
    )?;
    // An empty variable is none, and what is damaged is called so.
    fs::write(journal.join("journal.db"), "no database")?;
    let reported = cli.report(&["get"])?.ended_with(1)?.failure("local")?;
    says(&reported, &["is damaged", "restored or moved away"])
}

fn what_failed_is_in_every_output(_: &Engine, cli: &CliEnv) -> Result<()> {
    cli.apply(&manifest::network("front", ""))?.all_ready()?;
    let journal = cli.journal()?.join("journal.db");
    let good = fs::read(&journal)?;
    let every = |host: Option<&str>, code: i32, words: &str, variable: &str| {
        for command in [
            "apply -f all.yaml",
            "apply --dry-run -f all.yaml",
            "apply --prune --yes -f all.yaml",
            "diff -f all.yaml",
            "delete -f all.yaml",
            "delete --dry-run -f all.yaml",
            "get",
            "get -f all.yaml",
        ] {
            for format in ["json", "yaml"] {
                let output =
                    cli.run_shell(&format!("{variable} dockfleet {command} -o {format}"))?;
                assert_eq!(output.code(), Some(code), "{command}: {output:?}");
                let printed: Value = serde_saphyr::from_str(&output.stdout)?;
                let failure = &printed["failures"][0];
                let reported = failure["message"].as_str().unwrap_or_default();
                ensure!(
                    reported.contains(words),
                    "{command} -o {format}: {output:?}"
                );
                assert_eq!(failure["host"].as_str(), host, "{command}");
                assert_eq!(printed["results"], serde_json::json!([]), "{command}");
            }
        }
        anyhow::Ok(())
    };
    let local = Some("local");
    every(
        local,
        1,
        "no Docker Engine answers",
        "DOCKER_HOST=unix:///nowhere.sock",
    )?;
    fs::write(&journal, "no database")?;
    every(local, 1, "is damaged", "")?;
    let printed = cli.run(&["journal", "-o", "json"])?;
    assert_eq!(printed.code(), Some(1));
    let printed: Value = serde_json::from_str(&printed.stdout)?;
    says(&printed["failures"][0].to_string(), &["is damaged"])?;
    fs::write(&journal, good)?;
    every(None, 3, "has no known form", "DOCKER_HOST=nonsense")?;
    let context = "DOCKER_HOST= DOCKER_CONTEXT=nosuch";
    every(None, 3, "there is no such context", context)?;
    cli.write("all.yaml", "kind: DockerNetwork\n")?;
    let report = cli.report(&["diff", "-f", "all.yaml"])?.ended_with(3)?;
    says(&report.json["failures"][0].to_string(), &["all.yaml:1:"])
}
