//! The agent against a fake engine with faults that cannot be produced with a real one.

#![expect(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod agent;
mod cluster;
mod crash;
mod create;
mod credentials;
mod fake;
mod faults;
mod interruption;
mod ownership;
mod quiet;
mod remove;
mod test_host;
mod unanswered;
