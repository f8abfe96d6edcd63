//! Histories of a host: periods with one assignment each, with accidents, and with crashes between any two
//! effects.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::policy::AdoptionPolicy;
use dockfleet_crds::{Intent, labels};
use dockfleet_planner::desired::EntrySpec;
use dockfleet_planner::kinds::ObservedObject;
use dockfleet_planner::plan::JournalChange;
use dockfleet_planner::record::{RecordKey, Stage};
use proptest::prelude::*;
use strum::VariantArray;

use crate::agent::{Agent, End, Fault};
use crate::engine::{Engine, Release};
use crate::wishes::{self, UIDS, Wish};

/// What people do on the host at the beginning of a period.
#[derive(Clone, Debug)]
enum Accident {
    Remove(&'static str),
    /// Somebody creates an object of that name, matching a resource or not.
    Make(&'static str, u8),
    Use(&'static str),
    Release(&'static str),
}

#[derive(Clone, Debug)]
struct Era {
    wishes: Vec<Wish>,
    accidents: Vec<Accident>,
    faults: Vec<Fault>,
}

const NAMES: [&str; 4] = ["n0", "n1", "v0", "v1"];

fn accident() -> impl Strategy<Value = Accident> {
    let name = || proptest::sample::select(NAMES.to_vec());
    prop_oneof![
        2 => name().prop_map(Accident::Remove),
        2 => (name(), 0..4u8).prop_map(|(n, v)| Accident::Make(n, v)),
        1 => name().prop_map(Accident::Use),
        1 => name().prop_map(Accident::Release),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::Done),
        1 => Just(Fault::Failed),
        1 => Just(Fault::CrashBefore),
        1 => Just(Fault::CrashAfter),
    ]
}

fn era() -> impl Strategy<Value = Era> {
    (
        proptest::collection::vec(wishes::wish(), UIDS.len()),
        proptest::collection::vec(accident(), 0..3),
        proptest::collection::vec(fault(), 0..12),
    )
        .prop_map(|(wishes, accidents, faults)| Era {
            wishes,
            accidents,
            faults,
        })
}

fn release() -> impl Strategy<Value = Release> {
    prop_oneof![Just(Release::V20), Just(Release::V29)]
}

/// The facts, independent of the journal.
#[derive(Default)]
struct Truth {
    /// Identities of foreign objects that an entry may adopt.
    adoptable: BTreeSet<String>,
}

struct Life {
    agent: Agent,
    truth: Truth,
}

impl Life {
    fn new(release: Release) -> Self {
        Self {
            agent: Agent::new(Engine::new(release)),
            truth: Truth::default(),
        }
    }

    fn happen(&mut self, accident: &Accident) {
        let engine = &mut self.agent.engine;
        match accident {
            Accident::Use(name) => {
                engine.in_use.insert((*name).to_owned());
            }
            Accident::Release(name) => {
                engine.in_use.remove(*name);
            }
            Accident::Remove(name) => {
                engine.networks.retain(|n| n.name != *name);
                engine.volumes.remove(*name);
            }
            Accident::Make(name, variant) => {
                let uid = UIDS.iter().find(|u| wishes::object(u) == *name).unwrap();
                let entry = wishes::entry(
                    uid,
                    &Wish::Present {
                        variant: *variant,
                        policy: dockfleet_planner::desired::Behaviour::default(),
                        loss: dockfleet_crds::policy::LossPolicy::Report,
                    },
                    None,
                );
                let EntrySpec::Present(desired) = EntrySpec::of(&entry.unwrap()).unwrap() else {
                    panic!("a tombstone")
                };
                // If the engine refuses it, nothing changes.
                let _ = engine.create(&desired);
            }
        }
    }

    /// Sets the assignment of a period, as a controller would write it.
    fn begin(&mut self, era: &Era) {
        for accident in &era.accidents {
            self.happen(accident);
        }
        let before = std::mem::take(&mut self.agent.entries);
        for (uid, wish) in UIDS.iter().zip(&era.wishes) {
            let was = before.iter().find(|e| e.uid == *uid);
            let named = matches!(wish, Wish::Absent { named: true, .. });
            let status = self.agent.statuses.get(*uid).filter(|_| named);
            let id = status.and_then(|s| s.id.clone());
            let entry = match wish {
                // A tombstone needs an earlier entry; an entry may get lost.
                Wish::Absent { .. } if was.is_none() => None,
                _ => wishes::entry(uid, wish, id),
            };
            self.agent.entries.extend(entry);
        }
        self.agent.faults.clone_from(&era.faults);
    }

    fn pass(&mut self) -> End {
        self.note_adoptable();
        let before = self.agent.engine.clone();
        let end = self.agent.pass();
        self.nothing_foreign_went(&before);
        end
    }

    fn note_adoptable(&mut self) {
        for entry in &self.agent.entries {
            let Ok(EntrySpec::Present(desired)) = EntrySpec::of(entry) else {
                continue;
            };
            if desired.policy().adoption != AdoptionPolicy::Never {
                let observed = self.agent.engine.observe();
                let named = observed.named(entry.kind.known().unwrap(), wishes::object(&entry.uid));
                let ids = named.unwrap().into_iter().map(|o| o.id());
                self.truth.adoptable.extend(ids);
            }
        }
    }

    /// Invariant 3, checked by the objects that no longer exist.
    fn nothing_foreign_went(&self, before: &Engine) {
        let after = &self.agent.engine;
        for n in &before.networks {
            let ours = n.labels.contains_key(labels::UID) || self.truth.adoptable.contains(&n.id);
            let there = after.networks.iter().any(|a| a.id == n.id);
            assert!(there || ours, "a foreign network went: {n:?}");
        }
        for v in before.volumes.values() {
            let ours = v.labels.contains_key(labels::UID) || self.truth.adoptable.contains(&v.id());
            let there = after.volumes.get(&v.name).is_some_and(|a| a.id() == v.id());
            assert!(there || ours, "a foreign volume went: {v:?}");
        }
    }

    /// Runs passes until one changes nothing.
    fn rest(&mut self) {
        let bound = self.agent.faults.len() + 8;
        for _ in 0..bound {
            let quiet = self.agent.faults.is_empty();
            let before = (
                self.agent.engine.clone(),
                self.agent.journal.clone(),
                self.agent.entries.clone(),
            );
            self.pass();
            let after = (&self.agent.engine, &self.agent.journal, &self.agent.entries);
            if quiet && (&before.0, &before.1, &before.2) == after {
                return self.at_rest();
            }
        }
        panic!("no rest after {bound} passes: {:#?}", self.agent);
    }

    /// The rules for a host at rest.
    fn at_rest(&self) {
        let agent = &self.agent;
        let left = agent.plan();
        let unfinished = left.iter().filter(|p| !p.actions.is_empty());
        let refusals = unfinished.clone().count();
        assert!(
            refusals <= agent.refused,
            "an action is left that nobody refused: {:?}",
            unfinished.collect::<Vec<_>>()
        );
        for p in &left {
            assert_eq!(p.journal, JournalChange::Keep, "{p:?}");
        }
        // Every tombstone is acknowledged, except those that wait for a container.
        for entry in agent.entries.iter().filter(|e| e.intent == Intent::Absent) {
            let name = wishes::object(&entry.uid);
            assert!(
                agent.engine.in_use.contains(name),
                "never acknowledged: {entry:?}"
            );
        }
        let mut owners: BTreeMap<_, &RecordKey> = BTreeMap::new();
        for r in agent
            .journal
            .values()
            .filter(|r| r.stage != Stage::Retained)
        {
            if let Some(id) = &r.id {
                let other = owners.insert((r.kind.known().unwrap(), id), &r.key);
                assert_eq!(other, None, "two owners of {id}: {:?}", agent.journal);
            }
        }
    }

    /// Returns the state without identities, which must be equal in two histories.
    fn summary(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let observed = self.agent.engine.observe();
        let records: Vec<_> = self
            .agent
            .journal
            .values()
            .map(|r| {
                let named = observed.named(r.kind.known().unwrap(), &r.object).unwrap();
                let there = named.iter().any(|o| Some(o.id()) == r.id);
                (
                    r.key.clone(),
                    r.stage.clone(),
                    r.adopted,
                    r.was_ready,
                    there,
                )
            })
            .collect();
        let entries: Vec<_> = self
            .agent
            .entries
            .iter()
            .map(|e| (e.uid.clone(), e.intent.clone()))
            .collect();
        (self.agent.engine.content(), records, entries)
    }

    fn ids(&self) -> BTreeSet<String> {
        let observed = self.agent.engine.observe();
        let kinds = Kind::VARIANTS.iter();
        let all = kinds.filter_map(|kind| observed.all(*kind)).flatten();
        all.map(|o| o.id()).collect()
    }
}

proptest! {
    #![proptest_config(crate::config(150))]

    /// Periods follow each other at once, with the host at rest or not.
    #[test]
    fn a_host_converges_and_keeps_every_rule(
        release in release(),
        eras in proptest::collection::vec((era(), any::<bool>()), 1..5),
    ) {
        let mut life = Life::new(release);
        for (era, rest) in &eras {
            life.begin(era);
            if *rest {
                life.rest();
            } else {
                life.pass();
            }
        }
        life.rest();
    }

    /// Wherever an agent is interrupted, the result is the same as without the interruption.
    #[test]
    fn a_crash_anywhere_changes_nothing_in_the_end(
        release in release(),
        eras in proptest::collection::vec(era(), 1..4),
    ) {
        let (mut cut, mut smooth) = (Life::new(release), Life::new(release));
        for era in &eras {
            let calm = Era { faults: vec![], ..era.clone() };
            cut.begin(era);
            smooth.begin(&calm);
            let (before_cut, before_smooth) = (cut.ids(), smooth.ids());
            cut.rest();
            smooth.rest();
            prop_assert_eq!(cut.summary(), smooth.summary());
            // The interrupted history kept the same objects as the other.
            let kept = |before: &BTreeSet<String>, life: &Life| {
                before.intersection(&life.ids()).count()
            };
            prop_assert_eq!(kept(&before_cut, &cut), kept(&before_smooth, &smooth));
        }
    }
}
