use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use dockfleet_crds::Entry;
use dockfleet_planner::plan::JournalChange;
use dockfleet_planner::record::{Record, RecordKey, Stage};

use super::{AssignmentSnapshot, Journal, JournalError};
use crate::effect::Effects;

/// How long another process may keep an inherited lock.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn record(uid: &str, stage: Stage) -> Record {
    let entry = Entry {
        uid: uid.to_owned(),
        name: "n".to_owned(),
        ..Entry::default()
    };
    Record::new(&entry, "object", stage, Some(format!("id-{uid}")))
}

pub(super) fn put(record: Record) -> JournalChange {
    JournalChange::Put {
        record,
        instead_of: None,
    }
}

pub(super) fn write(journal: &mut Journal, changes: &[JournalChange]) {
    journal.write(changes, &Effects::default()).unwrap();
}

pub(super) fn keys(journal: &Journal) -> Vec<String> {
    journal.records().keys().map(ToString::to_string).collect()
}

/// Opens a journal. A process that another test has forked inherits the lock of a journal, and keeps it until
/// it executes another program.
pub(crate) fn open(dir: &Path) -> Result<Journal, JournalError> {
    let begin = Instant::now();
    loop {
        match Journal::open(dir) {
            Err(JournalError::Locked { .. }) if begin.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened,
        }
    }
}

#[test]
fn everything_that_was_written_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let snapshot = AssignmentSnapshot {
        hub: "hub".to_owned(),
        uid: "u".to_owned(),
        generation: 7,
        entries: vec![Entry {
            uid: "1".to_owned(),
            ..Entry::default()
        }],
        ..AssignmentSnapshot::default()
    };
    let before = {
        let mut journal = open(dir.path()).unwrap();
        let (one, two) = (
            put(record("1", Stage::Creating)),
            put(record("2", Stage::Owned)),
        );
        write(&mut journal, &[one, two]);
        write(
            &mut journal,
            &[JournalChange::Forget(RecordKey::object("2"))],
        );
        journal
            .set_assignment(snapshot.clone(), &Effects::default())
            .unwrap();
        journal.records().clone()
    };
    let journal = open(dir.path()).unwrap();
    assert_eq!(journal.records(), before);
    assert_eq!(journal.assignment().map(AsRef::as_ref), Some(&snapshot));
}

#[test]
fn a_record_replaces_another() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path()).unwrap();
    write(&mut journal, &[put(record("old", Stage::Retained))]);
    let change = JournalChange::Put {
        record: record("new", Stage::Owned),
        instead_of: Some(RecordKey::object("old")),
    };
    write(&mut journal, &[change]);
    drop(journal);
    let journal = open(dir.path()).unwrap();
    assert_eq!(keys(&journal), ["new"]);
}

#[test]
fn a_resource_may_own_several_things() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path()).unwrap();
    let object = record("1", Stage::Owned);
    let snapshot = Record {
        key: RecordKey {
            thing: "snapshot".to_owned(),
            ..object.key.clone()
        },
        progress: Some(serde_json::json!({"copied": 7})),
        ..object.clone()
    };
    write(&mut journal, &[put(object), put(snapshot.clone())]);
    drop(journal);
    let mut journal = open(dir.path()).unwrap();
    assert_eq!(keys(&journal), ["1", "1/snapshot"]);
    assert_eq!(journal.records().get(&snapshot.key), Some(&snapshot));
    write(&mut journal, &[JournalChange::Forget(snapshot.key)]);
    drop(journal);
    assert_eq!(keys(&open(dir.path()).unwrap()), ["1"]);
}

#[test]
fn a_second_process_gets_the_pid_of_the_lock_owner() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Journal::open(dir.path()).unwrap();
    let second = Journal::open(dir.path()).unwrap_err();
    let pid = std::process::id().to_string();
    assert!(
        matches!(&second, JournalError::Locked { pid: p, .. } if *p == pid),
        "{second}"
    );
}

#[test]
fn a_locked_journal_can_be_read_and_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = open(dir.path()).unwrap();
    write(&mut agent, &[put(record("1", Stage::Owned))]);
    let mut reader = Journal::read_only(dir.path()).unwrap();
    assert_eq!(reader.records(), agent.records());
    let change = put(record("2", Stage::Owned));
    let refused = reader.write(&[change], &Effects::default());
    assert!(matches!(refused, Err(JournalError::Write(_))));
    assert_eq!(reader.records(), agent.records());
}

