//! A model of an agent: a journal, passes that can be cut off between any two effects, and a
//! controller that answers tombstones. Every step is judged before it is done.

use std::collections::BTreeMap;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::policy::{
    AdoptionPolicy, DeletionPolicy, DriftPolicy, LossPolicy, ManagementPolicy,
};
use dockfleet_crds::{Entry, EntryState, EntryStatus, Intent, labels};
use dockfleet_planner::credentials::CredentialStore;
use dockfleet_planner::desired::{Behaviour, Desired};
use dockfleet_planner::observed::{Object, Observed};
use dockfleet_planner::plan::{JournalChange, PlanContext, Planned, Records, Step, plan};
use dockfleet_planner::record::{Record, Stage};
use dockfleet_planner::render;

use crate::engine::Engine;

/// What becomes of one effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Done, and the agent learns of it or not: it looks again in any case.
    Done,
    /// Not done.
    Failed,
    /// Not done, and the agent is gone.
    CrashBefore,
    /// Done, and the agent is gone.
    CrashAfter,
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    Cut,
}

#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) engine: Engine,
    pub(crate) journal: Records,
    pub(crate) entries: Vec<Entry>,
    pub(crate) statuses: BTreeMap<String, EntryStatus>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) passes: u32,
    /// Steps of the last pass that the engine did not do.
    pub(crate) refused: usize,
}

pub(crate) fn apply(journal: &mut Records, planned: &[Planned]) {
    for p in planned {
        match &p.journal {
            JournalChange::Keep => {}
            JournalChange::Put { record, instead_of } => {
                if let Some(other) = instead_of {
                    journal.remove(other);
                }
                journal.insert(record.uid.clone(), record.clone());
            }
            JournalChange::Forget => {
                journal.remove(&p.status.uid);
            }
        }
    }
}

impl Agent {
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            journal: Records::new(),
            entries: Vec::new(),
            statuses: BTreeMap::new(),
            faults: Vec::new(),
            passes: 0,
            refused: 0,
        }
    }

    pub(crate) fn plan(&self) -> Vec<Planned> {
        let nonce = self.passes.to_string();
        let around = PlanContext {
            api: self.engine.api(),
            nonce: &nonce,
            store: &CredentialStore::new(),
        };
        plan(
            &self.entries,
            &self.engine.observe(),
            &self.journal,
            &around,
        )
    }

    fn fault(&mut self) -> Fault {
        if self.faults.is_empty() {
            Fault::Done
        } else {
            self.faults.remove(0)
        }
    }

    /// Does one effect, or what is left of it.
    fn effect(&mut self, mut work: impl FnMut(&mut Self)) -> Result<(), End> {
        let fault = self.fault();
        if matches!(fault, Fault::Done | Fault::CrashAfter) {
            work(self);
        }
        if matches!(fault, Fault::CrashBefore | Fault::CrashAfter) {
            return Err(End::Cut);
        }
        Ok(())
    }

    /// One pass: journal, steps, and the journal again after another look.
    pub(crate) fn pass(&mut self) -> End {
        self.passes += 1;
        self.refused = 0;
        match self.try_pass() {
            Ok(()) => End::Whole,
            Err(end) => end,
        }
    }

    fn try_pass(&mut self) -> Result<(), End> {
        let planned = self.plan();
        judge(
            &self.entries,
            &self.engine.observe(),
            &self.journal,
            &planned,
        );
        let mut written = false;
        self.effect(|a| {
            apply(&mut a.journal, &planned);
            written = true;
        })?;
        if !written {
            // Nothing is done that the journal does not know of.
            return Ok(());
        }
        for p in &planned {
            self.step(&p.step)?;
        }
        let after = self.plan();
        written = false;
        self.effect(|a| {
            apply(&mut a.journal, &after);
            written = true;
        })?;
        if !written {
            // Nothing is said to be gone that the journal still holds.
            return Ok(());
        }
        let statuses = self.plan().into_iter().map(|p| p.status);
        self.statuses = statuses.map(|s| (s.uid.clone(), s)).collect();
        self.controller();
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), End> {
        let refused = |a: &mut Self, done: bool| a.refused += usize::from(!done);
        match step {
            Step::None => Ok(()),
            Step::Create { desired, .. } => self.effect(|a| {
                let done = a.engine.create(desired).is_ok();
                refused(a, done);
            }),
            Step::Remove { id, name } => self.effect(|a| {
                let done = a.engine.remove(id, name).is_ok();
                refused(a, done);
            }),
            Step::Replace { id, desired } => {
                let mut removed = false;
                self.effect(|a| {
                    removed = a.engine.remove_network(id).is_ok();
                    refused(a, removed);
                })?;
                if !removed {
                    return Ok(());
                }
                self.effect(|a| {
                    let done = a.engine.create(desired).is_ok();
                    refused(a, done);
                })
            }
        }
    }

    /// What the controller does with the reports on tombstones.
    fn controller(&mut self) {
        let statuses = &self.statuses;
        let told = |e: &Entry| {
            let status = statuses.get(&e.uid).filter(|s| s.revision == e.revision);
            status.filter(|_| e.intent == Intent::Absent).cloned()
        };
        self.entries
            .retain(|e| told(e).is_none_or(|s| s.state != EntryState::Gone));
        for e in &mut self.entries {
            if let (Some(status), Ok(Desired::Tombstone(stone))) = (told(e), Desired::of(e))
                && status.id.is_some()
                && status.id != e.id
            {
                *e = render::tombstone(e, &stone, status.id);
            }
        }
    }
}

