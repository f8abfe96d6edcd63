//! What is tried before a host joins: whether other hosts reach the ports that a swarm needs, and whether their clocks
//! agree. An engine that is in a swarm uses these ports itself, so only a host that is in none can be tried: its agent
//! answers there.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::host::{HostNetwork, PortCheck};
use dockfleet_crds::swarm::{Preflight, PreflightPolicy, SwarmState};
use dockfleet_crds::{DockerHost, SwarmCluster};

use super::DesiredPreflight;
use super::address;
use super::events::NAMED;
use super::host::Host;
use super::render::{name, recorded};
use crate::support::{self, Feature};

/// How many hosts try the ports of one.
const TRIED_BY: usize = 3;
/// By how much clocks may differ, in minutes. A manager gives certificates that are valid from an hour before (swarmkit,
/// `ca`: `CertBackdate`), so a host that is further behind cannot join.
const CLOCKS: i64 = 30;
/// The port of managers. Only a host that may be one has to open it.
const MANAGER_PORT: &str = "2377/tcp";
/// The engine's port of the traffic between containers.
const DATA_PATH_PORT: u16 = 4789;
/// As many as the schema allows.
const MOST_FAILURES: usize = 16;

/// Works out the preflight of the hosts that are in no swarm, by name.
pub(super) fn of_all<'a>(
    cluster: &SwarmCluster,
    hosts: &[Host<'a>],
) -> BTreeMap<&'a str, Preflight> {
    if cluster.spec.preflight == PreflightPolicy::Skip {
        return BTreeMap::new();
    }
    let begins = !cluster.spec.suspend && cluster.metadata.deletion_timestamp.is_none();
    let able: Vec<(&Host<'a>, &'a HostNetwork)> = hosts
        .iter()
        .filter(|h| !h.retires && !h.foreign)
        .filter_map(|h| Some((h, network(h)?)))
        .collect();
    let here: Vec<(&str, &HostNetwork)> = able
        .iter()
        .filter(|(h, _)| !h.report.view.offline)
        .map(|(h, network)| (h.name, *network))
        .collect();
    let mut all = BTreeMap::new();
    for (host, network) in able.iter().filter(|(h, _)| h.node().is_none()) {
        let before = host.before.and_then(|m| m.preflight.clone());
        let preflight = if begins && may_be_tried(cluster, host) {
            let others = others(host.name, &here);
            try_host(cluster, host, network, before.as_ref(), &others)
        } else {
            // What is known stays, and nothing begins.
            before.or_else(|| Some(Preflight::default()))
        };
        all.extend(preflight.map(|p| (host.name, p)));
    }
    all
}

/// Returns the network of a host whose agent can take part.
fn network<'a>(host: &Host<'a>) -> Option<&'a HostNetwork> {
    let status = host.report.host.status.as_ref()?;
    let able = support::has(status.agent.as_ref(), Feature::Preflight);
    status.network.as_ref().filter(|_| able)
}

/// Whether the agent of a host may answer at the ports: its engine does not use them, and is not about to.
fn may_be_tried(cluster: &SwarmCluster, host: &Host<'_>) -> bool {
    let state = recorded(cluster);
    let creates = state
        .bootstrap
        .as_ref()
        .filter(|_| state.cluster_id.is_none());
    let creates = creates.is_some_and(|b| b.host == host.name);
    !host.report.view.offline && host.says_free() && !creates
}

/// Returns the hosts after one of them, in the order of their names, with their networks.
fn others<'h>(host: &str, here: &[(&'h str, &'h HostNetwork)]) -> Vec<(&'h str, &'h HostNetwork)> {
    let at = here.partition_point(|(name, _)| *name < host);
    let (before, from) = here.split_at(at);
    let ring = from.iter().chain(before);
    ring.filter(|(name, _)| *name != host)
        .take(TRIED_BY)
        .copied()
        .collect()
}

/// Returns the preflight of a host by what the others report; `None` if nobody knows where to try it. What it has passed
/// at an address stays passed there: its agent answers no more.
fn try_host(
    cluster: &SwarmCluster,
    host: &Host<'_>,
    network: &HostNetwork,
    before: Option<&Preflight>,
    others: &[(&str, &HostNetwork)],
) -> Option<Preflight> {
    let given = address::advertised(cluster, host.report.host);
    let address = match address::find(given, &network.interfaces) {
        Ok(address) => address?.to_string(),
        Err(why) => {
            return Some(Preflight {
                failures: vec![why],
                ..Preflight::default()
            });
        }
    };
    let reports: Vec<(&str, &PortCheck)> = others
        .iter()
        .filter_map(|(from, network)| {
            let mut checks = network.port_checks.iter();
            let check = checks.find(|c| c.host == host.name && c.address == address)?;
            Some((*from, check))
        })
        .collect();
    let has_passed = before.is_some_and(|p| p.passed && p.address.as_ref() == Some(&address));
    let mut failures = Vec::new();
    if !has_passed {
        failures.extend(closed(cluster, host, network, &reports));
        failures.extend(clocks(&reports));
        failures.truncate(MOST_FAILURES);
    }
    let is_tried = others.is_empty() || !reports.is_empty();
    Some(Preflight {
        address: Some(address),
        tried_by: others.iter().map(|(name, _)| (*name).to_owned()).collect(),
        passed: has_passed || (is_tried && failures.is_empty()),
        failures,
    })
}

