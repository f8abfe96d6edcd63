//! The controller of Dockfleet: writes what each host must have, and summarizes what the hosts
//! report.
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
//! Watches (`watches`) feed one in-memory `index`, which is synchronous, has no client, and marks
//! after each change the hosts and resources to process again. One loop (`run`) owns the index,
//! takes dirty keys out of bounded `lanes`, and starts `jobs`: one server-side apply, patch or read
//! each. The response goes back into the index, so that the next decision uses what was written and
//! not a late watch event. Every decision about content is the planner's. Events are published in
//! the background (`event_publisher`).
//!
//! Several controllers may run: each fills its caches, one leads (`election`, `leadership`). There
//! is one client (`wire`), and each of its writes passes one `write_fence` that is open only for
//! the leader.
//!
//! The rights that it needs are in `docs/kubernetes.md`, section "Rights".
//!
//! # What this crate never does
//!
//! - It never writes the status of an assignment, nor the spec of a resource, nor more of a host's
//!   status than the conditions Reachable, Clean and Stalled.
//! - It never takes absence for a permission: a missing resource leaves its entries as they are.
//!   Only an observed deletion, of a resource whose namespace and CRD are not being deleted,
//!   becomes a tombstone that may remove something.
//! - It never decides before every cache is filled, nor on a read that failed.
//! - It never writes while another controller may lead, nor after it was halted for longer than its
//!   lease duration.
//! - It never waits for a host: a resource can be deleted once the permission to remove or release
//!   its object is written.
//! - It never scans the fleet on a timer: the cost of a change depends on what it touches. Secrets
//!   that volumes name are read in turn, at most 20 a second.

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
