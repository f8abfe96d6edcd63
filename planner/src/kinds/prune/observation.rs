//! Since when objects are unused, as an agent has observed it itself.
//!
//! No engine knows that. So the journal has it, in the record of each policy, and it begins again after every gap: in
//! it somebody may have used an object.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The longest time between two observations without a gap, in seconds. An agent observes each minute.
const LONGEST_GAP: i64 = 15 * 60;

/// How old the time of the last observation in the journal may become before it is written again, although nothing
/// else has changed, in seconds.
const WRITE_AFTER: i64 = 5 * 60;

/// What an agent has observed for one policy. Times are in seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observation {
    /// When it was observed last.
    pub at: i64,
    /// Unused objects, by identity.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unused: BTreeMap<String, Unused>,
    /// When the last run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<i64>,
    /// The identities of what the last run was about to remove.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub removing: BTreeSet<String>,
    /// Why the last run could not remove an object, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Number of objects that were removed and are gone.
    #[serde(default)]
    pub removed: i64,
}

/// One unused object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unused {
    /// Since when it is observed as unused.
    pub since: i64,
    /// Since when it is listed as a candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<i64>,
}

impl Observation {
    /// Returns what is known after another observation: the unused objects, and all that exist.
    pub(crate) fn followed_by(
        before: Option<&Self>,
        unused: &BTreeSet<String>,
        existing: &BTreeSet<String>,
        now: i64,
    ) -> Self {
        let begun = before.is_some_and(|b| b.goes_on(now));
        let none = Self::default();
        let before = before.unwrap_or(&none);
        let follow = |id: &String| {
            let known = before.unused.get(id).filter(|_| begun);
            let mut unused = known.copied().unwrap_or(Unused {
                since: now,
                listed: None,
            });
            // It could not be removed: others come first, and it is listed again.
            if before.removing.contains(id) {
                unused.listed = None;
            }
            (id.clone(), unused)
        };
        let gone = before.removing.difference(existing).count();
        Self {
            at: now,
            unused: unused.iter().map(follow).collect(),
            last_run: before.last_run,
            removing: BTreeSet::new(),
            failed: before.failed.clone(),
            removed: before.removed + i64::try_from(gone).unwrap_or_default(),
        }
    }

    /// Joins what was observed for several policies, without what has a gap until now.
    pub fn joined(all: &[Self], now: i64) -> Self {
        let mut joined = Self::default();
        for observation in all.iter().filter(|o| o.goes_on(now)) {
            joined.at = now;
            for (id, unused) in &observation.unused {
                let known = joined.unused.entry(id.clone()).or_insert(*unused);
                known.since = known.since.min(unused.since);
            }
        }
        joined
    }

    fn goes_on(&self, now: i64) -> bool {
        (0..=LONGEST_GAP).contains(&(now - self.at))
    }

    /// Whether it has to be written, if the journal has `before`.
    pub(crate) fn is_news(&self, before: Option<&Self>) -> bool {
        before.is_none_or(|before| {
            let age = self.at - before.at;
            let same_time = Self {
                at: before.at,
                ..self.clone()
            };
            !(0..WRITE_AFTER).contains(&age) || same_time != *before
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    fn since(observation: &Observation, id: &str) -> Option<i64> {
        observation.unused.get(id).map(|u| u.since)
    }

    fn observed(before: &Observation, ids: &[&str], now: i64) -> Observation {
        Observation::followed_by(Some(before), &set(ids), &set(ids), now)
    }

    #[test]
    fn an_object_is_unused_since_it_was_first_seen_so_without_a_break() {
        let first = Observation::followed_by(None, &set(&["a"]), &set(&["a"]), 1000);
        let second = observed(&first, &["a", "b"], 1060);
        assert_eq!(
            (since(&second, "a"), since(&second, "b")),
            (Some(1000), Some(1060))
        );
        let used = observed(&second, &["b"], 1120);
        let again = observed(&used, &["a", "b"], 1180);
        assert_eq!(
            (since(&again, "a"), since(&again, "b")),
            (Some(1180), Some(1060))
        );
    }

    #[test]
    fn a_gap_and_a_clock_that_was_set_back_begin_again() {
        let first = Observation::followed_by(None, &set(&["a"]), &set(&["a"]), 1000);
        let within = observed(&first, &["a"], 1000 + LONGEST_GAP);
        assert_eq!(since(&within, "a"), Some(1000));
        let after = observed(&first, &["a"], 1001 + LONGEST_GAP);
        assert_eq!(since(&after, "a"), Some(1001 + LONGEST_GAP));
        let back = observed(&first, &["a"], 999);
        assert_eq!(since(&back, "a"), Some(999));
    }

    #[test]
    fn what_was_to_be_removed_counts_when_it_is_gone() {
        let listed = Unused {
            since: 0,
            listed: Some(10),
        };
        let before = Observation {
            at: 1000,
            unused: [("a".to_owned(), listed), ("b".to_owned(), listed)].into(),
            removing: set(&["a", "b"]),
            removed: 3,
            last_run: Some(1000),
            failed: None,
        };
        let after = observed(&before, &["b"], 1001);
        assert_eq!(after.removed, 4);
        assert_eq!(after.removing, set(&[]));
        assert_eq!(after.unused.get("b").map(|u| u.listed), Some(None));
    }

    #[test]
    fn the_time_alone_is_written_seldom() {
        let first = Observation::followed_by(None, &set(&["a"]), &set(&["a"]), 1000);
        assert!(first.is_news(None));
        assert!(!observed(&first, &["a"], 1060).is_news(Some(&first)));
        assert!(observed(&first, &["a"], 1000 + WRITE_AFTER).is_news(Some(&first)));
        assert!(observed(&first, &[], 1060).is_news(Some(&first)));
    }
}
