//! What an agent makes of what it hears of its assignment. Only an assignment of its own cluster that
//! is no older than the one it knows changes anything; silence, absence and errors change nothing.

use dockfleet_crds::assignment::HostAssignmentSpec;
use dockfleet_vitals::chain;
use kube::api::ObjectMeta;

use super::AssignmentEvent;
use crate::journal::AssignmentSnapshot;

/// What was last heard.
#[derive(Debug, Default)]
pub(super) struct AssignmentTracker {
    /// A new assignment that is not durable yet.
    pub(super) pending: Option<AssignmentSnapshot>,
    /// Another cluster speaks: why it is not obeyed.
    pub(super) foreign: Option<String>,
    /// The assignment cannot be read: why.
    pub(super) unreadable: Option<String>,
    silent: bool,
    absent: bool,
}

impl AssignmentTracker {
    /// Takes in what the watch says, and returns whether there is a new assignment.
    pub(super) fn track(
        &mut self,
        told: AssignmentEvent,
        known: Option<&AssignmentSnapshot>,
    ) -> bool {
        let object = match told {
            Ok(object) => object,
            Err(err) => {
                let error = chain(&err);
                if self.silent {
                    tracing::debug!(error, "the API server still cannot be watched");
                } else {
                    tracing::warn!(
                        error,
                        "the API server cannot be watched; the last assignment holds"
                    );
                }
                self.silent = true;
                return false;
            }
        };
        if self.silent {
            tracing::info!("the API server is watched again");
        }
        self.silent = false;
        let Some(object) = object else {
            if !self.absent {
                tracing::info!("there is no assignment; the last one holds");
            }
            self.absent = true;
            return false;
        };
        self.absent = false;
        match object.spec {
            Ok(spec) => self.read(object.metadata, spec, known),
            Err(error) => {
                tracing::warn!(error, "the assignment cannot be read; the last one holds");
                self.unreadable = Some(error);
                false
            }
        }
    }

    fn read(
        &mut self,
        metadata: ObjectMeta,
        spec: HostAssignmentSpec,
        known: Option<&AssignmentSnapshot>,
    ) -> bool {
        self.unreadable = None;
        self.foreign = None;
        let told = AssignmentSnapshot {
            hub: spec.hub,
            uid: metadata.uid.unwrap_or_default(),
            generation: metadata.generation.unwrap_or_default(),
            paused: spec.paused,
            host_generation: spec.host_generation,
            entries: spec.entries,
        }
        .sorted();
        // What is not durable yet is known all the same.
        match judge(&told, self.pending.as_ref().or(known)) {
            Judgement::Same => return false,
            Judgement::New => {}
            Judgement::Older { known } => {
                tracing::warn!(
                    generation = told.generation,
                    known,
                    "an older assignment than the known one is ignored"
                );
                return false;
            }
            Judgement::Foreign { known } => {
                let why = format!(
                    "an assignment of hub {} is ignored: this agent obeys hub {known}; to hand the \
                     host over, move the agent's journal away",
                    told.hub
                );
                tracing::warn!(
                    hub = told.hub,
                    known,
                    "an assignment of another hub is ignored"
                );
                self.foreign = Some(why);
                return false;
            }
        }
        self.pending = Some(told);
        true
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    New,
    Same,
    Older { known: i64 },
    Foreign { known: String },
}

/// Invariant 6.
fn judge(told: &AssignmentSnapshot, known: Option<&AssignmentSnapshot>) -> Judgement {
    let Some(known) = known else {
        return Judgement::New;
    };
    if !known.hub.is_empty() && known.hub != told.hub {
        return Judgement::Foreign {
            known: known.hub.clone(),
        };
    }
    if known.uid == told.uid && told.generation < known.generation {
        return Judgement::Older {
            known: known.generation,
        };
    }
    if known == told {
        Judgement::Same
    } else {
        Judgement::New
    }
}

#[cfg(test)]
mod tests {
    use dockfleet_crds::Entry;

    use super::{AssignmentTracker, Judgement, judge};
    use crate::journal::AssignmentSnapshot;

    fn snapshot(hub: &str, uid: &str, generation: i64) -> AssignmentSnapshot {
        AssignmentSnapshot {
            hub: hub.into(),
            uid: uid.into(),
            generation,
            ..AssignmentSnapshot::default()
        }
    }

    #[test]
    fn an_assignment_that_is_heard_again_is_no_new_one_whatever_the_order_of_its_kinds() {
        let object = serde_json::json!({
            "metadata": {"uid": "1", "generation": 3},
            "spec": {"hub": "a", "entries": [
                {"uid": "u1", "kind": "DockerVolume", "namespace": "n", "name": "v", "revision": "r", "spec": {}},
                {"uid": "u2", "kind": "DockerNetwork", "namespace": "n", "name": "w", "revision": "r", "spec": {}},
            ]},
        });
        let mut tracker = AssignmentTracker::default();
        let told = |object: &serde_json::Value| Ok(serde_json::from_value(object.clone()).ok());
        assert!(tracker.track(told(&object), None));
        let known = tracker.pending.take();
        assert!(known.is_some());
        assert!(!tracker.track(told(&object), known.as_ref()));
    }

    #[test]
    fn the_first_assignment_is_obeyed() {
        assert_eq!(judge(&snapshot("a", "1", 1), None), Judgement::New);
        // A journal from before there was a hub.
        assert_eq!(
            judge(&snapshot("a", "1", 1), Some(&snapshot("", "", 0))),
            Judgement::New
        );
    }

    #[test]
    fn an_older_generation_of_the_same_object_is_ignored() {
        let known = snapshot("a", "1", 5);
        assert_eq!(
            judge(&snapshot("a", "1", 4), Some(&known)),
            Judgement::Older { known: 5 }
        );
        assert_eq!(judge(&snapshot("a", "1", 5), Some(&known)), Judgement::Same);
        assert_eq!(judge(&snapshot("a", "1", 6), Some(&known)), Judgement::New);
        // Deleted and made anew: generations start over.
        assert_eq!(judge(&snapshot("a", "2", 1), Some(&known)), Judgement::New);
    }

    #[test]
    fn another_hub_is_ignored_whatever_its_generation() {
        let known = snapshot("a", "1", 5);
        let foreign = Judgement::Foreign { known: "a".into() };
        assert_eq!(judge(&snapshot("b", "1", 6), Some(&known)), foreign);
        assert_eq!(judge(&snapshot("", "2", 9), Some(&known)), foreign);
    }

    #[test]
    fn a_restored_server_that_comes_by_the_same_generation_again_is_obeyed() {
        let known = snapshot("a", "1", 5);
        let other = AssignmentSnapshot {
            entries: vec![Entry::default()],
            ..known.clone()
        };
        assert_eq!(judge(&other, Some(&known)), Judgement::New);
    }
}
