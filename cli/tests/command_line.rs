//! What the program says to a command line, before it asks anybody anything.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail as the test does"
)]

use std::process::{Command, Output};

/// Runs the program with these variables, in an empty folder and without an engine.
fn run(variables: &[(&str, &str)], args: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_dockfleet"))
        .args(args)
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", folder.path())
        .env("XDG_STATE_HOME", folder.path().join("state"))
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn refused(variables: &[(&str, &str)], args: &[&str]) -> String {
    let (code, stdout, stderr) = run(variables, args);
    assert_eq!((code, stdout.as_str()), (3, ""), "{args:?}: {stderr}");
    stderr
}

#[test]
fn help_and_version_are_commands_too() {
    let (code, version, _) = run(&[], &["version"]);
    assert_eq!(code, 0);
    assert_eq!(version, run(&[], &["--version"]).1);
    assert_eq!(run(&[], &["help"]).1, run(&[], &["--help"]).1);
    let join = run(&[], &["help", "agent", "join"]);
    assert_eq!(join.0, 0);
    assert_eq!(join.1, run(&[], &["agent", "join", "--help"]).1);
    let reported = refused(&[], &["help", "aply"]);
    assert!(reported.contains("aply"), "{reported}");
}

#[test]
fn a_file_without_f_is_reported_with_a_correction() {
    for command in ["apply", "diff", "delete"] {
        let reported = refused(&[], &[command, "a.yaml"]);
        assert!(
            reported.contains("a.yaml without -f: write -f a.yaml"),
            "{reported}"
        );
        let reported = refused(&[], &[command, "-f", "a.yaml", "b.yaml", "c.yaml"]);
        assert!(reported.contains("b.yaml, c.yaml without -f"), "{reported}");
        assert!(reported.contains("*.yaml"), "{reported}");
        assert!(refused(&[], &[command]).contains("--filename"));
        assert!(refused(&[], &[command, "-f", ""]).contains("an empty path"));
        let reported = refused(&[], &[command, "-f", "https://example.com/a.yaml"]);
        assert!(reported.contains("hand it on with -f -"), "{reported}");
    }
    let reported = refused(&[], &["get", "networks"]);
    assert!(reported.contains("get takes no names"), "{reported}");
}

#[test]
fn an_invalid_log_filter_is_refused() {
    for bad in ["nonsense=", "nonsense", "warn,=debug"] {
        for (variables, args) in [
            (&[][..], &["--log", bad, "crds"][..]),
            (&[("DOCKFLEET_LOG", bad)], &["crds"]),
        ] {
            let reported = refused(variables, args);
            assert!(reported.contains("dockfleet_agent=debug"), "{reported}");
        }
    }
    assert_eq!(
        run(&[], &["--log", "info,dockfleet_agent=TRACE", "crds"]).0,
        0
    );
}

#[test]
fn the_default_log_filters_are_described() {
    let source = include_str!("../src/logging.rs");
    let filter = |name: &str| {
        let value = source.split(&format!("const {name}: &str =")).nth(1);
        value.unwrap().split('"').nth(1).unwrap()
    };
    let described = format!(
        "Default of controller and agent: `{}`, which is info for Dockfleet and warn for libraries. \
         Default of all other commands, also of agent join: `{}`",
        filter("SERVICE_FILTER"),
        filter("COMMAND_FILTER"),
    );
    let docs = include_str!("../../docs/cli.md").to_owned();
    for text in [run(&[], &["--help"]).1, docs] {
        let words: Vec<&str> = text.split_whitespace().collect();
        assert!(words.join(" ").contains(&described), "{described}\n{text}");
    }
    let main = include_str!("../src/main.rs");
    assert!(main.contains("logging::SERVICE_FILTER") && main.contains("logging::COMMAND_FILTER"));
}

#[test]
fn joining_reports_its_errors_as_text() {
    let (code, stdout, stderr) = run(&[], &["agent", "join", "--file", "missing"]);
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    assert!(stderr.starts_with("error: cannot read missing"), "{stderr}");
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let empty = [
        ("DOCKFLEET_STATE_DIR", ""),
        ("DOCKFLEET_LOG", ""),
        ("DOCKFLEET_LOG_FORMAT", ""),
        ("DOCKER_CONTEXT", ""),
    ];
    for args in [&["crds"][..], &["journal"], &["get"]] {
        assert_eq!(run(&empty, args), run(&[], args), "{args:?}");
    }
    let heartbeat = [("DOCKFLEET_HEARTBEAT_INTERVAL", "")];
    let reported = run(&heartbeat, &["agent"]).2;
    assert!(
        !reported.contains("DOCKFLEET_HEARTBEAT_INTERVAL"),
        "{reported}"
    );
    assert!(!reported.contains("value is required"), "{reported}");
}

#[test]
fn flags_that_need_each_other_say_so() {
    assert!(refused(&[], &["delete", "-f", "a", "--timeout", "5s"]).contains("--wait"));
    assert!(refused(&[], &["delete", "-f", "a", "--wait", "--dry-run"]).contains("--dry-run"));
    let reported = refused(&[], &["apply", "-f", "a", "--lock-timeout", "30"]);
    assert!(reported.contains("such as 15s"), "{reported}");
}
