//! The brake: a change that would remove or release many objects at once waits for permission.
//!
//! A stopped resource stays stopped until it is allowed or the change is reverted, also when the
//! rest alone would pass the limits. The status stores this for a controller that starts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dockfleet_crds::condition;
use dockfleet_crds::policy::DeletionPolicy;
use dockfleet_planner::assignment::Lifecycle;
use dockfleet_planner::brake::{self, ALLOW_REMOVAL, Limits, permission, permits};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::time::Instant;

use super::deletions::{Deletions, Due};
use super::{Index, ParentState, Uid};

/// The limits of the brake, and when resources are reviewed again.
#[derive(Debug)]
pub(super) struct Brakes {
    pub(super) limits: Limits,
    /// How long resources that are deleted with their namespace wait for permission.
    pub(super) namespace_hold: Duration,
    /// What must be reviewed again, and when.
    pub(super) due: BTreeSet<(Instant, Due)>,
    /// The resources of each namespace, as the brake counts them.
    pub(super) namespaces: BTreeMap<String, Deletions>,
    /// Namespaces whose deletion is allowed: the annotation has their own UID.
    pub(super) allowed: BTreeSet<String>,
}

/// The state of the brake for one resource.
#[derive(Debug, Default)]
pub(super) struct Brake {
    /// When its deletion was first seen.
    pub(super) since: Option<Instant>,
    /// It waits for other deletions, to be counted with them.
    pub(super) settling: bool,
    /// Why it was stopped and what to do, in a sentence.
    pub(super) stopped: Option<String>,
}

impl Brake {
    /// Whether nothing may be removed or released.
    pub(super) fn is_engaged(&self) -> bool {
        self.settling || self.stopped.is_some()
    }
}

impl Brakes {
    pub(super) fn new(limits: Limits, namespace_hold: Duration) -> Self {
        Self {
            limits,
            namespace_hold,
            due: BTreeSet::new(),
            namespaces: BTreeMap::new(),
            allowed: BTreeSet::new(),
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }
}

impl ParentState {
    /// Whether the brake has stopped it, here or by its status.
    pub(super) fn was_stopped(&self) -> bool {
        let status = self.object.status();
        let mut conditions = status.iter().flat_map(|s| &s.conditions);
        self.brake.stopped.is_some()
            || conditions.any(|c| c.type_ == condition::STALLED && c.reason == brake::REASON)
    }

    pub(super) fn allows(&self) -> Option<&str> {
        allows(self.object.metadata())
    }

    /// Returns the command that allows the stopped change.
    pub(super) fn command(&self, value: &str) -> String {
        let resource = &*self.object;
        let kind = resource.kind().as_str().to_lowercase();
        format!(
            "kubectl annotate --overwrite -n {} {kind}/{} {ALLOW_REMOVAL}={value}",
            resource.namespace(),
            resource.name()
        )
    }
}

fn allows(meta: &ObjectMeta) -> Option<&str> {
    let annotations = meta.annotations.as_ref()?;
    annotations.get(ALLOW_REMOVAL).map(String::as_str)
}

/// Whether two versions of an object have the same permission annotation.
pub(super) fn allows_the_same(a: &ObjectMeta, b: &ObjectMeta) -> bool {
    allows(a) == allows(b)
}

impl Index {
    /// Reviews every resource.
    pub(super) fn review_all(&mut self) {
        let all: Vec<Uid> = self.parents.keys().cloned().collect();
        let mut namespaces = BTreeSet::new();
        for uid in all {
            // Only now it is known which label has few hosts.
            self.select(&uid);
            self.review_selection(&uid);
            let deleting = self.parents.get(&uid).filter(|p| p.object.is_deleting());
            namespaces.extend(deleting.map(|p| p.object.namespace().to_owned()));
        }
        for namespace in namespaces {
            self.review_deletions(&namespace);
        }
    }

