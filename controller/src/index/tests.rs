//! The index, driven by changes and by an API server that does what it asks for.

mod brake;
mod changes;
mod cost;
mod credentials;
mod deletion;
mod fleet;
mod heartbeats;
mod host_drain;
mod prune;
mod request;
mod scan;
mod sharing;
mod stale_reports;
mod swarms;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::time::Duration;

use dockfleet_crds::assignment::{HostAssignmentStatus, Kind};
use dockfleet_crds::condition::READY;
use dockfleet_crds::host::{DockerHostSpec, NamespacesFrom};
use dockfleet_crds::network::DockerNetworkSpec;
use dockfleet_crds::{
    DockerHost, DockerNetwork, DockerVolume, EntryState, EntryStatus, HostAssignment, Intent,
    ResourceStatus,
};
use dockfleet_planner::assignment::Lifecycle;
use dockfleet_planner::brake::Limits;
use dockfleet_planner::desired::EntrySpec;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::core::PartialObjectMeta;
use serde_json::json;
use tokio::time::Instant;

use super::{
    CLEAN_FINALIZER, Dirty, HostCall, Index, IndexSettings, ParentStep, ParentWork, Seen,
    WatchChange,
};
use crate::kinds;
use crate::object::Name;
use crate::parent::FINALIZER;

fn network_change(seen: Seen<DockerNetwork>) -> WatchChange {
    WatchChange::Resource(Kind::DockerNetwork, seen.map(kinds::parent))
}

fn volume_change(seen: Seen<DockerVolume>) -> WatchChange {
    WatchChange::Resource(Kind::DockerVolume, seen.map(kinds::parent))
}

/// How long a host may send no heartbeat before it is offline.
const PERIOD: Duration = Duration::from_secs(150);
const PATIENCE: IndexSettings = IndexSettings {
    offline_after: PERIOD,
    limits: Limits {
        share: 50,
        resources: 10,
    },
    namespace_hold: Duration::from_hours(1),
};
const FLEET: &str = "dockfleet-hosts";

/// An index with an API server that gives versions and carries out what the index asks for.
struct World {
    index: Index,
    version: u64,
    writes: usize,
    /// What the API server answers about the lifecycle of deleted hosts.
    host_lifecycle: Lifecycle,
}

impl World {
    /// A fleet of hosts `h1`, `h2`... at sites `a` and `b` in turn, all allowing every namespace.
    fn of(hosts: usize) -> Self {
        let mut world = Self {
            index: Index::new("hub".to_owned(), FLEET.to_owned(), Instant::now(), PATIENCE),
            version: 0,
            writes: 0,
            host_lifecycle: Lifecycle::Deleted,
        };
        world.namespace("apps", &[]);
        for n in 1..=hosts {
            let site = if n % 2 == 1 { "a" } else { "b" };
            world.host(&format!("h{n}"), &[("site", site)], NamespacesFrom::All);
        }
        world.settle();
        world.writes = 0;
        world
    }

    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    fn host(&mut self, name: &str, labels: &[(&str, &str)], from: NamespacesFrom) {
        let Name { namespace, name } = at(name);
        let mut host = DockerHost::new(&name, DockerHostSpec::default());
        host.metadata.namespace = Some(namespace);
        host.metadata.uid = Some(format!("uid-{name}"));
        host.metadata.labels = Some(map(labels));
        host.spec.allowed_namespaces.from = from;
        if from == NamespacesFrom::Selector {
            host.spec.allowed_namespaces.selector = Some(selector(&[("team", "web")]));
        }
        self.write_host(host);
    }

    /// Brings a host as the watch would.
    fn write_host(&mut self, mut host: DockerHost) {
        host.metadata.resource_version = Some(self.next_version());
        self.take_in(WatchChange::Host(Seen::Applied(Box::new(host))));
    }

