//! What is asked for about hosts and resources.

use super::*;

#[test]
fn a_new_host_has_an_empty_assignment() {
    let mut world = World::of(0);
    world.host("h1", &[], NamespacesFrom::All);
    assert_eq!(world.dirty().hosts, hosts(["h1"]));
    world.work_on("h1");
    let assignment = world.assignment("h1");
    assert_eq!(assignment.spec.hub, "hub");
    assert_eq!(assignment.spec.entries, []);
    let owners = assignment.metadata.owner_references.unwrap();
    assert_eq!((owners.len(), owners[0].uid.as_str()), (1, "uid-h1"));
    assert_eq!(owners[0].block_owner_deletion, None);
}

#[test]
fn a_foreign_change_of_an_assignment_is_reverted() {
    let mut world = World::of(1);
    world.network(&network("web", "a"));
    world.settle();
    let good = world.assignment("h1");
    let mut bad = good.clone();
    bad.spec.entries.clear();
    bad.metadata.resource_version = Some(world.next_version());
    world.take_in(WatchChange::Assignment(Seen::Applied(Box::new(bad))));
    world.settle();
    assert_eq!(world.assignment("h1").spec, good.spec);
}

#[test]
fn an_assignment_that_cannot_be_read_is_not_overwritten() {
    let mut world = World::of(1);
    let meta = ObjectMeta {
        name: Some("h1".to_owned()),
        namespace: Some(FLEET.to_owned()),
        ..ObjectMeta::default()
    };
    world.take_in(WatchChange::Assignment(Seen::Unreadable(meta)));
    world.network(&network("web", "a"));
    assert_eq!(world.index.host_work(&at("h1")), None);
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
    assert_eq!((dirty.hosts, dirty.now), (hosts([]), set(["uid-web"])));
    let steps = world.work("uid-web").unwrap().steps;
    assert!(
        matches!(
            steps[..],
            [ParentStep::WriteStatus(..), ParentStep::AddFinalizer]
        ),
        "{steps:?}"
    );
    assert_eq!(world.ready("uid-web"), (1, 0, "Progressing".to_owned()));

    web.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    world.network(&web);
    assert_eq!(world.dirty().hosts, hosts(["h1"]));
}

#[test]
fn a_resource_that_no_host_allows_has_a_status_and_no_finalizer() {
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
fn both_resources_get_a_warning_about_a_contested_name() {
    let mut world = World::of(1);
    world.network(&network("web", "a"));
    world.settle();
    let mut rival = network("rival", "a");
    rival.spec.network_name = Some("web".to_owned());
    world.network(&rival);
    world.settle();
    assert_eq!(world.ready("uid-rival"), (1, 0, "Conflict".to_owned()));
    let reasons = |uid: &str| -> Vec<String> {
        let steps = world.work(uid).unwrap().steps;
        let notices = steps.into_iter().find_map(|step| match step {
            ParentStep::WriteStatus(_, notices) => Some(notices),
            _ => None,
        });
        notices.unwrap().into_iter().map(|n| n.reason).collect()
    };
    assert_eq!(reasons("uid-rival"), ["Assigned", "Conflict"]);
    assert_eq!(reasons("uid-web"), ["Contested", "Assigned"]);
    // The name is free when the object of its owner is removed.
    let web = deleted(&network("web", "a"));
    world.network(&web);
    world.index.set_lifecycle("uid-web", Lifecycle::Deleted);
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
fn a_volume_is_assigned_as_a_network_is() {
    let mut world = World::of(1);
    let mut data = dockfleet_crds::DockerVolume::new(
        "data",
        dockfleet_crds::volume::DockerVolumeSpec::default(),
    );
    data.spec.driver = dockfleet_crds::volume::LOCAL.to_owned();
    data.metadata = network("data", "a").metadata;
    data.spec.host_names = vec!["h1".to_owned()];
    data.metadata.resource_version = Some(world.next_version());
    world.take_in(volume_change(Seen::Applied(Box::new(data))));
    world.settle();
    assert_eq!(
        world.intents("h1"),
        [("uid-data".to_owned(), Intent::Present)]
    );
    let work = world.work("uid-data").unwrap();
    assert_eq!(work.parent.kind(), Kind::DockerVolume);
}

#[test]
fn reports_are_collected_longer_for_a_resource_with_many_hosts() {
    let mut world = World::of(0);
    let mut every = network("every", "");
    every.spec.host_selector = Some(LabelSelector::default());
    world.network(&every);
    world.network(&network("web", "a"));
    let mut waits = Vec::new();
    for n in 1..=10_500 {
        world.host(&format!("h{n}"), &[("site", "b")], NamespacesFrom::All);
        if [1, 1_000, 2_500, 10_500].contains(&n) {
            let wait = |uid| {
                let wait = world.index.collected_for(uid, Duration::from_secs(1));
                wait.as_millis()
            };
            waits.push((wait("uid-every"), wait("uid-web")));
        }
    }
    assert_eq!(
        waits,
        [(1000, 1000), (1000, 1000), (2500, 1000), (10_000, 1000)]
    );
}
