use dockfleet_crds::host::NamespacesFrom;
use dockfleet_crds::network::DockerNetworkSpec;
use dockfleet_crds::policy::ManagementPolicy;
use dockfleet_crds::{DockerNetwork, Open};

use dockfleet_crds::MAX_ENTRIES;

use super::*;
use crate::fixtures::{host, metadata, network, selector, volume, volume_spec};

/// A network `name` with a creation time; its name on hosts is `net`.
fn claimant(name: &str, created: i64) -> DockerNetwork {
    DockerNetwork {
        metadata: metadata(name, created),
        ..network(
            name,
            DockerNetworkSpec {
                network_name: Some("net".to_owned()),
                ..DockerNetworkSpec::default()
            },
        )
    }
}

fn elsewhere() -> DockerNetworkSpec {
    DockerNetworkSpec {
        host_selector: Some(selector(&[("site", "nowhere")])),
        ..DockerNetworkSpec::default()
    }
}

/// A resource with its lifecycle.
type Known<'a> = (&'a dyn Resource, Lifecycle);

/// One host and what is known about it.
struct World {
    host: DockerHost,
    namespaces: NamespaceLabels,
    credentials: CredentialVersions,
    previous: Vec<Entry>,
    statuses: Vec<EntryStatus>,
}

impl World {
    fn new() -> Self {
        Self {
            host: host("h1", &[]),
            namespaces: NamespaceLabels::new(),
            credentials: CredentialVersions::new(),
            previous: Vec::new(),
            statuses: Vec::new(),
        }
    }

