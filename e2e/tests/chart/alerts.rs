//! The alert rules: promtool takes them, and each is shown to fire and not to fire.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use dockfleet_e2e::promtool;
use serde_json::Value;

use crate::project::{chart, metrics_in, project};

fn unit_tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/alerts.yaml")
}

fn yaml(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path)?;
    serde_saphyr::from_str(&text).with_context(|| path.display().to_string())
}

#[test]
fn promtool_takes_the_rules_and_their_tests_pass() -> Result<()> {
    let rules = chart("files/alerts.yaml").display().to_string();
    promtool(["check", "rules", "--lint=all", "--lint-fatal", &rules])?.ok()?;
    promtool(["test", "rules", &unit_tests().display().to_string()])?.ok()?;
    Ok(())
}

#[test]
fn every_alert_is_shown_to_fire_and_not_to_fire() -> Result<()> {
    let mut shown: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
    for test in yaml(&unit_tests())?["tests"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let alert = test["name"].as_str().context("no name")?;
        for asked in test["promql_expr_test"].as_array().into_iter().flatten() {
            let expr = asked["expr"].as_str().context("no expr")?;
            let of = format!("alertname=\"{alert}\",alertstate=\"firing\"");
            assert!(expr.contains(&of), "{alert} asks for another: {expr}");
            let value = &asked["exp_samples"][0]["value"];
            let value = value.as_i64().context("no value")?;
            shown.entry(alert.to_owned()).or_default().insert(value);
        }
    }
    let alerts = yaml(&chart("files/alerts.yaml"))?;
    let groups = alerts["groups"].as_array().into_iter().flatten();
    let names = groups
        .flat_map(|group| group["rules"].as_array().into_iter().flatten())
        .map(|rule| rule["alert"].as_str().unwrap_or_default().to_owned());
    let expected: BTreeMap<_, _> = names.map(|name| (name, BTreeSet::from([0, 1]))).collect();
    assert_eq!(shown, expected, "1 is firing, 0 is not");
    Ok(())
}

/// A histogram has three names in a scrape.
#[test]
fn every_metric_that_alerts_and_dashboard_name_is_documented() -> Result<()> {
    let documented = metrics_in(&fs::read_to_string(project().join("docs/metrics.md"))?);
    for file in ["files/alerts.yaml", "files/dashboard.json"] {
        for name in metrics_in(&fs::read_to_string(chart(file))?) {
            let base = ["_bucket", "_count", "_sum"]
                .iter()
                .find_map(|end| name.strip_suffix(end))
                .unwrap_or(&name);
            assert!(
                documented.contains(&name) || documented.contains(base),
                "{file} names {name}, which docs/metrics.md does not have"
            );
        }
    }
    Ok(())
}
