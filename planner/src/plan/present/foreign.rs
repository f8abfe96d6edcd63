//! Plans an entry whose object has another owner.

use dockfleet_crds::assignment::MAX_DIFF;
use dockfleet_crds::policy::{AdoptionPolicy, ManagementPolicy};
use dockfleet_crds::{Entry, EntryStatus, FieldDiff, Intent, Reason};

use super::Case;
use crate::kinds::Object;
use crate::plan::world::{Owner, is_successor};
use crate::plan::{Planned, failed, in_words, pending, report, unsupported};
use crate::record::{Record, Stage};

impl Case<'_> {
    pub(super) fn foreign(&self, object: &Object) -> Planned {
        let diff = self.diff(object);
        if self.policy.management == ManagementPolicy::Observe {
            return report(self.compared(object, diff));
        }
        let before = match self.world.owner(self.entry, object) {
            Some(Owner::Entry(other)) => return report(self.owned_by_entry(object, other)),
            Some(Owner::Record(record)) if !record.is_understood() => {
                let message = format!(
                    "{} {} is in a journal record of {}/{} that this agent does not understand; \
                     upgrade the agent",
                    self.entry.kind.object(),
                    object.name(),
                    record.namespace,
                    record.name
                );
                return report(unsupported(self.entry, message));
            }
            Some(Owner::Record(record)) => Some(record),
            None => self.world.retained(self.entry, object),
        };
        // Who adopts a volume must make sure that it has the same data. A policy that was set before the loss
        // does not mean that.
        if self.record.is_some_and(|r| r.stage == Stage::Owned) && self.data_is_lost() {
            return report(self.lost_to(object));
        }
        // Created by or given to a resource of the same name that no longer exists. It was released since, or
        // its resource was deleted together with its namespace, its CRD or its host before the agent received
        // a tombstone. Resources of another cluster never get here: an agent obeys one hub.
        let again = before.is_some_and(|r| is_successor(self.entry, r));
        let matches = diff.iter().all(|d| self.desired.is_set_in_place(&d.field));
        let may_adopt = match self.policy.adoption {
            AdoptionPolicy::Never => again && matches,
            AdoptionPolicy::IfMatching => matches,
            AdoptionPolicy::Force => true,
        };
        if may_adopt && let Some(waits) = self.lacks_credentials() {
            // Without the credentials it is not known whether it matches.
            return report(waits);
        }
        if !may_adopt {
            return report(self.conflict(object, diff));
        }
        if self.policy.suspend {
            return self.suspended("to be adopted");
        }
        let record = Record {
            adopted: before.is_none_or(|r| r.adopted),
            ..self.owned(object, &diff)
        };
        self.keep(object, diff, record, before.map(|r| r.key.clone()))
    }

    fn owned_by_entry(&self, object: &Object, other: &Entry) -> EntryStatus {
        let (kind, name) = (self.entry.kind.object(), object.name());
        let owner = format!("{}/{}", other.namespace, other.name);
        match other.intent.known() {
            Some(Intent::Absent) => pending(
                self.entry,
                Reason::Progressing,
                format!("waits until {owner} has released {kind} {name}"),
            ),
            Some(Intent::Present) | None => self.taken(other),
        }
    }

    pub(super) fn taken(&self, other: &Entry) -> EntryStatus {
        failed(
            self.entry,
            Reason::Conflict,
            format!(
                "{} {} belongs to {}/{}",
                self.entry.kind.object(),
                self.desired.name(),
                other.namespace,
                other.name
            ),
        )
    }

    fn lost_to(&self, object: &Object) -> EntryStatus {
        failed(
            self.entry,
            Reason::Lost,
            format!(
                "{} {} was ready and is gone with its data; another one has its name and \
                 belongs to {}; remove that one, or set lossPolicy: Recreate and an \
                 adoptionPolicy to use it",
                self.entry.kind.object(),
                object.name(),
                object.owner()
            ),
        )
    }

    fn conflict(&self, object: &Object, mut diff: Vec<FieldDiff>) -> EntryStatus {
        let kind = self.entry.kind.object();
        let (name, owner) = (object.name(), object.owner());
        let usual = || match self.policy.adoption {
            AdoptionPolicy::IfMatching => format!(
                "{kind} {name} exists, belongs to {owner}, and differs, so adoptionPolicy \
                 IfMatching does not adopt it: {}",
                in_words(&diff)
            ),
            AdoptionPolicy::Never | AdoptionPolicy::Force => format!(
                "{kind} {name} exists and belongs to {owner}; remove or rename it, or set \
                 adoptionPolicy to take it over"
            ),
        };
        let message = self.desired.conflict().map_or_else(usual, str::to_owned);
        diff.truncate(MAX_DIFF);
        EntryStatus {
            diff,
            ..failed(self.entry, Reason::Conflict, message)
        }
    }

    pub(super) fn ambiguous(&self, ids: &[String]) -> Planned {
        let short: Vec<String> = ids.iter().map(|id| id.chars().take(12).collect()).collect();
        report(failed(
            self.entry,
            Reason::Conflict,
            format!(
                "the engine has {} {}s named {} ({}); a container that uses the name may get any \
                 of them; remove all but one",
                ids.len(),
                self.entry.kind.object(),
                self.desired.name(),
                short.join(", ")
            ),
        ))
    }
}
