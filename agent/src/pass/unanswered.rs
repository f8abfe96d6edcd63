//! Drivers that do not answer: a volume plugin that hangs must not hold up what needs another driver.

use std::collections::BTreeMap;

use crate::engine::EngineError;

/// How many calls to one driver may stay without an answer in one pass. What else needs the driver waits
/// for the next pass: each such call takes up to two minutes.
const MOST: usize = 2;

/// The drivers that are a part of the engine. They are called before plugins, which are other processes.
const OF_THE_ENGINE: [&str; 7] = [
    "bridge", "host", "ipvlan", "local", "macvlan", "null", "overlay",
];

/// The calls of a pass that got no answer, by driver.
#[derive(Debug, Default)]
pub(super) struct Unanswered(BTreeMap<String, usize>);

impl Unanswered {
    /// Takes note of how a call to a driver failed.
    pub(super) fn count(&mut self, driver: &str, err: &EngineError) {
        if err.is_unanswered() {
            *self.0.entry(driver.to_owned()).or_default() += 1;
        }
    }

    /// Whether no more calls to a driver are made in this pass.
    pub(super) fn is_skipped(&self, driver: &str) -> bool {
        self.0.get(driver).is_some_and(|count| *count >= MOST)
    }
}

/// Whether a driver is a plugin and not a part of the engine.
pub(super) fn is_plugin(driver: &str) -> bool {
    !driver.is_empty() && !OF_THE_ENGINE.contains(&driver)
}
