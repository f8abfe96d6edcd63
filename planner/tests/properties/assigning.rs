//! Properties of one host's assignment.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::host::{DockerHostSpec, NamespacesFrom};
use dockfleet_crds::policy::{DeletionPolicy, ManagementPolicy};
use dockfleet_crds::{
    DockerHost, DockerNetwork, DockerVolume, Entry, EntryState, EntryStatus, Intent, MAX_ENTRIES,
};
use dockfleet_planner::assignment::{
    Assigned, CredentialVersions, Input, Lifecycle, RenderContext, assign,
};
use dockfleet_planner::desired::{EntrySpec, Tombstone};
use dockfleet_planner::render;
use dockfleet_planner::resource::Resource;
use dockfleet_planner::select::{NamespaceLabels, Selection, selection};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use proptest::prelude::*;

use crate::wishes::{self, UIDS};

/// A resource of either kind.
#[derive(Clone, Debug)]
enum Owned {
    Network(DockerNetwork),
    Volume(DockerVolume),
}

impl Owned {
    fn view(&self) -> &dyn Resource {
        match self {
            Self::Network(n) => n,
            Self::Volume(v) => v,
        }
    }
}

#[derive(Clone, Debug)]
struct World {
    host: DockerHost,
    namespaces: NamespaceLabels,
    resources: Vec<(Owned, Lifecycle)>,
    previous: Vec<Entry>,
    statuses: Vec<EntryStatus>,
}

impl World {
    fn assign(&self) -> Assigned {
        let resources: Vec<_> = self.resources.iter().map(|(r, f)| (r.view(), *f)).collect();
        assign(&Input {
            context: RenderContext {
                swarm: None,
                agent: None,
                host: &self.host,
                called: "h1",
                credentials: &CredentialVersions::new(),
            },
            closed: None,
            resources: &resources,
            namespaces: &self.namespaces,
            previous: &self.previous,
            statuses: &self.statuses,
            most: MAX_ENTRIES,
        })
    }

    fn resource(&self, uid: &str) -> Option<(&dyn Resource, Lifecycle)> {
        let found = self.resources.iter().find(|(r, _)| r.view().uid() == uid)?;
        Some((found.0.view(), found.1))
    }

    /// Whether the agent has reported that a tombstone is done.
    fn is_reported_gone(&self, entry: &Entry) -> bool {
        entry.intent == Intent::Absent
            && self.statuses.iter().any(|s| {
                s.uid == entry.uid && s.revision == entry.revision && s.state == EntryState::Gone
            })
    }
}

#[derive(Clone, Debug)]
struct Traits {
    selects: bool,
    suspend: bool,
    management: ManagementPolicy,
    invalid: bool,
    deletion: DeletionPolicy,
    created: i64,
}

fn traits() -> impl Strategy<Value = Traits> {
    let management = prop_oneof![
        4 => Just(ManagementPolicy::Manage),
        1 => Just(ManagementPolicy::Observe)
    ];
    (
        proptest::bool::weighted(0.7),
        proptest::bool::weighted(0.2),
        management,
        proptest::bool::weighted(0.1),
        wishes::deletion(),
        0..3i64,
    )
        .prop_map(
            |(selects, suspend, management, invalid, deletion, created)| Traits {
                selects,
                suspend,
                management,
                invalid,
                deletion,
                created,
            },
        )
}

fn resource(uid: &str, t: &Traits) -> Owned {
    let metadata = ObjectMeta {
        uid: Some(uid.to_owned()),
        name: Some(format!("r-{uid}")),
        namespace: Some("team".to_owned()),
        creation_timestamp: Timestamp::from_second(t.created).ok().map(Time),
        ..ObjectMeta::default()
    };
    let host_selector = t.selects.then(LabelSelector::default);
    let name = Some(wishes::object(uid).to_owned());
    match wishes::kind(uid) {
        Kind::SwarmCluster
        | Kind::PrunePolicy
        | Kind::BackupRepository
        | Kind::VolumeBackup
        | Kind::VolumeBackupSchedule
        | Kind::VolumeRestore => {
            panic!("no world has them")
        }
        Kind::DockerNetwork => {
            let mut n = DockerNetwork {
                metadata,
                ..DockerNetwork::default()
            };
            n.spec.host_selector = host_selector;
            n.spec.network_name = name;
            n.spec.suspend = t.suspend;
            n.spec.management_policy = t.management;
            n.spec.deletion_policy = t.deletion;
            Owned::Network(n)
        }
        Kind::DockerVolume => {
            let mut v = DockerVolume {
                metadata,
                ..DockerVolume::default()
            };
            v.spec.host_selector = host_selector;
            v.spec.volume_name = name;
            v.spec.suspend = t.suspend;
            v.spec.management_policy = t.management;
            v.spec.deletion_policy = t.deletion;
            v.spec.size = t.invalid.then(|| "1MB".to_owned());
            Owned::Volume(v)
        }
    }
}

