//! Unused volumes and networks of a host that no resource manages, for `dockfleet prune`.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use dockfleet_agent::engine::{Endpoint, Engine, EngineError};
use dockfleet_agent::journal::Journal;
use dockfleet_agent::prune;
use dockfleet_crds::{Entry, PrunePolicy};
use dockfleet_planner::brake::Limits;
use dockfleet_planner::kinds::ObjectKind as _;
use dockfleet_planner::kinds::prune::{
    Candidate, DesiredPrune, ListedObject, Observation, Protected, Selected,
};
use dockfleet_planner::plan::Records;
use dockfleet_planner::record::Record;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Connected, HostTarget};
use crate::args::AGENT_STATE_DIR;

/// What `dockfleet prune` is to remove.
#[derive(Clone, Debug)]
pub(crate) struct PruneGoal {
    /// Volumes, networks, or both.
    pub(crate) wants: Vec<DesiredPrune>,
    /// How many may be removed of each kind on a host, although they are most of them.
    pub(crate) allowed: usize,
    /// How long to wait for another process that works on the host.
    pub(crate) patience: Duration,
}

/// What is on a host.
#[derive(Debug, Default)]
pub(crate) struct PruneReport {
    pub(crate) unused: Vec<UnusedObject>,
    pub(crate) kept: Vec<KeptRow>,
    /// What the brake says, if it stops a removal that nobody has seen before.
    pub(crate) braked: Option<String>,
}

/// An unused object.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UnusedObject {
    pub(crate) host: String,
    /// `volume` or `network`.
    pub(crate) kind: &'static str,
    #[serde(flatten)]
    pub(crate) object: ListedObject,
    pub(crate) state: UnusedState,
    /// Why it was not removed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) message: String,
    #[serde(skip)]
    identity: String,
}

/// What became of an unused object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum UnusedState {
    /// It would be removed.
    Candidate,
    /// It was removed.
    Removed,
    /// It is in use now, is another one, or has data now.
    Changed,
    /// The engine did not remove it.
    Failed,
}

/// An object that is kept.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct KeptRow {
    pub(crate) host: String,
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    /// `Kept`.
    pub(crate) state: &'static str,
    pub(crate) reason: &'static str,
}

impl PruneReport {
    fn of(host: &str, goal: &PruneGoal, all: Vec<(DesiredPrune, Selected)>) -> Self {
        let mut report = Self::default();
        for (want, selected) in all {
            let kind = want.kind.object();
            let (count, all) = (
                selected.candidates.len().min(want.max_per_run),
                selected.all(),
            );
            if Limits::default().stops_pruning(count, all) && count > goal.allowed {
                report.braked = Some(format!(
                    "{count} of {all} {kind}s would be removed; nothing is removed: look at the list first \
                     (--dry-run), and then add --allow-removal {count}"
                ));
            }
            let candidates = selected.candidates.iter().take(want.max_per_run);
            report
                .unused
                .extend(candidates.map(|c| unused(host, kind, c)));
            report
                .kept
                .extend(selected.kept.iter().map(|(object, keep)| KeptRow {
                    host: host.to_owned(),
                    kind,
                    name: object.name.clone(),
                    state: "Kept",
                    reason: (*keep).into(),
                }));
        }
        report
    }
}

fn unused(host: &str, kind: &'static str, candidate: &Candidate) -> UnusedObject {
    UnusedObject {
        host: host.to_owned(),
        kind,
        object: ListedObject::of(candidate),
        state: UnusedState::Candidate,
        message: String::new(),
        identity: candidate.object.identity.to_string(),
    }
}

/// What the journals of a host have.
struct Known {
    protected: Protected,
    observed: Vec<Observation>,
}

impl Known {
    /// Reads the journal of the host, and that of an agent on this machine, which may have the same engine.
    fn of(target: &HostTarget, own: &Journal) -> anyhow::Result<Self> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut records = Records::new();
        let mut add = |journal: &Journal| {
            entries.extend(
                journal
                    .assignment()
                    .into_iter()
                    .flat_map(|a| a.entries.clone()),
            );
            records.extend(
                journal
                    .records()
                    .iter()
                    .map(|(k, r)| (k.clone(), r.clone())),
            );
        };
        add(own);
        if let Endpoint::Unix(_) = target.endpoint() {
            let root = Path::new(AGENT_STATE_DIR);
            let unread = "the journal of the agent on this machine says what it manages";
            for folder in Journal::find(root).context(unread)? {
                add(&Journal::look(&folder).context(unread)?);
            }
        }
        let policies = records.values().filter(|r| r.kind == PrunePolicy::KIND);
        Ok(Self {
            observed: policies.filter_map(Record::progress).collect(),
            protected: Protected::of(&entries, &records),
        })
    }

    async fn look(
        &self,
        engine: &Engine,
        goal: &PruneGoal,
    ) -> anyhow::Result<Vec<(DesiredPrune, Selected)>> {
        let mut all = Vec::new();
        for want in &goal.wants {
            let found = prune::candidates(engine, want, &self.protected, &self.observed).await?;
            all.push((want.clone(), found));
        }
        Ok(all)
    }
}

impl HostTarget {
    /// Lists what is unused on the host. Nothing is changed.
    pub(crate) async fn unused(
        &self,
        engine: Connected,
        goal: &PruneGoal,
    ) -> anyhow::Result<PruneReport> {
        let journal = self.journal_to_read()?;
        let engine = self.connected(engine).await?;
        let found = Known::of(self, &journal)?.look(&engine, goal).await?;
        Ok(PruneReport::of(self.name(), goal, found))
    }

    /// Removes what was listed and is still unused. After `stop` is cancelled, it ends after the current removal.
    pub(crate) async fn prune(
        &self,
        engine: Connected,
        goal: &PruneGoal,
        listed: Vec<UnusedObject>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Vec<UnusedObject>> {
        if listed.is_empty() {
            return Ok(listed);
        }
        let journal = self.open_journal(goal.patience).await?;
        let engine = self.connected(engine).await?;
        let found = Known::of(self, &journal)?.look(&engine, goal).await?;
        let mut rows = Vec::new();
        for mut row in listed {
            if stop.is_cancelled() {
                rows.push(row);
                continue;
            }
            let again = found.iter().find_map(|(want, selected)| {
                let mut all = selected.candidates.iter();
                let same = all.find(|c| c.object.identity.to_string() == row.identity)?;
                Some((want, same))
            });
            (row.state, row.message) = match again {
                None => (
                    UnusedState::Changed,
                    "it has changed since it was listed".to_owned(),
                ),
                Some((want, candidate)) => {
                    outcome(prune::remove_candidate(&engine, want, candidate).await)
                }
            };
            rows.push(row);
        }
        Ok(rows)
    }

    async fn connected(&self, engine: Connected) -> anyhow::Result<Engine> {
        match engine {
            Some(engine) => engine,
            None => self.reach().await,
        }
    }
}

fn outcome(result: Result<(), EngineError>) -> (UnusedState, String) {
    match result {
        Ok(()) => (UnusedState::Removed, String::new()),
        Err(
            err @ (EngineError::InUse(_)
            | EngineError::InUseElsewhere(_)
            | EngineError::NotFound(_)),
        ) => (UnusedState::Changed, err.sentence()),
        Err(err) => (UnusedState::Failed, err.sentence()),
    }
}
