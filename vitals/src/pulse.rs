//! Whether a loop gets on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Says since when a loop has been at one step of its work. A loop that waits for something to do is
/// well however long it waits; one that has been at the same step for too long is stuck.
#[derive(Debug)]
pub struct Pulse {
    begin: Instant,
    /// Milliseconds after `begin` at which the present step began; [`WAITS`] between steps.
    since: AtomicU64,
}

const WAITS: u64 = u64::MAX;

impl Pulse {
    /// Makes the pulse of a loop that waits.
    pub fn new() -> Self {
        Self {
            begin: Instant::now(),
            since: AtomicU64::new(WAITS),
        }
    }

    /// Says that a step begins.
    pub fn works(&self) {
        let since = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(WAITS - 1);
        self.since.store(since, Ordering::Relaxed);
    }

    /// Says that there is nothing to do.
    pub fn waits(&self) {
        self.since.store(WAITS, Ordering::Relaxed);
    }

    /// Returns how long the present step takes already, at a given moment.
    pub fn at_it(&self, now: Instant) -> Duration {
        match self.since.load(Ordering::Relaxed) {
            WAITS => Duration::ZERO,
            since => now
                .duration_since(self.begin)
                .saturating_sub(Duration::from_millis(since)),
        }
    }

    /// Whether the present step takes no longer than it may.
    pub fn verdict(&self, most: Duration) -> crate::Verdict {
        let at_it = self.at_it(Instant::now());
        if at_it <= most {
            return Ok(());
        }
        Err(format!(
            "the main loop has been at one step for {} s",
            at_it.as_secs()
        ))
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_loop_that_waits_is_well_for_ever() {
        let pulse = Pulse::new();
        assert_eq!(pulse.at_it(Instant::now() + MINUTE), Duration::ZERO);
        pulse.works();
        pulse.waits();
        assert_eq!(pulse.at_it(Instant::now() + MINUTE), Duration::ZERO);
        assert_eq!(pulse.verdict(MINUTE), Ok(()));
    }

    #[test]
    fn a_step_that_does_not_end_is_told_with_its_time() {
        let pulse = Pulse::new();
        pulse.works();
        let later = Instant::now() + MINUTE;
        assert!(pulse.at_it(later) > Duration::from_secs(59));
        let since = pulse.begin.checked_sub(MINUTE).unwrap();
        let stuck = Pulse {
            begin: since,
            since: AtomicU64::new(0),
        };
        let told = stuck.verdict(Duration::from_secs(30)).unwrap_err();
        assert_eq!(told, "the main loop has been at one step for 60 s");
    }

    #[test]
    fn a_new_step_begins_anew() {
        let pulse = Pulse {
            begin: Instant::now().checked_sub(MINUTE).unwrap(),
            since: AtomicU64::new(0),
        };
        assert!(pulse.at_it(Instant::now()) >= MINUTE);
        pulse.works();
        assert!(pulse.at_it(Instant::now()) < MINUTE);
    }
}
