//! Finds drift in a plan: an object that was as its entry describes and no longer is.

use dockfleet_crds::{Entry, EntryState, EntryStatus, Intent, Reason};
use dockfleet_planner::action::Operation;
use dockfleet_planner::plan::{Planned, Records};
use dockfleet_planner::record::{RecordKey, Stage};

/// Whether somebody changed or removed the object of an entry. A plan alone does not show whether the engine
/// or the entry changed, so `before` is the status after the last pass.
pub(crate) fn is_drift(
    entry: &Entry,
    planned: &Planned,
    records: &Records,
    before: Option<&EntryStatus>,
) -> bool {
    let owned = records
        .get(&RecordKey::object(&entry.uid))
        .is_some_and(|r| r.stage == Stage::Owned);
    if entry.intent != Intent::Present || !owned {
        return false;
    }
    let missing = planned.operation() == Some(Operation::Create)
        || [Reason::Missing, Reason::Lost]
            .iter()
            .any(|r| planned.status.is_because(*r));
    let different = planned.operation() == Some(Operation::Replace)
        || planned.status.state == EntryState::Drifted;
    // An object that was different before counts until it is repaired.
    let existed = before.is_some_and(|b| {
        let existed = matches!(
            b.state.known(),
            Some(EntryState::Ready | EntryState::Drifted)
        );
        b.revision == entry.revision && existed
    });
    missing || (different && existed)
}

#[cfg(test)]
mod tests {
    use dockfleet_crds::Open;
    use dockfleet_planner::plan::JournalChange;
    use dockfleet_planner::record::Record;

    use super::*;

    fn entry() -> Entry {
        Entry {
            uid: "u".into(),
            revision: "r1".into(),
            ..Entry::default()
        }
    }

    fn planned(state: EntryState, reason: Option<Reason>) -> Planned {
        Planned {
            actions: Vec::new(),
            journal: JournalChange::Keep,
            status: EntryStatus {
                uid: "u".into(),
                state: state.into(),
                reason: reason.map(Open::from),
                ..EntryStatus::default()
            },
            examine: None,
        }
    }

    fn records(stage: Stage) -> Records {
        let record = Record::new(&entry(), "object", stage, None);
        Records::from([(RecordKey::object("u"), record)])
    }

    fn before(revision: &str) -> EntryStatus {
        EntryStatus {
            revision: revision.into(),
            state: EntryState::Ready.into(),
            ..EntryStatus::default()
        }
    }

    #[test]
    fn an_object_removed_by_hand_is_drift_even_after_a_restart() {
        let missing = planned(EntryState::Drifted, Some(Reason::Missing));
        assert!(is_drift(&entry(), &missing, &records(Stage::Owned), None));
        let lost = planned(EntryState::Failed, Some(Reason::Lost));
        assert!(is_drift(&entry(), &lost, &records(Stage::Owned), None));
        // It never existed.
        assert!(!is_drift(
            &entry(),
            &missing,
            &records(Stage::Creating),
            None
        ));
        assert!(!is_drift(&entry(), &missing, &Records::new(), None));
    }

    #[test]
    fn a_difference_is_drift_where_the_entry_is_the_same_as_before() {
        let other = planned(EntryState::Drifted, Some(Reason::Drifted));
        let all = records(Stage::Owned);
        assert!(is_drift(&entry(), &other, &all, Some(&before("r1"))));
        assert!(!is_drift(&entry(), &other, &all, Some(&before("r0"))));
        assert!(!is_drift(&entry(), &other, &all, None));
    }

    #[test]
    fn a_ready_object_and_a_tombstone_are_not_drift() {
        let all = records(Stage::Owned);
        let ready = planned(EntryState::Ready, None);
        assert!(!is_drift(&entry(), &ready, &all, Some(&before("r1"))));
        let tombstone = Entry {
            intent: Intent::Absent.into(),
            ..entry()
        };
        let missing = planned(EntryState::Gone, Some(Reason::Missing));
        assert!(!is_drift(&tombstone, &missing, &all, None));
    }
}
