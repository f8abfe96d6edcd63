//! Keeps one Docker Engine in the state that its assignment describes.
//!
//! A [`pass`] observes the engine ([`engine`]), lets the planner decide, writes the intended actions into the
//! [`journal`], does them, and observes again. [`run`] does that for the agent of a fleet: when the
//! assignment changes, after events of the engine, and at intervals.
//!
//! This crate never decides what is to be done; the planner does. It never removes or replaces an object
//! without a durable permission. A missing answer, an error or a missing object is never a permission. It
//! never removes by force, and never touches an object that Dockfleet does not own according to the journal
//! or the object's label. It never writes a spec in Kubernetes, and never creates its own DockerHost.

mod actions;
mod agent;
pub mod api;
mod backup;
mod credentials;
pub mod durable_file;
pub mod effect;
pub mod engine;
pub mod enrolment;
pub mod heartbeat;
mod host;
mod interfaces;
pub mod interruption;
pub mod jobs;
pub mod journal;
mod metrics;
pub mod pass;
mod pause;
mod preflight;
pub mod prune;
mod report;
mod retry;
mod swarm_secrets;
mod vitals;
pub mod volume_data;
pub mod volume_lock;
pub mod volume_usage;

pub use agent::{AgentConfig, AgentError, run};
pub use vitals::AgentVitals;
