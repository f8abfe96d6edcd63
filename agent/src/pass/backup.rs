//! A pass over VolumeBackups: plan, write the journal, and say which backups run.

use std::sync::Arc;

use dockfleet_crds::Reason;
use dockfleet_planner::plan::{BackupContext, JournalChange, abandoned, backups};
use dockfleet_vitals::chain;

use super::{Attempts, PassReport, PassRun};
use crate::backup::{BackupJob, WantedBackups};
use crate::journal::Ledger;

impl PassRun<'_> {
    /// Plans the backups. They run beside the passes.
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
        let wanted: WantedBackups = planned
            .iter()
            .filter_map(|p| {
                let want = p.runs.as_deref()?.clone();
                let entry = entry(&p.planned.status.uid)?;
                Some((entry.uid.clone(), BackupJob::new(entry, want)))
            })
            .collect();
        report.backups = Some(wanted);
        let planned = planned.into_iter().map(|p| p.planned).collect();
        report.finish(planned, &Attempts::default(), &ledger.records_of(self.kind));
        report
    }
}
