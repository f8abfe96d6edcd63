//! What is to be looked at again, and when.
//!
//! A key waits once and is worked on once: however many changes come, they are one look. Its bound
//! is the number of objects that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

/// How long a key that failed once waits.
pub(crate) const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The most that a key waits however often it failed.
const LAST_RETRY: Duration = Duration::from_secs(300);

/// Keys with the time they are due.
#[derive(Debug)]
pub(crate) struct Queue<K> {
    due: BTreeMap<K, Instant>,
    order: BTreeSet<(Instant, K)>,
    busy: BTreeSet<K>,
    failures: BTreeMap<K, u32>,
}

impl<K: Ord + Clone> Queue<K> {
    /// Makes an empty queue.
    pub(crate) fn new() -> Self {
        Self {
            due: BTreeMap::new(),
            order: BTreeSet::new(),
            busy: BTreeSet::new(),
            failures: BTreeMap::new(),
        }
    }

    /// Has a key looked at, at the latest at the given time. A key that is being worked on is
    /// looked at again afterwards.
    pub(crate) fn add(&mut self, key: K, at: Instant) {
        if let Some(before) = self.due.get(&key) {
            if *before <= at {
                return;
            }
            self.order.remove(&(*before, key.clone()));
        }
        self.due.insert(key.clone(), at);
        if !self.busy.contains(&key) {
            self.order.insert((at, key));
        }
    }

    /// Takes the key that has waited longest past its time, and holds it to be worked on.
    pub(crate) fn take(&mut self, now: Instant) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.order.pop_first()?;
        self.due.remove(&key);
        self.busy.insert(key.clone());
        Some(key)
    }

    /// Lets go of a key that was worked on with success.
    pub(crate) fn succeeded(&mut self, key: &K) {
        self.failures.remove(key);
        self.let_go(key);
    }

    /// Lets go of a key that is to be worked on further: it succeeded in nothing yet.
    pub(crate) fn progressed(&mut self, key: &K) {
        self.let_go(key);
    }

    /// Lets go of a key that was worked on in vain, has it looked at again later, and returns in
    /// how long. A later change may make it sooner.
    pub(crate) fn failed(&mut self, key: &K, now: Instant, random: u64) -> Duration {
        let failures = self.failures.entry(key.clone()).or_default();
        *failures = failures.saturating_add(1);
        let delay = backoff(*failures, random);
        self.let_go(key);
        self.add(key.clone(), now + delay);
        delay
    }

    /// Returns how many keys are being worked on.
    pub(crate) fn busy(&self) -> usize {
        self.busy.len()
    }

    /// Returns how many keys wait or are being worked on.
    pub(crate) fn depth(&self) -> usize {
        let again = self.busy.iter().filter(|key| self.due.contains_key(key));
        self.due.len() + self.busy.len() - again.count()
    }

    /// Returns when the next key is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    fn let_go(&mut self, key: &K) {
        self.busy.remove(key);
        if let Some(at) = self.due.get(key) {
            self.order.insert((*at, key.clone()));
        }
    }
}

/// Returns how long to wait after so many failures: twice as long each time, and up to half of it
/// more, so that what failed together is not tried again together.
fn backoff(failures: u32, random: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let delay = FIRST_RETRY.saturating_mul(1 << doublings).min(LAST_RETRY);
    let parts = u32::try_from(random % 512).unwrap_or_default();
    (delay + delay * parts / 1024).min(LAST_RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn many_changes_are_one_look() {
        let now = Instant::now();
        let mut queue = Queue::new();
        queue.add("a", now + after(100));
        queue.add("a", now);
        queue.add("a", now + after(50));
        assert_eq!(queue.take(now), Some("a"));
        assert_eq!(queue.take(now + after(1000)), None);
    }

    #[test]
    fn a_key_that_is_worked_on_waits_for_its_end() {
        let now = Instant::now();
        let mut queue = Queue::new();
        queue.add("a", now);
        assert_eq!(queue.take(now), Some("a"));
        queue.add("a", now);
        assert_eq!(queue.take(now), None);
        assert_eq!(queue.next(), None);
        queue.succeeded(&"a");
        assert_eq!(queue.take(now), Some("a"));
    }

    #[test]
    fn the_one_that_waited_longest_comes_first() {
        let now = Instant::now();
        let mut queue = Queue::new();
        queue.add("a", now + after(2));
        queue.add("b", now + after(1));
        assert_eq!(queue.next(), Some(now + after(1)));
        assert_eq!(queue.take(now), None);
        assert_eq!(queue.take(now + after(5)), Some("b"));
        assert_eq!(queue.take(now + after(5)), Some("a"));
    }

    #[test]
    fn failures_wait_longer_each_time_until_success() {
        let now = Instant::now();
        let mut queue = Queue::new();
        let mut waits = Vec::new();
        for _ in 0..12 {
            queue.add("a", now);
            queue.take(now);
            waits.push(queue.failed(&"a", now, 0).as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        queue.add("a", now);
        queue.take(now);
        queue.succeeded(&"a");
        queue.add("a", now);
        queue.take(now);
        assert_eq!(queue.failed(&"a", now, 0), FIRST_RETRY);
    }

    #[test]
    fn jitter_stays_within_its_bounds() {
        for random in [0, 1, 511, 512, u64::MAX] {
            let wait = backoff(2, random);
            assert!((after(2000)..=after(3000)).contains(&wait), "{wait:?}");
            assert!(backoff(40, random) <= LAST_RETRY);
        }
    }
}
