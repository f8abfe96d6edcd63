//! Credentials of mounts: nothing names them before they are in the host's Secret.

use dockfleet_crds::Reason;
use dockfleet_crds::volume::{CREDENTIALS_LABEL, CifsSource, DockerVolumeSpec, SecretName};
use dockfleet_planner::credentials::{Credentials, version};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

use super::*;
use crate::index::credentials::SyncedCredentials;
use crate::index::{SecretReading, SecretSync};

fn share(site: &str) -> DockerVolume {
    let web = network("share", site);
    let spec = DockerVolumeSpec {
        host_selector: web.spec.host_selector,
        cifs: Some(CifsSource {
            server: "nas".to_owned(),
            share: "team".to_owned(),
            credentials_secret: Some(SecretName {
                name: "login".to_owned(),
            }),
            ..CifsSource::default()
        }),
        ..DockerVolumeSpec::default()
    };
    let mut share = DockerVolume::new("share", spec);
    share.metadata = web.metadata;
    share.status = web.status.map(|s| s.resource);
    share
}

fn login() -> Name {
    Name {
        namespace: "apps".to_owned(),
        name: "login".to_owned(),
    }
}

fn here(resource_version: &str) -> SecretReading {
    let mut secret = Secret::default();
    secret.metadata.labels = Some(map(&[(CREDENTIALS_LABEL, "true")]));
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    let data = [
        ("username".to_owned(), bytes("a")),
        ("password".to_owned(), bytes(resource_version)),
    ];
    secret.data = Some(data.into());
    SecretReading::found("uid-login", resource_version, Credentials::of(&secret))
}

impl World {
    fn volume(&mut self, volume: &DockerVolume) {
        let mut volume = volume.clone();
        volume.metadata.resource_version = Some(self.next_version());
        self.take_in(volume_change(Seen::Applied(Box::new(volume))));
    }

    /// Has another site's host have the share.
    fn move_share(&mut self) {
        let mut share = share("b");
        share.metadata.generation = Some(2);
        self.volume(&share);
        self.settle();
    }

    fn secret_read(&mut self, reading: SecretReading) {
        self.index.secret_read(&login(), reading);
    }

    /// Hands over what a host lacks, as its Secret would take it; returns what that was.
    fn sync_secret(&mut self, host: &str) -> Option<SecretSync> {
        let sync = self.index.secret_sync(&at(host))?;
        let had = sync.put.iter();
        let had = had.map(|(uid, credentials)| (uid.clone(), credentials.version.clone()));
        self.index.secret_synced(&at(host), had.collect());
        Some(sync)
    }

    fn named(&self, host: &str) -> Option<String> {
        let entry = self.assignment(host).spec.entries.into_iter().next()?;
        Some(entry.spec.get("credentials")?.as_str()?.to_owned())
    }
}

/// A world whose host h1 has the share, with its credentials in version 1.
fn settled() -> World {
    let mut world = World::of(2);
    world.volume(&share("a"));
    world.secret_read(here("1"));
    world.settle();
    world.sync_secret("h1").unwrap();
    world.settle();
    world
}

#[test]
fn no_status_is_written_before_the_secret_was_read() {
    let mut world = World::of(2);
    world.volume(&share("a"));
    assert_eq!(world.index.dirty.secrets, [login()].into());
    world.settle();
    assert_eq!(world.assignment("h1").spec.entries, []);
    assert!(world.work("uid-share").is_none());
    assert_eq!(world.index.secret_sync(&at("h1")), None);
    world.secret_read(SecretReading::Missing);
    world.settle();
    assert_eq!(
        world.ready("uid-share"),
        (1, 0, "CredentialsMissing".to_owned())
    );
    let status = world.status("uid-share");
    assert_eq!(
        status.failing[0].message,
        "Secret apps/login does not exist"
    );
}

/// Invariant 9: only to the hosts that need them, and before the entry that names them.
#[test]
fn i9_credentials_come_before_the_entry_and_to_its_hosts_only() {
    let mut world = World::of(2);
    world.volume(&share("a"));
    world.secret_read(here("1"));
    world.settle();
    assert_eq!(world.assignment("h1").spec.entries, []);
    assert_eq!(world.index.secret_sync(&at("h2")), None);
    let sync = world.sync_secret("h1").unwrap();
    assert_eq!(sync.put["uid-share"].version, version("uid-login", "1"));
    world.settle();
    assert_eq!(world.named("h1"), Some(version("uid-login", "1")));
    assert_eq!(world.index.secret_sync(&at("h1")), None);
    let shown = format!("{:?}", world.index);
    assert!(!shown.contains("password"), "{shown}");
}

#[test]
fn a_changed_secret_is_synced_again() {
    let mut world = settled();
    world.secret_read(here("2"));
    world.settle();
    assert_eq!(world.named("h1"), Some(version("uid-login", "1")));
    assert_eq!(
        world.sync_secret("h1").unwrap().put["uid-share"].version,
        version("uid-login", "2")
    );
    world.settle();
    assert_eq!(world.named("h1"), Some(version("uid-login", "2")));
    // The same once more is nothing.
    world.secret_read(here("2"));
    assert_eq!(world.dirty(), Dirty::default());
}

