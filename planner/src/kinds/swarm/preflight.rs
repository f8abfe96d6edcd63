//! What is tried before a host joins: whether other hosts reach the ports that a swarm needs, and whether their clocks
//! agree. An engine that is in a swarm uses these ports itself, so only a host that is in none can be tried: its agent
//! answers there.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::host::{HostNetwork, PortCheck};
use dockfleet_crds::swarm::{Preflight, PreflightPolicy, SwarmState};
use dockfleet_crds::{DockerHost, SwarmCluster};

use super::DesiredPreflight;
use super::address;
use super::host::Host;
use super::render::{name, recorded};
use crate::support::{self, Feature};

/// How many hosts try the ports of one.
const TRIED_BY: usize = 3;
/// By how much clocks may differ, in seconds. A manager gives certificates that are valid from an hour before (swarmkit,
/// `ca`: `CertBackdate`), so a host that is further behind cannot join.
const CLOCKS: i64 = 1800;
/// How many hosts a warning names.
const SHOWN: usize = 3;
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
    let able = || hosts.iter().filter(|h| network(h).is_some());
    let count = able().count();
    let mut plans: BTreeMap<&'a str, Preflight> = BTreeMap::new();
    for (at, host) in able().enumerate().filter(|(_, h)| h.node().is_none()) {
        let next = able().cycle().skip(at + 1);
        let others = next.take(TRIED_BY.min(count - 1));
        let tried_by = others.map(|h| h.name.to_owned()).collect();
        plans.insert(host.name, plan(cluster, host, tried_by));
    }
    let tried = Tried::new(able(), &plans);
    let judged = plans
        .iter()
        .map(|(name, plan)| (*name, tried.judge(name, plan)));
    judged.collect()
}

/// Returns the network of a host that can take part.
fn network<'a>(host: &Host<'a>) -> Option<&'a HostNetwork> {
    let status = host.report.host.status.as_ref()?;
    let able = support::has(status.agent.as_ref(), Feature::Preflight);
    let here = host.is_online() && !host.retires && !host.foreign;
    status.network.as_ref().filter(|_| able && here)
}

/// Returns where a host is tried and by whom. What it has passed at this address stays passed: its agent answers no more.
fn plan(cluster: &SwarmCluster, host: &Host<'_>, tried_by: Vec<String>) -> Preflight {
    let interfaces = network(host).map_or(&[][..], |n| &n.interfaces);
    let given = address::advertised(cluster, host.report.host);
    match address::find(given, interfaces) {
        Ok(address) => {
            let address = Some(address.to_string());
            let before = host.before.and_then(|m| m.preflight.as_ref());
            let passed = before.is_some_and(|p| p.passed && p.address == address);
            Preflight {
                address,
                tried_by,
                passed,
                failures: Vec::new(),
            }
        }
        Err(why) => Preflight {
            failures: vec![why],
            ..Preflight::default()
        },
    }
}

/// What the hosts have tried so far.
struct Tried<'t> {
    networks: BTreeMap<&'t str, &'t HostNetwork>,
    /// The hosts that each tries, with their addresses.
    targets: BTreeMap<&'t str, Vec<(&'t str, &'t str)>>,
}

/// A report, with the name of the host that has tried.
type Report<'t> = (&'t str, &'t PortCheck);

impl<'t> Tried<'t> {
    fn new<'a: 't>(
        able: impl Iterator<Item = &'t Host<'a>>,
        plans: &'t BTreeMap<&'a str, Preflight>,
    ) -> Self {
        let mut targets: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
        for (name, plan) in plans.iter().filter(|(_, plan)| !plan.passed) {
            for by in &plan.tried_by {
                let address = plan.address.as_deref().unwrap_or_default();
                targets.entry(by).or_default().push((name, address));
            }
        }
        Self {
            networks: able.filter_map(|h| Some((h.name, network(h)?))).collect(),
            targets,
        }
    }

    /// Decides whether a host has passed, or why not. Until everybody has reported, it is neither.
    fn judge(&self, host: &str, plan: &Preflight) -> Preflight {
        let mut plan = plan.clone();
        if plan.passed || !plan.failures.is_empty() {
            return plan;
        }
        let address = plan.address.as_deref().unwrap_or_default();
        let about = plan.tried_by.iter();
        let about: Vec<Report<'_>> = about
            .filter_map(|from| self.report(from, host, address))
            .collect();
        if about.len() == plan.tried_by.len() {
            plan.failures.extend(self.closed(host, &about));
            plan.failures.extend(clocks(&about));
            plan.failures.truncate(MOST_FAILURES);
            plan.passed = plan.failures.is_empty();
        }
        plan
    }

