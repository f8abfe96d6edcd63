//! Aggregates the reports of all hosts on one resource: counters, a short list of failing hosts, conditions.

use dockfleet_crds::condition::{self, ConditionStatus, NewCondition};
use dockfleet_crds::policy::ReadyPolicy;
use dockfleet_crds::status::{FailingHost, HostCounts, MAX_FAILING_HOSTS};
use dockfleet_crds::{Entry, EntryState, EntryStatus, Intent, Open, Reason};

use crate::assignment::Refusal;
use crate::brake;
use crate::resource::Conclusion;

/// The state of one resource on one host.
#[derive(Clone, Debug)]
pub struct HostView<'a> {
    /// Name of the host.
    pub host: &'a str,
    /// The host's entry for the resource.
    pub entry: Option<&'a Entry>,
    /// The status that its agent last reported for the entry.
    pub status: Option<&'a EntryStatus>,
    /// Why the host has no entry although the resource selects it.
    pub refused: Option<&'a Refusal>,
    /// The host is offline.
    pub offline: bool,
}

/// What a resource's status depends on, beside its hosts.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// The resource is being deleted.
    pub deleting: bool,
    /// The resource is suspended.
    pub suspended: bool,
    /// Why the brake has stopped it.
    pub stopped: Option<String>,
    /// The hosts that the resource waits for.
    pub ready_policy: ReadyPolicy,
    /// What all hosts wait for, in a sentence.
    pub waits_for: Option<String>,
    /// Warnings for the resource's author: options that an engine ignores, names that other resources want.
    pub warnings: Vec<String>,
    /// What the conditions say, whatever the hosts report.
    pub conclusion: Option<Conclusion>,
}

/// A resource's status, without the times of its conditions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aggregate {
    /// How many hosts are in which state.
    pub hosts: HostCounts,
    /// Hosts that are not ready, by name.
    pub failing: Vec<FailingHost>,
    /// The conditions.
    pub conditions: Vec<NewCondition>,
}

/// The counter that a host adds to, the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Count {
    Failed,
    Drifted,
    Pending,
    Removing,
    Offline,
    Ready,
}

/// Aggregates the states of hosts, which are sorted by name.
pub fn aggregate<'a>(hosts: impl Iterator<Item = HostView<'a>>, notes: &Notes) -> Aggregate {
    let mut counts = HostCounts::default();
    let mut failing: Vec<(Count, FailingHost)> = Vec::new();
    let mut not_allowed = 0;
    let mut waits = false;
    let mut still_removing = 0;
    for view in hosts {
        let (count, reason, message) = judge(&view);
        if let Some(reason) = reason {
            not_allowed += i32::from(reason == Reason::NotAllowed);
            if is_worth_naming(count, &reason) {
                // A reason that this version does not know may end by itself.
                let ends = reason.known().is_none_or(Reason::ends_by_itself);
                waits |= !view.offline && ends;
                let host = view.host.to_owned();
                let named = FailingHost {
                    host,
                    reason,
                    message,
                };
                failing.push((count, named));
            }
        }
        match count {
            Count::Ready => counts.ready += 1,
            Count::Pending => counts.pending += 1,
            Count::Drifted => counts.drifted += 1,
            Count::Failed => counts.failed += 1,
            Count::Offline => counts.offline += 1,
            Count::Removing => {
                counts.removing += 1;
                // An offline host removes the object when it is back; the resource does not wait for that.
                still_removing += i32::from(!view.offline);
            }
        }
        counts.desired += i32::from(count != Count::Removing);
    }
    // Hosts that only wait must not crowd out those that failed.
    failing.sort_by_key(|(count, _)| *count);
    // An offline host is counted, but is never the worst one.
    let worst = failing.first().map(|(_, host)| host.clone());
    let worst = worst.filter(|w| w.reason != Reason::Offline);
    failing.truncate(MAX_FAILING_HOSTS);
    let mut failing: Vec<FailingHost> = failing.into_iter().map(|(_, host)| host).collect();
    failing.sort_by(|a, b| a.host.cmp(&b.host));
    let conditions = conditions(
        counts,
        still_removing,
        worst.as_ref(),
        not_allowed,
        waits,
        notes,
    );
    Aggregate {
        hosts: counts,
        failing,
        conditions,
    }
}

fn is_worth_naming(count: Count, reason: &Open<Reason>) -> bool {
    match count {
        Count::Failed | Count::Drifted | Count::Offline => true,
        Count::Pending => *reason != Reason::Progressing,
        // The object is removed or released; only the controller has not processed the report yet.
        Count::Removing => !matches!(
            reason.known(),
            Some(Reason::Progressing | Reason::Removed | Reason::Retained)
        ),
        Count::Ready => false,
    }
}

fn judge(view: &HostView<'_>) -> (Count, Option<Open<Reason>>, String) {
    let is_absent = view.entry.is_some_and(|e| e.intent == Intent::Absent);
    if view.offline && view.refused.is_none() {
        let message = "the host has not reported for a long time".to_owned();
        let count = if is_absent {
            Count::Removing
        } else {
            Count::Offline
        };
        return (count, Some(Reason::Offline.into()), message);
    }
    if let Some(refused) = view.refused {
        let reason = Some(refused.reason.into());
        return (Count::Failed, reason, refused.message.clone());
    }
    let Some(entry) = view.entry else {
        return (
            Count::Pending,
            Some(Reason::Progressing.into()),
            String::new(),
        );
    };
    // A report on an earlier revision does not count for this one.
    let status = view.status.filter(|s| s.revision == entry.revision);
    let progressing = (Some(Reason::Progressing.into()), String::new());
    let (reason, message) = status.map_or(progressing, |s| (s.reason.clone(), s.message.clone()));
    if entry.intent == Intent::Absent {
        return (Count::Removing, reason, message);
    }
    // Whether an unknown state of a newer agent is good or bad is not known.
    let count = match status.and_then(|s| s.state.known()) {
        None | Some(EntryState::Pending | EntryState::Gone) => Count::Pending,
        Some(EntryState::Ready) => Count::Ready,
        Some(EntryState::Drifted) => Count::Drifted,
        Some(EntryState::Failed | EntryState::Unsupported) => Count::Failed,
    };
    (count, reason, message)
}