/// Returns the ports at which nobody reaches a host.
fn closed(
    cluster: &SwarmCluster,
    host: &Host<'_>,
    network: &HostNetwork,
    reports: &[(&str, &PortCheck)],
) -> Vec<String> {
    let Some((_, first)) = reports.first() else {
        return Vec::new();
    };
    let data_path = format!("{}/udp", data_path_port(cluster));
    // It is not the tried address that has to be reached there.
    let elsewhere = address::data_path(cluster, host.report.host).is_some();
    let counts = |port: &String| {
        (host.eligible || port != MANAGER_PORT)
            && !(elsewhere && *port == data_path)
            && !network.ports_in_use.contains(port)
    };
    let from: Vec<&str> = reports.iter().map(|(from, _)| *from).collect();
    let ports: BTreeSet<&String> = first.closed.iter().filter(|port| counts(port)).collect();
    ports
        .into_iter()
        .filter(|port| reports.iter().all(|(_, check)| check.closed.contains(port)))
        .map(|port| {
            format!(
                "{port} of this host ({}) cannot be reached from {}",
                first.address,
                from.join(", ")
            )
        })
        .collect()
}

/// Returns the UDP port of the traffic between containers.
fn data_path_port(cluster: &SwarmCluster) -> u16 {
    let given = cluster.spec.data_path_port;
    // The schema allows no other numbers than those of ports.
    given
        .and_then(|port| u16::try_from(port).ok())
        .unwrap_or(DATA_PATH_PORT)
}

/// Returns whether the clock of a host differs too much from all those who have tried it.
fn clocks(reports: &[(&str, &PortCheck)]) -> Option<String> {
    let differs = |check: &PortCheck| check.clock_ahead_minutes.filter(|m| m.abs() >= CLOCKS);
    let all = reports.iter().all(|(_, check)| differs(check).is_some());
    let (from, check) = reports.first().filter(|_| all)?;
    let minutes = differs(check)?;
    let side = if minutes > 0 { "ahead of" } else { "behind" };
    Some(format!(
        "the clock of this host is about {} minutes {side} that of {from}",
        minutes.abs()
    ))
}

/// Returns the hosts that do not join because of their preflight, with their failures.
fn failed(state: &SwarmState) -> impl Iterator<Item = (&str, &[String])> {
    let all = state.members.iter().filter_map(|m| {
        let failures = &m.preflight.as_ref()?.failures;
        Some((m.host.as_str(), failures.as_slice()))
    });
    all.filter(|(_, failures)| !failures.is_empty())
}

/// Returns the hosts that do not join, with their failures, as a warning.
pub(super) fn warning(state: &SwarmState) -> Option<String> {
    let shown: Vec<String> = failed(state)
        .take(NAMED)
        .map(|(host, failures)| format!("host {host} does not join: {}", failures.join("; ")))
        .collect();
    let more = match failed(state).count().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; {more} more hosts do not join"),
    };
    (!shown.is_empty()).then(|| shown.join("; ") + &more)
}

/// Returns a warning about ports that nobody could try because they are in use. An engine that was killed leaves the
/// port of its overlay networks in use, so this does not say that the host cannot join.
pub(super) fn untried(state: &SwarmState, hosts: &[Host<'_>]) -> Option<String> {
    let open = state
        .members
        .iter()
        .filter(|m| m.preflight.as_ref().is_some_and(|p| !p.passed));
    let open: BTreeSet<&str> = open.map(|m| m.host.as_str()).collect();
    let used = hosts.iter().filter(|h| open.contains(h.name));
    let used = used.filter_map(|host| {
        let ports = &network(host)?.ports_in_use;
        (!ports.is_empty()).then(|| format!("{} of host {}", ports.join(", "), host.name))
    });
    let used: Vec<String> = used.take(NAMED).collect();
    (!used.is_empty()).then(|| {
        format!(
            "{} in use: by another program, or by an engine that was killed; nobody can try it",
            used.join("; ")
        )
    })
}

/// Returns what the creation of a swarm waits for, if no host has passed.
pub(super) fn waits_for(state: &SwarmState) -> Option<String> {
    let mut all = state.members.iter().filter_map(|m| m.preflight.as_ref());
    if all.any(|p| !p.passed && p.failures.is_empty()) {
        let waits = "the swarm is created when the hosts have tried to reach each other";
        return Some(waits.to_owned());
    }
    let why = warning(state)?;
    Some(format!("no host can create the swarm: {why}"))
}

/// Renders what the agent of a host tries, from the recorded state.
pub(super) fn render(cluster: &SwarmCluster, host: &DockerHost) -> Option<DesiredPreflight> {
    let members = &recorded(cluster).members;
    let unpassed = members
        .iter()
        .filter_map(|m| Some((m, m.preflight.as_ref().filter(|p| !p.passed)?)));
    let own = unpassed.clone().find(|(m, _)| m.host == name(host));
    let tries = unpassed.filter_map(|(m, preflight)| {
        let is_one = preflight.tried_by.iter().any(|by| by == name(host));
        let address = preflight.address.as_ref().filter(|_| is_one)?;
        Some((m.host.clone(), address.parse().ok()?))
    });
    let preflight = DesiredPreflight {
        answers: own.is_some_and(|(_, preflight)| preflight.address.is_some()),
        tries: tries.collect(),
        data_path_port: data_path_port(cluster),
        waits: own.map(|(_, preflight)| waits(preflight)),
    };
    (preflight.waits.is_some() || !preflight.tries.is_empty()).then_some(preflight)
}

/// Returns why a host does not join yet, in a sentence.
fn waits(preflight: &Preflight) -> String {
    if !preflight.failures.is_empty() {
        return format!(
            "does not join: {}; mend it, or set preflight: Skip in the SwarmCluster",
            preflight.failures.join("; ")
        );
    }
    if preflight.tried_by.is_empty() {
        return "waits until this host has reported that it is in no swarm".to_owned();
    }
    let by = preflight.tried_by.join(", ");
    format!("waits until its ports are tried by {by}")
}

#[cfg(test)]
mod tests;
