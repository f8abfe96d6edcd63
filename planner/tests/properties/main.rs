//! Properties of planning and assigning, over generated input.
//!
//! `state` plans once over any mixture of entries, objects and records, however unlikely. `history` runs a
//! model of an agent on a model of an engine through assignments, accidents and crashes. `assigning` and
//! `selecting` test the controller's half.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may fail as the test does"
)]

mod agent;
mod assigning;
mod engine;
mod history;
mod selecting;
mod state;
mod wishes;

use proptest::test_runner::Config;

/// Returns the number of cases of a property unless `PROPTEST_CASES` says more.
fn config(cases: u32) -> Config {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = Config::default();
    Config {
        cases: if asked { default.cases } else { cases },
        // A failing case is written down as a test of its own.
        failure_persistence: None,
        ..default
    }
}
