use dockfleet_crds::DockerHost;
use dockfleet_crds::swarm::{
    Managers, Quorum, SwarmClusterSpec, SwarmClusterStatus, SwarmHostOverride,
};
use dockfleet_crds::{Entry, EntryState, EntryStatus, Reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::*;
use crate::aggregate::HostView;
use crate::kinds::swarm::{DesiredMembership, MembershipDetail, ObservedMembership, Start};
use crate::resource::Resource;

/// What the agent of a host reports.
#[derive(Clone, Default)]
enum Says {
    /// Nothing yet.
    #[default]
    Nothing,
    /// It is in no swarm.
    Free,
    /// It is in somebody else's swarm.
    Foreign,
    /// It is in a swarm that it does not know, as this node.
    Unknown(&'static str),
    /// A worker with this node ID.
    Worker(&'static str),
    /// A manager with this node ID of the swarm `c`, and the nodes if it is the writer.
    Manager(&'static str, Vec<(&'static str, NodeStatus)>),
    /// A manager with this node ID that reaches no majority.
    Alone(&'static str),
    /// Its engine does not answer.
    NoEngine,
}

/// Three hosts and their swarm.
struct World {
    /// How often the tokens were rotated, as the managers say.
    reported_epoch: Option<i64>,
    cluster: SwarmCluster,
    hosts: Vec<(DockerHost, Says, bool)>,
}

impl World {
    fn new(count: i32) -> Self {
        let cluster = SwarmCluster {
            metadata: ObjectMeta {
                name: Some("prod".to_owned()),
                namespace: Some("dockfleet-hosts".to_owned()),
                uid: Some("uid-prod".to_owned()),
                ..ObjectMeta::default()
            },
            spec: SwarmClusterSpec {
                host_selector: Some(LabelSelector::default()),
                managers: Managers {
                    count,
                    ..Managers::default()
                },
                ..SwarmClusterSpec::default()
            },
            status: None,
        };
        let host = |name: &str| (crate::fixtures::host(name, &[]), Says::Nothing, false);
        Self {
            reported_epoch: None,
            cluster,
            hosts: ["h1", "h2", "h3"].map(host).into(),
        }
    }

    fn says(&mut self, host: usize, says: Says) -> &mut Self {
        self.hosts[host].1 = says;
        self
    }

    fn all_free(&mut self) -> &mut Self {
        for host in 0..3 {
            self.says(host, Says::Free);
        }
        self
    }

    /// Works out the next state, and records it.
    fn step(&mut self) -> SwarmState {
        let state = self.with_hosts(|hosts| next(&self.cluster, hosts));
        self.cluster.status = Some(SwarmClusterStatus {
            swarm: state.clone(),
            ..SwarmClusterStatus::default()
        });
        state
    }

    /// Returns what all hosts wait for.
    fn advice(&self) -> String {
        let state = recorded(&self.cluster);
        let waits = self.with_hosts(|hosts| waits_for(&self.cluster, state, hosts));
        waits.unwrap_or_default()
    }

    fn with_hosts<T>(&self, work: impl FnOnce(&[Host<'_>]) -> T) -> T {
        let entry = Entry {
            revision: "r".to_owned(),
            ..Entry::default()
        };
        let statuses: Vec<Option<EntryStatus>> =
            self.hosts.iter().map(|(_, says, _)| status(says)).collect();
        let reports: Vec<HostReport<'_>> = self
            .hosts
            .iter()
            .zip(&statuses)
            .map(|((host, _, offline), status)| HostReport {
                host,
                view: HostView {
                    host: host.metadata.name.as_deref().unwrap(),
                    entry: Some(&entry),
                    status: status.as_ref(),
                    refused: None,
                    offline: *offline,
                },
                swarm: None,
            })
            .collect();
        let mut hosts = hosts(&self.cluster, recorded(&self.cluster), &reports);
        for host in &mut hosts {
            host.detail.token_epoch = self.reported_epoch;
        }
        work(&hosts)
    }

    /// Renders the membership of a host, with the token if it needs it.
    fn rendered(&self, host: usize) -> DesiredMembership {
        let host = &self.hosts[host].0;
        let resource: &dyn Resource = &self.cluster;
        let token = resource.needs_credentials(host).then_some("v1");
        super::super::render::membership(&self.cluster, host, token)
    }
}

fn status(says: &Says) -> Option<EntryStatus> {
    let base = EntryStatus {
        revision: "r".to_owned(),
        ..EntryStatus::default()
    };
    let detail = |cluster: Option<&str>, node: &str, nodes: &[(&str, NodeStatus)]| {
        MembershipDetail {
            cluster: cluster.map(str::to_owned),
            address: cluster.map(|_| format!("{node}:2377")),
            nodes: nodes
                .iter()
                .map(|(id, status)| ((*id).to_owned(), (*status).into()))
                .collect(),
            ..MembershipDetail::default()
        }
        .fields()
    };
    Some(match says {
        Says::Nothing => return None,
        Says::Free => EntryStatus {
            reason: Some(Reason::Progressing.into()),
            ..base
        },
        Says::Foreign => EntryStatus {
            state: EntryState::Failed.into(),
            reason: Some(Reason::Conflict.into()),
            ..base
        },
        Says::Worker(node) => EntryStatus {
            id: Some((*node).to_owned()),
            ..base
        },
        Says::Manager(node, nodes) => EntryStatus {
            id: Some((*node).to_owned()),
            detail: detail(Some("c"), node, nodes),
            ..base
        },
        Says::Unknown(node) => EntryStatus {
            state: EntryState::Failed.into(),
            reason: Some(Reason::Conflict.into()),
            detail: MembershipDetail {
                node: Some((*node).to_owned()),
                ..MembershipDetail::default()
            }
            .fields(),
            ..base
        },
        Says::NoEngine => EntryStatus {
            reason: Some(Reason::EngineUnreachable.into()),
            ..base
        },
        Says::Alone(node) => EntryStatus {
            id: Some((*node).to_owned()),
            reason: Some(Reason::NoQuorum.into()),
            detail: MembershipDetail {
                lacks_quorum: true,
                address: Some(format!("{node}:2377")),
                ..MembershipDetail::default()
            }
            .fields(),
            ..base
        },
    })
}

fn states(state: &SwarmState) -> Vec<&str> {
    state.members.iter().map(|m| m.state.as_str()).collect()
}

fn roles(state: &SwarmState) -> Vec<&str> {
    state.members.iter().map(|m| m.role.as_str()).collect()
}

const LEADER: NodeStatus = NodeStatus::Leader;
const MANAGER: NodeStatus = NodeStatus::Manager;
const WORKER: NodeStatus = NodeStatus::Worker;

#[test]
fn i14_nobody_creates_the_swarm_before_every_host_says_that_it_is_in_none() {
    let mut world = World::new(1);
    world.says(0, Says::Free).says(1, Says::Free);
    assert_eq!(world.step().bootstrap, None);
    // The last one is offline, whatever it said before.
    world.says(2, Says::Free).hosts[2].2 = true;
    assert_eq!(world.step().bootstrap, None);
    assert_eq!(world.rendered(0).start, None);
    world.hosts[2].2 = false;
    let bootstrap = world.step().bootstrap.unwrap();
    assert_eq!(bootstrap.host, "h1");
    assert!(matches!(world.rendered(0).start, Some(Start::Init(_))));
    assert_eq!(world.rendered(1).start, None);
}

#[test]
fn i14_the_permission_stays_with_its_host() {
    let mut world = World::new(1);
    world.all_free().step();
    world.hosts[0].2 = true;
    let state = world.step();
    assert_eq!(state.bootstrap.unwrap().host, "h1");
    world.says(0, Says::Nothing);
    assert_eq!(world.step().bootstrap.unwrap().host, "h1");
    assert_eq!(world.rendered(1).start, None);
}

#[test]
fn i14_another_host_creates_the_swarm_only_if_somebody_gives_the_first_one_up() {
    let mut world = World::new(1);
    let first = world.all_free().step().bootstrap.unwrap();
    world.hosts[0].2 = true;
    let annotate = |world: &mut World, value: &str| {
        let annotations = [(ALLOW_CREATION.to_owned(), value.to_owned())];
        world.cluster.metadata.annotations = Some(annotations.into());
        world.step().bootstrap.unwrap()
    };
    assert_eq!(annotate(&mut world, "yes"), first);
    let second = annotate(&mut world, &first.attempt);
    assert_eq!(second.host, "h2");
    assert_ne!(second.attempt, first.attempt);
    assert_eq!(world.rendered(0).start, None);
    assert!(matches!(world.rendered(1).start, Some(Start::Init(_))));
    // The permission was for the first attempt, and is used up.
    assert_eq!(world.step().bootstrap.unwrap(), second);
}

#[test]
fn i14_no_host_creates_a_swarm_once_its_id_is_recorded() {
    let mut world = World::new(1);
    world.all_free().step();
    world.says(0, Says::Manager("n1", Vec::new()));
    let state = world.step();
    assert_eq!(state.cluster_id.as_deref(), Some("c"));
    // The host is reinstalled, and the whole swarm is gone with it.
    world.says(0, Says::Free);
    world.step();
    for host in 0..3 {
        assert_eq!(world.rendered(host).start, None, "host {host}");
    }
}

#[test]
fn i14_a_swarm_whose_record_was_lost_is_found_again() {
    let mut world = World::new(1);
    world
        .all_free()
        .says(1, Says::Manager("n2", vec![("n2", LEADER)]));
    let state = world.step();
    assert_eq!(state.cluster_id.as_deref(), Some("c"));
    assert_eq!(state.writer.as_deref(), Some("h2"));
    assert_eq!(
        world.rendered(0).start,
        Some(Start::Join("n2:2377".to_owned()))
    );
}

#[test]
fn the_others_join_as_workers_once_a_manager_can_be_reached() {
    let mut world = World::new(3);
    world.all_free().step();
    world.says(0, Says::Manager("n1", Vec::new())).step();
    // The writer has not reported the nodes yet; its address is enough to join.
    assert!(world.rendered(0).writer.unwrap().shares_token);
    let join = Some(Start::Join("n1:2377".to_owned()));
    assert_eq!(world.rendered(1).start, join);
    world.says(0, Says::Manager("n1", vec![("n1", LEADER)]));
    assert_eq!(states(&world.step()), ["Leader", "Joining", "Joining"]);
    // It has joined, and nobody has confirmed it: it does not join again.
    world.says(1, Says::Worker("n2"));
    assert_eq!(states(&world.step()), ["Leader", "Joining", "Joining"]);
    assert_eq!(world.rendered(1).start, None);
    let host = &world.hosts[1].0;
    assert_eq!(Resource::confirmed_id(&world.cluster, host), None);
    world.says(0, Says::Manager("n1", vec![("n1", LEADER), ("n2", WORKER)]));
    let state = world.step();
    assert_eq!(states(&state), ["Leader", "Worker", "Joining"]);
    assert_eq!(roles(&state), ["Manager", "Manager", "Worker"]);
    let host = &world.hosts[1].0;
    let confirmed = Resource::confirmed_id(&world.cluster, host);
    assert_eq!(confirmed.as_deref(), Some("n2"));
}

#[test]
fn i9_the_token_is_shared_only_while_somebody_joins() {
    let mut world = World::new(1);
    world.all_free().step();
    world
        .says(0, Says::Manager("n1", vec![("n1", LEADER)]))
        .step();
    assert!(world.rendered(0).writer.unwrap().shares_token);
    world
        .says(1, Says::Worker("n2"))
        .says(2, Says::Worker("n3"));
    world.step();
    assert!(!world.rendered(0).writer.unwrap().shares_token);
    assert_eq!(world.rendered(1).credentials, None);
    let resource: &dyn Resource = &world.cluster;
    assert_eq!(resource.credentials_secret(), None);
}

#[test]
fn i3_a_host_in_a_foreign_swarm_is_no_member() {
    let mut world = World::new(1);
    world.all_free().says(0, Says::Foreign);
    let state = world.step();
    assert_eq!(state.bootstrap.unwrap().host, "h2");
    world.says(1, Says::Manager("n2", vec![("n2", LEADER)]));
    assert_eq!(states(&world.step()), ["Foreign", "Leader", "Joining"]);
    assert_eq!(world.rendered(0).start, None);
}

/// A swarm with managers on all three hosts.
fn three_managers() -> World {
    let mut world = World::new(3);
    world.all_free().step();
    let nodes = vec![("n1", LEADER), ("n2", MANAGER), ("n3", MANAGER)];
    world.says(0, Says::Manager("n1", nodes));
    world.says(1, Says::Manager("n2", Vec::new()));
    world.says(2, Says::Manager("n3", Vec::new()));
    world.step();
    world.step();
    world
}

#[test]
fn another_manager_writes_when_the_writer_is_lost() {
    let mut world = three_managers();
    assert_eq!(world.step().writer.as_deref(), Some("h1"));
    world.hosts[0].2 = true;
    let state = world.step();
    assert_eq!(state.writer.as_deref(), Some("h2"));
    // Its nodes are not known before it has reported them.
    assert_eq!(states(&state), ["Leader", "Manager", "Manager"]);
    let nodes = vec![
        ("n1", NodeStatus::UnreachableManager),
        ("n2", LEADER),
        ("n3", MANAGER),
    ];
    world.says(1, Says::Manager("n2", nodes));
    let state = world.step();
    assert_eq!(states(&state), ["Unreachable", "Leader", "Manager"]);
    assert_eq!((state.managers, state.workers), (2, 0));
    // It stays a manager: nobody has given it up.
    assert_eq!(roles(&state), ["Manager", "Manager", "Manager"]);
    // The first one does not take over when it is back.
    world.hosts[0].2 = false;
    assert_eq!(world.step().writer.as_deref(), Some("h2"));
}

#[test]
fn fewer_managers_leave_the_writer_one() {
    let mut world = three_managers();
    world.cluster.spec.managers.count = 1;
    assert_eq!(roles(&world.step()), ["Manager", "Worker", "Worker"]);
}

#[test]
fn i1_a_host_that_nobody_told_to_leave_keeps_its_node() {
    let mut world = three_managers();
    world.cluster.spec.removed_hosts = RemovedHosts::Leave;
    // Its DockerHost is deleted.
    world.hosts.pop();
    let state = world.step();
    assert_eq!(states(&state), ["Leader", "Manager"]);
    assert!(state.removed_nodes.is_empty());
    assert!(!world.rendered(0).writer.unwrap().nodes.contains_key("n3"));
}

#[test]
fn i14_hosts_that_exchange_their_engines_exchange_their_nodes() {
    let worker = ObservedMembership {
        node: "n2".to_owned(),
        ..ObservedMembership::default()
    };
    let said = MembershipDetail::of(&DesiredMembership::default(), &worker);
    assert_eq!(said.node.as_deref(), Some("n2"));
    let mut world = three_managers();
    world.says(0, Says::Unknown("n2")).says(
        1,
        Says::Manager("n1", vec![("n1", LEADER), ("n2", WORKER), ("n3", MANAGER)]),
    );
    world.step();
    let state = world.step();
    assert_eq!(states(&state), ["Worker", "Leader", "Manager"]);
    assert!(state.removed_nodes.is_empty());
    let host = &world.hosts[0].0;
    let confirmed = Resource::confirmed_id(&world.cluster, host);
    assert_eq!(confirmed.as_deref(), Some("n2"));
}

#[test]
fn a_reinstalled_host_replaces_its_old_node() {
    let mut world = three_managers();
    world.says(2, Says::Free);
    let state = world.step();
    assert_eq!(states(&state), ["Leader", "Manager", "Joining"]);
    assert_eq!(state.removed_nodes, ["n3"]);
    assert_eq!(world.rendered(0).writer.unwrap().removed, ["n3"]);
    // The writer no longer lists it.
    let nodes = vec![("n1", LEADER), ("n2", MANAGER), ("n4", WORKER)];
    world
        .says(0, Says::Manager("n1", nodes))
        .says(2, Says::Worker("n4"));
    let state = world.step();
    assert_eq!(states(&state), ["Leader", "Manager", "Worker"]);
    assert!(state.removed_nodes.is_empty());
}

/// Three managers of which two are lost: the third one reaches nobody.
fn one_of_three() -> World {
    let mut world = three_managers();
    world.says(0, Says::Alone("n1"));
    world.hosts[1].2 = true;
    world.hosts[2].2 = true;
    world
}

impl World {
    fn quorum(&mut self) -> Quorum {
        self.step().quorum.unwrap().known().unwrap()
    }

    fn annotate(&mut self, value: &str) {
        let annotations = self.cluster.metadata.annotations.get_or_insert_default();
        annotations.insert(
            "dockfleet.io/force-new-cluster".to_owned(),
            value.to_owned(),
        );
    }
}

#[test]
fn a_lost_quorum_is_told_and_changes_nothing() {
    let mut world = one_of_three();
    let before = world.cluster.status.clone().unwrap().swarm;
    let state = world.step();
    assert_eq!(state.quorum, Some(Quorum::Lost.into()));
    assert_eq!(
        (&state.members, &state.writer),
        (&before.members, &before.writer)
    );
    assert_eq!((&state.recovery, state.given_up.len()), (&None, 0));
    assert!(!world.rendered(0).goes_on_alone);
    // Nobody joins meanwhile.
    assert_eq!(
        world.rendered(0).writer.map(|w| w.shares_token),
        Some(false)
    );
    let advice = world.advice();
    assert!(
        advice.contains("start the other managers again (h2, h3)"),
        "{advice}"
    );
    assert!(
        advice.contains("dockfleet.io/force-new-cluster=h1/c"),
        "{advice}"
    );
    // The others are back.
    world.hosts[1].2 = false;
    assert_eq!(world.quorum(), Quorum::Available);
}

#[test]
fn a_swarm_goes_on_alone_only_by_the_permission_for_this_host_and_this_swarm() {
    for (annotation, why) in [
        ("h1", "is not HOST/CLUSTERID"),
        ("h1/other", "it names swarm other, and this is swarm c"),
        ("h2/c", "h2 is not a manager that can be reached"),
    ] {
        let mut world = one_of_three();
        world.annotate(annotation);
        assert_eq!(world.step().recovery, None, "{annotation}");
        let advice = world.advice();
        assert!(advice.contains(why), "{advice}");
    }
    // Another manager that is there would form a majority with the lost ones.
    let mut world = one_of_three();
    world.hosts[1].2 = false;
    world.says(1, Says::Alone("n2"));
    world.annotate("h1/c");
    assert_eq!(world.step().recovery, None);
    let advice = world.advice();
    assert!(
        advice.contains("host h2 can be reached and is a manager too"),
        "{advice}"
    );
    // It has left.
    world.says(1, Says::Free);
    assert_eq!(world.step().recovery.unwrap().host, "h1");
}

#[test]
fn a_recovery_is_done_once_and_the_others_join_again() {
    let mut world = one_of_three();
    world.annotate("h1/c");
    let state = world.step();
    assert_eq!(state.recovery.unwrap().given_up, ["n2", "n3"]);
    assert!(world.rendered(0).goes_on_alone);
    // Nobody leaves before it is done.
    assert_eq!(world.rendered(1).given_up, None);
    assert!(!world.rendered(1).goes_on_alone);
    let nodes = vec![
        ("n1", LEADER),
        ("n2", NodeStatus::DownWorker),
        ("n3", NodeStatus::DownWorker),
    ];
    world.says(0, Says::Manager("n1", nodes.clone()));
    let state = world.step();
    assert!(state.recovery.unwrap().done);
    assert_eq!(state.given_up, ["n2", "n3"]);
    assert_eq!(state.quorum, Some(Quorum::Available.into()));
    assert_eq!(roles(&world.step()), ["Manager", "Worker", "Worker"]);
    // The permission is used: another loss needs another one.
    world.says(0, Says::Alone("n1"));
    world.step();
    assert!(!world.rendered(0).goes_on_alone);
    world.says(0, Says::Manager("n1", nodes));
    // A manager that comes back leaves, as the node that it was.
    world.hosts[1].2 = false;
    world.step();
    assert_eq!(world.rendered(1).given_up.as_deref(), Some("n2"));
    assert_eq!(world.rendered(0).given_up, None);
    world.says(1, Says::Free);
    let state = world.step();
    assert_eq!(
        (state.given_up, state.removed_nodes),
        (vec!["n3".to_owned()], vec!["n2".to_owned()])
    );
    assert_eq!(world.rendered(1).given_up, None);
    assert!(matches!(world.rendered(1).start, Some(Start::Join(_))));
    // Without the annotation it is forgotten.
    world.cluster.metadata.annotations = None;
    assert_eq!(world.step().recovery, None);
}

#[test]
fn nodes_have_the_settings_of_the_spec_and_of_the_first_override() {
    let mut world = three_managers();
    let labels = |pairs: &[(&str, &str)]| crate::fixtures::map(pairs);
    world.cluster.spec.availability = Some(Availability::Active);
    world.cluster.spec.node_labels = labels(&[("disk", "hdd"), ("site", "a")]);
    world.cluster.spec.advertise_address = Some("eth0".to_owned());
    world.cluster.spec.host_overrides = vec![SwarmHostOverride {
        host_names: vec!["h2".to_owned()],
        availability: Some(Availability::Drain),
        node_labels: labels(&[("disk", "ssd")]),
        advertise_address: Some("10.0.0.2".to_owned()),
        ..SwarmHostOverride::default()
    }];
    world.step();
    let nodes = world.rendered(0).writer.unwrap().nodes;
    let node = |id: &str| (nodes[id].availability.clone(), nodes[id].labels.clone());
    let all = labels(&[("disk", "hdd"), ("site", "a")]);
    assert_eq!(node("n1"), (Some(Availability::Active.into()), all));
    let special = labels(&[("disk", "ssd"), ("site", "a")]);
    assert_eq!(node("n2"), (Some(Availability::Drain.into()), special));
    let told = world.with_hosts(|hosts| warnings(&world.cluster, recorded(&world.cluster), hosts));
    assert_eq!(told, Vec::<String>::new());
    world.cluster.spec.host_overrides[0]
        .host_names
        .push("h9".to_owned());
    let told = world.with_hosts(|hosts| warnings(&world.cluster, recorded(&world.cluster), hosts));
    assert_eq!(
        told,
        ["hostOverrides names hosts that are not in this SwarmCluster: h9"]
    );
    let address = |host: usize| world.rendered(host).advertise_address;
    assert_eq!(address(0).as_deref(), Some("eth0"));
    assert_eq!(address(1).as_deref(), Some("10.0.0.2"));
}

#[test]
fn i4_a_host_whose_engine_does_not_answer_keeps_its_node() {
    let mut world = three_managers();
    world.says(2, Says::NoEngine);
    let state = world.step();
    assert_eq!(state.members[2].node_id.as_deref(), Some("n3"));
    assert!(state.removed_nodes.is_empty());
}

#[test]
fn tokens_are_rotated_on_request_and_after_a_host_has_left() {
    let mut world = three_managers();
    let epoch = |world: &World| world.rendered(0).writer.unwrap().settings.token_epoch;
    assert_eq!(epoch(&world), None);
    world.cluster.spec.token_rotation = Some("2026-12".to_owned());
    assert_eq!(world.step().token_epoch, 1);
    assert_eq!(world.step().token_epoch, 1);
    assert_eq!(epoch(&world), Some(1));
    // The request is withdrawn.
    world.cluster.spec.token_rotation = None;
    assert_eq!(world.step().token_epoch, 1);
    // A host has left.
    world.says(2, Says::Free);
    assert_eq!(world.step().token_epoch, 2);
    assert_eq!(world.step().token_epoch, 2);
}

#[test]
fn a_new_swarm_has_new_tokens() {
    let mut world = World::new(1);
    world.cluster.spec.token_rotation = Some("first".to_owned());
    world.all_free().step();
    world.says(0, Says::Manager("n1", vec![("n1", LEADER)]));
    world.step();
    assert_eq!(world.step().token_epoch, 0);
}

#[test]
fn managers_keep_the_unlock_key_if_they_lock() {
    let mut world = three_managers();
    assert!(!world.rendered(0).keeps_unlock_key);
    world.cluster.spec.auto_lock = Some(true);
    world.cluster.spec.managers.count = 1;
    assert!(world.rendered(1).keeps_unlock_key);
    let nodes = vec![("n1", LEADER), ("n2", WORKER), ("n3", MANAGER)];
    world.says(0, Says::Manager("n1", nodes)).step();
    assert!(world.rendered(0).keeps_unlock_key);
    assert!(!world.rendered(1).keeps_unlock_key);
    assert_eq!(
        world.rendered(0).writer.unwrap().settings.auto_lock,
        Some(true)
    );
}

#[test]
fn a_swarm_that_the_user_gives_is_taken_over_and_none_is_created() {
    let mut world = World::new(1);
    world.cluster.spec.adopt_cluster_id = Some("c".to_owned());
    world.all_free();
    let state = world.step();
    assert_eq!(
        (state.cluster_id.as_deref(), state.bootstrap),
        (Some("c"), None)
    );
    let entry = world.rendered(0);
    assert!(entry.adopts && entry.start.is_none());
    world.says(1, Says::Manager("n2", Vec::new()));
    world.says(2, Says::Unknown("n3"));
    assert_eq!(world.step().writer.as_deref(), Some("h2"));
    // Before a manager lists it, it may be in any swarm.
    assert_eq!(states(&world.step()), ["Joining", "Joining", "Foreign"]);
    let nodes = vec![("n2", LEADER), ("n3", MANAGER)];
    world.says(1, Says::Manager("n2", nodes));
    let state = world.step();
    assert_eq!(states(&state), ["Joining", "Leader", "Manager"]);
    assert_eq!(roles(&state), ["Worker", "Manager", "Worker"]);
    assert_eq!(state.members[2].node_id.as_deref(), Some("n3"));
    let resource: &dyn Resource = &world.cluster;
    assert_eq!(
        resource.confirmed_id(&world.hosts[2].0).as_deref(),
        Some("n3")
    );
    // The host that is in no swarm joins.
    assert!(matches!(world.rendered(0).start, Some(Start::Join(_))));
    // One in another swarm stays foreign.
    world.says(0, Says::Unknown("elsewhere"));
    assert_eq!(states(&world.step()), ["Foreign", "Leader", "Manager"]);
}

#[test]
fn managers_of_a_swarm_that_is_taken_over_stay_managers() {
    let mut world = World::new(3);
    world.cluster.spec.adopt_cluster_id = Some("c".to_owned());
    world.cluster.spec.managers.count = 1;
    world.step();
    world.says(0, Says::Unknown("n1"));
    world.says(1, Says::Manager("n2", Vec::new()));
    world.says(2, Says::Unknown("n3"));
    world.step();
    let nodes = vec![("n1", WORKER), ("n2", LEADER), ("n3", MANAGER)];
    world.says(1, Says::Manager("n2", nodes));
    world.cluster.spec.managers.count = 2;
    assert_eq!(roles(&world.step()), ["Worker", "Manager", "Manager"]);
}

#[test]
fn a_recovery_that_is_not_done_ends_when_the_others_are_back() {
    let mut world = one_of_three();
    world.annotate("h1/c");
    world.step();
    world.hosts[0].2 = true;
    world.hosts[1].2 = false;
    world.says(1, Says::Manager("n2", Vec::new()));
    let state = world.step();
    assert_eq!((state.recovery, state.given_up.len()), (None, 0));
    assert_eq!(world.rendered(1).given_up, None);
    // The first one is back, and does not reach the others yet.
    world.hosts[0].2 = false;
    world.step();
    assert!(!world.rendered(0).goes_on_alone);
}

#[test]
fn a_majority_that_comes_back_by_itself_is_no_recovery() {
    let mut world = one_of_three();
    world.annotate("h1/c");
    world.step();
    let nodes = vec![("n1", MANAGER), ("n2", LEADER), ("n3", MANAGER)];
    world.says(0, Says::Manager("n1", nodes));
    let state = world.step();
    assert_eq!((state.recovery, state.given_up.len()), (None, 0));
}

#[test]
fn a_permission_that_is_withdrawn_permits_nothing() {
    let mut world = one_of_three();
    world.annotate("h1/c");
    world.step();
    world.cluster.metadata.annotations = None;
    assert_eq!(world.step().recovery, None);
    assert!(!world.rendered(0).goes_on_alone);
}

#[test]
fn a_swarm_that_locks_does_not_go_on_alone() {
    let mut world = one_of_three();
    world.cluster.spec.auto_lock = Some(true);
    world.annotate("h1/c");
    assert_eq!(world.step().recovery, None);
    let advice = world.advice();
    assert!(
        advice.contains("an engine that locks cannot go on alone"),
        "{advice}"
    );
}

#[test]
fn a_manager_that_was_given_up_is_remembered_without_its_host() {
    let mut world = one_of_three();
    world.annotate("h1/c");
    world.step();
    let nodes = vec![("n1", LEADER), ("n2", NodeStatus::DownWorker)];
    world.says(0, Says::Manager("n1", nodes));
    world.step();
    let host = world.hosts.remove(1);
    world.step();
    assert_eq!(world.step().given_up, ["n2", "n3"]);
    // It is enrolled again, and its engine is as it was.
    world.hosts.insert(1, host);
    world.hosts[1].2 = false;
    world.step();
    assert_eq!(world.rendered(1).given_up.as_deref(), Some("n2"));
}

#[test]
fn the_number_of_rotations_goes_on_from_that_of_the_swarm() {
    let mut world = three_managers();
    world.reported_epoch = Some(4);
    world.cluster.spec.token_rotation = Some("now".to_owned());
    assert_eq!(world.step().token_epoch, 5);
}

#[test]
fn i1_hosts_that_exchange_their_engines_lose_no_node_meanwhile() {
    let mut world = three_managers();
    // The second one has not reported its new node yet.
    world.says(2, Says::Manager("n2", Vec::new()));
    assert!(world.step().removed_nodes.is_empty());
}

#[test]
fn a_manager_of_nobody_known_is_not_replaced_when_a_swarm_is_taken_over() {
    let mut world = World::new(2);
    world.cluster.spec.adopt_cluster_id = Some("c".to_owned());
    world.step();
    world.says(0, Says::Manager("n1", vec![]));
    world.says(1, Says::Unknown("n2"));
    world.step();
    let nodes = vec![("n1", LEADER), ("n2", WORKER), ("n3", MANAGER)];
    world.says(0, Says::Manager("n1", nodes));
    assert_eq!(roles(&world.step()), ["Manager", "Worker", "Worker"]);
    world.says(2, Says::Unknown("n3"));
    assert_eq!(roles(&world.step()), ["Manager", "Worker", "Manager"]);
}

#[test]
fn the_only_manager_stays_as_long_as_others_are_in_the_swarm() {
    let mut world = three_managers();
    let resource = |world: &World, host: usize| {
        let cluster: &dyn Resource = &world.cluster;
        cluster.is_needed_on(&world.hosts[host].0)
    };
    assert!(!resource(&world, 0));
    let nodes = vec![("n1", LEADER), ("n2", WORKER), ("n3", WORKER)];
    world.says(0, Says::Manager("n1", nodes));
    world.step();
    assert!(resource(&world, 0));
    assert!(!resource(&world, 1));
}

#[test]
fn a_host_is_forgotten_only_after_it_is_recorded_that_it_leaves() {
    let mut world = three_managers();
    let may_forget = |world: &World| {
        let cluster: &dyn Resource = &world.cluster;
        cluster.may_forget_on(&world.hosts[1].0)
    };
    assert!(!may_forget(&world));
    let members = &mut world.cluster.status.as_mut().unwrap().swarm.members;
    members[1].state = MemberState::Leaving.into();
    assert!(may_forget(&world));
    let members = &mut world.cluster.status.as_mut().unwrap().swarm.members;
    members.remove(1);
    assert!(may_forget(&world));
}
