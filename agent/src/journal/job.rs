//! Long jobs in a journal.
//!
//! Their table is created with the first job and does not change the version of the journal. So after a
//! rollback an earlier agent can still read the rest, and leaves the jobs alone (invariant 15).

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::{JournalError, Ledger, locked};
use crate::effect::{Effect, Effects};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS job (uid TEXT PRIMARY KEY NOT NULL, body TEXT NOT NULL) STRICT, WITHOUT ROWID";

impl Ledger {
    /// Returns the jobs that have not ended, as they were last saved, by the UID of their entries.
    pub(crate) fn jobs(&self) -> Result<BTreeMap<String, String>, JournalError> {
        read(&locked(&self.connection)).map_err(JournalError::Write)
    }

    /// Saves a job durably, in a thread that may block.
    pub(crate) async fn keep_job(
        self: &Arc<Self>,
        uid: String,
        body: String,
        effects: &Effects,
    ) -> Result<(), JournalError> {
        self.in_thread(move |ledger| ledger.save_job(&uid, &body))
            .await?;
        effects.happened(Effect::JournalWrite);
        Ok(())
    }

    /// Removes a job that is done or cleaned up, in a thread that may block.
    pub(crate) async fn end_job(
        self: &Arc<Self>,
        uid: String,
        effects: &Effects,
    ) -> Result<(), JournalError> {
        self.in_thread(move |ledger| ledger.drop_job(&uid)).await?;
        effects.happened(Effect::JournalWrite);
        Ok(())
    }

    fn save_job(&self, uid: &str, body: &str) -> Result<(), JournalError> {
        let save = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            transaction.execute(TABLE, [])?;
            transaction.execute(
                "INSERT OR REPLACE INTO job (uid, body) VALUES (?1, ?2)",
                params![uid, body],
            )?;
            transaction.commit()
        };
        save(&mut locked(&self.connection)).map_err(JournalError::Write)
    }

    fn drop_job(&self, uid: &str) -> Result<(), JournalError> {
        let connection = locked(&self.connection);
        let dropped = connection.execute("DELETE FROM job WHERE uid = ?1", [uid]);
        dropped.map(drop).map_err(JournalError::Write)
    }
}

fn read(connection: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let there = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'job')";
    if !connection.query_row(there, [], |row| row.get::<_, bool>(0))? {
        return Ok(BTreeMap::new());
    }
    let mut statement = connection.prepare("SELECT uid, body FROM job")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}
