//! Requests to look again.

use dockfleet_planner::request::{REQUESTED_AT, mark};

use super::*;

fn asking(network: &DockerNetwork, value: &str) -> DockerNetwork {
    let mut network = network.clone();
    network.metadata.annotations = Some(map(&[(REQUESTED_AT, value)]));
    network
}

/// Has a host's agent report that it has looked again, and that all is well.
fn look(world: &mut World, host: &str) {
    let mut assignment = world.assignment(host);
    let report = |e: &dockfleet_crds::Entry| EntryStatus {
        uid: e.uid.clone(),
        revision: e.revision.clone(),
        state: EntryState::Ready.into(),
        handled: e.request.clone(),
        ..EntryStatus::default()
    };
    assignment.status = Some(HostAssignmentStatus {
        observed_generation: assignment.metadata.generation,
        entries: assignment.spec.entries.iter().map(report).collect(),
    });
    assignment.metadata.resource_version = Some(world.next_version());
    world.take_in(WatchChange::Assignment(Seen::Applied(Box::new(assignment))));
}

#[test]
fn a_reconcile_request_is_handled_when_every_host_has_observed_it() {
    let mut world = World::of(3);
    let web = network("web", "a");
    world.network(&web);
    world.network(&network("other", "b"));
    world.settle();
    for host in ["h1", "h2", "h3"] {
        look(&mut world, host);
    }
    world.dirty();

    let asked = asking(&web, "now");
    world.network(&asked);
    let dirty = world.index.take_dirty();
    assert_eq!(dirty.hosts, hosts(["h1", "h3"]));
    for host in ["h1", "h3"] {
        world.work_on(host);
        let entry = world.assignment(host).spec.entries.remove(0);
        assert_eq!(entry.request, mark(&asked.metadata));
    }
    // What is known of it stays known.
    assert_eq!(world.ready("uid-web"), (1, 2, "Ready".to_owned()));
    look(&mut world, "h1");
    assert_eq!(world.status("uid-web").last_handled_reconcile_at, None);
    look(&mut world, "h3");
    assert!(world.dirty().soon.contains("uid-web"));
    let handled = world.status("uid-web").last_handled_reconcile_at;
    assert_eq!(handled.as_deref(), Some("now"));
    world.settle();
    world.network(&asked);
    assert_eq!(world.dirty(), Dirty::default(), "no new request");
}
