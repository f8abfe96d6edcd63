//! The durable memory of an agent: what it owns, what it was about to do, and its last assignment.
//!
//! If the file does not exist, the journal is new. If it exists and cannot be read, that is an error: an
//! agent without its records would treat its own objects as foreign ones.

mod error;
mod job;
mod lock;
mod look;
mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::{Entry, Open};
use dockfleet_planner::plan::{JournalChange, Records};
use dockfleet_planner::record::{Record, RecordKey, Stage};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

pub use self::lock::Lock;
use crate::effect::{Effect, Effects};

const FILE: &str = "journal.db";
const LOG: &str = "journal.db-wal";
/// Only `dockfleet journal` shares the file, and only for a moment.
const BUSY: Duration = Duration::from_secs(5);
/// Maximum time of a write. A slow disk takes seconds; one that takes longer may never answer.
const WRITE_TIMEOUT: Duration = Duration::from_mins(1);

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Its folder or file cannot be read or written. Its content may be undamaged.
    #[error("cannot {access} {path}: {why}")]
    Blocked {
        /// The access that failed.
        access: Access,
        /// The folder or file.
        path: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// Another program has locked the file.
    #[error("the journal {path} is locked by another program; try again")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// Another dockfleet process uses the journal.
    #[error(
        "{path} is locked by another dockfleet process with process ID {pid}; only one process \
         at a time may change a host"
    )]
    Locked {
        /// The folder of the journal.
        path: PathBuf,
        /// Process ID of that process, or `unknown`.
        pid: String,
    },
    /// It does not exist, and was not to be created.
    #[error("there is no journal in {0}")]
    Absent(PathBuf),
    /// It is damaged.
    #[error(
        "the journal {path} is damaged and cannot be read ({why}); nothing is changed on the host \
         until it is restored or moved away"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A newer agent wrote it.
    #[error(
        "the journal {path} has version {version}, but this agent supports at most {known}; use a \
         newer agent"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: i64,
        /// The newest version that this agent supports.
        known: i64,
    },
    /// It cannot be written.
    #[error("the journal cannot be written")]
    Write(#[source] rusqlite::Error),
    /// Its disk does not answer.
    #[error("the journal cannot be written: its disk did not answer within {} s", WRITE_TIMEOUT.as_secs())]
    Timeout,
    /// The thread that writes it has ended.
    #[error("the journal cannot be written")]
    Thread(#[source] tokio::task::JoinError),
}

/// An access to a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It is read.
    Read,
    /// It is created or changed.
    Write,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write to",
        })
    }
}

/// The assignment that was last accepted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AssignmentSnapshot {
    /// The cluster that wrote it.
    pub hub: String,
    /// UID of the HostAssignment.
    pub uid: String,
    /// Its generation.
    pub generation: i64,
    /// The host is paused.
    pub paused: bool,
    /// Generation of the DockerHost at that time.
    pub host_generation: Option<i64>,
    /// Its entries.
    pub entries: Vec<Entry>,
}

impl AssignmentSnapshot {
    /// Returns the entries for the pass over one kind.
    pub(crate) fn of_kind(&self, kind: Kind) -> &[Entry] {
        let begin = self.entries.partition_point(|e| e.kind < kind.into());
        let rest = self.entries.get(begin..).unwrap_or_default();
        let end = rest.partition_point(|e| takes(kind, &e.kind));
        rest.get(..end).unwrap_or_default()
    }

    /// Sorts the entries by kind and UID, as a journal keeps them.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.entries
            .sort_by(|a, b| (&a.kind, &a.uid).cmp(&(&b.kind, &b.uid)));
        self
    }
}

/// Whether an entry or a record of a kind belongs to the pass over one kind. Unknown kinds come last when
/// sorted, and belong to the pass over the last known kind.
pub(crate) fn takes(kind: Kind, of: &Open<Kind>) -> bool {
    match of.known() {
        Some(known) => known == kind,
        None => Kind::all().last() == Some(kind),
    }
}

