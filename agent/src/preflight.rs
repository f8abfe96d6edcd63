//! Tries whether other hosts can be reached at the ports of a swarm, and answers at its own, before hosts join.
//!
//! The engines do not use these ports yet. Each answer has the time of the clock that gave it.

mod answer;
mod attempt;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use dockfleet_crds::Entry;
use dockfleet_crds::host::PortCheck;
use dockfleet_planner::desired::EntrySpec;
use dockfleet_planner::kinds::swarm::DesiredPreflight;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use self::answer::Answers;

/// What a request and an answer begin with.
const WORD: &[u8] = b"dockfleet-preflight ";
/// How long after an attempt the next one begins, if a port was closed.
const AGAIN: Duration = Duration::from_secs(10);
/// The engine's port of the traffic between containers.
const DATA_PATH_PORT: u16 = 4789;

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
fn ports(data_path_port: Option<u16>) -> [Port; 4] {
    let port = |number, protocol| Port { number, protocol };
    [
        port(2377, Protocol::Tcp),
        port(7946, Protocol::Tcp),
        port(7946, Protocol::Udp),
        port(data_path_port.unwrap_or(DATA_PATH_PORT), Protocol::Udp),
    ]
}

/// What was found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// The hosts that were tried, by name.
    checks: BTreeMap<String, PortCheck>,
    /// Own ports that another program uses.
    in_use: Vec<String>,
}

impl Findings {
    /// Returns the results, sorted by host.
    pub(crate) fn port_checks(&self) -> Vec<PortCheck> {
        self.checks.values().cloned().collect()
    }

    /// Returns the own ports that another program uses.
    pub(crate) fn ports_in_use(&self) -> Vec<String> {
        self.in_use.clone()
    }
}

/// The attempts and the answers of one host.
pub(crate) struct Preflight {
    wanted: DesiredPreflight,
    answers: Option<Answers>,
    /// The attempts, by host.
    attempts: BTreeMap<String, (IpAddr, AbortOnDropHandle<()>)>,
    /// Tasks that have been told to end, and may still have a port.
    ending: Vec<JoinHandle<()>>,
    findings: watch::Sender<Findings>,
    found: watch::Receiver<Findings>,
}

impl Preflight {
    pub(crate) fn new() -> Self {
        let (findings, found) = watch::channel(Findings::default());
        Self {
            wanted: DesiredPreflight::default(),
            answers: None,
            attempts: BTreeMap::new(),
            ending: Vec::new(),
            findings,
            found,
        }
    }

    /// Tries and answers what the entries ask for, if this process shares the network of the engine.
    pub(crate) fn follow(&mut self, entries: &[Entry], shares_network: bool) {
        let wanted = asked(entries).filter(|_| shares_network);
        let wanted = wanted.unwrap_or_default();
        let ports = ports(wanted.data_path_port);
        let other_port = wanted.data_path_port != self.wanted.data_path_port;
        if self.answers.is_some() && (!wanted.answers || other_port) {
            let answers = self.answers.take();
            self.ending
                .extend(answers.into_iter().flat_map(Answers::end));
        }
        let mut in_use = self.findings.borrow().in_use.clone();
        if wanted.answers && self.answers.is_none() {
            let (answers, used) = Answers::start(&ports);
            self.answers = Some(answers);
            in_use = used;
        } else if !wanted.answers {
            in_use.clear();
        }
        if other_port {
            self.attempts.clear();
        }
        let is_same = |host: &String, address: IpAddr| wanted.tries.get(host) == Some(&address);
        self.attempts
            .retain(|host, (address, _)| is_same(host, *address));
        let attempts = &self.attempts;
        self.findings.send_if_modified(|findings| {
            let before = findings.clone();
            findings
                .checks
                .retain(|host, _| attempts.contains_key(host));
            findings.in_use = in_use;
            *findings != before
        });
        for (host, address) in &wanted.tries {
            if !self.attempts.contains_key(host) {
                let task = keep_trying(host.clone(), *address, ports, self.findings.clone());
                let task = AbortOnDropHandle::new(tokio::spawn(task));
                self.attempts.insert(host.clone(), (*address, task));
            }
        }
        self.wanted = wanted;
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
        let _ = self.found.changed().await;
    }

    /// Returns what was found so far.
    pub(crate) fn findings(&self) -> Findings {
        self.findings.borrow().clone()
    }
}

/// Returns what the entries ask for.
fn asked(entries: &[Entry]) -> Option<DesiredPreflight> {
    entries.iter().find_map(|entry| match EntrySpec::of(entry) {
        Ok(EntrySpec::Present(desired)) => desired.preflight().cloned(),
        Ok(EntrySpec::Absent(..)) | Err(_) => None,
    })
}

/// Tries a host until all its ports answer.
async fn keep_trying(
    host: String,
    address: IpAddr,
    ports: [Port; 4],
    findings: watch::Sender<Findings>,
) {
    loop {
        let check = attempt::all(&host, address, &ports).await;
        let is_open = check.closed.is_empty();
        if !is_open {
            let closed = check.closed.join(", ");
            tracing::warn!(host, %address, closed, "another host of the swarm cannot be reached");
        }
        findings.send_if_modified(|all| {
            let before = all.checks.insert(host.clone(), check.clone());
            before.as_ref() != Some(&check)
        });
        if is_open {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests;