#[test]
fn an_absent_journal_is_new_and_an_unreadable_one_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        Journal::read_only(dir.path()),
        Err(JournalError::Absent(_))
    ));
    drop(open(dir.path()).unwrap());
    let file = dir.path().join("journal.db");
    for bad in [
        &b""[..],
        b"not a database at all, but long enough to have a header of one",
    ] {
        fs::write(&file, bad).unwrap();
        let refused = open(dir.path()).unwrap_err();
        assert!(matches!(refused, JournalError::Corrupt { .. }), "{refused}");
        assert_eq!(
            fs::read(&file).unwrap(),
            bad,
            "an unreadable journal stays as it is"
        );
    }
}

#[test]
fn a_record_of_unknown_form_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let connection = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    connection
        .execute("INSERT INTO record VALUES ('1', '{}')", [])
        .unwrap();
    drop(connection);
    assert!(matches!(
        open(dir.path()),
        Err(JournalError::Corrupt { .. })
    ));
}

#[test]
fn a_newer_journal_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let connection = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    connection
        .execute("UPDATE schema SET version = 99", [])
        .unwrap();
    drop(connection);
    let refused = open(dir.path()).unwrap_err();
    assert!(
        matches!(refused, JournalError::Newer { version: 99, .. }),
        "{refused}"
    );
}

#[test]
fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("state/of/agent");
    let _journal = open(&folder).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("journal.db")), 0o600);
    assert_eq!(mode(&folder.join("journal.db-wal")), 0o600);
}

#[test]
fn a_record_of_a_newer_version_is_kept_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let file = dir.path().join("journal.db");
    // A form that no version of this program writes, spaces included.
    let body = r#"{"uid": "g",  "kind": "DockerGalaxy", "stage": "Spinning", "orbit": [7]}"#;
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection
        .execute("INSERT INTO record VALUES ('g', ?1)", [body])
        .unwrap();
    drop(connection);
    {
        let mut journal = open(dir.path()).unwrap();
        assert!(
            journal
                .records()
                .get(&RecordKey::object("g"))
                .is_some_and(|r| !r.is_understood())
        );
        write(&mut journal, &[put(record("1", Stage::Owned))]);
    }
    let connection = rusqlite::Connection::open(&file).unwrap();
    let kept: String = connection
        .query_row("SELECT body FROM record WHERE uid = 'g'", [], |r| r.get(0))
        .unwrap();
    assert_eq!(kept, body);
}

#[test]
fn an_assignment_keeps_what_a_newer_controller_wrote_into_it() {
    let dir = tempfile::tempdir().unwrap();
    let entries = r#"[{"uid": "g", "kind": "DockerGalaxy", "namespace": "n", "name": "milkyway",
        "revision": "r", "intent": "Frozen", "orbit": 7, "spec": {"arms": 4}}]"#;
    let snapshot = AssignmentSnapshot {
        entries: serde_json::from_str(entries).unwrap(),
        ..AssignmentSnapshot::default()
    };
    open(dir.path())
        .unwrap()
        .set_assignment(snapshot.clone(), &Effects::default())
        .unwrap();
    let journal = open(dir.path()).unwrap();
    let read = serde_json::to_value(&journal.assignment().unwrap().entries).unwrap();
    let written: serde_json::Value = serde_json::from_str(entries).unwrap();
    assert_eq!(read, written);
}

#[test]
fn an_obstacle_is_named_and_is_not_damage() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "a file").unwrap();
    let nothing = dir.path().join("link");
    std::os::unix::fs::symlink("nowhere", &nothing).unwrap();
    let taken = dir.path().join("taken");
    fs::create_dir_all(taken.join("journal.db")).unwrap();
    for (folder, part) in [
        (file.clone(), "file is not a folder"),
        (file.join("below"), "file is not a folder"),
        (nothing, "link is a broken symbolic link"),
        (taken, "journal.db: it is not a file"),
    ] {
        let refused = open(&folder).unwrap_err();
        let blocked = matches!(refused, JournalError::Blocked { .. });
        assert!(blocked, "{}: {refused}", folder.display());
        let text = refused.to_string();
        assert!(text.starts_with("cannot write to /"), "{text}");
        assert!(text.contains(part), "{text}");
    }
    let refused = Journal::look(&file).unwrap_err();
    assert!(matches!(refused, JournalError::Blocked { .. }), "{refused}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "a file");
}

