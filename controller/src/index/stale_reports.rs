//! Stale reports: an edit that is reverted gives an entry a revision on which its agent has
//! reported before, while the agent may still work on the edit.

use dockfleet_crds::HostAssignment;

use super::HostState;

impl HostState {
    /// Removes the stale reports from a new version of the host's assignment. A report that is
    /// older than the last change of its entry counts for no revision.
    ///
    /// If generations between two versions were not seen, an entry may have changed in between.
    /// Then no report from before the later version counts.
    pub(super) fn discard_stale_reports(&mut self, new: &mut HostAssignment) {
        let before = self.assignment.as_ref();
        if before.is_some_and(|b| b.metadata.uid != new.metadata.uid) {
            self.stale_reports.clear();
        }
        let generation = new.metadata.generation.unwrap_or_default();
        let Some(status) = &mut new.status else {
            return;
        };
        let observed = status.observed_generation.unwrap_or_default();
        self.stale_reports.retain(|_, since| observed < *since);
        let known = before.and_then(|b| b.metadata.generation);
        if observed < generation && known != Some(generation) {
            let next = known.is_some_and(|known| known + 1 == generation);
            for entry in &new.spec.entries {
                let same = self.entry(&entry.uid).is_some_and(|before| {
                    (&before.revision, &before.intent) == (&entry.revision, &entry.intent)
                });
                if !(next && same) {
                    self.stale_reports.insert(entry.uid.clone(), generation);
                }
            }
        }
        for report in &mut status.entries {
            if self.stale_reports.contains_key(&report.uid) {
                report.revision.clear();
            }
        }
    }
}
