//! Makes one Docker Engine as its assignment says, and keeps it so.
//!
//! A [`pass`] looks at the engine ([`engine`]), lets the planner decide, writes what it is about to do
//! into the [`journal`], does it, and looks again. [`run`] repeats that for the agent of a fleet:
//! whenever the assignment changes, something happens on the engine, or time has passed.
//!
//! This crate never decides what is to be done: that is the planner's. It never removes or replaces an
//! object without a durable permission, takes no silence, error or missing object for one, never
//! removes by force, and never touches an object that neither the journal nor its own label calls
//! ours. It never writes the spec of anything in Kubernetes, and it never creates its own DockerHost.

mod actions;
mod agent;
pub mod api;
mod credentials;
pub mod effect;
pub mod engine;
pub mod enrolment;
pub mod heartbeat;
mod host;
pub mod jobs;
pub mod journal;
mod metrics;
pub mod pass;
mod pause;
mod report;
mod retry;
mod vitals;

pub use agent::{AgentConfig, AgentError, run};
pub use vitals::AgentVitals;