/// The journal of one host.
#[derive(Debug)]
pub struct Journal {
    ledger: Arc<Ledger>,
    assignment: Option<Arc<AssignmentSnapshot>>,
    /// Kept while the journal may be written.
    _lock: Option<Lock>,
}

/// The part of a journal that several passes read and write at the same time.
#[derive(Debug)]
pub(crate) struct Ledger {
    connection: Mutex<Connection>,
    records: Mutex<Arc<Records>>,
    /// The kinds of which a process was creating an object when it ended: the engine may still be creating
    /// it.
    interrupted: Mutex<BTreeSet<Kind>>,
    /// Held by the thread that works on the file.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Journal {
    /// Opens the journal in a folder for the one process that may write it. The folder and the journal are
    /// created if they do not exist.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        let lock = Lock::of_folder(dir)?;
        let path = dir.join(FILE);
        if !journal_exists(dir, Access::Write)? {
            schema::create(&path)?;
        }
        // SQLite would open a file without write permission for reading, and fail later.
        error::usable(&path, Access::Write)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let sql = |err| error::of(&path, Access::Write, &err);
        let mut connection = look::connect(&path, flags).map_err(sql)?;
        schema::prepare(&connection).map_err(sql)?;
        schema::migrate(&mut connection, &path)?;
        Self::load(connection, &path, Some(lock))
            .map_err(|failure| failure.into_error(&path, Access::Write))
    }

    /// Opens the journal in a folder for reading, even if another process has locked it or the folder is
    /// read-only. Every write is an error.
    pub fn read_only(dir: &Path) -> Result<Self, JournalError> {
        let path = dir.join(FILE);
        if !journal_exists(dir, Access::Read)? {
            return Err(JournalError::Absent(dir.to_owned()));
        }
        error::usable(&path, Access::Read)?;
        look::open(&path)
    }

    /// Returns the folders of journals: the folder itself, or those in it, sorted.
    pub fn find(dir: &Path) -> Result<Vec<PathBuf>, JournalError> {
        look::find(dir)
    }

    /// Opens the journal in a folder as [`Journal::read_only`] does. If there is none, the result is empty
    /// and nothing is created.
    pub fn look(dir: &Path) -> Result<Self, JournalError> {
        match Self::read_only(dir) {
            Err(JournalError::Absent(_)) => {
                // It has no tables, so that a write is an error too.
                let connection = Connection::open_in_memory().map_err(JournalError::Write)?;
                Ok(Self {
                    ledger: Arc::new(Ledger::new(connection, Records::new())),
                    assignment: None,
                    _lock: None,
                })
            }
            found => found,
        }
    }

    fn load(connection: Connection, path: &Path, lock: Option<Lock>) -> Result<Self, ReadFailure> {
        let (records, assignment) = read(&connection, path)?;
        Ok(Self {
            ledger: Arc::new(Ledger::new(connection, records)),
            assignment: assignment.map(|snapshot| Arc::new(snapshot.sorted())),
            _lock: lock,
        })
    }

    /// Returns every record.
    pub fn records(&self) -> Arc<Records> {
        self.ledger.records()
    }

    /// Returns the assignment that was last accepted.
    pub fn assignment(&self) -> Option<&Arc<AssignmentSnapshot>> {
        self.assignment.as_ref()
    }

    /// Writes changes durably, all of them or none.
    pub fn write(
        &mut self,
        changes: &[JournalChange],
        effects: &Effects,
    ) -> Result<(), JournalError> {
        self.ledger.write(changes)?;
        effects.happened(Effect::JournalWrite);
        Ok(())
    }

    /// Writes an accepted assignment durably, and then uses it.
    pub fn set_assignment(
        &mut self,
        snapshot: AssignmentSnapshot,
        effects: &Effects,
    ) -> Result<(), JournalError> {
        let snapshot = Arc::new(snapshot.sorted());
        self.ledger.save(&snapshot)?;
        self.accepted(snapshot, effects);
        Ok(())
    }

    /// Does the same as [`Journal::set_assignment`], in a thread that may block.
    pub(crate) async fn accept(
        &mut self,
        snapshot: AssignmentSnapshot,
        effects: &Effects,
    ) -> Result<(), JournalError> {
        let snapshot = Arc::new(snapshot.sorted());
        let saved = Arc::clone(&snapshot);
        self.ledger
            .in_thread(move |ledger| ledger.save(&saved))
            .await?;
        self.accepted(snapshot, effects);
        Ok(())
    }

    /// Uses an assignment that is durable.
    fn accepted(&mut self, snapshot: Arc<AssignmentSnapshot>, effects: &Effects) {
        self.assignment = Some(snapshot);
        effects.happened(Effect::JournalWrite);
    }

    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }
}

