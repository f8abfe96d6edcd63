//! What the Helm chart says of the program is so. That the chart works is shown in `e2e/tests/chart`.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail as the test does"
)]

use std::fs;
use std::path::Path;

use serde_json::Value;

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn chart(file: &str) -> Value {
    let path = project().join("charts/dockfleet").join(file);
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_chart_is_of_this_version() {
    let chart = chart("Chart.yaml");
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

/// Without them, the controller waits for its rights for ever.
#[test]
fn the_controller_has_rights_on_every_kind() {
    let path = project().join("charts/dockfleet/templates/rbac.yaml");
    let rights = fs::read_to_string(path).unwrap();
    let words: Vec<&str> = rights.split(['[', ']', ',', ' ', '\n']).collect();
    for kind in dockfleet_crds::assignment::Kind::all() {
        let (plural, status) = (kind.plural(), format!("{}/status", kind.plural()));
        assert!(words.contains(&plural), "{plural}");
        assert!(words.contains(&status.as_str()), "{status}");
    }
}

/// Collects the paths of all values, `a.b.c`. What Kubernetes defines (`resources`) is one value.
fn paths(schema: &Value, path: &str, all: &mut Vec<String>) {
    match schema["properties"].as_object() {
        Some(inner) if !path.ends_with(".resources") => {
            for (name, schema) in inner {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                paths(schema, &path, all);
            }
        }
        _ => all.push(path.to_owned()),
    }
}

#[test]
fn every_value_has_a_default_and_is_documented() {
    let docs = fs::read_to_string(project().join("docs/helm.md")).unwrap();
    let defaults = chart("values.yaml");
    let mut all = Vec::new();
    paths(&chart("values.schema.json"), "", &mut all);
    assert!(all.len() > 40, "{all:?}");
    // What Helm itself gives to every chart.
    for path in all.iter().filter(|path| *path != "global") {
        let default = path.split('.').fold(&defaults, |value, key| &value[key]);
        assert!(!default.is_null(), "{path} is not in values.yaml");
        assert!(
            docs.contains(&format!("`{path}`")),
            "{path} is not in docs/helm.md"
        );
    }
}

#[test]
fn every_alert_is_documented() {
    let docs = fs::read_to_string(project().join("docs/helm.md")).unwrap();
    let alerts = chart("files/alerts.yaml");
    let groups = alerts["groups"].as_array().unwrap().iter();
    for rule in groups.flat_map(|group| group["rules"].as_array().unwrap()) {
        let name = rule["alert"].as_str().unwrap();
        assert!(
            docs.contains(&format!("| `{name}` |")),
            "{name} is not in docs/helm.md"
        );
    }
}

#[test]
fn the_image_is_compiled_by_the_toolchain_of_this_project() {
    let toolchain = fs::read_to_string(project().join("rust-toolchain.toml")).unwrap();
    let line = toolchain
        .lines()
        .find(|line| line.starts_with("channel"))
        .unwrap();
    let version = line.split('"').nth(1).unwrap();
    let dockerfile = fs::read_to_string(project().join("Dockerfile")).unwrap();
    assert!(
        dockerfile.contains(&format!("/rust:{version}-")),
        "{version} is not in the Dockerfile"
    );
}
