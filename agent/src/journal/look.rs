//! Opens a journal for reading, even in a read-only folder.

use std::fs::{self, DirBuilder};
use std::io::{Error, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use uuid::Uuid;

use super::{Access, BUSY, FILE, Journal, JournalError, LOG, ReadFailure, error};

const READ: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Opens an existing journal for reading.
pub(super) fn open(path: &Path) -> Result<Journal, JournalError> {
    let to_error = |failure: ReadFailure| failure.into_error(path, Access::Read);
    let failure = match at(path, READ) {
        Err(ReadFailure::Sql(err)) if lacks_its_files(&err) => ReadFailure::Sql(err),
        other => return other.map_err(to_error),
    };
    // SQLite needs to create files beside the journal, and cannot.
    let log = path.with_file_name(LOG);
    match fs::metadata(&log) {
        // Nobody writes, and everything is in the file itself.
        Err(err) if err.kind() == ErrorKind::NotFound => immutable(path).map_err(to_error),
        Ok(found) if found.len() == 0 => immutable(path).map_err(to_error),
        Ok(_) => copied(path, &log).map_err(to_error),
        Err(_) => Err(to_error(failure)),
    }
}

/// Returns the folders of journals: the folder itself, or those in it.
pub(super) fn find(dir: &Path) -> Result<Vec<PathBuf>, JournalError> {
    // A journal of which only the log is left is damaged, and must be reported.
    let has_one = |dir: &Path| -> Result<bool, JournalError> {
        Ok(error::exists(&dir.join(FILE), Access::Read)?
            || error::exists(&dir.join(LOG), Access::Read)?)
    };
    if has_one(dir)? {
        return Ok(vec![dir.to_owned()]);
    }
    let blocked = |err: Error| error::of_file(dir, Access::Read, &err);
    let inside = match fs::read_dir(dir) {
        Ok(inside) => inside,
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(err) => return Err(blocked(err)),
    };
    let mut found = Vec::new();
    for entry in inside {
        let path = entry.map_err(blocked)?.path();
        if path.is_dir() && has_one(&path)? {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Opens a file as SQLite does.
pub(super) fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

fn at(path: &Path, flags: OpenFlags) -> Result<Journal, ReadFailure> {
    Journal::load(connect(path, flags)?, path, None)
}

fn lacks_its_files(err: &rusqlite::Error) -> bool {
    matches!(
        err.sqlite_error_code(),
        Some(
            ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::SystemIoFailure
                | ErrorCode::DiskFull
        )
    )
}

/// Opens a file without a log as one that does not change.
fn immutable(path: &Path) -> Result<Journal, ReadFailure> {
    // In a URI all other characters must be percent-encoded.
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/-_.~".contains(b);
    let text: String = path
        .as_os_str()
        .as_bytes()
        .iter()
        .map(|b| match b {
            b if plain(b) => char::from(*b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect();
    let flags = READ.union(OpenFlags::SQLITE_OPEN_URI);
    let connection = Connection::open_with_flags(format!("file:{text}?immutable=1"), flags)?;
    Journal::load(connection, path, None)
}

/// Opens a copy of a file whose log is not applied yet, as a killed process leaves it.
fn copied(path: &Path, log: &Path) -> Result<Journal, ReadFailure> {
    let copy = Copy::make(path, log)
        .map_err(|err| ReadFailure::Content(error::of_file(path, Access::Read, &err)))?;
    let connection = connect(&copy.0.join("copy"), READ)?;
    Journal::load(connection, path, None)
}

/// A temporary folder, readable only by its owner. SQLite can still use the files after they are removed.
struct Copy(PathBuf);

impl Copy {
    fn make(path: &Path, log: &Path) -> std::io::Result<Self> {
        let name = format!("dockfleet-{}", Uuid::new_v4().simple());
        let copy = Self(std::env::temp_dir().join(name));
        DirBuilder::new().mode(0o700).create(&copy.0)?;
        fs::copy(path, copy.0.join("copy"))?;
        fs::copy(log, copy.0.join("copy-wal"))?;
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // A folder that is left in the temporary folder does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{LOG, copied, immutable};
    use crate::journal::tests::{put, record, write};
    use crate::journal::{FILE, Journal, ReadFailure};
    use dockfleet_planner::record::Stage;

    fn uids(opened: Result<Journal, ReadFailure>) -> Vec<String> {
        let journal = opened.map_err(|f| f.into_error(Path::new("journal"), super::Access::Read));
        let records = journal.unwrap().records();
        records.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn a_journal_without_a_log_is_read_as_one_that_does_not_change() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("50% & more? #1 ü");
        let mut journal = Journal::open(&odd).unwrap();
        write(&mut journal, &[put(record("1", Stage::Owned))]);
        drop(journal);
        assert!(!odd.join(LOG).exists());
        assert_eq!(uids(immutable(&odd.join(FILE))), ["1"]);
    }

    #[test]
    fn the_log_of_a_killed_process_is_read_from_a_copy() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path()).unwrap();
        write(&mut journal, &[put(record("1", Stage::Owned))]);
        // As a kill at this point leaves it: the process that has it open cleans nothing up.
        let left = tempfile::tempdir().unwrap();
        for file in [FILE, LOG] {
            fs::copy(dir.path().join(file), left.path().join(file)).unwrap();
        }
        let (file, log) = (left.path().join(FILE), left.path().join(LOG));
        assert!(fs::metadata(&log).unwrap().len() > 0);
        assert_eq!(uids(copied(&file, &log)), ["1"]);
        let there: Vec<_> = fs::read_dir(left.path()).unwrap().collect();
        assert_eq!(there.len(), 2, "nothing is made beside them: {there:?}");
    }
}
