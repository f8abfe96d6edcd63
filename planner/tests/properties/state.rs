//! One plan over any state, whether or not a history leads there.

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::{Entry, labels};
use dockfleet_planner::capability::ApiVersion;
use dockfleet_planner::credentials::CredentialStore;
use dockfleet_planner::kinds::Object;
use dockfleet_planner::kinds::network::ObservedNetwork;
use dockfleet_planner::kinds::volume::ObservedVolume;
use dockfleet_planner::observed::ObservedState;
use dockfleet_planner::plan::{PlanContext, Planned, Records, forgettable, plan, statuses};
use dockfleet_planner::record::{Record, RecordKey, Stage};
use proptest::prelude::*;
use strum::VariantArray;

use crate::agent::{apply, judge};
use crate::wishes::{self, UIDS, Wish};

#[derive(Clone, Debug)]
struct State {
    entries: Vec<Entry>,
    observed: ObservedState,
    journal: Records,
}

impl State {
    fn plan(&self) -> Vec<Planned> {
        let context = PlanContext {
            api: ApiVersion(1, 47),
            nonce: "nonce",
            store: &CredentialStore::new(),
            is_cut_off: false,
        };
        plan(&self.entries, &self.observed, &self.journal, &context)
    }
}

/// The objects of a state are `a` to `f`: two networks of each name, one volume of each.
const IDS: [&str; 4] = ["a", "b", "c", "d"];

fn label(uid: Option<&'static str>) -> Vec<(String, String)> {
    let pair = |uid: &str| (labels::UID.to_owned(), uid.to_owned());
    uid.map(pair).into_iter().collect()
}

fn uid() -> impl Strategy<Value = Option<&'static str>> {
    proptest::option::weighted(0.6, proptest::sample::select(UIDS.to_vec()))
}

fn networks() -> impl Strategy<Value = Option<Vec<ObservedNetwork>>> {
    let one = |i: usize| {
        proptest::option::weighted(0.4, (uid(), any::<bool>())).prop_map(move |made| {
            made.map(|(uid, internal)| ObservedNetwork {
                id: IDS[i].to_owned(),
                name: format!("n{}", i % 2),
                driver: "bridge".to_owned(),
                labels: label(uid).into_iter().collect(),
                internal,
                ..ObservedNetwork::default()
            })
        })
    };
    let all = (one(0), one(1), one(2), one(3));
    proptest::option::weighted(
        0.9,
        all.prop_map(|(a, b, c, d)| [a, b, c, d].into_iter().flatten().collect()),
    )
}

fn volumes() -> impl Strategy<Value = Option<Vec<ObservedVolume>>> {
    let one = |i: usize| {
        let marks = (uid(), proptest::option::of(Just(IDS[i])), any::<bool>());
        proptest::option::weighted(0.6, marks).prop_map(move |made| {
            made.map(|(uid, id, plugin)| {
                let id = id.map(|id| (labels::VOLUME_ID.to_owned(), id.to_owned()));
                ObservedVolume {
                    name: format!("v{i}"),
                    driver: if plugin { "plugin" } else { "local" }.to_owned(),
                    labels: label(uid).into_iter().chain(id).collect(),
                    ..ObservedVolume::default()
                }
            })
        })
    };
    let all = (one(0), one(1));
    proptest::option::weighted(
        0.9,
        all.prop_map(|(a, b)| [a, b].into_iter().flatten().collect()),
    )
}

fn stage() -> impl Strategy<Value = Stage> {
    prop_oneof![
        1 => Just(Stage::Creating),
        3 => Just(Stage::Owned),
        1 => Just(Stage::Replacing),
        1 => Just(Stage::Removing),
        1 => Just(Stage::Retained)
    ]
}

fn some_id() -> impl Strategy<Value = Option<String>> {
    let known = proptest::sample::select(IDS.to_vec()).prop_map(str::to_owned);
    proptest::option::weighted(
        0.8,
        prop_oneof![4 => known, 1 => Just("elsewhere".to_owned())],
    )
}

