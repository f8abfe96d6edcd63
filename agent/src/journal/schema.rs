//! The tables of a journal and their migrations.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::Connection;

use super::{Access, JournalError, ReadFailure, error};

/// The migrations from one version to the next; the version of a journal is the number of its migrations. A
/// released migration never changes.
const STEPS: [&str; 2] = [
    "
    CREATE TABLE record (
        uid TEXT PRIMARY KEY NOT NULL,
        body TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE assignment (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        hub TEXT NOT NULL,
        uid TEXT NOT NULL,
        generation INTEGER NOT NULL,
        entries TEXT NOT NULL
    ) STRICT;
",
    "
    ALTER TABLE assignment ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE assignment ADD COLUMN host_generation INTEGER;
",
];

/// Creates a new journal. It gets its name when it is complete, so that a crash leaves either none or a
/// complete one.
pub(super) fn create(path: &Path) -> Result<(), JournalError> {
    let io = |err| error::of_file(path, Access::Write, &err);
    let sql = |err| error::of(path, Access::Write, &err);
    let draft = path.with_extension("new");
    for leftover in [draft.clone(), draft.with_extension("new-journal")] {
        match std::fs::remove_file(&leftover) {
            Ok(()) => {}
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => {}
            Err(err) => return Err(io(err)),
        }
    }
    {
        let mut connection = Connection::open(&draft).map_err(sql)?;
        std::fs::set_permissions(&draft, Permissions::from_mode(0o600)).map_err(io)?;
        connection
            .execute_batch("CREATE TABLE schema (version INTEGER NOT NULL) STRICT; INSERT INTO schema VALUES (0);")
            .map_err(sql)?;
        migrate(&mut connection, &draft)?;
    }
    std::fs::rename(&draft, path).map_err(io)?;
    // The name is durable only when its folder is.
    let folder = path.parent().unwrap_or(path);
    File::open(folder).and_then(|f| f.sync_all()).map_err(io)
}

/// Makes every commit durable before it returns, and keeps SQLite's own memory small.
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -128;",
    )
}

/// Applies the missing migrations, all or none.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), JournalError> {
    let version = check_version(connection, path)
        .map_err(|failure| failure.into_error(path, Access::Write))?;
    let taken = usize::try_from(version).unwrap_or_default();
    if taken == STEPS.len() {
        return Ok(());
    }
    take_steps(connection, taken).map_err(|err| error::of(path, Access::Write, &err))
}

fn take_steps(connection: &mut Connection, taken: usize) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for step in STEPS.iter().skip(taken) {
        transaction.execute_batch(step)?;
    }
    transaction.execute("UPDATE schema SET version = ?1", [known()])?;
    transaction.commit()
}

/// Returns the query for the assignment in a journal of this version: a journal that is opened for reading is
/// not migrated.
pub(super) fn assignment(version: i64) -> &'static str {
    if version < 2 {
        "SELECT hub, uid, generation, entries, 0, NULL FROM assignment"
    } else {
        "SELECT hub, uid, generation, entries, paused, host_generation FROM assignment"
    }
}

/// Returns the version of a journal that is not newer than this agent.
pub(super) fn check_version(connection: &Connection, path: &Path) -> Result<i64, ReadFailure> {
    let version: i64 = connection.query_row("SELECT version FROM schema", [], |row| row.get(0))?;
    if version > known() {
        return Err(ReadFailure::Content(JournalError::Newer {
            path: path.to_owned(),
            version,
            known: known(),
        }));
    }
    Ok(version)
}

fn known() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}
