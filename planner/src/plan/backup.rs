//! Plans entries of VolumeBackups and VolumeRestores: which backups and restores run now, and what is reported of each.
//!
//! Each is done once. Its result is in the journal, and is reported as long as there is the entry.

use std::collections::BTreeMap;

use dockfleet_crds::backup::HostBackup;
use dockfleet_crds::{Entry, EntryState, EntryStatus, Reason};

use super::{JournalChange, Planned, Records, failed, pending, report, status, unsupported};
use crate::credentials::CredentialStore;
use crate::desired::{self, EntrySpec};
use crate::kinds::backup::{BackupDetail, DesiredBackup};
use crate::kinds::restore::DesiredRestore;
use crate::record::{Record, RecordKey, Stage};

/// What backups depend on beside the entries.
#[derive(Clone, Copy, Debug)]
pub struct BackupContext<'a> {
    /// Why nothing begins now, if so.
    pub held: Option<(Reason, &'a str)>,
    /// The credentials that the agent has.
    pub store: &'a CredentialStore,
    /// How far the running backups are, in words, by UID.
    pub running: &'a BTreeMap<String, String>,
}

/// The plan for one entry of a backup.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedBackup {
    /// The change of the journal and the status.
    pub planned: Planned,
    /// What runs, or begins now.
    pub runs: Option<DesiredJob>,
}

/// What is done once by a host.
#[derive(Clone, Debug, PartialEq)]
pub enum DesiredJob {
    /// A backup.
    Backup(Box<DesiredBackup>),
    /// A restore.
    Restore(Box<DesiredRestore>),
}

impl DesiredJob {
    /// Returns the version of the credentials that it needs.
    fn credentials(&self) -> Option<&str> {
        match self {
            Self::Backup(want) => want.credentials.as_deref(),
            Self::Restore(want) => want.credentials.as_deref(),
        }
    }
}

/// Plans every entry, by UID.
pub fn backups(
    entries: &[Entry],
    records: &Records,
    context: &BackupContext<'_>,
) -> Vec<PlannedBackup> {
    let mut planned: Vec<PlannedBackup> = entries
        .iter()
        .map(|entry| {
            let mut planned = plan_entry(entry, records, context);
            planned.planned.status.handled.clone_from(&entry.request);
            planned
        })
        .collect();
    planned.sort_by(|a, b| a.planned.status.uid.cmp(&b.planned.status.uid));
    planned
}

/// Returns the record of a backup or a restore that has ended.
pub fn recorded(entry: &Entry, result: &HostBackup) -> Record {
    Record {
        progress: serde_json::to_value(result).ok(),
        ..Record::new(entry, &entry.name, Stage::Retained, None)
    }
}

fn plan_entry(entry: &Entry, records: &Records, context: &BackupContext<'_>) -> PlannedBackup {
    let spec = match desired::whole(entry) {
        Ok((_, spec)) => spec,
        Err(err) => return only(report(unsupported(entry, err.to_string()))),
    };
    let record = records.get(&RecordKey::object(&entry.uid));
    if record.is_some_and(|r| !r.is_understood()) {
        let message = "a newer version wrote its journal record; upgrade the agent";
        return only(report(unsupported(entry, message.to_owned())));
    }
    let runs = context.running.get(&entry.uid);
    let job = match spec {
        EntrySpec::Present(desired) => desired.job(),
        EntrySpec::Absent(..) => None,
    };
    let Some(want) = job else {
        return only(match runs {
            // Dropped from the plan, it is cancelled.
            Some(_) => report(pending(
                entry,
                Reason::Progressing,
                "it is being stopped".to_owned(),
            )),
            None => ended(entry, record),
        });
    };
    if let Some(result) = record.and_then(Record::progress::<HostBackup>) {
        return only(report(done(entry, &result)));
    }
    let waits = |reason, message: &str| only(report(pending(entry, reason, message.to_owned())));
    if let Some(progress) = runs {
        let detail = BackupDetail {
            running: true,
            result: None,
        };
        let status = EntryStatus {
            detail: Some(detail.fields()),
            ..pending(entry, Reason::Progressing, progress.clone())
        };
        return PlannedBackup {
            planned: report(status),
            runs: Some(want),
        };
    }
    if let Some((reason, why)) = context.held {
        return waits(reason, why);
    }
    let has_credentials = want
        .credentials()
        .is_some_and(|version| context.store.get(&entry.uid, version).is_some());
    if !has_credentials {
        let why = context
            .store
            .error
            .as_deref()
            .unwrap_or("they are being read");
        let message = format!("the credentials of the repository are not on the host: {why}");
        return waits(Reason::CredentialsMissing, &message);
    }
    if !entry.released {
        return waits(Reason::Progressing, "it waits for its turn");
    }
    PlannedBackup {
        planned: report(pending(entry, Reason::Progressing, "it begins".to_owned())),
        runs: Some(want),
    }
}

fn only(planned: Planned) -> PlannedBackup {
    PlannedBackup {
        planned,
        runs: None,
    }
}

/// The backup is deleted, has ended everywhere, or no longer selects the host.
fn ended(entry: &Entry, record: Option<&Record>) -> Planned {
    let message = "its snapshot stays in the repository".to_owned();
    Planned {
        journal: record.map_or(JournalChange::Keep, |r| {
            JournalChange::Forget(r.key.clone())
        }),
        ..report(status(
            entry,
            EntryState::Gone,
            Some(Reason::Retained),
            message,
        ))
    }
}

/// Returns the status of a backup with a result.
fn done(entry: &Entry, result: &HostBackup) -> EntryStatus {
    let message = result.message.clone();
    let status = match (&result.snapshot_id, &result.reason) {
        (Some(_), None) => status(entry, EntryState::Ready, None, message),
        (_, Some(reason)) => EntryStatus {
            reason: Some(reason.clone()),
            ..failed(entry, Reason::Internal, message)
        },
        (None, None) => failed(entry, Reason::Internal, message),
    };
    let detail = BackupDetail {
        running: false,
        result: Some(result.clone()),
    };
    EntryStatus {
        id: result.snapshot_id.clone(),
        detail: Some(detail.fields()),
        ..status
    }
}

#[cfg(test)]
mod tests;
