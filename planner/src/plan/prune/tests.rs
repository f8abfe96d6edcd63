use dockfleet_crds::policy::DeletionPolicy;
use dockfleet_crds::prune::{PruneMode, PrunedKind};
use dockfleet_crds::{Intent, Open};
use serde_json::json;
use std::collections::BTreeSet;

use super::*;
use crate::desired::{Behaviour, Tombstone, payload};
use crate::fixtures::{map, selector};
use crate::kinds::ObservedObject as _;
use crate::kinds::prune::{Identity, Keep, Protected, PrunableObject};
use crate::plan::Planned;
use crate::render;

fn volume(name: &str) -> PrunableObject {
    PrunableObject {
        identity: Identity::Volume {
            name: name.to_owned(),
            created: "2026-01-01T00:00:00Z".to_owned(),
        },
        name: name.to_owned(),
        driver: "local".to_owned(),
        labels: map(&[]),
        is_local: true,
        serves_others: false,
        has_options: false,
        created: "2026-01-01T00:00:00Z".to_owned(),
        mountpoint: String::new(),
    }
}

fn network(name: &str) -> PrunableObject {
    PrunableObject {
        identity: Identity::Network {
            id: format!("id-{name}"),
        },
        driver: "bridge".to_owned(),
        ..volume(name)
    }
}

/// A policy for networks that removes what is unused now.
fn want() -> DesiredPrune {
    DesiredPrune {
        name: "policy".to_owned(),
        kind: PrunedKind::Network,
        mode: PruneMode::Enforce,
        max_per_run: 10,
        ..DesiredPrune::default()
    }
}

fn entry(want: &DesiredPrune) -> Entry {
    let (spec, revision) = payload(want, None);
    Entry {
        uid: "u".to_owned(),
        kind: dockfleet_crds::assignment::Kind::PrunePolicy.into(),
        namespace: "hosts".to_owned(),
        name: "policy".to_owned(),
        revision,
        spec,
        ..Entry::default()
    }
}

/// An engine and a journal, on which passes follow each other.
#[derive(Default)]
struct World {
    objects: Vec<PrunableObject>,
    used: BTreeSet<String>,
    empty: BTreeSet<String>,
    protected: Protected,
    records: Records,
    removed: Vec<String>,
}

impl World {
    fn of(objects: Vec<PrunableObject>) -> Self {
        Self {
            objects,
            ..Self::default()
        }
    }

    fn pass(&mut self, want: &DesiredPrune, now: i64) -> Planned {
        self.pass_with(want, now, PruneContext::default())
    }

    /// Plans, and does what is planned.
    fn pass_with(&mut self, want: &DesiredPrune, now: i64, context: PruneContext<'_>) -> Planned {
        let view = PruneView {
            objects: &self.objects,
            used: &self.used,
            empty: &self.empty,
            protected: &self.protected,
            now,
        };
        let mut planned = prune(&[entry(want)], Some(&view), &self.records, context);
        assert_eq!(planned.len(), 1);
        let planned = planned.remove(0);
        if let JournalChange::Put { record, .. } = &planned.journal {
            self.records.insert(record.key.clone(), record.clone());
        }
        for (id, name) in planned.actions.iter().filter_map(|a| a.removes()) {
            self.removed.push(name.to_owned());
            self.objects.retain(|o| o.id() != id);
        }
        planned
    }
}

fn word(planned: &Planned) -> (&str, Option<&str>) {
    let status = &planned.status;
    (
        status.state.as_str(),
        status.reason.as_ref().map(Open::as_str),
    )
}

#[test]
fn i1_what_is_removed_was_in_the_journal_by_its_identity_for_a_minute() {
    let mut world = World::of(vec![network("a"), network("b")]);
    let first = world.pass(&want(), 1000);
    assert_eq!(first.actions, []);
    assert_eq!(word(&first), ("Ready", None));
    assert_eq!(
        first.status.message,
        "to be removed: 2 unused networks: a, b"
    );
    let early = world.pass(&want(), 1059);
    assert_eq!(early.actions, []);
    // It was removed and made again: another network of the name.
    world.objects[1].identity = Identity::Network { id: "other".into() };
    let second = world.pass(&want(), 1060);
    let expected = ObjectAction::Remove {
        id: "network/id-a".into(),
        name: "a".into(),
        driver: "bridge".into(),
    };
    assert_eq!(second.actions, [Action::PrunePolicy(expected)]);
    let JournalChange::Put { record, .. } = &second.journal else {
        panic!("{second:?}")
    };
    let progress: Observation = record.progress().unwrap();
    assert_eq!(
        progress.removing,
        BTreeSet::from(["network/id-a".to_owned()])
    );
    let after = world.pass(&want(), 1061);
    let detail = after.status.detail.unwrap();
    assert_eq!(detail.get("removed"), Some(&json!(1)));
    assert_eq!(detail.get("candidates"), Some(&json!(1)));
}

