//! Backups and restores of small trees, in one process. Real volumes, and `restic` beside it: `e2e`.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;

use rustix::fs::{Mode, OFlags, openat};
use rustix::process::{Resource, getrlimit, setrlimit};
use tempfile::TempDir;

use crate::job::{
    Backup, BackupOutcome, Check, Outcome, Request, Restore, RestoreOutcome, Task, Verify, Waits,
};
use crate::process::{Order, run};
use crate::tally::Tally;
use crate::tree::trail::remove_all;
use crate::tree::trail::tests::deep;
use crate::tree::{folder_flags, names};
use crate::{Access, Address, Filter, LATEST, Reason, Secret, Snapshot, VaultError};

/// Does what a request asks for, at once.
fn ask(request: Request) -> Result<Outcome, VaultError> {
    let order = Order {
        request: Cow::Owned(request),
        waits: Waits::default(),
    };
    run(&order, &Arc::new(Tally::default()), &channel().1)
}

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
        ask(request)
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
    assert!(matches!(ask(request.clone()), Ok(Outcome::List(all)) if all.is_empty()));
    // A repository that is made again has another key.
    let other = tempfile::tempdir().unwrap();
    let gone = Request {
        repository: Address::Path(other.path().to_owned()),
        ..request
    };
    assert_eq!(ask(gone).unwrap_err().reason, Reason::NoRepository);
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

#[test]
fn five_thousand_folders_in_each_other_come_back() {
    let bench = Bench::new();
    let levels = 5000;
    // That of many systems, so that it does not hide what stays open.
    let mut files = getrlimit(Resource::Nofile);
    files.current = Some(1024);
    setrlimit(Resource::Nofile, files).unwrap();
    let innermost = deep(bench.volume.path(), "d", levels);
    let flags = OFlags::WRONLY | OFlags::CREATE;
    drop(openat(&innermost, "a", flags, Mode::RUSR).unwrap());
    let made = bench.backup(Verify::Metadata).unwrap();
    assert!(made.problems.is_empty(), "{:?}", made.problems);
    assert_eq!(made.snapshot.files, 1);
    let target = tempfile::tempdir().unwrap();
    let restored = bench.restore(LATEST, target.path()).unwrap();
    assert!(restored.problems.is_empty(), "{:?}", restored.problems);
    assert_eq!(
        (restored.written.folders, restored.written.files),
        (5000, 1)
    );
    let innermost = inner(target.path(), "d", levels);
    assert_eq!(names(&innermost).unwrap(), ["a"]);
    for root in [target.path(), bench.volume.path()] {
        remove_all(&inner(root, "d", 0), OsStr::new("d")).unwrap();
    }
}

#[test]
fn a_folder_that_is_too_deep_is_told_and_the_rest_comes_back() {
    let bench = Bench::new();
    bench.file("a", "first");
    // 12 kB of path are 48 of such names.
    let name = "d".repeat(255);
    deep(bench.volume.path(), &name, 100);
    let made = bench.backup(Verify::Metadata).unwrap();
    assert_eq!((made.problems.failed, made.snapshot.partial), (1, true));
    let [told] = &made.problems.first[..] else {
        panic!("{made:?}");
    };
    assert!(told.len() < 700 && told.contains("[...]"), "{told}");
    assert!(
        told.ends_with(": the path of this folder is longer than 12288 bytes"),
        "{told}"
    );
    let target = tempfile::tempdir().unwrap();
    let restored = bench.restore(LATEST, target.path()).unwrap();
    assert!(restored.problems.is_empty(), "{:?}", restored.problems);
    assert_eq!((restored.written.folders, restored.written.files), (47, 1));
    for root in [target.path(), bench.volume.path()] {
        remove_all(&inner(root, &name, 0), OsStr::new(&name)).unwrap();
    }
}

/// Opens the innermost of folders of one name in each other.
fn inner(root: &Path, name: &str, levels: usize) -> OwnedFd {
    let open = || rustix::fs::open(root, folder_flags(), Mode::empty()).unwrap();
    (0..levels).fold(open(), |at, _| {
        openat(&at, name, folder_flags(), Mode::empty()).unwrap()
    })
}

/// Returns the key of a repository, as text.
fn key(opened: Result<Outcome, VaultError>) -> String {
    match opened.unwrap() {
        Outcome::Opened(key) => serde_json::to_string(&key).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn hosts_that_create_one_repository_at_once_all_open_the_same() {
    let bench = Bench::new();
    let keys: Vec<String> = std::thread::scope(|scope| {
        let create = || key(bench.ask("secret", true, Task::Open));
        let all: Vec<_> = (0..5).map(|_| scope.spawn(create)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let again = key(bench.ask("secret", false, Task::Open));
    assert!(keys.iter().all(|key| *key == again));
    let files = |folder: &str| {
        fs::read_dir(bench.store.path().join(folder))
            .unwrap()
            .count()
    };
    assert_eq!((files("keys"), files("locks")), (1, 0));
}

#[test]
fn a_creation_that_was_killed_before_its_config_is_finished_by_the_next() {
    let bench = Bench::new();
    let first = key(bench.ask("secret", true, Task::Open));
    fs::remove_file(bench.store.path().join("config")).unwrap();
    let err = bench.ask("secret", false, Task::Open).unwrap_err();
    assert_eq!(err.reason, Reason::NoRepository);
    assert!(
        err.message.ends_with("was begun, and not finished"),
        "{err}"
    );
    let err = bench.ask("guess", true, Task::Open).unwrap_err();
    assert_eq!(err.reason, Reason::WrongPassword);
    assert!(
        err.message.contains("was begun with another password"),
        "{err}"
    );
    assert_eq!(key(bench.ask("secret", true, Task::Open)), first);
    bench.file("a", "first");
    bench.backup(Verify::ReadData).unwrap();
    let keys = fs::read_dir(bench.store.path().join("keys")).unwrap();
    assert_eq!(keys.count(), 1);
}

#[test]
fn a_key_that_a_creator_has_left_hides_no_repository() {
    let bench = Bench::new();
    let right = key(bench.ask("secret", true, Task::Open));
    let keys = |bench: &Bench| -> Vec<_> {
        let all = fs::read_dir(bench.store.path().join("keys")).unwrap();
        all.map(|key| key.unwrap().path()).collect()
    };
    let own = keys(&bench);
    // The library takes the first.
    loop {
        let other = Bench::new();
        other.ask("secret", true, Task::Open).unwrap();
        let orphan = &keys(&other)[0];
        let name = orphan.file_name().unwrap();
        fs::copy(orphan, own[0].with_file_name(name)).unwrap();
        if Some(name) < own[0].file_name() {
            break;
        }
    }
    assert_eq!(key(bench.ask("secret", false, Task::Open)), right);
    let err = bench.ask("guess", false, Task::Open).unwrap_err();
    assert_eq!(err.reason, Reason::WrongPassword);
}
