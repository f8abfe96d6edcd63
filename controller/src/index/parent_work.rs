//! The work on one resource: its finalizer, its lifecycle, its status.

use std::time::Duration;

use dockfleet_crds::condition;
use dockfleet_crds::{Intent, ResourceStatus};
use dockfleet_planner::aggregate::{HostView, Notes, aggregate};
use dockfleet_planner::request;
use dockfleet_planner::resource::{HostReport, Makes, OwnStatus, StatusContext};
use dockfleet_planner::select::{Selection, selection};
use jiff::tz::TimeZone;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{HostState, Index, ParentState};
use crate::notice::{self, Notice, Warning};
use crate::object::{Name, Source};
use crate::parent::{Parent, ParentExt as _};

/// How many hosts with a contested name get a sentence each.
const MAX_CONTESTED: usize = 3;

/// Up to how many hosts a status is written after the normal debounce.
const HOSTS_AT_ONCE: u32 = 1_000;
/// From how many hosts on the debounce is longest.
const HOSTS_AT_MOST: u32 = 10_000;

/// The work on one resource.
#[derive(Clone, Debug)]
pub(crate) struct ParentWork {
    /// The resource as it is known.
    pub(crate) parent: Parent,
    /// The calls, one after the other; a failed call does not stop the others.
    pub(crate) steps: Vec<ParentStep>,
}

/// One call about a resource.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ParentStep {
    /// Decide what its deletion means for its hosts.
    DecideLifecycle,
    /// Add the finalizer that keeps it until its hosts have their tombstones.
    AddFinalizer,
    /// Remove the finalizer.
    RemoveFinalizer,
    /// Make another resource, or delete one that it has made.
    Make(Makes),
    /// Write its status, and publish events for its changes.
    WriteStatus(Box<WrittenStatus>, Vec<Notice>),
}

/// The whole status of a resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct WrittenStatus {
    /// The part that all resources have.
    #[serde(flatten)]
    pub(crate) common: ResourceStatus,
    /// The rest.
    #[serde(flatten)]
    pub(crate) own: Map<String, Value>,
}

impl Index {
    /// Returns the work on a resource, if any.
    pub(crate) fn parent_work(&mut self, uid: &str, now: &Time) -> Option<ParentWork> {
        let (work, own) = self.next_work(uid, now)?;
        if let Some(own) = own {
            self.note_own_status(uid, &own, now.0);
        }
        work
    }

    /// Returns the work on a resource, and the rest of its status as it will be.
    pub(super) fn next_work(
        &self,
        uid: &str,
        now: &Time,
    ) -> Option<(Option<ParentWork>, Option<OwnStatus>)> {
        let parent = self.parents.get(uid)?;
        if !parent.object.is_deleting() && self.awaits_secret(&*parent.object) {
            return None;
        }
        let mut steps = Vec::new();
        let mut own = None;
        let mut add_status = |steps: &mut Vec<ParentStep>| {
            let (step, status) = self.status_step(uid, parent, now);
            // A resource that is being deleted makes nothing more.
            let is_deleting = parent.object.is_deleting();
            let makes = status.makes.iter().filter(|_| !is_deleting).cloned();
            steps.extend(makes.map(ParentStep::Make));
            steps.extend(step);
            own = Some(status);
        };
        match (parent.object.is_deleting(), parent.object.has_finalizer()) {
            // Other finalizers keep it; there is nothing to do here.
            (true, false) => {}
            (true, true) if parent.lifecycle.is_none() => steps.push(ParentStep::DecideLifecycle),
            (true, true) if self.is_released(uid) => steps.push(ParentStep::RemoveFinalizer),
            (true | false, true) => add_status(&mut steps),
            (false, false) => {
                add_status(&mut steps);
                steps.extend(
                    self.lacks_finalizer(parent)
                        .then_some(ParentStep::AddFinalizer),
                );
            }
        }
        let parent = parent.object.clone();
        let work = (!steps.is_empty()).then_some(ParentWork { parent, steps });
        Some((work, own))
    }

    /// Returns how long reports on a resource are collected before its status is written, where that is
    /// `debounce` for one with few hosts. It grows with the hosts: while they report one after the other,
    /// what all statuses cost in a second is the same for 1,000 hosts and for 10,000.
    pub(crate) fn collected_for(&self, uid: &str, debounce: Duration) -> Duration {
        let selected = self.parents.get(uid).map_or(0, |p| p.selected.len());
        let placements = self.placements.get(uid).map_or(0, |h| h.all().len());
        let hosts = u32::try_from(selected.max(placements)).unwrap_or(u32::MAX);
        debounce * hosts.clamp(HOSTS_AT_ONCE, HOSTS_AT_MOST) / HOSTS_AT_ONCE
    }

    /// Applies a written resource.
    pub(crate) fn parent_written(&mut self, asked_with: Option<String>, written: Parent) {
        self.apply_parent(written, &Source::Answered { asked_with });
    }

    /// Whether a resource selects a host, is not being deleted, and lacks the finalizer.
    pub(super) fn lacks_finalizer(&self, parent: &ParentState) -> bool {
        let comes = |host: &Name| {
            self.host(host)
                .is_some_and(|h| selection(&*parent.object, h, &self.namespaces) == Selection::Yes)
        };
        !parent.object.is_deleting()
            && !parent.object.has_finalizer()
            && parent.selected.iter().any(comes)
    }

