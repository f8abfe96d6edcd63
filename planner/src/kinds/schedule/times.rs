//! The times of a schedule.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use k8s_openapi::jiff::tz::TimeZone;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

/// The times of a schedule, each with the same delay.
#[derive(Debug)]
pub(super) struct Times {
    cron: Cron,
    zone: TimeZone,
    delay: SignedDuration,
}

impl Times {
    /// Reads a schedule. `uid` decides on the delay, which is shorter than `spread`.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub(super) fn of(
        schedule: &str,
        zone: TimeZone,
        spread: SignedDuration,
        uid: &str,
    ) -> Result<Self, String> {
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(schedule).map_err(|err| {
            format!(
                "schedule {schedule:?} is not in the form of cron ({err}); write minute, hour, day of the \
                 month, month and day of the week, such as 0 2 * * *"
            )
        })?;
        let digest = Sha256::digest(uid);
        let draw = digest
            .iter()
            .take(4)
            .fold(0, |sum, byte| sum << 8 | i64::from(*byte));
        let seconds = spread.as_secs().max(0).saturating_mul(draw) >> 32;
        Ok(Self {
            cron,
            zone,
            delay: SignedDuration::from_secs(seconds),
        })
    }

    /// Returns the last time whose delay is over.
    pub(super) fn last(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now
            .checked_sub(self.delay)
            .ok()?
            .to_zoned(self.zone.clone());
        let last = self.cron.find_previous_occurrence(&now, true).ok()?;
        Some(last.timestamp())
    }

    /// Returns when the next backup is made, with its delay.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let from = now
            .checked_sub(self.delay)
            .ok()?
            .to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&from, false).ok()?;
        next.timestamp().checked_add(self.delay).ok()
    }

    /// Returns when the backup of a time is made.
    pub(super) fn delayed(&self, time: Timestamp) -> Timestamp {
        time.checked_add(self.delay).unwrap_or(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(schedule: &str, zone: &str) -> Times {
        let zone = TimeZone::get(zone).unwrap();
        Times::of(schedule, zone, SignedDuration::ZERO, "u").unwrap()
    }

    /// The times between two times, in UTC.
    fn between(times: &Times, from: &str, to: &str) -> Vec<String> {
        let mut at: Timestamp = from.parse().unwrap();
        let to: Timestamp = to.parse().unwrap();
        let mut found = Vec::new();
        while let Some(next) = times.next(at).filter(|next| *next <= to) {
            assert_eq!(times.last(next), Some(next), "the last one is found, too");
            found.push(next.to_string());
            at = next;
        }
        found
    }

    #[test]
    fn where_clocks_change_a_backup_is_made_once_a_day() {
        for (zone, schedule, from, to, expected) in [
            // Clocks go forward from 02:00 to 03:00, at 01:00 UTC.
            (
                "Europe/Berlin",
                "30 2 * * *",
                "2026-03-28T12:00:00Z",
                "2026-03-30T12:00:00Z",
                ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
            ),
            // They go back from 03:00 to 02:00, at 01:00 UTC.
            (
                "Europe/Berlin",
                "30 2 * * *",
                "2026-10-24T12:00:00Z",
                "2026-10-26T12:00:00Z",
                ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
            ),
            (
                "America/New_York",
                "30 2 * * *",
                "2026-03-07T12:00:00Z",
                "2026-03-09T12:00:00Z",
                ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"],
            ),
            (
                "America/New_York",
                "30 1 * * *",
                "2026-10-31T12:00:00Z",
                "2026-11-02T12:00:00Z",
                ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
            ),
            // By half an hour.
            (
                "Australia/Lord_Howe",
                "15 2 * * *",
                "2026-10-03T00:00:00Z",
                "2026-10-05T00:00:00Z",
                ["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"],
            ),
            (
                "Australia/Lord_Howe",
                "45 1 * * *",
                "2026-04-04T00:00:00Z",
                "2026-04-06T00:00:00Z",
                ["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"],
            ),
        ] {
            assert_eq!(
                between(&times(schedule, zone), from, to),
                expected,
                "{zone} {schedule}"
            );
        }
    }

    #[test]
    fn each_schedule_has_its_own_delay_and_keeps_it() {
        let spread = SignedDuration::from_mins(30);
        let of = |uid: &str| Times::of("0 2 * * *", TimeZone::UTC, spread, uid).unwrap();
        let delays: Vec<i64> = ["a", "b", "c"].map(|uid| of(uid).delay.as_secs()).to_vec();
        assert!(
            delays.iter().all(|d| (0..30 * 60).contains(d)),
            "{delays:?}"
        );
        assert_ne!(delays[0], delays[1]);
        let a = of("a");
        let noon: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let two: Timestamp = "2026-01-02T02:00:00Z".parse().unwrap();
        assert_eq!(a.next(noon), Some(a.delayed(two)));
        // It is due when its delay is over.
        let just_before = a
            .delayed(two)
            .checked_sub(SignedDuration::from_secs(1))
            .unwrap();
        assert_ne!(a.last(just_before), Some(two));
        assert_eq!(a.last(a.delayed(two)), Some(two));
    }

    #[test]
    fn what_is_not_cron_is_told() {
        for wrong in [
            "",
            "2",
            "61 * * * *",
            "0 0 2 * * *",
            "0 2 * * * 2030",
            "@never",
        ] {
            let told = Times::of(wrong, TimeZone::UTC, SignedDuration::ZERO, "u");
            assert!(told.unwrap_err().contains("such as 0 2 * * *"), "{wrong}");
        }
        for right in ["@daily", "0 2 * * MON-FRI", "*/15 * * * *", "0 2 1 * *"] {
            Times::of(right, TimeZone::UTC, SignedDuration::ZERO, "u").unwrap();
        }
    }
}
