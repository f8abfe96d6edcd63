//! Proves the bench itself: that hosts, engines and the control plane do what the end-to-end tests
//! take for granted.
#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value answers for a field it lacks with null"
)]

mod engines;
mod kubernetes;
mod leftovers;
mod network;
mod processes;
mod relay;
mod stores;
mod trees;
