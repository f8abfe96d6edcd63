//! What is recorded of a backup: which hosts may begin, and what all of them have.

use std::collections::BTreeMap;

use bytesize::ByteSize;
use dockfleet_crds::backup::{
    BackupPhase, BackupState, HostBackup, MAX_RESULTS, RecordedRepository,
};
use dockfleet_crds::condition::ConditionStatus;
use dockfleet_crds::{BackupRepository, Open, Reason, duration};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::detail::BackupDetail;
use crate::desired::fields;
use crate::kinds::repository;
use crate::resource::{Conclusion, HostReport, OwnStatus, StatusContext, StatusEvent};

/// The most hosts of one backup that run at the same time: the limit of the schema.
const MOST: usize = 64;
/// How long hosts are waited for after the deadline that were told to begin and are not heard of.
const LOST: SignedDuration = SignedDuration::from_hours(1);

/// Where a host is.
enum Turn {
    /// It has a result.
    Ended(HostBackup),
    /// It makes its backup.
    Running { is_offline: bool },
    /// It was told to begin, and may have done so.
    Released { is_offline: bool },
    /// It can begin.
    Waits,
    /// It cannot begin now, for this reason in words.
    Away(String),
}

/// What is done once by hosts: a backup, or a restore.
#[derive(Clone, Debug)]
pub(in crate::kinds) struct Once<'a> {
    /// What is recorded of it.
    pub(in crate::kinds) recorded: Option<&'a BackupState>,
    /// Until when hosts may begin, as a duration.
    pub(in crate::kinds) starting_deadline: &'a str,
    /// How long it may take, as a duration.
    pub(in crate::kinds) timeout: &'a str,
    /// The name of its repository.
    pub(in crate::kinds) repository: &'a str,
    /// What the event says when it begins.
    pub(in crate::kinds) begins: String,
    pub(in crate::kinds) words: Words,
}

/// The words for it.
#[derive(Clone, Copy, Debug)]
pub(in crate::kinds) struct Words {
    /// What a host has in the end.
    pub(in crate::kinds) thing: &'static str,
    /// The reasons of events: it has started, is complete, is not whole, has failed.
    pub(in crate::kinds) events: [&'static str; 4],
}

/// The words for a backup.
pub(super) const BACKUP: Words = Words {
    thing: "backup",
    events: [
        "BackupStarted",
        "BackupCompleted",
        "BackupPartiallyFailed",
        "BackupFailed",
    ],
};

/// Works out what is recorded next.
pub(in crate::kinds) fn status(once: &Once<'_>, context: &StatusContext<'_>) -> OwnStatus {
    let before = once.recorded.cloned().unwrap_or_default();
    if before.is_over() {
        return OwnStatus {
            conclusion: Some(conclusion(&before, once.words)),
            fields: fields(&before),
            ..OwnStatus::default()
        };
    }
    let mut state = before.clone();
    // By the clock of the controller, as all that follows: that of the API server may differ.
    let first = text(context.now);
    let observed = state.observed_time.get_or_insert(first).parse().ok();
    if state.repository.is_none() {
        state.repository = context.repository.map(record);
    }
    let hosts = (context.hosts)();
    let deadline = after(observed.unwrap_or(context.now), once.starting_deadline);
    let is_late = deadline.is_some_and(|at| context.now >= at);
    let mut turns: BTreeMap<&str, Turn> = hosts
        .iter()
        .filter(|report| !report.is_retiring() && !is_too_new(report, deadline))
        .map(|report| (name(report), turn(report, &before)))
        .collect();
    for host in &before.running {
        turns.entry(host).or_insert_with(|| {
            let text = "the host was deselected or deleted while it was at work";
            Turn::Ended(without(host, Reason::Interrupted, text))
        });
    }
    let mut again_at = deadline.filter(|at| *at > context.now);
    if is_late {
        let end = deadline.and_then(|at| after(at, once.timeout)?.checked_add(LOST).ok());
        let is_ended = end.is_some_and(|at| context.now >= at);
        miss(&mut turns);
        let lost = lost_at(&turns, &before, context.now);
        state.lost_time = lost.map(text);
        if is_ended || lost.is_some_and(|at| context.now >= at) {
            give_up(&mut turns, is_ended);
        }
        again_at = [lost, end]
            .into_iter()
            .flatten()
            .filter(|at| *at > context.now)
            .min();
    }
    // An offline host holds no turn, but may be at work.
    let mut running = names(&turns, |turn| {
        let is_away = matches!(turn, Turn::Released { is_offline: true });
        is_away || matches!(turn, Turn::Running { .. })
    });
    let mut taken = count(&turns, |t| matches!(t, Turn::Running { is_offline: false }));
    let most = state.repository.as_ref().map_or(0, |r| slots(&r.spec));
    let most = most.saturating_sub(context.usage.running);
    let released = names(&turns, |t| {
        matches!(t, Turn::Released { is_offline: false })
    });
    let waiting = names(&turns, |turn| matches!(turn, Turn::Waits));
    let waiting = waiting.into_iter().filter(|_| !is_late);
    // Who was told to begin comes first; a turn that others have now is withdrawn.
    for host in released.into_iter().chain(waiting) {
        if taken < most && running.len() < MOST {
            taken += 1;
            running.push(host);
        }
    }
    running.sort_unstable();
    let begins = state.start_time.is_none() && !running.is_empty();
    if begins {
        state.start_time = Some(text(context.now));
    }
    state.running = running;
    collect(&mut state, &before, &turns);
    let is_done = count(&turns, |turn| matches!(turn, Turn::Ended(_))) == turns.len();
    if is_done && (!turns.is_empty() || is_late) {
        state.completion_time = Some(text(context.now));
        state.running.clear();
    }
    state.phase = Some(phase(&state).into());
    let mut events = Vec::new();
    if begins {
        let [started, ..] = once.words.events;
        let of = hosts_in_words(turns.len());
        events.push(StatusEvent::normal(
            started,
            format!("{} on {of} begins", once.begins),
        ));
    }
    let is_over = state.is_over();
    if is_over {
        events.push(ended(&state, once.words));
    }
    OwnStatus {
        fields: fields(&state),
        conclusion: Some(if is_over {
            conclusion(&state, once.words)
        } else {
            under_way(once, &state, &turns)
        }),
        again_at: again_at.filter(|_| !is_over),
        slots: taken,
        events,
        ..OwnStatus::default()
    }
}

fn name<'a>(report: &HostReport<'a>) -> &'a str {
    report.host.metadata.name.as_deref().unwrap_or_default()
}

