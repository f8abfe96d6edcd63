//! Table tests of planning; names and comments cite the invariants of the design by number.

mod credentials;
mod cut_off;
mod examination;
mod ownership;
mod present;
mod tombstone;
mod whole;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::labels;
use dockfleet_crds::policy::DeletionPolicy;

use super::*;
use crate::action::ObjectAction;
use crate::desired::{Behaviour, Tombstone, payload};
use crate::fixtures::map;
use crate::kinds::network::{AddressBlock, DesiredNetwork, ObservedNetwork};
use crate::kinds::volume::{DesiredVolume, ObservedVolume};
use crate::kinds::{Desired, Object};

const CONTEXT: PlanContext<'static> = PlanContext {
    api: ApiVersion(1, 47),
    nonce: "nonce",
    store: &NO_KEYS,
    is_cut_off: false,
};

static NO_KEYS: CredentialStore = CredentialStore::new();

/// Entries, observed objects and records of one test.
#[derive(Default)]
struct Scene {
    entries: Vec<Entry>,
    networks: Vec<ObservedNetwork>,
    volumes: Vec<ObservedVolume>,
    records: Records,
}

impl Scene {
    fn of(entry: &Entry) -> Self {
        Self::default().and(entry)
    }

    fn and(mut self, entry: &Entry) -> Self {
        self.entries.push(entry.clone());
        self
    }

    fn with(mut self, network: ObservedNetwork) -> Self {
        self.networks.push(network);
        self
    }

    fn with_volume(mut self, volume: ObservedVolume) -> Self {
        self.volumes.push(volume);
        self
    }

    fn with_record(mut self, record: Record) -> Self {
        self.records.insert(record.key.clone(), record);
        self
    }

    fn observed(&self) -> ObservedState {
        let networks = self.networks.iter().cloned().map(Object::from);
        let volumes = self.volumes.iter().cloned().map(Object::from);
        let mut observed = ObservedState::default();
        observed.insert(Kind::DockerNetwork, networks.collect());
        observed.insert(Kind::DockerVolume, volumes.collect());
        observed
    }

    fn plan(&self) -> Vec<Planned> {
        self.plan_with(&CONTEXT)
    }

    /// Plans in another context. No entry needs more than the two actions of a replacement.
    fn plan_with(&self, context: &PlanContext<'_>) -> Vec<Planned> {
        let planned = plan(&self.entries, &self.observed(), &self.records, context);
        assert!(planned.iter().all(|p| p.actions.len() <= 2), "{planned:?}");
        planned
    }

