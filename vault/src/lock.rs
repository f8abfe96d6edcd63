//! Locks of a repository, in the form of restic: a job that removes data is never beside one that adds or reads data,
//! on whatever host, and whichever of both programs it is.
//!
//! A lock is a file that its owner replaces every minute. Whether the owner still lives is not judged by the time in
//! the file, which is of another clock: a lock is stale after it was watched for long enough and did not change.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aes256ctr_poly1305aes::aead::Aead as _;
use aes256ctr_poly1305aes::{Aes256CtrPoly1305Aes, Key, Nonce};
use bytes::Bytes;
use jiff::Timestamp;
use rustic_core::Id;
use rustic_core::repofile::MasterKey;
use serde::{Deserialize, Serialize};

use crate::backend::Backend;
use crate::error::{Reason, VaultError};
use crate::pause::jittered;
use crate::repository::Opened;
use crate::store::{FileKind, Store, StoreError, id_for};

/// The length of the random part of an encrypted file, in bytes.
const NONCE: usize = 16;

/// What a job may do beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It adds or reads data.
    Shared,
    /// It removes data.
    Exclusive,
    /// It creates the repository. There is no key yet, so its lock is not encrypted. restic knows no such locks.
    Creating,
}

/// Durations of locks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// How often a lock is replaced.
    refresh: Duration,
    /// How often a lock that is in the way is looked at.
    poll: Duration,
    /// How long locks of others are waited for, at most. It is longer than until they are stale, so a lock that a killed
    /// process has left ends no job.
    pub(crate) wait: Duration,
    /// How long a lock must not change before it is stale. restic replaces its locks every five minutes, but goes on
    /// for more than twenty when it cannot, and takes locks for stale after thirty.
    stale: Duration,
}

impl Times {
    /// Durations of locks while a repository is created, which takes seconds.
    pub(crate) fn of_creation(wait: Duration) -> Self {
        Self {
            refresh: Duration::from_secs(15),
            poll: Duration::from_secs(1),
            stale: Duration::from_mins(2),
            wait,
        }
    }
}

impl Default for Times {
    fn default() -> Self {
        Self {
            refresh: Duration::from_mins(1),
            poll: Duration::from_secs(10),
            wait: Duration::from_hours(1),
            stale: Duration::from_mins(40),
        }
    }
}

/// The content of a lock.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct LockFile {
    time: Timestamp,
    #[serde(default)]
    exclusive: bool,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    pid: u32,
    /// When the job began: each replacement has a new time. restic does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// Whether it creates the repository.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    creates: bool,
}

impl LockFile {
    /// Returns who has the lock, in words. Anybody with the password may have written it.
    fn who(&self) -> String {
        let doing = match (self.creates, self.exclusive) {
            (true, _) => "creates this repository",
            (false, true) => "removes data in this repository",
            (false, false) => "works in this repository",
        };
        let when = match self.since {
            Some(since) => format!("since {since:.0}"),
            None => format!("renewed at {:.0}", self.time),
        };
        let (host, pid) = (self.hostname.escape_debug(), self.pid);
        format!("host {host} (process {pid}, {when}) {doing}")
    }
}

/// A lock that is held. It is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    shared: Arc<Held>,
    stop: Option<Sender<()>>,
    refresher: Option<JoinHandle<()>>,
}

/// What both threads of a lock know.
#[derive(Debug)]
struct Held {
    backend: Arc<Backend>,
    /// `None` before there is one.
    key: Option<LockKey>,
    mode: Mode,
    host: String,
    since: Timestamp,
    id: Mutex<Id>,
}

impl Lock {
    /// Takes a lock. It waits for locks that exclude it until they are removed or stale; `on_wait` is called with
    /// who has them.
    ///
    /// # Errors
    /// If the store fails, or others have locks for too long.
    pub(crate) fn take(
        opened: &Opened,
        mode: Mode,
        host: &str,
        times: Times,
        on_wait: &dyn Fn(&str),
    ) -> Result<Self, VaultError> {
        let key = LockKey::of(&opened.repository.key());
        Self::take_with(&opened.backend, Some(key), mode, host, times, on_wait)
    }

    /// Takes the lock of who creates a repository. There is only one at a time.
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub(crate) fn to_create(
        backend: &Arc<Backend>,
        host: &str,
        times: Times,
        on_wait: &dyn Fn(&str),
    ) -> Result<Self, VaultError> {
        Self::take_with(backend, None, Mode::Creating, host, times, on_wait)
    }

    fn take_with(
        backend: &Arc<Backend>,
        key: Option<LockKey>,
        mode: Mode,
        host: &str,
        times: Times,
        on_wait: &dyn Fn(&str),
    ) -> Result<Self, VaultError> {
        let held = Held {
            backend: Arc::clone(backend),
            key,
            mode,
            host: match host {
                "" => this_host(),
                host => host.to_owned(),
            },
            since: Timestamp::now(),
            id: Mutex::default(),
        };
        held.wait_for_others(times, on_wait)?;
        let (stop, stopped) = channel();
        let shared = Arc::new(held);
        let kept = Arc::clone(&shared);
        let refresher = std::thread::spawn(move || kept.refresh(times, &stopped));
        Ok(Self {
            shared,
            stop: Some(stop),
            refresher: Some(refresher),
        })
    }

