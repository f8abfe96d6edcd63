//! Drivers that do not answer: a volume plugin that hangs must not block entries with other drivers.

use std::collections::BTreeMap;

use crate::engine::EngineError;

/// How many calls to one driver may get no answer in one pass. Other entries with the driver then wait for
/// the next pass, because each such call takes up to two minutes.
const MOST: usize = 2;

/// The built-in drivers of an engine. They are called before plugins, which are other processes.
const OF_THE_ENGINE: [&str; 7] = [
    "bridge", "host", "ipvlan", "local", "macvlan", "null", "overlay",
];

/// The calls of a pass that got no answer, by driver.
#[derive(Debug, Default)]
pub(super) struct Unanswered(BTreeMap<String, usize>);

impl Unanswered {
    /// Counts a failed call to a driver, if it got no answer.
    pub(super) fn count(&mut self, driver: &str, err: &EngineError) {
        if err.is_unanswered() {
            *self.0.entry(driver.to_owned()).or_default() += 1;
        }
    }

    /// Whether a driver is not called any more in this pass.
    pub(super) fn is_skipped(&self, driver: &str) -> bool {
        self.0.get(driver).is_some_and(|count| *count >= MOST)
    }
}

/// Whether a driver is a plugin and not built in.
pub(super) fn is_plugin(driver: &str) -> bool {
    !driver.is_empty() && !OF_THE_ENGINE.contains(&driver)
}