#[test]
fn a_run_removes_no_more_than_the_policy_says_and_the_next_run_waits() {
    let mut world = World::of(["a", "b", "c", "d"].map(network).to_vec());
    let want = DesiredPrune {
        max_per_run: 2,
        ..want()
    };
    world.pass(&want, 0);
    world.pass(&want, 60);
    assert_eq!(world.removed, ["a", "b"]);
    world.pass(&want, 120);
    world.pass(&want, 60 + BETWEEN_RUNS - 1);
    assert_eq!(world.removed, ["a", "b"]);
    world.pass(&want, 60 + BETWEEN_RUNS);
    assert_eq!(world.removed, ["a", "b", "c", "d"]);
}

#[test]
fn an_object_must_be_unused_for_long_enough_without_a_break() {
    let mut world = World::of(vec![network("a")]);
    let want = DesiredPrune {
        min_unused_for: 600,
        ..want()
    };
    let at_first = world.pass(&want, 0);
    assert_eq!(
        at_first.status.detail.unwrap().get("recent"),
        Some(&json!(1))
    );
    for now in [300, 500] {
        world.pass(&want, now);
    }
    world.used = BTreeSet::from(["network/id-a".to_owned()]);
    world.pass(&want, 590);
    world.used.clear();
    for now in [600, 900, 1190] {
        let planned = world.pass(&want, now);
        assert_eq!(planned.status.message, "", "{now}");
    }
    let listed = world.pass(&want, 1200);
    assert_eq!(listed.status.message, "to be removed: 1 unused network: a");
    world.pass(&want, 1260);
    assert_eq!(world.removed, ["a"]);
}

#[test]
fn a_gap_begins_again() {
    let mut world = World::of(vec![network("a")]);
    let want = DesiredPrune {
        min_unused_for: 600,
        ..want()
    };
    world.pass(&want, 0);
    world.pass(&want, 700);
    world.pass(&want, 700 + 16 * 60);
    let again = world.pass(&want, 700 + 17 * 60);
    assert_eq!((word(&again), again.actions.len()), (("Ready", None), 0));
    assert_eq!(world.removed, [""; 0]);
}

#[test]
fn nothing_is_removed_in_dry_run_or_while_it_is_suspended_paused_or_cut_off() {
    let dry = DesiredPrune {
        mode: PruneMode::DryRun,
        ..want()
    };
    let suspended = DesiredPrune {
        policy: Behaviour {
            suspend: true,
            ..Behaviour::default()
        },
        ..want()
    };
    let none = PruneContext::default();
    let paused = PruneContext {
        paused: Some("disk change"),
        ..none
    };
    let cut_off = PruneContext {
        is_cut_off: true,
        ..none
    };
    for (want, context, expected, message) in [
        (
            &dry,
            none,
            ("Ready", None),
            "would remove 1 unused network: a",
        ),
        (
            &suspended,
            none,
            ("Pending", Some("Suspended")),
            "to be removed: 1 unused network: a; suspended",
        ),
        (
            &want(),
            paused,
            ("Pending", Some("Paused")),
            "to be removed: 1 unused network: a; the host is paused: disk change",
        ),
        (
            &want(),
            cut_off,
            ("Ready", None),
            "to be removed: 1 unused network: a",
        ),
    ] {
        let mut world = World::of(vec![network("a")]);
        world.pass(want, 0);
        let planned = world.pass_with(want, 300, context);
        assert_eq!(planned.actions, [], "{message}");
        assert_eq!(word(&planned), expected);
        assert_eq!(planned.status.message, message);
    }
    let mut world = World::of(vec![network("a")]);
    let planned = world.pass_with(&want(), 0, paused);
    assert_eq!(planned.journal, JournalChange::Keep);
}

