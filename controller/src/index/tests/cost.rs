//! What a change costs: as much as it touches, and no more where the fleet is larger.
//!
//! CPU times of this thread are compared with each other, so that it does not matter how fast the machine is
//! or what else it does. A fleet of a hundred times the size may make a change a few times slower (caches of
//! the processor, depth of the trees); what passed over the whole fleet would be a hundred times slower.

use dockfleet_crds::host::AgentFacts;
use rustix::time::{ClockId, clock_gettime};

use super::*;

/// Sizes that are compared, and how much slower a change may be in the large one.
const SMALL: usize = 100;
const LARGE: usize = 10_000;
const LIMIT: f64 = 10.0;
/// How often each change is repeated; the fastest counts, because other work takes the processor's caches.
const TRIES: usize = 15;

/// A fleet of hosts, ten of them at each site.
fn fleet(hosts: usize) -> World {
    let mut world = World::of(0);
    for n in 0..hosts {
        let site = format!("s{}", n / 10);
        world.host(
            &format!("h{n}"),
            &[("fleet", "all"), ("site", &site)],
            NamespacesFrom::All,
        );
    }
    world.settle();
    world
}

/// Returns the CPU time of this thread, in seconds.
fn cpu_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap().as_secs_f64()
}

/// Returns the seconds that the fastest of some tries takes.
fn fastest(mut change: impl FnMut(usize)) -> f64 {
    let times = (1..=TRIES).map(|n| {
        let begin = cpu_time();
        change(n);
        cpu_time() - begin
    });
    times.fold(f64::INFINITY, f64::min)
}

fn compare(what: &str, small: f64, large: f64) {
    let ratio = large / small;
    println!(
        "{what}: {:.0} µs, {:.0} µs, {ratio:.1} times",
        small * 1e6,
        large * 1e6
    );
    assert!(
        ratio < LIMIT,
        "{what} takes {ratio:.1} times as long in the larger fleet"
    );
}

/// Edits a network of one site.
fn edit(world: &mut World) -> f64 {
    let mut web = network("web", "s3");
    // Every host has the first of the two.
    web.spec.host_selector = Some(selector(&[("fleet", "all"), ("site", "s3")]));
    world.network(&web);
    world.settle();
    fastest(|n| {
        web = edited(&web, |w| w.spec.internal = n % 2 == 1);
        world.network(&web);
        assert_eq!(world.dirty().hosts.len(), 10);
    })
}

#[test]
fn an_edit_costs_as_much_as_it_has_hosts() {
    let [small, large] = [SMALL, LARGE].map(|hosts| edit(&mut fleet(hosts)));
    compare("an edit of a network of 10 hosts", small, large);
}

/// Moves a host between sites that have ten networks each.
fn relabel(sites: usize) -> f64 {
    let mut world = fleet(10);
    for n in 0..sites * 10 {
        world.network(&network(&format!("net{n}"), &format!("s{}", n / 10 + 1)));
    }
    world.settle();
    fastest(|n| {
        let site = format!("s{}", n % 5 + 1);
        world.host(
            "h3",
            &[("fleet", "all"), ("site", &site)],
            NamespacesFrom::All,
        );
        assert_eq!(world.dirty().hosts, hosts(["h3"]));
    })
}

#[test]
fn a_hosts_new_label_costs_as_much_as_it_has_resources() {
    let [small, large] = [SMALL, LARGE].map(|resources| relabel(resources / 10));
    compare("a host that gets 10 networks for others", small, large);
}

/// Has the agents of a fleet say who they are, once every host has its networks.
fn start(hosts: usize) -> f64 {
    let mut world = fleet(hosts);
    for n in 0..10 {
        let mut every = network(&format!("net{n}"), "");
        every.spec.host_selector = Some(LabelSelector::default());
        world.network(&every);
    }
    world.settle();
    fastest(|n| {
        let name = at(&format!("h{n}"));
        let mut host = world.index.hosts[&name].host.clone().unwrap();
        host.status.get_or_insert_default().agent = Some(AgentFacts::default());
        world.write_host(host);
        assert_eq!(world.dirty().hosts.len(), 1);
    })
}

#[test]
fn an_agent_that_starts_costs_the_same_in_every_fleet() {
    // Nothing here is as large as the assignments of 10,000 hosts.
    let [small, large] = [SMALL, LARGE / 5].map(start);
    compare("an agent that says who it is", small, large);
}

/// Returns what the status of a network of all hosts takes of each second in which hosts report.
fn status(hosts: usize) -> f64 {
    let mut world = fleet(hosts);
    let mut every = network("every", "");
    every.spec.host_selector = Some(LabelSelector::default());
    world.network(&every);
    let second = Duration::from_secs(1);
    let collected_for = world.index.collected_for("uid-every", second);
    let takes = fastest(|_| assert!(world.work("uid-every").is_some()));
    takes / collected_for.as_secs_f64()
}

#[test]
fn a_status_takes_no_more_of_a_second_in_a_large_fleet() {
    let [small, large] = [LARGE / 10, LARGE].map(status);
    compare("the status of a network, each second", small, large);
}

/// Deletes networks of a namespace, where some are being deleted already.
fn delete(resources: usize, going: usize) -> f64 {
    let mut world = World::of(0);
    let nth = |n: usize| network(&format!("net{n}"), "nowhere");
    let delete = |world: &mut World, n: usize| {
        world.network(&deleted(&nth(n)));
        world
            .index
            .set_lifecycle(&format!("uid-net{n}"), Lifecycle::Deleted);
    };
    for n in 0..resources {
        world.network(&nth(n));
    }
    for n in 0..going {
        delete(&mut world, n);
    }
    world.dirty();
    fastest(|n| {
        delete(&mut world, going + n);
        assert_eq!(world.dirty().now.len(), 1);
    })
}

#[test]
fn a_deletion_costs_the_same_in_every_namespace() {
    let [small, large] = [SMALL, LARGE].map(|resources| delete(resources, 0));
    compare("the deletion of one network of many", small, large);
    // What more than half are, is stopped.
    let [small, large] = [SMALL, LARGE].map(|resources| delete(resources, resources * 3 / 4));
    compare("the deletion of one network more", small, large);
}
