//! A pass over VolumeBackups or VolumeRestores: plan, write the journal, and say what runs.

use std::sync::Arc;

use dockfleet_crds::Reason;
use dockfleet_planner::plan::{BackupContext, DesiredJob, JournalChange, abandoned, backups};
use dockfleet_vitals::chain;

use super::{Attempts, PassReport, PassRun};
use crate::backup::{BackupJob, RestoreJob, WantedJobs};
use crate::journal::Ledger;

impl PassRun<'_> {
    /// Plans backups or restores. They run beside the passes.
    pub(super) async fn follow_backups(self, ledger: &Arc<Ledger>) -> PassReport {
        let mut report = PassReport::default();
        let records = ledger.records_of(self.kind);
        let paused = self.paused.map(|why| format!("the host is paused: {why}"));
        let context = BackupContext {
            held: paused.as_deref().map(|why| (Reason::Paused, why)),
            store: self.store,
            running: self.backups,
        };
        let planned = backups(self.entries, &records, &context);
        let changes = planned.iter().map(|p| p.planned.journal.clone());
        let mut changes: Vec<JournalChange> = changes
            .filter(|change| *change != JournalChange::Keep)
            .collect();
        let over = abandoned(self.entries, &records).into_iter();
        changes.extend(over.map(JournalChange::Forget));
        if let Err(err) = ledger.commit(changes, self.effects).await {
            tracing::error!(error = %chain(&err), "the journal cannot be written");
            report.journal_failure = Some(err);
        }
        let entry = |uid: &str| self.entries.iter().find(|e| e.uid == uid);
        let mut wanted = WantedJobs::default();
        for p in &planned {
            let (Some(runs), Some(entry)) = (&p.runs, entry(&p.planned.status.uid)) else {
                continue;
            };
            let uid = entry.uid.clone();
            match runs.clone() {
                DesiredJob::Backup(want) => {
                    wanted.backups.insert(uid, BackupJob::new(entry, *want));
                }
                DesiredJob::Restore(want) => {
                    wanted.restores.insert(uid, RestoreJob::new(entry, *want));
                }
            }
        }
        report.jobs = Some(wanted);
        let planned = planned.into_iter().map(|p| p.planned).collect();
        report.finish(planned, &Attempts::default(), &ledger.records_of(self.kind));
        report
    }
}
