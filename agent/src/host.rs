//! The status that an agent reports for its DockerHost.

use std::collections::BTreeSet;

use dockfleet_crds::condition::{self, ConditionStatus, NewCondition};
use dockfleet_crds::host::{AgentFacts, DockerHostStatus, EngineFacts, EntryCounts, HostNetwork};
use dockfleet_crds::{Entry, EntryState, EntryStatus, Intent};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::pause::Pause;

/// The report on a host, without the times of its conditions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DockerHostReport {
    /// What the engine reported about itself when it last answered.
    pub(crate) engine: Option<EngineFacts>,
    pub(crate) agent: AgentFacts,
    pub(crate) network: SeenNetwork,
    pub(crate) counts: EntryCounts,
    pub(crate) condition: AgentCondition,
    pub(crate) pause: Option<Pause>,
    /// Generation of the DockerHost that the agent has received.
    pub(crate) generation: Option<i64>,
}

/// What an agent sees of the network of its host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum SeenNetwork {
    /// Nothing yet: its engine has not answered.
    #[default]
    NotSeen,
    /// Nothing: it does not share the network of its engine.
    NotShared,
    /// The network.
    Shared(HostNetwork),
}

impl SeenNetwork {
    /// Changes the network, if it is seen.
    pub(crate) fn map(self, change: impl FnOnce(HostNetwork) -> HostNetwork) -> Self {
        match self {
            Self::Shared(network) => Self::Shared(change(network)),
            Self::NotSeen | Self::NotShared => self,
        }
    }
}

/// Whether an agent can do its work, and if not, the reason in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AgentCondition {
    /// It can do its work.
    Ready,
    /// Another cluster has an assignment for the host; the agent obeys the first one.
    ForeignHub(String),
    /// The journal cannot be written, so nothing is changed.
    JournalFailed(String),
    /// The engine does not answer.
    EngineUnreachable(String),
    /// The assignment cannot be read; the last one stays in force.
    InvalidAssignment(String),
}

impl AgentCondition {
    fn new_condition(&self) -> NewCondition {
        let (status, reason, message) = match self {
            Self::Ready => (ConditionStatus::True, "Ready", ""),
            Self::ForeignHub(m) => (ConditionStatus::False, "ForeignHub", m.as_str()),
            Self::JournalFailed(m) => (ConditionStatus::False, "JournalFailed", m.as_str()),
            Self::EngineUnreachable(m) => (ConditionStatus::False, "EngineUnreachable", m.as_str()),
            Self::InvalidAssignment(m) => (ConditionStatus::False, "InvalidAssignment", m.as_str()),
        };
        NewCondition::new(condition::READY, status, reason, message)
    }
}

impl DockerHostReport {
    /// Returns the status to write after `before`: unchanged conditions keep their time, and an engine that
    /// does not answer keeps its facts.
    pub(crate) fn status(&self, before: &DockerHostStatus, now: &Time) -> DockerHostStatus {
        let new_conditions: Vec<NewCondition> = std::iter::once(self.condition.new_condition())
            .chain(self.pause.as_ref().map(Pause::new_condition))
            .collect();
        DockerHostStatus {
            observed_generation: self.generation,
            engine: known(self.engine.as_ref(), before.engine.as_ref()),
            agent: Some(self.agent.clone()),
            network: match &self.network {
                SeenNetwork::NotSeen => before.network.clone(),
                SeenNetwork::NotShared => None,
                SeenNetwork::Shared(network) => Some(network.clone()),
            },
            entries: self.counts,
            conditions: condition::merge(&before.conditions, &new_conditions, self.generation, now),
        }
    }
}

/// Returns the facts of the engine. If the engine does not report its identity now, the known identity stays.
fn known(now: Option<&EngineFacts>, before: Option<&EngineFacts>) -> Option<EngineFacts> {
    match (now, before) {
        (Some(now), Some(before)) if now.identity().is_none() => Some(EngineFacts {
            id: before.id.clone(),
            hostname: before.hostname.clone(),
            data_root: before.data_root.clone(),
            ..now.clone()
        }),
        (now, before) => now.or(before).cloned(),
    }
}