    /// Checks that the lock was replaced in time until now (others may take it for stale otherwise), and that the store
    /// has not failed.
    ///
    /// # Errors
    /// If it was not.
    pub(crate) fn check(&self) -> Result<(), VaultError> {
        match self.shared.backend.failure() {
            Some(failure) => Err(failure.clone().into()),
            None => Ok(()),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(refresher) = self.refresher.take() {
            // It panics nowhere, and there is nothing to do if it did.
            let _ = refresher.join();
        }
        let id = *self
            .shared
            .id
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // What stays is stale some minutes later.
        let _ = self.shared.store().remove(FileKind::Lock, &id);
    }
}

impl Held {
    fn store(&self) -> &dyn Store {
        self.backend.store()
    }

    /// Writes the lock as soon as no others exclude it.
    fn wait_for_others(&self, times: Times, on_wait: &dyn Fn(&str)) -> Result<(), VaultError> {
        let begin = Instant::now();
        // When each of them was seen for the first time.
        let mut watched: BTreeMap<Id, Instant> = BTreeMap::new();
        loop {
            let mut others = self.others(None)?;
            if others.is_empty() {
                // Another one may be written at the same moment: both see each other after they have written.
                let own = self.write()?;
                others = self.others(Some(own))?;
                if others.is_empty() {
                    return Ok(());
                }
                self.store().remove(FileKind::Lock, &own)?;
            }
            watched.retain(|id, _| others.contains_key(id));
            for (id, who) in &others {
                let since = watched.entry(*id).or_insert_with(|| {
                    on_wait(who);
                    Instant::now()
                });
                if since.elapsed() >= times.stale {
                    self.store().remove(FileKind::Lock, id)?;
                }
            }
            let Some(left) = times.wait.checked_sub(begin.elapsed()) else {
                let who = others.into_values().next().unwrap_or_default();
                let seconds = times.wait.as_secs();
                let text = format!("{who}, and was waited for {seconds} s");
                return Err(VaultError::new(Reason::Locked, text));
            };
            std::thread::sleep(jittered(times.poll).min(left));
        }
    }

    /// Returns the other locks that exclude this one, with their owners in words.
    fn others(&self, own: Option<Id>) -> Result<BTreeMap<Id, String>, VaultError> {
        let mut all = BTreeMap::new();
        for (id, _) in self.store().list(FileKind::Lock)? {
            if Some(id) == own {
                continue;
            }
            let content = match self.store().read(FileKind::Lock, &id, None) {
                Err(StoreError::Missing(_)) => continue,
                other => other?,
            };
            match self.read(&content) {
                // There is a repository now: a creator that was killed has left it.
                Some(lock) if lock.creates && self.mode != Mode::Creating => {
                    self.store().remove(FileKind::Lock, &id)?;
                }
                Some(lock) if self.mode == Mode::Shared && !lock.exclusive => {}
                Some(lock) => drop(all.insert(id, lock.who())),
                // A newer form, or a file that is half written.
                None => {
                    drop(all.insert(id, "an unknown program works in this repository".to_owned()));
                }
            }
        }
        Ok(all)
    }

    /// Reads the content of a lock; `None` if it is of a newer form, or only half of it.
    fn read(&self, content: &[u8]) -> Option<LockFile> {
        let opened = self.key.as_ref().and_then(|key| key.open(content));
        if let Some(text) = opened {
            return serde_json::from_slice(&text).ok();
        }
        let plain: Option<LockFile> = serde_json::from_slice(content).ok();
        plain.filter(|lock| lock.creates)
    }

    /// Writes a new lock file, and returns its ID.
    fn write(&self) -> Result<Id, VaultError> {
        let lock = LockFile {
            time: Timestamp::now(),
            exclusive: self.mode == Mode::Exclusive,
            hostname: self.host.clone(),
            username: "root".to_owned(),
            pid: std::process::id(),
            since: Some(self.since),
            creates: self.mode == Mode::Creating,
        };
        let failed = |why: String| VaultError::new(Reason::Internal, why);
        let text = serde_json::to_vec(&lock).map_err(|err| failed(err.to_string()))?;
        let content = match &self.key {
            Some(key) => key.seal(&text),
            None => Some(text),
        };
        let content = content.ok_or_else(|| failed("a lock cannot be encrypted".to_owned()))?;
        let id = id_for(&content);
        self.store()
            .write(FileKind::Lock, &id, &[Bytes::from(content)])?;
        *self.id.lock().unwrap_or_else(PoisonError::into_inner) = id;
        Ok(id)
    }

