//! What was removed from an engine, with an event of the engine or without one.
//!
//! An engine from 29 on may be silent about a removal when the client that asked for it has gone in the
//! meantime, and an agent that is killed has. So what is gone counts as removed too.

use std::collections::BTreeMap;

use crate::engine_events::Happened;
use crate::facts::Objects;

/// An object that was removed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Removal {
    /// Kind and name, such as `network front`.
    pub(crate) object: String,
    /// The engine's identity; of a volume that is its name.
    pub(crate) id: String,
}

/// The removals since the scenario's change.
pub(crate) struct Removals {
    /// In their order, as far as it is known: those without an event come when they are found out.
    all: Vec<Removal>,
    /// How often each object was gone from one look to the next.
    gone: BTreeMap<Removal, usize>,
    /// The identities of the last look, by object.
    ids: BTreeMap<String, String>,
}

impl Removals {
    /// Begins with what the engine has.
    pub(crate) fn since(objects: &Objects) -> Self {
        Self {
            all: Vec::new(),
            gone: BTreeMap::new(),
            ids: objects.ids.clone(),
        }
    }

    /// Adds what was removed since the last look. The events are all those since the change.
    pub(crate) fn look(&mut self, objects: &Objects, events: &[Happened]) {
        for (object, id) in &self.ids {
            if objects.ids.get(object) != Some(id) {
                *self.gone.entry(removal(object, id)).or_default() += 1;
            }
        }
        self.ids.clone_from(&objects.ids);
        let mut destroyed = BTreeMap::new();
        for event in events.iter().filter(|e| e.action == "destroy") {
            let removal = Removal {
                object: event.object.clone(),
                id: event.id.clone(),
            };
            let times: &mut usize = destroyed.entry(removal.clone()).or_default();
            *times += 1;
            if *times > self.times(&removal) {
                self.all.push(removal);
            }
        }
        for (removal, times) in self.gone.clone() {
            for _ in self.times(&removal)..times {
                self.all.push(removal.clone());
            }
        }
    }

    /// Gives every removal.
    pub(crate) fn all(&self) -> &[Removal] {
        &self.all
    }

    fn times(&self, removal: &Removal) -> usize {
        self.all.iter().filter(|r| *r == removal).count()
    }
}

/// Gives the removal of an object that the agent knew by this identity.
fn removal(object: &str, id: &str) -> Removal {
    Removal {
        object: object.to_owned(),
        id: engine_id(object, id),
    }
}

/// Gives what the engine calls an object that the agent knows by an identity: a volume is known by its
/// name.
pub(crate) fn engine_id(object: &str, id: &str) -> String {
    object.strip_prefix("volume ").unwrap_or(id).to_owned()
}