    /// Returns the report of a host about another one at this address.
    fn report(&self, from: &str, host: &str, address: &str) -> Option<Report<'t>> {
        let (name, network) = self.networks.get_key_value(from)?;
        let is_it = |check: &&PortCheck| check.host == host && check.address == address;
        Some((name, network.port_checks.iter().find(is_it)?))
    }

    /// Returns the reports of a host about those that it tries now.
    fn reports_of(&self, host: &str) -> Vec<Report<'t>> {
        let targets = self.targets.get(host).into_iter().flatten();
        let reports = targets.filter_map(|(name, address)| self.report(host, name, address));
        reports.collect()
    }

    /// Returns the ports at which nobody reaches a host. Those who reach nobody else either count only if there are no
    /// others: it may be their side that drops it.
    fn closed(&self, host: &str, reports: &[Report<'_>]) -> Vec<String> {
        let in_use = self.networks.get(host).map(|n| &n.ports_in_use);
        let failure = |port: &String| {
            let (_, check) = reports.first()?;
            let all = reports.iter().map(|(from, _)| *from);
            let (deaf, counts): (Vec<&str>, Vec<&str>) =
                all.partition(|from| reach_nobody(&self.reports_of(from), port));
            let from = if counts.is_empty() { deaf } else { counts };
            let closed = reports.iter().all(|(_, check)| check.closed.contains(port));
            closed.then(|| {
                format!(
                    "{port} of this host ({}) cannot be reached from {}",
                    check.address,
                    from.join(", ")
                )
            })
        };
        let tried = ports(reports).into_iter();
        let tried = tried.filter(|port| in_use.is_none_or(|all| !all.contains(port)));
        tried.filter_map(failure).collect()
    }
}

/// Whether a host is one of those that try another.
fn by(plan: &Preflight, host: &str) -> bool {
    plan.tried_by.iter().any(|name| name == host)
}

/// Whether none of several hosts was reached at a port. With one alone, nobody knows which side drops it.
fn reach_nobody(reports: &[Report<'_>], port: &String) -> bool {
    reports.len() > 1 && reports.iter().all(|(_, check)| check.closed.contains(port))
}

/// Returns the ports that are closed in some report.
fn ports<'t>(reports: &[Report<'t>]) -> BTreeSet<&'t String> {
    reports
        .iter()
        .flat_map(|(_, check)| &check.closed)
        .collect()
}

/// Returns whether the clock of a host differs too much from all those who have tried it.
fn clocks(reports: &[Report<'_>]) -> Option<String> {
    let differs = |check: &PortCheck| check.clock_ahead_seconds.filter(|s| s.abs() > CLOCKS);
    let all = reports.iter().all(|(_, check)| differs(check).is_some());
    let (from, check) = reports.first().filter(|_| all)?;
    let seconds = differs(check)?;
    let side = if seconds > 0 { "ahead of" } else { "behind" };
    Some(format!(
        "the clock of this host is {} s {side} that of {from}",
        seconds.abs()
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
    let all: Vec<String> = failed(state)
        .map(|(host, failures)| format!("host {host} does not join: {}", failures.join("; ")))
        .collect();
    let more = match all.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("; {more} more hosts do not join"),
    };
    let shown = all.get(..SHOWN.min(all.len()))?;
    (!all.is_empty()).then(|| shown.join("; ") + &more)
}

/// Returns a warning about ports that nobody could try because they are in use. An engine that was killed leaves the
/// port of its overlay networks in use, so this does not say that the host cannot join.
pub(super) fn untried(state: &SwarmState, hosts: &[Host<'_>]) -> Option<String> {
    let is_tried = |h: &&Host<'_>| {
        let mut members = state.members.iter();
        members.any(|m| m.host == h.name && m.preflight.as_ref().is_some_and(|p| !p.passed))
    };
    let used = hosts.iter().filter(is_tried).filter_map(|host| {
        let ports = &network(host)?.ports_in_use;
        (!ports.is_empty()).then(|| format!("{} of host {}", ports.join(", "), host.name))
    });
    let used: Vec<String> = used.take(SHOWN).collect();
    (!used.is_empty()).then(|| {
        format!(
            "{} in use: by another program, or by an engine that was killed; nobody can try it",
            used.join("; ")
        )
    })
}

/// Returns what the creation of a swarm waits for, if no host has passed.
pub(super) fn waits_for(state: &SwarmState) -> Option<String> {
    let mut open = state.members.iter().filter_map(|m| m.preflight.as_ref());
    if open.any(|p| !p.passed && p.failures.is_empty()) {
        let waits = "the swarm is created when the hosts have tried to reach each other";
        return Some(waits.to_owned());
    }
    let why = warning(state)?;
    Some(format!("no host can create the swarm: {why}"))
}

/// Renders what the agent of a host tries, from the recorded state.
pub(super) fn render(cluster: &SwarmCluster, host: &DockerHost) -> Option<DesiredPreflight> {
    let members = &recorded(cluster).members;
    let open = members
        .iter()
        .filter_map(|m| Some((m, m.preflight.as_ref().filter(|p| !p.passed)?)));
    let own = open.clone().find(|(m, _)| m.host == name(host));
    let others = open.filter(|(_, plan)| by(plan, name(host)));
    let tries = others.filter_map(|(m, plan)| {
        let address = plan.address.as_ref()?.parse().ok()?;
        Some((m.host.clone(), address))
    });
    let port = cluster.spec.data_path_port;
    let preflight = DesiredPreflight {
        answers: own.is_some_and(|(_, plan)| plan.address.is_some()),
        tries: tries.collect(),
        data_path_port: port.and_then(|port| u16::try_from(port).ok()),
        waits: own.map(|(_, plan)| waits(plan)),
    };
    (preflight.waits.is_some() || !preflight.tries.is_empty()).then_some(preflight)
}

/// Returns why a host does not join yet, in a sentence.
fn waits(plan: &Preflight) -> String {
    if plan.failures.is_empty() {
        return format!(
            "waits until its ports are tried by {}",
            plan.tried_by.join(", ")
        );
    }
    format!(
        "does not join: {}; mend it, or set preflight: Skip in the SwarmCluster",
        plan.failures.join("; ")
    )
}

#[cfg(test)]
mod tests;