/// Returns where a host is. A result counts whatever the entry is now: it never changes.
fn turn(report: &HostReport<'_>, before: &BackupState) -> Turn {
    let view = &report.view;
    let detail = BackupDetail::read(view.status.and_then(|s| s.detail.as_ref()));
    if let Some(result) = detail.result {
        let host = name(report).to_owned();
        return Turn::Ended(HostBackup { host, ..result });
    }
    // The agent may have lost its journal since then.
    let mut recorded = before.results.iter();
    if let Some(result) = recorded.find(|r| r.host == name(report) && r.snapshot_id.is_some()) {
        return Turn::Ended(result.clone());
    }
    let is_offline = view.offline;
    if detail.running {
        return Turn::Running { is_offline };
    }
    let may_run = before.running.iter().any(|host| host == name(report));
    if let Some(refused) = view.refused {
        return Turn::Away(refused.message.clone());
    }
    // It reports on what it was told, or has not heard of it yet.
    let status = view
        .status
        .filter(|s| view.entry.is_some_and(|e| e.revision == s.revision));
    match status {
        _ if is_offline && may_run => Turn::Released { is_offline },
        _ if is_offline => Turn::Away("the host has not reported for a long time".to_owned()),
        None if may_run => Turn::Released { is_offline },
        None => Turn::Away("the host has not reported on it yet".to_owned()),
        // It may be at work although its engine does not answer, or its agent has just begun.
        Some(status) if may_run && !status.is_because(Reason::Paused) => {
            Turn::Released { is_offline }
        }
        Some(status) if status.is_because(Reason::Progressing) => Turn::Waits,
        Some(status) => Turn::Away(status.message.clone()),
    }
}

/// Whether a host was created after the deadline: it is not meant.
fn is_too_new(report: &HostReport<'_>, deadline: Option<Timestamp>) -> bool {
    let created = report
        .host
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|t| t.0);
    created
        .zip(deadline)
        .is_some_and(|(created, deadline)| created > deadline)
}

/// Returns the result of a host without a snapshot.
fn without(host: &str, reason: Reason, message: &str) -> HostBackup {
    HostBackup {
        host: host.to_owned(),
        reason: Some(reason.into()),
        message: message.to_owned(),
        ..HostBackup::default()
    }
}

/// Turns hosts that were not told to begin before the deadline into results without a snapshot.
fn miss(turns: &mut BTreeMap<&str, Turn>) {
    for (host, turn) in turns {
        let why = match turn {
            Turn::Ended(_) | Turn::Running { .. } | Turn::Released { .. } => continue,
            Turn::Waits => "it did not get its turn before the deadline".to_owned(),
            Turn::Away(message) => message.clone(),
        };
        *turn = Turn::Ended(without(host, Reason::Missed, &why));
    }
}

