//! Changes that would remove many objects at once wait for permission.

use dockfleet_crds::condition::STALLED;
use dockfleet_crds::network::DockerNetworkStatus;
use dockfleet_planner::brake::ALLOW_REMOVAL;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn nowhere(network: &DockerNetwork) -> DockerNetwork {
    edited(network, |n| {
        n.spec.host_selector = Some(selector(&[("site", "typo")]));
    })
}

pub(super) fn allowing(network: &DockerNetwork, value: &str) -> DockerNetwork {
    let mut network = network.clone();
    network.metadata.annotations = Some(map(&[(ALLOW_REMOVAL, value)]));
    network
}

/// What a resource is stopped with.
pub(super) fn stopped(world: &World, uid: &str) -> Option<String> {
    let status = world.status(uid);
    let mut conditions = status.conditions.iter();
    conditions
        .find(|c| c.type_ == STALLED && c.reason == "RemovalBraked")
        .map(|c| c.message.clone())
}

fn count(world: &World, host: &str, intent: Intent) -> usize {
    let intents = world.intents(host);
    intents.iter().filter(|(_, i)| *i == intent).count()
}

#[test]
fn a_selector_that_loses_every_host_waits_for_permission() {
    let mut world = World::of(6);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    let typo = nowhere(&web);
    world.network(&typo);
    world.settle();
    for host in ["h1", "h3", "h5"] {
        assert_eq!(count(&world, host, Intent::Present), 1, "{host}");
    }
    let said = stopped(&world, "uid-web").unwrap();
    assert!(
        said.starts_with("3 of 3 hosts are no longer selected"),
        "{said}"
    );
    assert!(said.contains("dockfleet.io/allow-removal=2-3"), "{said}");

    // A permission for something else is none.
    for value in ["1-3", "2-2", "true"] {
        world.network(&allowing(&typo, value));
        world.settle();
        assert_eq!(count(&world, "h1", Intent::Present), 1, "{value}");
    }
    world.network(&allowing(&typo, "2-3"));
    world.settle();
    for host in ["h1", "h3", "h5"] {
        assert_eq!(count(&world, host, Intent::Absent), 1, "{host}");
    }
}

#[test]
fn a_corrected_selector_releases_the_brake() {
    let mut world = World::of(6);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    let writes = world.writes;
    let typo = nowhere(&web);
    world.network(&typo);
    world.settle();
    assert!(stopped(&world, "uid-web").is_some());
    world.network(&edited(&typo, |n| {
        n.spec.host_selector = web.spec.host_selector.clone();
    }));
    world.settle();
    assert_eq!(stopped(&world, "uid-web"), None);
    assert_eq!(world.writes, writes);
}

#[test]
fn a_moved_resource_is_added_to_its_new_hosts_and_kept_on_the_old_ones() {
    let mut world = World::of(6);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    world.network(&edited(&web, |n| {
        n.spec.host_selector = Some(selector(&[("site", "b")]));
    }));
    world.settle();
    for host in ["h1", "h2", "h3", "h4", "h5", "h6"] {
        assert_eq!(count(&world, host, Intent::Present), 1, "{host}");
    }
    // More hosts in total do not make the loss smaller.
    world.host("h7", &[("site", "b")], NamespacesFrom::All);
    world.settle();
    assert!(stopped(&world, "uid-web").is_some());
}

#[test]
fn one_host_and_changes_that_remove_nothing_need_no_permission() {
    let mut world = World::of(1);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    world.network(&nowhere(&web));
    world.settle();
    assert_eq!(count(&world, "h1", Intent::Absent), 1);

    let mut world = World::of(6);
    let mut web = network("web", "a");
    web.spec.deletion_policy = dockfleet_crds::policy::DeletionPolicy::Retain;
    world.network(&web);
    world.settle();
    world.network(&nowhere(&web));
    world.settle();
    assert_eq!(count(&world, "h1", Intent::Absent), 1);
}

#[test]
fn one_deletion_needs_no_permission_and_does_not_wait() {
    let mut world = World::of(6);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    world.network(&deleted(&web));
    world.index.set_lifecycle("uid-web", Lifecycle::Deleted);
    world.settle();
    assert_eq!(count(&world, "h1", Intent::Absent), 1);
}

/// Networks of one namespace, each with a name of its own.
fn many(world: &mut World, count: usize) -> Vec<DockerNetwork> {
    let all: Vec<_> = (0..count)
        .map(|n| network(&format!("n{n:02}"), "a"))
        .collect();
    for network in &all {
        world.network(network);
    }
    world.settle();
    all
}

fn delete(world: &mut World, network: &DockerNetwork, lifecycle: Lifecycle) {
    world.network(&deleted(network));
    let uid = network.metadata.uid.clone().unwrap();
    world.index.set_lifecycle(&uid, lifecycle);
    world.settle();
}

fn wait(world: &mut World, seconds: u64) {
    let now = Instant::now() + Duration::from_secs(seconds);
    world.index.tick(now);
    world.settle();
}

