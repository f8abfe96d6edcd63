//! The controller of Dockfleet: says what each host must have, and adds up what the hosts report.
//!
//! # Objects
//!
//! ```text
//! DockerNetwork ┐ selects                         owns
//! DockerVolume  ┴────────▶ DockerHost ──────────────────────────▶ HostAssignment
//!       ▲                  (labels, allowedNamespaces)             spec: entries    ◀ this crate
//!       │                                                          status: entries  ◀ the agent
//!       └────────── status: counters, ≤ 10 failing hosts, conditions ◀ this crate ◀──┘
//! Namespace (labels) ──▶ which resources a host allows
//! ```
//!
//! # Shape
//!
//! Watches (`watches`) feed one in-memory `index`, which is synchronous, holds no client, and knows
//! after each change which hosts and which resources are to be looked at again. One loop (`run`)
//! owns it, takes those out of bounded `lanes`, and lets `jobs` do what the index asks for: one
//! server-side apply, patch or read each. What the API server answers goes back into the index, so
//! that the next decision is made with what was written and not with what a watch says late.
//! Every decision about content is the planner's. Events are published beside all this (`teller`).
//!
//! Several controllers may run: each fills its caches, one leads (`election`, `leadership`). There is
//! one client (`wire`), and each of its writes passes one `fence` that only the leader finds open.
//!
//! # Rights it needs
//!
//! - get, list, watch: its own four kinds, namespaces; get: CRDs;
//! - patch: networks and volumes, and their status; create, patch: assignments;
//! - list, watch, create, get: Leases; patch: status of hosts;
//! - create, patch: events (`events.k8s.io`) in the namespaces of resources;
//! - patch: the own Secrets of hosts; get: the Secrets that volumes name, one by one;
//! - get, list, watch, create, update: its Lease.
//!
//! # What this crate never does
//!
//! - It never writes the status of an assignment, nor the spec of a resource, nor more of a host's
//!   status than the condition Reachable.
//! - It never takes absence for a permission: a resource that is not seen leaves its entries as they
//!   are. Only a deletion that was seen, of a resource whose namespace and CRD stay, becomes a
//!   tombstone that may remove something.
//! - It never decides before every cache is filled, nor on a read that failed.
//! - It never writes while another one may lead, nor after it was halted for longer than its Lease.
//! - It never waits for a host: a resource is gone once the permission to let go of it is written.
//! - It never passes over the fleet on a timer: what a change costs depends on what it touches. Secrets
//!   that volumes name are read in turn, at most 20 a second.

mod boot_time;
mod call;
mod config;
mod convergence;
pub mod effect;
pub mod election;
mod error;
mod event_publisher;
mod identity;
mod index;
mod jobs;
mod kinds;
mod lane;
mod lanes;
mod leadership;
mod metrics;
mod notice;
mod object;
mod parent;
mod run;
mod startup;
mod vitals;
mod watches;
mod wire;
mod write_fence;

pub use config::{ControllerConfig, ElectionConfig, OFFLINE_AFTER};
pub use dockfleet_planner::brake::Limits;
pub use error::{CallError, ControllerError};
pub use run::run;
pub use vitals::ControllerVitals;

/// The field manager of everything this crate writes.
const FIELD_MANAGER: &str = "dockfleet-controller";

/// Returns a number that nobody can foresee.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    RandomState::new().build_hasher().finish()
}