#[test]
fn the_brake_stops_a_removal_of_most_objects_until_it_is_allowed() {
    let many: Vec<PrunableObject> = (0..11).map(|n| network(&format!("n{n}"))).collect();
    let mut world = World::of(many.clone());
    let mut policy = DesiredPrune {
        generation: 3,
        ..want()
    };
    world.pass(&policy, 0);
    let braked = world.pass(&policy, 60);
    assert_eq!(word(&braked), ("Failed", Some("RemovalBraked")));
    assert_eq!(
        braked.status.message,
        "11 of 11 networks would be removed; nothing is removed: correct the policy, or allow it: kubectl \
         annotate --overwrite -n hosts prunepolicy/policy dockfleet.io/allow-removal=3-11"
    );
    assert_eq!(world.removed, [""; 0]);
    policy.allowed = Some(10);
    world.pass(&policy, 61);
    assert_eq!(world.removed, [""; 0]);
    policy.allowed = Some(11);
    world.pass(&policy, 62);
    assert_eq!(world.removed.len(), 10);
    // The others are not most of the host.
    let kept = (0..12).map(|n| PrunableObject {
        labels: map(&[("io.dockfleet.keep", "true")]),
        ..network(&format!("k{n}"))
    });
    let mut world = World::of(many.into_iter().chain(kept).collect());
    world.pass(&want(), 0);
    assert_eq!(word(&world.pass(&want(), 60)), ("Ready", None));
    assert_eq!(world.removed.len(), 10);
}

#[test]
fn what_could_not_be_removed_is_said_until_the_next_run_and_comes_last_then() {
    let mut world = World::of(vec![network("a"), network("b")]);
    let want = DesiredPrune {
        max_per_run: 1,
        ..want()
    };
    world.pass(&want, 0);
    let run = world.pass(&want, 60);
    assert_eq!(run.actions.len(), 1);
    world.objects.insert(0, network("a"));
    let failures = BTreeMap::from([("u".to_owned(), "removing network a: no".to_owned())]);
    let context = PruneContext {
        failures: Some(&failures),
        ..PruneContext::default()
    };
    let after = world.pass_with(&want, 61, context);
    assert_eq!(word(&after), ("Failed", Some("EngineRefused")));
    assert_eq!(after.status.message, "removing network a: no");
    assert_eq!(
        word(&world.pass(&want, 300)),
        ("Failed", Some("EngineRefused"))
    );
    world.pass(&want, 60 + BETWEEN_RUNS);
    assert_eq!(world.removed, ["a", "b"]);
    assert_eq!(word(&world.pass(&want, 61 + BETWEEN_RUNS)), ("Ready", None));
}

#[test]
fn a_deleted_policy_leaves_nothing_and_an_engine_that_cannot_be_read_is_unknown() {
    let mut world = World::of(vec![network("a")]);
    world.pass(&want(), 0);
    let policy = Tombstone {
        name: "policy".to_owned(),
        policy: DeletionPolicy::Retain,
    };
    let tombstone = render::tombstone(&entry(&want()), &policy, None);
    assert_eq!(tombstone.intent, Intent::Absent);
    let planned = prune(&[tombstone], None, &world.records, PruneContext::default());
    let key = RecordKey::object("u");
    assert_eq!(planned[0].journal, JournalChange::Forget(key.clone()));
    assert_eq!(word(&planned[0]), ("Gone", Some("Retained")));
    assert_eq!(abandoned(&[], &world.records), [key]);
    let unknown = prune(
        &[entry(&want())],
        None,
        &world.records,
        PruneContext::default(),
    );
    assert_eq!(word(&unknown[0]), ("Pending", Some("EngineUnreachable")));
    assert_eq!(unknown[0].journal, JournalChange::Keep);
}

#[test]
fn i15_a_policy_of_a_newer_version_is_not_followed() {
    let mut newer = entry(&want());
    newer.spec.insert("onlyOnSundays".to_owned(), json!(true));
    let world = World::of(vec![network("a")]);
    let planned = prune(&[newer], None, &world.records, PruneContext::default());
    assert_eq!(word(&planned[0]), ("Unsupported", Some("AgentTooOld")));
}

/// Why objects are kept by a policy that takes every volume and network.
fn kept(objects: &[PrunableObject], want: &DesiredPrune, world: &World) -> Vec<Keep> {
    let view = PruneView {
        objects,
        used: &world.used,
        empty: &world.empty,
        protected: &world.protected,
        now: 0,
    };
    let selected = Selected::of(want, None, &view);
    selected.kept.into_iter().map(|(_, keep)| keep).collect()
}

