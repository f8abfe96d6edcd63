//! The content of events: each change of a status, once.
//!
//! A status is compared with the one that it replaces. The API server stores that, so a restarted
//! controller repeats nothing.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use dockfleet_crds::ResourceStatus;
use dockfleet_crds::condition;
use dockfleet_planner::brake;
use dockfleet_planner::resource::StatusEvent;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType};

/// The most characters that the API server accepts in the note of an event.
const MAX_NOTE: usize = 1024;

/// An event to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Whether it is a warning.
    pub(crate) type_: EventType,
    /// The reason, in one word.
    pub(crate) reason: String,
    /// The message, in a sentence.
    pub(crate) note: String,
}

/// A warning for the author of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Warning {
    /// The reason, in one word.
    pub(crate) reason: &'static str,
    /// The message, in a sentence.
    pub(crate) text: String,
}

impl Warning {
    /// Creates a warning.
    pub(crate) fn new(reason: &'static str, text: &str) -> Self {
        Self {
            reason,
            text: text.to_owned(),
        }
    }
}

impl Notice {
    /// Creates a normal event.
    pub(crate) fn normal(reason: &str, note: impl Into<String>) -> Self {
        Self {
            type_: EventType::Normal,
            reason: reason.to_owned(),
            note: note.into(),
        }
    }

    /// Creates a warning event.
    pub(crate) fn warning(reason: &str, note: impl Into<String>) -> Self {
        Self {
            type_: EventType::Warning,
            reason: reason.to_owned(),
            note: note.into(),
        }
    }

    /// Creates the event for a change of the part of a status that one kind has.
    pub(crate) fn of(change: &StatusEvent) -> Self {
        if change.is_warning {
            Self::warning(change.reason, &*change.message)
        } else {
            Self::normal(change.reason, &*change.message)
        }
    }

    /// Returns the event to publish.
    pub(crate) fn event(&self) -> Event {
        // The recorder merges two events and keeps the first note, unless their actions differ.
        let mut hash = DefaultHasher::new();
        self.note.hash(&mut hash);
        Event {
            type_: self.type_,
            reason: self.reason.clone(),
            note: Some(self.note.chars().take(MAX_NOTE).collect()),
            action: format!("{}-{:08x}", self.reason, hash.finish() >> 32),
            secondary: None,
        }
    }
}

/// Returns the events for the changes of a status.
pub(crate) fn transitions(
    old: Option<&ResourceStatus>,
    new: &ResourceStatus,
    warnings: &[Warning],
) -> Vec<Notice> {
    let mut notices = Vec::new();
    let said = condition_of(old, condition::ACCEPTED).map_or("", |c| c.message.as_str());
    let fresh = warnings.iter().filter(|w| !said.contains(&w.text));
    notices.extend(fresh.map(|w| Notice::warning(w.reason, &*w.text)));

    let before = condition_of(old, condition::READY).map(|c| c.reason.as_str());
    let after = condition_of(Some(new), condition::READY);
    let reason = after.map(|c| c.reason.as_str());
    let desired = old.map_or(0, |s| s.hosts.desired);
    if reason != Some("Deleting") && new.hosts.desired > 0 && new.hosts.desired != desired {
        let count = new.hosts.desired;
        let hosts = if count == 1 { "host" } else { "hosts" };
        notices.push(Notice::normal(
            "Assigned",
            format!("assigned to {count} {hosts}"),
        ));
    }
    notices.extend(failures(old, new));
    let stopped = |of| condition_of(of, condition::STALLED).filter(|c| c.reason == brake::REASON);
    if let (None, Some(now)) = (stopped(old), stopped(Some(new))) {
        notices.push(Notice::warning(&now.reason, &*now.message));
    }
    if let Some(ready) = after
        && matches!(ready.reason.as_str(), "Ready" | "NoHosts")
        && before != reason
    {
        notices.push(Notice::normal(&ready.reason, &*ready.message));
    }
    notices
}

/// Returns the events for the changes in the Ready condition that a host's agent reports: it fails,
/// for which reason, and that it is ready again. An offline host has its own event, where its
/// heartbeat is judged.
pub(crate) fn host_transitions(old: &[Condition], new: &[Condition]) -> Vec<Notice> {
    let mut notices = Vec::new();
    for now in new.iter().filter(|c| c.type_ == condition::READY) {
        let before = old.iter().find(|c| c.type_ == now.type_);
        let was = before.map_or(("", ""), |c| (c.status.as_str(), c.reason.as_str()));
        let note = if now.message.is_empty() {
            format!("condition {} is {}", now.type_, now.status)
        } else {
            now.message.clone()
        };
        match now.status.as_str() {
            "False" if was != ("False", now.reason.as_str()) => {
                notices.push(Notice::warning(&now.reason, note));
            }
            "True" if was.0 == "False" => notices.push(Notice::normal(&now.reason, note)),
            _ => {}
        }
    }
    notices
}

