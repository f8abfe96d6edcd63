//! The last messages about resources that are not ready, for commands that do not read the files. Only
//! these messages record that an engine refused something, or that a Secret was missing.
//!
//! The file is beside the journal and not a part of it: it decides nothing, and may be lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use dockfleet_crds::{Entry, Reason};
use dockfleet_planner::assignment::Assigned;
use dockfleet_planner::plan::Planned;
use serde::{Deserialize, Serialize};

use crate::result::ResultRow;

const FILE: &str = "messages.json";

/// The last messages, by the UID of the resource.
#[derive(Debug, Default)]
pub(super) struct LastMessages {
    all: BTreeMap<String, Saying>,
    /// The messages in the form of the file.
    written: BTreeMap<String, Saying>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Saying {
    /// Revision of the entry. Empty if there was none.
    revision: String,
    /// The resource was refused before the engine was called.
    refused: bool,
    row: ResultRow,
}

impl LastMessages {
    /// Reads the messages. Messages that cannot be read are ignored.
    pub(super) fn read(folder: &Path) -> Self {
        let text = fs::read(folder.join(FILE)).unwrap_or_default();
        let mut all: BTreeMap<String, Saying> = serde_json::from_slice(&text).unwrap_or_default();
        for (uid, saying) in &mut all {
            saying.row.uid.clone_from(uid);
        }
        Self {
            written: all.clone(),
            all,
        }
    }

    /// Stores the messages of a command about its resources.
    pub(super) fn take_in(
        &mut self,
        concerned: &BTreeSet<String>,
        rows: &[ResultRow],
        entries: &[Entry],
        assigned: &Assigned,
    ) {
        self.all.retain(|uid, _| !concerned.contains(uid));
        let revisions: BTreeMap<&str, &str> = entries
            .iter()
            .map(|e| (e.uid.as_str(), e.revision.as_str()))
            .collect();
        for row in rows.iter().filter(|r| !r.is_fine()) {
            let revision = revisions.get(row.uid.as_str()).copied();
            let saying = Saying {
                revision: revision.unwrap_or_default().to_owned(),
                refused: assigned.refused.contains_key(&row.uid),
                row: row.clone(),
            };
            self.all.insert(row.uid.clone(), saying);
        }
    }

    /// Drops messages about resources that have no entry and are not in the files.
    pub(super) fn keep_only(&mut self, entries: &[Entry], concerned: &BTreeSet<String>) {
        let has = |uid: &str| concerned.contains(uid) || entries.iter().any(|e| e.uid == uid);
        self.all.retain(|uid, _| has(uid));
    }

    /// Writes the file. An error is only logged.
    pub(super) fn write(&mut self, folder: &Path) {
        if self.all == self.written {
            return;
        }
        match self.replace(folder) {
            Ok(()) => self.written.clone_from(&self.all),
            Err(error) => {
                tracing::warn!(%error, "`dockfleet get` cannot show these messages later");
            }
        }
    }

    fn replace(&self, folder: &Path) -> std::io::Result<()> {
        let draft = folder.join(format!("{FILE}.new"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(&serde_json::to_vec(&self.all)?)?;
        fs::rename(draft, folder.join(FILE))
    }

    /// Returns the last message about an entry, if it says more than the current plan.
    pub(super) fn of(&self, entry: &Entry, planned: &Planned) -> Option<ResultRow> {
        let saying = self.current(entry)?;
        let same_credentials = planned.status.is_because(Reason::CredentialsMissing)
            && planned.status.id == saying.row.id;
        if saying.refused || same_credentials {
            return Some(saying.row.clone());
        }
        self.of_step(entry, planned)
    }

    /// Returns how the planned action of an entry failed the last time.
    pub(super) fn of_step(&self, entry: &Entry, planned: &Planned) -> Option<ResultRow> {
        let saying = self.current(entry).filter(|s| !s.refused)?;
        let failed = [Reason::EngineRefused, Reason::EngineUnreachable]
            .iter()
            .any(|reason| saying.row.is_because(*reason));
        let is_due = !planned.actions.is_empty() && planned.status.is_because(Reason::Progressing);
        (failed && is_due).then(|| saying.row.clone())
    }

    /// Returns the messages about resources without an entry, which were refused.
    pub(super) fn without_entry<'a>(
        &'a self,
        entries: &'a [Entry],
    ) -> impl Iterator<Item = ResultRow> + 'a {
        let refused = self.all.iter().filter(|(_, saying)| saying.refused);
        let alone = refused.filter(|(uid, _)| !entries.iter().any(|e| e.uid == **uid));
        alone.map(|(_, saying)| saying.row.clone())
    }

    /// Returns the message about the current revision of an entry.
    fn current(&self, entry: &Entry) -> Option<&Saying> {
        let saying = self.all.get(&entry.uid)?;
        (saying.revision == entry.revision).then_some(saying)
    }
}