    fn assign(&self, resources: &[Known<'_>]) -> Assigned {
        assign(&Input {
            context: RenderContext {
                swarm: None,
                agent: None,
                host: &self.host,
                called: "h1",
                credentials: &self.credentials,
            },
            closed: None,
            resources,
            namespaces: &self.namespaces,
            previous: &self.previous,
            statuses: &self.statuses,
            most: MAX_ENTRIES,
        })
    }

    /// Assigns, and keeps the result as the previous assignment.
    fn next(&mut self, resources: &[Known<'_>]) -> Assigned {
        let assigned = self.assign(resources);
        self.previous.clone_from(&assigned.entries);
        assert_eq!(
            self.assign(resources),
            assigned,
            "assigning again changes nothing"
        );
        assigned
    }

    fn report(&mut self, uid: &str, state: EntryState, id: Option<&str>) {
        let entry = self.previous.iter().find(|e| e.uid == uid);
        self.statuses.retain(|s| s.uid != uid);
        self.statuses.push(EntryStatus {
            uid: uid.to_owned(),
            revision: entry.map(|e| e.revision.clone()).unwrap_or_default(),
            state: state.into(),
            id: id.map(str::to_owned),
            ..EntryStatus::default()
        });
    }
}

fn live(network: &DockerNetwork) -> Known<'_> {
    (network, Lifecycle::Live)
}

fn present(network: &DockerNetwork) -> Entry {
    render::entry(network, &host("h1", &[]), None).unwrap()
}

fn tombstone(network: &DockerNetwork, policy: DeletionPolicy, id: Option<&str>) -> Entry {
    let name = (network as &dyn Resource).object_name().to_owned();
    render::tombstone(
        &present(network),
        &Tombstone { name, policy },
        id.map(str::to_owned),
    )
}

fn refused(uid: &str, reason: Reason, message: &str) -> BTreeMap<String, Refusal> {
    let message = message.to_owned();
    BTreeMap::from([(uid.to_owned(), Refusal { reason, message })])
}

#[test]
fn entries_are_sorted_by_uid() {
    let (b, a) = (
        network("b", DockerNetworkSpec::default()),
        network("a", DockerNetworkSpec::default()),
    );
    let v = volume("aa", volume_spec());
    let assigned = World::new().next(&[live(&b), (&v, Lifecycle::Live), live(&a)]);
    let uids: Vec<_> = assigned.entries.iter().map(|e| e.uid.as_str()).collect();
    assert_eq!(uids, ["uid-a", "uid-aa", "uid-b"]);
}

#[test]
fn the_oldest_resource_gets_a_name_and_both_get_a_message() {
    let (young, old) = (claimant("a-young", 20), claimant("z-old", 10));
    let assigned = World::new().next(&[live(&young), live(&old)]);
    assert_eq!(
        assigned,
        Assigned {
            entries: vec![present(&old)],
            refused: refused(
                "uid-a-young",
                Reason::Conflict,
                "network net on host h1 belongs to team/z-old"
            ),
            contested: BTreeMap::from([(
                "uid-z-old".to_owned(),
                "team/a-young also asks for network net on host h1".to_owned()
            )]),
        }
    );
}

#[test]
fn a_network_and_a_volume_may_have_one_name() {
    let n = network("x", DockerNetworkSpec::default());
    let mut v = volume("x", volume_spec());
    v.metadata.uid = Some("uid-v".to_owned());
    let assigned = World::new().next(&[live(&n), (&v, Lifecycle::Live)]);
    assert_eq!((assigned.entries.len(), assigned.refused.len()), (2, 0));
}

#[test]
fn a_resource_that_has_a_name_keeps_it_from_an_older_one() {
    let (young, old) = (claimant("young", 20), claimant("old", 10));
    let mut world = World::new();
    world.next(&[live(&young)]);
    let assigned = world.next(&[live(&young), live(&old)]);
    assert_eq!(assigned.entries, [present(&young)]);
    assert!(assigned.refused.contains_key("uid-old"));
}

#[test]
fn a_name_is_kept_by_a_resource_that_is_not_known() {
    let (first, second) = (claimant("first", 20), claimant("second", 10));
    let mut world = World::new();
    world.next(&[live(&first)]);
    let assigned = world.next(&[live(&second)]);
    assert_eq!(assigned.entries, [present(&first)]);
    assert_eq!(
        assigned.refused,
        refused(
            "uid-second",
            Reason::Conflict,
            "network net on host h1 belongs to team/first"
        )
    );
}

#[test]
fn a_name_is_kept_by_a_resource_that_is_suspended_elsewhere_or_invalid() {
    let mut world = World::new();
    let first = claimant("first", 20);
    world.next(&[live(&first)]);
    let second = claimant("second", 10);
    let mut suspended = first.clone();
    suspended.spec.host_selector = elsewhere().host_selector;
    suspended.spec.suspend = true;
    let assigned = world.next(&[live(&suspended), live(&second)]);
    // The agent has to know of the suspension.
    assert_eq!(assigned.entries, [present(&suspended)]);
    assert!(assigned.refused.contains_key("uid-second"));

    let mut world = World::new();
    let good = volume("data", volume_spec());
    world.next(&[(&good, Lifecycle::Live)]);
    let before = world.previous.clone();
    let mut bad = good.clone();
    bad.spec.size = Some("1MB".to_owned());
    let mut other = volume("other", volume_spec());
    other.spec.volume_name = Some("data".to_owned());
    let both: [Known<'_>; 2] = [(&bad, Lifecycle::Live), (&other, Lifecycle::Live)];
    let assigned = world.next(&both);
    assert_eq!(assigned.entries, before);
    assert_eq!(
        assigned.refused.get("uid-data").unwrap().reason,
        Reason::Invalid
    );
    assert_eq!(
        assigned.refused.get("uid-other").unwrap().reason,
        Reason::Conflict
    );
}

#[test]
fn i1_absence_of_resources_is_no_permission() {
    let n = claimant("a", 1);
    let mut world = World::new();
    world.next(&[live(&n)]);
    world.report("uid-a", EntryState::Ready, Some("id1"));
    assert_eq!(world.next(&[]).entries, [present(&n)]);
}

#[test]
fn a_deleted_resource_is_a_tombstone_until_the_agent_reports_that_it_is_done() {
    let n = claimant("a", 1);
    let deleted: [Known<'_>; 1] = [(&n, Lifecycle::Deleted)];
    let mut world = World::new();
    world.next(&[live(&n)]);
    world.report("uid-a", EntryState::Ready, Some("id1"));
    let stone = tombstone(&n, DeletionPolicy::Delete, Some("id1"));
    assert_eq!(world.next(&deleted).entries, std::slice::from_ref(&stone));
    // A report on the entry of before does not count for the tombstone.
    assert_eq!(world.next(&deleted).entries, std::slice::from_ref(&stone));
    world.report("uid-a", EntryState::Pending, Some("id1"));
    assert_eq!(world.next(&deleted).entries, std::slice::from_ref(&stone));
    // The resource may no longer exist when the host is back.
    assert_eq!(world.next(&[]).entries, [stone]);
    world.report("uid-a", EntryState::Gone, None);
    assert_eq!(world.next(&[]).entries, []);
}

#[test]
fn a_tombstone_takes_the_identity_that_the_agent_found() {
    let n = claimant("a", 1);
    let deleted: [Known<'_>; 1] = [(&n, Lifecycle::Deleted)];
    let mut world = World::new();
    world.next(&[live(&n)]);
    assert_eq!(
        world.next(&deleted).entries,
        [tombstone(&n, DeletionPolicy::Delete, None)]
    );
    world.report("uid-a", EntryState::Pending, Some("id2"));
    let named = tombstone(&n, DeletionPolicy::Delete, Some("id2"));
    assert_eq!(world.next(&deleted).entries, std::slice::from_ref(&named));
    world.report("uid-a", EntryState::Pending, None);
    assert_eq!(world.next(&deleted).entries, [named]);
}

#[test]
fn a_resource_that_no_longer_selects_the_host_is_removed_by_its_own_policy() {
    let mut n = claimant("a", 1);
    let mut world = World::new();
    world.next(&[live(&n)]);
    n.spec.host_selector = elsewhere().host_selector;
    assert_eq!(
        world.next(&[live(&n)]).entries,
        [tombstone(&n, DeletionPolicy::Delete, None)]
    );
    // Selected again before the agent received the tombstone, which becomes an entry again.
    n.spec.host_selector = Some(selector(&[]));
    assert_eq!(world.next(&[live(&n)]).entries, [present(&n)]);
}

#[test]
fn nothing_is_removed_without_a_permission() {
    let plain = claimant("a", 1);
    let suspended = {
        let mut n = plain.clone();
        n.spec.suspend = true;
        n
    };
    let observed = {
        let mut n = plain.clone();
        n.spec.management_policy = ManagementPolicy::Observe;
        n
    };
    let v = volume("v", volume_spec());
    let mut closed = host("h1", &[]);
    closed.spec.allowed_namespaces.from = NamespacesFrom::Same;
    let cases: [(&dyn Resource, Lifecycle, DockerHost); 5] = [
        (&plain, Lifecycle::Cascaded, host("h1", &[])),
        (&suspended, Lifecycle::Deleted, host("h1", &[])),
        (&observed, Lifecycle::Deleted, host("h1", &[])),
        (&v, Lifecycle::Deleted, host("h1", &[])),
        (&plain, Lifecycle::Live, closed),
    ];
    for (resource, lifecycle, host) in cases {
        let mut world = World::new();
        world.next(&[(resource, Lifecycle::Live)]);
        world.host = host;
        let assigned = world.next(&[(resource, lifecycle)]);
        let policies: Vec<_> = assigned
            .entries
            .iter()
            .map(|e| EntrySpec::of(e).unwrap())
            .collect();
        let name = resource.object_name().to_owned();
        let policy = DeletionPolicy::Retain;
        assert_eq!(
            policies,
            [EntrySpec::Absent(
                resource.kind(),
                Tombstone { name, policy }
            )]
        );
    }
}

#[test]
fn a_closed_host_refuses_resources_with_its_reason() {
    let n = claimant("a", 1);
    let mut world = World::new();
    world.host.spec.allowed_namespaces.from = NamespacesFrom::Same;
    let assigned = world.next(&[live(&n)]);
    assert_eq!(
        assigned.refused,
        refused(
            "uid-a",
            Reason::NotAllowed,
            "host h1 does not allow resources from namespace team; its administrator can allow \
             them with spec.allowedNamespaces"
        )
    );
    assert_eq!(assigned.entries, []);
}

#[test]
fn i1_a_permission_can_be_taken_back_and_is_never_widened() {
    let plain = claimant("a", 1);
    let kept = {
        let mut n = plain.clone();
        n.spec.deletion_policy = DeletionPolicy::Retain;
        n
    };
    let mut world = World::new();
    world.next(&[live(&plain)]);
    let deleted: [Known<'_>; 1] = [(&plain, Lifecycle::Deleted)];
    let delete = tombstone(&plain, DeletionPolicy::Delete, None);
    let retain = tombstone(&plain, DeletionPolicy::Retain, None);
    let withdrawals: [Known<'_>; 2] = [(&kept, Lifecycle::Deleted), (&plain, Lifecycle::Cascaded)];
    for withdrawn in withdrawals {
        let mut world = World::new();
        world.next(&[live(&plain)]);
        assert_eq!(world.next(&deleted).entries, std::slice::from_ref(&delete));
        assert_eq!(
            world.next(&[withdrawn]).entries,
            std::slice::from_ref(&retain)
        );
        assert_eq!(world.next(&deleted).entries, std::slice::from_ref(&retain));
    }
}

#[test]
fn a_resource_does_not_get_back_a_name_that_another_one_has_now() {
    let first = claimant("first", 1);
    let away = {
        let mut n = first.clone();
        n.spec.host_selector = elsewhere().host_selector;
        n
    };
    let second = claimant("second", 2);
    let mut world = World::new();
    world.next(&[live(&first)]);
    world.next(&[live(&away), live(&second)]);
    let assigned = world.next(&[live(&first), live(&second)]);
    // The first resource's object must still be released, but no longer removed.
    assert_eq!(
        assigned.entries,
        [
            tombstone(&first, DeletionPolicy::Retain, None),
            present(&second)
        ]
    );
    assert!(assigned.refused.contains_key("uid-first"));
    world.report("uid-first", EntryState::Gone, None);
    let assigned = world.next(&[live(&first), live(&second)]);
    assert_eq!(assigned.entries, [present(&second)]);
}

#[test]
fn labels_of_a_namespace_that_are_not_known_change_nothing() {
    let n = claimant("a", 1);
    let mut world = World::new();
    world.next(&[live(&n)]);
    world.host.spec.allowed_namespaces.from = NamespacesFrom::Selector;
    world.host.spec.allowed_namespaces.selector = Some(selector(&[("a", "b")]));
    let assigned = world.next(&[live(&n)]);
    assert_eq!(
        (assigned.entries, assigned.refused),
        (vec![present(&n)], BTreeMap::new())
    );
    // Nor does a tombstone disappear.
    world.previous = vec![tombstone(&n, DeletionPolicy::Retain, Some("id"))];
    let assigned = world.next(&[live(&n)]);
    assert_eq!(
        assigned.entries,
        [tombstone(&n, DeletionPolicy::Retain, Some("id"))]
    );
}

#[test]
fn a_full_assignment_refuses_the_youngest() {
    let networks: Vec<_> = (0..=MAX_ENTRIES)
        .map(|i| DockerNetwork {
            metadata: metadata(&format!("n{i:03}"), 1000 - i64::try_from(i).unwrap()),
            ..network("x", DockerNetworkSpec::default())
        })
        .collect();
    let all: Vec<_> = networks.iter().map(live).collect();
    let mut world = World::new();
    let assigned = world.next(&all);
    assert_eq!(assigned.entries.len(), MAX_ENTRIES);
    assert_eq!(
        assigned.refused,
        refused(
            "uid-n000",
            Reason::TooManyEntries,
            "host h1 has 256 entries, which is the maximum"
        )
    );
    // A tombstone counts as an entry until the agent reports that it is done.
    let mut deleting = all.clone();
    deleting[1].1 = Lifecycle::Deleted;
    assert!(world.next(&deleting).refused.contains_key("uid-n000"));
    world.report("uid-n001", EntryState::Gone, None);
    assert_eq!(world.next(&deleting).refused, BTreeMap::new());
}

mod credentials {
    use dockfleet_crds::DockerVolume;
    use dockfleet_crds::volume::{CifsSource, DockerVolumeSpec, SecretName};

    use super::*;

    fn share() -> DockerVolume {
        let cifs = CifsSource {
            server: "nas".to_owned(),
            share: "team".to_owned(),
            credentials_secret: Some(SecretName {
                name: "nas-login".to_owned(),
            }),
            ..CifsSource::default()
        };
        crate::fixtures::volume(
            "share",
            DockerVolumeSpec {
                cifs: Some(cifs),
                ..crate::fixtures::volume_spec()
            },
        )
    }

    fn missing() -> Refusal {
        Refusal {
            reason: Reason::CredentialsMissing,
            message: "there is no Secret team/nas-login".to_owned(),
        }
    }

    fn version_in(assigned: &Assigned) -> Option<&str> {
        assigned.entries.first()?.spec.get("credentials")?.as_str()
    }

    #[test]
    fn i9_an_entry_has_the_version_and_nothing_else() {
        let share = share();
        let mut world = World::new();
        let granted = |version: &str| {
            CredentialVersions::from([("uid-share".to_owned(), Ok(version.to_owned()))])
        };
        world.credentials = granted("v1");
        let first = world.next(&[(&share, Lifecycle::Live)]);
        assert_eq!(version_in(&first), Some("v1"));
        world.credentials = granted("v2");
        let second = world.next(&[(&share, Lifecycle::Live)]);
        assert_eq!(version_in(&second), Some("v2"));
        assert_ne!(first.entries[0].revision, second.entries[0].revision);
    }

    /// Invariants 1 and 7.
    #[test]
    fn a_deleted_secret_removes_nothing() {
        let (share, net) = (share(), network("lab", DockerNetworkSpec::default()));
        let all: [Known<'_>; 2] = [(&share, Lifecycle::Live), (&net, Lifecycle::Live)];
        let mut world = World::new();
        world.credentials = CredentialVersions::from([("uid-share".to_owned(), Err(missing()))]);
        let before = world.next(&all);
        assert_eq!(before.refused.get("uid-share"), Some(&missing()));
        assert_eq!(before.entries.len(), 1);
        world.credentials =
            CredentialVersions::from([("uid-share".to_owned(), Ok("v1".to_owned()))]);
        let there = world.next(&all);
        assert_eq!((there.entries.len(), there.refused.len()), (2, 0));
        world.credentials = CredentialVersions::from([("uid-share".to_owned(), Err(missing()))]);
        let without_credentials = world.next(&all);
        assert_eq!(
            without_credentials.refused.get("uid-share"),
            Some(&missing())
        );
        assert_eq!(without_credentials.entries, there.entries);
        // A deletion needs no credentials.
        let deleted = world.next(&[(&share, Lifecycle::Deleted)]);
        let stone = deleted.entries.iter().find(|e| e.uid == "uid-share");
        assert_eq!(stone.unwrap().intent, Intent::Absent);
    }

    #[test]
    fn a_suspended_resource_keeps_its_entry_and_is_suspended_without_its_secret() {
        let mut share = share();
        let mut world = World::new();
        world.credentials =
            CredentialVersions::from([("uid-share".to_owned(), Ok("v1".to_owned()))]);
        let there = world.next(&[(&share, Lifecycle::Live)]);
        share.spec.suspend = true;
        world.credentials = CredentialVersions::from([("uid-share".to_owned(), Err(missing()))]);
        let mut expected = there.entries.clone();
        expected[0]
            .spec
            .insert("policy".to_owned(), serde_json::json!({"suspend": true}));
        for labels in [&[][..], &[("site", "nowhere")]] {
            share.spec.host_selector = Some(selector(labels));
            let kept = world.next(&[(&share, Lifecycle::Live)]);
            // The revision follows the suspension, and then stays.
            assert_ne!(kept.entries[0].revision, there.entries[0].revision);
            expected[0].revision.clone_from(&kept.entries[0].revision);
            assert_eq!(kept.entries, expected, "{labels:?}");
        }
    }
}

#[test]
fn i15_an_entry_of_a_newer_controller_stays_unchanged() {
    let web = claimant("web", 1);
    let newer = Entry {
        intent: Open::Unknown("Frozen".to_owned()),
        other: serde_json::Map::from_iter([("thaw".to_owned(), true.into())]),
        ..present(&web)
    };
    let galaxy = Entry {
        uid: "uid-galaxy".to_owned(),
        kind: Open::Unknown("DockerGalaxy".to_owned()),
        ..present(&web)
    };
    let mut world = World::new();
    world.previous = vec![galaxy, newer];
    let before = world.previous.clone();
    // It is not changed by a live resource, by a resource that is deleted or no longer selects the host, or
    // by a report.
    world.report("uid-web", EntryState::Gone, Some("id"));
    world.report("uid-galaxy", EntryState::Gone, Some("id"));
    let moved = DockerNetwork {
        spec: elsewhere(),
        ..web.clone()
    };
    let deleted: Known<'_> = (&web, Lifecycle::Deleted);
    for resources in [&[live(&web)][..], &[live(&moved)], &[deleted], &[]] {
        assert_eq!(world.assign(resources).entries, before);
    }
}

#[test]
fn an_unsupported_resource_is_refused_and_existing_entries_stay() {
    let web = claimant("web", 1);
    let agent = AgentFacts {
        version: "0.9.0".to_owned(),
        kinds: vec!["DockerVolume".to_owned()],
        features: Vec::new(),
    };
    let mut world = World::new();
    let message = "the agent of host h1 (version 0.9.0) does not support DockerNetwork; upgrade \
                   the agent";
    let refused = refused("uid-web", Reason::AgentTooOld, message);
    for previous in [Vec::new(), vec![present(&web)]] {
        world.previous = previous;
        let assigned = assign(&Input {
            context: RenderContext {
                swarm: None,
                agent: Some(&agent),
                host: &world.host,
                called: "h1",
                credentials: &world.credentials,
            },
            closed: None,
            resources: &[live(&web)],
            namespaces: &world.namespaces,
            previous: &world.previous,
            statuses: &world.statuses,
            most: MAX_ENTRIES,
        });
        assert_eq!(assigned.refused, refused);
        assert_eq!(assigned.entries, world.previous);
    }
}

#[test]
fn an_assignment_that_no_api_server_keeps_has_no_most() {
    let networks: Vec<_> = (0..3 * MAX_ENTRIES)
        .map(|i| DockerNetwork {
            metadata: metadata(&format!("n{i:03}"), 0),
            ..network("x", DockerNetworkSpec::default())
        })
        .collect();
    let all: Vec<_> = networks.iter().map(live).collect();
    let assigned = assign(&Input {
        context: RenderContext {
            swarm: None,
            agent: None,
            host: &host("h1", &[]),
            called: "h1",
            credentials: &CredentialVersions::new(),
        },
        resources: &all,
        namespaces: &NamespaceLabels::new(),
        closed: None,
        previous: &[],
        statuses: &[],
        most: usize::MAX,
    });
    assert_eq!(assigned.entries.len(), networks.len());
    assert_eq!(assigned.refused, BTreeMap::new());
}