    /// Replaces the lock until it is given back.
    fn refresh(&self, times: Times, stopped: &Receiver<()>) {
        let mut last = since_boot();
        while stopped.recv_timeout(times.refresh) == Err(RecvTimeoutError::Timeout) {
            let old = *self.id.lock().unwrap_or_else(PoisonError::into_inner);
            let written = self.write();
            // Also when this machine slept: a lock that is renewed too late may have been taken for stale.
            if since_boot().saturating_sub(last) >= times.stale / 2 {
                self.backend.lose_lock();
            } else if written.is_ok() {
                last = since_boot();
            }
            if written.is_ok() {
                let _ = self.store().remove(FileKind::Lock, &old);
            }
        }
    }
}

/// Returns what this machine calls itself.
fn this_host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim_end().to_owned()
}

/// Returns the time since the start of this machine, with the time that it slept.
fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}

/// Encrypts locks, as all files of a repository are.
struct LockKey(Aes256CtrPoly1305Aes);

impl std::fmt::Debug for LockKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LockKey")
    }
}

impl LockKey {
    fn of(key: &MasterKey) -> Self {
        let parts = [&key.encrypt[..], &key.mac.k, &key.mac.r].concat();
        Self(Aes256CtrPoly1305Aes::new(Key::from_slice(&parts)))
    }

    fn seal(&self, text: &[u8]) -> Option<Vec<u8>> {
        let nonce: [u8; NONCE] = uuid::Uuid::new_v4().into_bytes();
        let sealed = self.0.encrypt(Nonce::from_slice(&nonce), text).ok()?;
        Some([&nonce[..], &sealed].concat())
    }

    fn open(&self, content: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = content.split_at_checked(NONCE)?;
        self.0.decrypt(Nonce::from_slice(nonce), sealed).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::Creator;
    use crate::store::{self, Use};
    use crate::{Access, Address, Secret, repository};

    const QUICK: Times = Times {
        refresh: Duration::from_millis(50),
        poll: Duration::from_millis(20),
        wait: Duration::from_mins(1),
        stale: Duration::from_millis(400),
    };

    fn opened(store: &tempfile::TempDir) -> Opened {
        let address = Address::Path(store.path().to_owned());
        let store = store::open(&address, &Access::default(), Use::Other).unwrap();
        let creator = Creator {
            host: "h1",
            wait: QUICK.wait,
            on_wait: &|_| {},
        };
        repository::open(
            store,
            &Secret::Password("secret".to_owned()),
            Some(&creator),
        )
        .unwrap()
    }

    fn locks(opened: &Opened) -> usize {
        opened.backend.store().list(FileKind::Lock).unwrap().len()
    }

    #[test]
    fn shared_locks_go_together_and_an_exclusive_one_waits_for_both() {
        let store = tempfile::tempdir().unwrap();
        let opened = opened(&store);
        let first = Lock::take(&opened, Mode::Shared, "h1", QUICK, &|_| panic!("waits")).unwrap();
        let second = Lock::take(&opened, Mode::Shared, "h2", QUICK, &|_| panic!("waits")).unwrap();
        let (sender, waits) = channel();
        std::thread::scope(|scope| {
            let exclusive = scope.spawn(|| {
                let says = |who: &str| drop(sender.send(who.to_owned()));
                let lock = Lock::take(&opened, Mode::Exclusive, "h3", QUICK, &says).unwrap();
                lock.check().unwrap();
            });
            assert!(waits.recv().unwrap().contains("works"));
            // Held for longer than a lock that does not change is believed.
            std::thread::sleep(2 * QUICK.stale);
            assert!(!exclusive.is_finished());
            drop((first, second));
            exclusive.join().unwrap();
        });
        assert_eq!(locks(&opened), 0);
    }

    #[test]
    fn a_job_does_not_wait_for_ever_and_says_for_whom() {
        let store = tempfile::tempdir().unwrap();
        let opened = opened(&store);
        let held = Lock::take(&opened, Mode::Shared, "h1\n", QUICK, &|_| {}).unwrap();
        let times = Times {
            wait: Duration::from_millis(100),
            stale: Duration::from_hours(1),
            ..QUICK
        };
        let taken = Lock::take(&opened, Mode::Exclusive, "h2", times, &|_| {});
        let err = taken.unwrap_err();
        let (since, process) = (held.shared.since, std::process::id());
        let expected = format!(
            "host h1\\n (process {process}, since {since:.0}) works in this repository, and was waited for 0 s"
        );
        assert_eq!((err.reason, err.message), (Reason::Locked, expected));
        drop(held);
        assert_eq!(locks(&opened), 0);
    }

    #[test]
    fn a_lock_that_its_owner_left_is_stale_after_a_while() {
        let store = tempfile::tempdir().unwrap();
        let opened = opened(&store);
        let left = Lock::take(&opened, Mode::Exclusive, "h1", QUICK, &|_| {}).unwrap();
        left.shared.write().unwrap();
        let own = *left.shared.id.lock().unwrap();
        let content = opened
            .backend
            .store()
            .read(FileKind::Lock, &own, None)
            .unwrap();
        drop(left);
        opened
            .backend
            .store()
            .write(FileKind::Lock, &own, &[content])
            .unwrap();
        let begin = Instant::now();
        let lock = Lock::take(&opened, Mode::Shared, "h2", QUICK, &|_| {}).unwrap();
        assert!(begin.elapsed() >= QUICK.stale);
        drop(lock);
        assert_eq!(locks(&opened), 0);
    }
}
