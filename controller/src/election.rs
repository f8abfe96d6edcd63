//! Who leads: what one of several controllers does about the Lease, as a decision without I/O.
//!
//! Clocks are never compared. A candidate measures by its own clock since when the Lease has been as
//! it is, and every write of the Lease carries the version it was read in, so that of two candidates
//! that decide at once one is refused. What the holder may do ends before what the others wait for:
//!
//! ```text
//! renewal sent                renew deadline          lease duration
//!      │ writes may begin ──────────┤ writes under way ────┤ others may take over
//! ```

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

use crate::boot_time::BootTime;

/// How long each thing takes in an election; the names are those of Kubernetes' own components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElectionTimes {
    /// How long the others wait since the Lease last changed; in whole seconds, as the Lease has it.
    pub lease_duration: Duration,
    /// How long the holder may go on without renewing it.
    pub renew_deadline: Duration,
    /// How often it is renewed, and how often the others look at it.
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

/// Why an election cannot be held with these times.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElectionTimesError {
    /// The Lease has whole seconds.
    #[error("the lease duration is {0:?}; write whole seconds, 1s or more")]
    Fraction(Duration),
    /// What is under way at the renew deadline needs time to end.
    #[error("the renew deadline {renew:?} has to be less than the lease duration {lease:?}")]
    NoRoom {
        /// The renew deadline.
        renew: Duration,
        /// The lease duration.
        lease: Duration,
    },
    /// One renewal that fails may not be the end.
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
    /// The object, if there was one.
    pub(crate) lease: Option<Lease>,
    /// From when on somebody else may take it.
    pub(crate) free_at: BootTime,
}

impl ObservedLease {
    /// Takes in what was seen: a Lease that has changed is held for its whole duration from now on,
    /// one that nobody holds is free, and one that was deleted stays held as long as it was promised.
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

    /// Returns who holds it.
    pub(crate) fn holder(&self) -> Option<&str> {
        holder(self.lease.as_ref()?)
    }
}

/// What is to be done about the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Write it: to take it, or to keep it.
    Claim,
    /// Nothing until then.
    Wait(BootTime),
    /// Nothing more: it was ours and is not any more, or may not be.
    Lost(Loss),
}

/// Why a claim is lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// Somebody else has taken the Lease.
    #[error("{0} has taken the Lease")]
    Taken(String),
    /// The Lease has no holder any more.
    #[error("the Lease was taken from this controller and given to nobody")]
    Cleared,
    /// It could not be renewed in time.
    #[error("the Lease could not be renewed within {} s", .0.as_secs_f64())]
    Expired(Duration),
}

/// Decides what is to be done about the Lease. `renewed` is when the last claim that was granted was
/// sent; nothing for one who does not lead.
pub(crate) fn decide(
    me: &str,
    seen: &ObservedLease,
    renewed: Option<BootTime>,
    now: BootTime,
    times: &ElectionTimes,
) -> Decision {
    let Some(renewed) = renewed else {
        // A claim of ours whose answer was lost is as good as a free Lease.
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
        // One that was deleted is made again: nobody else takes it before it is free.
        _ => {}
    }
    let due = renewed + times.retry_period;
    if now >= due {
        Decision::Claim
    } else {
        Decision::Wait(due)
    }
}

/// Returns the Lease to write for a claim; it carries the version that was seen.
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

/// Returns the Lease to write when its holder lets go of it.
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

/// Returns for how long its holder has it; that is the holder's to say.
fn duration(lease: &Lease, times: &ElectionTimes) -> Duration {
    let spec = lease.spec.as_ref();
    spec.and_then(|s| s.lease_duration_seconds)
        .and_then(|s| u64::try_from(s).ok())
        .map_or(times.lease_duration, Duration::from_secs)
}

#[cfg(test)]
mod tests;
