//! Long jobs in a journal.
//!
//! Their table is created with the first job and does not change the version of the journal. So after a
//! rollback an earlier agent can still read the rest, and leaves the jobs alone (invariant 15).

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::{JournalError, Ledger, locked};
use crate::effect::{Effect, Effects};

const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS job (
        type TEXT NOT NULL,
        uid TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (type, uid)
    ) STRICT, WITHOUT ROWID";

impl Ledger {
    /// Returns the jobs of a type that have not ended, as they were last saved, by the UID of their entries. They
    /// are read in a thread that may block.
    pub(crate) async fn jobs(
        self: &Arc<Self>,
        type_: &'static str,
    ) -> Result<BTreeMap<String, String>, JournalError> {
        self.in_thread(move |ledger| {
            read(&locked(&ledger.connection), type_).map_err(JournalError::Write)
        })
        .await
    }

    /// Saves a job durably, in a thread that may block.
    pub(crate) async fn keep_job(
        self: &Arc<Self>,
        type_: &'static str,
        uid: String,
        body: String,
        effects: &Effects,
    ) -> Result<(), JournalError> {
        self.in_thread(move |ledger| ledger.save_job(type_, &uid, &body))
            .await?;
        effects.happened(Effect::JournalWrite);
        Ok(())
    }

    /// Removes a job that is done or cleaned up, in a thread that may block.
    pub(crate) async fn end_job(
        self: &Arc<Self>,
        type_: &'static str,
        uid: String,
        effects: &Effects,
    ) -> Result<(), JournalError> {
        self.in_thread(move |ledger| ledger.drop_job(type_, &uid))
            .await?;
        effects.happened(Effect::JournalWrite);
        Ok(())
    }

    fn save_job(&self, type_: &str, uid: &str, body: &str) -> Result<(), JournalError> {
        let save = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            transaction.execute(TABLE, [])?;
            transaction.execute(
                "INSERT OR REPLACE INTO job (type, uid, body) VALUES (?1, ?2, ?3)",
                params![type_, uid, body],
            )?;
            transaction.commit()
        };
        save(&mut locked(&self.connection)).map_err(JournalError::Write)
    }

    fn drop_job(&self, type_: &str, uid: &str) -> Result<(), JournalError> {
        let connection = locked(&self.connection);
        let dropped =
            connection.execute("DELETE FROM job WHERE type = ?1 AND uid = ?2", [type_, uid]);
        dropped.map(drop).map_err(JournalError::Write)
    }
}

fn read(connection: &Connection, type_: &str) -> rusqlite::Result<BTreeMap<String, String>> {
    let there = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'job')";
    if !connection.query_row(there, [], |row| row.get::<_, bool>(0))? {
        return Ok(BTreeMap::new());
    }
    let mut statement = connection.prepare("SELECT uid, body FROM job WHERE type = ?1")?;
    let rows = statement.query_map([type_], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}
