use dockfleet_crds::swarm::{
    Bootstrap, Member, MemberState, SwarmClusterSpec, SwarmClusterStatus, SwarmHostOverride,
};

use dockfleet_crds::{EntryState, EntryStatus, Reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::*;
use crate::aggregate::HostView;
use crate::fixtures;
use crate::kinds::swarm::host::hosts;
use crate::resource::HostReport;

/// Hosts `h1` to `hN` with the addresses 10.0.0.1 to 10.0.0.N, and what each says about others.
struct World {
    cluster: SwarmCluster,
    hosts: Vec<DockerHost>,
    offline: BTreeSet<&'static str>,
    /// The hosts whose agents have not looked yet.
    silent: BTreeSet<&'static str>,
}

impl World {
    fn new(count: usize) -> Self {
        let host = |n: usize| {
            fixtures::networked_host(&format!("h{n}"), "eth0", &format!("10.0.0.{n}/24"), 1500)
        };
        let spec = SwarmClusterSpec {
            advertise_address: Some("eth0".to_owned()),
            ..SwarmClusterSpec::default()
        };
        Self {
            cluster: SwarmCluster {
                spec,
                ..SwarmCluster::default()
            },
            hosts: (1..=count).map(host).collect(),
            offline: BTreeSet::new(),
            silent: BTreeSet::new(),
        }
    }

    fn network(&mut self, host: usize) -> &mut HostNetwork {
        let status = self.hosts[host - 1].status.as_mut().unwrap();
        status.network.as_mut().unwrap()
    }

    /// Has a host report about another one, with the ports that are closed.
    fn tries(&mut self, from: usize, to: usize, closed: &[&str]) -> &mut PortCheck {
        let check = PortCheck {
            host: format!("h{to}"),
            address: format!("10.0.0.{to}"),
            closed: closed.iter().map(|p| (*p).to_owned()).collect(),
            clock_ahead_minutes: None,
        };
        let checks = &mut self.network(from).port_checks;
        checks.retain(|c| c.host != check.host);
        checks.push(check);
        checks.last_mut().unwrap()
    }

    /// Has every host report that it reaches every other one, but for these.
    fn all_try(&mut self, closed: impl Fn(usize, usize) -> Option<&'static str>) {
        let count = self.hosts.len();
        for from in 1..=count {
            for to in (1..=count).filter(|to| *to != from) {
                self.tries(from, to, closed(from, to).as_slice());
            }
        }
    }

    fn step(&mut self) -> BTreeMap<String, Preflight> {
        let free = EntryStatus {
            state: EntryState::Pending.into(),
            reason: Some(Reason::Progressing.into()),
            ..EntryStatus::default()
        };
        let reports: Vec<HostReport<'_>> = self
            .hosts
            .iter()
            .map(|host| HostReport {
                host,
                view: HostView {
                    host: name(host),
                    entry: None,
                    status: (!self.silent.contains(name(host))).then_some(&free),
                    refused: None,
                    offline: self.offline.contains(name(host)),
                },
                swarm: None,
            })
            .collect();
        let hosts = hosts(&self.cluster, recorded(&self.cluster), &reports);
        let all = of_all(&self.cluster, &hosts);
        let all: BTreeMap<String, Preflight> =
            all.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let member = |(host, preflight): (&String, &Preflight)| Member {
            host: host.clone(),
            state: MemberState::Absent.into(),
            preflight: Some(preflight.clone()),
            ..Member::default()
        };
        let swarm = SwarmState {
            members: all.iter().map(member).collect(),
            ..recorded(&self.cluster).clone()
        };
        self.cluster.status = Some(SwarmClusterStatus {
            swarm,
            ..SwarmClusterStatus::default()
        });
        all
    }

    fn failures(&mut self, host: usize) -> Vec<String> {
        self.step()[&format!("h{host}")].failures.clone()
    }

    fn passed(&mut self) -> Vec<String> {
        let passed = self.step().into_iter().filter(|(_, p)| p.passed);
        passed.map(|(name, _)| name).collect()
    }
}

#[test]
fn a_host_is_tried_by_the_three_after_it_and_passes_when_it_is_reached() {
    let mut world = World::new(5);
    let plan = world.step()["h4"].clone();
    assert_eq!(plan.address.as_deref(), Some("10.0.0.4"));
    assert_eq!(plan.tried_by, ["h5", "h1", "h2"]);
    assert!(!plan.passed);
    let desired = render(&world.cluster, &world.hosts[0]).unwrap();
    assert!(desired.answers);
    let tries: Vec<&str> = desired.tries.keys().map(String::as_str).collect();
    assert_eq!(tries, ["h3", "h4", "h5"]);
    assert_eq!(
        desired.waits.as_deref(),
        Some("waits until its ports are tried by h2, h3, h4")
    );

    world.all_try(|_, _| None);
    assert_eq!(world.passed().len(), 5);
    assert_eq!(render(&world.cluster, &world.hosts[0]), None);
    // It answers no more, and stays passed.
    world.all_try(|_, _| Some("2377/tcp"));
    assert_eq!(world.passed().len(), 5);
}

#[test]
fn one_host_alone_has_nothing_to_pass() {
    assert_eq!(World::new(1).passed(), ["h1"]);
}

#[test]
fn a_host_with_a_closed_port_is_the_only_one_that_does_not_join() {
    let mut world = World::new(5);
    world.all_try(|_, to| (to == 2).then_some("4789/udp"));
    assert_eq!(
        world.failures(2),
        ["4789/udp of this host (10.0.0.2) cannot be reached from h3, h4, h5"]
    );
    assert_eq!(world.passed(), ["h1", "h3", "h4", "h5"]);
    let waits = render(&world.cluster, &world.hosts[1]).unwrap().waits;
    assert!(
        waits
            .unwrap()
            .starts_with("does not join: 4789/udp of this host")
    );
}

#[test]
fn a_port_is_open_if_one_host_reaches_it() {
    let mut world = World::new(4);
    world.all_try(|from, _| (from == 3).then_some("7946/udp"));
    assert_eq!(world.passed().len(), 4);
}

#[test]
fn if_nobody_has_opened_a_port_nobody_joins() {
    let mut world = World::new(3);
    world.all_try(|_, _| Some("4789/udp"));
    assert_eq!(world.passed(), Vec::<String>::new());
    assert_eq!(
        world.failures(1),
        ["4789/udp of this host (10.0.0.1) cannot be reached from h2, h3"]
    );
    assert!(
        waits_for(recorded(&world.cluster))
            .unwrap()
            .contains("no host can create")
    );
    world.all_try(|_, _| None);
    assert_eq!(world.passed().len(), 3);
}

#[test]
fn between_two_hosts_the_one_that_was_not_reached_does_not_join() {
    let mut world = World::new(2);
    world.all_try(|_, to| (to == 1).then_some("2377/tcp"));
    assert_eq!(
        world.failures(1),
        ["2377/tcp of this host (10.0.0.1) cannot be reached from h2"]
    );
    assert_eq!(world.passed(), ["h2"]);
}

#[test]
fn one_report_is_enough_and_nobody_waits_for_the_others() {
    let mut world = World::new(4);
    assert_eq!(world.passed(), Vec::<String>::new());
    world.tries(1, 4, &[]);
    world.tries(2, 3, &["7946/tcp"]);
    assert_eq!(world.passed(), ["h4"]);
    assert_eq!(
        world.failures(3),
        ["7946/tcp of this host (10.0.0.3) cannot be reached from h2"]
    );
    world.tries(4, 3, &[]);
    assert_eq!(world.passed(), ["h3", "h4"]);
}

#[test]
fn only_a_host_that_is_known_to_be_in_no_swarm_answers() {
    let mut world = World::new(3);
    world.silent.insert("h1");
    world.all_try(|_, _| None);
    assert_eq!(world.passed(), ["h2", "h3"]);
    let desired = render(&world.cluster, &world.hosts[0]).unwrap();
    assert!(!desired.answers);
    assert_eq!(
        desired.waits.as_deref(),
        Some("waits until this host has reported that it is in no swarm")
    );
    world.silent.clear();
    assert_eq!(world.passed(), ["h1", "h2", "h3"]);
}

#[test]
fn what_is_known_of_a_host_that_goes_offline_stays() {
    let mut world = World::new(3);
    world.all_try(|_, to| (to == 2).then_some("4789/udp"));
    assert_eq!(world.passed(), ["h1", "h3"]);
    world.offline.extend(["h1", "h2"]);
    // Nobody is left who has tried it.
    assert_eq!(world.passed(), ["h1", "h3"]);
    assert_eq!(world.failures(2).len(), 1);
    let render = render(&world.cluster, &world.hosts[1]).unwrap();
    assert!(render.waits.unwrap().starts_with("does not join"));
}

#[test]
fn the_host_that_creates_the_swarm_and_a_suspended_swarm_are_left_alone() {
    let mut world = World::new(2);
    world.all_try(|_, _| None);
    assert_eq!(world.passed(), ["h1", "h2"]);
    let status = world.cluster.status.as_mut().unwrap();
    status.swarm.bootstrap = Some(Bootstrap {
        host: "h1".to_owned(),
        attempt: "a".to_owned(),
    });
    world.network(1).interfaces[0].addresses = vec!["10.0.0.9/24".to_owned()];
    assert_eq!(world.passed(), ["h1", "h2"]);

    let mut world = World::new(2);
    world.all_try(|_, _| None);
    world.cluster.spec.suspend = true;
    assert_eq!(world.passed(), Vec::<String>::new());
    assert!(!render(&world.cluster, &world.hosts[0]).unwrap().answers);
}

#[test]
fn a_host_opens_only_the_ports_that_it_needs() {
    let mut world = World::new(3);
    let is_one: &LabelSelector = &fixtures::selector(&[("manages", "yes")]);
    world.cluster.spec.managers.host_selector = Some(is_one.clone());
    world.all_try(|_, to| (to == 1).then_some("2377/tcp"));
    assert_eq!(world.passed().len(), 3);
    // The traffic between containers has another address.
    let mut world = World::new(2);
    world.cluster.spec.data_path_address = Some("eth1".to_owned());
    world.cluster.spec.data_path_port = Some(7789);
    world.all_try(|_, to| (to == 1).then_some("7789/udp"));
    assert_eq!(world.passed().len(), 2);
}

#[test]
fn a_report_about_another_address_does_not_count() {
    let mut world = World::new(2);
    world.all_try(|_, _| None);
    assert_eq!(world.passed().len(), 2);
    world.network(1).interfaces[0].addresses = vec!["10.0.0.9/24".to_owned()];
    assert_eq!(world.passed(), ["h2"]);
}

#[test]
fn clocks_and_missing_interfaces_are_failures() {
    let mut world = World::new(3);
    world.all_try(|_, _| None);
    world.tries(2, 1, &[]).clock_ahead_minutes = Some(-120);
    world.tries(3, 1, &[]).clock_ahead_minutes = Some(-120);
    assert_eq!(
        world.failures(1),
        ["the clock of this host is about 120 minutes behind that of h2"]
    );
    world.cluster.spec.host_overrides = vec![SwarmHostOverride {
        host_names: vec!["h3".to_owned()],
        advertise_address: Some("bond0".to_owned()),
        ..SwarmHostOverride::default()
    }];
    assert_eq!(
        world.failures(3),
        [
            "advertiseAddress is bond0, and the host has no such interface with an address; it has eth0 (10.0.0.3/24)"
        ]
    );
    let told = warning(recorded(&world.cluster)).unwrap();
    assert!(
        told.starts_with("host h1 does not join: the clock"),
        "{told}"
    );
}

#[test]
fn a_port_that_is_in_use_is_not_tried() {
    let mut world = World::new(2);
    world.all_try(|_, to| (to == 2).then_some("4789/udp"));
    world.network(2).ports_in_use = vec!["4789/udp".to_owned()];
    assert_eq!(world.passed(), ["h1", "h2"]);
}

#[test]
fn agents_that_cannot_take_part_are_left_alone() {
    let mut world = World::new(3);
    world.hosts[1].status.as_mut().unwrap().network = None;
    let old = &mut world.hosts[2].status.as_mut().unwrap().agent;
    old.as_mut().unwrap().features.clear();
    assert_eq!(world.passed(), ["h1"]);
    assert_eq!(world.step().len(), 1);
    world.cluster.spec.preflight = PreflightPolicy::Skip;
    assert_eq!(world.step().len(), 0);
}