impl Ledger {
    fn new(connection: Connection, records: Records) -> Self {
        let being_created =
            |r: &&Record| matches!(r.stage.known(), Some(Stage::Creating | Stage::Replacing));
        let interrupted = records.values().filter(being_created);
        let interrupted = interrupted.filter_map(|r| r.kind.known()).collect();
        Self {
            connection: Mutex::new(connection),
            records: Mutex::new(Arc::new(records)),
            interrupted: Mutex::new(interrupted),
            turn: Arc::default(),
        }
    }

    /// Returns whether a process ended while it created an object of a kind; later calls return false.
    pub(crate) fn take_interrupted(&self, kind: Kind) -> bool {
        locked(&self.interrupted).remove(&kind)
    }

    /// Returns the records as they are now.
    pub(crate) fn records(&self) -> Arc<Records> {
        Arc::clone(&locked(&self.records))
    }

    /// Returns the records for the pass over one kind.
    pub(crate) fn records_of(&self, kind: Kind) -> Records {
        let all = self.records();
        let of_kind = all.iter().filter(|(_, r)| takes(kind, &r.kind));
        of_kind.map(|(key, r)| (key.clone(), r.clone())).collect()
    }

    /// Writes changes durably in a thread that may block.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        changes: Vec<JournalChange>,
        effects: &Effects,
    ) -> Result<(), JournalError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.in_thread(move |ledger| ledger.write(&changes)).await?;
        effects.happened(Effect::JournalWrite);
        Ok(())
    }

    /// Works on the file in a thread that may block: on a slow disk a write takes seconds, and heartbeats,
    /// reports and the watch of the assignment must go on meanwhile. A read waits for the writes before it.
    ///
    /// A write that takes longer than [`WRITE_TIMEOUT`] is an error, although it may still be carried out: what
    /// it permits is not done. No other write starts before it ends.
    async fn in_thread<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let ledger = Arc::clone(self);
        let turn = Arc::clone(&self.turn);
        let done = async move {
            let turn = turn.lock_owned().await;
            let work = move || {
                let done = work(&ledger);
                drop(turn);
                done
            };
            tokio::task::spawn_blocking(work).await
        };
        match tokio::time::timeout(WRITE_TIMEOUT, done).await {
            Ok(done) => done.map_err(JournalError::Thread)?,
            Err(_) => Err(JournalError::Timeout),
        }
    }

    fn write(&self, changes: &[JournalChange]) -> Result<(), JournalError> {
        let mut connection = locked(&self.connection);
        commit(&mut connection, changes).map_err(JournalError::Write)?;
        shrink(&connection);
        // The memory is changed after the file, never before.
        let mut records = locked(&self.records);
        let records = Arc::make_mut(&mut records);
        for change in changes {
            match change {
                JournalChange::Keep => {}
                JournalChange::Put { record, instead_of } => {
                    if let Some(other) = instead_of {
                        records.remove(other);
                    }
                    records.insert(record.key.clone(), record.clone());
                }
                JournalChange::Forget(key) => {
                    records.remove(key);
                }
            }
        }
        Ok(())
    }

    fn save(&self, snapshot: &AssignmentSnapshot) -> Result<(), JournalError> {
        let connection = locked(&self.connection);
        save(&connection, snapshot).map_err(JournalError::Write)?;
        shrink(&connection);
        Ok(())
    }
}

/// Frees SQLite's cache of the pages that it has just written: passes use the records and the snapshot in
/// memory.
fn shrink(connection: &Connection) {
    // The write is done, so an error here does not matter.
    let _ = connection.execute_batch("PRAGMA shrink_memory");
}

