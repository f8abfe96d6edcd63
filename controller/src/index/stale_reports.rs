//! Reports from before an entry came back to what it was: an edit that is taken back gives the entry
//! the revision that its agent reported on earlier, and the agent may be at the edit still.

use dockfleet_crds::HostAssignment;

use super::HostState;

impl HostState {
    /// Makes a new reading of the host's assignment say what its agent said since, and not before,
    /// each entry became what it is: an earlier word on the same revision speaks of none.
    ///
    /// What a spec was between two readings is not known where it was not read in between. Then
    /// nothing counts that was said before the later one.
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
