//! The input of a plan, and who owns which object.

use std::collections::BTreeMap;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::{Entry, Intent, labels};

use super::{PlanContext, Records};
use crate::desired;
use crate::kinds::Object;
use crate::record::{Record, RecordKey, Stage};

/// The input of a plan without the objects of the engine.
pub(super) struct World<'a> {
    entries: BTreeMap<&'a str, &'a Entry>,
    /// For each object name, the entry that has it among those that ask for it.
    claims: BTreeMap<(Kind, &'a str), &'a Entry>,
    pub(super) records: &'a Records,
    pub(super) context: &'a PlanContext<'a>,
}

/// Another owner of an object.
#[derive(Clone, Copy)]
pub(super) enum Owner<'a> {
    /// An entry of this assignment.
    Entry(&'a Entry),
    /// A record without an entry: its resource was recreated with another UID, or its entry was lost.
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

    /// Returns the records of everything that the entry's resource has on the host.
    pub(super) fn records_of(&self, entry: &Entry) -> impl Iterator<Item = &'a Record> {
        let uid = entry.uid.clone();
        let from = self.records.range(RecordKey::object(&entry.uid)..);
        from.map(|(_, record)| record)
            .take_while(move |r| r.key.uid == uid)
    }

    /// Returns the entry that has the object name, if it is another one. A controller gives a name to one
    /// resource only, but engines before 25.0 would create two networks of the name.
    pub(super) fn rival(&self, entry: &Entry, name: &str) -> Option<&'a Entry> {
        let first = *self.claims.get(&(entry.kind.known()?, name))?;
        (first.uid != entry.uid).then_some(first)
    }

    /// Returns the object that the entry owns according to the journal, or according to the object's label. A
    /// journal record of another owner takes precedence over a label.
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

    /// Returns the other owner of an object: according to the journal, or according to its label as long as
    /// the resource there has an entry that has not released it.
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

    /// Returns the record of another resource that owns the object.
    pub(super) fn journal_owner(&self, entry: &Entry, object: &Object) -> Option<&'a Record> {
        let id = object.id();
        self.records.values().find(|r| {
            r.key.uid != entry.uid
                && r.kind == entry.kind
                && r.stage != Stage::Retained
                && r.id.as_ref() == Some(&id)
        })
    }

    /// Returns the record of an earlier resource that released this object.
    pub(super) fn retained(&self, entry: &Entry, object: &Object) -> Option<&'a Record> {
        let id = object.id();
        let mut of_object = self.records.values().filter(|r| {
            r.stage == Stage::Retained
                && r.key.uid != entry.uid
                && r.kind == entry.kind
                && r.id.as_ref() == Some(&id)
        });
        let first = of_object.clone().next();
        of_object.find(|r| is_successor(entry, r)).or(first)
    }
}

/// Whether the entry's resource was recreated under the name in a record.
pub(super) fn is_successor(entry: &Entry, record: &Record) -> bool {
    record.namespace == entry.namespace && record.name == entry.name
}