    /// Plans the only entry.
    fn one(&self) -> Planned {
        let mut all = self.plan();
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    /// Plans, and returns the plan of one entry.
    fn about(&self, entry: &Entry) -> Planned {
        self.plan()
            .into_iter()
            .find(|p| p.status.uid == entry.uid)
            .unwrap()
    }
}

fn kept_policy() -> Behaviour {
    Behaviour::default()
}

fn when_unused() -> Behaviour {
    Behaviour {
        update_when_unused: true,
        ..Behaviour::default()
    }
}

/// Network `lab` on 10.20.0.0/24.
fn lab(policy: Behaviour) -> DesiredNetwork {
    DesiredNetwork {
        name: "lab".to_owned(),
        driver: "bridge".to_owned(),
        ipam: vec![AddressBlock {
            subnet: "10.20.0.0/24".to_owned(),
            ..AddressBlock::default()
        }],
        policy,
        ..DesiredNetwork::default()
    }
}

fn data(policy: Behaviour) -> DesiredVolume {
    DesiredVolume {
        name: "data".to_owned(),
        driver: "local".to_owned(),
        policy,
        ..DesiredVolume::default()
    }
}

fn net(uid: &str, desired: &DesiredNetwork) -> Entry {
    let (spec, revision) = payload(desired, None);
    Entry {
        uid: uid.to_owned(),
        kind: Kind::DockerNetwork.into(),
        namespace: "team".to_owned(),
        name: desired.name.clone(),
        revision,
        spec,
        ..Entry::default()
    }
}

fn vol(uid: &str, desired: &DesiredVolume) -> Entry {
    let (spec, revision) = payload(desired, None);
    Entry {
        uid: uid.to_owned(),
        kind: Kind::DockerVolume.into(),
        namespace: "team".to_owned(),
        name: desired.name.clone(),
        revision,
        spec,
        ..Entry::default()
    }
}

fn tombstone_of(entry: &Entry, policy: DeletionPolicy, id: Option<&str>) -> Entry {
    let name = crate::desired::object_name(entry).unwrap().to_owned();
    crate::render::tombstone(entry, &Tombstone { name, policy }, id.map(str::to_owned))
}

/// The labels of an object that was created for an entry.
fn marks(entry: &Entry) -> BTreeMap<String, String> {
    map(&[
        (labels::MANAGED, "true"),
        (labels::NAMESPACE, &entry.namespace),
        (labels::NAME, &entry.name),
        (labels::UID, &entry.uid),
        (labels::REVISION, &entry.revision),
    ])
}

/// The object that the create action of an entry asks for.
fn marked(entry: &Entry, volume_id: Option<&str>) -> Desired {
    let mut labels = marks(entry);
    labels.extend(volume_id.map(|id| (labels::VOLUME_ID.to_owned(), id.to_owned())));
    let EntrySpec::Present(mut desired) = EntrySpec::of(entry).unwrap() else {
        panic!("a tombstone")
    };
    desired.labels_mut().extend(labels);
    desired
}

/// The actions of a create.
fn creates(desired: Desired) -> Vec<Action> {
    vec![desired.create()]
}

/// The actions of a replacement of a network.
fn replaces(id: &str, desired: Desired) -> Vec<Action> {
    let Desired::DockerNetwork(network) = desired else {
        panic!("not a network")
    };
    let mut actions = removes(id, &network.name);
    actions.extend(creates(network.into()));
    actions
}

/// The actions of a removal of a bridge network.
fn removes(id: &str, name: &str) -> Vec<Action> {
    vec![Action::DockerNetwork(ObjectAction::Remove {
        id: id.to_owned(),
        name: name.to_owned(),
        driver: "bridge".to_owned(),
    })]
}

fn forget(uid: &str) -> JournalChange {
    JournalChange::Forget(RecordKey::object(uid))
}

/// The observed network that was created from an entry.
fn observed_network(entry: &Entry, id: &str) -> ObservedNetwork {
    let Desired::DockerNetwork(d) = marked(entry, None) else {
        panic!("not a network")
    };
    ObservedNetwork {
        id: id.to_owned(),
        name: d.name,
        driver: d.driver,
        options: d.options,
        labels: d.labels,
        internal: d.internal,
        attachable: d.attachable,
        ingress: d.ingress,
        enable_ipv4: None,
        enable_ipv6: d.enable_ipv6.unwrap_or(false),
        ipam_driver: "default".to_owned(),
        ipam_options: d.ipam_options,
        ipam: d.ipam,
    }
}

fn observed_volume(entry: &Entry, id: &str) -> ObservedVolume {
    let Desired::DockerVolume(d) = marked(entry, Some(id)) else {
        panic!("not a volume")
    };
    ObservedVolume {
        name: d.name,
        driver: d.driver,
        options: d.options,
        credentials: None,
        labels: d.labels,
        top_folder: None,
    }
}

/// The same network, created by somebody else.
fn theirs(entry: &Entry, id: &str) -> ObservedNetwork {
    ObservedNetwork {
        labels: map(&[("com.docker.compose.project", "shop")]),
        ..observed_network(entry, id)
    }
}

fn their_volume(entry: &Entry) -> ObservedVolume {
    ObservedVolume {
        labels: map(&[("com.docker.compose.project", "shop")]),
        ..observed_volume(entry, "")
    }
}

fn differing(network: ObservedNetwork) -> ObservedNetwork {
    ObservedNetwork {
        internal: true,
        ..network
    }
}

fn internal() -> FieldDiff {
    FieldDiff {
        field: "internal".to_owned(),
        want: "false".to_owned(),
        have: "true".to_owned(),
    }
}

fn record(entry: &Entry, stage: Stage, id: Option<&str>) -> Record {
    let object = crate::desired::object_name(entry).unwrap();
    let was_ready = !matches!(stage, Stage::Creating);
    let driver = entry.spec.get("driver").and_then(|d| d.as_str());
    Record {
        was_ready,
        driver: driver.map(str::to_owned),
        ..Record::new(entry, object, stage, id.map(str::to_owned))
    }
}

fn put(record: Record) -> JournalChange {
    JournalChange::Put {
        record,
        instead_of: None,
    }
}

fn entry_status(
    entry: &Entry,
    state: EntryState,
    reason: Option<Reason>,
    message: &str,
) -> EntryStatus {
    status(entry, state, reason, message.to_owned())
}

fn only_reports(status: EntryStatus) -> Planned {
    report(status)
}
