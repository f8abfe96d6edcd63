//! Which snapshots of one volume on one host are removed.
//!
//! Good snapshots are counted without the partial ones, and the last good one stays whatever the rules say. So a volume
//! whose backups fail for months keeps what it has. Partial ones that follow it are counted for themselves.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::tz::TimeZone;
use k8s_openapi::jiff::{SignedDuration, Timestamp, Zoned};

/// A snapshot that is further in the future than this was made by a wrong clock.
pub(crate) const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_hours(1);

/// How many snapshots are kept: of each period that has one, the last. `None` is not a rule; without any rule, all are
/// kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The last ones.
    pub last: Option<u32>,
    /// One of each hour, for so many hours that have one.
    pub hourly: Option<u32>,
    /// One of each day.
    pub daily: Option<u32>,
    /// One of each week, from Monday to Sunday.
    pub weekly: Option<u32>,
    /// One of each month.
    pub monthly: Option<u32>,
    /// One of each year.
    pub yearly: Option<u32>,
    /// All that are younger than the newest good one by less than this.
    pub within: Option<SignedDuration>,
}

/// A snapshot, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its ID.
    pub id: String,
    /// When it was made, by the clock of its host.
    pub time: Timestamp,
    /// Whether nothing is missing in it.
    pub is_good: bool,
}

impl Retention {
    /// Whether it has a rule.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the IDs of the snapshots to remove.
    ///
    /// Days begin at midnight of `zone`. A gap removes nothing: periods without a snapshot are not counted, and ages are
    /// those of snapshots, not of the calendar. A partial snapshot is removed when a good one follows. Those that no good
    /// one follows are kept by the same rules, and never in place of a good one: there may never be one again. A snapshot
    /// from the future stays and counts for nothing, because its clock was wrong.
    pub fn removed(&self, all: &[Candidate], now: Timestamp, zone: &TimeZone) -> BTreeSet<String> {
        if self.is_empty() {
            return BTreeSet::new();
        }
        let limit = now.saturating_add(CLOCKS_DIFFER).unwrap_or(now);
        let (mut past, future): (Vec<_>, Vec<_>) = all.iter().partition(|s| s.time <= limit);
        past.sort_by(|a, b| (b.time, &b.id).cmp(&(a.time, &a.id)));
        let good: Vec<&Candidate> = past.iter().copied().filter(|s| s.is_good).collect();
        let newest = good.first();
        let follows = |s: &&Candidate| !s.is_good && newest.is_none_or(|good| s.time > good.time);
        let partial: Vec<&Candidate> = past.iter().copied().filter(follows).collect();
        let mut kept: BTreeSet<&str> = future.iter().map(|s| s.id.as_str()).collect();
        // A clock that was put back a little: the newest one by its time is not the one that was made last.
        kept.extend(good.iter().find(|s| s.time <= now).map(|s| s.id.as_str()));
        for of in [&good, &partial] {
            kept.extend(of.first().map(|s| s.id.as_str()));
            kept.extend(self.kept(of, zone));
        }
        let gone = past.iter().filter(|s| !kept.contains(s.id.as_str()));
        gone.map(|s| s.id.clone()).collect()
    }

    /// Returns the IDs of the snapshots that a rule keeps, of some that count for themselves, the newest first.
    fn kept<'a>(&self, all: &[&'a Candidate], zone: &TimeZone) -> BTreeSet<&'a str> {
        let count = |n: Option<u32>| usize::try_from(n.unwrap_or(0)).unwrap_or(usize::MAX);
        let last = all.iter().take(count(self.last));
        let mut kept: BTreeSet<&str> = last.map(|s| s.id.as_str()).collect();
        for (number, period) in self.periods() {
            let mut seen = BTreeMap::new();
            for snapshot in all {
                // They are sorted by time, so the first of a period is its last.
                let period = period(&snapshot.time.to_zoned(zone.clone()));
                let is_room = seen.len() < count(number);
                if is_room || seen.contains_key(&period) {
                    seen.entry(period).or_insert(snapshot.id.as_str());
                }
            }
            kept.extend(seen.into_values());
        }
        if let (Some(within), Some(newest)) = (self.within, all.first()) {
            let young = |s: &&&Candidate| newest.time.duration_since(s.time) < within;
            kept.extend(all.iter().filter(young).map(|s| s.id.as_str()));
        }
        kept
    }

    /// Returns each rule with its period.
    fn periods(&self) -> [(Option<u32>, PeriodOf); 5] {
        [
            (self.hourly, |t| (t.year(), t.day_of_year(), t.hour())),
            (self.daily, |t| (t.year(), t.day_of_year(), 0)),
            (self.weekly, |t| {
                let week = t.date().iso_week_date();
                (week.year(), week.week().into(), 0)
            }),
            (self.monthly, |t| (t.year(), t.month().into(), 0)),
            (self.yearly, |t| (t.year(), 0, 0)),
        ]
    }
}

/// A period: its year, the day, week or month in it, and the hour.
type Period = (i16, i16, i8);