/// Invariants 1 and 7.
#[test]
fn a_deleted_secret_changes_nothing_on_hosts() {
    let mut world = settled();
    let before = world.assignment("h1").spec;
    world.network(&network("web", "a"));
    world.secret_read(SecretReading::Missing);
    world.settle();
    let after = world.assignment("h1").spec;
    assert_eq!(after.entries.len(), 2);
    assert_eq!(after.entries[0], before.entries[0]);
    assert_eq!(world.index.secret_sync(&at("h1")), None);
    assert_eq!(world.ready("uid-share").2, "CredentialsMissing");
    // A Secret that cannot be read keeps its earlier result.
    world.secret_read(here("1"));
    world.settle();
    world.dirty();
    world.secret_read(SecretReading::Unreadable("no answer".to_owned()));
    assert_eq!(world.dirty(), Dirty::default());
}

#[test]
fn after_a_start_the_credentials_an_entry_names_count_as_synced() {
    let before = settled();
    let mut world = World::of(2);
    let assignment = before.assignment("h1");
    world.take_in(WatchChange::Assignment(Seen::Applied(Box::new(assignment))));
    world.volume(&share("a"));
    world.secret_read(here("1"));
    world.settle();
    assert_eq!(world.index.secret_sync(&at("h1")), None);
}

#[test]
fn credentials_an_agent_misses_are_synced_again() {
    let mut world = settled();
    let mut missing = world.assignment("h1");
    let entry = &missing.spec.entries[0];
    let report = EntryStatus {
        uid: entry.uid.clone(),
        revision: entry.revision.clone(),
        reason: Some(Reason::CredentialsMissing.into()),
        ..EntryStatus::default()
    };
    missing.status = Some(HostAssignmentStatus {
        observed_generation: Some(1),
        entries: vec![report],
    });
    missing.metadata.resource_version = Some(world.next_version());
    world.take_in(WatchChange::Assignment(Seen::Applied(Box::new(missing))));
    world.settle();
    assert_eq!(world.sync_secret("h1").unwrap().put.len(), 1);
    world.settle();
    // Until it misses them again, once is enough.
    assert_eq!(world.index.secret_sync(&at("h1")), None);
}

#[test]
fn credentials_are_removed_after_their_entry() {
    let mut world = settled();
    world.move_share();
    // The tombstone exists, but its agent may not have seen it.
    assert_eq!(world.index.secret_sync(&at("h1")), None);
    world.report("h1", EntryState::Gone);
    world.settle();
    assert_eq!(world.intents("h1"), []);
    let sync = world.sync_secret("h1").unwrap();
    assert_eq!(sync.take, set(["uid-share"]));
    assert!(sync.put.is_empty());
    // And to the host that has it now.
    assert_eq!(world.sync_secret("h2").unwrap().put.len(), 1);
}

/// Invariant 9.
#[test]
fn after_a_start_credentials_are_removed_after_their_entry_too() {
    let mut world = settled();
    world.move_share();
    let state = world.index.hosts.get_mut(&at("h1")).unwrap();
    state.synced = SyncedCredentials::default();
    assert!(world.index.secret_sync(&at("h1")).unwrap().look);
    let had = map(&[("uid-share", "1")]);
    world.index.secret_synced(&at("h1"), had);
    assert_eq!(world.index.secret_sync(&at("h1")), None);
    world.report("h1", EntryState::Gone);
    world.settle();
    let sync = world.index.secret_sync(&at("h1")).unwrap();
    assert_eq!(sync.take, set(["uid-share"]));
}

/// Invariant 7.
#[test]
fn a_host_without_a_secret_delays_nothing_else() {
    let mut world = World::of(1);
    world.volume(&share("a"));
    world.network(&network("web", "a"));
    world.secret_read(here("1"));
    world.settle();
    world
        .index
        .secret_sync_failed(&at("h1"), "there is none".to_owned());
    world.settle();
    assert_eq!(
        world.intents("h1"),
        [("uid-web".to_owned(), Intent::Present)]
    );
    let status = world.status("uid-share");
    assert_eq!(status.failing[0].reason, Reason::CredentialsMissing);
    assert_eq!(
        status.failing[0].message,
        "the credentials cannot be written to the Secret of host h1: there is none"
    );
    world.sync_secret("h1").unwrap();
    world.settle();
    assert_eq!(world.intents("h1").len(), 2);
}

#[test]
fn a_secret_is_read_again_after_some_seconds_once_and_as_long_as_it_is_named() {
    let mut world = settled();
    assert!(world.index.secret_form(&login()).is_some());
    let begin = Instant::now();
    let at = |s| begin + Duration::from_secs(s);
    world.index.tick(at(0));
    world.dirty();
    world.index.read_again(&login(), 0);
    world.index.read_again(&login(), 0);
    world.index.tick(at(4));
    assert_eq!(world.dirty().secrets, [].into());
    world.index.tick(at(5));
    assert_eq!(world.dirty().secrets, [login()].into());
    world.index.tick(at(100));
    assert_eq!(world.dirty().secrets, [].into());
    world.index.read_again(&login(), 0);
    world.volume(&share("a"));
    assert_eq!(world.dirty().secrets, [].into());
    let mut plain = share("a");
    plain.metadata.generation = Some(2);
    if let Some(cifs) = &mut plain.spec.cifs {
        cifs.credentials_secret = None;
    }
    world.volume(&plain);
    assert!(world.index.secret_form(&login()).is_none());
    // Nobody waits for it any more.
    assert_eq!(world.index.secrets.next(), None);
    world.settle();
    assert_eq!(world.named("h1"), None);
}
