//! Swarms: what people hear of them, and how they are counted.

use dockfleet_crds::host::{AgentFacts, DockerHostStatus};
use dockfleet_crds::swarm::SwarmClusterSpec;
use dockfleet_crds::{Reason, SwarmCluster};
use dockfleet_planner::credentials::CredentialEntry;
use dockfleet_planner::kinds::swarm::{MembershipDetail, NodeStatus};
use dockfleet_vitals::Registry;

use super::*;
use crate::index::SecretReading;
use crate::metrics::ControllerMetrics;

/// A swarm of all hosts of the fleet.
fn swarm() -> SwarmCluster {
    let spec = SwarmClusterSpec {
        host_selector: Some(LabelSelector::default()),
        ..SwarmClusterSpec::default()
    };
    let mut swarm = SwarmCluster::new("prod", spec);
    swarm.metadata.namespace = Some(FLEET.to_owned());
    swarm.metadata.uid = Some("uid-prod".to_owned());
    swarm.metadata.generation = Some(1);
    swarm.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    swarm
}

/// What an engine says of its swarm.
enum Says {
    Nothing,
    Free,
    Worker(&'static str),
    Manager(&'static str, Vec<(&'static str, NodeStatus)>),
}

impl Says {
    fn status(self, entry: &dockfleet_crds::Entry) -> Option<EntryStatus> {
        let base = EntryStatus {
            uid: entry.uid.clone(),
            revision: entry.revision.clone(),
            state: EntryState::Ready.into(),
            ..EntryStatus::default()
        };
        Some(match self {
            Self::Nothing => return None,
            Self::Free => EntryStatus {
                state: EntryState::Pending.into(),
                reason: Some(Reason::Progressing.into()),
                ..base
            },
            Self::Worker(node) => EntryStatus {
                id: Some(node.to_owned()),
                ..base
            },
            Self::Manager(node, nodes) => {
                let nodes = nodes.into_iter();
                let detail = MembershipDetail {
                    cluster: Some("c".to_owned()),
                    address: Some(format!("{node}:2377")),
                    nodes: nodes.map(|(id, s)| (id.to_owned(), s.into())).collect(),
                    ..MembershipDetail::default()
                };
                let detail = serde_json::to_value(detail).unwrap();
                EntryStatus {
                    id: Some(node.to_owned()),
                    detail: detail.as_object().cloned(),
                    ..base
                }
            }
        })
    }
}

impl World {
    /// Three hosts whose agents support swarms, and their swarm.
    fn with_swarm() -> (Self, SwarmCluster) {
        let mut world = Self::of(3);
        for host in ["h1", "h2", "h3"] {
            let mut object = world.index.hosts[&at(host)].host.clone().unwrap();
            let status = object.status.get_or_insert_with(DockerHostStatus::default);
            status.agent = Some(AgentFacts {
                kinds: vec!["SwarmCluster".to_owned()],
                ..AgentFacts::default()
            });
            world.write_host(object);
        }
        let swarm = swarm();
        world.apply_swarm(&swarm);
        (world, swarm)
    }

    fn apply_swarm(&mut self, swarm: &SwarmCluster) {
        let mut swarm = swarm.clone();
        swarm.metadata.resource_version = Some(self.next_version());
        let seen = Seen::Applied(Box::new(swarm));
        let change = WatchChange::Resource(Kind::SwarmCluster, seen.map(kinds::parent));
        self.take_in(change);
        self.settle();
        // That of the writer, which has not shared the token yet.
        self.index.secret_read(&at("h1"), SecretReading::Missing);
        self.settle();
    }

    /// Has the agents of `h1`, `h2`... report.
    fn say<const N: usize>(&mut self, all: [Says; N]) {
        for (n, says) in all.into_iter().enumerate() {
            let mut assignment = self.assignment(&format!("h{}", n + 1));
            let entry = assignment.spec.entries.first().unwrap();
            assignment.status = Some(HostAssignmentStatus {
                observed_generation: assignment.metadata.generation,
                entries: says.status(entry).into_iter().collect(),
            });
            assignment.metadata.resource_version = Some(self.next_version());
            self.take_in(WatchChange::Assignment(Seen::Applied(Box::new(assignment))));
        }
    }

