//! What controller and agents say about themselves: probes, metrics, logs, events on hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Generation::Newest;
use dockfleet_e2e::eventually;
use serde_json::{Map, Value};

use crate::test_cluster::{FLEET, SOON, TestCluster, event, network, volume};

/// How long a probe or scrape may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Labels whose values are not in the document one by one.
const COMPOSED: [&str; 2] = ["version", "call"];

/// Asks by HTTP, and gives the status and the text of the answer.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).context("no status")?.parse()?;
    let (_, body) = answer.split_once("\r\n\r\n").context("no body")?;
    Ok((status, body.to_owned()))
}

/// Gives where a process serves, by its log, when it does and is ready.
pub(crate) fn served(log: &Path, host: Ipv4Addr) -> Result<SocketAddr> {
    eventually("a process that is ready", SOON, || {
        let text = fs::read_to_string(log).map_err(|e| e.to_string())?;
        let mut lines = text
            .lines()
            .filter_map(|l| serde_json::from_str::<Value>(l).ok());
        let address = lines.find_map(|l| l["address"].as_str()?.parse::<SocketAddr>().ok());
        let address = (host, address.ok_or(text)?.port()).into();
        match get(address, "/readyz") {
            Ok((200, _)) => Ok(address),
            other => Err(format!("{other:?}")),
        }
    })
}

fn page(name: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name);
    Ok(fs::read_to_string(path)?)
}

/// The words in backticks.
fn words(text: &str) -> BTreeSet<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// A metric of a scrape or of the document: its type and the names of its labels.
type Metrics = BTreeMap<String, (String, BTreeSet<String>)>;

/// Reads a scrape; and the values of each label into `values`.
fn scraped(text: &str, values: &mut BTreeMap<String, BTreeSet<String>>) -> Result<Metrics> {
    let mut metrics = Metrics::new();
    let mut families: BTreeMap<String, String> = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, type_) = rest.split_once(' ').context("no type")?;
            families.insert(name.to_owned(), type_.to_owned());
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        let end = line.find(['{', ' ']).context("no name")?;
        let (sample, rest) = line.split_at(end);
        let of = |suffix: &str| {
            sample
                .strip_suffix(suffix)
                .filter(|n| families.contains_key(*n))
        };
        let histogram = ["_bucket", "_count", "_sum"].iter().find_map(|s| of(s));
        let name = histogram.unwrap_or(sample);
        let type_ = families
            .get(name)
            .with_context(|| format!("no type: {line}"))?;
        assert_eq!(type_ == "counter", name.ends_with("_total"), "{line}");
        let metric = metrics
            .entry(name.to_owned())
            .or_insert_with(|| (type_.clone(), BTreeSet::new()));
        let labels = rest.split_once('}').map_or("", |(labels, _)| labels);
        for label in labels
            .trim_start_matches('{')
            .split("\",")
            .filter(|l| !l.is_empty())
        {
            let (key, value) = label.split_once("=\"").context("no label")?;
            if key != "le" {
                metric.1.insert(key.to_owned());
                let value = value.trim_end_matches('"').to_owned();
                values.entry(key.to_owned()).or_default().insert(value);
            }
        }
    }
    Ok(metrics)
}

/// Reads the tables of the document.
fn documented(page: &str) -> Metrics {
    let rows = page.lines().filter(|l| l.starts_with("| `dockfleet_"));
    rows.filter_map(|row| {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let name = cells.next()?.trim_matches('`').to_owned();
        let type_ = cells.next()?.to_owned();
        Some((name, (type_, words(cells.next()?))))
    })
    .collect()
}

