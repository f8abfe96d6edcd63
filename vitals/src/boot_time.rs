//! A clock that also counts while this process or machine is halted.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A time since the boot of this machine. Nobody can set this clock, and it counts while the
/// process or the whole machine is halted. The clock of [`std::time::Instant`] stops while a
/// machine sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(Duration);

#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOCK: ClockId = ClockId::Monotonic;

impl BootTime {
    /// Returns the present time.
    pub fn now() -> Self {
        let now = clock_gettime(CLOCK);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        let rest = u32::try_from(now.tv_nsec).unwrap_or_default();
        Self(Duration::new(seconds, rest))
    }

    /// Returns the duration until a later time; zero if that has passed.
    pub fn until(self, later: Self) -> Duration {
        later.0.saturating_sub(self.0)
    }

    /// Returns the time this many milliseconds after boot.
    pub fn at(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }
}

impl std::ops::Add<Duration> for BootTime {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs))
    }
}
