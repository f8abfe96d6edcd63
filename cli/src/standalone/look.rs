//! What commands that only look say of a host: what `apply` would say of the same state.

use dockfleet_agent::pass;
use dockfleet_crds::{Entry, Intent, Reason};
use dockfleet_planner::action::Operation;
use dockfleet_planner::credentials::{CredentialEntry, CredentialStore, Credentials};
use dockfleet_planner::desired::EntrySpec;
use dockfleet_planner::plan::{JournalChange, Planned};
use serde::Serialize;

use super::work::{concerned_only, is_stale, sort_key};
use super::{Files, Goal, Work};
use crate::result::Row;

/// One change that would be made.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Change {
    #[serde(flatten)]
    pub(crate) row: Row,
    /// In one word: create, replace, remove, adopt or retain; empty where nothing would be done.
    pub(crate) action: &'static str,
    /// As far as can be known, it would not be as it is to be after that.
    #[serde(skip)]
    pub(crate) fails: bool,
}

impl Work {
    /// Returns what [`Self::apply`] would do.
    pub(crate) async fn preview(&self, files: &Files, goal: &Goal) -> anyhow::Result<Vec<Change>> {
        let (assigned, concerned) = self.assignment(files, goal, &self.known());
        let entries = concerned_only(&assigned.entries, &concerned);
        let store = &files.credentials.store;
        let planned = pass::preview(&self.engine, &self.journal, &entries, store).await?;
        let mut changes: Vec<Change> = Vec::new();
        for p in &planned {
            let Some(entry) = entries.iter().find(|e| e.uid == p.status.uid) else {
                continue;
            };
            if is_stale(entry, &assigned) {
                continue;
            }
            let mut row = self.row(entry, &p.status);
            // What failed when it was last tried is more than that it will be tried again.
            if let Some(said) = self.said.of_step(entry, p) {
                row = said;
            }
            let action = action(p);
            let fails = fails(&row, entry, action);
            changes.push(Change { row, action, fails });
        }
        changes.extend(
            self.refused(&assigned, files)
                .into_iter()
                .map(|row| Change {
                    row,
                    action: "",
                    fails: true,
                }),
        );
        changes.sort_by(|a, b| sort_key(&a.row).cmp(&sort_key(&b.row)));
        Ok(changes)
    }

    /// Returns how everything that was ever applied stands.
    pub(crate) async fn standing(&self) -> anyhow::Result<Vec<Row>> {
        let entries = self.previous();
        // What was applied with credentials was seen to have them.
        let store = CredentialStore::new();
        let mut planned = pass::preview(&self.engine, &self.journal, &entries, &store).await?;
        self.make_up_for_files(&entries, &mut planned).await?;
        let mut rows: Vec<Row> = entries
            .iter()
            .filter_map(|e| Some(self.stands(e, planned.iter().find(|p| p.status.uid == e.uid)?)))
            .collect();
        rows.extend(self.said.without_entry(&entries));
        rows.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
        Ok(rows)
    }

    /// Plans what is not there as if its credentials were at hand, as they are where files are read:
    /// what is not there needs no comparing.
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

    fn stands(&self, entry: &Entry, planned: &Planned) -> Row {
        if let Some(said) = self.said.of(entry, planned) {
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

/// Whether a resource would not be as it is to be after its change. What is being worked on is taken
/// to succeed.
fn fails(row: &Row, entry: &Entry, action: &str) -> bool {
    // An entry may wait for another one that is to let go of its name.
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