/// Counts the entries with the intent `Present` by their state.
pub(crate) fn counts(entries: &[Entry], statuses: &[EntryStatus]) -> EntryCounts {
    let assigned: BTreeSet<&str> = entries.iter().map(|e| e.uid.as_str()).collect();
    let wanted: BTreeSet<&str> = entries
        .iter()
        .filter(|e| e.intent != Intent::Absent)
        .map(|e| e.uid.as_str())
        .collect();
    let mut counts = EntryCounts {
        // An assignment has at most 256 entries.
        desired: i32::try_from(wanted.len()).unwrap_or(i32::MAX),
        ..EntryCounts::default()
    };
    for status in statuses {
        let uid = status.uid.as_str();
        counts.unassigned += i32::from(!assigned.contains(uid));
        if !wanted.contains(uid) {
            continue;
        }
        match status.state.known() {
            Some(EntryState::Ready) => counts.ready += 1,
            Some(EntryState::Drifted) => counts.drifted += 1,
            Some(EntryState::Failed | EntryState::Unsupported) => counts.failed += 1,
            Some(EntryState::Pending | EntryState::Gone) | None => {}
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use dockfleet_crds::host::{AgentFacts, DockerHostStatus, EngineFacts, EntryCounts};
    use dockfleet_crds::{Entry, EntryState, EntryStatus, Intent, Open};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;

    use super::{AgentCondition, DockerHostReport, SeenNetwork, counts};

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    fn view(condition: AgentCondition, engine: Option<EngineFacts>) -> DockerHostReport {
        DockerHostReport {
            engine,
            agent: AgentFacts::default(),
            network: SeenNetwork::NotSeen,
            counts: EntryCounts::default(),
            condition,
            pause: None,
            generation: Some(1),
        }
    }

    #[test]
    fn a_condition_keeps_its_time_and_an_absent_engine_its_facts() {
        let facts = EngineFacts {
            version: "29.1".into(),
            ..EngineFacts::default()
        };
        let first = view(AgentCondition::Ready, Some(facts.clone()))
            .status(&DockerHostStatus::default(), &at(1));
        let same = view(AgentCondition::Ready, Some(facts.clone())).status(&first, &at(2));
        assert_eq!(same, first);
        let away = view(AgentCondition::EngineUnreachable("no answer".into()), None)
            .status(&first, &at(3));
        assert_eq!(away.engine, Some(facts));
        assert_eq!(away.conditions[0].reason, "EngineUnreachable");
        assert_eq!(away.conditions[0].last_transition_time, at(3));
    }

    #[test]
    fn an_engine_that_reports_no_identity_keeps_the_known_one() {
        let facts = |version: &str, id: Option<&str>| EngineFacts {
            version: version.to_owned(),
            id: id.map(str::to_owned),
            hostname: id.map(|_| "web-1".to_owned()),
            data_root: id.map(|_| "/var/lib/docker".to_owned()),
            ..EngineFacts::default()
        };
        let status = |engine, before: &DockerHostStatus| {
            view(AgentCondition::Ready, Some(engine)).status(before, &at(1))
        };
        let first = status(facts("28.0", Some("a")), &DockerHostStatus::default());
        let silent = status(facts("29.0", None), &first);
        assert_eq!(silent.engine, Some(facts("29.0", Some("a"))));
        let other = status(facts("29.0", Some("b")), &silent);
        assert_eq!(other.engine, Some(facts("29.0", Some("b"))));
    }

    #[test]
    fn only_present_entries_are_counted() {
        let entry = |uid: &str, intent: Intent| Entry {
            uid: uid.into(),
            intent: intent.into(),
            ..Entry::default()
        };
        let status = |uid: &str, state| EntryStatus {
            uid: uid.into(),
            state: Open::from(state),
            ..EntryStatus::default()
        };
        let entries = [
            entry("1", Intent::Present),
            entry("2", Intent::Present),
            entry("3", Intent::Absent),
            entry("4", Intent::Present),
        ];
        let statuses = [
            status("1", EntryState::Ready),
            status("2", EntryState::Failed),
            status("3", EntryState::Failed),
            status("stray", EntryState::Pending),
            status("4", EntryState::Unsupported),
        ];
        let expected = EntryCounts {
            desired: 3,
            ready: 1,
            drifted: 0,
            failed: 2,
            unassigned: 1,
        };
        assert_eq!(counts(&entries, &statuses), expected);
    }
}
