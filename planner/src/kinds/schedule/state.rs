//! What a schedule does next: at most one VolumeBackup is not done at any time.

use dockfleet_crds::backup::{RUN_NOW, SCHEDULE_LABEL, SCHEDULED_AT, ScheduleState, VolumeBackup};
use dockfleet_crds::condition::ConditionStatus;
use dockfleet_crds::{Reason, VolumeBackupSchedule, duration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::times::Times;
use crate::desired::fields;
use crate::resource::{Conclusion, Makes, OwnStatus, Resource, StatusContext, StatusEvent};
use crate::retention::CLOCKS_DIFFER;

/// Works out what is made and recorded next.
pub(super) fn status(schedule: &VolumeBackupSchedule, context: &StatusContext<'_>) -> OwnStatus {
    let before = super::of(schedule).cloned().unwrap_or_default();
    let times = match times(schedule, context) {
        Ok(times) => times,
        Err(why) => return invalid(&before, why),
    };
    let made = (context.made)();
    let mut state = observed(before.clone(), &made);
    // By the clock of the controller, as all that follows: that of the API server may differ.
    let first = context.now.to_string();
    state.observed_time.get_or_insert(first);
    let mut own = OwnStatus::default();
    let now = context.now;
    let active = made.iter().any(|backup| !is_over(backup));
    // What was made is there before it is recorded, so nothing is forgotten and nothing made twice.
    if let Some(due) = due(&before, &times, &made, now) {
        let is_late = times.delayed(due) < now - lateness(schedule);
        if schedule.spec.suspend || is_late {
            state.last_schedule_time = Some(due.to_string());
            if is_late && !schedule.spec.suspend {
                own.events.push(StatusEvent::warning(
                    "BackupMissed",
                    format!(
                        "the backup of {due} was not begun within startingDeadline, and is not made"
                    ),
                ));
            }
        } else if !active {
            own.makes.push(Makes::Create(Box::new(backup(
                schedule,
                &format!("{}", due.as_second() / 60),
                (SCHEDULED_AT, due.to_string()),
            ))));
        }
    }
    let run_now = schedule.spec.run_now.as_ref();
    // Only the present wish is recorded, never an earlier one whose backup is still there.
    if let Some(token) = run_now
        && made
            .iter()
            .any(|backup| annotation(backup, RUN_NOW) == Some(token))
    {
        state.last_run_now = Some(token.clone());
    }
    let is_asked = run_now.is_some() && run_now != state.last_run_now.as_ref();
    if let Some(token) = run_now.filter(|_| is_asked && !active && own.makes.is_empty()) {
        own.makes.push(Makes::Create(Box::new(backup(
            schedule,
            // Another edit is another wish.
            &format!("now-{}", schedule.metadata.generation.unwrap_or_default()),
            (RUN_NOW, token.clone()),
        ))));
    }
    own.makes
        .extend(superfluous(schedule, &made).into_iter().map(Makes::Delete));
    let next = times.next(now);
    if next.is_none() {
        let why = format!(
            "schedule {:?} has no time that comes",
            schedule.spec.schedule
        );
        return invalid(&before, why);
    }
    state.next_schedule_time = next
        .filter(|_| !schedule.spec.suspend)
        .map(|t| t.to_string());
    own.again_at = next;
    own.conclusion = Some(conclusion(schedule, &state));
    own.fields = fields(&state);
    own
}

/// Returns what is reported of a schedule that cannot be followed.
fn invalid(before: &ScheduleState, why: String) -> OwnStatus {
    OwnStatus {
        conclusion: Some(Conclusion {
            ready: ConditionStatus::False,
            reason: Reason::Invalid.as_str().to_owned(),
            message: why,
        }),
        fields: fields(before),
        ..OwnStatus::default()
    }
}

fn times(schedule: &VolumeBackupSchedule, context: &StatusContext<'_>) -> Result<Times, String> {
    let spec = &schedule.spec;
    let zone = (context.zone)(&spec.time_zone).ok_or_else(|| {
        format!(
            "timeZone {} is not known; write one such as Europe/Berlin",
            spec.time_zone
        )
    })?;
    let resource: &dyn Resource = schedule;
    Times::of(&spec.schedule, zone, seconds(&spec.spread), resource.uid())
}

fn seconds(text: &str) -> SignedDuration {
    SignedDuration::from_secs(duration::seconds(text).unwrap_or_default())
}

fn lateness(schedule: &VolumeBackupSchedule) -> SignedDuration {
    seconds(&schedule.spec.starting_deadline)
}

/// Returns the last time of the schedule, if it is not dealt with.
fn due(
    before: &ScheduleState,
    times: &Times,
    made: &[&VolumeBackup],
    now: Timestamp,
) -> Option<Timestamp> {
    let time = |text: &Option<String>| text.as_deref().and_then(|t| t.parse().ok());
    let observed = time(&before.observed_time).unwrap_or(now);
    // A time far in the future was noted by a wrong clock.
    let is_known = |at: &Timestamp| *at <= now.saturating_add(CLOCKS_DIFFER).unwrap_or(now);
    let recorded = time(&before.last_schedule_time);
    let made = made.iter().filter_map(|backup| scheduled_at(backup));
    let done = made
        .chain(recorded)
        .chain([observed])
        .filter(is_known)
        .max();
    times
        .last(now)
        .filter(|last| done.is_none_or(|done| *last > done))
}

fn annotation<'a>(backup: &'a VolumeBackup, key: &str) -> Option<&'a str> {
    let annotations = backup.metadata.annotations.as_ref()?;
    annotations.get(key).map(String::as_str)
}

