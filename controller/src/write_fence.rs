//! Whether this controller may write.
//!
//! One fence for every write: `wire` asks it right before each request is sent. It opens when a
//! claim of the Lease succeeds, and closes at the renew deadline after that claim was sent. Its
//! clock also runs while the process is halted, so a process that was halted for longer finds it
//! closed.

use std::time::Duration;

use dockfleet_vitals::BootTime;
use tokio::sync::watch;

/// The state of the fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FenceState {
    /// Another controller may be writing.
    Closed,
    /// This controller holds the Lease.
    Open {
        /// No write may begin after this.
        begin_by: BootTime,
        /// No write may be under way after this.
        end_by: BootTime,
    },
    /// There is no leader election.
    NoElection,
}

/// A write was not sent, because this controller may not be the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not sent: this controller does not hold the Lease")]
pub(crate) struct NotLeading;

impl FenceState {
    /// Returns how long a write that begins now may take at most; `call` if nothing else limits it.
    pub(crate) fn admits(self, now: BootTime, call: Duration) -> Result<Duration, NotLeading> {
        match self {
            Self::NoElection => Ok(call),
            Self::Open { begin_by, end_by } if now < begin_by => Ok(call.min(now.until(end_by))),
            Self::Open { .. } | Self::Closed => Err(NotLeading),
        }
    }
}

/// The reader's side of the fence.
#[derive(Clone, Debug)]
pub(crate) struct WriteFence {
    state: watch::Receiver<FenceState>,
    unanswered: watch::Sender<Option<BootTime>>,
}

impl WriteFence {
    /// Creates a fence, and the sender that opens and closes it.
    pub(crate) fn new(state: FenceState) -> (watch::Sender<FenceState>, Self) {
        let (sender, state) = watch::channel(state);
        let (unanswered, _) = watch::channel(None);
        (sender, Self { state, unanswered })
    }

    /// Returns how long a write that begins now may take.
    pub(crate) fn admits(&self, call: Duration) -> Result<Duration, NotLeading> {
        self.state.borrow().admits(BootTime::now(), call)
    }

    /// Whether a write would be admitted now.
    pub(crate) fn is_open(&self) -> bool {
        self.admits(Duration::ZERO).is_ok()
    }

    /// Waits for a change of the state; never returns if the sender is dropped.
    pub(crate) async fn changed(&mut self) {
        if self.state.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Records that a write had no response, and that the API server may carry it out until then.
    pub(crate) fn note_unanswered(&self, until: BootTime) {
        self.unanswered.send_modify(|last| {
            *last = (*last).max(Some(until));
        });
    }

    /// Whether the API server may still carry out a write without a response.
    pub(crate) fn may_be_under_way(&self) -> bool {
        self.unanswered
            .borrow()
            .is_some_and(|end| BootTime::now() < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Duration = Duration::from_secs(30);

    fn open(begin_by: u64, end_by: u64) -> FenceState {
        FenceState::Open {
            begin_by: BootTime::at(begin_by),
            end_by: BootTime::at(end_by),
        }
    }

    #[test]
    fn a_write_begins_before_the_deadline_and_ends_before_others_may_begin() {
        let state = open(10_000, 15_000);
        let at = |ms| state.admits(BootTime::at(ms), CALL);
        assert_eq!(at(0), Ok(Duration::from_secs(15)));
        assert_eq!(at(9_999), Ok(Duration::from_millis(5_001)));
        assert_eq!(at(10_000), Err(NotLeading));
        assert_eq!(at(1_000_000), Err(NotLeading));
        let short = Duration::from_secs(1);
        assert_eq!(state.admits(BootTime::at(0), short), Ok(short));
    }

    #[test]
    fn a_closed_fence_admits_no_write_and_one_without_an_election_every_write() {
        assert_eq!(
            FenceState::Closed.admits(BootTime::at(0), CALL),
            Err(NotLeading)
        );
        assert_eq!(
            FenceState::NoElection.admits(BootTime::at(0), CALL),
            Ok(CALL)
        );
    }

    #[test]
    fn a_write_without_an_answer_counts_as_under_way_until_its_time_limit() {
        let (_hold, fence) = WriteFence::new(FenceState::NoElection);
        assert!(!fence.may_be_under_way());
        fence.note_unanswered(BootTime::now() + CALL);
        fence.note_unanswered(BootTime::now());
        assert!(fence.may_be_under_way());
    }
}
