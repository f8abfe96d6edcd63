//! Holds the direction of dependencies: crds ← planner ← {controller, agent} ← cli, vitals below the last three,
//! and vault below agent and cli.
//!
//! Only what a manifest names counts. Features that another crate of the workspace switches on in a
//! shared dependency do not: no code can use a crate that its manifest does not name.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "the helpers of a test may fail as the test does"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each crate of the workspace may depend on in the workspace.
const INSIDE: [(&str, &[&str]); 7] = [
    ("dockfleet-crds", &[]),
    ("dockfleet-vitals", &[]),
    ("dockfleet-vault", &[]),
    ("dockfleet-planner", &["dockfleet-crds"]),
    (
        "dockfleet-controller",
        &["dockfleet-crds", "dockfleet-planner", "dockfleet-vitals"],
    ),
    (
        "dockfleet-agent",
        &[
            "dockfleet-crds",
            "dockfleet-planner",
            "dockfleet-vault",
            "dockfleet-vitals",
        ],
    ),
    (
        "dockfleet",
        &[
            "dockfleet-agent",
            "dockfleet-controller",
            "dockfleet-crds",
            "dockfleet-planner",
            "dockfleet-vault",
            "dockfleet-vitals",
        ],
    ),
];

/// What a crate must not name: the planner does no I/O, asks no clock and draws no random number.
const FORBIDDEN: [(&str, &[&str]); 2] = [
    (
        "dockfleet-planner",
        &[
            "bollard",
            "chrono",
            "futures",
            "getrandom",
            "hyper",
            "kube",
            "kube-client",
            "kube-runtime",
            "rand",
            "reqwest",
            "rusqlite",
            "tokio",
            "tokio-util",
            "uuid",
        ],
    ),
    (
        "dockfleet-crds",
        &[
            "bollard",
            "kube-client",
            "kube-runtime",
            "rand",
            "rusqlite",
            "tokio",
            "uuid",
        ],
    ),
];

/// The names that each crate of the workspace depends on, with or without those of its tests.
fn dependencies(tests: bool) -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value, field: &str| value[field].as_str().unwrap().to_owned();
    let counts = |d: &&Value| tests || d["kind"].is_null();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let all = package["dependencies"].as_array().unwrap();
            let names = all.iter().filter(counts).map(|d| text(d, "name"));
            (text(package, "name"), names.collect())
        })
        .collect()
}

#[test]
fn crates_depend_in_one_direction() {
    let all = dependencies(false);
    for (name, allowed) in INSIDE {
        let inside: BTreeSet<&str> = all[name]
            .iter()
            .map(String::as_str)
            .filter(|d| d.starts_with("dockfleet"))
            .collect();
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        let more: Vec<_> = inside.difference(&allowed).collect();
        assert!(more.is_empty(), "{name} depends on {more:?}");
    }
}

#[test]
fn pure_crates_name_nothing_that_acts() {
    let all = dependencies(false);
    for (name, forbidden) in FORBIDDEN {
        let found: Vec<_> = forbidden
            .iter()
            .filter(|f| all[name].contains(**f))
            .collect();
        assert!(found.is_empty(), "{name} depends on {found:?}");
    }
}

#[test]
fn the_agent_alone_knows_the_engine() {
    for (name, dependencies) in dependencies(false) {
        let knows = dependencies.contains("bollard");
        assert_eq!(knows, name == "dockfleet-agent", "{name} and bollard");
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../CONTRIBUTING.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows: String = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    for (name, dependencies) in dependencies(true) {
        for dependency in dependencies.iter().filter(|d| !d.starts_with("dockfleet")) {
            let listed = rows.contains(&format!("`{dependency}`"));
            assert!(
                listed,
                "{name} depends on {dependency}, and CONTRIBUTING.md does not say why"
            );
        }
    }
}