/// A record, with or without an entry.
fn record(uid: &'static str) -> impl Strategy<Value = Option<Record>> {
    let parts = (stage(), some_id(), any::<bool>(), any::<bool>());
    proptest::option::weighted(0.6, parts).prop_map(move |parts| {
        parts.map(|(stage, id, adopted, was_ready)| Record {
            key: RecordKey::object(uid),
            kind: wishes::kind(uid).into(),
            namespace: "team".to_owned(),
            name: wishes::object(uid).to_owned(),
            object: wishes::object(uid).to_owned(),
            id,
            stage: stage.into(),
            adopted,
            was_ready,
            driver: None,
            credentials: None,
            examined: None,
            progress: None,
            other: serde_json::Map::new(),
        })
    })
}

fn state() -> impl Strategy<Value = State> {
    let wishes = proptest::collection::vec((wishes::wish(), some_id()), UIDS.len());
    let records: Vec<_> = UIDS.map(record).into();
    (wishes, networks(), volumes(), records).prop_map(|(wishes, networks, volumes, records)| {
        let mut journal = Records::new();
        for record in records.into_iter().flatten() {
            // An object has only one owner.
            let is_owner = |r: &Record| {
                r.id == record.id && r.kind == record.kind && r.stage != Stage::Retained
            };
            if record.id.is_none() || !journal.values().any(is_owner) {
                journal.insert(record.key.clone(), record);
            }
        }
        let entry = |(uid, (wish, id)): (&&str, &(Wish, Option<String>))| {
            wishes::entry(uid, wish, id.clone())
        };
        let mut observed = ObservedState::default();
        if let Some(networks) = networks {
            let networks = networks.into_iter().map(Object::from);
            observed.insert(Kind::DockerNetwork, networks.collect());
        }
        if let Some(volumes) = volumes {
            let volumes = volumes.into_iter().map(Object::from);
            observed.insert(Kind::DockerVolume, volumes.collect());
        }
        State {
            entries: UIDS.iter().zip(&wishes).filter_map(entry).collect(),
            observed,
            journal,
        }
    })
}

proptest! {
    #![proptest_config(crate::config(500))]

    #[test]
    fn a_plan_keeps_every_rule(state in state()) {
        judge(&state.entries, &state.observed, &state.journal, &state.plan());
    }

    #[test]
    fn a_plan_is_the_same_in_any_order(state in state(), seed in any::<u64>()) {
        let mut observed = ObservedState::default();
        for kind in Kind::VARIANTS {
            if let Some(all) = state.observed.all(*kind) {
                observed.insert(*kind, wishes::shuffled(all, seed));
            }
        }
        let other = State {
            entries: wishes::shuffled(&state.entries, seed),
            observed,
            journal: state.journal.clone(),
        };
        prop_assert_eq!(state.plan(), state.plan());
        prop_assert_eq!(state.plan(), other.plan());
    }

    /// The journal write alone changes no decision: after a crash right behind it the actions are repeated.
    #[test]
    fn a_journalled_intent_is_repeated_as_it_is(state in state()) {
        let first = state.plan();
        let mut journalled = state.clone();
        apply(&mut journalled.journal, &first);
        for again in journalled.plan() {
            let before = first.iter().find(|p| p.status.uid == again.status.uid).unwrap();
            if !before.actions.is_empty() {
                prop_assert_eq!(&again.actions, &before.actions);
            }
        }
    }

    #[test]
    fn every_entry_has_one_status(state in state()) {
        let planned = state.plan();
        let all = statuses(&planned, &state.journal);
        let uids: Vec<_> = all.iter().map(|s| s.uid.clone()).collect();
        let mut sorted = uids.clone();
        sorted.sort();
        sorted.dedup();
        prop_assert_eq!(&uids, &sorted);
        for entry in &state.entries {
            let status = all.iter().find(|s| s.uid == entry.uid).unwrap();
            prop_assert_eq!(&status.revision, &entry.revision);
        }
    }

    #[test]
    fn a_forgettable_record_changes_no_plan(state in state()) {
        let mut forgetful = state.clone();
        for key in forgettable(&state.entries, &state.observed, &state.journal) {
            forgetful.journal.remove(&key);
        }
        prop_assert_eq!(state.plan(), forgetful.plan());
    }
}
