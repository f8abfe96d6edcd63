//! All that a plan is made from, and who holds what.

use std::collections::BTreeMap;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::{Entry, Intent, labels};

use super::{PlanContext, Records};
use crate::desired;
use crate::kinds::Object;
use crate::record::{Record, RecordKey, Stage};

/// All that a plan is made from but the objects of the engine.
pub(super) struct World<'a> {
    entries: BTreeMap<&'a str, &'a Entry>,
    /// Which of the entries that ask for one object name has it.
    claims: BTreeMap<(Kind, &'a str), &'a Entry>,
    pub(super) records: &'a Records,
    pub(super) context: &'a PlanContext<'a>,
}

/// Who else an object belongs to.
#[derive(Clone, Copy)]
pub(super) enum Owner<'a> {
    /// An entry of this assignment.
    Entry(&'a Entry),
    /// A record that has no entry: its resource came back with another UID, or got lost.
    Record(&'a Record),
}

impl<'a> World<'a> {
    pub(super) fn new(
        entries: &'a [Entry],
        records: &'a Records,
        context: &'a PlanContext<'a>,
    ) -> Self {
        let mut claims: BTreeMap<(Kind, &str), &Entry> = BTreeMap::new();
        for entry in entries.iter().filter(|e| e.intent == Intent::Present) {
            let (Some(kind), Some(name)) = (entry.kind.known(), desired::object_name(entry)) else {
                continue;
            };
            let rank = |e: &Entry| {
                let has = records
                    .get(&RecordKey::object(&e.uid))
                    .is_some_and(|r| r.stage != Stage::Retained && r.object == name);
                (!has, e.uid.clone())
            };
            let claim = claims.entry((kind, name)).or_insert(entry);
            if rank(entry) < rank(claim) {
                *claim = entry;
            }
        }
        Self {
            entries: entries.iter().map(|e| (e.uid.as_str(), e)).collect(),
            claims,
            records,
            context,
        }
    }

    pub(super) fn record(&self, entry: &Entry) -> Option<&'a Record> {
        self.records.get(&RecordKey::object(&entry.uid))
    }

    /// Returns the entry that asks for the same object name and comes first. A controller lets one
    /// resource have a name, but engines before 25.0 would make two networks of it.
    pub(super) fn rival(&self, entry: &Entry, name: &str) -> Option<&'a Entry> {
        let first = *self.claims.get(&(entry.kind.known()?, name))?;
        (first.uid != entry.uid).then_some(first)
    }

    /// Returns the object that the journal says is the entry's, or that its own label says was made
    /// for it; the journal of who took it over since weighs more.
    pub(super) fn own<'o>(&self, entry: &Entry, named: &[&'o Object]) -> Option<&'o Object> {
        let is_owned = |o: &Object| self.journal_owner(entry, o).is_some();
        let journalled = |o: &Object| {
            self.record(entry).is_some_and(|r| {
                r.id.as_ref() == Some(&o.id()) && (r.stage != Stage::Retained || !is_owned(o))
            })
        };
        named
            .iter()
            .find(|o| journalled(o))
            .or_else(|| {
                named
                    .iter()
                    .find(|o| o.created_for(&entry.uid) && !is_owned(o))
            })
            .copied()
    }

    /// Returns who else the object belongs to: by the journal, or by its label as long as the
    /// resource in it has an entry that has not released it.
    pub(super) fn owner(&self, entry: &Entry, object: &Object) -> Option<Owner<'a>> {
        if let Some(record) = self.journal_owner(entry, object) {
            let owner = self.entries.get(record.key.uid.as_str());
            return Some(owner.map_or(Owner::Record(record), |e| Owner::Entry(e)));
        }
        let uid = object.labels().get(labels::UID)?;
        let other = *self.entries.get(uid.as_str())?;
        let released = other.intent == Intent::Absent
            && self
                .record(other)
                .is_some_and(|r| r.stage == Stage::Retained);
        (other.uid != entry.uid && other.kind == entry.kind && !released)
            .then_some(Owner::Entry(other))
    }

    /// Returns the record of who else has the object.
    pub(super) fn journal_owner(&self, entry: &Entry, object: &Object) -> Option<&'a Record> {
        let id = object.id();
        self.records.values().find(|r| {
            r.key.uid != entry.uid
                && r.kind == entry.kind
                && r.stage != Stage::Retained
                && r.id.as_ref() == Some(&id)
        })
    }

    /// Returns a record of this very object from when an earlier resource released it.
    pub(super) fn retained(&self, entry: &Entry, object: &Object) -> Option<&'a Record> {
        let id = object.id();
        let mut of_object = self.records.values().filter(|r| {
            r.key.uid != entry.uid
                && r.kind == entry.kind
                && r.stage == Stage::Retained
                && r.id.as_ref() == Some(&id)
        });
        let first = of_object.clone().next();
        of_object.find(|r| is_successor(entry, r)).or(first)
    }
}

/// Whether an entry is of a resource that was made again under the same name.
pub(super) fn is_successor(entry: &Entry, record: &Record) -> bool {
    record.namespace == entry.namespace && record.name == entry.name
}