#[test]
fn i3_what_others_need_or_made_is_never_a_candidate() {
    let all = |kind| DesiredPrune {
        kind,
        include_non_empty: true,
        ..want()
    };
    let labelled = |labels: &[(&str, &str)], object: PrunableObject| PrunableObject {
        labels: map(labels),
        ..object
    };
    let named = |name: &str| PrunableObject {
        driver: "bridge".to_owned(),
        ..network(name)
    };
    let driven = |driver: &str, object: PrunableObject| PrunableObject {
        driver: driver.to_owned(),
        ..object
    };
    let world = World::default();
    for (object, expected) in [
        (volume("free"), None),
        (network("free"), None),
        (driven("macvlan", network("lan")), None),
        (
            labelled(&[("io.dockfleet.keep", "true")], volume("v")),
            Some(Keep::KeepLabel),
        ),
        (
            labelled(&[("io.dockfleet.keep", "")], network("n")),
            Some(Keep::KeepLabel),
        ),
        (
            labelled(&[("io.dockfleet.keep", "false")], network("n")),
            None,
        ),
        (
            labelled(&[("io.dockfleet.managed", "true")], volume("v")),
            Some(Keep::Managed),
        ),
        (
            labelled(
                &[("io.dockfleet.uid", "x"), ("io.dockfleet.keep", "false")],
                volume("v"),
            ),
            Some(Keep::Managed),
        ),
        (
            labelled(&[("com.docker.compose.project", "p")], volume("v")),
            Some(Keep::Compose),
        ),
        (
            labelled(&[("com.docker.stack.namespace", "s")], network("n")),
            Some(Keep::Swarm),
        ),
        (
            PrunableObject {
                is_local: false,
                ..network("n")
            },
            Some(Keep::Swarm),
        ),
        (
            PrunableObject {
                is_local: false,
                ..volume("v")
            },
            Some(Keep::Swarm),
        ),
        (
            PrunableObject {
                serves_others: true,
                ..network("n")
            },
            Some(Keep::Predefined),
        ),
        (named("docker_gwbridge"), Some(Keep::Predefined)),
        (named("bridge"), Some(Keep::Predefined)),
        (driven("weave", network("n")), Some(Keep::Driver)),
        (driven("rclone:latest", volume("v")), Some(Keep::Driver)),
        (
            PrunableObject {
                has_options: true,
                ..volume("v")
            },
            Some(Keep::Options),
        ),
    ] {
        let want = all(object.kind());
        let found = kept(std::slice::from_ref(&object), &want, &world);
        assert_eq!(found.first().copied(), expected, "{object:?}");
    }
}

#[test]
fn i3_what_the_assignment_or_the_journal_names_is_never_a_candidate() {
    let mut other = entry(&want());
    other.kind = dockfleet_crds::assignment::Kind::DockerNetwork.into();
    other.spec.insert("name".to_owned(), json!("wanted"));
    // A kind of a newer version.
    let mut unknown = other.clone();
    unknown.kind = serde_json::from_value(json!("DockerThing")).unwrap();
    unknown.spec.insert("name".to_owned(), json!("thing"));
    let mut policy = entry(&want());
    policy.spec.insert("name".to_owned(), json!("free"));
    let record = Record::new(&other, "adopted", Stage::Owned, Some("id-by-id".to_owned()));
    let records = Records::from([(record.key.clone(), record)]);
    let world = World {
        protected: Protected::of(&[other, unknown, policy], &records),
        used: BTreeSet::from(["network/id-used".to_owned()]),
        ..World::default()
    };
    let names = ["adopted", "by-id", "free", "thing", "used", "wanted"];
    let objects = names.map(network).to_vec();
    let expected = [
        Keep::Managed,
        Keep::Managed,
        Keep::Assigned,
        Keep::InUse,
        Keep::Assigned,
    ];
    assert_eq!(kept(&objects, &want(), &world), expected);
}

#[test]
fn a_volume_needs_to_be_known_as_empty_and_anonymous_unless_the_policy_says_otherwise() {
    let random = "0123456789abcdef".repeat(4);
    let labelled = PrunableObject {
        labels: map(&[("com.docker.volume.anonymous", "")]),
        ..volume("labelled")
    };
    let objects = vec![
        volume(&random),
        labelled.clone(),
        volume("named"),
        volume("team"),
    ];
    let world = World {
        empty: BTreeSet::from([labelled.id(), volume("named").id()]),
        ..World::default()
    };
    let volumes = DesiredPrune {
        kind: PrunedKind::Volume,
        only_anonymous: true,
        ..want()
    };
    let named = [Keep::Named, Keep::Named];
    assert_eq!(
        kept(&objects, &volumes, &world),
        [&[Keep::NonEmpty][..], &named].concat()
    );
    let full = DesiredPrune {
        include_non_empty: true,
        ..volumes.clone()
    };
    assert_eq!(kept(&objects, &full, &world), named);
    let every = DesiredPrune {
        only_anonymous: false,
        ..volumes
    };
    assert_eq!(
        kept(&objects, &every, &world),
        [Keep::NonEmpty, Keep::NonEmpty]
    );
    let selecting = DesiredPrune {
        selector: Some(selector(&[("com.docker.volume.anonymous", "")])),
        ..every
    };
    assert_eq!(kept(&objects, &selecting, &world), [Keep::NotSelected; 3]);
}
