//! Properties of planning and assigning, over generated worlds.
//!
//! `state` plans once over any mixture of entries, objects and journal, however unlikely; `history`
//! lets a model of an agent live through eras of assignments, accidents and crashes on a model of an
//! engine; `assigning` and `selecting` are about the controller's half.

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
        // A case that fails becomes a test of its own, in the words of the design.
        failure_persistence: None,
        ..default
    }
}
