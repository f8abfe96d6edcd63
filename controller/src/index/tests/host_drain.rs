//! Hosts that are cleaned before they go.

use dockfleet_crds::condition::CLEAN;
use dockfleet_crds::policy::{DeletionPolicy, HostRemovalPolicy};
use k8s_openapi::api::coordination::v1::Lease;

use super::*;
use crate::index::HeartbeatWork;
use crate::index::host_drain::SETTLE;
use crate::object::Source;

/// A fleet in which hosts are drained before they are deleted.
struct Fleet {
    world: World,
    now: Instant,
}

impl Fleet {
    fn of(hosts: usize) -> Self {
        let mut fleet = Self {
            world: World::of(hosts),
            now: Instant::now(),
        };
        for n in 1..=hosts {
            fleet.edit(&format!("h{n}"), |h| {
                h.spec.removal = HostRemovalPolicy::Clean;
            });
        }
        fleet.world.settle();
        fleet
    }

    fn host(&self, name: &str) -> Option<&DockerHost> {
        self.world.index.hosts.get(&at(name))?.host.as_ref()
    }

    fn edit(&mut self, name: &str, edit: impl FnOnce(&mut DockerHost)) {
        let mut host = self.host(name).unwrap().clone();
        edit(&mut host);
        host.metadata.generation = Some(host.metadata.generation.unwrap_or(1) + 1);
        self.world.write_host(host);
    }

    /// Deletes a host, at once if it has no finalizer.
    fn delete(&mut self, name: &str) {
        if self.finalizers(name).is_empty() {
            let meta = self.host(name).unwrap().metadata.clone();
            self.world.take_in(WatchChange::Host(Seen::Deleted(meta)));
        } else {
            self.edit(name, |h| {
                h.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
            });
        }
        self.world.settle();
    }

    /// Lets time pass, until those that were deleted have waited for others.
    fn wait(&mut self) {
        self.now += SETTLE;
        self.world.index.tick(self.now);
        self.world.settle();
    }

    fn finalizers(&self, name: &str) -> Vec<String> {
        let host = self.host(name);
        host.and_then(|h| h.metadata.finalizers.clone())
            .unwrap_or_default()
    }

    /// The reason and the message of the condition Clean.
    fn clean_condition(&mut self, name: &str) -> Option<(String, String)> {
        let name = at(name);
        let mut lease = Lease::default();
        lease.metadata.namespace = Some(name.namespace.clone());
        lease.metadata.name = Some(name.name.clone());
        self.world
            .take_in(WatchChange::Lease(Seen::Applied(Box::new(lease))));
        let now = Time(Timestamp::UNIX_EPOCH);
        let work = self.world.index.heartbeat_work(&name, &now)?;
        let HeartbeatWork::Write(_, conditions) = work else {
            panic!("{work:?}");
        };
        let found = conditions.into_iter().find(|c| c.type_ == CLEAN)?;
        Some((found.reason, found.message))
    }
}

fn everywhere(name: &str) -> DockerNetwork {
    let mut network = network(name, "a");
    network.spec.host_selector = Some(LabelSelector::default());
    network
}

#[test]
fn a_finalizer_is_on_hosts_that_are_to_be_cleaned_and_on_no_others() {
    let mut fleet = Fleet::of(2);
    assert_eq!(fleet.finalizers("h1"), [CLEAN_FINALIZER]);
    fleet.edit("h1", |h| {
        h.spec.removal = HostRemovalPolicy::Keep;
    });
    fleet.world.settle();
    assert_eq!(fleet.finalizers("h1"), [""; 0]);
    // A namespace that is none of the fleet's any more is left alone.
    let mut other = fleet.host("h1").unwrap().clone();
    other.metadata.namespace = Some("site-b".to_owned());
    other.metadata.uid = Some("uid-elsewhere".to_owned());
    other.spec.removal = HostRemovalPolicy::Clean;
    fleet.world.write_host(other);
    fleet.world.settle();
    assert_eq!(fleet.finalizers("site-b/h1"), [""; 0]);
    let label = [(dockfleet_crds::FLEET_LABEL, "true")];
    fleet.world.namespace("site-b", &label);
    fleet.world.settle();
    assert_eq!(fleet.finalizers("site-b/h1"), [CLEAN_FINALIZER]);
    fleet.world.namespace("site-b", &[]);
    fleet.world.settle();
    assert_eq!(fleet.finalizers("site-b/h1"), [""; 0]);
}

