//! A model of an agent: a journal, passes that can be interrupted between any two effects, and a controller
//! that processes the reports on tombstones. Every action is checked before it is done.

use std::collections::BTreeMap;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::policy::{
    AdoptionPolicy, DeletionPolicy, DriftPolicy, LossPolicy, ManagementPolicy,
};
use dockfleet_crds::{Entry, EntryState, EntryStatus, Intent, labels};
use dockfleet_planner::action::{ObjectAction, Operation};
use dockfleet_planner::credentials::CredentialStore;
use dockfleet_planner::desired::{Behaviour, EntrySpec};
use dockfleet_planner::kinds::{Action, Desired, Object};
use dockfleet_planner::observed::ObservedState;
use dockfleet_planner::plan::{JournalChange, PlanContext, Planned, Records, plan};
use dockfleet_planner::record::{Record, RecordKey, Stage};
use dockfleet_planner::render;

use crate::engine::Engine;

/// The result of one effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Done; the agent may not get the answer, but it observes the engine again in any case.
    Done,
    /// Not done.
    Failed,
    /// Not done, and the agent is killed.
    CrashBefore,
    /// Done, and the agent is killed.
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
    /// Calls of the last pass that the engine did not do.
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
                journal.insert(record.key.clone(), record.clone());
            }
            JournalChange::Forget(key) => {
                assert_eq!(*key, RecordKey::object(&p.status.uid));
                journal.remove(key);
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
        let context = PlanContext {
            api: self.engine.api(),
            nonce: &nonce,
            store: &CredentialStore::new(),
            is_cut_off: false,
        };
        plan(
            &self.entries,
            &self.engine.observe(),
            &self.journal,
            &context,
        )
    }

    fn fault(&mut self) -> Fault {
        if self.faults.is_empty() {
            Fault::Done
        } else {
            self.faults.remove(0)
        }
    }

    /// Does one effect, unless the agent is killed before it.
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

    /// One pass: journal, actions, and the journal again after another observation.
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
            // Every action has a record in the journal first.
            return Ok(());
        }
        for p in &planned {
            self.act_all(&p.actions)?;
        }
        let after = self.plan();
        written = false;
        self.effect(|a| {
            apply(&mut a.journal, &after);
            written = true;
        })?;
        if !written {
            // An entry is not reported as gone while the journal has its record.
            return Ok(());
        }
        let statuses = self.plan().into_iter().map(|p| p.status);
        self.statuses = statuses.map(|s| (s.uid.clone(), s)).collect();
        self.controller();
        Ok(())
    }

    /// Does the actions of an entry until the engine refuses one.
    fn act_all(&mut self, actions: &[Action]) -> Result<(), End> {
        for action in actions {
            let mut done = false;
            self.effect(|a| {
                done = a.act(action);
                a.refused += usize::from(!done);
            })?;
            if !done {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Does one action. Returns whether the engine did it.
    fn act(&mut self, action: &Action) -> bool {
        match (action.removes(), made_by(action)) {
            (Some((id, name)), None) => self.engine.remove(id, name).is_ok(),
            (None, Some(desired)) => self.engine.create(&desired).is_ok(),
            _ => unreachable!("an action removes or creates: {action:?}"),
        }
    }

    /// Processes the reports on tombstones as the controller does.
    fn controller(&mut self) {
        let statuses = &self.statuses;
        let reported = |e: &Entry| {
            let status = statuses.get(&e.uid).filter(|s| s.revision == e.revision);
            status.filter(|_| e.intent == Intent::Absent).cloned()
        };
        self.entries
            .retain(|e| reported(e).is_none_or(|s| s.state != EntryState::Gone));
        for e in &mut self.entries {
            if let (Some(status), Ok(EntrySpec::Absent(_, stone))) = (reported(e), EntrySpec::of(e))
                && status.id.is_some()
                && status.id != e.id
            {
                *e = render::tombstone(e, &stone, status.id);
            }
        }
    }
}

/// Returns the object that an action creates, if any.
fn made_by(action: &Action) -> Option<Desired> {
    match action {
        Action::DockerNetwork(ObjectAction::Create(desired)) => Some((**desired).clone().into()),
        Action::DockerVolume(ObjectAction::Create(desired)) => Some((**desired).clone().into()),
        Action::DockerNetwork(ObjectAction::Remove { .. })
        | Action::DockerVolume(ObjectAction::Remove { .. }) => None,
        other => panic!("no entry of these worlds asks for {other:?}"),
    }
}

fn policy(spec: &EntrySpec) -> Behaviour {
    match spec {
        EntrySpec::Present(desired) => desired.policy(),
        EntrySpec::Absent(..) => Behaviour::default(),
    }
}

/// Checks every rule that a plan must keep for any input.
pub(crate) fn judge(
    entries: &[Entry],
    observed: &ObservedState,
    before: &Records,
    planned: &[Planned],
) {
    assert_eq!(planned.len(), entries.len());
    let mut after = before.clone();
    apply(&mut after, planned);
    let mut touched: Vec<(Kind, String)> = Vec::new();
    for p in planned {
        let entry = entries.iter().find(|e| e.uid == p.status.uid).unwrap();
        let spec = EntrySpec::of(entry).unwrap();
        let policy = policy(&spec);
        let key = RecordKey::object(&entry.uid);
        let record = before.get(&key);
        let intent = after.get(&key);
        let written = intent.map(|r| (r.stage.known().unwrap(), r.id.as_ref()));
        let kind = entry.kind.known().unwrap();
        let named = observed.named(kind, spec.name());
        if named.is_none() {
            // Invariant 4.
            assert_eq!(
                (&p.actions, &p.journal),
                (&Vec::new(), &JournalChange::Keep)
            );
            continue;
        }
        let named = named.unwrap();
        let idle = policy.suspend || policy.management == ManagementPolicy::Observe;
        assert!(
            !idle || p.actions.is_empty(),
            "suspended or observed: {p:?}"
        );
        if policy.management == ManagementPolicy::Observe {
            assert_eq!(p.journal, JournalChange::Keep);
        }
        let removed = p.actions.iter().find_map(|a| a.removes());
        let removed = removed.map(|(id, _)| id.to_owned());
        let made = p.actions.iter().find_map(made_by);
        // A replacement removes first.
        let in_order = match p.actions.as_slice() {
            [] | [_] => true,
            [first, second] => first.removes().is_some() && made_by(second).is_some(),
            _ => false,
        };
        assert!(in_order, "several changes of one object: {p:?}");
        match p.operation() {
            None => {}
            Some(Operation::Update) => {
                panic!("networks and volumes are not changed in place: {p:?}")
            }
            Some(Operation::Create) => {
                let desired = made.unwrap();
                assert!(
                    named.is_empty(),
                    "a create beside an object of that name: {named:?}"
                );
                assert!(entry.intent == Intent::Present);
                assert_eq!(written.map(|w| w.0), Some(Stage::Creating), "invariant 5");
                touched.push((kind, format!("name {}", desired.name())));
                no_loss(record, &desired);
            }
            Some(Operation::Replace) => {
                let (id, desired) = (&removed.unwrap(), made.unwrap());
                // Invariant 1: permitted by the updatePolicy, and in the journal.
                assert!(policy.update_when_unused && policy.drift == DriftPolicy::Enforce);
                let old = named.iter().find(|o| o.id() == *id).unwrap();
                assert!(
                    stores_nothing(old) && is_mount(&desired),
                    "invariant 2: {old:?}"
                );
                assert_eq!(written, Some((Stage::Replacing, Some(id))));
                ours(entry, before, &named, id, policy.adoption);
                touched.push((kind, id.clone()));
                touched.push((kind, format!("name {}", desired.name())));
            }
            Some(Operation::Remove) => {
                let id = &removed.unwrap();
                // Invariant 1: permitted by a tombstone that names it, and in the journal.
                let EntrySpec::Absent(_, stone) = &spec else {
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
    assert_eq!(
        touched.len(),
        count,
        "two actions on one object: {planned:?}"
    );
}

/// Whether nothing is lost when an object is removed.
fn stores_nothing(object: &Object) -> bool {
    let Object::DockerVolume(v) = object else {
        return true;
    };
    v.driver == "local" && v.options.contains_key("device")
}

fn is_mount(desired: &Desired) -> bool {
    let Desired::DockerVolume(v) = desired else {
        return true;
    };
    v.driver == "local" && v.options.contains_key("device")
}

/// Invariant 3.
fn ours(entry: &Entry, before: &Records, named: &[&Object], id: &str, adoption: AdoptionPolicy) {
    let object = named.iter().find(|o| o.id() == id).unwrap();
    let record = before.get(&RecordKey::object(&entry.uid));
    let by_journal = record.is_some_and(|r| r.id.as_deref() == Some(id));
    let by_label = object.labels().get(labels::UID) == Some(&entry.uid);
    let by_policy = adoption != AdoptionPolicy::Never;
    assert!(
        by_journal || by_label || by_policy,
        "not ours: {entry:?} {object:?}"
    );
    let retained = record.is_some_and(|r| r.stage == Stage::Retained);
    assert!(
        !(entry.intent == Intent::Absent && retained),
        "released already"
    );
}

/// Invariant 2.
fn no_loss(record: Option<&Record>, desired: &Desired) {
    if let (Some(record), Desired::DockerVolume(v)) = (record, desired)
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
