//! The output of commands that only read: the same as `apply` for the same state.

use dockfleet_agent::pass;
use dockfleet_crds::{Entry, EntryState, Intent, Reason};
use dockfleet_planner::action::Operation;
use dockfleet_planner::credentials::{CredentialEntry, CredentialStore, Credentials};
use dockfleet_planner::desired::EntrySpec;
use dockfleet_planner::plan::{JournalChange, Planned};
use serde::Serialize;

use super::session::{concerned_only, is_stale, sort_key};
use super::{CommandGoal, Files, HostSession};
use crate::result::ResultRow;

/// One change that would be made.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlannedChange {
    #[serde(flatten)]
    pub(crate) row: ResultRow,
    /// One word: create, replace, remove, adopt or retain. Empty if nothing would be done.
    pub(crate) action: &'static str,
    /// Whether the resource would not be ready after the change, as far as it can be known.
    #[serde(skip)]
    pub(crate) fails: bool,
}

impl PlannedChange {
    /// Plans an action of a later round.
    fn happens_later(&mut self, operation: Operation, when: &str) {
        self.action = operation.as_str();
        self.fails = false;
        self.row.state = EntryState::Pending.into();
        self.row.reason = Some(Reason::Progressing.into());
        self.row.message = format!("when {when}");
    }
}

impl HostSession {
    /// Returns what [`Self::apply`] would do.
    pub(crate) async fn preview(
        &self,
        files: &Files,
        goal: &CommandGoal,
    ) -> anyhow::Result<Vec<PlannedChange>> {
        let (assigned, concerned) = self.assignment(files, goal, &self.known());
        let entries = concerned_only(&assigned.entries, &concerned);
        let store = &files.credentials.store;
        let planned = pass::preview(&self.engine, &self.journal, &entries, store).await?;
        let mut changes: Vec<PlannedChange> = Vec::new();
        for p in &planned {
            let Some(entry) = entries.iter().find(|e| e.uid == p.status.uid) else {
                continue;
            };
            if is_stale(entry, &assigned) {
                continue;
            }
            let mut row = self.row(entry, &p.status);
            // The last failure says more than that the action will be retried.
            if let Some(said) = self.messages.of_step(entry, p) {
                row = said;
            }
            let action = action(p);
            let fails = fails(&row, entry, action);
            changes.push(PlannedChange { row, action, fails });
        }
        changes.extend(
            self.refused(&assigned, files)
                .into_iter()
                .map(|row| PlannedChange {
                    row,
                    action: "",
                    fails: true,
                }),
        );
        for change in changes.iter_mut().filter(|c| c.action.is_empty()) {
            if files.comes_later(&self.target.host, &change.row) {
                change.happens_later(Operation::Create, "all hosts have reported");
            } else if files.goes_later(&self.target.host, &change.row) {
                change.happens_later(Operation::Remove, "the other hosts have left");
            }
        }
        changes.sort_by(|a, b| sort_key(&a.row).cmp(&sort_key(&b.row)));
        Ok(changes)
    }

    /// Returns the current state of everything that was applied.
    pub(crate) async fn current_rows(&self) -> anyhow::Result<Vec<ResultRow>> {
        let entries = self.previous();
        // Volumes that were applied with credentials are assumed to have them.
        let store = CredentialStore::new();
        let mut planned = pass::preview(&self.engine, &self.journal, entries, &store).await?;
        self.make_up_for_files(entries, &mut planned).await?;
        let mut rows: Vec<ResultRow> = entries
            .iter()
            .filter_map(|e| {
                Some(self.current_row(e, planned.iter().find(|p| p.status.uid == e.uid)?))
            })
            .collect();
        rows.extend(self.messages.without_entry(entries));
        rows.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
        Ok(rows)
    }

    /// Plans missing volumes as if their credentials were available, like commands that read the
    /// files: missing volumes need no comparison.
    async fn make_up_for_files(
        &self,
        entries: &[Entry],
        planned: &mut [Planned],
    ) -> anyhow::Result<()> {
        let lacks = |e: &&Entry| {
            planned.iter().any(|p| {
                let status = &p.status;
                status.uid == e.uid
                    && status.id.is_none()
                    && status.is_because(Reason::CredentialsMissing)
            })
        };
        let lacking: Vec<Entry> = entries.iter().filter(lacks).cloned().collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let mut store = CredentialStore::new();
        for entry in &lacking {
            if let Ok(EntrySpec::Present(desired)) = EntrySpec::of(entry) {
                let parcel = CredentialEntry {
                    version: desired.credentials().unwrap_or_default().to_owned(),
                    credentials: Credentials::default(),
                };
                store.insert(entry.uid.clone(), parcel);
            }
        }
        let found = pass::preview(&self.engine, &self.journal, &lacking, &store).await?;
        let to_be_made = |p: &Planned| p.operation() == Some(Operation::Create);
        for new in found.into_iter().filter(to_be_made) {
            let old = planned.iter_mut().find(|p| p.status.uid == new.status.uid);
            if let Some(old) = old {
                *old = new;
            }
        }
        Ok(())
    }

    fn current_row(&self, entry: &Entry, planned: &Planned) -> ResultRow {
        if let Some(said) = self.messages.of(entry, planned) {
            return said;
        }
        let mut row = self.row(entry, &planned.status);
        if row.is_because(Reason::CredentialsMissing) {
            "whether it has the credentials of its Secret is known to apply and diff only, which \
             read the files"
                .clone_into(&mut row.message);
        }
        row
    }
}

/// Whether a resource would not be ready after its change. An action in progress is assumed to
/// succeed.
fn fails(row: &ResultRow, entry: &Entry, action: &str) -> bool {
    // An entry may wait for another entry whose object has the same name and is removed or
    // released.
    let goes_on = !action.is_empty() || entry.intent == Intent::Present;
    let succeeds = row.is_because(Reason::Progressing) && goes_on;
    !(row.is_fine() || succeeds)
}

fn action(planned: &Planned) -> &'static str {
    use dockfleet_planner::record::Stage;
    match (planned.operation(), &planned.journal) {
        (Some(operation), _) => operation.as_str(),
        (None, JournalChange::Put { record, .. }) => match record.stage.known() {
            Some(Stage::Retained) => "retain",
            Some(Stage::Owned) if record.adopted => "adopt",
            Some(_) | None => "",
        },
        (None, JournalChange::Keep | JournalChange::Forget(_)) => "",
    }
}
