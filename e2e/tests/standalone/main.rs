//! Dockfleet without Kubernetes: files on one side, real Docker Engines on the other.
//!
//! Every check looks at the engine itself, and at what the program says of it. The numbers in the
//! comments are those of the invariants in ARCHITECTURE.md.
#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value answers for a field it lacks with null"
)]

mod cli_env;
mod have;
mod manifest;

mod backup;
mod backup_faults;
mod bad_input;
mod conflict;
mod connection;
mod credentials;
mod deletion;
mod drift;
mod interruption;
mod journal;
mod look;
mod names;
mod no_drift;
mod observe;
mod one_engine;
mod output;
mod ownership;
mod prune;
mod refusal;
mod refusals;
mod restart;
mod selection;
mod ssh;
mod stores;
mod swarm;
mod traffic;
mod typed_networks;
mod typed_volumes;
mod unused;
mod update;
mod usage;
mod waiting;
mod watch;