    /// Records whether the annotation of a namespace allows its resources to be deleted with it.
    pub(super) fn review_namespace(&mut self, meta: &ObjectMeta) {
        let name = meta.name.clone().unwrap_or_default();
        if meta.deletion_timestamp.is_some() {
            self.decide_hosts_again(&name);
            self.reconsider(&name);
        }
        let allowed = allows(meta).is_some() && allows(meta) == meta.uid.as_deref();
        let news = if allowed {
            self.brakes.allowed.insert(name.clone())
        } else {
            self.brakes.allowed.remove(&name)
        };
        if news {
            self.review_deletions(&name);
        }
    }

    /// Decides the lifecycle of stopped deletions again, because their namespace is now being
    /// deleted too. They would wait for ever, and are now part of the namespace deletion.
    fn reconsider(&mut self, namespace: &str) {
        for uid in self.parents_in(namespace) {
            let Some(parent) = self.parents.get_mut(&uid) else {
                continue;
            };
            if parent.brake.is_engaged() && parent.lifecycle == Some(Lifecycle::Deleted) {
                parent.lifecycle = None;
                self.review_deletion(&uid);
                self.dirty.now.insert(uid);
            }
        }
    }

    /// Reviews whether a resource that is not being deleted would be removed from too many hosts.
    pub(super) fn review_selection(&mut self, uid: &str) {
        let Some(parent) = self.parents.get(uid) else {
            return;
        };
        if parent.object.is_deleting() {
            return;
        }
        let resource = &*parent.object;
        let removes = resource.deletion() == DeletionPolicy::Delete && !resource.policies().suspend;
        let placements = self.placements.get(uid);
        let of = placements.map_or(0, super::placements::Placements::present);
        let drains = |name: &crate::object::Name| {
            let state = self.hosts.get(name).filter(|s| s.is_draining());
            state.map(super::HostState::is_drain_confirmed)
        };
        // For a host that is being deleted it may not be decided yet whether anything is lost. A
        // stopped resource stays stopped until then.
        let counts =
            |name: &crate::object::Name| drains(name) != Some(false) || parent.was_stopped();
        let lost = placements.iter().flat_map(|h| h.lost());
        let lost: Vec<_> = lost.filter(|name| counts(name)).collect();
        let draining = lost.iter().any(|name| drains(name).is_some());
        let lost = lost.len();
        let generation = resource.metadata().generation;
        let allowed = parent
            .allows()
            .is_some_and(|v| permits(v, generation, lost));
        let stops = removes
            && lost > 0
            && (parent.was_stopped() || self.brakes.limits.stops_hosts(lost, of))
            && !allowed;
        let stopped = stops.then(|| {
            let (deleted, keep) = if draining {
                (
                    " or are being deleted",
                    ", set removal: Keep on those that are being deleted",
                )
            } else {
                ("", "")
            };
            format!(
                "{lost} of {of} hosts are no longer selected{deleted}, and the {} would be removed \
                 from them; nothing is removed: correct hostSelector, hostNames or the labels of the \
                 hosts{keep}, or allow it: {}",
                resource.kind().object(),
                parent.command(&permission(generation, lost))
            )
        });
        self.brake(uid, false, stopped);
    }

    /// Engages or releases the brake of a resource.
    pub(super) fn brake(&mut self, uid: &str, settling: bool, stopped: Option<String>) {
        let Some(parent) = self.parents.get_mut(uid) else {
            return;
        };
        if parent.brake.settling == settling && parent.brake.stopped == stopped {
            return;
        }
        let was_engaged = parent.brake.is_engaged();
        parent.brake.settling = settling;
        parent.brake.stopped = stopped;
        let is_engaged = parent.brake.is_engaged();
        if was_engaged && !is_engaged {
            let concerned = self.concerned(uid);
            self.await_entries(uid, &concerned);
        }
        self.dirty.now.insert(uid.to_owned());
    }

    /// Counts the stopped resources.
    pub(crate) fn stopped(&self) -> usize {
        let all = self.parents.values();
        all.filter(|p| p.brake.stopped.is_some()).count()
    }
}
