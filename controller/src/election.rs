//! The leader election: what a candidate does with the Lease, as a decision without I/O.
//!
//! Clocks of different machines are never compared. A candidate measures with its own clock how
//! long the Lease has been unchanged. Every write of the Lease carries the resource version that
//! was read, so that of two candidates that decide at the same time one is refused. The holder
//! stops writing before the lease expires for the others:
//!
//! ```text
//! renewal sent                renew deadline          lease duration
//!      │ writes may begin ──────────┤ writes under way ────┤ others may take over
//! ```

use std::time::Duration;

use dockfleet_vitals::BootTime;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

/// The times of the leader election, with the names that Kubernetes components use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElectionTimes {
    /// How long the others wait after the last change of the Lease; whole seconds, as in the Lease.
    pub lease_duration: Duration,
    /// How long the holder may write without renewing the Lease.
    pub renew_deadline: Duration,
    /// How often the holder renews the Lease, and how often the others read it.
    pub retry_period: Duration,
}

impl Default for ElectionTimes {
    fn default() -> Self {
        Self {
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// Why these election times are invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElectionTimesError {
    /// The Lease has whole seconds.
    #[error("the lease duration is {0:?}; write whole seconds, 1s or more")]
    Fraction(Duration),
    /// Calls that are under way at the renew deadline need time to end.
    #[error("the renew deadline {renew:?} has to be less than the lease duration {lease:?}")]
    NoRoom {
        /// The renew deadline.
        renew: Duration,
        /// The lease duration.
        lease: Duration,
    },
    /// One failed renewal must not end the leadership.
    #[error(
        "the retry period {retry:?} has to be more than 0 and at most half of the renew deadline \
         {renew:?}"
    )]
    NoRetry {
        /// The retry period.
        retry: Duration,
        /// The renew deadline.
        renew: Duration,
    },
}

impl ElectionTimes {
    /// Checks that the times leave room for each other.
    pub fn check(&self) -> Result<(), ElectionTimesError> {
        let (lease, renew, retry) = (self.lease_duration, self.renew_deadline, self.retry_period);
        if lease.subsec_nanos() != 0 || lease.is_zero() || i32::try_from(lease.as_secs()).is_err() {
            return Err(ElectionTimesError::Fraction(lease));
        }
        if renew >= lease {
            return Err(ElectionTimesError::NoRoom { renew, lease });
        }
        if retry.is_zero() || retry * 2 > renew {
            return Err(ElectionTimesError::NoRetry { retry, renew });
        }
        Ok(())
    }

    /// Returns how long one call for the Lease may take: a second one fits before the deadline.
    pub(crate) fn call(&self) -> Duration {
        self.renew_deadline / 2
    }
}

/// The Lease as it was last seen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ObservedLease {
    /// The object, if it exists.
    pub(crate) lease: Option<Lease>,
    /// When another candidate may take it.
    pub(crate) free_at: BootTime,
}

impl ObservedLease {
    /// Updates the observation: a changed Lease expires after its whole duration from now on, a
    /// Lease without a holder is free, and a deleted one keeps its expiry.
    pub(crate) fn next(
        before: Option<&Self>,
        lease: Option<Lease>,
        now: BootTime,
        times: &ElectionTimes,
    ) -> Self {
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        let free_at = match (&lease, before) {
            (None, Some(before)) => before.free_at,
            (Some(lease), _) if holder(lease).is_none() => now,
            (Some(lease), Some(before))
                if before.lease.as_ref().and_then(version) == version(lease) =>
            {
                before.free_at
            }
            (Some(lease), _) => now + duration(lease, times),
            (None, None) => now,
        };
        Self { lease, free_at }
    }

    /// Returns its holder.
    pub(crate) fn holder(&self) -> Option<&str> {
        holder(self.lease.as_ref()?)
    }
}

/// The next step of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Write the Lease, to take or renew it.
    Claim,
    /// Wait until then.
    Wait(BootTime),
    /// Stop: this controller held the Lease, and does not any more or may not.
    Lost(Loss),
}

/// Why a claim is lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// Another candidate has taken the Lease.
    #[error("{0} has taken the Lease")]
    Taken(String),
    /// The Lease has no holder any more.
    #[error("somebody removed this controller as the holder of the Lease")]
    Cleared,
    /// The Lease could not be renewed in time.
    #[error("the Lease could not be renewed within {} s", .0.as_secs_f64())]
    Expired(Duration),
}

/// Decides the next step of a candidate. `renewed` is when the last successful claim was sent;
/// `None` for a standby.
pub(crate) fn decide(
    me: &str,
    seen: &ObservedLease,
    renewed: Option<BootTime>,
    now: BootTime,
    times: &ElectionTimes,
) -> Decision {
    let Some(renewed) = renewed else {
        // If the response to a claim of ours was lost, the Lease names us and counts as free.
        if seen.holder() == Some(me) || now >= seen.free_at {
            return Decision::Claim;
        }
        return Decision::Wait(seen.free_at.min(now + times.retry_period));
    };
    if now >= renewed + times.renew_deadline {
        return Decision::Lost(Loss::Expired(times.renew_deadline));
    }
    match (&seen.lease, seen.holder()) {
        (Some(_), None) => return Decision::Lost(Loss::Cleared),
        (_, Some(other)) if other != me => return Decision::Lost(Loss::Taken(other.to_owned())),
        // A deleted Lease is created again: nobody else takes it before it expires.
        _ => {}
    }
    let due = renewed + times.retry_period;
    if now >= due {
        Decision::Claim
    } else {
        Decision::Wait(due)
    }
}

/// Returns the Lease to write for a claim; it carries the observed resource version.
pub(crate) fn claimed(
    me: &str,
    name: &str,
    seen: Option<&Lease>,
    time: MicroTime,
    times: &ElectionTimes,
) -> Lease {
    let mut lease = seen.cloned().unwrap_or_else(|| Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        spec: None,
    });
    let before = lease.spec.take().unwrap_or_default();
    let keeps = before.holder_identity.as_deref() == Some(me);
    let transitions = before.lease_transitions.unwrap_or_default();
    let first = seen.is_none();
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: i32::try_from(times.lease_duration.as_secs()).ok(),
        acquire_time: before
            .acquire_time
            .clone()
            .filter(|_| keeps)
            .or_else(|| Some(time.clone())),
        renew_time: Some(time),
        lease_transitions: Some(if keeps || first {
            transitions
        } else {
            transitions.saturating_add(1)
        }),
        ..before
    });
    lease
}

/// Returns the Lease to write when its holder releases it.
pub(crate) fn released(seen: &Lease, time: MicroTime) -> Lease {
    let mut lease = seen.clone();
    let before = lease.spec.take().unwrap_or_default();
    lease.spec = Some(LeaseSpec {
        holder_identity: None,
        acquire_time: None,
        renew_time: Some(time),
        ..before
    });
    lease
}

fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref();
    holder.filter(|name| !name.is_empty())
}

/// Returns the lease duration that the holder has set.
fn duration(lease: &Lease, times: &ElectionTimes) -> Duration {
    let spec = lease.spec.as_ref();
    spec.and_then(|s| s.lease_duration_seconds)
        .and_then(|s| u64::try_from(s).ok())
        .map_or(times.lease_duration, Duration::from_secs)
}

#[cfg(test)]
mod tests;
