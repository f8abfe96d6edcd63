//! The resources of Dockfleet (API group `dockfleet.io`).
//!
//! This crate has all types that processes exchange: the resources of users ([`DockerNetwork`],
//! [`DockerVolume`]) and administrators ([`DockerHost`], [`SwarmCluster`], [`PrunePolicy`], [`BackupRepository`],
//! [`VolumeBackup`], [`VolumeBackupSchedule`], [`VolumeRestore`]), and the object that the controller and the
//! agent of one host exchange ([`HostAssignment`]). The CRD manifests are generated from these types,
//! and [`validation`] checks a document against them like an API server.
//!
//! This crate never talks to an API server or to a Docker Engine.

#![expect(
    clippy::duplicated_attributes,
    reason = "printer columns repeat their keys, which the lint takes for repeated attributes"
)]

pub mod assignment;
pub mod backup;
pub mod condition;
pub mod duration;
pub mod host;
#[macro_use]
pub mod kinds;
pub mod labels;
pub mod manifests;
pub mod network;
pub mod open;
pub mod policy;
pub mod prune;
pub mod quantity;
mod schema;
pub mod selector;
pub mod status;
pub mod swarm;
pub mod validation;
pub mod volume;

pub use assignment::{Entry, EntryState, EntryStatus, FieldDiff, HostAssignment, Intent, Reason};
pub use backup::{BackupRepository, VolumeBackup, VolumeBackupSchedule, VolumeRestore};
pub use host::DockerHost;
pub use network::DockerNetwork;
pub use open::Open;
pub use policy::Policies;
pub use prune::PrunePolicy;
pub use status::ResourceStatus;
pub use swarm::SwarmCluster;
pub use volume::DockerVolume;

/// The API group of every resource.
pub const GROUP: &str = "dockfleet.io";
/// The API version of every resource.
pub const VERSION: &str = "v1alpha1";
/// The default namespace of the hosts of a fleet.
pub const DEFAULT_FLEET_NAMESPACE: &str = "dockfleet-hosts";
/// The label, with the value `true`, of further namespaces of hosts.
pub const FLEET_LABEL: &str = "dockfleet.io/hosts";
/// Maximum number of entries in an assignment. More entries are refused, not truncated.
pub const MAX_ENTRIES: usize = 256;