fn policy(desired: &Desired) -> Behaviour {
    match desired {
        Desired::Network(n) => n.policy,
        Desired::Volume(v) => v.policy,
        Desired::Tombstone(_) => Behaviour::default(),
    }
}

/// Checks every rule that one plan must keep, whatever it is made from.
pub(crate) fn judge(entries: &[Entry], observed: &Observed, before: &Records, planned: &[Planned]) {
    assert_eq!(planned.len(), entries.len());
    let mut after = before.clone();
    apply(&mut after, planned);
    let mut touched: Vec<(Kind, String)> = Vec::new();
    for p in planned {
        let entry = entries.iter().find(|e| e.uid == p.status.uid).unwrap();
        let desired = Desired::of(entry).unwrap();
        let policy = policy(&desired);
        let record = before.get(&entry.uid);
        let intent = after.get(&entry.uid);
        let written = intent.map(|r| (r.stage.known().unwrap(), r.id.as_ref()));
        let kind = entry.kind.known().unwrap();
        let named = observed.named(kind, desired.name());
        if named.is_none() {
            // Invariant 4.
            assert_eq!((&p.step, &p.journal), (&Step::None, &JournalChange::Keep));
            continue;
        }
        let named = named.unwrap();
        let idle = policy.suspend || policy.management == ManagementPolicy::Observe;
        assert!(
            !(idle && p.step != Step::None),
            "suspended or observed: {p:?}"
        );
        if policy.management == ManagementPolicy::Observe {
            assert_eq!(p.journal, JournalChange::Keep);
        }
        match &p.step {
            Step::None => {}
            Step::Create { desired, .. } => {
                assert_eq!(named, vec![], "a create beside an object of that name");
                assert!(entry.intent == Intent::Present);
                assert_eq!(written.map(|w| w.0), Some(Stage::Creating), "invariant 5");
                touched.push((kind, format!("name {}", desired.name())));
                no_loss(record, desired);
            }
            Step::Replace { id, desired } => {
                // Invariant 1: permitted by the updatePolicy, and written down.
                assert!(policy.update_when_unused && policy.drift == DriftPolicy::Enforce);
                assert!(
                    matches!(desired.as_ref(), Desired::Network(_)),
                    "invariant 2"
                );
                assert_eq!(written, Some((Stage::Replacing, Some(id))));
                ours(entry, before, &named, id, policy.adoption);
                touched.push((kind, id.clone()));
                touched.push((kind, format!("name {}", desired.name())));
            }
            Step::Remove { id, .. } => {
                // Invariant 1: permitted by a tombstone that names it, and written down.
                let Desired::Tombstone(stone) = &desired else {
                    panic!("a removal without a tombstone")
                };
                assert_eq!(stone.policy, DeletionPolicy::Delete);
                assert!(entry.id.as_ref() == Some(id) || entry.id.is_none() && record.is_some());
                assert_eq!(written, Some((Stage::Removing, Some(id))));
                ours(entry, before, &named, id, AdoptionPolicy::Never);
                touched.push((kind, id.clone()));
            }
        }
    }
    let count = touched.len();
    touched.sort();
    touched.dedup();
    assert_eq!(touched.len(), count, "two steps on one object: {planned:?}");
}

/// Invariant 3.
fn ours(entry: &Entry, before: &Records, named: &[Object<'_>], id: &str, adoption: AdoptionPolicy) {
    let object = named.iter().find(|o| o.id() == id).unwrap();
    let by_journal = before
        .get(&entry.uid)
        .is_some_and(|r| r.id.as_deref() == Some(id));
    let by_label = object.labels().get(labels::UID) == Some(&entry.uid);
    let by_policy = adoption != AdoptionPolicy::Never;
    assert!(
        by_journal || by_label || by_policy,
        "not ours: {entry:?} {object:?}"
    );
    let retained = before
        .get(&entry.uid)
        .is_some_and(|r| r.stage == Stage::Retained);
    assert!(
        !(entry.intent == Intent::Absent && retained),
        "let go of already"
    );
}

/// Invariant 2.
fn no_loss(record: Option<&Record>, desired: &Desired) {
    if let (Some(record), Desired::Volume(v)) = (record, desired)
        && record.stage == Stage::Owned
        && record.was_ready
    {
        let elsewhere = v.driver == "local" && v.options.contains_key("device");
        assert!(
            v.loss_policy == LossPolicy::Recreate || elsewhere,
            "data lost: {record:?}"
        );
    }
}
