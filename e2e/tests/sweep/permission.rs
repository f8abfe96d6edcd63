//! Invariant 1, by the engine's own events and by what was durable in the journal when the agent
//! was killed.

use serde_json::Value;

use crate::engine_events::Happened;
use crate::facts::Objects;
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
            let engine_id = match object.strip_prefix("volume ") {
                Some(name) => name.to_owned(),
                None => id.clone(),
            };
            Some(Permission {
                object,
                engine_id,
                id,
                stage,
            })
        };
        Self(REMOVABLE.into_iter().filter_map(permission).collect())
    }

    /// Gives every removal that nothing permitted.
    pub(crate) fn breaches(&self, events: &[Happened]) -> Vec<String> {
        let removed = events.iter().filter(|e| e.action == "destroy");
        removed
            .filter(|e| self.permits(e).is_none())
            .map(|e| format!("{} ({}) was removed without a permission", e.object, e.id))
            .collect()
    }

    /// Gives every removal whose permission was not durable when the agent was killed.
    ///
    /// Right after a removal the journal is still in the stage that permits it; later it may have
    /// moved on, and holds the object no more.
    pub(crate) fn not_durable(
        &self,
        events: &[Happened],
        journal: &[Value],
        last_effect: &str,
    ) -> Vec<String> {
        let mut breaches = Vec::new();
        let removed: Vec<_> = events.iter().filter(|e| e.action == "destroy").collect();
        for (number, event) in removed.iter().enumerate() {
            let Some(permission) = self.permits(event) else {
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

    fn permits(&self, event: &Happened) -> Option<&Permission> {
        let fits = |p: &&Permission| p.object == event.object && p.engine_id == event.id;
        self.0.iter().find(fits)
    }
}
