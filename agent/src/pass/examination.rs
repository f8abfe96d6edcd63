//! Examines objects where what a list does not show may have changed.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_planner::examination::Occasion;
use dockfleet_planner::observed::ObservedState;
use dockfleet_planner::plan::Planned;

use super::PassRun;
use crate::actions;
use crate::engine::EngineError;

/// The examinations of a pass, by the UID of the entry.
#[derive(Debug, Default)]
pub(super) struct Examinations {
    done: BTreeSet<String>,
    /// Their object was changed since.
    changed: BTreeSet<String>,
    failed: BTreeMap<String, EngineError>,
    /// What an earlier process has left behind was removed.
    cleared: bool,
}

impl Examinations {
    /// Returns why the object of an entry could not be examined, if so.
    pub(super) fn failure(&self, uid: &str) -> Option<&EngineError> {
        self.failed.get(uid)
    }

    /// Records that the object of an entry may have been changed.
    pub(super) fn changed(&mut self, uid: &str) {
        self.changed.insert(uid.to_owned());
    }

    fn is_due(&self, planned: &Planned, occasion: Occasion) -> bool {
        let uid = &planned.status.uid;
        let first = || !self.done.contains(uid);
        !self.failed.contains_key(uid)
            && planned.examine.as_ref().is_some_and(|examination| {
                self.changed.contains(uid) || (first() && occasion >= examination.least)
            })
    }

    /// Whether an entry has an object that was not examined although it is due.
    pub(super) fn is_missed(&self, planned: &Planned, occasion: Occasion) -> bool {
        self.failed.contains_key(&planned.status.uid) || self.is_due(planned, occasion)
    }
}

impl PassRun<'_> {
    /// Examines the objects for which that is due. Returns whether any was, so that the plan may be another one.
    pub(super) async fn examine(
        &self,
        planned: &[Planned],
        observed: &mut ObservedState,
        examinations: &mut Examinations,
    ) -> bool {
        let mut any = false;
        for p in planned {
            let uid = &p.status.uid;
            let due = examinations.is_due(p, self.occasion) && !self.stop.is_cancelled();
            let Some(examination) = p.examine.as_ref().filter(|_| due) else {
                continue;
            };
            let (name, id) = (&examination.name, &examination.id);
            let Some(object) = observed.object_mut(self.kind, name, id) else {
                continue;
            };
            any = true;
            if self.occasion == Occasion::Start && !examinations.cleared {
                examinations.cleared = true;
                let cleared = actions::remove_helpers(self.engine, self.effects, self.kind).await;
                if let Err(err) = cleared {
                    examinations.failed.insert(uid.clone(), err);
                    continue;
                }
            }
            examinations.changed.remove(uid);
            match Box::pin(actions::examine(self.engine, self.effects, object)).await {
                Ok(()) => drop(examinations.done.insert(uid.clone())),
                Err(err) => drop(examinations.failed.insert(uid.clone(), err)),
            }
        }
        any
    }
}
