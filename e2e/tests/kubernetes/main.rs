//! Dockfleet with Kubernetes, all of it real: `kubectl`, the API server, the controller, an agent
//! beside each Docker Engine, and what is on the engines in the end.
//!
//! "Invariant N" is the numbered list of `ARCHITECTURE.md`.
#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value answers for a field it lacks with null"
)]

mod backups;
mod brake;
mod canary;
mod conditions;
mod conflict;
mod crashes;
mod credentials;
mod deletion;
mod drift;
mod gitops;
mod gitops_examples;
mod heartbeat;
mod immutable;
mod main_path;
mod manifests;
mod mixed_versions;
mod offline;
mod one_engine;
mod paused;
mod permission;
mod pruning;
mod reading;
mod reconcile_request;
mod removal;
mod replay;
mod rights;
mod selection;
mod swarm;
mod test_cluster;
mod test_host;
mod tokens;
mod two_fleets;
mod unanswered;
mod unused;
mod vitals;