#[test]
fn many_successive_deletions_stop_before_the_first_removal() {
    let mut world = World::of(1);
    let all = many(&mut world, 20);
    for network in &all {
        delete(&mut world, network, Lifecycle::Deleted);
    }
    wait(&mut world, 10);
    assert_eq!(count(&world, "h1", Intent::Present), 20);
    assert_eq!(world.index.stopped(), 20);
    let said = stopped(&world, "uid-n07").unwrap();
    assert!(
        said.starts_with("20 of 20 resources of namespace apps"),
        "{said}"
    );
    assert!(
        said.contains("dockernetwork/n07 dockfleet.io/allow-removal=uid-n07"),
        "{said}"
    );

    // An allowed one continues, and the others wait, however few they are.
    for network in &all[..15] {
        let uid = network.metadata.uid.clone().unwrap();
        world.network(&allowing(&deleted(network), &uid));
    }
    world.settle();
    assert_eq!(count(&world, "h1", Intent::Absent), 15);
    for network in &all[..15] {
        world.take_in(network_change(Seen::Deleted(network.metadata.clone())));
    }
    delete(&mut world, &all[19], Lifecycle::Deleted);
    wait(&mut world, 20);
    assert_eq!(count(&world, "h1", Intent::Present), 5);
}

#[test]
fn few_deletions_of_many_resources_continue_after_the_wait() {
    let mut world = World::of(1);
    let all = many(&mut world, 20);
    delete(&mut world, &all[0], Lifecycle::Deleted);
    assert_eq!(count(&world, "h1", Intent::Absent), 0);
    wait(&mut world, 10);
    assert_eq!(count(&world, "h1", Intent::Absent), 1);
}

#[test]
fn a_deleted_namespace_with_many_resources_waits_for_permission_but_not_for_ever() {
    let going = |allowed: bool| {
        let mut world = World::of(1);
        let all = many(&mut world, 20);
        for network in &all {
            delete(&mut world, network, Lifecycle::Cascaded);
        }
        assert_eq!(count(&world, "h1", Intent::Present), 20);
        assert!(
            stopped(&world, "uid-n00")
                .unwrap()
                .contains("kubectl annotate --overwrite namespace/apps")
        );
        if allowed {
            namespace_goes(&mut world, &[(ALLOW_REMOVAL, "uid-apps")]);
        }
        world
    };
    let world = going(true);
    assert_eq!(count(&world, "h1", Intent::Absent), 20);
    let mut world = going(false);
    wait(&mut world, 3500);
    assert_eq!(count(&world, "h1", Intent::Present), 20);
    wait(&mut world, 3700);
    assert_eq!(count(&world, "h1", Intent::Absent), 20);
}

/// Namespace `apps` is being deleted, with these annotations.
fn namespace_goes(world: &mut World, annotations: &[(&str, &str)]) {
    let metadata = ObjectMeta {
        name: Some("apps".to_owned()),
        uid: Some("uid-apps".to_owned()),
        annotations: Some(map(annotations)),
        deletion_timestamp: Some(Time(Timestamp::UNIX_EPOCH)),
        ..ObjectMeta::default()
    };
    let object = PartialObjectMeta::<Namespace> {
        metadata,
        types: None,
        _phantom: PhantomData,
    };
    world.take_in(WatchChange::Namespace(Seen::Applied(Box::new(object))));
    world.settle();
}

#[test]
fn a_stopped_deletion_is_retained_when_its_namespace_is_deleted() {
    let mut world = World::of(1);
    let all = many(&mut world, 20);
    for network in &all {
        delete(&mut world, network, Lifecycle::Deleted);
    }
    wait(&mut world, 10);
    assert_eq!(world.index.stopped(), 20);
    namespace_goes(&mut world, &[]);
    for network in &all {
        let uid = network.metadata.uid.clone().unwrap();
        assert_eq!(
            world.work(&uid).unwrap().steps,
            [ParentStep::DecideLifecycle]
        );
        world.index.set_lifecycle(&uid, Lifecycle::Cascaded);
    }
    wait(&mut world, 3700);
    for entry in world.assignment("h1").spec.entries {
        let Ok(EntrySpec::Absent(_, tombstone)) = EntrySpec::of(&entry) else {
            panic!("not a tombstone: {entry:?}");
        };
        assert_eq!(
            tombstone.policy,
            dockfleet_crds::policy::DeletionPolicy::Retain
        );
    }
}

#[test]
fn a_restarted_controller_continues_to_wait() {
    let mut world = World::of(6);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    let mut typo = nowhere(&web);
    world.network(&typo);
    world.settle();
    typo.status = Some(DockerNetworkStatus {
        resource: world.status("uid-web"),
        overlay: None,
    });

    let mut again = World::of(0);
    again.version = world.version;
    again.network(&typo);
    for host in ["h1", "h3"] {
        again.host(host, &[("site", "a")], NamespacesFrom::All);
    }
    again.host("h8", &[("site", "typo")], NamespacesFrom::All);
    again.host("h9", &[("site", "typo")], NamespacesFrom::All);
    for host in ["h1", "h3"] {
        let assignment = Box::new(world.assignment(host));
        again.take_in(WatchChange::Assignment(Seen::Listed(assignment)));
    }
    again.index.look_at_all();
    again.settle();
    for host in ["h1", "h3", "h8", "h9"] {
        assert_eq!(count(&again, host, Intent::Present), 1, "{host}");
    }
}

