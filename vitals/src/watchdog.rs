//! Detects a loop that is stuck.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Measures how long a loop has been in one step. A loop that waits for work is alive, however long it waits.
/// A loop that has been in the same step for too long is stuck.
#[derive(Debug)]
pub struct Watchdog {
    begin: Instant,
    /// Milliseconds after `begin` at which the present step began; [`WAITS`] between steps.
    since: AtomicU64,
}

const WAITS: u64 = u64::MAX;

impl Watchdog {
    /// Creates the watchdog of a loop that waits.
    pub fn new() -> Self {
        Self {
            begin: Instant::now(),
            since: AtomicU64::new(WAITS),
        }
    }

    /// Marks the begin of a step.
    pub fn busy(&self) {
        let since = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(WAITS - 1);
        self.since.store(since, Ordering::Relaxed);
    }

    /// Marks that the loop waits.
    pub fn idle(&self) {
        self.since.store(WAITS, Ordering::Relaxed);
    }

    /// Returns how long the present step has taken at the time `now`.
    pub fn busy_for(&self, now: Instant) -> Duration {
        match self.since.load(Ordering::Relaxed) {
            WAITS => Duration::ZERO,
            since => now
                .duration_since(self.begin)
                .saturating_sub(Duration::from_millis(since)),
        }
    }

    /// Whether the present step has taken at most `most`.
    pub fn check(&self, most: Duration) -> crate::ProbeResult {
        let busy_for = self.busy_for(Instant::now());
        if busy_for <= most {
            return Ok(());
        }
        Err(format!(
            "the main loop has been in one step for {} s",
            busy_for.as_secs()
        ))
    }
}

impl Default for Watchdog {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_waiting_loop_is_always_alive() {
        let watchdog = Watchdog::new();
        assert_eq!(watchdog.busy_for(Instant::now() + MINUTE), Duration::ZERO);
        watchdog.busy();
        watchdog.idle();
        assert_eq!(watchdog.busy_for(Instant::now() + MINUTE), Duration::ZERO);
        assert_eq!(watchdog.check(MINUTE), Ok(()));
    }

    #[test]
    fn a_step_that_does_not_end_is_reported_with_its_time() {
        let watchdog = Watchdog::new();
        watchdog.busy();
        let later = Instant::now() + MINUTE;
        assert!(watchdog.busy_for(later) > Duration::from_secs(59));
        let since = watchdog.begin.checked_sub(MINUTE).unwrap();
        let stuck = Watchdog {
            begin: since,
            since: AtomicU64::new(0),
        };
        let message = stuck.check(Duration::from_secs(30)).unwrap_err();
        assert_eq!(message, "the main loop has been in one step for 60 s");
    }

    #[test]
    fn a_new_step_starts_at_zero() {
        let watchdog = Watchdog {
            begin: Instant::now().checked_sub(MINUTE).unwrap(),
            since: AtomicU64::new(0),
        };
        assert!(watchdog.busy_for(Instant::now()) >= MINUTE);
        watchdog.busy();
        assert!(watchdog.busy_for(Instant::now()) < MINUTE);
    }
}
