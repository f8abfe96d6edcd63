//! Tracks the events of the watch of an assignment. Only an assignment of the agent's own cluster that is not
//! older than the known one changes anything. A broken watch, a missing assignment and errors change nothing.

use dockfleet_crds::assignment::HostAssignmentSpec;
use dockfleet_vitals::chain;
use kube::api::ObjectMeta;

use super::assignment_watch::AssignmentEvent;
use crate::journal::AssignmentSnapshot;

/// The state of the watch.
#[derive(Debug, Default)]
pub(super) struct AssignmentTracker {
    /// A new assignment that is not durable yet.
    pub(super) pending: Option<AssignmentSnapshot>,
    /// Why an assignment of another cluster is ignored, if there is one.
    pub(super) foreign: Option<String>,
    /// Why the assignment cannot be read, if so.
    pub(super) unreadable: Option<String>,
    /// The watch has shown the assignment, and it is the known one or a new one.
    is_obeyed: bool,
    is_failing: bool,
    is_absent: bool,
}

impl AssignmentTracker {
    /// Whether the assignment that is in force is the one that the watch has shown last.
    pub(super) fn is_in_force(&self) -> bool {
        self.is_obeyed && self.pending.is_none()
    }

    /// Notes that the watch starts again, because the assignment may have changed without an event.
    pub(super) fn start_again(&mut self) {
        self.is_obeyed = false;
    }

    /// Processes an event, and returns whether there is a new assignment.
    pub(super) fn track(
        &mut self,
        event: AssignmentEvent,
        known: Option<&AssignmentSnapshot>,
    ) -> bool {
        let object = match event {
            Ok(object) => object,
            Err(err) => {
                let error = chain(&err);
                if self.is_failing {
                    tracing::debug!(error, "still cannot watch the API server");
                } else {
                    tracing::warn!(
                        error,
                        "cannot watch the API server; the last assignment stays in force"
                    );
                }
                self.is_failing = true;
                return false;
            }
        };
        if self.is_failing {
            tracing::info!("watching the API server again");
        }
        self.is_failing = false;
        self.is_obeyed = false;
        let Some(object) = object else {
            if !self.is_absent {
                tracing::info!("the assignment does not exist; the last one stays in force");
            }
            self.is_absent = true;
            // What was wrong with the deleted assignment is over.
            self.foreign = None;
            self.unreadable = None;
            return false;
        };
        self.is_absent = false;
        match object.spec {
            Ok(spec) => self.read(object.metadata, spec, known),
            Err(error) => {
                tracing::warn!(
                    error,
                    "the assignment cannot be read; the last one stays in force"
                );
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
        let snapshot = AssignmentSnapshot {
            hub: spec.hub,
            uid: metadata.uid.unwrap_or_default(),
            generation: metadata.generation.unwrap_or_default(),
            paused: spec.paused,
            host_generation: spec.host_generation,
            entries: spec.entries,
        }
        .sorted();
        // An assignment that is not durable yet counts as known.
        match judge(&snapshot, self.pending.as_ref().or(known)) {
            Judgement::Same => {
                self.is_obeyed = true;
                return false;
            }
            Judgement::New => self.is_obeyed = true,
            Judgement::Older { known } => {
                tracing::warn!(
                    generation = snapshot.generation,
                    known,
                    "an assignment that is older than the known one is ignored"
                );
                return false;
            }
            Judgement::Foreign { known } => {
                let why = format!(
                    "an assignment of another cluster (ID {}) is ignored: this agent obeys the cluster \
                     with ID {known}; to hand the host over, move the agent's journal away",
                    snapshot.hub
                );
                tracing::warn!(
                    hub = snapshot.hub,
                    known,
                    "an assignment of another cluster is ignored"
                );
                self.foreign = Some(why);
                return false;
            }
        }
        self.pending = Some(snapshot);
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
fn judge(snapshot: &AssignmentSnapshot, known: Option<&AssignmentSnapshot>) -> Judgement {
    let Some(known) = known else {
        return Judgement::New;
    };
    if !known.hub.is_empty() && known.hub != snapshot.hub {
        return Judgement::Foreign {
            known: known.hub.clone(),
        };
    }
    if known.uid == snapshot.uid && snapshot.generation < known.generation {
        return Judgement::Older {
            known: known.generation,
        };
    }
    if known == snapshot {
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
    fn an_assignment_that_is_received_again_is_not_new_whatever_the_order_of_its_kinds() {
        let object = serde_json::json!({
            "metadata": {"uid": "1", "generation": 3},
            "spec": {"hub": "a", "entries": [
                {"uid": "u1", "kind": "DockerVolume", "namespace": "n", "name": "v", "revision": "r", "spec": {}},
                {"uid": "u2", "kind": "DockerNetwork", "namespace": "n", "name": "w", "revision": "r", "spec": {}},
            ]},
        });
        let mut tracker = AssignmentTracker::default();
        let event = |object: &serde_json::Value| Ok(serde_json::from_value(object.clone()).ok());
        assert!(tracker.track(event(&object), None));
        let known = tracker.pending.take();
        assert!(known.is_some());
        assert!(!tracker.track(event(&object), known.as_ref()));
    }

    #[test]
    fn what_was_wrong_with_an_assignment_is_over_when_it_is_deleted() {
        let known = snapshot("a", "1", 5);
        let foreign = serde_json::json!({
            "metadata": {"uid": "2", "generation": 1},
            "spec": {"hub": "b", "entries": []},
        });
        let unreadable = serde_json::json!({
            "metadata": {"uid": "2", "generation": 2},
            "spec": {"hub": "a", "entries": [{"kind": "DockerGalaxy"}]},
        });
        let mut tracker = AssignmentTracker::default();
        let read = |object| Ok(Some(serde_json::from_value(object).unwrap()));
        assert!(!tracker.track(read(foreign), Some(&known)));
        let why = "an assignment of another cluster (ID b) is ignored: this agent obeys the cluster with \
                   ID a; to hand the host over, move the agent's journal away";
        assert_eq!(tracker.foreign.as_deref(), Some(why));
        assert!(!tracker.track(read(unreadable), Some(&known)));
        assert!(tracker.unreadable.is_some());

        assert!(!tracker.track(Ok(None), Some(&known)));
        assert_eq!((&tracker.foreign, &tracker.unreadable), (&None, &None));
    }

    #[test]
    fn the_first_assignment_is_obeyed() {
        assert_eq!(judge(&snapshot("a", "1", 1), None), Judgement::New);
        // A journal of a version without a hub.
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
        // Deleted and created again: the generations start at 1.
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
    fn another_assignment_of_the_same_generation_from_a_restored_server_is_applied() {
        let known = snapshot("a", "1", 5);
        let other = AssignmentSnapshot {
            entries: vec![Entry::default()],
            ..known.clone()
        };
        assert_eq!(judge(&other, Some(&known)), Judgement::New);
    }
}