#[test]
fn a_host_is_deleted_once_its_agent_has_released_everything() {
    let mut fleet = Fleet::of(3);
    let (web, mut kept) = (everywhere("web"), everywhere("kept"));
    kept.spec.deletion_policy = DeletionPolicy::Retain;
    fleet.world.network(&web);
    fleet.world.network(&kept);
    fleet.world.settle();
    fleet.world.report("h1", EntryState::Ready);
    fleet.delete("h1");
    // Others may be deleted with it.
    let present = |uid: &str| (uid.to_owned(), Intent::Present);
    let both = [present("uid-kept"), present("uid-web")];
    assert_eq!(fleet.world.intents("h1"), both);
    fleet.wait();
    let entries = fleet.world.assignment("h1").spec.entries;
    let policies: Vec<_> = entries
        .iter()
        .map(|entry| match EntrySpec::of(entry) {
            Ok(EntrySpec::Absent(_, tombstone)) => (tombstone.policy, entry.id.as_deref()),
            other => panic!("not a tombstone: {other:?}"),
        })
        .collect();
    let expected = [
        (DeletionPolicy::Retain, Some("id-uid-kept")),
        (DeletionPolicy::Delete, Some("id-uid-web")),
    ];
    assert_eq!(policies, expected);
    let (reason, message) = fleet.clean_condition("h1").unwrap();
    assert_eq!(reason, "Cleaning");
    let begins = "2 entries left (DockerNetwork apps/kept: Pending, DockerNetwork apps/web: Pending); \
                  the host is deleted once";
    assert!(message.starts_with(begins), "{message}");
    let way_out = "kubectl patch -n dockfleet-hosts dockerhost/h1 --type=merge \
                   --patch='{\"spec\":{\"removal\":\"Keep\"}}'";
    assert!(message.ends_with(way_out), "{message}");

    fleet.world.report("h1", EntryState::Pending);
    fleet.world.settle();
    assert_eq!(fleet.finalizers("h1"), [CLEAN_FINALIZER]);
    fleet.world.report("h1", EntryState::Gone);
    fleet.world.settle();
    assert_eq!(fleet.host("h1"), None);
    // The others have what they had.
    for host in ["h2", "h3"] {
        assert_eq!(fleet.world.intents(host), both, "{host}");
    }
}

#[test]
fn a_host_without_entries_is_deleted() {
    let mut fleet = Fleet::of(1);
    fleet.delete("h1");
    fleet.wait();
    assert_eq!(fleet.host("h1"), None);
}

#[test]
fn a_host_that_is_deleted_with_its_namespace_keeps_its_objects() {
    let mut fleet = Fleet::of(2);
    fleet.world.network(&everywhere("web"));
    fleet.world.settle();
    fleet.world.host_lifecycle = Lifecycle::Cascaded;
    let present = [("uid-web".to_owned(), Intent::Present)];
    for host in ["h1", "h2"] {
        fleet.delete(host);
        assert_eq!(fleet.host(host), None);
    }
    fleet.wait();
    for host in ["h1", "h2"] {
        assert_eq!(fleet.world.intents(host), present);
    }
}

#[test]
fn a_later_deletion_of_the_namespace_ends_the_drain() {
    let mut fleet = Fleet::of(3);
    fleet.world.network(&everywhere("web"));
    fleet.world.settle();
    fleet.delete("h1");
    fleet.wait();
    assert_eq!(fleet.finalizers("h1"), [CLEAN_FINALIZER]);
    fleet.world.host_lifecycle = Lifecycle::Cascaded;
    let going = PartialObjectMeta::<Namespace> {
        metadata: ObjectMeta {
            name: Some(FLEET.to_owned()),
            deletion_timestamp: Some(Time(Timestamp::UNIX_EPOCH)),
            ..ObjectMeta::default()
        },
        types: None,
        _phantom: PhantomData,
    };
    fleet
        .world
        .take_in(WatchChange::Namespace(Seen::Applied(Box::new(going))));
    fleet.world.settle();
    assert_eq!(fleet.host("h1"), None);
}

#[test]
fn removal_keep_releases_a_host_as_it_is() {
    let mut fleet = Fleet::of(1);
    fleet.world.network(&everywhere("web"));
    fleet.world.settle();
    fleet.delete("h1");
    assert_eq!(fleet.finalizers("h1"), [CLEAN_FINALIZER]);
    let present = [("uid-web".to_owned(), Intent::Present)];
    assert_eq!(fleet.world.intents("h1"), present);
    fleet.edit("h1", |h| {
        h.spec.removal = HostRemovalPolicy::Keep;
    });
    fleet.world.settle();
    assert_eq!(fleet.host("h1"), None);
}

#[test]
fn objects_created_for_a_host_with_removal_clean_have_no_owner() {
    let mut fleet = Fleet::of(1);
    assert_eq!(fleet.world.assignment("h1").metadata.owner_references, None);
    fleet.edit("h1", |h| {
        h.spec.removal = HostRemovalPolicy::Keep;
    });
    fleet.world.settle();
    let owners = fleet.world.assignment("h1").metadata.owner_references;
    let owners: Vec<_> = owners.into_iter().flatten().map(|o| o.uid).collect();
    assert_eq!(owners, ["uid-h1"]);
}