    fn namespace(&mut self, name: &str, labels: &[(&str, &str)]) {
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(map(labels)),
            ..ObjectMeta::default()
        };
        let object = PartialObjectMeta::<Namespace> {
            metadata,
            types: None,
            _phantom: PhantomData,
        };
        self.take_in(WatchChange::Namespace(Seen::Applied(Box::new(object))));
    }

    /// Applies a network of namespace `apps`, with a finalizer, as a watch would bring it.
    fn network(&mut self, network: &DockerNetwork) {
        let mut network = network.clone();
        network.metadata.resource_version = Some(self.next_version());
        self.take_in(network_change(Seen::Applied(Box::new(network))));
    }

    fn take_in(&mut self, change: WatchChange) {
        self.index.take_in(change);
    }

    fn dirty(&mut self) -> Dirty {
        Dirty {
            // A subject of its own, in `heartbeats`.
            heartbeats: BTreeSet::new(),
            ..self.index.take_dirty()
        }
    }

    /// Does what the index asks for about hosts until it asks for nothing.
    fn settle(&mut self) {
        loop {
            let hosts = self.index.take_dirty().hosts;
            if hosts.is_empty() {
                return;
            }
            for host in hosts {
                self.do_work(&host);
            }
        }
    }

    fn work_on(&mut self, host: &str) {
        self.do_work(&at(host));
    }

    fn do_work(&mut self, host: &Name) {
        let Some(work) = self.index.host_work(host) else {
            return;
        };
        match work.call {
            HostCall::Write(assignment) => {
                let written = self.written(*assignment);
                self.index.host_written(host, work.asked_with, written);
            }
            HostCall::DecideLifecycle(known) => {
                let lifecycle = self.host_lifecycle;
                self.index
                    .set_host_lifecycle(host, known.metadata.uid.as_deref(), lifecycle);
            }
            HostCall::AddFinalizer(mut known) => {
                let finalizers = known.metadata.finalizers.get_or_insert_default();
                finalizers.push(CLEAN_FINALIZER.to_owned());
                self.write_host(*known);
            }
            HostCall::RemoveFinalizer {
                host: mut known,
                discard,
                ..
            } => {
                if discard.is_some() {
                    let gone = self.assignment(&host.to_string()).metadata;
                    self.take_in(WatchChange::Assignment(Seen::Deleted(gone)));
                }
                known.metadata.finalizers = None;
                if known.metadata.deletion_timestamp.is_some() {
                    self.take_in(WatchChange::Host(Seen::Deleted(known.metadata)));
                } else {
                    self.write_host(*known);
                }
            }
            other => panic!("nothing failed, and it is to {other:?}"),
        }
    }

    /// Carries out a write as the API server would.
    fn written(&mut self, mut assignment: HostAssignment) -> HostAssignment {
        self.writes += 1;
        let name = Name::of(&assignment.metadata);
        let known = self.index.hosts[&name].assignment.as_ref();
        assignment.status = known.and_then(|a| a.status.clone());
        let before = known
            .and_then(|a| a.metadata.generation)
            .unwrap_or_default();
        assignment.metadata.generation = Some(before + 1);
        assignment.metadata.uid = Some(format!("uid-of-{}", name.name));
        assignment.metadata.resource_version = Some(self.next_version());
        assignment
    }

    fn assignment(&self, host: &str) -> HostAssignment {
        self.index.hosts[&at(host)].assignment.clone().unwrap()
    }

    fn intents(&self, host: &str) -> Vec<(String, Intent)> {
        let entries = self.assignment(host).spec.entries;
        entries
            .into_iter()
            .map(|e| (e.uid, e.intent.known().unwrap()))
            .collect()
    }

    /// Has a host's agent report one state for all its entries.
    fn report(&mut self, host: &str, state: EntryState) {
        let mut assignment = self.assignment(host);
        let report = |e: &dockfleet_crds::Entry| EntryStatus {
            uid: e.uid.clone(),
            revision: e.revision.clone(),
            state: state.into(),
            id: Some(format!("id-{}", e.uid)),
            ..EntryStatus::default()
        };
        let entries = assignment.spec.entries.iter().map(report).collect();
        assignment.status = Some(HostAssignmentStatus {
            observed_generation: assignment.metadata.generation,
            entries,
        });
        assignment.metadata.resource_version = Some(self.next_version());
        self.take_in(WatchChange::Assignment(Seen::Applied(Box::new(assignment))));
    }

    fn work(&self, uid: &str) -> Option<ParentWork> {
        self.index.next_work(uid, &Time(Timestamp::UNIX_EPOCH))?.0
    }

    fn status(&self, uid: &str) -> ResourceStatus {
        let steps = self.work(uid).unwrap().steps;
        let status = steps.into_iter().find_map(|step| match step {
            ParentStep::WriteStatus(status, _) => Some(status),
            _ => None,
        });
        status.unwrap().common
    }

    fn ready(&self, uid: &str) -> (i64, i32, String) {
        let status = self.status(uid);
        let ready = status.conditions.iter().find(|c| c.type_ == READY).unwrap();
        (
            status.observed_generation.unwrap(),
            status.hosts.ready,
            ready.reason.clone(),
        )
    }
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn selector(labels: &[(&str, &str)]) -> LabelSelector {
    LabelSelector {
        match_labels: Some(map(labels)),
        ..LabelSelector::default()
    }
}

/// A network of namespace `apps` for the hosts of a site, that the controller has put its
/// finalizer on and given conditions.
fn network(name: &str, site: &str) -> DockerNetwork {
    let mut network = DockerNetwork::new(name, DockerNetworkSpec::default());
    network.metadata.namespace = Some("apps".to_owned());
    network.metadata.uid = Some(format!("uid-{name}"));
    network.metadata.generation = Some(1);
    network.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    network.spec.host_selector = Some(selector(&[("site", site)]));
    let conditions = json!([{
        "type": "Ready", "status": "Unknown", "reason": "Progressing", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]);
    network.status = serde_json::from_value(json!({ "conditions": conditions })).unwrap();
    network
}

fn deleted(network: &DockerNetwork) -> DockerNetwork {
    let mut network = network.clone();
    network.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    network.metadata.generation = network.metadata.generation.map(|g| g + 1);
    network
}

fn edited(network: &DockerNetwork, edit: impl FnOnce(&mut DockerNetwork)) -> DockerNetwork {
    let mut network = network.clone();
    edit(&mut network);
    network.metadata.generation = network.metadata.generation.map(|g| g + 1);
    network
}

/// The name of a host: `NAMESPACE/NAME`, or one of the fleet's first namespace.
fn at(host: &str) -> Name {
    let (namespace, name) = host.split_once('/').unwrap_or((FLEET, host));
    Name {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn hosts<const N: usize>(names: [&str; N]) -> BTreeSet<Name> {
    names.into_iter().map(at).collect()
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}