type PeriodOf = fn(&Zoned) -> Period;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn good(id: &str, time: &str) -> Candidate {
        Candidate {
            id: id.to_owned(),
            time: time.parse().unwrap(),
            is_good: true,
        }
    }

    fn partial(id: &str, time: &str) -> Candidate {
        Candidate {
            is_good: false,
            ..good(id, time)
        }
    }

    fn removed(retention: Retention, all: &[Candidate], now: &str) -> Vec<String> {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        retention
            .removed(all, now.parse().unwrap(), &zone)
            .into_iter()
            .collect()
    }

    fn daily(number: u32) -> Retention {
        Retention {
            daily: Some(number),
            ..Retention::default()
        }
    }

    #[test]
    fn of_each_day_the_last_good_one_stays() {
        let all = [
            good("mon-1", "2026-11-30T01:00:00Z"),
            good("mon-2", "2026-11-30T12:00:00Z"),
            partial("mon-3", "2026-11-30T13:00:00Z"),
            // It is Tuesday in Berlin.
            good("tue", "2026-11-30T23:30:00Z"),
        ];
        let now = "2026-12-01T12:00:00Z";
        assert_eq!(removed(daily(7), &all, now), ["mon-1", "mon-3"]);
        assert_eq!(removed(daily(1), &all, now), ["mon-1", "mon-2", "mon-3"]);
    }

    #[test]
    fn a_gap_removes_nothing() {
        let all = [
            good("a", "2026-01-01T01:00:00Z"),
            good("b", "2026-01-02T01:00:00Z"),
            good("c", "2026-11-01T01:00:00Z"),
        ];
        assert_eq!(removed(daily(3), &all, "2026-12-01T00:00:00Z"), [""; 0]);
        let within = Retention {
            within: Some(SignedDuration::from_hours(24 * 30)),
            ..Retention::default()
        };
        assert_eq!(removed(within, &all[..2], "2026-12-01T00:00:00Z"), [""; 0]);
    }

    #[test]
    fn partial_ones_that_no_good_one_follows_are_counted_for_themselves() {
        let all = [
            good("good-1", "2026-10-30T01:00:00Z"),
            partial("p0", "2026-10-31T01:00:00Z"),
            good("good-2", "2026-11-01T01:00:00Z"),
            partial("p1", "2026-11-02T01:00:00Z"),
            partial("p2", "2026-11-03T01:00:00Z"),
            partial("p3", "2026-11-04T01:00:00Z"),
        ];
        let now = "2026-12-01T00:00:00Z";
        assert_eq!(removed(daily(7), &all, now), ["p0"]);
        // No good one makes room for them.
        assert_eq!(removed(daily(2), &all, now), ["p0", "p1"]);
        assert_eq!(removed(daily(1), &all, now), ["good-1", "p0", "p1", "p2"]);
        // There was never a good one.
        assert_eq!(removed(daily(2), &all[3..], now), ["p1"]);
    }

    #[test]
    fn a_clock_that_was_years_ahead_removes_nothing() {
        let all = [
            good("a", "2026-11-01T01:00:00Z"),
            good("wrong", "2036-11-02T01:00:00Z"),
        ];
        let last = Retention {
            last: Some(1),
            ..Retention::default()
        };
        assert_eq!(removed(last, &all, "2026-12-01T00:00:00Z"), [""; 0]);
    }

    fn retention() -> impl Strategy<Value = Retention> {
        let number = || proptest::option::of(0_u32..4);
        (
            number(),
            number(),
            number(),
            number(),
            number(),
            number(),
            number(),
        )
            .prop_map(
                |(last, hourly, daily, weekly, monthly, yearly, within)| Retention {
                    last,
                    hourly,
                    daily,
                    weekly,
                    monthly,
                    yearly,
                    within: within.map(|days| SignedDuration::from_hours(24 * i64::from(days))),
                },
            )
    }

    /// Runs of a schedule with gaps, failures and clocks that jump.
    fn history() -> impl Strategy<Value = Vec<Candidate>> {
        let run = (0_i64..400, -90_i64..90, prop::bool::weighted(0.7));
        prop::collection::vec(run, 0..30).prop_map(|runs| {
            let mut hour = 0;
            let candidates = runs
                .into_iter()
                .enumerate()
                .map(|(n, (gap, jump, is_good))| {
                    hour += gap;
                    Candidate {
                        id: format!("{n:02}"),
                        time: Timestamp::from_second(1_700_000_000 + 3600 * hour + 60 * jump)
                            .unwrap(),
                        is_good,
                    }
                });
            candidates.collect()
        })
    }

    proptest! {
        /// Invariant 16: at every moment of a history, the last good snapshot stays, and what one run keeps does not
        /// depend on the runs before.
        #[test]
        fn i16_the_last_good_snapshot_is_never_removed(retention in retention(), history in history()) {
            let mut store: Vec<Candidate> = Vec::new();
            for snapshot in history {
                let now = snapshot.time;
                store.push(snapshot);
                let gone = retention.removed(&store, now, &TimeZone::UTC);
                let past = store.iter().filter(|s| s.is_good && s.time <= now);
                if let Some(last) = past.max_by_key(|s| (s.time, s.id.clone())) {
                    prop_assert!(!gone.contains(&last.id));
                }
                let good = store.iter().filter(|s| s.is_good);
                prop_assert!(good.clone().count() == 0 || good.clone().any(|s| !gone.contains(&s.id)));
                store.retain(|s| !gone.contains(&s.id));
                prop_assert!(retention.removed(&store, now, &TimeZone::UTC).is_empty());
            }
        }
    }
}
