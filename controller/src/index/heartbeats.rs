//! Heartbeats of hosts, and which hosts are reachable.
//!
//! An agent renews the Lease of its host. Only the monotonic clock of this process measures when:
//! what counts is that the Lease changes, not the times that a host writes. Before a silent host
//! counts as offline its Lease is read once more, because the watch of this process may have missed
//! changes.

use std::collections::BTreeSet;
use std::time::Duration;

use dockfleet_crds::DockerHost;
use dockfleet_crds::condition::{self, ConditionStatus, NewCondition};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, ObjectMeta, Time};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::host_drain::owner;
use super::{HostState, Index};
use crate::object::Name;

/// The label of objects that the controller creates for hosts, and its value.
pub(crate) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "dockfleet");

/// The clock, and when each host counts as silent.
#[derive(Debug)]
pub(super) struct Heartbeats {
    now: Instant,
    started: Instant,
    offline_after: Duration,
    /// No host counts as offline before: until then, heartbeats may have been missed.
    not_before: Instant,
    due: BTreeSet<(Instant, Name)>,
}

/// The heartbeat state of one host.
#[derive(Debug, Default)]
pub(super) struct HeartbeatState {
    lease: Option<SeenLease>,
    /// When the Lease was last seen to change.
    last_renewal: Option<Instant>,
    /// When the host counts as silent without another heartbeat.
    due: Option<Instant>,
    /// The host is silent; its Lease must be read before it counts as offline.
    suspect: bool,
    reachability: Option<Reachability>,
}

/// A Lease as it was last seen.
#[derive(Clone, Debug, PartialEq)]
struct SeenLease {
    version: Option<String>,
    renewed: Option<MicroTime>,
}

/// Whether the agent of a host is reachable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reachability {
    Reachable,
    Silent,
    /// The Lease was never renewed.
    NeverSeen,
}

/// The work on a host's Lease and conditions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum HeartbeatWork {
    /// Create the missing Lease.
    CreateLease(Box<Lease>),
    /// Read the Lease, because the host is silent.
    ReadLease,
    /// Write the controller's conditions of the host with this UID.
    Write(Box<DockerHost>, Vec<Condition>),
}

/// How many hosts of the fleet are reachable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReachableCounts {
    /// Hosts whose agent sends heartbeats.
    pub(crate) reachable: usize,
    /// Hosts that are offline.
    pub(crate) offline: usize,
    /// Hosts whose state is not known yet.
    pub(crate) unknown: usize,
}

impl Heartbeats {
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    pub(super) fn new(now: Instant, offline_after: Duration) -> Self {
        Self {
            now,
            started: now,
            offline_after,
            not_before: now + offline_after,
            due: BTreeSet::new(),
        }
    }
}

impl HeartbeatState {
    pub(super) fn is_empty(&self) -> bool {
        self.lease.is_none()
    }
}

impl HostState {
    /// Whether the host is offline, as far as known.
    pub(super) fn is_offline(&self) -> bool {
        match self.heartbeat.reachability {
            Some(reach) => reach != Reachability::Reachable,
            // The written condition counts until this process knows more.
            None => self
                .reachable_condition()
                .is_some_and(|c| c.status == "False"),
        }
    }

    fn reachable_condition(&self) -> Option<&Condition> {
        self.condition(condition::REACHABLE)
    }

    /// Returns a condition as it is written.
    fn condition(&self, type_: &str) -> Option<&Condition> {
        let status = self.host.as_ref()?.status.as_ref()?;
        status.conditions.iter().find(|c| c.type_ == type_)
    }

    /// Whether the condition Clean differs from this new one.
    pub(super) fn is_clean_outdated(&self, clean_condition: Option<&NewCondition>) -> bool {
        self.is_outdated(condition::CLEAN, clean_condition)
    }

    /// Whether a condition differs from this new one.
    fn is_outdated(&self, type_: &str, new_condition: Option<&NewCondition>) -> bool {
        let written = self.condition(type_);
        written.map(|c| (c.reason.as_str(), c.message.as_str()))
            != new_condition.map(|v| (v.reason.as_str(), v.message.as_str()))
    }

