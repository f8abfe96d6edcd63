//! The resources of Dockfleet (API group `dockfleet.io`).
//!
//! Every type that crosses a process boundary is here: what users write ([`DockerNetwork`],
//! [`DockerVolume`]), what administrators write ([`DockerHost`]), and what the controller and the
//! agent of one host say to each other ([`HostAssignment`]). The CRD manifests are generated from
//! these types, and [`validation`] checks a document against them as an API server would.
//!
//! This crate never talks to an API server or to a Docker Engine.

#![expect(
    clippy::duplicated_attributes,
    reason = "printer columns repeat their keys, which the lint takes for repeated attributes"
)]

pub mod assignment;
pub mod condition;
pub mod host;
#[macro_use]
pub mod kinds;
pub mod labels;
pub mod manifests;
pub mod network;
pub mod open;
pub mod policy;
pub mod quantity;
mod schema;
pub mod selector;
pub mod status;
pub mod validation;
pub mod volume;

pub use assignment::{Entry, EntryState, EntryStatus, FieldDiff, HostAssignment, Intent, Reason};
pub use host::DockerHost;
pub use network::DockerNetwork;
pub use open::Open;
pub use policy::Policies;
pub use status::ResourceStatus;
pub use volume::DockerVolume;

/// The API group of every resource.
pub const GROUP: &str = "dockfleet.io";
/// The API version of every resource.
pub const VERSION: &str = "v1alpha1";
/// The namespace that holds the hosts of a fleet unless another one is named.
pub const DEFAULT_FLEET_NAMESPACE: &str = "dockfleet-hosts";
/// The label, with the value `true`, of namespaces that hold hosts beside that one.
pub const FLEET_LABEL: &str = "dockfleet.io/hosts";
/// The most entries one host's assignment holds; more is refused, not truncated.
pub const MAX_ENTRIES: usize = 256;