#[test]
fn a_lock_of_another_program_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let other = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM record;")
        .unwrap();
    let refused = Journal::look(dir.path()).unwrap_err();
    assert!(matches!(refused, JournalError::Busy { .. }), "{refused}");
}

#[test]
fn each_answer_of_sqlite_is_damage_or_not() {
    use super::{Access, error};
    use rusqlite::ffi;
    let path = Path::new("/nowhere/journal.db");
    let error_of = |code: i32| {
        let err = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        error::of(path, Access::Write, &err)
    };
    for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB, ffi::SQLITE_ERROR] {
        assert!(
            matches!(error_of(code), JournalError::Corrupt { .. }),
            "{code}"
        );
    }
    for code in [
        ffi::SQLITE_BUSY,
        ffi::SQLITE_LOCKED,
        ffi::SQLITE_BUSY_SNAPSHOT,
    ] {
        assert!(
            matches!(error_of(code), JournalError::Busy { .. }),
            "{code}"
        );
    }
    for code in [
        ffi::SQLITE_CANTOPEN,
        ffi::SQLITE_PERM,
        ffi::SQLITE_READONLY,
        ffi::SQLITE_READONLY_DIRECTORY,
        ffi::SQLITE_IOERR,
        ffi::SQLITE_IOERR_SHMSIZE,
        ffi::SQLITE_FULL,
        ffi::SQLITE_NOMEM,
        ffi::SQLITE_PROTOCOL,
        ffi::SQLITE_AUTH,
        ffi::SQLITE_NOLFS,
    ] {
        let err = error_of(code);
        assert!(matches!(err, JournalError::Blocked { .. }), "{code}: {err}");
    }
}

#[test]
fn a_journal_of_an_older_version_is_read_without_migration() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path()).unwrap();
    let snapshot = AssignmentSnapshot {
        hub: "files".to_owned(),
        ..AssignmentSnapshot::default()
    };
    journal
        .set_assignment(snapshot.clone(), &Effects::default())
        .unwrap();
    drop(journal);
    let connection = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    connection
        .execute_batch(
            "ALTER TABLE assignment DROP COLUMN paused;
             ALTER TABLE assignment DROP COLUMN host_generation;
             UPDATE schema SET version = 1;",
        )
        .unwrap();
    drop(connection);
    let looked = Journal::look(dir.path()).unwrap();
    assert_eq!(looked.assignment().map(AsRef::as_ref), Some(&snapshot));
    let opened = open(dir.path()).unwrap();
    assert_eq!(opened.assignment().map(AsRef::as_ref), Some(&snapshot));
}

/// Invariant 13.
#[tokio::test(start_paused = true)]
async fn a_disk_that_does_not_answer_is_an_error_and_only_one_thread_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).unwrap();
    let ledger = std::sync::Arc::clone(journal.ledger());
    let changes = || vec![put(record("u", Stage::Owned))];
    let (disk, answer) = std::sync::mpsc::channel::<()>();
    let first = ledger.in_thread(move |ledger| {
        let _ = answer.recv();
        ledger.write(&[put(record("first", Stage::Owned))])
    });
    let effects = Effects::default();
    let wait = || async {
        tokio::task::yield_now().await;
        tokio::time::advance(super::WRITE_TIMEOUT).await;
    };
    let (first, ()) = tokio::join!(first, wait());
    let (second, ()) = tokio::join!(ledger.commit(changes(), &effects), wait());
    for error in [first.unwrap_err(), second.unwrap_err()] {
        assert!(matches!(error, JournalError::Timeout), "{error}");
        assert!(error.to_string().contains("within 60 s"), "{error}");
    }
    drop(disk);
    // The first write is carried out late, and the journal can be written again.
    ledger.commit(changes(), &effects).await.unwrap();
    assert_eq!(keys(&journal), ["first", "u"]);
}
