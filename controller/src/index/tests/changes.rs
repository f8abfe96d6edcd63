//! Which keys a change makes dirty, and which versions of an object count.

use super::*;

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
    assert_eq!(dirty.hosts, hosts(["h1", "h3", "h5"]));
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
        n.spec.host_selector = Some(selector(&[("site", "b")]));
        let allowed = (dockfleet_planner::brake::ALLOW_REMOVAL, "2-2");
        n.metadata.annotations = Some(map(&[allowed]));
    }));
    let dirty = world.dirty();
    assert_eq!(dirty.hosts, hosts(["h1", "h2", "h3", "h4"]));
    for host in &dirty.hosts {
        world.do_work(host);
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
fn a_change_without_effect_on_hosts_makes_nothing_dirty() {
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
fn a_report_makes_only_the_resources_dirty_whose_status_changed() {
    let mut world = World::of(2);
    world.network(&network("web", "a"));
    world.network(&network("db", "a"));
    world.network(&network("other", "b"));
    world.settle();
    world.report("h1", EntryState::Pending);
    let dirty = world.dirty();
    assert_eq!((dirty.hosts, dirty.now), (hosts([]), set([])));
    assert_eq!(dirty.soon, set(["uid-db", "uid-web"]));

    let mut assignment = world.assignment("h1");
    let entries = &mut assignment.status.as_mut().unwrap().entries;
    entries
        .iter_mut()
        .find(|s| s.uid == "uid-web")
        .unwrap()
        .state = EntryState::Ready.into();
    assignment.metadata.resource_version = Some(world.next_version());
    world.take_in(WatchChange::Assignment(Seen::Applied(Box::new(assignment))));
    let dirty = world.dirty();
    assert_eq!((dirty.hosts, dirty.now), (hosts([]), set([])));
    assert_eq!(dirty.soon, set(["uid-web"]));
}

#[test]
fn a_late_watch_event_does_not_replace_a_newer_write() {
    let mut world = World::of(1);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    let before = world.assignment("h1");
    world.network(&edited(&web, |n| n.spec.internal = true));
    world.settle();
    let after = world.assignment("h1");
    assert_ne!(before.spec, after.spec);

    world.take_in(WatchChange::Assignment(Seen::Applied(Box::new(before))));
    assert_eq!(world.assignment("h1"), after);
    assert!(world.dirty().hosts.is_empty());
    // Its own echo is nothing new either.
    world.take_in(WatchChange::Assignment(Seen::Applied(Box::new(
        after.clone(),
    ))));
    assert_eq!(world.assignment("h1"), after);
    assert_eq!(world.dirty(), Dirty::default());
}

#[test]
fn a_list_after_a_restore_counts_though_its_versions_are_lower() {
    let mut world = World::of(1);
    world.network(&network("web", "a"));
    world.settle();
    let mut old = world.assignment("h1");
    old.spec.entries.clear();
    old.metadata.resource_version = Some("1".to_owned());
    world.take_in(WatchChange::Assignment(Seen::ListBegins));
    world.take_in(WatchChange::Assignment(Seen::Listed(Box::new(old))));
    world.take_in(WatchChange::Assignment(Seen::ListEnds));
    assert_eq!(world.assignment("h1").spec.entries, []);
}

#[test]
fn what_is_written_during_a_list_survives_it() {
    let mut world = World::of(0);
    world.take_in(WatchChange::Assignment(Seen::ListBegins));
    world.host("h1", &[], NamespacesFrom::All);
    world.settle();
    world.take_in(WatchChange::Assignment(Seen::ListEnds));
    assert!(world.index.hosts[&at("h1")].assignment.is_some());
}

#[test]
fn a_resource_that_is_missing_from_a_list_leaves_its_entries() {
    let mut world = World::of(2);
    world.network(&network("web", "a"));
    world.settle();
    world.writes = 0;
    world.take_in(network_change(Seen::ListBegins));
    world.take_in(network_change(Seen::ListEnds));
    assert!(world.index.parents.is_empty());
    for host in ["h1", "h2"] {
        assert_eq!(world.index.host_work(&at(host)), None);
    }
    assert_eq!(
        world.intents("h1"),
        [("uid-web".to_owned(), Intent::Present)]
    );
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
    assert_eq!(dirty.hosts, hosts(["picky"]));
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
fn a_resource_created_again_under_its_name_is_a_new_resource() {
    let mut world = World::of(1);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    let mut again = web.clone();
    again.metadata.uid = Some("uid-again".to_owned());
    world.network(&again);
    world.settle();
    // The first one's entry keeps its name: no deletion was observed.
    assert_eq!(
        world.intents("h1"),
        [("uid-web".to_owned(), Intent::Present)]
    );
    assert_eq!(world.ready("uid-again"), (1, 0, "Conflict".to_owned()));
    // A late deletion event of the first one does not count for the second.
    world.take_in(network_change(Seen::Deleted(web.metadata)));
    assert!(world.index.parents.contains_key("uid-again"));
}

#[test]
fn a_start_resets_no_status() {
    let mut world = World::of(2);
    world.network(&network("web", "a"));
    world.settle();
    world.report("h1", EntryState::Ready);

    let mut again = World::of(0);
    again.version = world.version;
    again.host("h1", &[("site", "a")], NamespacesFrom::All);
    let assignment = Box::new(world.assignment("h1"));
    again.take_in(WatchChange::Assignment(Seen::Listed(assignment)));
    again.network(&network("web", "a"));
    again.index.look_at_all();
    assert_eq!(again.ready("uid-web"), (1, 1, "Ready".to_owned()));
    assert_eq!(again.index.host_work(&at("h1")), None);
}
