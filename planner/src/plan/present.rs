//! Plans an entry with the intent `Present`.

mod credentials;
mod foreign;

use dockfleet_crds::policy::{DriftPolicy, ManagementPolicy};
use dockfleet_crds::{Entry, EntryStatus, FieldDiff, Reason, labels};
use serde_json::Value;
use sha2::{Digest, Sha256};

use self::credentials::EntryCredentials;
use super::world::World;
use super::{JournalChange, Planned, bounded, drifted, failed, in_words, pending, ready, report};
use crate::desired::{Behaviour, hex};
use crate::examination::{Examination, Occasion};
use crate::kinds::{Action, Creator, Desired, Object, Update};
use crate::record::{Record, RecordKey, Stage};

/// One entry with everything that is known about it.
struct Case<'a> {
    entry: &'a Entry,
    desired: &'a Desired,
    policy: Behaviour,
    record: Option<&'a Record>,
    credentials: EntryCredentials<'a>,
    world: &'a World<'a>,
}

/// The state of an entry's object on the engine.
enum Standing<'a> {
    Absent,
    Ours(&'a Object),
    /// Perhaps created for the entry.
    Unconfirmed(&'a Object),
    Foreign(&'a Object),
    /// Only an attempt that has failed.
    Failed(&'a Object, &'a str),
    /// Several networks of one name, which engines before 25.0 allow.
    Ambiguous(Vec<String>),
}

/// Plans the entry.
pub(super) fn plan(
    entry: &Entry,
    desired: &Desired,
    named: &[&Object],
    world: &World<'_>,
) -> Planned {
    let policy = desired.policy();
    let case = Case {
        entry,
        desired,
        policy,
        record: world.record(entry),
        credentials: EntryCredentials::of(entry, desired, world.context.store),
        world,
    };
    if let Some(renamed) = case.renamed() {
        return renamed;
    }
    if policy.management == ManagementPolicy::Manage
        && let Some(other) = world.rival(entry, desired.name())
    {
        return report(case.taken(other));
    }
    match case.standing(named) {
        Standing::Absent => case.absent(),
        Standing::Ours(object) => case.ours(object),
        Standing::Unconfirmed(object) => case.unconfirmed(object),
        Standing::Foreign(object) => case.foreign(object),
        Standing::Failed(object, why) => case.failed_attempt(object, why),
        Standing::Ambiguous(ids) => case.ambiguous(&ids),
    }
}

impl Case<'_> {
    fn standing<'o>(&self, named: &[&'o Object]) -> Standing<'o> {
        match named {
            [] => Standing::Absent,
            [only] => match (only.failed_attempt(), self.world.own(self.entry, named)) {
                (Some(why), _) => Standing::Failed(only, why),
                (None, Some(object)) => Standing::Ours(object),
                (None, None) if self.is_confirmed(only) => Standing::Ours(only),
                (None, None) if self.may_have_created(only) => Standing::Unconfirmed(only),
                (None, None) => Standing::Foreign(only),
            },
            several => Standing::Ambiguous(several.iter().map(|o| o.id()).collect()),
        }
    }

    /// Whether an object without an owner is known to be the entry's, although neither the journal nor a label
    /// has its identity.
    fn is_confirmed(&self, object: &Object) -> bool {
        let is_free = self.world.journal_owner(self.entry, object).is_none();
        let attempted = self
            .record
            .is_some_and(|r| r.stage == Stage::Creating && r.progress == self.attempt());
        let created = attempted && self.desired.has_created(object);
        let given = self.desired.is_given(object);
        is_free && (created || given || self.entry.id == Some(object.id()))
    }

    /// Returns the attempt to create the object as the journal has it.
    fn attempt(&self) -> Option<Value> {
        self.desired.attempt().map(Value::from)
    }

    /// Whether an object may be the result of an attempt that the journal has, which somebody else has to
    /// confirm.
    fn may_have_created(&self, object: &Object) -> bool {
        let attempted = self.record.is_some_and(|r| r.stage == Stage::Creating);
        attempted && self.desired.is_confirmed_by_others() && !object.is_labelled()
    }

    fn unconfirmed(&self, object: &Object) -> Planned {
        let message = "created; waits until a manager of the swarm confirms it".to_owned();
        let status = pending(self.entry, Reason::Progressing, message);
        let id = Some(object.id());
        report(EntryStatus { id, ..status })
    }

    /// Ends an attempt of this entry that has failed, and makes another one. What looks like one may also be an object
    /// that was there and is broken, so nothing else is touched.
    fn failed_attempt(&self, object: &Object, why: &str) -> Planned {
        let attempted = self.record.is_some_and(|r| r.stage == Stage::Creating);
        if !attempted {
            return report(pending(
                self.entry,
                Reason::EngineUnreachable,
                why.to_owned(),
            ));
        }
        let mut planned = self.create("the last attempt failed");
        if !planned.actions.is_empty() {
            planned.actions.insert(0, object.remove());
        }
        planned
    }

    /// An engine cannot rename an object, and an API server refuses to change the name in a resource. In
    /// files it can change between two runs.
    fn renamed(&self) -> Option<Planned> {
        let record = self.record.filter(|r| r.stage != Stage::Retained)?;
        (record.object != self.desired.name()).then(|| {
            report(failed(
                self.entry,
                Reason::Invalid,
                format!(
                    "the name on the host cannot change from {} to {}; delete the resource first",
                    record.object,
                    self.desired.name()
                ),
            ))
        })
    }

    fn absent(&self) -> Planned {
        if let Creator::AnotherHost { id } = self.desired.creator() {
            let waits = || "waits until a manager of the swarm has created it".to_owned();
            let status = id.map_or_else(
                || pending(self.entry, Reason::Progressing, waits()),
                |id| ready(self.entry, id.to_owned()),
            );
            return report(status);
        }
        if self.policy.management == ManagementPolicy::Observe {
            return self.missing("it does not exist, and managementPolicy is Observe");
        }
        match self.record.and_then(|r| r.stage.known()) {
            None | Some(Stage::Creating | Stage::Replacing | Stage::Removing | Stage::Retained) => {
                self.create("does not exist yet")
            }
            Some(Stage::Owned) => {
                if self.data_is_lost() {
                    return report(failed(
                        self.entry,
                        Reason::Lost,
                        format!(
                            "{} {} was ready and is gone with its data; restore it, or set \
                             lossPolicy: Recreate to start with an empty one",
                            self.entry.kind.object(),
                            self.desired.name()
                        ),
                    ));
                }
                match self.policy.drift {
                    DriftPolicy::Observe => {
                        self.missing("it was removed by hand, and driftPolicy is Observe")
                    }
                    DriftPolicy::Enforce => self.create("removed by hand"),
                }
            }
        }
    }

    fn missing(&self, message: &str) -> Planned {
        let object = FieldDiff {
            field: self.entry.kind.object().to_owned(),
            want: self.desired.name().to_owned(),
            have: String::new(),
        };
        report(drifted(
            self.entry,
            Reason::Missing,
            message.to_owned(),
            None,
            vec![object],
        ))
    }

    /// Invariant 2: an object that stored data is not silently replaced by an empty one.
    fn data_is_lost(&self) -> bool {
        self.record.is_some_and(|r| r.was_ready) && self.desired.stores_data()
    }

    fn create(&self, why: &'static str) -> Planned {
        if self.policy.suspend {
            return self.suspended("to be created");
        }
        if let Some(message) = self.desired.missing(self.world.context.api) {
            return report(failed(self.entry, Reason::Unsupported, message));
        }
        if let Some(waits) = self.desired.waits_for() {
            let status = pending(self.entry, Reason::Progressing, waits.to_owned());
            return report(status);
        }
        if let Some(waits) = self.lacks_credentials() {
            return report(waits);
        }
        let id = self.desired.identity_label().map(|_| self.new_identity());
        let record = Record {
            driver: Some(self.desired.driver().to_owned()),
            progress: self.attempt(),
            ..Record::new(self.entry, self.desired.name(), Stage::Creating, id.clone())
        };
        Planned {
            actions: vec![self.labelled(id).create()],
            journal: JournalChange::put(record, self.record),
            status: pending(
                self.entry,
                Reason::Progressing,
                format!("to be created: {why}"),
            ),
            examine: None,
        }
    }

    /// An intent that the journal already has keeps its identity, so that a repetition is the same.
    fn new_identity(&self) -> String {
        self.record
            .filter(|r| r.stage == Stage::Creating)
            .and_then(|r| r.id.clone())
            .unwrap_or_else(|| {
                let mut hash = Sha256::new();
                hash.update(self.world.context.nonce);
                hash.update(&self.entry.uid);
                hex(&hash.finalize(), 16)
            })
    }

    /// Returns the object to create, with the labels of its owner.
    fn labelled(&self, id: Option<String>) -> Desired {
        let entry = self.entry;
        let mut desired = self.desired.clone();
        let identity = desired.identity_label().zip(id);
        let map = desired.labels_mut();
        let mut label = |key: &str, value: &str| map.insert(key.to_owned(), value.to_owned());
        label(labels::MANAGED, "true");
        label(labels::NAMESPACE, &entry.namespace);
        label(labels::NAME, &entry.name);
        label(labels::UID, &entry.uid);
        label(labels::REVISION, &entry.revision);
        if let Some((key, id)) = identity {
            label(key, &id);
        }
        desired
    }

    fn ours(&self, object: &Object) -> Planned {
        let diff = self.diff(object);
        if self.policy.management == ManagementPolicy::Observe {
            return report(self.compared(object, diff));
        }
        // The record of the resource that released it is no longer needed.
        let before = self.world.retained(self.entry, object);
        let record = self.owned(object, &diff);
        self.keep(object, diff, record, before.map(|r| r.key.clone()))
    }

    /// Plans an object that the entry owns, or will own once its record is written.
    fn keep(
        &self,
        object: &Object,
        diff: Vec<FieldDiff>,
        record: Record,
        instead_of: Option<RecordKey>,
    ) -> Planned {
        let (actions, record, status) = if diff.is_empty() {
            let status = self.unknown_credentials(object);
            let status = status.or_else(|| self.not_examined(object));
            let status = status.unwrap_or_else(|| self.ready(object));
            (Vec::new(), record, status)
        } else if let Some((actions, status)) = self.update(object, &diff) {
            (actions, record, status)
        } else if !self.may_replace(object, &diff) {
            (Vec::new(), record, self.left_different(object, diff))
        } else if let Some(message) = self.desired.missing(self.world.context.api) {
            let status = failed(self.entry, Reason::Unsupported, message);
            (
                Vec::new(),
                record,
                EntryStatus {
                    id: Some(object.id()),
                    ..status
                },
            )
        } else if let Some(status) = self.lacks_credentials() {
            // It could not be created again.
            let id = Some(object.id());
            (Vec::new(), record, EntryStatus { id, ..status })
        } else {
            let id = self.desired.identity_label().map(|_| self.new_identity());
            let actions = vec![object.remove(), self.labelled(id).create()];
            let message = format!("to be replaced: {}", in_words(&diff));
            let status = pending(self.entry, Reason::Progressing, message);
            let status = EntryStatus {
                id: Some(object.id()),
                ..status
            };
            (actions, record.at(Stage::Replacing), status)
        };
        let record = record.after(self.record);
        let journal = if instead_of.is_none() && self.record == Some(&record) {
            JournalChange::Keep
        } else {
            JournalChange::Put { record, instead_of }
        };
        Planned {
            actions,
            journal,
            status,
            examine: self.examination(object),
        }
    }

    /// Returns the next examination of an object. Nothing is done on the host while suspend is true.
    fn examination(&self, object: &Object) -> Option<Examination> {
        let least = self.desired.examine_on(object)?;
        (!self.policy.suspend).then(|| Examination {
            least,
            name: object.name().to_owned(),
            id: object.id(),
        })
    }

    /// Returns the status of an object of which a part is not known before it is examined.
    fn not_examined(&self, object: &Object) -> Option<EntryStatus> {
        if self.desired.examine_on(object) != Some(Occasion::None) {
            return None;
        }
        let (reason, why) = if self.policy.suspend {
            (Reason::Suspended, "; suspend is true")
        } else {
            (Reason::Progressing, "")
        };
        let message = format!("its owner and permissions are not known yet{why}");
        let id = Some(object.id());
        Some(EntryStatus {
            id,
            ..pending(self.entry, reason, message)
        })
    }

    /// Returns the status of an object that matches.
    fn ready(&self, object: &Object) -> EntryStatus {
        EntryStatus {
            message: bounded(self.desired.note(object).unwrap_or_default()),
            ..ready(self.entry, object.id())
        }
    }

    /// Returns the change in place of an object that differs, if its kind has one, and the status before it.
    fn update(&self, object: &Object, diff: &[FieldDiff]) -> Option<(Vec<Action>, EntryStatus)> {
        if self.policy.suspend || self.policy.drift == DriftPolicy::Observe {
            return None;
        }
        let (actions, reason, message) = match self.desired.update(object) {
            Update::Impossible => return None,
            Update::Waits(reason, why) => (Vec::new(), reason, why),
            Update::Change(action) => {
                let message = format!("to be changed: {}", in_words(diff));
                (vec![action], Reason::Progressing, message)
            }
        };
        let status = pending(self.entry, reason, message);
        let id = Some(object.id());
        Some((actions, EntryStatus { id, ..status }))
    }

    fn owned(&self, object: &Object, diff: &[FieldDiff]) -> Record {
        let was_there = self.record.is_some_and(|r| r.adopted);
        Record {
            adopted: was_there && !object.created_for(&self.entry.uid),
            // A volume that differs may store data too.
            was_ready: true,
            driver: Some(object.driver().to_owned()),
            credentials: self.credentials_of(object, diff),
            examined: object.examined(),
            ..Record::new(self.entry, object.name(), Stage::Owned, Some(object.id()))
        }
    }

    /// Whether the object may be replaced. A network that was created from the same revision and still
    /// differs would differ again, because an engine cannot edit a network: without this check it would be
    /// replaced again and again. In files, a revision does not change with credentials.
    fn may_replace(&self, object: &Object, diff: &[FieldDiff]) -> bool {
        let made_from_this = object.labels().get(labels::REVISION) == Some(&self.entry.revision)
            && !self.desired.has_other_credentials(diff);
        self.desired.never_replaced(object).is_none()
            && self.desired.creator() == Creator::ThisHost
            && self.policy.update_when_unused
            && self.policy.drift == DriftPolicy::Enforce
            && !self.policy.suspend
            && !made_from_this
    }

    fn left_different(&self, object: &Object, diff: Vec<FieldDiff>) -> EntryStatus {
        let why = if self.policy.suspend {
            "suspend is true"
        } else if self.policy.drift == DriftPolicy::Observe {
            "driftPolicy is Observe"
        } else if !self.policy.update_when_unused {
            "updatePolicy is Never"
        } else {
            let never = self.desired.never_replaced(object);
            never.unwrap_or("the engine created it like this from the same revision")
        };
        if let Some(message) = self.desired.explain(&diff) {
            let id = Some(object.id());
            return drifted(self.entry, Reason::Drifted, message, id, diff);
        }
        let reason = if self.policy.suspend {
            Reason::Suspended
        } else {
            Reason::Drifted
        };
        let message = format!("left as it is, {why}: {}", in_words(&diff));
        drifted(self.entry, reason, message, Some(object.id()), diff)
    }

    fn suspended(&self, what: &str) -> Planned {
        report(pending(
            self.entry,
            Reason::Suspended,
            format!("{what}; suspend is true"),
        ))
    }

    fn compared(&self, object: &Object, diff: Vec<FieldDiff>) -> EntryStatus {
        if diff.is_empty() {
            let unknown = self.unknown_credentials(object);
            return unknown.unwrap_or_else(|| ready(self.entry, object.id()));
        }
        let message = format!("managementPolicy is Observe: {}", in_words(&diff));
        drifted(
            self.entry,
            Reason::Drifted,
            message,
            Some(object.id()),
            diff,
        )
    }

    fn diff(&self, object: &Object) -> Vec<FieldDiff> {
        self.desired.diff(object, self.credentials.available())
    }
}
