//! DockerHosts that share one engine.
//!
//! Agents report the identity of their engine. Two hosts with the same engine would undo each
//! other's work, and their reports would be wrong. The oldest of such hosts stays active. The
//! others are paused: they keep their objects, get no new entries, and report why. When the oldest
//! is deleted or has another engine, the next one becomes active.
//!
//! An older agent reports no identity, so its host counts as having its own engine.

use dockfleet_crds::condition::{self, ConditionStatus, NewCondition};
use dockfleet_crds::host::EngineIdentity;
use dockfleet_crds::{DockerHost, Reason};
use dockfleet_planner::assignment::Refusal;
use k8s_openapi::jiff::Timestamp;

use super::{HostState, Index};
use crate::object::Name;

/// A shared engine, and the older host that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SharedEngine {
    with: String,
    engine: EngineIdentity,
}

impl Index {
    /// Updates the engine of a host that was created, changed or deleted.
    pub(super) fn follow_engine(&mut self, name: &Name) {
        let Some(state) = self.hosts.get_mut(name) else {
            return;
        };
        let now = state.reported_engine();
        let before = std::mem::replace(&mut state.engine, now.clone());
        if before != now {
            if let Some(before) = &before {
                if let Some(hosts) = self.engines.get_mut(before) {
                    hosts.remove(name);
                    if hosts.is_empty() {
                        self.engines.remove(before);
                    }
                }
                self.review_engine(before);
            }
            match &now {
                Some(now) => {
                    let hosts = self.engines.entry(now.clone()).or_default();
                    hosts.insert(name.clone());
                }
                None => self.set_shared_engine(name, None),
            }
        }
        if let Some(now) = &now {
            self.review_engine(now);
        }
    }

    /// Decides which host may use an engine.
    fn review_engine(&mut self, engine: &EngineIdentity) {
        let Some(names) = self.engines.get(engine).cloned() else {
            return;
        };
        let seniority = |name: &&Name| {
            let host = self.hosts.get(*name).and_then(|s| s.host.as_ref());
            host.map(seniority)
        };
        let Some(first) = names.iter().min_by_key(seniority) else {
            return;
        };
        let Some(with) = self.hosts.get(first).map(|s| s.display_name.clone()) else {
            return;
        };
        for name in &names {
            let shared = (name != first).then(|| SharedEngine {
                with: with.clone(),
                engine: engine.clone(),
            });
            self.set_shared_engine(name, shared);
        }
    }

    fn set_shared_engine(&mut self, name: &Name, shared: Option<SharedEngine>) {
        let Some(state) = self.hosts.get_mut(name) else {
            return;
        };
        if state.shared_engine != shared {
            state.shared_engine = shared;
            self.dirty.hosts.insert(name.clone());
            self.dirty.heartbeats.insert(name.clone());
        }
    }
}

impl HostState {
    /// Returns the engine that the host's agent has reported. A host outside the fleet counts as
    /// long as it has an assignment, because its agent still applies that.
    fn reported_engine(&self) -> Option<EngineIdentity> {
        let counts = self.in_fleet || self.assignment.is_some();
        let host = self.host.as_ref().filter(|_| counts)?;
        host.status.as_ref()?.engine.as_ref()?.identity()
    }

    /// Returns why the host gets no new entries, if it shares its engine.
    pub(super) fn sharing_refusal(&self) -> Option<Refusal> {
        let shared = self.shared_engine.as_ref()?;
        Some(Refusal {
            reason: Reason::EngineShared,
            message: shared.sentence(&self.display_name),
        })
    }

    /// Returns the condition Stalled of a host that shares its engine.
    pub(super) fn sharing_condition(&self) -> Option<NewCondition> {
        let closed = self.sharing_refusal()?;
        Some(NewCondition::new(
            condition::STALLED,
            ConditionStatus::True,
            closed.reason.as_str(),
            closed.message,
        ))
    }
}

impl SharedEngine {
    fn sentence(&self, host: &str) -> String {
        let Self { with, engine } = self;
        format!(
            "hosts {with} and {host} are one engine ({engine}); {host} keeps what it has, and nothing \
             is changed by it. Delete one of the two DockerHosts. If these are two machines, of which \
             one was copied: give them names of their own, or the engine an ID of its own (docs, \
             troubleshooting)"
        )
    }
}

/// Orders hosts from the oldest to the youngest.
fn seniority(host: &DockerHost) -> (Option<Timestamp>, Option<String>) {
    let meta = &host.metadata;
    (
        meta.creation_timestamp.as_ref().map(|t| t.0),
        meta.uid.clone(),
    )
}
