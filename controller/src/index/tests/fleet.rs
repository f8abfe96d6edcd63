//! Several namespaces of hosts, which come and go as such.

use super::*;

const LABEL: (&str, &str) = (dockfleet_crds::FLEET_LABEL, "true");

/// Two hosts of one name, one in a namespace of its own with that label or without.
fn twins(labels: &[(&str, &str)]) -> World {
    let mut world = World::of(1);
    world.namespace("site-b", labels);
    world.host("site-b/h1", &[("site", "a")], NamespacesFrom::All);
    world.network(&network("web", "a"));
    world.settle();
    world
}

#[test]
fn hosts_of_one_name_in_two_namespaces_are_two() {
    let mut world = twins(&[LABEL]);
    for host in ["h1", "site-b/h1"] {
        let present = [("uid-web".to_owned(), Intent::Present)];
        assert_eq!(world.intents(host), present, "{host}");
    }
    world.report("h1", EntryState::Ready);
    assert_eq!(world.ready("uid-web"), (1, 1, "Progressing".to_owned()));
    world.host("site-b/h1", &[("site", "a")], NamespacesFrom::Same);
    world.settle();
    let status = world.status("uid-web");
    assert_eq!((status.hosts.ready, status.hosts.failed), (1, 1));
    assert_eq!(status.failing[0].host, "site-b/h1");
}

#[test]
fn hosts_in_a_namespace_without_the_label_are_ignored() {
    for labels in [&[][..], &[(LABEL.0, "false")]] {
        let world = twins(labels);
        assert!(world.index.hosts[&at("site-b/h1")].assignment.is_none());
        assert_eq!(world.status("uid-web").hosts.desired, 1);
    }
}

#[test]
fn an_added_fleet_label_adds_the_hosts() {
    let mut world = twins(&[]);
    world.dirty();
    world.namespace("site-b", &[LABEL]);
    let dirty = world.dirty();
    assert_eq!(dirty.hosts, hosts(["site-b/h1"]));
    assert_eq!(dirty.soon, set(["uid-web"]));
    world.work_on("site-b/h1");
    let present = [("uid-web".to_owned(), Intent::Present)];
    assert_eq!(world.intents("site-b/h1"), present);
}

/// invariant 1.
#[test]
fn a_removed_fleet_label_is_no_permission() {
    let mut world = twins(&[LABEL]);
    let before = world.assignment("site-b/h1");
    world.namespace("site-b", &[]);
    world.settle();
    let web = network("web", "a");
    world.network(&deleted(&web));
    world.index.set_lifecycle("uid-web", Lifecycle::Deleted);
    world.settle();
    assert_eq!(world.assignment("site-b/h1"), before);
    // The deletion does not wait for that host, and the other one gets its tombstone.
    assert_eq!(
        world.work("uid-web").unwrap().steps,
        [ParentStep::RemoveFinalizer]
    );
    let absent = [("uid-web".to_owned(), Intent::Absent)];
    assert_eq!(world.intents("h1"), absent);

    // And that it comes back permits nothing either.
    world.take_in(network_change(Seen::Deleted(deleted(&web).metadata)));
    world.namespace("site-b", &[LABEL]);
    world.settle();
    let present = [("uid-web".to_owned(), Intent::Present)];
    assert_eq!(world.intents("site-b/h1"), present);
}

#[test]
fn a_deleted_namespace_is_no_fleet_namespace() {
    let mut world = twins(&[LABEL]);
    let before = world.assignment("site-b/h1");
    let meta = ObjectMeta {
        name: Some("site-b".to_owned()),
        ..ObjectMeta::default()
    };
    world.take_in(WatchChange::Namespace(Seen::Deleted(meta)));
    world.settle();
    assert_eq!(world.status("uid-web").hosts.desired, 1);
    assert_eq!(world.assignment("site-b/h1"), before);
}
