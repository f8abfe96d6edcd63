//! The dashboard: a file that Grafana can show.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::project::chart;

#[test]
fn panels_have_titles_descriptions_and_places_of_their_own() -> Result<()> {
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(chart("files/dashboard.json"))?)?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        assert!(
            ids.insert(panel["id"].to_string()),
            "two panels {}",
            panel["id"]
        );
        assert!(panel["title"].is_string(), "{panel}");
        assert!(
            panel["type"] == "row" || panel["description"].is_string(),
            "{panel}"
        );
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap_or_default();
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(
                    x < 24 && cells.insert((x, y)),
                    "{} lies on another",
                    panel["title"]
                );
            }
        }
    }
    Ok(())
}