/// Returns until when hosts are waited for that are not heard of, if only they are left.
fn lost_at(
    turns: &BTreeMap<&str, Turn>,
    before: &BackupState,
    now: Timestamp,
) -> Option<Timestamp> {
    let works = |turn: &Turn| matches!(turn, Turn::Running { is_offline: false });
    let is_lost = |turn: &Turn| {
        matches!(
            turn,
            Turn::Released { .. } | Turn::Running { is_offline: true }
        )
    };
    if count(turns, works) > 0 || count(turns, is_lost) == 0 {
        return None;
    }
    let noted = before.lost_time.as_deref().and_then(|at| at.parse().ok());
    noted.or_else(|| now.checked_add(LOST).ok())
}

/// Turns hosts that are not heard of into results without a snapshot; `all` are, if time is up.
fn give_up(turns: &mut BTreeMap<&str, Turn>, all: bool) {
    for (host, turn) in turns {
        let why = match turn {
            Turn::Running { is_offline: false } if all => "it did not end in time",
            Turn::Ended(_) | Turn::Running { is_offline: false } | Turn::Waits | Turn::Away(_) => {
                continue;
            }
            Turn::Running { is_offline: true } => "the host is offline since it began",
            Turn::Released { .. } => "it was told to begin, and was not heard of",
        };
        *turn = Turn::Ended(without(host, Reason::Interrupted, why));
    }
}

fn names(turns: &BTreeMap<&str, Turn>, is_meant: impl Fn(&Turn) -> bool) -> Vec<String> {
    let meant = turns.iter().filter(|(_, turn)| is_meant(turn));
    meant.map(|(host, _)| (*host).to_owned()).collect()
}

fn count(turns: &BTreeMap<&str, Turn>, is_meant: impl Fn(&Turn) -> bool) -> usize {
    turns.values().filter(|turn| is_meant(turn)).count()
}

fn slots(spec: &dockfleet_crds::backup::BackupRepositorySpec) -> usize {
    usize::try_from(spec.max_concurrent).unwrap_or_default()
}

/// Adds up the results. Those of hosts that are no longer selected stay.
fn collect(state: &mut BackupState, before: &BackupState, turns: &BTreeMap<&str, Turn>) {
    let earlier = before
        .results
        .iter()
        .filter(|r| !turns.contains_key(r.host.as_str()));
    let ended = turns.values().filter_map(|turn| match turn {
        Turn::Ended(result) => Some(result),
        Turn::Running { .. } | Turn::Released { .. } | Turn::Waits | Turn::Away(_) => None,
    });
    let mut all: Vec<HostBackup> = earlier.chain(ended).cloned().collect();
    let counted = |outcome: Outcome| {
        let number = all.iter().filter(|r| Outcome::of(r) == outcome).count();
        i32::try_from(number).unwrap_or(i32::MAX)
    };
    state.succeeded = counted(Outcome::Whole);
    state.partial = counted(Outcome::Partial);
    state.failed = counted(Outcome::Failed);
    state.missed = counted(Outcome::Missed);
    let bytes = all.iter().fold(0_i64, |sum, r| sum.saturating_add(r.bytes));
    let bytes = u64::try_from(bytes).unwrap_or_default();
    state.size = (bytes > 0).then(|| ByteSize(bytes).display().si().to_string());
    all.sort_by(|a, b| (Outcome::of(a), &a.host).cmp(&(Outcome::of(b), &b.host)));
    all.truncate(MAX_RESULTS);
    state.results = all;
}

/// What a host has, the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Failed,
    Missed,
    Partial,
    Whole,
}

impl Outcome {
    fn of(result: &HostBackup) -> Self {
        let is_missed = result.reason.as_ref().is_some_and(|r| *r == Reason::Missed);
        match (&result.snapshot_id, &result.reason) {
            (None, _) if is_missed => Self::Missed,
            (None, _) => Self::Failed,
            (Some(_), Some(_)) => Self::Partial,
            (Some(_), None) => Self::Whole,
        }
    }
}

fn phase(state: &BackupState) -> BackupPhase {
    let bad = state.partial + state.failed + state.missed;
    match (state.is_over(), &state.start_time) {
        (true, _) if bad == 0 && state.succeeded > 0 => BackupPhase::Completed,
        (true, _) if state.succeeded + state.partial > 0 => BackupPhase::PartiallyFailed,
        (true, _) => BackupPhase::Failed,
        (false, Some(_)) => BackupPhase::Running,
        (false, None) => BackupPhase::Pending,
    }
}