fn host() -> impl Strategy<Value = DockerHost> {
    prop_oneof![
        4 => Just(NamespacesFrom::All),
        1 => Just(NamespacesFrom::Same),
        1 => Just(NamespacesFrom::Selector)
    ]
    .prop_map(|from| {
        let mut spec = DockerHostSpec::default();
        spec.allowed_namespaces.from = from;
        spec.allowed_namespaces.selector = Some(LabelSelector::default());
        let mut host = DockerHost::new("h1", spec);
        host.metadata.namespace = Some("hosts".to_owned());
        host
    })
}

fn lifecycle() -> impl Strategy<Value = Lifecycle> {
    prop_oneof![4 => Just(Lifecycle::Live), 1 => Just(Lifecycle::Braked), 1 => Just(Lifecycle::Deleted), 1 => Just(Lifecycle::Cascaded)]
}

/// The previous entry: present, a tombstone, or none.
fn before() -> impl Strategy<Value = Option<Option<DeletionPolicy>>> {
    proptest::option::of(proptest::option::of(wishes::deletion()))
}

fn status() -> impl Strategy<Value = Option<(EntryState, Option<String>, bool)>> {
    let state = prop_oneof![
        Just(EntryState::Ready),
        Just(EntryState::Pending),
        Just(EntryState::Failed),
        Just(EntryState::Gone)
    ];
    let id = proptest::option::of(prop_oneof![Just("a".to_owned()), Just("b".to_owned())]);
    proptest::option::of((state, id, proptest::bool::weighted(0.7)))
}

fn world() -> impl Strategy<Value = World> {
    let one = (
        proptest::option::weighted(0.8, (traits(), lifecycle())),
        traits(),
        before(),
        status(),
    );
    let all = proptest::collection::vec(one, UIDS.len());
    (host(), any::<bool>(), all).prop_map(|(host, known, all)| {
        let mut world = World {
            host,
            namespaces: NamespaceLabels::new(),
            resources: Vec::new(),
            previous: Vec::new(),
            statuses: Vec::new(),
        };
        if known {
            world.namespaces.insert("team".to_owned(), BTreeMap::new());
        }
        for (uid, (now, earlier, before, status)) in UIDS.iter().zip(all) {
            if let Some((traits, lifecycle)) = now {
                world.resources.push((resource(uid, &traits), lifecycle));
            }
            let Some(before) = before else { continue };
            let valid = Traits {
                invalid: false,
                ..earlier
            };
            let mut entry = render::entry(resource(uid, &valid).view(), &world.host, None).unwrap();
            if let Some(policy) = before {
                let name = wishes::object(uid).to_owned();
                entry = render::tombstone(&entry, &Tombstone { name, policy }, None);
            }
            if let Some((state, id, current)) = status {
                let revision = if current {
                    entry.revision.clone()
                } else {
                    "old".to_owned()
                };
                world.statuses.push(EntryStatus {
                    uid: (*uid).to_owned(),
                    revision,
                    state: state.into(),
                    id,
                    ..EntryStatus::default()
                });
            }
            world.previous.push(entry);
        }
        world
    })
}

fn tombstone(entry: &Entry) -> Option<Tombstone> {
    match EntrySpec::of(entry) {
        Ok(EntrySpec::Absent(_, stone)) => Some(stone),
        _ => None,
    }
}