/// Invariant 9 in part: no label can name anything of a user's.
#[test]
fn what_is_said_is_what_is_documented() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Newest, "{}")])?;
    let [h1] = cluster.hosts()?;
    let controller = served(&cluster.controller_log_path()?, Ipv4Addr::LOCALHOST)?;
    let agent = served(&h1.agent_log_path()?, h1.host.address())?;
    for address in [controller, agent] {
        for path in ["/healthz", "/readyz"] {
            assert_eq!(get(address, path)?, (200, "ok\n".to_owned()), "{path}");
        }
    }

    // Everything that is measured happens once: made, drifted, repaired, removed, refused.
    cluster.make(&[
        network("front", "{hostSelector: {}}"),
        volume("data", "{hostSelector: {}, deletionPolicy: Delete}"),
        network("back", "{hostSelector: {}}"),
    ])?;
    h1.engine.docker(["network", "rm", "front"])?;
    h1.await_network("front")?;
    cluster.kubectl("delete dnet/back dvol/data --timeout=60s")?;
    h1.await_no_network("back")?;
    cluster.assigned(h1, &["front"])?;
    cluster.plane.kill()?;
    let refused = eventually("a failed call", SOON, || {
        let text = get(controller, "/metrics").map_err(|e| e.to_string())?.1;
        let failed = text.contains("dockfleet_controller_call_errors_total{");
        failed.then_some(()).ok_or(text)
    });
    cluster.plane.start_again()?;
    refused?;
    cluster.everybody_goes_on("after")?;

    let document = page("metrics.md")?;
    let mut values = BTreeMap::new();
    let mut all = Metrics::new();
    for address in [controller, agent] {
        let (status, text) = get(address, "/metrics")?;
        ensure!(status == 200, "{text}");
        all.extend(scraped(&text, &mut values)?);
    }
    let documented = documented(&document);
    assert_eq!(all, documented, "what a scrape has, and docs/metrics.md");
    let known = words(&document);
    for (label, values) in &values {
        for value in values
            .iter()
            .filter(|_| !COMPOSED.contains(&label.as_str()))
        {
            assert!(
                known.contains(value),
                "{label}={value} is not in docs/metrics.md"
            );
        }
    }
    for call in &values["call"] {
        let parts = call.split(' ').count();
        let ours = ["h1", "front", "back", "data", "after", FLEET, "default"];
        assert!(
            parts <= 2 && !call.split([' ', '/']).any(|word| ours.contains(&word)),
            "{call}"
        );
    }
    let metric = |name: &str| -> Result<String> {
        let text = get(agent, "/metrics")?.1;
        let line = text
            .lines()
            .find(|l| l.starts_with(name))
            .context("it is not there")?;
        Ok(line.rsplit(' ').next().unwrap_or_default().to_owned())
    };
    for name in ["found", "repaired"] {
        let name = format!("dockfleet_agent_drift_{name}_total{{kind=\"DockerNetwork\"}}");
        assert_eq!(metric(&name)?, "1", "{name}");
    }

    // The engine goes away: the agent is well, not ready, and a person hears of it.
    h1.engine.kill()?;
    eventually("an agent that is not ready", SOON, || {
        match get(agent, "/readyz") {
            Ok((503, why)) if why.contains("engine") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })?;
    assert_eq!(get(agent, "/healthz")?.0, 200);
    assert_eq!(metric("dockfleet_agent_engine_up")?, "0");
    event(&cluster, "Warning", "the engine")?;
    keys(&[cluster.controller_log_path()?, h1.agent_log_path()?])
}

/// Every line of the logs is an object with keys of the document, and without anything nested.
fn keys(logs: &[PathBuf]) -> Result<()> {
    let document = page("operations.md")?;
    let table = document.split("## Logs").nth(1).context("no table")?;
    let rows = table.lines().filter(|l| l.starts_with("| `"));
    let known: BTreeSet<String> = rows
        .filter_map(|row| row.split('|').nth(1).map(words))
        .flatten()
        .collect();
    let kinds = [
        "DockerNetwork",
        "DockerVolume",
        "SwarmCluster",
        "BackupRepository",
        "PrunePolicy",
        "VolumeBackup",
        "VolumeBackupSchedule",
        "VolumeRestore",
        "DockerHost",
        "HostAssignment",
        "Namespace",
        "Secret",
        "Lease",
        "ServiceAccount",
        "Role",
        "RoleBinding",
    ];
    for log in logs {
        let text = fs::read_to_string(log)?;
        ensure!(text.lines().count() > 5, "{text}");
        for line in text.lines() {
            let fields: Map<String, Value> =
                serde_json::from_str(line).with_context(|| line.to_owned())?;
            for key in ["timestamp", "level", "message", "target"] {
                assert!(fields.contains_key(key), "no {key}: {line}");
            }
            for (key, value) in &fields {
                assert!(
                    known.contains(key),
                    "{key} is not in docs/operations.md: {line}"
                );
                assert!(!value.is_object() && !value.is_array(), "nested: {line}");
            }
            if let Some(kind) = fields.get("kind") {
                assert!(kinds.iter().any(|k| kind == k), "{line}");
            }
        }
    }
    Ok(())
}
