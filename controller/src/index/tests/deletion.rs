//! Deletions of hosts and resources, and their tombstones.

use super::*;

#[test]
fn a_deleted_host_is_not_written_to() {
    let mut world = World::of(1);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    world.take_in(WatchChange::Host(Seen::Deleted(ObjectMeta {
        name: Some("h1".to_owned()),
        namespace: Some(FLEET.to_owned()),
        ..ObjectMeta::default()
    })));
    assert_eq!(world.index.host_work(&at("h1")), None);
    // Nor is it waited for.
    world.network(&deleted(&web));
    world.index.set_lifecycle("uid-web", Lifecycle::Deleted);
    assert_eq!(
        world.work("uid-web").unwrap().steps,
        [ParentStep::RemoveFinalizer]
    );
}

#[test]
fn a_deletion_waits_for_its_lifecycle_and_then_for_no_host() {
    let mut world = World::of(3);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    world.report("h1", EntryState::Ready);
    world.dirty();

    world.network(&deleted(&web));
    let dirty = world.dirty();
    assert_eq!((dirty.hosts, dirty.now), (hosts([]), set(["uid-web"])));
    assert_eq!(
        world.work("uid-web").unwrap().steps,
        [ParentStep::DecideLifecycle]
    );

    world.index.set_lifecycle("uid-web", Lifecycle::Deleted);
    assert_eq!(world.dirty().hosts, hosts(["h1", "h3"]));
    world.work_on("h1");
    let steps = world.work("uid-web").unwrap().steps;
    assert!(
        matches!(steps[..], [ParentStep::WriteStatus(..)]),
        "{steps:?}"
    );
    world.work_on("h3");
    assert_eq!(world.dirty().now, set(["uid-web"]));
    assert_eq!(
        world.work("uid-web").unwrap().steps,
        [ParentStep::RemoveFinalizer]
    );
    let entry = world.assignment("h1").spec.entries.remove(0);
    assert_eq!(
        (entry.intent.known().unwrap(), entry.id.as_deref()),
        (Intent::Absent, Some("id-uid-web"))
    );

    // The resource is deleted, the tombstones stay until the agents are done.
    world.take_in(network_change(Seen::Deleted(deleted(&web).metadata)));
    world.settle();
    assert_eq!(
        world.intents("h3"),
        [("uid-web".to_owned(), Intent::Absent)]
    );
    world.report("h3", EntryState::Gone);
    assert_eq!(world.dirty().hosts, hosts(["h3"]));
    world.work_on("h3");
    assert_eq!(world.intents("h3"), []);
}

#[test]
fn a_cascaded_deletion_retains_every_object() {
    let mut world = World::of(1);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    world.network(&deleted(&web));
    world.index.set_lifecycle("uid-web", Lifecycle::Cascaded);
    world.settle();
    let entry = world.assignment("h1").spec.entries.remove(0);
    let Ok(EntrySpec::Absent(_, tombstone)) = EntrySpec::of(&entry) else {
        panic!("not a tombstone: {entry:?}");
    };
    assert_eq!(
        tombstone.policy,
        dockfleet_crds::policy::DeletionPolicy::Retain
    );
}

#[test]
fn a_deletion_waits_for_a_write_under_way() {
    let mut world = World::of(1);
    let web = network("web", "a");
    world.network(&web);
    let work = world.index.host_work(&at("h1")).unwrap();
    let HostCall::Write(assignment) = work.call else {
        panic!("nothing to write")
    };
    // The write is under way, and the resource is deleted.
    world.network(&deleted(&web));
    world.index.set_lifecycle("uid-web", Lifecycle::Deleted);
    let steps = world.work("uid-web").unwrap().steps;
    assert!(!steps.contains(&ParentStep::RemoveFinalizer), "{steps:?}");
    let written = world.written(*assignment);
    world
        .index
        .host_written(&at("h1"), work.asked_with, written);
    world.settle();
    assert_eq!(
        world.intents("h1"),
        [("uid-web".to_owned(), Intent::Absent)]
    );
    assert_eq!(
        world.work("uid-web").unwrap().steps,
        [ParentStep::RemoveFinalizer]
    );
}

#[test]
fn nothing_is_decided_after_a_failed_write_before_a_read() {
    let mut world = World::of(1);
    let web = network("web", "a");
    world.network(&web);
    let work = world.index.host_work(&at("h1")).unwrap();
    let HostCall::Write(assignment) = work.call else {
        panic!("nothing to write")
    };
    // No answer came, and yet the write was carried out.
    world.index.host_failed(&at("h1"));
    let carried_out = world.written(*assignment);
    world.network(&deleted(&web));
    world.index.set_lifecycle("uid-web", Lifecycle::Deleted);
    let work = world.index.host_work(&at("h1")).unwrap();
    assert_eq!(work.call, HostCall::ReadAssignment);
    assert!(
        !world
            .work("uid-web")
            .unwrap()
            .steps
            .contains(&ParentStep::RemoveFinalizer)
    );
    world
        .index
        .host_seen(&at("h1"), work.asked_with, Some(carried_out));
    world.settle();
    assert_eq!(
        world.intents("h1"),
        [("uid-web".to_owned(), Intent::Absent)]
    );
}

#[test]
fn an_assignment_older_than_its_agents_report_is_created_again_without_tombstones() {
    let mut world = World::of(1);
    let (web, old) = (network("web", "a"), network("old", "a"));
    world.network(&web);
    world.network(&old);
    world.settle();
    world.network(&deleted(&old));
    world.index.set_lifecycle("uid-old", Lifecycle::Deleted);
    world.settle();
    assert!(
        world
            .intents("h1")
            .contains(&("uid-old".to_owned(), Intent::Absent))
    );
    // The API server was restored: the agent has seen generation 7 of what is at 3 now.
    let mut assignment = world.assignment("h1");
    assignment.metadata.generation = Some(3);
    assignment.metadata.resource_version = Some(world.next_version());
    assignment.status = Some(dockfleet_crds::assignment::HostAssignmentStatus {
        observed_generation: Some(7),
        entries: Vec::new(),
    });
    world.take_in(super::WatchChange::Assignment(super::Seen::Applied(
        Box::new(assignment),
    )));
    let work = world.index.host_work(&at("h1")).unwrap();
    assert_eq!(
        work.call,
        HostCall::DeleteAssignment("uid-of-h1".to_owned())
    );
    world.index.host_seen(&at("h1"), work.asked_with, None);
    world.settle();
    assert_eq!(
        world.intents("h1"),
        [("uid-web".to_owned(), Intent::Present)]
    );
}
