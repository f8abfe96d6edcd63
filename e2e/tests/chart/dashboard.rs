//! The dashboard: each of its queries has an answer in what a controller and an agent really say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use dockfleet_e2e::{Folder, promtool};
use serde_json::Value;

use crate::project::{chart, metrics_in};
use crate::scrape;

/// What was read of controller and agent, each time that somebody looked.
#[derive(Default)]
pub(crate) struct Seen {
    looks: usize,
    /// By series, one value a look; a series that was not there has none.
    series: BTreeMap<String, Vec<String>>,
}

impl Seen {
    /// Reads both.
    pub(crate) fn look(&mut self, controller: SocketAddr, agent: SocketAddr) -> Result<()> {
        for (instance, address) in [("controller", controller), ("agent", agent)] {
            let (code, text) = scrape::get(address, "/metrics")?;
            assert_eq!(code, 200, "{instance}: {text}");
            for (name, value) in scrape::series(&text) {
                let name = with_instance(&name, instance);
                let values = self.series.entry(name).or_default();
                values.resize(self.looks, "_".to_owned());
                values.push(value);
            }
        }
        self.looks += 1;
        Ok(())
    }

    /// Has promtool run every query of the dashboard over what was seen, a look a minute.
    pub(crate) fn every_query_returns_data(&self) -> Result<()> {
        let queries = queries()?;
        assert!(
            queries.len() >= 20,
            "the dashboard has queries: {queries:?}"
        );
        let mut test = String::from("evaluation_interval: 1m\ntests:\n  - interval: 1m\n");
        writeln!(test, "    input_series:")?;
        for (name, values) in &self.series {
            let name = serde_json::to_string(name)?;
            // The last look holds on, so that there is a rate.
            let last = values.last().map(String::as_str).unwrap_or_default();
            writeln!(
                test,
                "      - {{series: {name}, values: \"{} {last}x3\"}}",
                values.join(" ")
            )?;
        }
        writeln!(test, "    promql_expr_test:")?;
        for query in &queries {
            let query = query.replace("$__rate_interval", "5m");
            let asked = serde_json::to_string(&format!("count({query}) > bool 0"))?;
            writeln!(
                test,
                "      - {{expr: {asked}, eval_time: 4m, exp_samples: [{{labels: '{{}}', value: 1}}]}}"
            )?;
        }
        let folder = Folder::new()?;
        let file = folder.file("dashboard.yaml");
        fs::write(&file, &test)?;
        let said = promtool(["test", "rules", &file.display().to_string()])?.ok();
        said.map(drop).with_context(|| test)
    }

    /// Counters of errors begin when there is one, so not each has a series; its name is in the scrape all the same.
    pub(crate) fn every_alert_knows_its_metrics(&self) -> Result<()> {
        let seen: BTreeSet<String> = self
            .series
            .keys()
            .flat_map(|name| metrics_in(name))
            .collect();
        let alerts = fs::read_to_string(chart("files/alerts.yaml"))?;
        // A histogram is named as a whole in a sentence, and has three names in a scrape.
        let is_seen = |name: &str| {
            let whole = format!("{name}_bucket");
            seen.contains(name) || seen.contains(&whole) || name.ends_with("_errors_total")
        };
        let mut missing = metrics_in(&alerts);
        missing.retain(|name| !is_seen(name));
        assert!(missing.is_empty(), "not in the scrape: {missing:?}");
        Ok(())
    }
}

/// Adds the label by which a Prometheus server tells one process from another.
fn with_instance(series: &str, instance: &str) -> String {
    match series.split_once('{') {
        Some((name, labels)) => format!("{name}{{instance=\"{instance}\",{labels}"),
        None => format!("{series}{{instance=\"{instance}\"}}"),
    }
}

/// Every query of every panel.
fn queries() -> Result<Vec<String>> {
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(chart("files/dashboard.json"))?)?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries = targets.map(|target| target["expr"].as_str().unwrap_or_default().to_owned());
    Ok(queries.collect())
}

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
