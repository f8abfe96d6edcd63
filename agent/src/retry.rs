//! Delays between retries: they grow up to a limit, and have jitter.

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
    /// From a second to five minutes: after an outage, for example of the API server, all agents of a fleet
    /// retry within that time, and not all at once.
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_mins(5))
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

    /// Returns the delay after another failure: between half of the current delay and all of it.
    pub(crate) fn next(&mut self) -> Duration {
        let delay = self.next;
        self.next = delay.saturating_mul(2).min(self.most);
        jittered(delay.mul_f64(0.75), 0.34)
    }

    /// Resets the delay after a success.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Returns a random duration within `share` of `middle`, so that agents that were started at the same time do
/// not stay synchronous.
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
            let d = jittered(Duration::from_mins(5), 0.2);
            assert!(
                (Duration::from_mins(4)..=Duration::from_mins(6)).contains(&d),
                "{d:?}"
            );
        }
    }
}
