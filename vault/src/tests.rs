//! Backups and restores of small trees, in one process. Real volumes, and `restic` beside it: `e2e`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use crate::job::{
    Backup, BackupOutcome, Check, Outcome, Request, Restore, RestoreOutcome, Task, Verify,
};
use crate::process::run;
use crate::tally::Tally;
use crate::{Access, Address, Filter, LATEST, Reason, Secret, Snapshot, VaultError};

/// A volume and a repository in folders.
struct Bench {
    volume: TempDir,
    store: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self {
            volume: tempfile::tempdir().unwrap(),
            store: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str, content: &str) {
        let path = self.volume.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn ask(&self, password: &str, create: bool, task: Task) -> Result<Outcome, VaultError> {
        let request = Request {
            repository: Address::Path(self.store.path().to_owned()),
            access: Access::default(),
            secret: Secret::Password(password.to_owned()),
            create,
            host: "h1".to_owned(),
            task,
        };
        run(&request, &Arc::new(Tally::default()))
    }

    fn backup(&self, verify: Verify) -> Result<BackupOutcome, VaultError> {
        let task = Task::Backup(Backup {
            folder: self.volume.path().to_owned(),
            volume: "shop-data".to_owned(),
            host: "h1".to_owned(),
            tags: Vec::new(),
            verify,
        });
        match self.ask("secret", true, task)? {
            Outcome::Backup(outcome) => Ok(outcome),
            other => panic!("{other:?}"),
        }
    }

    fn snapshots(&self) -> Vec<Snapshot> {
        match self
            .ask("secret", false, Task::List(Filter::default()))
            .unwrap()
        {
            Outcome::List(all) => all,
            other => panic!("{other:?}"),
        }
    }

    fn restore(&self, which: &str, folder: &Path) -> Result<RestoreOutcome, VaultError> {
        let task = Task::Restore(Restore {
            snapshot: which.to_owned(),
            filter: Filter::default(),
            folder: folder.to_owned(),
        });
        match self.ask("secret", false, task)? {
            Outcome::Restore(outcome) => Ok(outcome),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_was_stored_is_restored() {
    let bench = Bench::new();
    bench.file("a", "first");
    bench.file("folder/b", "second");
    let made = bench.backup(Verify::ReadData).unwrap();
    assert_eq!(made.snapshot.files, 2);
    assert_eq!(made.snapshot.bytes, 11);
    assert!(made.problems.is_empty(), "{:?}", made.problems);
    assert!(made.snapshot.verified && !made.snapshot.partial);
    assert_eq!(bench.snapshots(), std::slice::from_ref(&made.snapshot));

    let target = tempfile::tempdir().unwrap();
    let restored = bench.restore(LATEST, target.path()).unwrap();
    assert_eq!(restored.snapshot, made.snapshot);
    assert!(restored.problems.is_empty(), "{:?}", restored.problems);
    let read = |name| fs::read_to_string(target.path().join(name)).unwrap();
    assert_eq!(
        (read("a"), read("folder/b")),
        ("first".to_owned(), "second".to_owned())
    );
}

#[test]
fn an_unchanged_file_is_not_read_again() {
    let bench = Bench::new();
    bench.file("a", "first");
    assert_eq!(bench.backup(Verify::Metadata).unwrap().read, 5);
    assert_eq!(bench.backup(Verify::Metadata).unwrap().read, 0);
    bench.file("b", "new");
    assert_eq!(bench.backup(Verify::Metadata).unwrap().read, 3);
}

#[test]
fn i16_an_empty_volume_does_not_follow_one_with_data() {
    let bench = Bench::new();
    let empty = bench.backup(Verify::Metadata).unwrap();
    assert_eq!(empty.snapshot.files, 0);
    bench.file("a", "first");
    let full = bench.backup(Verify::Metadata).unwrap();
    fs::remove_file(bench.volume.path().join("a")).unwrap();
    let err = bench.backup(Verify::Metadata).unwrap_err();
    assert_eq!(err.reason, Reason::SourceEmpty);
    assert_eq!(bench.snapshots(), [empty.snapshot, full.snapshot]);
}

#[test]
fn i16_a_restore_never_writes_over_data() {
    let bench = Bench::new();
    bench.file("a", "first");
    bench.backup(Verify::Metadata).unwrap();
    let target = tempfile::tempdir().unwrap();
    fs::write(target.path().join("precious"), "mine").unwrap();
    let err = bench.restore(LATEST, target.path()).unwrap_err();
    assert_eq!(err.reason, Reason::TargetNotEmpty);
    assert_eq!(err.message, "there is data in it, such as precious");
}

#[test]
fn i16_a_store_that_lost_a_pack_gets_no_snapshot() {
    let bench = Bench::new();
    bench.file("a", "first");
    bench.backup(Verify::Metadata).unwrap();
    let before = bench.snapshots();
    let packs = fs::read_dir(bench.store.path().join("data")).unwrap();
    for folder in packs {
        for pack in fs::read_dir(folder.unwrap().path()).unwrap() {
            fs::remove_file(pack.unwrap().path()).unwrap();
        }
    }
    bench.file("b", "new");
    let err = bench.backup(Verify::Metadata).unwrap_err();
    assert_eq!(err.reason, Reason::Damaged, "{err}");
    assert_eq!(bench.snapshots(), before);
}

#[test]
fn a_wrong_password_and_a_missing_repository_are_told() {
    let bench = Bench::new();
    bench.file("a", "first");
    let list = |password| {
        bench
            .ask(password, false, Task::List(Filter::default()))
            .unwrap_err()
    };
    assert_eq!(list("secret").reason, Reason::NoRepository);
    bench.backup(Verify::None).unwrap();
    let err = list("wrong");
    assert_eq!(err.reason, Reason::WrongPassword);
    assert!(
        err.message
            .starts_with("the password opens no key of the repository at /"),
        "{err}"
    );
}

#[test]
fn the_key_opens_what_the_password_opened() {
    let bench = Bench::new();
    let Ok(Outcome::Opened(secret)) = bench.ask("secret", true, Task::Open) else {
        panic!("not opened");
    };
    assert_eq!(format!("{secret:?}"), "Key");
    let request = Request {
        repository: Address::Path(bench.store.path().to_owned()),
        access: Access::default(),
        secret,
        create: true,
        host: String::new(),
        task: Task::List(Filter::default()),
    };
    let list = |request| run(request, &Arc::new(Tally::default()));
    assert!(matches!(list(&request), Ok(Outcome::List(all)) if all.is_empty()));
    // A repository that is made again has another key.
    let other = tempfile::tempdir().unwrap();
    let gone = Request {
        repository: Address::Path(other.path().to_owned()),
        ..request.clone()
    };
    assert_eq!(list(&gone).unwrap_err().reason, Reason::NoRepository);
}

#[test]
fn a_snapshot_is_found_by_the_beginning_of_its_id() {
    let bench = Bench::new();
    bench.file("a", "first");
    let first = bench.backup(Verify::None).unwrap().snapshot;
    bench.file("a", "second");
    bench.backup(Verify::None).unwrap();
    let target = tempfile::tempdir().unwrap();
    bench.restore(first.short_id(), target.path()).unwrap();
    assert_eq!(
        fs::read_to_string(target.path().join("a")).unwrap(),
        "first"
    );
    let err = bench
        .restore("nothing", tempfile::tempdir().unwrap().path())
        .unwrap_err();
    assert_eq!(err.reason, Reason::NoSnapshot);
}

#[test]
fn data_of_removed_snapshots_is_marked_first_and_the_rest_stays_whole() {
    let bench = Bench::new();
    bench.file("a", &"first".repeat(1000));
    let first = bench.backup(Verify::None).unwrap().snapshot;
    bench.file("a", &"second".repeat(1000));
    let second = bench.backup(Verify::None).unwrap().snapshot;
    let ask = |task| bench.ask("secret", false, task).unwrap();
    let Outcome::Forget(forgotten) = ask(Task::Forget([first.id.clone()].into())) else {
        panic!("another outcome");
    };
    assert_eq!((forgotten.removed, forgotten.kept), (vec![first], 1));
    let Outcome::Prune(pruned) = ask(Task::Prune) else {
        panic!("another outcome");
    };
    assert!(pruned.marked > 0 && pruned.removed == 0, "{pruned:?}");
    assert_eq!(bench.snapshots(), [second]);
    let Outcome::Check(checked) = ask(Task::Check(Check { read_percent: 100 })) else {
        panic!("another outcome");
    };
    assert_eq!(
        (checked.errors, checked.read_percent),
        (0, 100),
        "{checked:?}"
    );
}

#[test]
fn a_check_finds_what_was_changed() {
    let bench = Bench::new();
    bench.file("a", "first");
    bench.backup(Verify::None).unwrap();
    let folders = fs::read_dir(bench.store.path().join("data")).unwrap();
    for folder in folders {
        for pack in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = pack.unwrap().path();
            let mut content = fs::read(&path).unwrap();
            content[20] ^= 1;
            fs::write(&path, content).unwrap();
        }
    }
    let check = |read_percent| match bench.ask("secret", false, Task::Check(Check { read_percent }))
    {
        Ok(Outcome::Check(checked)) => checked.errors,
        Ok(other) => panic!("{other:?}"),
        // A tree that cannot be read ends the check.
        Err(_) => 1,
    };
    assert!(check(100) > 0);
}
