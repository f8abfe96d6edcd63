//! A lane: a work queue of keys, each with its due time, and a limit of concurrent jobs.
//!
//! A key is in the queue once and is processed by one job at a time, however many changes come. The
//! queue is bounded by the number of objects.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

/// How long a key waits after its first failure.
pub(crate) const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest time that a key waits after failures.
const LAST_RETRY: Duration = Duration::from_mins(5);

/// Keys with the time they are due.
#[derive(Debug)]
pub(crate) struct Lane<K> {
    /// The most keys that are processed at the same time.
    room: usize,
    due: BTreeMap<K, Instant>,
    order: BTreeSet<(Instant, K)>,
    busy: BTreeSet<K>,
    failures: BTreeMap<K, u32>,
}

impl<K: Ord + Clone> Lane<K> {
    /// Creates an empty lane with a limit of concurrent jobs.
    pub(crate) fn new(room: usize) -> Self {
        Self {
            room,
            due: BTreeMap::new(),
            order: BTreeSet::new(),
            busy: BTreeSet::new(),
            failures: BTreeMap::new(),
        }
    }

    /// Adds a key, due at the given time at the latest. A key that is being processed is processed
    /// again afterwards.
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

    /// Takes the key that is overdue longest and marks it busy, if there is room.
    pub(crate) fn take(&mut self, now: Instant) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.order.pop_first()?;
        self.due.remove(&key);
        self.busy.insert(key.clone());
        Some(key)
    }

    /// Releases a key that was processed with success.
    pub(crate) fn succeeded(&mut self, key: &K) {
        self.failures.remove(key);
        self.release(key);
    }

    /// Releases a key that is not finished yet; its failures stay counted.
    pub(crate) fn progressed(&mut self, key: &K) {
        self.release(key);
    }

    /// Releases a key that failed, schedules its retry, and returns the delay. A later change may
    /// make it due sooner.
    pub(crate) fn failed(&mut self, key: &K, now: Instant, random: u64) -> Duration {
        let failures = self.failures.entry(key.clone()).or_default();
        *failures = failures.saturating_add(1);
        let delay = backoff(*failures, random);
        self.release(key);
        self.add(key.clone(), now + delay);
        delay
    }

    /// Returns how many keys wait or are being processed.
    pub(crate) fn depth(&self) -> usize {
        let again = self.busy.iter().filter(|key| self.due.contains_key(key));
        self.due.len() + self.busy.len() - again.count()
    }

    /// Returns when the next key is due; `None` if there is no room or no key.
    pub(crate) fn next(&self) -> Option<Instant> {
        let first = self.order.first().map(|(at, _)| *at);
        first.filter(|_| self.busy.len() < self.room)
    }

    fn release(&mut self, key: &K) {
        self.busy.remove(key);
        if let Some(at) = self.due.get(key) {
            self.order.insert((*at, key.clone()));
        }
    }
}

/// Returns the delay after so many failures: it doubles each time, with up to half of it added as
/// jitter.
fn backoff(failures: u32, random: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let delay = FIRST_RETRY.saturating_mul(1 << doublings).min(LAST_RETRY);
    spread(delay, random).min(LAST_RETRY)
}

/// Returns a time with up to half of it added as jitter.
pub(crate) fn spread(time: Duration, random: u64) -> Duration {
    let parts = u32::try_from(random % 512).unwrap_or_default();
    time + time * parts / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn many_changes_are_one_job() {
        let now = Instant::now();
        let mut lane = Lane::new(8);
        lane.add("a", now + after(100));
        lane.add("a", now);
        lane.add("a", now + after(50));
        assert_eq!(lane.take(now), Some("a"));
        assert_eq!(lane.take(now + after(1000)), None);
    }

    #[test]
    fn a_key_that_is_worked_on_waits_for_its_end() {
        let now = Instant::now();
        let mut lane = Lane::new(8);
        lane.add("a", now);
        assert_eq!(lane.take(now), Some("a"));
        lane.add("a", now);
        assert_eq!(lane.take(now), None);
        assert_eq!(lane.next(), None);
        lane.succeeded(&"a");
        assert_eq!(lane.take(now), Some("a"));
    }

    #[test]
    fn no_more_is_taken_than_there_is_room_for() {
        let now = Instant::now();
        let mut lane = Lane::new(2);
        for key in ["a", "b", "c"] {
            lane.add(key, now);
        }
        assert_eq!((lane.take(now), lane.take(now)), (Some("a"), Some("b")));
        assert_eq!((lane.take(now), lane.next(), lane.depth()), (None, None, 3));
        lane.succeeded(&"a");
        assert_eq!((lane.next(), lane.take(now)), (Some(now), Some("c")));
    }

    #[test]
    fn the_one_that_waited_longest_comes_first() {
        let now = Instant::now();
        let mut lane = Lane::new(8);
        lane.add("a", now + after(2));
        lane.add("b", now + after(1));
        assert_eq!(lane.next(), Some(now + after(1)));
        assert_eq!(lane.take(now), None);
        assert_eq!(lane.take(now + after(5)), Some("b"));
        assert_eq!(lane.take(now + after(5)), Some("a"));
    }

    #[test]
    fn failures_wait_longer_each_time_until_success() {
        let now = Instant::now();
        let mut lane = Lane::new(8);
        let mut waits = Vec::new();
        for _ in 0..12 {
            lane.add("a", now);
            lane.take(now);
            waits.push(lane.failed(&"a", now, 0).as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        lane.add("a", now);
        lane.take(now);
        lane.succeeded(&"a");
        lane.add("a", now);
        lane.take(now);
        assert_eq!(lane.failed(&"a", now, 0), FIRST_RETRY);
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
