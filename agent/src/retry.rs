//! When to try again: later each time, never much later than a bound, and never all at once.

use std::time::Duration;

use uuid::Uuid;

/// Delays that double from one failure to the next.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Default for Backoff {
    /// From a second to five minutes: what was away, a fleet's API server for example, is back for
    /// everybody within that time, and not for all at once.
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(300))
    }
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            next: first,
        }
    }

    /// Returns how long to wait after one more failure: half of the delay to all of it.
    pub(crate) fn next(&mut self) -> Duration {
        let delay = self.next;
        self.next = delay.saturating_mul(2).min(self.most);
        jittered(delay.mul_f64(0.75), 0.34)
    }

    /// Starts over after a success.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Returns a duration by chance, at most `share` of it away from `middle`: a fleet that was started
/// at once does not stay in step.
pub(crate) fn jittered(middle: Duration, share: f64) -> Duration {
    const STEPS: u32 = 1 << 16;
    let draw = u16::try_from(Uuid::new_v4().as_u128() & 0xffff).unwrap_or_default();
    let chance = f64::from(draw) / f64::from(STEPS);
    middle.mul_f64(1.0 - share + 2.0 * share * chance)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, jittered};

    #[test]
    fn delays_double_up_to_the_bound_and_start_over() {
        let mut backoff = Backoff::default();
        let mut delays: Vec<Duration> = (0..12).map(|_| backoff.next()).collect();
        assert!(
            delays.iter().all(|d| *d <= Duration::from_secs(302)),
            "{delays:?}"
        );
        assert!(delays.pop().unwrap() >= Duration::from_secs(148));
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(1010));
    }

    #[test]
    fn chance_stays_within_its_share() {
        for _ in 0..1000 {
            let d = jittered(Duration::from_secs(300), 0.2);
            assert!(
                (Duration::from_secs(240)..=Duration::from_secs(360)).contains(&d),
                "{d:?}"
            );
        }
    }
}