/// Returns what the conditions say of a backup that has ended.
fn conclusion(state: &BackupState, words: Words) -> Conclusion {
    let phase = state
        .phase
        .as_ref()
        .and_then(Open::known)
        .unwrap_or_default();
    let is_whole = phase == BackupPhase::Completed;
    Conclusion {
        ready: if is_whole {
            ConditionStatus::True
        } else {
            ConditionStatus::False
        },
        reason: <&str>::from(phase).to_owned(),
        message: summary(state, words),
    }
}

fn summary(state: &BackupState, Words { thing, .. }: Words) -> String {
    let all = state.succeeded + state.partial + state.failed + state.missed;
    let mut text = match all {
        0 => "no host is selected".to_owned(),
        1 => format!("{} of 1 host has a whole {thing}", state.succeeded),
        n => format!("{} of {n} hosts have a whole {thing}", state.succeeded),
    };
    for (number, what) in [
        (state.partial, "with files that are missing"),
        (state.failed, "failed"),
        (state.missed, "missed"),
    ] {
        if number > 0 {
            text = format!("{text}, {number} {what}");
        }
    }
    let worst = state
        .results
        .first()
        .filter(|r| Outcome::of(r) != Outcome::Whole);
    match worst {
        Some(worst) => {
            let reason = worst.reason.as_ref().map_or("", |r| r.as_str());
            format!("{text}; {}: {reason}: {}", worst.host, worst.message)
        }
        None => text,
    }
}

fn ended(state: &BackupState, words: Words) -> StatusEvent {
    let [_, completed, partially, failed] = words.events;
    match phase(state) {
        BackupPhase::Completed => StatusEvent::normal(completed, summary(state, words)),
        BackupPhase::PartiallyFailed => StatusEvent::warning(partially, summary(state, words)),
        BackupPhase::Pending | BackupPhase::Running | BackupPhase::Failed => {
            StatusEvent::warning(failed, summary(state, words))
        }
    }
}

/// Returns what the conditions say as long as it has not ended.
fn under_way(once: &Once<'_>, state: &BackupState, turns: &BTreeMap<&str, Turn>) -> Conclusion {
    let ended = count(turns, |turn| matches!(turn, Turn::Ended(_)));
    let mut parts = vec![match turns.len() {
        0 => "no host is selected".to_owned(),
        1 => format!("{ended} of 1 host has ended"),
        n => format!("{ended} of {n} hosts have ended"),
    }];
    parts.extend(waits_for(once, state, turns));
    Conclusion {
        ready: ConditionStatus::Unknown,
        reason: Reason::Progressing.as_str().to_owned(),
        message: parts.join("; "),
    }
}

/// Returns what hosts wait for, in a sentence.
fn waits_for(once: &Once<'_>, state: &BackupState, turns: &BTreeMap<&str, Turn>) -> Option<String> {
    if state.repository.is_none() {
        return Some(format!(
            "BackupRepository {} does not exist in this namespace",
            once.repository
        ));
    }
    let waiting = names(turns, |turn| matches!(turn, Turn::Waits));
    let waiting = waiting
        .iter()
        .filter(|host| !state.running.contains(host))
        .count();
    let mut parts = Vec::new();
    if !state.running.is_empty() {
        parts.push(format!("running on {}", state.running.join(", ")));
    }
    if waiting > 0 {
        parts.push(format!("{} for their turn", waits(waiting)));
    }
    let away = turns.values().find_map(|turn| match turn {
        Turn::Away(message) => Some(message),
        Turn::Ended(_) | Turn::Running { .. } | Turn::Released { .. } | Turn::Waits => None,
    });
    if let Some(why) = away.filter(|_| state.running.is_empty()) {
        parts.push(why.clone());
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn waits(number: usize) -> String {
    match number {
        1 => "1 host waits".to_owned(),
        n => format!("{n} hosts wait"),
    }
}

fn hosts_in_words(number: usize) -> String {
    match number {
        1 => "1 host".to_owned(),
        n => format!("{n} hosts"),
    }
}

fn record(repository: &BackupRepository) -> RecordedRepository {
    RecordedRepository {
        uid: repository.metadata.uid.clone().unwrap_or_default(),
        address: repository::address(&repository.spec),
        spec: repository.spec.clone(),
    }
}

/// Returns the time after a duration.
fn after(time: Timestamp, duration: &str) -> Option<Timestamp> {
    let seconds = duration::seconds(duration)?;
    time.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// Returns a time in seconds, as Kubernetes writes it.
fn text(time: Timestamp) -> String {
    let seconds = Timestamp::from_second(time.as_second()).unwrap_or(time);
    seconds.to_string()
}

#[cfg(test)]
mod tests;