fn conditions(
    counts: HostCounts,
    still_removing: i32,
    worst: Option<&FailingHost>,
    not_allowed: i32,
    waits: bool,
    notes: &Notes,
) -> Vec<NewCondition> {
    let bad = counts.failed + counts.drifted;
    // If all hosts are offline, no host is known to have the resource.
    let waits_for_offline = counts.offline > 0
        && (notes.ready_policy == ReadyPolicy::All || counts.offline == counts.desired);
    let message = match &notes.waits_for {
        Some(why) => format!("{}; {why}", sentence(counts, worst)),
        None => sentence(counts, worst),
    };
    let ready =
        |status, reason: &str| NewCondition::new(condition::READY, status, reason, &*message);
    let mut all = Vec::new();
    if let Some(why) = &notes.stopped {
        for (type_, status) in [
            (condition::READY, ConditionStatus::False),
            (condition::STALLED, ConditionStatus::True),
        ] {
            all.push(NewCondition::new(type_, status, brake::REASON, &**why));
        }
        all.push(accepted(counts, not_allowed, notes));
        return all;
    }
    if let Some(conclusion) = notes.conclusion.as_ref().filter(|_| !notes.deleting) {
        all.extend(concluded(conclusion));
        all.push(accepted(counts, not_allowed, notes));
        return all;
    }
    all.push(if notes.deleting {
        ready(ConditionStatus::Unknown, "Deleting")
    } else if bad > 0 {
        ready(
            ConditionStatus::False,
            worst.map_or("Failed", |w| w.reason.as_str()),
        )
    } else if counts.pending > 0 && notes.suspended {
        ready(ConditionStatus::Unknown, Reason::Suspended.as_str())
    } else if counts.pending > 0 {
        ready(
            ConditionStatus::Unknown,
            worst.map_or("Progressing", |w| w.reason.as_str()),
        )
    } else if waits_for_offline {
        ready(ConditionStatus::Unknown, Reason::Offline.as_str())
    } else if counts.desired == 0 {
        ready(ConditionStatus::True, "NoHosts")
    } else {
        ready(ConditionStatus::True, "Ready")
    });
    let working =
        counts.pending > 0 || still_removing > 0 || waits_for_offline || (bad > 0 && waits);
    if working && !notes.suspended {
        all.push(NewCondition::new(
            condition::RECONCILING,
            ConditionStatus::True,
            "Progressing",
            &*message,
        ));
    } else if bad > 0 {
        let reason = worst.map_or("Failed", |w| w.reason.as_str());
        all.push(NewCondition::new(
            condition::STALLED,
            ConditionStatus::True,
            reason,
            &*message,
        ));
    }
    all.push(accepted(counts, not_allowed, notes));
    all
}

/// Returns the conditions of a resource whose hosts do not decide.
fn concluded(conclusion: &Conclusion) -> Vec<NewCondition> {
    let says =
        |type_, status| NewCondition::new(type_, status, &*conclusion.reason, &*conclusion.message);
    let mut all = vec![says(condition::READY, conclusion.ready)];
    match conclusion.ready {
        ConditionStatus::True => {}
        ConditionStatus::False => all.push(says(condition::STALLED, ConditionStatus::True)),
        ConditionStatus::Unknown => all.push(says(condition::RECONCILING, ConditionStatus::True)),
    }
    all
}

fn accepted(counts: HostCounts, not_allowed: i32, notes: &Notes) -> NewCondition {
    let warnings = notes.warnings.join("; ");
    if not_allowed > 0 {
        let message = format!(
            "{not_allowed} of {} selected hosts do not allow this namespace",
            counts.desired
        );
        return NewCondition::new(
            condition::ACCEPTED,
            ConditionStatus::False,
            Reason::NotAllowed.as_str(),
            message,
        );
    }
    let reason = if notes.warnings.is_empty() {
        "Accepted"
    } else {
        "AcceptedWithWarnings"
    };
    NewCondition::new(condition::ACCEPTED, ConditionStatus::True, reason, warnings)
}

fn sentence(counts: HostCounts, worst: Option<&FailingHost>) -> String {
    let mut text = match counts.desired {
        0 => "no host is selected".to_owned(),
        1 => format!("{} of 1 host is ready", counts.ready),
        n => format!("{} of {n} hosts are ready", counts.ready),
    };
    if counts.offline > 0 {
        text = format!("{text}; {} offline", counts.offline);
    }
    if counts.removing > 0 {
        text = format!("{text}; {} to be removed or released", counts.removing);
    }
    match worst {
        Some(w) if w.message.is_empty() => format!("{text}; {}: {}", w.host, w.reason.as_str()),
        Some(w) => format!("{text}; {}: {}", w.host, w.message),
        None => text,
    }
}

#[cfg(test)]
mod tests;