/// Returns one event for each reason that is new among the failing hosts, however many fail.
fn failures(old: Option<&ResourceStatus>, new: &ResourceStatus) -> Vec<Notice> {
    let mut seen: BTreeSet<&str> = old
        .into_iter()
        .flat_map(|s| &s.failing)
        .map(|f| f.reason.as_str())
        .collect();
    let mut notices = Vec::new();
    for failing in &new.failing {
        if seen.insert(failing.reason.as_str()) {
            let note = if failing.message.is_empty() {
                failing.host.clone()
            } else {
                format!("{}: {}", failing.host, failing.message)
            };
            notices.push(Notice::warning(failing.reason.as_str(), note));
        }
    }
    notices
}

fn condition_of<'a>(status: Option<&'a ResourceStatus>, type_: &str) -> Option<&'a Condition> {
    status?.conditions.iter().find(|c| c.type_ == type_)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dockfleet_crds::Reason;
    use dockfleet_crds::condition::{ConditionStatus, NewCondition, merge};
    use dockfleet_crds::status::{FailingHost, HostCounts};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;

    fn status(
        desired: i32,
        ready: (ConditionStatus, &str),
        failing: &[(&str, Reason)],
    ) -> ResourceStatus {
        let new_condition = NewCondition::new(condition::READY, ready.0, ready.1, "some text");
        ResourceStatus {
            last_handled_reconcile_at: None,
            observed_generation: Some(1),
            hosts: HostCounts {
                desired,
                ..HostCounts::default()
            },
            failing: failing
                .iter()
                .map(|(host, reason)| FailingHost {
                    host: (*host).to_owned(),
                    reason: (*reason).into(),
                    message: "it said no".to_owned(),
                })
                .collect(),
            conditions: merge(&[], &[new_condition], Some(1), &Time(Timestamp::UNIX_EPOCH)),
        }
    }

    #[test]
    fn the_first_status_is_one_event_with_the_number_of_hosts() {
        let new = status(3, (ConditionStatus::Unknown, "Progressing"), &[]);
        assert_eq!(
            transitions(None, &new, &[]),
            [Notice::normal("Assigned", "assigned to 3 hosts")]
        );
        assert_eq!(transitions(Some(&new), &new, &[]), []);
    }

    #[test]
    fn many_hosts_that_fail_for_one_reason_are_one_event() {
        let old = status(3, (ConditionStatus::Unknown, "Progressing"), &[]);
        let all = [
            ("a", Reason::Conflict),
            ("b", Reason::Conflict),
            ("c", Reason::InUse),
        ];
        let new = status(3, (ConditionStatus::False, "Conflict"), &all);
        assert_eq!(
            transitions(Some(&old), &new, &[]),
            [
                Notice::warning("Conflict", "a: it said no"),
                Notice::warning("InUse", "c: it said no"),
            ]
        );
        let fewer = status(3, (ConditionStatus::False, "Conflict"), &all[1..]);
        assert_eq!(transitions(Some(&new), &fewer, &[]), []);
    }

    #[test]
    fn ready_is_published_once() {
        let old = status(3, (ConditionStatus::Unknown, "Progressing"), &[]);
        let new = status(3, (ConditionStatus::True, "Ready"), &[]);
        assert_eq!(
            transitions(Some(&old), &new, &[]),
            [Notice::normal("Ready", "some text")]
        );
        assert_eq!(transitions(Some(&new), &new, &[]), []);
    }

    #[test]
    fn a_failing_host_is_one_event_for_each_reason_and_one_when_it_is_ready_again() {
        let ready = |status, reason, text| {
            let new_condition = NewCondition::new(condition::READY, status, reason, text);
            merge(&[], &[new_condition], None, &Time(Timestamp::UNIX_EPOCH))
        };
        let well = ready(ConditionStatus::True, "Ready", "");
        let away = ready(
            ConditionStatus::False,
            "EngineUnreachable",
            "no answer within 10 s",
        );
        let other = ready(
            ConditionStatus::False,
            "EngineUnreachable",
            "connection refused",
        );
        let foreign = ready(ConditionStatus::False, "ForeignHub", "obeys another one");
        assert_eq!(
            host_transitions(&well, &away),
            [Notice::warning(
                "EngineUnreachable",
                "no answer within 10 s"
            )]
        );
        // Another message with the same reason is no event.
        assert_eq!(host_transitions(&away, &other), []);
        assert_eq!(
            host_transitions(&other, &foreign),
            [Notice::warning("ForeignHub", "obeys another one")]
        );
        assert_eq!(
            host_transitions(&foreign, &well),
            [Notice::normal("Ready", "condition Ready is True")]
        );
        // A new host that is ready is no event.
        assert_eq!(host_transitions(&[], &well), []);
    }

    #[test]
    fn events_with_different_sentences_are_different_events() {
        let three = Notice::normal("Assigned", "assigned to 3 hosts").event();
        let four = Notice::normal("Assigned", "assigned to 4 hosts").event();
        assert_ne!(three.action, four.action);
    }
}
