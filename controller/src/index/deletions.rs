//! Which resources of a namespace are being deleted, and which deletions may continue.
//!
//! The brake's counts are updated resource by resource, so that a deletion does not need to visit
//! the others. The others are reviewed only when the count passes a limit, and once for many
//! deletions to update the numbers in their messages.

use std::collections::BTreeSet;
use std::time::Duration;

use dockfleet_crds::policy::DeletionPolicy;
use dockfleet_planner::assignment::Lifecycle;
use dockfleet_planner::brake::{ALLOW_REMOVAL, Limits};
use tokio::time::Instant;

use super::{Index, ParentState, Uid};
use crate::parent::{ParentExt as _, ParentName};

/// How long a deletion waits for others beside it, in a namespace that has enough for the brake:
/// tools delete one resource after the other. The numbers in messages are updated as often.
const SETTLE: Duration = Duration::from_secs(2);

/// The resources of one namespace, as the brake counts them.
#[derive(Debug, Default)]
pub(super) struct Deletions {
    /// Resources with the finalizer of the controller.
    kept: BTreeSet<Uid>,
    /// Those of them that are being deleted.
    going: BTreeSet<Uid>,
    /// Which limits were passed at the last review.
    passed: Passed,
    /// The counts in the last messages.
    published: Counts,
    /// The messages must be updated.
    recounts: bool,
}

/// How many resources of a namespace are being deleted, and of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    going: usize,
    of: usize,
}

/// The limits that the counts of a namespace pass; nothing else about the counts decides whether a
/// deletion may continue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Passed {
    /// There are enough resources for the brake.
    many: bool,
    /// So many of them are being deleted that permission is needed.
    stops: bool,
}

/// What must be reviewed at a later time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A resource that waits for other deletions, or for permission.
    Resource(Uid),
    /// The messages of a namespace's resources.
    Sentences(String),
}

impl Deletions {
    fn counts(&self) -> Counts {
        Counts {
            going: self.going.len(),
            of: self.kept.len(),
        }
    }
}

impl Counts {
    fn passed(self, limits: Limits) -> Passed {
        Passed {
            many: self.of > limits.resources,
            stops: limits.stops_resources(self.going, self.of),
        }
    }
}

impl Index {
    /// Reviews what is due.
    pub(super) fn tick_brakes(&mut self, now: Instant) {
        while let Some((at, due)) = self.brakes.due.first().cloned() {
            if at > now {
                break;
            }
            self.brakes.due.remove(&(at, due.clone()));
            match due {
                Due::Resource(uid) => self.review_deletion(&uid),
                Due::Sentences(namespace) => self.recount(&namespace),
            }
        }
    }

    /// Updates the counts of the brake after a resource was created, changed or deleted.
    pub(super) fn count_deletion(&mut self, name: &ParentName, uid: &str) {
        let parent = self.parents.get(uid).map(|p| &p.object);
        let kept = parent.is_some_and(|p| p.has_finalizer());
        let going = kept && parent.is_some_and(|p| p.is_deleting());
        let namespaces = &mut self.brakes.namespaces;
        if !kept && !namespaces.contains_key(&name.namespace) {
            return;
        }
        let of = namespaces.entry(name.namespace.clone()).or_default();
        keep(&mut of.kept, uid, kept);
        keep(&mut of.going, uid, going);
        if of.kept.is_empty() {
            namespaces.remove(&name.namespace);
        }
    }

    /// Reviews whether the deletion of a resource may continue.
    pub(super) fn review_deletion(&mut self, uid: &str) {
        let Some(parent) = self.parents.get(uid) else {
            return;
        };
        let namespace = parent.object.namespace().to_owned();
        let limits = self.brakes.limits;
        let now = self.heartbeats.now();
        let Some(of) = self.brakes.namespaces.get_mut(&namespace) else {
            return;
        };
        let counts = of.counts();
        if counts.passed(limits) != of.passed {
            self.review_deletions(&namespace);
            return;
        }
        if counts != of.published && !of.recounts {
            of.recounts = true;
            let again = Due::Sentences(namespace);
            self.brakes.due.insert((now + SETTLE, again));
        }
        if of.going.contains(uid) {
            self.decide(uid, counts, now);
        }
    }

