//! Invariant 1, by what was removed from the engine and by what was durable in the journal when the
//! agent was killed.

use serde_json::Value;

use crate::facts::Objects;
use crate::removals::{Removal, engine_id};
use crate::scenario::REMOVABLE;

/// One permission to remove an object: the tombstone or the updatePolicy of the scenario.
struct Permission {
    object: &'static str,
    /// What the engine calls it.
    engine_id: String,
    /// What the journal calls it.
    id: String,
    /// The stage that the journal is in before it may go.
    stage: &'static str,
}

/// Every permission of a run.
pub(crate) struct Permissions(Vec<Permission>);

impl Permissions {
    /// Gives the permissions for the objects as they were before.
    pub(crate) fn of(before: &Objects) -> Self {
        let permission = |(object, stage): (&'static str, _)| {
            let id = before.ids.get(object)?.clone();
            Some(Permission {
                object,
                engine_id: engine_id(object, &id),
                id,
                stage,
            })
        };
        Self(REMOVABLE.into_iter().filter_map(permission).collect())
    }

    /// Gives every removal that nothing permitted.
    pub(crate) fn breaches(&self, removed: &[Removal]) -> Vec<String> {
        let removed = removed.iter();
        removed
            .filter(|r| self.permits(r).is_none())
            .map(|r| format!("{} ({}) was removed without a permission", r.object, r.id))
            .collect()
    }

    /// Gives every removal whose permission was not durable when the agent was killed.
    ///
    /// Right after a removal the journal is still in the stage that permits it; later it may have
    /// moved on, and holds the object no more.
    pub(crate) fn not_durable(
        &self,
        removed: &[Removal],
        journal: &[Value],
        last_effect: &str,
    ) -> Vec<String> {
        let mut breaches = Vec::new();
        for (number, removal) in removed.iter().enumerate() {
            let Some(permission) = self.permits(removal) else {
                continue;
            };
            let held = journal.iter().find(|r| r["id"] == *permission.id);
            let just_now = last_effect == "EngineRemove" && number + 1 == removed.len();
            let durable = match held {
                Some(record) => record["stage"] == permission.stage,
                None => !just_now,
            };
            if !durable {
                let (what, stage) = (permission.object, held.map(|r| &r["stage"]));
                breaches.push(format!("{what} was removed with the journal at {stage:?}"));
            }
        }
        breaches
    }

    fn permits(&self, removal: &Removal) -> Option<&Permission> {
        let fits = |p: &&Permission| p.object == removal.object && p.engine_id == removal.id;
        self.0.iter().find(fits)
    }
}