fn scheduled_at(backup: &VolumeBackup) -> Option<Timestamp> {
    annotation(backup, SCHEDULED_AT)?.parse().ok()
}

fn is_over(backup: &VolumeBackup) -> bool {
    let resource: &dyn Resource = backup;
    resource.is_over()
}

fn completed_at(backup: &VolumeBackup) -> Option<&str> {
    let status = backup.status.as_ref()?;
    status.backup.completion_time.as_deref()
}

fn is_whole(backup: &VolumeBackup) -> bool {
    backup.status.as_ref().is_some_and(|s| s.backup.is_whole())
}

/// Adds what the VolumeBackups show.
fn observed(mut state: ScheduleState, made: &[&VolumeBackup]) -> ScheduleState {
    let times = made.iter().filter_map(|backup| scheduled_at(backup)).max();
    let recorded = state
        .last_schedule_time
        .as_deref()
        .and_then(|t| t.parse().ok());
    state.last_schedule_time = times.max(recorded).map(|t: Timestamp| t.to_string());
    let active = made.iter().find(|backup| !is_over(backup));
    state.active = active.and_then(|backup| backup.metadata.name.clone());
    let whole = made.iter().filter(|backup| is_whole(backup));
    let success = whole
        .filter_map(|backup| completed_at(backup))
        .max()
        .map(str::to_owned);
    state.last_successful_time = state.last_successful_time.max(success);
    let last = made.iter().max_by_key(|backup| completed_at(backup));
    if let Some(last) = last.filter(|backup| is_over(backup)) {
        let phase = last.status.as_ref().and_then(|s| s.backup.phase.as_ref());
        state.last_phase = phase.map(|phase| phase.as_str().to_owned());
    }
    state
}

/// Returns the names of the VolumeBackups that are over the limits of the history, the oldest first.
fn superfluous(schedule: &VolumeBackupSchedule, made: &[&VolumeBackup]) -> Vec<String> {
    let spec = &schedule.spec;
    let mut names = Vec::new();
    for (whole, limit) in [
        (true, spec.successful_history_limit),
        (false, spec.failed_history_limit),
    ] {
        let mut over: Vec<&VolumeBackup> = made
            .iter()
            .copied()
            .filter(|backup| is_over(backup) && is_whole(backup) == whole)
            .filter(|backup| backup.metadata.deletion_timestamp.is_none())
            .collect();
        over.sort_by_key(|backup| std::cmp::Reverse(completed_at(backup)));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        names.extend(
            over.iter()
                .skip(limit)
                .rev()
                .filter_map(|b| b.metadata.name.clone()),
        );
    }
    names
}

/// Returns a VolumeBackup of a schedule.
fn backup(
    schedule: &VolumeBackupSchedule,
    suffix: &str,
    (key, value): (&str, String),
) -> VolumeBackup {
    let resource: &dyn Resource = schedule;
    let name = resource.name();
    let owner = OwnerReference {
        api_version: format!("{}/{}", dockfleet_crds::GROUP, dockfleet_crds::VERSION),
        kind: resource.kind().as_str().to_owned(),
        name: name.to_owned(),
        uid: resource.uid().to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(false),
    };
    // The value of a label is shorter than a name may be.
    let label = name.get(..name.len().min(63)).unwrap_or(name);
    VolumeBackup {
        metadata: ObjectMeta {
            name: Some(format!("{name}-{suffix}")),
            namespace: Some(resource.namespace().to_owned()),
            labels: Some(
                [(
                    SCHEDULE_LABEL.to_owned(),
                    label.trim_end_matches(['-', '.']).to_owned(),
                )]
                .into(),
            ),
            annotations: Some([(key.to_owned(), value)].into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: schedule.spec.template.clone(),
        status: None,
    }
}

fn conclusion(schedule: &VolumeBackupSchedule, state: &ScheduleState) -> Conclusion {
    let mut parts = Vec::new();
    if schedule.spec.suspend {
        parts.push("suspended".to_owned());
    } else if let Some(next) = &state.next_schedule_time {
        parts.push(format!("the next backup is at {next}"));
    }
    if let Some(phase) = &state.last_phase {
        parts.push(format!("the last one: {phase}"));
    }
    Conclusion {
        ready: ConditionStatus::True,
        reason: "Ready".to_owned(),
        message: parts.join("; "),
    }
}

#[cfg(test)]
mod tests;