/// Locks a mutex. A poisoned one is fine, because no thread leaves its value half changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn save(connection: &Connection, snapshot: &AssignmentSnapshot) -> rusqlite::Result<()> {
    let entries = serde_json::to_string(&snapshot.entries)
        .map_err(|err| rusqlite::Error::ToSqlConversionFailure(err.into()))?;
    connection.execute(
        "INSERT INTO assignment (id, hub, uid, generation, entries, paused, host_generation)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET
           hub = ?1, uid = ?2, generation = ?3, entries = ?4, paused = ?5,
           host_generation = ?6",
        params![
            snapshot.hub,
            snapshot.uid,
            snapshot.generation,
            entries,
            snapshot.paused,
            snapshot.host_generation
        ],
    )?;
    Ok(())
}

fn commit(connection: &mut Connection, changes: &[JournalChange]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut put = transaction
            .prepare_cached("INSERT OR REPLACE INTO record (uid, body) VALUES (?1, ?2)")?;
        let mut forget = transaction.prepare_cached("DELETE FROM record WHERE uid = ?1")?;
        for change in changes {
            match change {
                JournalChange::Keep => {}
                JournalChange::Put { record, instead_of } => {
                    if let Some(other) = instead_of {
                        forget.execute([other.to_string()])?;
                    }
                    let body = serde_json::to_string(record)
                        .map_err(|err| rusqlite::Error::ToSqlConversionFailure(err.into()))?;
                    put.execute([&record.key.to_string(), &body])?;
                }
                JournalChange::Forget(key) => {
                    forget.execute([key.to_string()])?;
                }
            }
        }
    }
    transaction.commit()
}

/// Whether a folder has a journal. If only its log is left it is damaged: SQLite would apply the log to a new
/// file.
fn journal_exists(dir: &Path, access: Access) -> Result<bool, JournalError> {
    let path = dir.join(FILE);
    if error::exists(&path, access)? {
        return Ok(true);
    }
    if error::exists(&dir.join(LOG), access)? {
        let why = "the file does not exist, but its log does".to_owned();
        return Err(JournalError::Corrupt { path, why });
    }
    Ok(false)
}

/// Why a journal could not be read.
enum ReadFailure {
    /// An error of SQLite.
    Sql(rusqlite::Error),
    /// Its content is not valid.
    Content(JournalError),
}

impl From<rusqlite::Error> for ReadFailure {
    fn from(err: rusqlite::Error) -> Self {
        Self::Sql(err)
    }
}

impl ReadFailure {
    fn into_error(self, path: &Path, access: Access) -> JournalError {
        match self {
            Self::Sql(err) => error::of(path, access, &err),
            Self::Content(err) => err,
        }
    }
}

fn read(
    connection: &Connection,
    path: &Path,
) -> Result<(Records, Option<AssignmentSnapshot>), ReadFailure> {
    let bad = |why: String| {
        let path = path.to_owned();
        ReadFailure::Content(JournalError::Corrupt { path, why })
    };
    let version = schema::check_version(connection, path)?;
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if check != "ok" {
        return Err(bad(check));
    }
    let mut records = BTreeMap::new();
    let mut statement = connection.prepare("SELECT uid, body FROM record")?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    for row in rows {
        let (uid, body) = row?;
        let record = Record::read(&body).map_err(|err| bad(format!("record {uid}: {err}")))?;
        records.insert(RecordKey::from(uid), record);
    }
    let row = connection
        .query_row(schema::assignment(version), [], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get::<_, String>(3)?,
                row.get(4)?,
                row.get(5)?,
            ))
        })
        .optional()?;
    let assignment = match row {
        None => None,
        Some((hub, uid, generation, entries, paused, host_generation)) => {
            let entries = serde_json::from_str(&entries)
                .map_err(|err| bad(format!("assignment: line {}", err.line())))?;
            Some(AssignmentSnapshot {
                hub,
                uid,
                generation,
                paused,
                host_generation,
                entries,
            })
        }
    };
    Ok((records, assignment))
}

#[cfg(test)]
pub(crate) mod tests;
