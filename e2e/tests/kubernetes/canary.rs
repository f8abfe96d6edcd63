//! Looks for secrets in everything that people and programs can read (invariant 9).

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::test_cluster::TestCluster;
use crate::test_host::TestHost;
use crate::vitals;

/// A text as it stands, and as it is in base64 at any place of a longer text.
fn shapes(text: &str) -> Vec<String> {
    let mut shapes = vec![text.to_owned()];
    for lead in 0..3 {
        let padded = [&[b'x'].repeat(lead)[..], text.as_bytes()].concat();
        let whole = base64(&padded);
        // Without the characters that hang on what is before and behind it.
        let inner = whole.get(4..whole.len() - 4).unwrap_or_default();
        shapes.push(inner.to_owned());
    }
    shapes
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for shift in [18, 12, 6, 0] {
            let digit = usize::try_from(bits >> shift & 63).unwrap_or_default();
            text.extend(DIGITS.get(digit).copied().map(char::from));
        }
    }
    text
}

/// Checks that a text has none of the secrets.
pub(crate) fn holds_none(secrets: &[&str], place: &str, bytes: &[u8]) -> Result<()> {
    for secret in secrets {
        for shape in shapes(secret) {
            let found = bytes.windows(shape.len()).any(|w| w == shape.as_bytes());
            ensure!(!found, "{place} has a secret (as {shape})");
        }
    }
    Ok(())
}

/// Looks for the secrets everywhere but in Secrets; gives how many places that were.
pub(crate) fn found_nowhere(
    secrets: &[&str],
    cluster: &TestCluster,
    hosts: &[&TestHost],
) -> Result<usize> {
    let mut places = 0;
    let mut search = |place: &str, bytes: &[u8]| {
        places += 1;
        ensure!(!bytes.is_empty(), "{place} is empty");
        holds_none(secrets, place, bytes)
    };
    let kinds = cluster.kubectl("api-resources --verbs=list -o name")?;
    for kind in kinds.lines().filter(|kind| *kind != "secrets") {
        let line = format!("get {kind} -A -o yaml --show-managed-fields");
        search(&line, cluster.kubectl(&line)?.as_bytes())?;
    }
    for kind in [
        "dhost", "hassign", "dvol", "dnet", "dswarm", "drepo", "dbackup", "ns",
    ] {
        let line = format!("describe {kind} -A");
        let shown = cluster.kubectl(&line)?;
        // A test may have no resource of a kind.
        if !shown.is_empty() {
            search(&line, shown.as_bytes())?;
        }
    }
    let log = cluster.controller_log_path()?;
    search("the controller's log", &fs::read(&log)?)?;
    let shown = metrics(&log, Ipv4Addr::LOCALHOST)?;
    search("the controller's metrics", shown.as_bytes())?;
    for host in hosts {
        let name = host.name();
        let log = host.agent_log_path()?;
        search(&format!("the log of {name}"), &fs::read(&log)?)?;
        let shown = metrics(&log, host.host.address())?;
        search(&format!("the metrics of {name}"), shown.as_bytes())?;
        for path in files(&host.state_dir())? {
            let bytes = fs::read(&path)?;
            if !bytes.is_empty() {
                search(&path.display().to_string(), &bytes)?;
            }
        }
        let journal = host.state_dir().display().to_string();
        for format in ["table", "wide", "json", "yaml"] {
            let shown = cluster.dockfleet.run(["journal", &journal, "-o", format])?;
            search("dockfleet journal", shown.ok()?.as_bytes())?;
        }
    }
    Ok(places)
}

/// Gives the files in a folder and below.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// Gives the metrics of the program with this log.
fn metrics(log: &Path, host: Ipv4Addr) -> Result<String> {
    Ok(vitals::get(vitals::served(log, host)?, "/metrics")?.1)
}

/// Gives the names of the Secrets in which one of the secrets is.
pub(crate) fn secrets_with(secrets: &[&str], cluster: &TestCluster) -> Result<BTreeSet<String>> {
    let all = cluster.get("secrets --all-namespaces")?;
    let items = all["items"].as_array().context("no list")?;
    let with = items
        .iter()
        .filter(|s| holds_none(secrets, "", s.to_string().as_bytes()).is_err());
    let name = |s: &Value| {
        let text = |key: &str| s["metadata"][key].as_str().unwrap_or_default().to_owned();
        format!("{}/{}", text("namespace"), text("name"))
    };
    Ok(with.map(name).collect())
}