    fn status_step(
        &self,
        uid: &str,
        parent: &ParentState,
        now: &Time,
    ) -> (Option<ParentStep>, OwnStatus) {
        let resource = &*parent.object;
        let hosts = self.all_concerned(uid);
        let hosts = hosts.filter_map(|name| Some((name, self.hosts.get(name)?)));
        // Collected once: the lookup of a host costs more than its use.
        let hosts: Vec<(&Name, &HostState)> = hosts.collect();
        let own = resource.next_own_status(&StatusContext {
            now: now.0,
            hosts: &|| self.reports(&hosts, uid, parent),
            repository: self.repository(resource),
            usage: self.usage(resource),
            unusable_secret: self.unusable_secret(resource),
            made: &|| self.made_by(uid),
            zone: &|name| TimeZone::get(name).ok(),
        });
        let contests = contests(uid, &hosts);
        let of_spec = parent.object.warnings();
        // One event for all hosts on which a name is contested; the condition has more of them.
        let contested = contests.first().map(|text| Warning::new("Contested", text));
        let in_spec = of_spec.iter().map(|w| Warning::new(w.reason, &w.message));
        let warnings: Vec<Warning> = in_spec.chain(contested).collect();
        let notes = Notes {
            deleting: parent.object.is_deleting(),
            suspended: resource.policies().suspend,
            ready_policy: resource.ready_policy(),
            stopped: parent.brake.stopped.clone(),
            waits_for: own.waits_for.clone(),
            conclusion: own.conclusion.clone(),
            warnings: of_spec
                .into_iter()
                .map(|w| w.message)
                .chain(contests)
                .chain(own.warnings.iter().cloned())
                .collect(),
        };
        let views = || {
            let hosts = hosts.iter();
            hosts.filter_map(|(name, state)| view(name, state, uid, parent))
        };
        let sum = aggregate(views(), &notes);
        let old = resource.status();
        let handled = old.and_then(|s| s.last_handled_reconcile_at.as_deref());
        let conditions = old.map_or(&[][..], |s| &s.conditions);
        let generation = resource.metadata().generation;
        // What has ended has no hosts any more; what they had stays.
        let ended = old.filter(|_| resource.is_over() && !resource.is_deleting());
        let status = ResourceStatus {
            observed_generation: generation,
            hosts: ended.map_or(sum.hosts, |old| old.hosts),
            failing: ended.map_or(sum.failing, |old| old.failing.clone()),
            last_handled_reconcile_at: request::handled(resource.metadata(), handled, views()),
            conditions: condition::merge(conditions, &sum.conditions, generation, now),
        };
        if old == Some(&status) && own.fields == resource.own_status() {
            return (None, own);
        }
        let mut notices: Vec<Notice> = own.events.iter().map(Notice::of).collect();
        notices.extend(notice::transitions(old, &status, &warnings));
        let common = status;
        let status = Box::new(WrittenStatus {
            common,
            own: own.fields.clone(),
        });
        (Some(ParentStep::WriteStatus(status, notices)), own)
    }
}

impl Index {
    /// Returns the hosts with what their agents last reported, even if it is about an earlier entry.
    fn reports<'a>(
        &'a self,
        hosts: &[(&Name, &'a HostState)],
        uid: &str,
        parent: &ParentState,
    ) -> Vec<HostReport<'a>> {
        let known = |(name, state): &(&Name, &'a HostState)| {
            let host = state.host()?;
            let is_concerned = parent.selected.contains(*name) || state.entry(uid).is_some();
            is_concerned.then(|| HostReport {
                host,
                view: state.view(uid),
                swarm: self.swarms.get(*name),
            })
        };
        hosts.iter().filter_map(known).collect()
    }
}

/// Returns the state of a resource on a host; `None` if the host is not concerned.
fn view<'a>(
    name: &Name,
    state: &'a HostState,
    uid: &str,
    parent: &ParentState,
) -> Option<HostView<'a>> {
    state.host()?;
    let seen = state.view(uid);
    let entry = seen.entry;
    if parent.object.is_deleting() {
        let refused = None;
        return entry.is_some().then_some(HostView { refused, ..seen });
    }
    if state.is_unsettled(uid) && entry.is_none_or(|e| e.intent == Intent::Present) {
        // The entry is outdated, so the report on it does not count.
        let unknown = HostView {
            entry: None,
            status: None,
            refused: None,
            ..seen
        };
        return parent.selected.contains(name).then_some(unknown);
    }
    Some(seen)
}

impl HostState {
    /// Returns the state of a resource on the host as it was last seen.
    fn view(&self, uid: &str) -> HostView<'_> {
        HostView {
            host: &self.display_name,
            entry: self.entry(uid),
            status: self.report(uid),
            refused: self.refused.get(uid),
            offline: self.is_offline(),
        }
    }
}

/// Returns on which hosts others ask for a resource's name, in sentences.
fn contests(uid: &str, hosts: &[(&Name, &HostState)]) -> Vec<String> {
    let contested = hosts
        .iter()
        .filter_map(|(_, state)| state.contested.get(uid));
    let mut all: Vec<String> = contested.clone().take(MAX_CONTESTED).cloned().collect();
    let more = contested.count().saturating_sub(MAX_CONTESTED);
    if more > 0 {
        all.push(format!("and the same on {more} more hosts"));
    }
    all
}