#[test]
fn a_resource_that_is_deleted_meanwhile_waits_for_its_tombstone_on_the_host() {
    let mut fleet = Fleet::of(1);
    let web = everywhere("web");
    fleet.world.network(&web);
    fleet.world.settle();
    fleet.delete("h1");
    fleet.world.network(&deleted(&web));
    fleet
        .world
        .index
        .set_lifecycle("uid-web", Lifecycle::Deleted);
    let steps = fleet.world.work("uid-web").unwrap().steps;
    assert!(!steps.contains(&ParentStep::RemoveFinalizer), "{steps:?}");
    fleet.world.settle();
    let absent = [("uid-web".to_owned(), Intent::Absent)];
    assert_eq!(fleet.world.intents("h1"), absent);
    let steps = fleet.world.work("uid-web").unwrap().steps;
    assert_eq!(steps, [ParentStep::RemoveFinalizer]);
}

#[test]
fn an_entry_without_a_resource_keeps_no_host() {
    let mut fleet = Fleet::of(1);
    let web = everywhere("web");
    fleet.world.network(&web);
    fleet.world.settle();
    // Somebody took its finalizer away.
    let gone = network_change(Seen::Deleted(web.metadata));
    fleet.world.take_in(gone);
    fleet.delete("h1");
    let present = [("uid-web".to_owned(), Intent::Present)];
    assert_eq!(fleet.world.intents("h1"), present);
    fleet.wait();
    assert_eq!(fleet.host("h1"), None);
}

#[test]
fn a_suspended_resource_keeps_its_host() {
    let mut fleet = Fleet::of(1);
    let mut web = everywhere("web");
    web.spec.suspend = true;
    fleet.world.network(&web);
    fleet.world.settle();
    fleet.delete("h1");
    fleet.wait();
    let (_, message) = fleet.clean_condition("h1").unwrap();
    let begins = "1 entry left (DockerNetwork apps/web: Suspended); ";
    assert!(message.starts_with(begins), "{message}");
    fleet.world.network(&edited(&web, |n| {
        n.spec.suspend = false;
    }));
    fleet.world.settle();
    let absent = [("uid-web".to_owned(), Intent::Absent)];
    assert_eq!(fleet.world.intents("h1"), absent);
}

#[test]
fn several_hosts_at_once_wait_for_permission() {
    let mut fleet = Fleet::of(3);
    let web = everywhere("web");
    fleet.world.network(&web);
    fleet.world.settle();
    fleet.delete("h1");
    fleet.delete("h2");
    fleet.wait();
    let present = [("uid-web".to_owned(), Intent::Present)];
    for host in ["h1", "h2", "h3"] {
        assert_eq!(fleet.world.intents(host), present, "{host}");
    }
    let (reason, message) = fleet.clean_condition("h1").unwrap();
    assert_eq!(reason, "RemovalBraked");
    let begins = "1 entry left (DockerNetwork apps/web: RemovalBraked); ";
    assert!(message.starts_with(begins), "{message}");
    let said = super::brake::stopped(&fleet.world, "uid-web").unwrap();
    assert!(
        said.starts_with("2 of 3 hosts are no longer selected or are being deleted, and"),
        "{said}"
    );
    assert!(said.contains("set removal: Keep on those"), "{said}");
    assert!(said.ends_with("dockfleet.io/allow-removal=1-2"), "{said}");

    // One of them is kept after all; what was stopped stays so, and asks for the other one.
    let mut kept = Fleet::of(3);
    kept.world.network(&web);
    kept.world.settle();
    kept.delete("h1");
    kept.delete("h2");
    kept.wait();
    kept.edit("h2", |h| {
        h.spec.removal = HostRemovalPolicy::Keep;
    });
    kept.world.settle();
    assert_eq!(kept.host("h2"), None);
    assert_eq!(kept.world.intents("h1"), present);

    fleet.world.network(&super::brake::allowing(&web, "1-2"));
    fleet.world.settle();
    for host in ["h1", "h2"] {
        fleet.world.report(host, EntryState::Gone);
        fleet.world.settle();
        assert_eq!(fleet.host(host), None);
    }
    assert_eq!(fleet.world.intents("h3"), present);
}

#[test]
fn a_restarted_controller_decides_the_lifecycle_again() {
    let mut fleet = Fleet::of(1);
    fleet.world.network(&everywhere("web"));
    fleet.world.settle();
    fleet.delete("h1");
    let (host, assignment) = (
        fleet.host("h1").unwrap().clone(),
        fleet.world.assignment("h1"),
    );
    let mut restarted = World::of(0);
    restarted.host_lifecycle = Lifecycle::Cascaded;
    restarted.index.apply_host(host, &Source::Watched);
    restarted
        .index
        .apply_assignment(assignment, &Source::Watched);
    restarted.network(&everywhere("web"));
    let call = restarted.index.host_work(&at("h1")).unwrap().call;
    assert!(matches!(call, HostCall::DecideLifecycle(_)), "{call:?}");
    restarted.settle();
    let present = [("uid-web".to_owned(), Intent::Present)];
    assert_eq!(restarted.intents("h1"), present);
}