    /// Whether the condition Reachable is outdated.
    fn is_reachable_outdated(&self) -> bool {
        match (self.heartbeat.reachability, self.reachable_condition()) {
            (Some(reach), Some(written)) => written.reason != reach.reason(),
            (None, Some(_)) => false,
            (_, None) => true,
        }
    }
}

impl Reachability {
    fn reason(self) -> &'static str {
        match self {
            Self::Reachable => "HeartbeatSeen",
            Self::Silent => "NoHeartbeat",
            Self::NeverSeen => "NeverHeardOf",
        }
    }
}

impl Index {
    /// Sets the time, and finds the hosts that are silent by now.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.heartbeats.now = now;
        self.tick_brakes(now);
        self.tick_drains(now);
        self.tick_secrets(now);
        self.tick_statuses(now);
        while let Some((due, name)) = self.heartbeats.due.first().cloned() {
            if due > now {
                break;
            }
            self.heartbeats.due.remove(&(due, name.clone()));
            let not_before = self.heartbeats.not_before;
            let Some(state) = self.hosts.get_mut(&name) else {
                continue;
            };
            state.heartbeat.due = None;
            if state.host().is_none() {
                continue;
            }
            if not_before > now {
                self.expect_renewal(&name, not_before);
            } else {
                state.heartbeat.suspect = true;
                self.dirty.heartbeats.insert(name);
            }
        }
    }

    /// Returns when [`Index::tick`] has something to do next.
    pub(crate) fn next_tick(&self) -> Option<Instant> {
        let due = self.heartbeats.due.first().map(|(due, _)| *due);
        let others = [
            self.brakes.next(),
            self.drains.next(),
            self.secrets.next(),
            self.repositories.next(),
        ];
        due.into_iter().chain(others.into_iter().flatten()).min()
    }

    /// Records that heartbeats may have been missed: no host counts as offline before another whole
    /// period.
    pub(super) fn restart_silence(&mut self) {
        self.heartbeats.not_before = self.heartbeats.now + self.heartbeats.offline_after;
    }

    /// Updates the heartbeat work of a host that may be written to.
    pub(super) fn follow_heartbeat(&mut self, name: &Name) {
        let at = self.heartbeats.now + self.heartbeats.offline_after;
        let Some(state) = self.hosts.get_mut(name) else {
            return;
        };
        if state.host().is_none() {
            return;
        }
        let is_offline = matches!(
            state.heartbeat.reachability,
            Some(Reachability::Silent | Reachability::NeverSeen)
        );
        let shares = state.is_outdated(condition::STALLED, state.sharing_condition().as_ref());
        if state.heartbeat.lease.is_none() || state.is_reachable_outdated() || shares {
            self.dirty.heartbeats.insert(name.clone());
        }
        if state.heartbeat.due.is_none() && !state.heartbeat.suspect && !is_offline {
            self.expect_renewal(name, at);
        }
    }

    fn expect_renewal(&mut self, name: &Name, at: Instant) {
        let Some(state) = self.hosts.get_mut(name) else {
            return;
        };
        let at = at.max(self.heartbeats.not_before);
        if let Some(before) = state.heartbeat.due.replace(at) {
            self.heartbeats.due.remove(&(before, name.clone()));
        }
        self.heartbeats.due.insert((at, name.clone()));
    }

    /// Applies a Lease.
    pub(super) fn apply_lease(&mut self, lease: &Lease) {
        let name = Name::of(&lease.metadata);
        let beat = SeenLease {
            version: lease.metadata.resource_version.clone(),
            renewed: lease.spec.as_ref().and_then(|s| s.renew_time.clone()),
        };
        let state = self.host_mut(&name);
        let before = state.heartbeat.lease.replace(beat);
        let now = state.heartbeat.lease.as_ref();
        let renewed = now.and_then(|b| b.renewed.as_ref());
        // The first version of a Lease does not count: it may be old.
        let changed = before.is_some_and(|b| b.renewed.as_ref() != renewed) && renewed.is_some();
        if changed {
            self.renewal_seen(&name);
        }
    }

    fn renewal_seen(&mut self, name: &Name) {
        let now = self.heartbeats.now;
        let Some(state) = self.hosts.get_mut(name) else {
            return;
        };
        state.heartbeat.last_renewal = Some(now);
        state.heartbeat.suspect = false;
        self.set_reachability(name, Reachability::Reachable);
        self.expect_renewal(name, now + self.heartbeats.offline_after);
    }

    fn set_reachability(&mut self, name: &Name, reach: Reachability) {
        let Some(state) = self.hosts.get_mut(name) else {
            return;
        };
        let was_offline = state.is_offline();
        state.heartbeat.reachability = Some(reach);
        if state.host().is_some() && state.is_reachable_outdated() {
            self.dirty.heartbeats.insert(name.clone());
        }
        if state.is_offline() != was_offline {
            let entries = state.entries().iter().map(|e| &e.uid);
            let concerned: BTreeSet<_> = entries.chain(&state.selected_by).cloned().collect();
            self.touch_all(&concerned);
        }
    }

    /// Forgets a Lease. It is created again if its host exists.
    pub(super) fn delete_lease(&mut self, name: &Name) {
        if let Some(state) = self.hosts.get_mut(name) {
            state.heartbeat.lease = None;
            if state.host().is_some() {
                self.dirty.heartbeats.insert(name.clone());
            }
        }
        self.tidy(name);
    }

    /// Returns the names of all Leases that are known, with their versions.
    pub(super) fn known_leases(&self) -> impl Iterator<Item = (Name, Option<String>)> {
        self.hosts.iter().filter_map(|(name, state)| {
            let beat = state.heartbeat.lease.as_ref()?;
            Some((name.clone(), beat.version.clone()))
        })
    }

    /// Returns the work on a host's Lease and conditions, if any.
    pub(crate) fn heartbeat_work(&self, name: &Name, now: &Time) -> Option<HeartbeatWork> {
        let state = self.hosts.get(name)?;
        let host = state.host()?;
        if state.heartbeat.lease.is_none() {
            return Some(HeartbeatWork::CreateLease(Box::new(lease(host))));
        }
        if state.heartbeat.suspect {
            return Some(HeartbeatWork::ReadLease);
        }
        let clean_condition = self.clean_condition(state);
        let sharing = state.sharing_condition();
        let reachable_changed = state.is_reachable_outdated();
        let leaves = state.is_clean_outdated(clean_condition.as_ref());
        let shares = state.is_outdated(condition::STALLED, sharing.as_ref());
        if !reachable_changed && !leaves && !shares {
            return None;
        }
        let old = host.status.as_ref().map_or(&[][..], |s| &s.conditions);
        let reach = reachable_changed.then(|| self.new_condition(state, now.0));
        let new_conditions: Vec<NewCondition> = reach
            .into_iter()
            .chain(clean_condition)
            .chain(sharing)
            .collect();
        let mut conditions = condition::merge(old, &new_conditions, host.metadata.generation, now);
        // A condition that is not written again would be removed by the apply.
        conditions.extend(
            state
                .reachable_condition()
                .filter(|_| !reachable_changed)
                .cloned(),
        );
        Some(HeartbeatWork::Write(Box::new(host.clone()), conditions))
    }

    fn new_condition(&self, state: &HostState, now: Timestamp) -> NewCondition {
        let Heartbeats {
            started,
            offline_after,
            ..
        } = self.heartbeats;
        let (status, message) = match state.heartbeat.reachability {
            Some(Reachability::Reachable) => (
                ConditionStatus::True,
                "the agent sends heartbeats".to_owned(),
            ),
            Some(Reachability::Silent) => {
                let since = state.heartbeat.last_renewal.unwrap_or(started);
                (
                    ConditionStatus::False,
                    format!(
                        "no heartbeat since {}; check that the agent runs on the host and \
                         reaches the API server; the host keeps its objects, and applies its \
                         assignment when it is back",
                        self.wall_clock_time(since, now)
                    ),
                )
            }
            Some(Reachability::NeverSeen) => (
                ConditionStatus::False,
                "no agent has ever sent a heartbeat; start one on the host".to_owned(),
            ),
            None => (
                ConditionStatus::Unknown,
                format!(
                    "waiting for a heartbeat; without one for {} s the host counts as offline",
                    offline_after.as_secs()
                ),
            ),
        };
        let reason = state
            .heartbeat
            .reachability
            .map_or("Waiting", Reachability::reason);
        NewCondition::new(condition::REACHABLE, status, reason, message)
    }

    /// Converts a monotonic time to wall-clock time, to the second.
    fn wall_clock_time(&self, then: Instant, now: Timestamp) -> String {
        let ago = self.heartbeats.now.saturating_duration_since(then);
        let ago = SignedDuration::try_from(ago).unwrap_or_default();
        let at = now.checked_sub(ago).unwrap_or(now);
        format!("{at:.0}")
    }

    /// Applies a Lease that was read or created.
    pub(crate) fn lease_seen(&mut self, name: &Name, found: Option<&Lease>) {
        let Some(state) = self.hosts.get_mut(name) else {
            return;
        };
        let was_suspect = std::mem::take(&mut state.heartbeat.suspect);
        let last_renewal_before = state.heartbeat.last_renewal;
        let Some(found) = found else {
            self.delete_lease(name);
            return;
        };
        self.apply_lease(found);
        let Some(state) = self.hosts.get(name) else {
            return;
        };
        if !was_suspect {
            self.follow_heartbeat(name);
        } else if state.heartbeat.last_renewal != last_renewal_before {
            // The watch missed this change, and may have missed more.
            self.restart_silence();
        } else {
            let ever = state
                .heartbeat
                .lease
                .as_ref()
                .is_some_and(|b| b.renewed.is_some());
            self.set_reachability(
                name,
                if ever {
                    Reachability::Silent
                } else {
                    Reachability::NeverSeen
                },
            );
        }
    }

    /// Records that a call failed. If the API server did not answer, it may be the cause of the
    /// silence.
    pub(crate) fn heartbeat_failed(&mut self, name: &Name, answered: bool) {
        if !answered {
            self.restart_silence();
        }
        let later = self.heartbeats.now + self.heartbeats.offline_after;
        if let Some(state) = self.hosts.get_mut(name) {
            let was_suspect = std::mem::take(&mut state.heartbeat.suspect);
            if was_suspect {
                self.expect_renewal(name, later);
            }
        }
    }

    /// Counts hosts by reachability.
    pub(crate) fn reachable_counts(&self) -> ReachableCounts {
        let mut all = ReachableCounts::default();
        for state in self.hosts.values().filter(|s| s.host().is_some()) {
            match (state.heartbeat.reachability, state.is_offline()) {
                (_, true) => all.offline += 1,
                (Some(_), false) => all.reachable += 1,
                (None, false) => all.unknown += 1,
            }
        }
        all
    }

    /// Returns the age of the oldest heartbeat.
    pub(crate) fn oldest_heartbeat(&self) -> Option<Duration> {
        let hosts = self.hosts.values().filter(|s| s.host().is_some());
        let oldest = hosts.filter_map(|s| s.heartbeat.last_renewal).min()?;
        Some(self.heartbeats.now.saturating_duration_since(oldest))
    }
}

/// Creates the Lease of a host, which is deleted with the host or with its identity.
fn lease(host: &DockerHost) -> Lease {
    let label = (MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    Lease {
        metadata: ObjectMeta {
            name: host.metadata.name.clone(),
            namespace: host.metadata.namespace.clone(),
            labels: Some(std::iter::once(label).collect()),
            owner_references: owner(host).map(|o| vec![o]),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec::default()),
    }
}
