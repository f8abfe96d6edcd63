//! Makes one backup: finds the data of the volume, opens the repository, and asks the processes of jobs.

use std::collections::BTreeSet;

use dockfleet_crds::backup::{HostBackup, RetentionRules, Verify};
use dockfleet_crds::{Entry, Open, Reason, duration};
use dockfleet_planner::kinds::backup::DesiredBackup;
use dockfleet_planner::plan::bounded;
use dockfleet_planner::retention::{Candidate, Retention};
use dockfleet_vault::{Backup, BackupOutcome, Filter, Outcome, Problems, Snapshot, Task};
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use tokio::time::Instant;

use super::BackupTools;
use super::downtime::Downtime;
use super::place::{self, Refused};
use super::repository::{OpenRepository, another};
use super::volume::{find, lock};
use crate::jobs::JobControl;

/// Makes a backup. What cannot be done is a result, too.
pub(super) async fn make(
    entry: &Entry,
    want: &DesiredBackup,
    control: &JobControl,
    tools: &BackupTools,
    downtime: &mut Downtime,
    made: &mut Option<HostBackup>,
) -> HostBackup {
    let begun = Instant::now();
    let made = try_to(entry, want, control, tools, downtime, made).await;
    let made = made.unwrap_or_else(|(reason, message)| failed(reason, message));
    HostBackup {
        host: want.host.clone(),
        seconds: begun.elapsed().as_secs().try_into().unwrap_or(i64::MAX),
        message: bounded(made.message),
        ..made
    }
}

/// Returns the result of a backup that was not made.
pub(super) fn failed(reason: Open<Reason>, message: String) -> HostBackup {
    HostBackup {
        reason: Some(reason),
        message,
        ..HostBackup::default()
    }
}

async fn try_to(
    entry: &Entry,
    want: &DesiredBackup,
    control: &JobControl,
    tools: &BackupTools,
    downtime: &mut Downtime,
    made_so_far: &mut Option<HostBackup>,
) -> Result<HostBackup, Refused> {
    let (engine, data) = find(&want.volume, control, tools).await?;
    let _lock = lock(&want.volume, "backup", control, tools).await?;
    downtime.of(engine);
    // An earlier process may have left containers stopped: they run before it is decided which do.
    downtime.end().await;
    let (checked, folder) = (want.repository.clone(), data.folder.clone());
    place::in_time(move || place::check(&checked, &folder)).await?;
    let repository = {
        let who = (entry.uid.as_str(), want.host.as_str());
        OpenRepository::open(&want.repository, who, true, control, tools).await?
    };
    let task = Task::Backup(Backup {
        folder: data.folder,
        volume: want.volume.clone(),
        host: want.host.clone(),
        tags: tags(entry, want),
        verify: match want.verify {
            Verify::None => dockfleet_vault::Verify::None,
            Verify::Metadata => dockfleet_vault::Verify::Metadata,
            Verify::ReadData => dockfleet_vault::Verify::ReadData,
        },
    });
    let Outcome::Backup(made) = repository.read(task, control, downtime).await? else {
        return Err(another());
    };
    let result = result(&made);
    *made_so_far = Some(HostBackup {
        host: want.host.clone(),
        ..result.clone()
    });
    // After a partial one too, which takes the place of earlier partial ones only.
    let rules = want.repository.retention.as_ref().map(retention);
    let forgotten = forget(&repository, want, rules.unwrap_or_default(), control).await;
    Ok(match forgotten {
        Ok(()) => result,
        // The snapshot is there all the same.
        Err((_, why)) => HostBackup {
            message: [
                result.message.as_str(),
                &format!("older snapshots were not removed: {why}"),
            ]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("; "),
            ..result
        },
    })
}

/// Returns the tags by which a snapshot is found without the resource.
fn tags(entry: &Entry, want: &DesiredBackup) -> Vec<String> {
    let mut tags = vec![
        format!("backup={}/{}", entry.namespace, entry.name),
        format!("uid={}", entry.uid),
    ];
    tags.extend(want.tags.iter().cloned());
    tags
}

fn result(made: &BackupOutcome) -> HostBackup {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let snapshot = &made.snapshot;
    let problems = &made.problems;
    HostBackup {
        snapshot_id: Some(snapshot.id.clone()),
        files: number(snapshot.files),
        bytes: number(snapshot.bytes),
        added: number(made.written),
        problems: number(problems.failed + problems.changed),
        verified: snapshot.verified,
        reason: (!problems.is_empty()).then(|| Reason::PartiallyFailed.into()),
        message: in_words(problems, "read"),
        ..HostBackup::default()
    }
}

/// Returns what is missing, in words.
pub(super) fn in_words(problems: &Problems, doing: &str) -> String {
    let first = problems.first.first().map(|text| format!(": {text}"));
    let first = first.unwrap_or_default();
    match (problems.failed, problems.changed) {
        (0, 0) => String::new(),
        (failed, 0) => format!("{failed} files could not be {doing}{first}"),
        (0, changed) => format!("{changed} files changed while they were read{first}"),
        (failed, changed) => format!(
            "{failed} files could not be {doing} and {changed} changed while they were read{first}"
        ),
    }
}

/// Removes the snapshots of the volume that the rules do not keep.
async fn forget(
    repository: &OpenRepository,
    want: &DesiredBackup,
    rules: Retention,
    control: &JobControl,
) -> Result<(), Refused> {
    if rules.is_empty() {
        return Ok(());
    }
    let filter = Filter {
        host: Some(want.host.clone()),
        volume: Some(want.volume.clone()),
    };
    let Outcome::List(all) = repository.ask(Task::List(filter), control).await? else {
        return Err(another());
    };
    let candidate = |snapshot: &Snapshot| Candidate {
        id: snapshot.id.clone(),
        time: snapshot.time,
        is_good: !snapshot.partial,
    };
    let all: Vec<Candidate> = all.iter().map(candidate).collect();
    let gone: BTreeSet<String> = rules.removed(&all, jiff::Timestamp::now(), &TimeZone::UTC);
    if gone.is_empty() {
        return Ok(());
    }
    match repository.ask(Task::Forget(gone), control).await? {
        Outcome::Forget(_) => Ok(()),
        _ => Err(another()),
    }
}

/// Returns the rules in the form of the planner.
fn retention(rules: &RetentionRules) -> Retention {
    let number = |n: Option<i32>| n.and_then(|n| u32::try_from(n).ok());
    Retention {
        last: number(rules.last),
        hourly: number(rules.hourly),
        daily: number(rules.daily),
        weekly: number(rules.weekly),
        monthly: number(rules.monthly),
        yearly: number(rules.yearly),
        within: rules
            .within
            .as_deref()
            .and_then(duration::seconds)
            .map(SignedDuration::from_secs),
    }
}