proptest! {
    #![proptest_config(crate::config(500))]

    #[test]
    fn an_assignment_is_the_same_in_any_order_and_settles_at_once(
        world in world(),
        seed in any::<u64>(),
    ) {
        let assigned = world.assign();
        prop_assert_eq!(&assigned, &world.assign());
        let other = World {
            resources: wishes::shuffled(&world.resources, seed),
            previous: wishes::shuffled(&world.previous, seed),
            statuses: wishes::shuffled(&world.statuses, seed),
            ..world.clone()
        };
        prop_assert_eq!(&assigned, &other.assign());
        let next = World { previous: assigned.entries.clone(), ..world.clone() };
        prop_assert_eq!(&assigned, &next.assign());
        let uids: Vec<_> = assigned.entries.iter().map(|e| e.uid.clone()).collect();
        let sorted: BTreeSet<_> = uids.iter().cloned().collect();
        prop_assert_eq!(uids, sorted.into_iter().collect::<Vec<_>>());
        prop_assert!(assigned.entries.len() <= MAX_ENTRIES);
    }

    /// Invariant 1 on the controller's side.
    #[test]
    fn a_permission_needs_a_resource_that_exists(world in world()) {
        let assigned = world.assign();
        for before in &world.previous {
            let now = assigned.entries.iter().find(|e| e.uid == before.uid);
            if world.is_reported_gone(before) {
                continue;
            }
            // An entry leaves in one way only.
            let now = now.expect("an entry was dropped that was not reported as gone");
            if world.resource(&before.uid).is_none() {
                prop_assert_eq!(&now.intent, &before.intent);
                prop_assert_eq!(tombstone(now), tombstone(before));
            }
        }
        for entry in &assigned.entries {
            let Some(stone) = tombstone(entry) else { continue };
            let before = world.previous.iter().find(|e| e.uid == entry.uid);
            let before = before.expect("a tombstone for what was never there");
            if stone.policy == DeletionPolicy::Delete && before.intent == Intent::Present {
                let (resource, lifecycle) = world.resource(&entry.uid).unwrap();
                let selected = selection(resource, &world.host, &world.namespaces);
                let asked = lifecycle == Lifecycle::Deleted
                    || lifecycle == Lifecycle::Live && selected == Selection::No;
                prop_assert!(asked && resource.deletion() == DeletionPolicy::Delete);
            }
            let widened = stone.policy == DeletionPolicy::Delete
                && tombstone(before).is_some_and(|t| t.policy == DeletionPolicy::Retain);
            prop_assert!(!widened);
            if let Some((resource, _)) = world.resource(&entry.uid) {
                let kept = resource.deletion() == DeletionPolicy::Retain;
                prop_assert!(!(kept && stone.policy == DeletionPolicy::Delete));
            }
        }
    }

    /// A resource that the brake has stopped keeps its entries.
    #[test]
    fn a_braked_resource_keeps_its_entries(world in world()) {
        let assigned = world.assign();
        for before in world.previous.iter().filter(|e| e.intent == Intent::Present) {
            let Some((resource, Lifecycle::Braked)) = world.resource(&before.uid) else { continue };
            if selection(resource, &world.host, &world.namespaces) == Selection::NotAllowed {
                continue;
            }
            let now = assigned.entries.iter().find(|e| e.uid == before.uid);
            prop_assert_eq!(now.and_then(|e| e.intent.known()), Some(Intent::Present));
        }
    }

    #[test]
    fn a_name_is_given_once_and_both_get_a_message(world in world()) {
        let assigned = world.assign();
        let was = |uid: &str| {
            let before = world.previous.iter().find(|e| e.uid == uid);
            before.is_some_and(|e| e.intent == Intent::Present)
        };
        let present: Vec<_> =
            assigned.entries.iter().filter(|e| e.intent == Intent::Present).collect();
        for a in &present {
            for b in &present {
                let clash = a.uid < b.uid && wishes::object(&a.uid) == wishes::object(&b.uid);
                prop_assert!(!clash || was(&a.uid) && was(&b.uid));
            }
        }
        for (uid, refusal) in &assigned.refused {
            prop_assert!(world.resource(uid).is_some());
            if refusal.reason == dockfleet_crds::Reason::Conflict {
                let name = wishes::object(uid);
                let warned = assigned.contested.keys().any(|o| o != uid && wishes::object(o) == name);
                prop_assert!(warned, "{uid} lost to nobody");
            }
        }
    }
}