    /// Writes the status of the swarm, and gives the events for it.
    fn write_swarm(&mut self, swarm: &mut SwarmCluster) -> Vec<String> {
        let steps = self.work("uid-prod").map_or_else(Vec::new, |w| w.steps);
        let written = steps.into_iter().find_map(|step| match step {
            ParentStep::WriteStatus(status, notices) => Some((status, notices)),
            _ => None,
        });
        let Some((status, notices)) = written else {
            return Vec::new();
        };
        let status = serde_json::to_value(&*status).unwrap();
        swarm.status = Some(serde_json::from_value(status).unwrap());
        self.apply_swarm(swarm);
        let said = |n: &crate::notice::Notice| format!("{}: {}", n.reason, n.note);
        notices.iter().map(said).collect()
    }

    /// The world after a restart of the controller, with what the API server has.
    fn restarted(&self, swarm: &SwarmCluster) -> Self {
        let mut world = Self {
            index: Index::new("hub".to_owned(), FLEET.to_owned(), Instant::now(), PATIENCE),
            version: self.version,
            writes: 0,
            host_lifecycle: Lifecycle::Deleted,
        };
        for state in self.index.hosts.values() {
            let (host, assignment) = (state.host.clone(), state.assignment.clone());
            world.take_in(WatchChange::Host(Seen::Applied(Box::new(host.unwrap()))));
            let assignment = Box::new(assignment.unwrap());
            world.take_in(WatchChange::Assignment(Seen::Applied(assignment)));
        }
        world.apply_swarm(swarm);
        world
    }
}

#[test]
fn people_hear_once_of_each_step_of_a_swarm() {
    use NodeStatus::{Leader, Worker};
    let (mut world, mut swarm) = World::with_swarm();
    assert_eq!(
        world.write_swarm(&mut swarm),
        ["Assigned: assigned to 3 hosts"]
    );
    world.say([Says::Free, Says::Free, Says::Nothing]);
    assert_eq!(world.write_swarm(&mut swarm), [""; 0]);
    world.say([Says::Free, Says::Free, Says::Free]);
    assert_eq!(
        world.write_swarm(&mut swarm),
        ["HostChosen: host h1 was chosen to create the swarm"]
    );
    world.say([Says::Manager("n1", Vec::new())]);
    assert_eq!(
        world.write_swarm(&mut swarm),
        ["SwarmCreated: host h1 created swarm c"]
    );
    let nodes = vec![("n1", Leader), ("n2", Worker), ("n3", Worker)];
    world.say([
        Says::Manager("n1", nodes),
        Says::Worker("n2"),
        Says::Worker("n3"),
    ]);
    // A write that fails is tried again, and nobody has heard anything.
    let mut lost = swarm.clone();
    let joined = "HostsJoined: 2 hosts (h2, h3) joined the swarm".to_owned();
    assert!(
        world
            .restarted(&swarm)
            .write_swarm(&mut lost)
            .contains(&joined)
    );
    assert!(world.write_swarm(&mut swarm).contains(&joined));
    assert!(!world.write_swarm(&mut swarm).contains(&joined));
    let said = world.restarted(&swarm).write_swarm(&mut swarm);
    assert!(!said.contains(&joined), "{said:?}");
}

