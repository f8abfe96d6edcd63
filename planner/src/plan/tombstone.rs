//! Plans a tombstone.

use dockfleet_crds::policy::DeletionPolicy;
use dockfleet_crds::{Entry, EntryState, EntryStatus, Reason};

use super::world::World;
use super::{JournalChange, Planned, pending, report, status};
use crate::kinds::Object;
use crate::record::{Record, Stage};

/// Plans the tombstone. It names the resource and, if the agent has reported one, the Docker identity. Only
/// an object that matches both is removed.
pub(super) fn plan(
    entry: &Entry,
    policy: DeletionPolicy,
    named: &[&Object],
    world: &World<'_>,
) -> Planned {
    let record = world.record(entry);
    let Some(object) = world.own(entry, named) else {
        return already_removed(entry, named, record, world);
    };
    let id = object.id();
    if record.is_some_and(|r| r.stage == Stage::Retained) {
        return report(gone(entry, Reason::Retained, kept(entry, object)));
    }
    let at = |stage| match record {
        Some(r) => Record {
            id: Some(object.id()),
            ..r.at(stage)
        },
        None => Record {
            driver: Some(object.driver().to_owned()),
            ..Record::new(entry, object.name(), stage, Some(object.id()))
        },
    };
    if policy == DeletionPolicy::Retain {
        return Planned {
            actions: Vec::new(),
            journal: JournalChange::put(at(Stage::Retained), record),
            status: gone(entry, Reason::Retained, kept(entry, object)),
            examine: None,
        };
    }
    // The object was recreated since the last report, or is known by its label only, because the journal was
    // lost: the controller writes the tombstone again with this identity.
    let unnamed = match &entry.id {
        Some(named) => *named != id,
        None => record.is_none(),
    };
    if unnamed {
        let named = entry.id.as_deref().unwrap_or("no identity");
        let message = format!("the tombstone names {named}, but the host has {id}");
        let status = pending(entry, Reason::Progressing, message);
        return report(EntryStatus {
            id: Some(id),
            ..status
        });
    }
    Planned {
        actions: vec![object.remove()],
        journal: JournalChange::put(at(Stage::Removing), record),
        status: EntryStatus {
            id: Some(id),
            ..pending(entry, Reason::Progressing, "to be removed".to_owned())
        },
        examine: None,
    }
}

fn already_removed(
    entry: &Entry,
    named: &[&Object],
    record: Option<&Record>,
    world: &World<'_>,
) -> Planned {
    let kind = entry.kind.object();
    let status = match named.first() {
        None => gone(entry, Reason::Removed, String::new()),
        Some(other) => {
            let owner = world.journal_owner(entry, other).map_or_else(
                || other.owner(),
                |r| {
                    format!(
                        "Dockfleet resource {}/{} (uid {})",
                        r.namespace, r.name, r.key.uid
                    )
                },
            );
            let name = other.name();
            let message = format!(
                "{kind} {name} does not belong to this resource and stays on the host; it belongs to \
                 {owner}"
            );
            gone(entry, Reason::Retained, message)
        }
    };
    let journal = match record {
        Some(record) => JournalChange::Forget(record.key.clone()),
        None => JournalChange::Keep,
    };
    Planned {
        actions: Vec::new(),
        journal,
        status,
        examine: None,
    }
}

fn gone(entry: &Entry, reason: Reason, message: String) -> EntryStatus {
    status(entry, EntryState::Gone, Some(reason), message)
}

fn kept(entry: &Entry, object: &Object) -> String {
    format!(
        "{} {} stays on the host",
        entry.kind.object(),
        object.name()
    )
}
