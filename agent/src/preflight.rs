//! Tries whether other hosts can be reached at the ports of a swarm, and answers at its own, before hosts join.
//!
//! The engines do not use these ports yet. Each answer has the time of the clock that gave it.

mod answer;
mod attempt;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use dockfleet_crds::Entry;
use dockfleet_crds::host::{HostNetwork, PortCheck};
use dockfleet_planner::desired::EntrySpec;
use dockfleet_planner::kinds::swarm::DesiredPreflight;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

/// What a request and an answer begin with.
const WORD: &[u8] = b"dockfleet-preflight ";
/// Length of the part of a request that comes back in its answer, in bytes.
const NONCE: usize = 32;
/// How long after an attempt the next one begins, if something was wrong, and how long after a port was found in use it
/// is tried to open it again.
const AGAIN: Duration = Duration::from_secs(10);

/// A port that a swarm needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Port {
    number: u16,
    protocol: Protocol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Protocol {
    Tcp,
    Udp,
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        write!(f, "{}/{protocol}", self.number)
    }
}

/// Returns the ports of a swarm.
fn ports(data_path_port: u16) -> [Port; 4] {
    let port = |number, protocol| Port { number, protocol };
    [
        port(2377, Protocol::Tcp),
        port(7946, Protocol::Tcp),
        port(7946, Protocol::Udp),
        port(data_path_port, Protocol::Udp),
    ]
}

/// What was found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Findings {
    /// The hosts that were tried, by name.
    checks: BTreeMap<String, PortCheck>,
    /// Own ports that another program uses.
    in_use: BTreeSet<String>,
}

/// Where findings go.
#[derive(Clone, Debug)]
struct Found(watch::Sender<Findings>);

impl Found {
    /// Records whether another program uses an own port.
    fn in_use(&self, port: Port, is_used: bool) {
        self.change(|findings| {
            let port = port.to_string();
            if is_used {
                findings.in_use.insert(port);
            } else {
                findings.in_use.remove(&port);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Findings)) {
        self.0.send_if_modified(|findings| {
            let before = findings.clone();
            change(findings);
            *findings != before
        });
    }
}

/// The attempts and the answers of one host.
pub(crate) struct Preflight {
    /// The UDP port of the traffic between containers that was asked for last; 0 if none was.
    data_path_port: u16,
    /// The tasks that answer.
    answers: Vec<JoinHandle<()>>,
    /// The tasks that try other hosts, by host.
    attempts: BTreeMap<String, (IpAddr, AbortOnDropHandle<()>)>,
    /// Tasks that have been told to end, and may still have a port.
    ending: Vec<JoinHandle<()>>,
    found: Found,
    changes: watch::Receiver<Findings>,
}

impl Preflight {
    pub(crate) fn new() -> Self {
        let (found, changes) = watch::channel(Findings::default());
        Self {
            data_path_port: 0,
            answers: Vec::new(),
            attempts: BTreeMap::new(),
            ending: Vec::new(),
            found: Found(found),
            changes,
        }
    }

    /// Tries and answers what the entries ask for, if this process shares the network of the engine.
    pub(crate) fn follow(&mut self, entries: &[Entry], shares_network: bool) {
        let wanted = asked(entries).filter(|_| shares_network);
        let wanted = wanted.unwrap_or_default();
        let ports = ports(wanted.data_path_port);
        let other_port = wanted.data_path_port != self.data_path_port;
        self.data_path_port = wanted.data_path_port;
        if !wanted.answers || other_port {
            for task in self.answers.drain(..) {
                task.abort();
                self.ending.push(task);
            }
        }
        if wanted.answers && self.answers.is_empty() {
            let tasks = ports.map(|port| answer::keep_answering(port, self.found.clone()));
            self.answers.extend(tasks.map(tokio::spawn));
        }
        if other_port {
            self.attempts.clear();
        }
        self.attempts
            .retain(|host, (address, _)| wanted.tries.get(host) == Some(address));
        self.found.change(|findings| {
            findings
                .checks
                .retain(|host, _| self.attempts.contains_key(host));
            if !wanted.answers {
                findings.in_use.clear();
            }
        });
        for (host, address) in wanted.tries {
            self.attempts.entry(host).or_insert_with_key(|host| {
                let task = keep_trying(host.clone(), address, ports, self.found.clone());
                (address, AbortOnDropHandle::new(tokio::spawn(task)))
            });
        }
    }

    /// Waits until no port is used that is to be free. The engine needs them when it joins.
    pub(crate) async fn ended(&mut self) {
        for task in self.ending.drain(..) {
            // It was told to end.
            let _ = task.await;
        }
    }

    /// Waits until something else is found.
    pub(crate) async fn changed(&mut self) {
        // The sender lives as long as this.
        let _ = self.changes.changed().await;
    }

    /// Adds what was found to the network of the host.
    pub(crate) fn report(&self, network: HostNetwork) -> HostNetwork {
        let findings = self.changes.borrow();
        HostNetwork {
            port_checks: findings.checks.values().cloned().collect(),
            ports_in_use: findings.in_use.iter().cloned().collect(),
            ..network
        }
    }
}

impl Drop for Preflight {
    fn drop(&mut self) {
        self.answers.iter().for_each(JoinHandle::abort);
    }
}

/// Returns what the entries ask for.
fn asked(entries: &[Entry]) -> Option<DesiredPreflight> {
    entries.iter().find_map(|entry| match EntrySpec::of(entry) {
        Ok(EntrySpec::Present(desired)) => desired.preflight().cloned(),
        Ok(EntrySpec::Absent(..)) | Err(_) => None,
    })
}

/// Tries a host until nothing is wrong.
async fn keep_trying(host: String, address: IpAddr, ports: [Port; 4], found: Found) {
    loop {
        let check = attempt::all(&host, address, &ports).await;
        let is_well = check.closed.is_empty() && check.clock_ahead_minutes.is_none();
        if !is_well {
            let closed = check.closed.join(", ");
            let ahead = check.clock_ahead_minutes;
            tracing::warn!(host, %address, closed, ahead, "another host is not ready for the swarm");
        }
        found.change(|findings| drop(findings.checks.insert(host.clone(), check)));
        if is_well {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests;
