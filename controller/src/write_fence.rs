//! Whether this controller may write.
//!
//! One fence for every write: `wire` asks it right before each request is sent. It is open from the
//! moment a claim to lead is granted until the renew deadline after that claim was sent, by a clock
//! that a halted process cannot hold back. Whoever was halted longer finds it shut.

use std::time::Duration;

use tokio::sync::watch;

use crate::moment::Moment;

/// How it stands with the right to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Somebody else may be writing.
    Shut,
    /// The claim is held.
    Open {
        /// No write begins after this.
        begin_by: Moment,
        /// No write may be under way after this.
        end_by: Moment,
    },
    /// There is no election.
    Unguarded,
}

/// A write was not sent: this controller does not lead, or not for sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not sent: this controller does not hold the Lease")]
pub(crate) struct NotLeading;

impl Hold {
    /// Returns how long a write that begins now may take at most; `call` where nothing else limits it.
    pub(crate) fn admits(self, now: Moment, call: Duration) -> Result<Duration, NotLeading> {
        match self {
            Self::Unguarded => Ok(call),
            Self::Open { begin_by, end_by } if now < begin_by => Ok(call.min(now.until(end_by))),
            Self::Open { .. } | Self::Shut => Err(NotLeading),
        }
    }
}

/// The reader's side of the fence.
#[derive(Clone, Debug)]
pub(crate) struct WriteFence {
    hold: watch::Receiver<Hold>,
    unanswered: watch::Sender<Option<Moment>>,
}

impl WriteFence {
    /// Makes a fence, and what it is opened and shut with.
    pub(crate) fn new(hold: Hold) -> (watch::Sender<Hold>, Self) {
        let (sender, hold) = watch::channel(hold);
        let (unanswered, _) = watch::channel(None);
        (sender, Self { hold, unanswered })
    }

    /// Returns how long a write that begins now may take.
    pub(crate) fn admits(&self, call: Duration) -> Result<Duration, NotLeading> {
        self.hold.borrow().admits(Moment::now(), call)
    }

    /// Whether a write would be let through now.
    pub(crate) fn is_open(&self) -> bool {
        self.admits(Duration::ZERO).is_ok()
    }

    /// Waits until it may have been opened or shut; never returns where nobody can do so any more.
    pub(crate) async fn changed(&mut self) {
        if self.hold.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Notes that a write has ended without an answer, and that the API server may be at it until
    /// then.
    pub(crate) fn note_unanswered(&self, until: Moment) {
        self.unanswered.send_modify(|last| {
            *last = (*last).max(Some(until));
        });
    }

    /// Whether the API server may still be at a write that has ended here.
    pub(crate) fn may_be_under_way(&self) -> bool {
        self.unanswered
            .borrow()
            .is_some_and(|end| Moment::now() < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Duration = Duration::from_secs(30);

    fn open(begin_by: u64, end_by: u64) -> Hold {
        Hold::Open {
            begin_by: Moment::at(begin_by),
            end_by: Moment::at(end_by),
        }
    }

    #[test]
    fn a_write_begins_before_the_deadline_and_ends_before_others_may_begin() {
        let hold = open(10_000, 15_000);
        let at = |ms| hold.admits(Moment::at(ms), CALL);
        assert_eq!(at(0), Ok(Duration::from_secs(15)));
        assert_eq!(at(9_999), Ok(Duration::from_millis(5_001)));
        assert_eq!(at(10_000), Err(NotLeading));
        assert_eq!(at(1_000_000), Err(NotLeading));
        let short = Duration::from_secs(1);
        assert_eq!(hold.admits(Moment::at(0), short), Ok(short));
    }

    #[test]
    fn without_a_claim_nothing_is_written_and_without_an_election_everything() {
        assert_eq!(Hold::Shut.admits(Moment::at(0), CALL), Err(NotLeading));
        assert_eq!(Hold::Unguarded.admits(Moment::at(0), CALL), Ok(CALL));
    }

    #[test]
    fn what_ended_without_an_answer_is_remembered_until_it_must_have_ended() {
        let (_hold, fence) = WriteFence::new(Hold::Unguarded);
        assert!(!fence.may_be_under_way());
        fence.note_unanswered(Moment::now() + CALL);
        fence.note_unanswered(Moment::now());
        assert!(fence.may_be_under_way());
    }
}