#[test]
fn messages_have_the_same_numbers_when_no_more_is_deleted() {
    let mut world = World::of(1);
    let all = many(&mut world, 30);
    for (network, second) in all.iter().zip(1..) {
        delete(&mut world, network, Lifecycle::Deleted);
        wait(&mut world, second);
    }
    wait(&mut world, 33);
    for parent in world.index.parents.values() {
        let said = parent.brake.stopped.as_deref().unwrap();
        assert!(said.starts_with("30 of 30 resources"), "{said}");
    }
}

/// What happens to the networks of a namespace.
#[derive(Clone, Debug)]
enum Event {
    /// One comes.
    Comes(usize),
    /// Somebody deletes one.
    Deleted(usize),
    /// Its lifecycle is decided: whether it is deleted with its namespace.
    Fate(usize, bool),
    /// One is allowed to go, or is no more.
    Allowed(usize, bool),
    /// One was deleted.
    Gone(usize),
    /// The namespace and all in it may go, or may no more.
    All(bool),
    /// Time passes.
    Wait(u64),
}

/// Networks of the namespace, about as many more than the brake asks for as it takes to stop.
const NETWORKS: usize = 16;

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..NETWORKS).prop_map(Event::Comes),
        8 => (0..NETWORKS).prop_map(Event::Deleted),
        8 => (0..NETWORKS, proptest::bool::weighted(0.2)).prop_map(|(n, c)| Event::Fate(n, c)),
        1 => (0..NETWORKS, any::<bool>()).prop_map(|(n, a)| Event::Allowed(n, a)),
        2 => (0..NETWORKS).prop_map(Event::Gone),
        1 => any::<bool>().prop_map(Event::All),
        2 => (0..3_700u64).prop_map(Event::Wait),
        4 => (0..3u64).prop_map(Event::Wait),
    ]
}

impl World {
    /// Applies an event, and returns whether deletions must be reviewed.
    fn goes(&mut self, event: &Event, begin: Instant, seconds: &mut u64) -> bool {
        let uid = |n: &usize| format!("uid-n{n}");
        let known = |world: &Self, n: &usize| {
            let parent = world.index.parents.get(&uid(n))?;
            parent.object.downcast::<DockerNetwork>().cloned()
        };
        let is_deleting = |network: &DockerNetwork| network.metadata.deletion_timestamp.is_some();
        match event {
            Event::Comes(n) if known(self, n).is_none() => {
                self.network(&network(&format!("n{n}"), "nowhere"));
            }
            Event::Deleted(n) => {
                let alive = known(self, n).filter(|known| !is_deleting(known));
                if let Some(alive) = alive {
                    self.network(&deleted(&alive));
                    return true;
                }
            }
            Event::Fate(n, cascaded) => {
                let lifecycle = if *cascaded {
                    Lifecycle::Cascaded
                } else {
                    Lifecycle::Deleted
                };
                if known(self, n).is_some_and(|known| is_deleting(&known)) {
                    self.index.set_lifecycle(&uid(n), lifecycle);
                    return true;
                }
            }
            Event::Allowed(n, allowed) => {
                if let Some(known) = known(self, n) {
                    let answer = allowing(&known, &if *allowed { uid(n) } else { String::new() });
                    let answers = answer.metadata.annotations != known.metadata.annotations;
                    self.network(&answer);
                    return answers && is_deleting(&known);
                }
            }
            Event::Gone(n) => {
                if let Some(known) = known(self, n) {
                    self.take_in(network_change(Seen::Deleted(known.metadata)));
                }
            }
            Event::All(allowed) => {
                let value = if *allowed { "uid-apps" } else { "" };
                namespace_goes(self, &[(ALLOW_REMOVAL, value)]);
            }
            Event::Wait(more) => {
                *seconds += more;
                self.index.tick(begin + Duration::from_secs(*seconds));
            }
            Event::Comes(_) => {}
        }
        false
    }

    /// Which networks wait for others, and which are stopped.
    fn held(&self) -> Vec<(String, bool, bool)> {
        let all = self.index.parents.iter();
        all.map(|(uid, p)| (uid.clone(), p.brake.is_engaged(), p.brake.stopped.is_some()))
            .collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_review_of_one_deletion_finds_what_a_review_of_all_finds(history in vec(event(), 1..120)) {
        let begin = Instant::now();
        let [mut one, mut all] = [World::of(0), World::of(0)];
        let [mut clock, mut same] = [0, 0];
        for event in &history {
            one.goes(event, begin, &mut clock);
            if all.goes(event, begin, &mut same) {
                all.index.review_deletions("apps");
            }
            prop_assert_eq!(one.held(), all.held(), "after {:?}", event);
        }
    }
}
