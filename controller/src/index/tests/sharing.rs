//! Two DockerHosts whose agents report one engine.

use dockfleet_crds::Reason;
use dockfleet_crds::condition::STALLED;
use dockfleet_crds::host::{DockerHostStatus, EngineFacts};
use dockfleet_crds::policy::HostRemovalPolicy;
use dockfleet_planner::assignment::Refusal;

use super::*;

/// An engine whose agent reports its identity.
fn engine(id: &str, hostname: &str) -> EngineFacts {
    EngineFacts {
        id: Some(id.to_owned()),
        hostname: Some(hostname.to_owned()),
        data_root: Some("/var/lib/docker".to_owned()),
        ..EngineFacts::default()
    }
}

/// Has the agent of a host report its engine.
fn report_engine(world: &mut World, host: &str, engine: EngineFacts) {
    let mut object = world.index.hosts[&at(host)].host.clone().unwrap();
    let created = if host == "h1" { 2 } else { 1 };
    object.metadata.creation_timestamp = Some(Time(Timestamp::from_second(created).unwrap()));
    let status = object.status.get_or_insert_with(DockerHostStatus::default);
    status.engine = Some(engine);
    world.write_host(object);
}

/// Two hosts with one network, `h3` the older one.
fn pair() -> World {
    let mut world = World::of(3);
    world.network(&network("web", "a"));
    world.settle();
    world
}

fn is_paused(world: &World, host: &str) -> bool {
    world.assignment(host).spec.paused
}

fn refused(world: &World, host: &str) -> BTreeMap<String, Refusal> {
    world.index.hosts[&at(host)].refused.clone()
}

#[test]
fn the_younger_of_two_hosts_with_one_engine_keeps_what_it_has_and_gets_nothing() {
    let mut world = pair();
    let before = world.assignment("h1").spec.entries;
    report_engine(&mut world, "h1", engine("one", "m"));
    report_engine(&mut world, "h3", engine("one", "m"));
    world.settle();
    assert!(is_paused(&world, "h1") && !is_paused(&world, "h3"));
    world.network(&network("more", "a"));
    world.settle();
    assert_eq!(world.assignment("h1").spec.entries, before);
    assert_eq!(world.intents("h3").len(), 2);
    let refused = refused(&world, "h1");
    assert_eq!(refused.keys().collect::<Vec<_>>(), ["uid-more", "uid-web"]);
    let refusal = refused.into_values().next().unwrap();
    assert_eq!(refusal.reason, Reason::EngineShared);
    let said = "hosts h3 and h1 are one engine (ID one, machine m, data in /var/lib/docker); h1 \
                keeps what it has, and nothing is changed by it.";
    assert!(refusal.message.starts_with(said), "{}", refusal.message);
    let status = world.status("uid-web");
    assert_eq!((status.hosts.desired, status.hosts.failed), (2, 1));
}

#[test]
fn a_host_is_stalled_while_it_shares_its_engine() {
    let mut world = pair();
    let stalled = |world: &World| {
        let state = &world.index.hosts[&at("h1")];
        state.sharing_condition().map(|v| (v.type_, v.reason))
    };
    report_engine(&mut world, "h1", engine("one", "m"));
    assert_eq!(stalled(&world), None);
    world.index.take_dirty();
    report_engine(&mut world, "h3", engine("one", "m"));
    let dirty = world.index.take_dirty();
    assert!(dirty.heartbeats.contains(&at("h1")));
    assert!(dirty.hosts.contains(&at("h1")));
    let shared = Some((STALLED, "EngineShared".to_owned()));
    assert_eq!(stalled(&world), shared);
    report_engine(&mut world, "h3", engine("two", "m"));
    assert_eq!(stalled(&world), None);
}

#[test]
fn the_younger_host_continues_when_the_older_one_is_deleted_or_has_another_engine() {
    for is_deleted in [true, false] {
        let mut world = pair();
        report_engine(&mut world, "h1", engine("one", "m"));
        report_engine(&mut world, "h3", engine("one", "m"));
        world.settle();
        world.network(&network("more", "a"));
        world.settle();
        if is_deleted {
            let meta = world.index.hosts[&at("h3")].host.clone().unwrap().metadata;
            world.take_in(WatchChange::Host(Seen::Deleted(meta)));
        } else {
            report_engine(&mut world, "h3", engine("two", "m"));
        }
        world.settle();
        assert!(!is_paused(&world, "h1"));
        assert_eq!(world.intents("h1").len(), 2);
        assert_eq!(refused(&world, "h1"), BTreeMap::new());
    }
}

#[test]
fn machines_that_were_copied_and_older_agents_are_engines_of_their_own() {
    let silent = || EngineFacts {
        version: "29.1".to_owned(),
        ..EngineFacts::default()
    };
    for (first, second) in [
        (engine("one", "m"), engine("one", "n")),
        (engine("one", "m"), engine("two", "m")),
        (engine("one", "m"), silent()),
        (silent(), silent()),
    ] {
        let mut world = pair();
        report_engine(&mut world, "h1", first);
        report_engine(&mut world, "h3", second);
        world.settle();
        assert!(!is_paused(&world, "h1") && !is_paused(&world, "h3"));
    }
}

/// invariant 7.
#[test]
fn a_deletion_does_not_wait_for_a_host_that_shares_its_engine() {
    let mut world = pair();
    report_engine(&mut world, "h1", engine("one", "m"));
    report_engine(&mut world, "h3", engine("one", "m"));
    world.settle();
    world.network(&deleted(&network("web", "a")));
    world.index.set_lifecycle("uid-web", Lifecycle::Deleted);
    world.settle();
    let absent = [("uid-web".to_owned(), Intent::Absent)];
    assert_eq!(
        (world.intents("h1"), is_paused(&world, "h1")),
        (absent.to_vec(), true)
    );
    assert_eq!(
        world.work("uid-web").unwrap().steps,
        [ParentStep::RemoveFinalizer]
    );
}

/// invariant 1: what is on the engine is the other host's too.
#[test]
fn a_host_that_shares_its_engine_is_not_drained() {
    let mut world = pair();
    let mut host = world.index.hosts[&at("h1")].host.clone().unwrap();
    host.spec.removal = HostRemovalPolicy::Clean;
    world.write_host(host);
    report_engine(&mut world, "h1", engine("one", "m"));
    report_engine(&mut world, "h3", engine("one", "m"));
    world.settle();
    let before = world.assignment("h1").spec.entries;
    let mut host = world.index.hosts[&at("h1")].host.clone().unwrap();
    host.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    world.write_host(host);
    assert_eq!(world.assignment("h1").spec.entries, before);
    world.settle();
    assert!(!world.index.hosts.contains_key(&at("h1")));
    assert!(!is_paused(&world, "h3"));
    assert_eq!(world.intents("h3").len(), 1);
}
