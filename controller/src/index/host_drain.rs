//! Host drain: hosts that are cleaned before they are deleted (`removal: Clean`).
//!
//! A finalizer keeps such a host while its agent removes or releases everything. No resource
//! selects a host that is being deleted, so its entries become tombstones as usual, the brake
//! included. The drain begins when two things are known: that the host is not deleted with its
//! namespace or CRD, which would be no permission (invariant 1), and which hosts are deleted
//! together with it.

use std::collections::BTreeSet;
use std::time::Duration;

use dockfleet_crds::condition::{self, ConditionStatus, NewCondition};
use dockfleet_crds::policy::HostRemovalPolicy;
use dockfleet_crds::{DockerHost, Entry, Intent};
use dockfleet_planner::assignment::Lifecycle;
use dockfleet_planner::brake;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource as _;
use tokio::time::Instant;

use super::{HostCall, HostState, Index, Watched};
use crate::object::Name;

/// The finalizer that keeps a host until it is clean.
pub(crate) const FINALIZER: &str = "dockfleet.io/clean";

/// How long a deleted host waits for other deletions, so that the brake counts them together: tools
/// delete one host after the other.
pub(super) const SETTLE: Duration = Duration::from_secs(2);
/// How many of the remaining entries are named.
const MAX_NAMED: usize = 3;

/// When each deleted host has waited long enough for others.
#[derive(Debug, Default)]
pub(super) struct Drains(BTreeSet<(Instant, Name)>);

/// The drain of one host.
#[derive(Debug, Default)]
pub(super) struct DrainState {
    /// When its deletion was first seen.
    since: Option<Instant>,
    /// What its deletion means for it, if decided.
    lifecycle: Option<Lifecycle>,
    /// It has waited long enough for others.
    settled: bool,
}

impl Drains {
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }
}

impl HostState {
    /// Whether the host is being deleted and drained. Nothing is drained from an engine that
    /// another host has too.
    pub(super) fn is_draining(&self) -> bool {
        self.in_fleet
            && self.shared_engine.is_none()
            && self.drain.lifecycle != Some(Lifecycle::Cascaded)
            && self.host.as_ref().is_some_and(|h| {
                is_deleting(h)
                    && has_finalizer(&h.metadata)
                    && h.spec.removal == HostRemovalPolicy::Clean
            })
    }

    /// Whether the host is being drained, but keeps its objects until more is known.
    pub(super) fn is_drain_pending(&self) -> bool {
        self.is_draining() && !(self.drain.settled && self.is_drain_confirmed())
    }

    /// Whether the host is being drained because somebody deleted it.
    pub(super) fn is_drain_confirmed(&self) -> bool {
        self.is_draining() && self.drain.lifecycle == Some(Lifecycle::Deleted)
    }

    /// Returns the call that comes before all other work on the host: to remove the finalizer of a
    /// host that is not drained, or to decide what its deletion means.
    pub(super) fn first_call(&self) -> Option<HostCall> {
        let host = self.host.as_ref()?;
        if self.unreadable.contains(&Watched::Hosts) || !has_finalizer(&host.metadata) {
            return None;
        }
        if self.is_draining() {
            let undecided = self.drain.lifecycle.is_none();
            return undecided.then(|| HostCall::DecideLifecycle(Box::new(host.clone())));
        }
        let stays = self.in_fleet && !is_deleting(host);
        let wanted = stays && host.spec.removal == HostRemovalPolicy::Clean;
        (!wanted).then(|| self.finalizer_removal(host, false))
    }

    /// Returns the call that adds or removes the finalizer once the assignment is as wanted.
    /// `orphan` tells whether an entry has no resource any more that could change it.
    pub(super) fn finalizer_call(&self, orphan: impl Fn(&Entry) -> bool) -> Option<HostCall> {
        let host = self.host()?;
        if self.is_draining() {
            let done = !self.is_drain_pending() && self.in_flight.is_empty();
            let clean = self.assignment.is_some() && self.entries().is_empty();
            return (done && self.entries().iter().all(orphan))
                .then(|| self.finalizer_removal(host, clean));
        }
        let lacks = host.spec.removal == HostRemovalPolicy::Clean && !has_finalizer(&host.metadata);
        lacks.then(|| HostCall::AddFinalizer(Box::new(host.clone())))
    }

    fn finalizer_removal(&self, host: &DockerHost, clean: bool) -> HostCall {
        // The assignments of a deleted namespace are deleted with it, and the namespace may come
        // back.
        let goes = is_deleting(host) && self.drain.lifecycle != Some(Lifecycle::Cascaded);
        let assignment = self.assignment.as_ref().filter(|_| goes);
        HostCall::RemoveFinalizer {
            host: Box::new(host.clone()),
            clean,
            discard: assignment.and_then(|a| a.metadata.uid.clone()),
        }
    }
}

/// Returns the owner reference of objects that are created for a host: the host, unless it has
/// `removal: Clean`. A foreground deletion, as Argo CD does, would delete them while the agent
/// still needs them.
pub(super) fn owner(host: &DockerHost) -> Option<OwnerReference> {
    let stays = host.spec.removal == HostRemovalPolicy::Clean;
    host.owner_ref(&()).filter(|_| !stays)
}

