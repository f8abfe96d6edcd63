//! An engine, a journal, and entries for an agent.

use dockfleet_agent::effect::Effects;
use dockfleet_agent::engine::Engine;
use dockfleet_agent::journal::Journal;
use dockfleet_agent::pass::{self, PassReport};
use dockfleet_crds::assignment::Kind;
use dockfleet_crds::policy::DeletionPolicy;
use dockfleet_crds::{Entry, EntryState, EntryStatus, Reason};
use dockfleet_planner::credentials::CredentialStore;
use dockfleet_planner::desired::{Behaviour, Tombstone, payload};
use dockfleet_planner::kinds::network::DesiredNetwork;
use dockfleet_planner::kinds::volume::DesiredVolume;
use dockfleet_planner::render;
use serde::Serialize;

use crate::fake::Fake;

pub(crate) struct TestHost {
    pub(crate) fake: Fake,
    pub(crate) engine: Engine,
    pub(crate) journal: Journal,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: CredentialStore,
}

impl TestHost {
    /// Starts with an empty engine of the newest kind.
    pub(crate) async fn new() -> Self {
        Self::with("1.52").await
    }

    pub(crate) async fn with(api: &'static str) -> Self {
        let fake = Fake::start(api);
        let engine = fake.connect().await;
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        fake.watch_journal(folder.path());
        fake.calls();
        Self {
            fake,
            engine,
            journal,
            folder,
            store: CredentialStore::new(),
        }
    }

    pub(crate) async fn pass(&mut self, entries: &[Entry]) -> PassReport {
        let effects = Effects::default();
        pass::pass(
            &self.engine,
            &mut self.journal,
            entries,
            &self.store,
            &effects,
            &mut |_| {},
        )
        .await
    }

    /// Runs a pass that must end with everything ready.
    pub(crate) async fn settle(&mut self, entries: &[Entry]) {
        let report = self.pass(entries).await;
        assert!(
            report.statuses.iter().all(|s| s.state == EntryState::Ready),
            "{report:?}"
        );
        self.fake.calls();
    }
}

pub(crate) fn entry(kind: Kind, name: &str, desired: &impl Serialize) -> Entry {
    let (spec, revision) = payload(desired, None);
    Entry {
        uid: format!("uid-{name}"),
        kind: kind.into(),
        namespace: "lab".to_owned(),
        name: name.to_owned(),
        revision,
        spec,
        ..Entry::default()
    }
}

pub(crate) fn network(name: &str) -> Entry {
    changed_network(name, Behaviour::default(), &[])
}

pub(crate) fn changed_network(name: &str, policy: Behaviour, options: &[(&str, &str)]) -> Entry {
    let options = options
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let desired = DesiredNetwork {
        name: name.to_owned(),
        driver: "bridge".to_owned(),
        options,
        policy,
        ..DesiredNetwork::default()
    };
    entry(Kind::DockerNetwork, name, &desired)
}

/// A network that its host creates for a whole swarm.
pub(crate) fn overlay_network(name: &str) -> Entry {
    let desired = DesiredNetwork {
        name: name.to_owned(),
        driver: "overlay".to_owned(),
        ..DesiredNetwork::default()
    };
    entry(Kind::DockerNetwork, name, &desired)
}

pub(crate) fn volume(name: &str) -> Entry {
    volume_with(name, &[])
}

pub(crate) fn volume_with(name: &str, options: &[(&str, &str)]) -> Entry {
    let options = options
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let desired = DesiredVolume {
        name: name.to_owned(),
        driver: "local".to_owned(),
        options,
        ..DesiredVolume::default()
    };
    entry(Kind::DockerVolume, name, &desired)
}

pub(crate) fn plugin_volume(name: &str, driver: &str) -> Entry {
    let desired = DesiredVolume {
        name: name.to_owned(),
        driver: driver.to_owned(),
        ..DesiredVolume::default()
    };
    entry(Kind::DockerVolume, name, &desired)
}

pub(crate) fn tombstone(entry: &Entry) -> Entry {
    let tombstone = Tombstone {
        name: entry.name.clone(),
        policy: DeletionPolicy::Delete,
    };
    render::tombstone(entry, &tombstone, None)
}

/// Returns state, reason and message of an entry, whose UID comes from its name.
pub(crate) fn state_of<'a>(
    report: &'a PassReport,
    name: &str,
) -> (EntryState, Option<Reason>, &'a str) {
    let status = report
        .statuses
        .iter()
        .find(|s| s.uid == format!("uid-{name}"));
    let EntryStatus {
        state,
        reason,
        message,
        ..
    } = status.unwrap();
    let reason = reason.as_ref().map(|r| r.known().unwrap());
    (state.known().unwrap(), reason, message)
}
