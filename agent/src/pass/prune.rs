//! A pass over PrunePolicies: look, plan, write the journal, remove by identity, look again.

use std::collections::BTreeMap;
use std::sync::Arc;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::prune::PrunedKind;
use dockfleet_crds::{DockerNetwork, DockerVolume, Entry};
use dockfleet_planner::action::Operation;
use dockfleet_planner::kinds::prune::{DesiredPrune, Protected, PruneDetail};
use dockfleet_planner::kinds::{Action, ObjectKind as _};
use dockfleet_planner::plan::{JournalChange, Planned, PruneContext, abandoned, policy_of, prune};
use dockfleet_vitals::chain;

use super::{Attempts, PassReport, PassRun, Progress};
use crate::engine::{Engine, EngineError};
use crate::journal::{Journal, Ledger};
use crate::prune::{PruneLook, remove};

/// What a pass has done for pruning, by kind of object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruning {
    /// Number of candidates.
    pub candidates: BTreeMap<PrunedKind, i64>,
    /// Number of objects that were removed.
    pub removed: BTreeMap<PrunedKind, u64>,
}

/// Returns what a pass would do first for policies, without doing it.
pub(super) async fn preview(
    engine: &Engine,
    journal: &Journal,
    policies: &[Entry],
    others: &[Entry],
) -> Vec<Planned> {
    let records = journal.records();
    let remembered = journal.assignment().map_or(&[][..], |s| &s.entries);
    let protected = Protected::of(&[remembered, others].concat(), &records);
    let wants: Vec<DesiredPrune> = policies.iter().filter_map(policy_of).collect();
    let look = if wants.is_empty() {
        None
    } else {
        PruneLook::at(engine, &wants, &protected).await.ok()
    };
    let view = look.as_ref().map(|look| look.view(&protected));
    prune(policies, view.as_ref(), &records, PruneContext::default())
}

/// Returns the kind of the objects that a policy prunes, for a person who waits.
fn kind_of(object: PrunedKind) -> Kind {
    match object {
        PrunedKind::Volume => DockerVolume::KIND,
        PrunedKind::Network => DockerNetwork::KIND,
    }
}

impl PassRun<'_> {
    /// Follows the policies: lists candidates, and removes those that the plan names.
    pub(super) async fn follow_policies<P: FnMut(&Progress) + ?Sized>(
        self,
        ledger: &Arc<Ledger>,
        progress: &mut P,
    ) -> PassReport {
        let calls_before = self.engine.calls();
        let mut report = PassReport::default();
        let mut pruning = Pruning::default();
        let mut failures = BTreeMap::new();
        let planned = loop {
            let planned = self.plan_pruning(ledger, &failures, &mut report).await;
            let records = ledger.records_of(self.kind);
            let mut changes: Vec<JournalChange> = planned
                .iter()
                .map(|p| p.journal.clone())
                .filter(|change| *change != JournalChange::Keep && self.paused.is_none())
                .collect();
            let over = abandoned(self.entries, &records).into_iter();
            changes.extend(over.map(JournalChange::Forget));
            // Invariant 1: what is removed is in the journal, with its identity, before anything is removed.
            if let Err(err) = ledger.commit(changes, self.effects).await {
                tracing::error!(error = %chain(&err), "the journal cannot be written; nothing is pruned");
                report.journal_failure = Some(err);
                break planned;
            }
            if planned.iter().all(|p| p.actions.is_empty()) || self.stop.is_cancelled() {
                break planned;
            }
            for p in &planned {
                let removed = self.remove_candidates(p, &mut failures, progress).await;
                report.changed += removed
                    .values()
                    .map(|n| usize::try_from(*n).unwrap_or(0))
                    .sum::<usize>();
                for (kind, count) in removed {
                    *pruning.removed.entry(kind).or_default() += count;
                }
            }
        };
        for p in &planned {
            let entry = self.entries.iter().find(|e| e.uid == p.status.uid);
            let detail = PruneDetail::read(p.status.detail.as_ref());
            if let (Some(want), Some(detail)) = (entry.and_then(policy_of), detail) {
                *pruning.candidates.entry(want.kind).or_default() += detail.candidates;
            }
        }
        report.pruning = Some(pruning);
        report.finish(planned, &Attempts::default(), &ledger.records_of(self.kind));
        report.engine_calls = self.engine.calls() - calls_before;
        report
    }

    /// Looks at the engine, unless no policy asks for it, and plans.
    async fn plan_pruning(
        &self,
        ledger: &Ledger,
        failures: &BTreeMap<String, String>,
        report: &mut PassReport,
    ) -> Vec<Planned> {
        let records = ledger.records();
        let protected = Protected::of(self.assigned, &records);
        let context = PruneContext {
            paused: self.paused,
            is_cut_off: self.is_cut_off,
            failures: Some(failures),
        };
        let wants: Vec<DesiredPrune> = self.entries.iter().filter_map(policy_of).collect();
        report.engine_failures.clear();
        let look = if wants.is_empty() {
            None
        } else {
            let look = PruneLook::at(self.engine, &wants, &protected).await;
            look.map_err(|err| report.engine_failures.push(err)).ok()
        };
        let view = look.as_ref().map(|look| look.view(&protected));
        prune(self.entries, view.as_ref(), &records, context)
    }

    /// Removes the candidates of one policy, each after another look at it. Returns how many were removed.
    async fn remove_candidates<P: FnMut(&Progress) + ?Sized>(
        &self,
        planned: &Planned,
        failures: &mut BTreeMap<String, String>,
        progress: &mut P,
    ) -> BTreeMap<PrunedKind, u64> {
        let mut removed = BTreeMap::new();
        let entry = self.entries.iter().find(|e| e.uid == planned.status.uid);
        let Some((entry, want)) = entry.and_then(|e| Some((e, policy_of(e)?))) else {
            return removed;
        };
        for action in &planned.actions {
            if self.stop.is_cancelled() {
                break;
            }
            let mut moment = Progress::begin(
                entry,
                kind_of(want.kind),
                Operation::Remove,
                action.object(),
            );
            progress(&moment);
            let result = self.remove_one(action, &want).await;
            moment.result = Some(result.as_ref().map(|&()| ()).map_err(EngineError::sentence));
            progress(&moment);
            match &result {
                Ok(()) => *removed.entry(want.kind).or_default() += 1,
                // Somebody uses it again, or has removed it.
                Err(
                    EngineError::InUse(_)
                    | EngineError::InUseElsewhere(_)
                    | EngineError::NotFound(_),
                ) => {}
                Err(err) => {
                    let failure = failures.entry(entry.uid.clone());
                    failure.or_insert_with(|| err.sentence());
                }
            }
            log(entry, action.object(), &result);
        }
        removed
    }

    async fn remove_one(&self, action: &Action, want: &DesiredPrune) -> Result<(), EngineError> {
        remove(self.engine, self.effects, action, want.include_non_empty).await
    }
}

fn log(entry: &Entry, object: &str, result: &Result<(), EngineError>) {
    let kind = entry.kind.as_str();
    let (namespace, name) = (&entry.namespace, &entry.name);
    let (action, why) = (Operation::Remove.as_str(), "unused");
    match result {
        Ok(()) => tracing::info!(kind, object, namespace, name, action, why, result = "done"),
        Err(err) => {
            let result = err.sentence();
            tracing::warn!(kind, object, namespace, name, action, why, result);
        }
    }
}
