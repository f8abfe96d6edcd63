//! What was last said of resources that are not as they are to be, for commands that do not read their
//! files: that an engine refused something, or that a Secret was missing, is to be seen nowhere else.
//!
//! It is kept beside the journal and is no part of it: nothing is decided by it, and nothing is lost
//! with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use dockfleet_crds::{Entry, Reason};
use dockfleet_planner::assignment::Assigned;
use dockfleet_planner::plan::Planned;
use serde::{Deserialize, Serialize};

use crate::result::Row;

const FILE: &str = "messages.json";

/// What was last said, by the UID of the resource.
#[derive(Debug, Default)]
pub(super) struct LastMessages {
    all: BTreeMap<String, Saying>,
    /// As it is in the file.
    written: BTreeMap<String, Saying>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Saying {
    /// Revision of the entry; empty where there was none.
    revision: String,
    /// The resource was refused before an engine was asked.
    refused: bool,
    row: Row,
}

impl LastMessages {
    /// Reads what was said. What cannot be read was not said.
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

    /// Takes in what a command says of the resources that it is about.
    pub(super) fn take_in(
        &mut self,
        concerned: &BTreeSet<String>,
        rows: &[Row],
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

    /// Drops what is neither an entry nor in the files.
    pub(super) fn keep_only(&mut self, entries: &[Entry], concerned: &BTreeSet<String>) {
        let has = |uid: &str| concerned.contains(uid) || entries.iter().any(|e| e.uid == uid);
        self.all.retain(|uid, _| has(uid));
    }

    /// Makes it durable, as far as that matters.
    pub(super) fn write(&mut self, folder: &Path) {
        if self.all == self.written {
            return;
        }
        match self.replace(folder) {
            Ok(()) => self.written.clone_from(&self.all),
            Err(error) => {
                tracing::warn!(%error, "`dockfleet get` will not know what was said here");
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

    /// Returns what was said of an entry, where that says more than what is planned for it now.
    pub(super) fn of(&self, entry: &Entry, planned: &Planned) -> Option<Row> {
        let saying = self.current(entry)?;
        let same_credentials = planned.status.is_because(Reason::CredentialsMissing)
            && planned.status.id == saying.row.id;
        if saying.refused || same_credentials {
            return Some(saying.row.clone());
        }
        self.of_step(entry, planned)
    }

    /// Returns how the step that is planned for an entry failed when it was last tried.
    pub(super) fn of_step(&self, entry: &Entry, planned: &Planned) -> Option<Row> {
        let saying = self.current(entry).filter(|s| !s.refused)?;
        let failed = [Reason::EngineRefused, Reason::EngineUnreachable]
            .iter()
            .any(|reason| saying.row.is_because(*reason));
        let is_due = !planned.actions.is_empty() && planned.status.is_because(Reason::Progressing);
        (failed && is_due).then(|| saying.row.clone())
    }

    /// Returns what was said of resources that have no entry: they were refused.
    pub(super) fn without_entry<'a>(
        &'a self,
        entries: &'a [Entry],
    ) -> impl Iterator<Item = Row> + 'a {
        let refused = self.all.iter().filter(|(_, saying)| saying.refused);
        let alone = refused.filter(|(uid, _)| !entries.iter().any(|e| e.uid == **uid));
        alone.map(|(_, saying)| saying.row.clone())
    }

    /// Returns what was said of the entry as it is now.
    fn current(&self, entry: &Entry) -> Option<&Saying> {
        let saying = self.all.get(&entry.uid)?;
        (saying.revision == entry.revision).then_some(saying)
    }
}