#[test]
fn swarms_and_their_hosts_are_counted_by_state() {
    use NodeStatus::{DownWorker, Leader};
    let (mut world, mut swarm) = World::with_swarm();
    world.say([Says::Free, Says::Free, Says::Free]);
    world.write_swarm(&mut swarm);
    assert_eq!(
        world.index.census().members,
        BTreeMap::from([("Absent", 3)])
    );
    world.say([
        Says::Manager("n1", Vec::new()),
        Says::Worker("n2"),
        Says::Free,
    ]);
    world.write_swarm(&mut swarm);
    let nodes = vec![("n1", Leader), ("n2", DownWorker)];
    world.say([Says::Manager("n1", nodes), Says::Worker("n2"), Says::Free]);
    world.write_swarm(&mut swarm);

    let registry = Registry::new("test").unwrap();
    let metrics = ControllerMetrics::register(&registry).unwrap();
    let shown = || -> Vec<String> {
        let text = registry.text();
        let ours = |line: &&str| line.starts_with("dockfleet_controller_swarm");
        text.lines().filter(ours).map(str::to_owned).collect()
    };
    let zero: Vec<String> = shown();
    assert!(zero.iter().all(|line| line.ends_with(" 0")), "{zero:?}");
    metrics.count(&world.index.census());
    assert_eq!(
        shown(),
        [
            "dockfleet_controller_swarm_members{state=\"Absent\"} 0",
            "dockfleet_controller_swarm_members{state=\"Foreign\"} 0",
            "dockfleet_controller_swarm_members{state=\"Joining\"} 1",
            "dockfleet_controller_swarm_members{state=\"Leader\"} 1",
            "dockfleet_controller_swarm_members{state=\"Leaving\"} 0",
            "dockfleet_controller_swarm_members{state=\"Manager\"} 0",
            "dockfleet_controller_swarm_members{state=\"Unknown\"} 0",
            "dockfleet_controller_swarm_members{state=\"Unreachable\"} 1",
            "dockfleet_controller_swarm_members{state=\"Worker\"} 0",
            "dockfleet_controller_swarms{quorum=\"Available\"} 1",
            "dockfleet_controller_swarms{quorum=\"Lost\"} 0",
            "dockfleet_controller_swarms{quorum=\"NotCreated\"} 0",
            "dockfleet_controller_swarms{quorum=\"Unknown\"} 0",
        ]
    );
    metrics.count(&World::of(0).index.census());
    assert_eq!(shown(), zero);
}

/// Invariant 9: the entry names the token until it is taken from the Secret, so that a controller that was killed before
/// that is not the last one that knows of it.
#[test]
fn i9_a_token_is_taken_from_a_secret_after_a_restart_too() {
    use NodeStatus::{Leader, Worker};
    let (mut world, mut swarm) = World::with_swarm();
    world.write_swarm(&mut swarm);
    world.say([Says::Free, Says::Free, Says::Free]);
    world.write_swarm(&mut swarm);
    world.say([Says::Manager("n1", Vec::new())]);
    world.write_swarm(&mut swarm);
    let nodes = || vec![("n1", Leader), ("n2", Worker), ("n3", Worker)];
    world.say([Says::Manager("n1", nodes()), Says::Free, Says::Free]);
    world.write_swarm(&mut swarm);
    let token = CredentialEntry::of_token("SWMTKN-1-x");
    let version = token.version.clone();
    world
        .index
        .secret_read(&at("h1"), SecretReading::Token(token));
    world.settle();
    let names = |world: &World| {
        let entries = world.assignment("h2").spec.entries;
        let named = entries.first().unwrap().spec.get("credentials").cloned();
        named.and_then(|v| v.as_str().map(str::to_owned))
    };
    let put = world.index.secret_sync(&at("h2")).unwrap().put;
    assert_eq!(put.len(), 1);
    let had = BTreeMap::from([("uid-prod".to_owned(), version.clone())]);
    world.index.secret_synced(&at("h2"), had);
    world.settle();
    assert_eq!(names(&world), Some(version.clone()));

    world.say([
        Says::Manager("n1", nodes()),
        Says::Worker("n2"),
        Says::Worker("n3"),
    ]);
    world.write_swarm(&mut swarm);
    assert_eq!(names(&world), Some(version));
    let mut world = world.restarted(&swarm);
    // It looks first.
    let sync = world.index.secret_sync(&at("h2")).unwrap();
    assert!(sync.look && sync.take.is_empty());
    let had = BTreeMap::from([("uid-prod".to_owned(), "v".to_owned())]);
    world.index.secret_synced(&at("h2"), had);
    world.settle();
    let sync = world.index.secret_sync(&at("h2")).unwrap();
    assert_eq!(sync.take, BTreeSet::from(["uid-prod".to_owned()]));
    assert!(names(&world).is_some());
    world.index.secret_synced(&at("h2"), BTreeMap::new());
    world.settle();
    assert_eq!(names(&world), None);
    assert_eq!(world.index.secret_sync(&at("h2")), None);
    // One that never had a token is left alone.
    assert_eq!(world.index.secret_sync(&at("h1")), None);
}