    /// Reviews which deletions of a namespace may continue.
    pub(super) fn review_deletions(&mut self, namespace: &str) {
        let limits = self.brakes.limits;
        let now = self.heartbeats.now();
        let Some(of) = self.brakes.namespaces.get_mut(namespace) else {
            return;
        };
        let counts = of.counts();
        of.passed = counts.passed(limits);
        of.published = counts;
        of.recounts = false;
        for uid in of.going.clone() {
            self.decide(&uid, counts, now);
        }
    }

    /// Updates the numbers in the messages of stopped resources.
    fn recount(&mut self, namespace: &str) {
        let now = self.heartbeats.now();
        let Some(of) = self.brakes.namespaces.get_mut(namespace) else {
            return;
        };
        let counts = of.counts();
        of.published = counts;
        of.recounts = false;
        for uid in of.going.clone() {
            let parent = self.parents.get(&uid);
            if parent.is_some_and(|p| p.brake.stopped.is_some()) {
                self.decide(&uid, counts, now);
            }
        }
    }

    fn decide(&mut self, uid: &str, counts: Counts, now: Instant) {
        let Some(parent) = self.parents.get_mut(uid) else {
            return;
        };
        let limits = self.brakes.limits;
        let since = *parent.brake.since.get_or_insert(now);
        let resource = &*parent.object;
        let own = parent.allows() == Some(resource.uid());
        let Passed { many, stops } = counts.passed(limits);
        let (ends, settling, stopped) = match parent.lifecycle {
            Some(Lifecycle::Cascaded) => {
                let ends = since + self.brakes.namespace_hold;
                let asks = (parent.was_stopped() || many)
                    && limits.share < 100
                    && !own
                    && !self.brakes.allowed.contains(resource.namespace())
                    && now < ends;
                let why = asks.then(|| cascaded(parent, counts, self.brakes.namespace_hold));
                (asks.then_some(ends), false, why)
            }
            Some(Lifecycle::Deleted) if resource.deletion() == DeletionPolicy::Delete => {
                let ends = since + SETTLE;
                let settling = many && now < ends;
                let asks = (parent.was_stopped() || stops) && !own;
                let why = asks.then(|| deleted(parent, counts));
                (settling.then_some(ends), settling && !own, why)
            }
            _ => (None, false, None),
        };
        if let Some(ends) = ends {
            self.brakes
                .due
                .insert((ends, Due::Resource(uid.to_owned())));
        }
        self.brake(uid, settling, stopped);
    }
}

fn keep(uids: &mut BTreeSet<Uid>, uid: &str, is_in: bool) {
    if !is_in {
        uids.remove(uid);
    } else if !uids.contains(uid) {
        uids.insert(uid.to_owned());
    }
}

fn cascaded(parent: &ParentState, counts: Counts, hold: Duration) -> String {
    let resource = &*parent.object;
    let namespace = resource.namespace();
    format!(
        "the namespace or the CRD is being deleted with {} resources; the hosts keep and manage \
         their objects for {} min: move what you need to another namespace, or allow the deletion \
         now: kubectl annotate --overwrite namespace/{namespace} {ALLOW_REMOVAL}=$(kubectl get \
         namespace/{namespace} -o jsonpath={{.metadata.uid}}), or for this one: {}",
        counts.of,
        hold.as_secs().div_ceil(60),
        parent.command(resource.uid())
    )
}

fn deleted(parent: &ParentState, counts: Counts) -> String {
    let resource = &*parent.object;
    let Counts { going, of } = counts;
    format!(
        "{going} of {of} resources of namespace {} are being deleted at once; nothing is removed; \
         allow it for this one: {}",
        resource.namespace(),
        parent.command(resource.uid())
    )
}
