//! A clock that goes on whatever happens to this process or machine.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment by the clock of this machine since it was started. The clock is nobody's to set, and
/// counts the time in which the process or the whole machine was halted; that of
/// [`std::time::Instant`] stands still while a machine sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BootTime(Duration);

#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOCK: ClockId = ClockId::Monotonic;

impl BootTime {
    /// Returns the present moment.
    pub(crate) fn now() -> Self {
        let now = clock_gettime(CLOCK);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        let rest = u32::try_from(now.tv_nsec).unwrap_or_default();
        Self(Duration::new(seconds, rest))
    }

    /// Returns how long it is until a later moment; nothing when that has come.
    pub(crate) fn until(self, later: Self) -> Duration {
        later.0.saturating_sub(self.0)
    }

    /// Returns the moment this many milliseconds after the start of the machine.
    #[cfg(test)]
    pub(crate) fn at(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }
}

impl std::ops::Add<Duration> for BootTime {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs))
    }
}
