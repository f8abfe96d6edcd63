//! Hosts that are cleaned before they go (`removal: Clean`).
//!
//! A finalizer keeps such a host while its agent lets go of what it has. No resource selects a host
//! that is being deleted, so that its entries become tombstones in the way of all others, the brake
//! included. Nothing of that begins before two things are known: that the host does not go with its
//! namespace or CRD, which is no permission (invariant 1), and which hosts go together with it.

use std::collections::BTreeSet;
use std::time::Duration;

use dockfleet_crds::condition::{self, Truth, Verdict};
use dockfleet_crds::policy::HostRemovalPolicy;
use dockfleet_crds::{DockerHost, Entry, Intent};
use dockfleet_planner::assignment::Lifecycle;
use dockfleet_planner::brake;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource as _;
use tokio::time::Instant;

use super::{HostCall, HostState, Index, Watched};
use crate::object::Name;

/// What keeps a host until it is clean.
pub(crate) const FINALIZER: &str = "dockfleet.io/clean";

/// How long a host that is deleted waits for others beside it, which the brake is to count with it:
/// tools delete one host after the other.
pub(super) const SETTLE: Duration = Duration::from_secs(2);
/// How many of the entries that are left are named.
const MAX_NAMED: usize = 3;

/// When which host has waited for others.
#[derive(Debug, Default)]
pub(super) struct Drains(BTreeSet<(Instant, Name)>);

/// What is known of the going of one host.
#[derive(Debug, Default)]
pub(super) struct DrainState {
    /// When its deletion was first seen.
    since: Option<Instant>,
    /// What its deletion means for it, once that is known.
    lifecycle: Option<Lifecycle>,
    /// It has waited for others.
    settled: bool,
}

impl Drains {
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }
}

impl HostState {
    /// Whether the host is being deleted and cleaned before it goes. What is on an engine that another
    /// host has stays there.
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

    /// Whether the host is leaving, and keeps what it has until more is known.
    pub(super) fn is_drain_pending(&self) -> bool {
        self.is_draining() && !(self.drain.settled && self.is_drain_confirmed())
    }

    /// Whether the host is leaving because somebody deleted it.
    pub(super) fn is_drain_confirmed(&self) -> bool {
        self.is_draining() && self.drain.lifecycle == Some(Lifecycle::Deleted)
    }

    /// Returns the call that comes before everything else about the host: it goes and nothing on it
    /// is to be changed, or it is not known yet whether that is so.
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

    /// Returns the call that is made about the finalizer once the assignment is as it is to be;
    /// `orphan` says of an entry that nobody will ever ask for anything else of it.
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
        // With a namespace its assignments go without anybody's doing, and it may be back.
        let goes = is_deleting(host) && self.drain.lifecycle != Some(Lifecycle::Cascaded);
        let assignment = self.assignment.as_ref().filter(|_| goes);
        HostCall::RemoveFinalizer {
            host: Box::new(host.clone()),
            clean,
            discard: assignment.and_then(|a| a.metadata.uid.clone()),
        }
    }
}

/// Returns who owns what is made for a host, and takes it along: the host, unless it is cleaned
/// first. A deletion in the foreground, as Argo CD's are, would take it from under the agent's hands.
pub(super) fn owner(host: &DockerHost) -> Option<OwnerReference> {
    let stays = host.spec.removal == HostRemovalPolicy::Clean;
    host.owner_ref(&()).filter(|_| !stays)
}

impl Index {
    /// Follows the going of a host that changed.
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

    /// Has those hosts go on that have waited for others.
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

    /// Notes what the deletion of a host means for it.
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
        // The brake counts what is lost from now on, or is not lost after all.
        self.reselect(name);
        self.dirty.hosts.insert(name.clone());
    }

    /// Has it found out again what the going of a namespace's hosts means, now that it goes too: its
    /// agents lose their rights with it.
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

    /// Whether an entry waits for nothing on a host that leaves: it is to stay there, and there is no
    /// resource any more that could say otherwise.
    pub(super) fn is_orphan(&self, entry: &Entry) -> bool {
        entry.intent == Intent::Present && !self.parents.contains_key(&entry.uid)
    }

    /// Returns what a person is told of a host that is leaving.
    pub(super) fn clean_verdict(&self, state: &HostState) -> Option<Verdict> {
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
        let heard = if state.is_offline() {
            "no agent is heard of that could let go of it"
        } else {
            "the host goes once its agent has let go of it"
        };
        let (namespace, name) = (
            host.metadata.namespace.as_deref().unwrap_or_default(),
            host.metadata.name.as_deref().unwrap_or_default(),
        );
        let message = format!(
            "{}; {heard}; to have it stay on the host, and where the host will never come back: \
             kubectl patch -n {namespace} dockerhost/{name} --type=merge \
             --patch='{{\"spec\":{{\"removal\":\"Keep\"}}}}'",
            counted(&left, &why)
        );
        Some(Verdict::new(
            condition::CLEAN,
            Truth::False,
            reason,
            message,
        ))
    }

    /// Returns in a word why an entry is still on a host that is leaving.
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

/// Says how many entries are left, and names some of them.
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

/// Whether a host cannot go before it is clean.
pub(super) fn has_finalizer(meta: &ObjectMeta) -> bool {
    meta.finalizers.iter().flatten().any(|f| f == FINALIZER)
}