impl Index {
    /// Updates the drain of a host that changed.
    pub(super) fn follow_drain(&mut self, name: &Name, recreated: bool) {
        let now = self.heartbeats.now();
        let Some(state) = self.hosts.get_mut(name) else {
            return;
        };
        if recreated || !state.host.as_ref().is_some_and(is_deleting) {
            state.drain = DrainState::default();
        } else if state.drain.since.is_none() && state.is_draining() {
            state.drain.since = Some(now);
            self.drains.0.insert((now + SETTLE, name.clone()));
        }
        if state.first_call().is_some() {
            self.dirty.hosts.insert(name.clone());
        }
    }

    /// Continues the drain of hosts that have waited long enough.
    pub(super) fn tick_drains(&mut self, now: Instant) {
        while let Some((at, name)) = self.drains.0.first().cloned() {
            if at > now {
                break;
            }
            self.drains.0.remove(&(at, name.clone()));
            let Some(state) = self.hosts.get_mut(&name) else {
                continue;
            };
            if state.drain.since.is_some_and(|since| since + SETTLE <= now) {
                state.drain.settled = true;
                self.dirty.hosts.insert(name);
            }
        }
    }

    /// Records what the deletion of a host means for it.
    pub(crate) fn set_host_lifecycle(
        &mut self,
        name: &Name,
        uid: Option<&str>,
        lifecycle: Lifecycle,
    ) {
        let Some(state) = self.hosts.get_mut(name) else {
            return;
        };
        let host = state.host.as_ref();
        if host.is_none_or(|h| h.metadata.uid.as_deref() != uid) {
            return;
        }
        state.drain.lifecycle = Some(lifecycle);
        // The counts of the brake depend on this.
        self.reselect(name);
        self.dirty.hosts.insert(name.clone());
    }

    /// Decides the lifecycle of a namespace's deleted hosts again, because the namespace is now
    /// being deleted too: its agents lose their rights with it.
    pub(super) fn decide_hosts_again(&mut self, namespace: &str) {
        let first = Name {
            namespace: namespace.to_owned(),
            name: String::new(),
        };
        for (name, state) in self.hosts.range_mut(first..) {
            if name.namespace != namespace {
                break;
            }
            if state.drain.lifecycle == Some(Lifecycle::Deleted) {
                state.drain.lifecycle = None;
                self.dirty.hosts.insert(name.clone());
            }
        }
    }

    /// Whether an entry does not delay the drain: it has the intent `Present`, and its resource no
    /// longer exists.
    pub(super) fn is_orphan(&self, entry: &Entry) -> bool {
        entry.intent == Intent::Present && !self.parents.contains_key(&entry.uid)
    }

    /// Returns the condition Clean of a host that is being drained.
    pub(super) fn clean_condition(&self, state: &HostState) -> Option<NewCondition> {
        let host = state.host.as_ref().filter(|_| state.is_draining())?;
        let left: Vec<&Entry> = state
            .entries()
            .iter()
            .filter(|e| !self.is_orphan(e))
            .collect();
        let why: Vec<&str> = left.iter().map(|e| self.why_left(state, e)).collect();
        let reason = if why.contains(&brake::REASON) {
            brake::REASON
        } else if state.is_offline() {
            "HostOffline"
        } else {
            "Cleaning"
        };
        let progress = if state.is_offline() {
            "the host is offline, so no agent can remove or release anything"
        } else {
            "the host is deleted once its agent has removed or released everything"
        };
        let (namespace, name) = (
            host.metadata.namespace.as_deref().unwrap_or_default(),
            host.metadata.name.as_deref().unwrap_or_default(),
        );
        let message = format!(
            "{}; {progress}; to keep it on the host, or if the host will never come back: \
             kubectl patch -n {namespace} dockerhost/{name} --type=merge \
             --patch='{{\"spec\":{{\"removal\":\"Keep\"}}}}'",
            counted(&left, &why)
        );
        Some(NewCondition::new(
            condition::CLEAN,
            ConditionStatus::False,
            reason,
            message,
        ))
    }

    /// Returns the reason, in one word, why an entry is still on a host that is being drained.
    fn why_left<'a>(&self, state: &'a HostState, entry: &Entry) -> &'a str {
        if entry.intent == Intent::Absent {
            let report = state
                .report(&entry.uid)
                .filter(|t| t.revision == entry.revision);
            return report
                .and_then(|t| t.reason.as_ref())
                .map_or("Pending", |r| r.as_str());
        }
        match self.parents.get(&entry.uid) {
            Some(parent) if parent.brake.stopped.is_some() => brake::REASON,
            Some(parent) if parent.object.policies().suspend => "Suspended",
            _ => "Pending",
        }
    }
}

/// Returns how many entries are left, with the names of some.
fn counted(left: &[&Entry], why: &[&str]) -> String {
    if left.is_empty() {
        return "nothing is left".to_owned();
    }
    let named = left.iter().zip(why).take(MAX_NAMED).map(|(entry, why)| {
        let kind = entry.kind.as_str();
        format!("{kind} {}/{}: {why}", entry.namespace, entry.name)
    });
    let mut named: Vec<String> = named.collect();
    if let more @ 1.. = left.len().saturating_sub(MAX_NAMED) {
        named.push(format!("and {more} more"));
    }
    let entries = if left.len() == 1 { "entry" } else { "entries" };
    format!("{} {entries} left ({})", left.len(), named.join(", "))
}

fn is_deleting(host: &DockerHost) -> bool {
    host.metadata.deletion_timestamp.is_some()
}

/// Whether a host has the finalizer that keeps it until it is clean.
pub(super) fn has_finalizer(meta: &ObjectMeta) -> bool {
    meta.finalizers.iter().flatten().any(|f| f == FINALIZER)
}
