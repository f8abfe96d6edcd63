//! The limit of a HostAssignment's status.

use std::collections::BTreeSet;

use dockfleet_crds::assignment::MAX_STATUSES;
use dockfleet_crds::{Entry, EntryStatus};

/// Returns as many statuses as a HostAssignment has room for. The statuses of its entries take precedence over
/// those of journal records without an entry; the DockerHost has the number of those.
pub(crate) fn limited(entries: &[Entry], statuses: &[EntryStatus]) -> Vec<EntryStatus> {
    let assigned: BTreeSet<&str> = entries.iter().map(|e| e.uid.as_str()).collect();
    let of_entry = |s: &&EntryStatus| assigned.contains(s.uid.as_str());
    let mut room = MAX_STATUSES.saturating_sub(statuses.iter().filter(of_entry).count());
    let fits = |s: &&EntryStatus| {
        let fits = of_entry(s) || room > 0;
        room -= usize::from(fits && !of_entry(s));
        fits
    };
    let first = statuses.iter().filter(fits);
    first.take(MAX_STATUSES).cloned().collect()
}

#[cfg(test)]
mod tests {
    use dockfleet_crds::assignment::MAX_STATUSES;
    use dockfleet_crds::{Entry, EntryStatus};

    use super::limited;

    fn status(uid: String) -> EntryStatus {
        EntryStatus {
            uid,
            ..EntryStatus::default()
        }
    }

    #[test]
    fn a_report_never_has_more_statuses_than_the_limit() {
        let uids = |letter: char, count: usize| (0..count).map(move |i| format!("{letter}{i:03}"));
        let entry = |uid| Entry {
            uid,
            ..Entry::default()
        };
        let entries: Vec<Entry> = uids('m', 256).map(entry).collect();
        // In the order of UIDs, records without an entry come before and after the entries.
        let all = uids('a', 300).chain(uids('m', 256)).chain(uids('z', 300));
        let statuses: Vec<EntryStatus> = all.map(status).collect();
        let reported = limited(&entries, &statuses);
        assert_eq!(reported.len(), MAX_STATUSES);
        let of_entries = reported.iter().filter(|s| s.uid.starts_with('m'));
        assert_eq!(of_entries.count(), 256);
        assert!(reported.is_sorted_by(|a, b| a.uid < b.uid));
    }
}
