use std::collections::BTreeMap;

use dockfleet_crds::assignment::HostAssignmentStatus;
use dockfleet_crds::condition::READY;
use dockfleet_crds::host::{DockerHostSpec, NamespacesFrom};
use dockfleet_crds::network::DockerNetworkSpec;
use dockfleet_crds::{DockerHost, DockerNetwork, EntryState, EntryStatus, HostAssignment, Intent};
use dockfleet_planner::assignment::Fate;
use dockfleet_planner::desired::Desired;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::core::PartialObjectMeta;
use serde_json::json;

use super::{Change, Dirty, HostCall, Index, ParentWork, Seen, Step};
use crate::parent::{FINALIZER, Parent};

const FLEET: &str = "dockfleet-hosts";

/// An index with an API server that gives versions and carries out what the index asks for.
struct World {
    index: Index,
    version: u64,
    writes: usize,
}

impl World {
    /// A fleet of hosts `h1`, `h2`... at sites `a` and `b` in turn, all allowing every namespace.
    fn of(hosts: usize) -> Self {
        let mut world = Self {
            index: Index::new("hub".to_owned()),
            version: 0,
            writes: 0,
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

    fn next_version(&mut self) -> Option<String> {
        self.version += 1;
        Some(self.version.to_string())
    }

    fn host(&mut self, name: &str, labels: &[(&str, &str)], from: NamespacesFrom) {
        let mut host = DockerHost::new(name, DockerHostSpec::default());
        host.metadata.namespace = Some(FLEET.to_owned());
        host.metadata.uid = Some(format!("uid-{name}"));
        host.metadata.labels = Some(map(labels));
        host.spec.allowed_namespaces.from = from;
        if from == NamespacesFrom::Selector {
            host.spec.allowed_namespaces.selector = Some(selector(&[("team", "web")]));
        }
        host.metadata.resource_version = self.next_version();
        self.take_in(Change::Host(Seen::Applied(Box::new(host))));
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
            _phantom: Default::default(),
        };
        self.take_in(Change::Namespace(Seen::Applied(Box::new(object))));
    }

    /// Applies a network of namespace `apps`, with a finalizer, as a watch would bring it.
    fn network(&mut self, network: &DockerNetwork) {
        let mut network = network.clone();
        network.metadata.resource_version = self.next_version();
        self.take_in(Change::Network(Seen::Applied(Box::new(network))));
    }

    fn take_in(&mut self, change: Change) {
        self.index.take_in(change);
    }

    fn dirty(&mut self) -> Dirty {
        self.index.take_dirty()
    }

    /// Does what the index asks for about hosts until it asks for nothing.
    fn settle(&mut self) {
        loop {
            let hosts = self.index.take_dirty().hosts;
            if hosts.is_empty() {
                return;
            }
            for host in hosts {
                self.work_on(&host);
            }
        }
    }

    fn work_on(&mut self, host: &str) {
        let Some(work) = self.index.host_work(host) else {
            return;
        };
        match work.call {
            HostCall::Write(assignment) => {
                let written = self.written(*assignment);
                self.index.host_written(host, work.asked_with, written);
            }
            HostCall::Look => panic!("nothing failed"),
        }
    }

    /// Carries out a write as the API server would.
    fn written(&mut self, mut assignment: HostAssignment) -> HostAssignment {
        self.writes += 1;
        let name = assignment.metadata.name.clone().unwrap();
        let known = self.index.hosts[&name].assignment.as_ref();
        assignment.status = known.and_then(|a| a.status.clone());
        assignment.metadata.uid = Some(format!("uid-of-{name}"));
        assignment.metadata.resource_version = self.next_version();
        assignment
    }

    fn assignment(&self, host: &str) -> HostAssignment {
        self.index.hosts[host].assignment.clone().unwrap()
    }

    fn intents(&self, host: &str) -> Vec<(String, Intent)> {
        let entries = self.assignment(host).spec.entries;
        entries.into_iter().map(|e| (e.uid, e.intent)).collect()
    }

    /// Has a host's agent report one state for all its entries.
    fn report(&mut self, host: &str, state: EntryState) {
        let mut assignment = self.assignment(host);
        let told = |e: &dockfleet_crds::Entry| EntryStatus {
            uid: e.uid.clone(),
            revision: e.revision.clone(),
            state,
            id: Some(format!("id-{}", e.uid)),
            ..EntryStatus::default()
        };
        let entries = assignment.spec.entries.iter().map(told).collect();
        assignment.status = Some(HostAssignmentStatus {
            observed_generation: Some(1),
            entries,
        });
        assignment.metadata.resource_version = self.next_version();
        self.take_in(Change::Assignment(Seen::Applied(Box::new(assignment))));
    }

    fn work(&self, uid: &str) -> Option<ParentWork> {
        self.index.parent_work(uid, &Time(Timestamp::UNIX_EPOCH))
    }

    fn ready(&self, uid: &str) -> (i64, i32, String) {
        let steps = self.work(uid).unwrap().steps;
        let status = steps.into_iter().find_map(|step| match step {
            Step::WriteStatus(status, _) => Some(status),
            _ => None,
        });
        let status = status.unwrap();
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

fn set<const N: usize>(names: [&str; N]) -> std::collections::BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn a_new_host_has_an_empty_assignment() {
    let mut world = World::of(0);
    world.host("h1", &[], NamespacesFrom::All);
    assert_eq!(world.dirty().hosts, set(["h1"]));
    world.work_on("h1");
    let assignment = world.assignment("h1");
    assert_eq!(assignment.spec.hub, "hub");
    assert_eq!(assignment.spec.entries, []);
    let owners = assignment.metadata.owner_references.unwrap();
    assert_eq!((owners.len(), owners[0].uid.as_str()), (1, "uid-h1"));
    assert_eq!(owners[0].block_owner_deletion, None);
}

#[test]
fn an_edit_of_one_resource_dirties_only_its_hosts() {
    let mut world = World::of(6);
    let (web, db) = (network("web", "a"), network("db", "b"));
    world.network(&web);
    world.network(&db);
    world.settle();
    assert_eq!(world.writes, 6);

    world.network(&edited(&web, |n| n.spec.internal = true));
    let dirty = world.dirty();
    assert_eq!(dirty.hosts, set(["h1", "h3", "h5"]));
    assert_eq!(dirty.now, set(["uid-web"]));
    assert_eq!(dirty.soon, set([]));
}

#[test]
fn an_edit_of_the_selector_dirties_the_hosts_before_and_after() {
    let mut world = World::of(4);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    world.network(&edited(&web, |n| {
        n.spec.host_selector = Some(selector(&[("site", "b")]))
    }));
    let dirty = world.dirty();
    assert_eq!(dirty.hosts, set(["h1", "h2", "h3", "h4"]));
    for host in &dirty.hosts {
        world.work_on(host);
    }
    assert_eq!(
        world.intents("h1"),
        [("uid-web".to_owned(), Intent::Absent)]
    );
    assert_eq!(
        world.intents("h2"),
        [("uid-web".to_owned(), Intent::Present)]
    );
}

#[test]
fn a_change_that_says_nothing_to_hosts_dirties_nothing() {
    let mut world = World::of(2);
    let mut web = network("web", "a");
    world.network(&web);
    world.settle();
    world.dirty();
    web.metadata.annotations = Some(map(&[("note", "text")]));
    world.network(&web);
    assert_eq!(world.dirty(), Dirty::default());
    world.host("h1", &[("site", "a")], NamespacesFrom::All);
    assert_eq!(world.dirty(), Dirty::default());
}

#[test]
fn a_report_touches_only_the_resources_it_speaks_differently_of() {
    let mut world = World::of(2);
    world.network(&network("web", "a"));
    world.network(&network("db", "a"));
    world.network(&network("other", "b"));
    world.settle();
    world.report("h1", EntryState::Pending);
    let dirty = world.dirty();
    assert_eq!((dirty.hosts, dirty.now), (set([]), set([])));
    assert_eq!(dirty.soon, set(["uid-db", "uid-web"]));

    let mut assignment = world.assignment("h1");
    let entries = &mut assignment.status.as_mut().unwrap().entries;
    entries
        .iter_mut()
        .find(|s| s.uid == "uid-web")
        .unwrap()
        .state = EntryState::Ready;
    assignment.metadata.resource_version = world.next_version();
    world.take_in(Change::Assignment(Seen::Applied(Box::new(assignment))));
    let dirty = world.dirty();
    assert_eq!((dirty.hosts, dirty.now), (set([]), set([])));
    assert_eq!(dirty.soon, set(["uid-web"]));
}

#[test]
fn a_late_watch_does_not_take_back_what_was_written() {
    let mut world = World::of(1);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    let before = world.assignment("h1");
    world.network(&edited(&web, |n| n.spec.internal = true));
    world.settle();
    let after = world.assignment("h1");
    assert_ne!(before.spec, after.spec);

    world.take_in(Change::Assignment(Seen::Applied(Box::new(before))));
    assert_eq!(world.assignment("h1"), after);
    assert!(world.dirty().hosts.is_empty());
    // Its own echo is nothing new either.
    world.take_in(Change::Assignment(Seen::Applied(Box::new(after.clone()))));
    assert_eq!(world.assignment("h1"), after);
    assert_eq!(world.dirty(), Dirty::default());
}

#[test]
fn what_somebody_else_writes_is_put_right() {
    let mut world = World::of(1);
    world.network(&network("web", "a"));
    world.settle();
    let good = world.assignment("h1");
    let mut bad = good.clone();
    bad.spec.entries.clear();
    bad.metadata.resource_version = world.next_version();
    world.take_in(Change::Assignment(Seen::Applied(Box::new(bad))));
    world.settle();
    assert_eq!(world.assignment("h1").spec, good.spec);
}

#[test]
fn a_list_after_a_restore_counts_though_its_versions_are_lower() {
    let mut world = World::of(1);
    world.network(&network("web", "a"));
    world.settle();
    let mut old = world.assignment("h1");
    old.spec.entries.clear();
    old.metadata.resource_version = Some("1".to_owned());
    world.take_in(Change::Assignment(Seen::ListBegins));
    world.take_in(Change::Assignment(Seen::Listed(Box::new(old))));
    world.take_in(Change::Assignment(Seen::ListEnds));
    assert_eq!(world.assignment("h1").spec.entries, []);
}

#[test]
fn what_is_written_during_a_list_survives_it() {
    let mut world = World::of(0);
    world.take_in(Change::Assignment(Seen::ListBegins));
    world.host("h1", &[], NamespacesFrom::All);
    world.settle();
    world.take_in(Change::Assignment(Seen::ListEnds));
    assert!(world.index.hosts["h1"].assignment.is_some());
}

#[test]
fn a_resource_that_is_missing_from_a_list_leaves_its_entries() {
    let mut world = World::of(2);
    world.network(&network("web", "a"));
    world.settle();
    world.writes = 0;
    world.take_in(Change::Network(Seen::ListBegins));
    world.take_in(Change::Network(Seen::ListEnds));
    assert!(world.index.parents.is_empty());
    for host in ["h1", "h2"] {
        assert_eq!(world.index.host_work(host), None);
    }
    assert_eq!(
        world.intents("h1"),
        [("uid-web".to_owned(), Intent::Present)]
    );
}

#[test]
fn a_host_that_goes_is_not_written_to() {
    let mut world = World::of(1);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    world.take_in(Change::Host(Seen::Deleted(ObjectMeta {
        name: Some("h1".to_owned()),
        ..ObjectMeta::default()
    })));
    assert_eq!(world.index.host_work("h1"), None);
    // Nor is it waited for.
    world.network(&deleted(&web));
    world.index.set_fate("uid-web", Fate::Deleted);
    assert_eq!(
        world.work("uid-web").unwrap().steps,
        [Step::RemoveFinalizer]
    );
}

#[test]
fn an_assignment_that_cannot_be_read_is_not_overwritten() {
    let mut world = World::of(1);
    let meta = ObjectMeta {
        name: Some("h1".to_owned()),
        ..ObjectMeta::default()
    };
    world.take_in(Change::Assignment(Seen::Unreadable(meta)));
    world.network(&network("web", "a"));
    assert_eq!(world.index.host_work("h1"), None);
    world.report("h1", EntryState::Ready);
    world.settle();
    assert_eq!(
        world.intents("h1"),
        [("uid-web".to_owned(), Intent::Present)]
    );
}

#[test]
fn no_entry_comes_before_the_finalizer() {
    let mut world = World::of(1);
    let mut web = network("web", "a");
    web.metadata.finalizers = None;
    web.status = None;
    world.network(&web);
    let dirty = world.dirty();
    assert_eq!((dirty.hosts, dirty.now), (set([]), set(["uid-web"])));
    let steps = world.work("uid-web").unwrap().steps;
    assert!(
        matches!(steps[..], [Step::WriteStatus(..), Step::AddFinalizer]),
        "{steps:?}"
    );
    assert_eq!(world.ready("uid-web"), (1, 0, "Progressing".to_owned()));

    web.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    world.network(&web);
    assert_eq!(world.dirty().hosts, set(["h1"]));
}

#[test]
fn a_resource_that_no_host_allows_says_so_without_a_finalizer() {
    let mut world = World::of(0);
    world.host("h1", &[("site", "a")], NamespacesFrom::Same);
    let mut web = network("web", "a");
    web.metadata.finalizers = None;
    world.network(&web);
    world.settle();
    assert_eq!(world.ready("uid-web"), (1, 0, "NotAllowed".to_owned()));
    assert_eq!(world.work("uid-web").unwrap().steps.len(), 1);
}

#[test]
fn labels_of_a_namespace_concern_the_hosts_that_ask_for_them() {
    let mut world = World::of(1);
    world.host("picky", &[("site", "a")], NamespacesFrom::Selector);
    world.network(&network("web", "a"));
    world.network(&network("db", "b"));
    world.settle();
    assert_eq!(world.intents("picky"), []);
    world.dirty();
    world.namespace("apps", &[("team", "web")]);
    let dirty = world.dirty();
    assert_eq!(dirty.hosts, set(["picky"]));
    assert_eq!(dirty.soon, set(["uid-web"]));
    world.work_on("picky");
    assert_eq!(
        world.intents("picky"),
        [("uid-web".to_owned(), Intent::Present)]
    );
    world.namespace("other", &[("team", "web")]);
    assert!(world.dirty().hosts.is_empty());
}

#[test]
fn a_deletion_waits_for_its_fate_and_then_for_no_host() {
    let mut world = World::of(3);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    world.report("h1", EntryState::Ready);
    world.dirty();

    world.network(&deleted(&web));
    let dirty = world.dirty();
    assert_eq!((dirty.hosts, dirty.now), (set([]), set(["uid-web"])));
    assert_eq!(world.work("uid-web").unwrap().steps, [Step::DecideFate]);

    world.index.set_fate("uid-web", Fate::Deleted);
    assert_eq!(world.dirty().hosts, set(["h1", "h3"]));
    world.work_on("h1");
    let steps = world.work("uid-web").unwrap().steps;
    assert!(matches!(steps[..], [Step::WriteStatus(..)]), "{steps:?}");
    world.work_on("h3");
    assert_eq!(world.dirty().now, set(["uid-web"]));
    assert_eq!(
        world.work("uid-web").unwrap().steps,
        [Step::RemoveFinalizer]
    );
    let entry = world.assignment("h1").spec.entries.remove(0);
    assert_eq!(
        (entry.intent, entry.id.as_deref()),
        (Intent::Absent, Some("id-uid-web"))
    );

    // The resource goes, the tombstones stay until the agents are done.
    world.take_in(Change::Network(Seen::Deleted(deleted(&web).metadata)));
    world.settle();
    assert_eq!(
        world.intents("h3"),
        [("uid-web".to_owned(), Intent::Absent)]
    );
    world.report("h3", EntryState::Gone);
    assert_eq!(world.dirty().hosts, set(["h3"]));
    world.work_on("h3");
    assert_eq!(world.intents("h3"), []);
}

#[test]
fn what_is_swept_away_is_retained_everywhere() {
    let mut world = World::of(1);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    world.network(&deleted(&web));
    world.index.set_fate("uid-web", Fate::SweptAway);
    world.settle();
    let entry = world.assignment("h1").spec.entries.remove(0);
    let Ok(Desired::Tombstone(tombstone)) = Desired::of(&entry) else {
        panic!("not a tombstone: {entry:?}");
    };
    assert_eq!(
        tombstone.policy,
        dockfleet_crds::policy::DeletionPolicy::Retain
    );
}

#[test]
fn a_write_under_way_holds_a_deletion_back() {
    let mut world = World::of(1);
    let web = network("web", "a");
    world.network(&web);
    let work = world.index.host_work("h1").unwrap();
    let HostCall::Write(assignment) = work.call else {
        panic!("nothing to write")
    };
    // The write is under way, and the resource is deleted.
    world.network(&deleted(&web));
    world.index.set_fate("uid-web", Fate::Deleted);
    let steps = world.work("uid-web").unwrap().steps;
    assert!(!steps.contains(&Step::RemoveFinalizer), "{steps:?}");
    let written = world.written(*assignment);
    world.index.host_written("h1", work.asked_with, written);
    world.settle();
    assert_eq!(
        world.intents("h1"),
        [("uid-web".to_owned(), Intent::Absent)]
    );
    assert_eq!(
        world.work("uid-web").unwrap().steps,
        [Step::RemoveFinalizer]
    );
}

#[test]
fn nothing_is_decided_after_a_failed_write_before_a_look() {
    let mut world = World::of(1);
    let web = network("web", "a");
    world.network(&web);
    let work = world.index.host_work("h1").unwrap();
    let HostCall::Write(assignment) = work.call else {
        panic!("nothing to write")
    };
    // No answer came, and yet the write was carried out.
    world.index.host_failed("h1");
    let carried_out = world.written(*assignment);
    world.network(&deleted(&web));
    world.index.set_fate("uid-web", Fate::Deleted);
    let work = world.index.host_work("h1").unwrap();
    assert_eq!(work.call, HostCall::Look);
    assert!(
        !world
            .work("uid-web")
            .unwrap()
            .steps
            .contains(&Step::RemoveFinalizer)
    );
    world
        .index
        .host_seen("h1", work.asked_with, Some(carried_out));
    world.settle();
    assert_eq!(
        world.intents("h1"),
        [("uid-web".to_owned(), Intent::Absent)]
    );
}

#[test]
fn an_old_report_does_not_make_a_new_generation_ready() {
    let mut world = World::of(1);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    world.report("h1", EntryState::Ready);
    assert_eq!(world.ready("uid-web"), (1, 1, "Ready".to_owned()));

    world.network(&edited(&web, |n| n.spec.internal = true));
    assert_eq!(world.ready("uid-web"), (2, 0, "Progressing".to_owned()));
    world.settle();
    assert_eq!(world.ready("uid-web"), (2, 0, "Progressing".to_owned()));
    world.report("h1", EntryState::Ready);
    assert_eq!(world.ready("uid-web"), (2, 1, "Ready".to_owned()));
}

#[test]
fn a_resource_made_anew_under_its_name_is_another_one() {
    let mut world = World::of(1);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    let mut again = web.clone();
    again.metadata.uid = Some("uid-again".to_owned());
    world.network(&again);
    world.settle();
    // The first one's entry stays, and its name with it: nothing says that it was deleted.
    assert_eq!(
        world.intents("h1"),
        [("uid-web".to_owned(), Intent::Present)]
    );
    assert_eq!(world.ready("uid-again"), (1, 0, "Conflict".to_owned()));
    // And a late word of the first one's end is not about the second.
    world.take_in(Change::Network(Seen::Deleted(web.metadata)));
    assert!(world.index.parents.contains_key("uid-again"));
}

#[test]
fn both_sides_of_a_contested_name_are_told() {
    let mut world = World::of(1);
    world.network(&network("web", "a"));
    world.settle();
    let mut rival = network("rival", "a");
    rival.spec.network_name = Some("web".to_owned());
    world.network(&rival);
    world.settle();
    assert_eq!(world.ready("uid-rival"), (1, 0, "Conflict".to_owned()));
    let told = |uid: &str| -> Vec<String> {
        let steps = world.work(uid).unwrap().steps;
        let notices = steps.into_iter().find_map(|step| match step {
            Step::WriteStatus(_, notices) => Some(notices),
            _ => None,
        });
        notices.unwrap().into_iter().map(|n| n.reason).collect()
    };
    assert_eq!(told("uid-rival"), ["Assigned", "Conflict"]);
    assert_eq!(told("uid-web"), ["Contested", "Assigned"]);
    // The name passes on when its owner is let go of.
    let web = deleted(&network("web", "a"));
    world.network(&web);
    world.index.set_fate("uid-web", Fate::Deleted);
    world.settle();
    assert_eq!(
        world.intents("h1"),
        [
            ("uid-rival".to_owned(), Intent::Present),
            ("uid-web".to_owned(), Intent::Absent)
        ]
    );
}

#[test]
fn a_volume_is_a_parent_too() {
    let mut world = World::of(1);
    let mut data = dockfleet_crds::DockerVolume::new("data", Default::default());
    data.spec.driver = dockfleet_crds::volume::LOCAL.to_owned();
    data.metadata = network("data", "a").metadata;
    data.spec.host_names = vec!["h1".to_owned()];
    data.metadata.resource_version = world.next_version();
    world.take_in(Change::Volume(Seen::Applied(Box::new(data))));
    world.settle();
    assert_eq!(
        world.intents("h1"),
        [("uid-data".to_owned(), Intent::Present)]
    );
    let work = world.work("uid-data").unwrap();
    assert!(matches!(work.parent, Parent::Volume(_)));
}
