//! Renews a host's token long before it ends, for as long as the agent runs.

use std::time::Duration;

use dockfleet_vitals::chain;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::exchange::exchange;
use super::{Claims, Enrolment, EnrolmentError, Store, Token};
use crate::retry::{Backoff, jittered};

/// How often the file is looked at for a token that somebody else put there: `dockfleet agent join`
/// beside a running agent.
const LOOK: Duration = Duration::from_secs(15);
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// A fleet whose API server was away comes back within this time, not all at once.
const LAST_RETRY: Duration = Duration::from_secs(300);
/// Of the time until a renewal, how much earlier or later it may be: a fleet that joined at once
/// does not renew at once.
const JITTER: f64 = 0.1;

/// How tokens are renewed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Renewal {
    /// How long a token is asked to live; the API server may give less.
    pub life: Duration,
    /// At which part of a token's life it is renewed, between 0 and 1.
    pub share: f64,
}

impl Renewal {
    /// How long to wait with the renewal of a token, at the time `now` of the host's clock. One
    /// whose times make no sense to that clock is renewed at once: only the API server's counts.
    fn wait(self, claims: Option<Claims>, now: i64) -> Duration {
        let Some(Claims {
            issued_at,
            expires_at,
        }) = claims
        else {
            return Duration::ZERO;
        };
        let seconds = |n: i64| u64::try_from(n).ok().map(Duration::from_secs);
        match (seconds(expires_at - issued_at), seconds(now - issued_at)) {
            (Some(life), Some(age)) if age < life => life.mul_f64(self.share).saturating_sub(age),
            // Made in this clock's future, by a little as a rule: the whole wait is in front of it.
            (Some(life), None) => life.mul_f64(self.share),
            _ => Duration::ZERO,
        }
    }
}

/// Keeps the token of a host that has joined alive until `shutdown`. When it ends, by the API
/// server's word, is sent to `expiry`, as seconds since 1970.
///
/// A token that the API server refuses is beyond help from here: that is said once, as an error, and
/// everything else on the host goes on. A new one that `dockfleet agent join` puts into its place is
/// taken up.
pub async fn keep(
    store: Store,
    enrolment: Enrolment,
    renewal: Renewal,
    expiry: watch::Sender<Option<i64>>,
    shutdown: CancellationToken,
) {
    let mut keeper = Keeper {
        store,
        enrolment,
        renewal,
        expiry,
        token: None,
        due: Instant::now(),
        backoff: Backoff::new(FIRST_RETRY, LAST_RETRY),
        refused: false,
    };
    loop {
        keeper.look();
        if keeper.due <= Instant::now() {
            let renewed = shutdown.run_until_cancelled(keeper.renew()).await;
            if renewed.is_none() {
                return;
            }
        }
        let wait = keeper.due.min(Instant::now() + LOOK);
        let slept = shutdown.run_until_cancelled(tokio::time::sleep_until(wait));
        if slept.await.is_none() {
            return;
        }
    }
}

struct Keeper {
    store: Store,
    enrolment: Enrolment,
    renewal: Renewal,
    expiry: watch::Sender<Option<i64>>,
    token: Option<Token>,
    due: Instant,
    backoff: Backoff,
    /// The token is of no use any more, and that was said.
    refused: bool,
}

impl Keeper {
    /// Takes up what is in the file, where that is new.
    fn look(&mut self) {
        let found = match self.store.token() {
            Ok(found) => found,
            Err(err) => {
                tracing::debug!(error = %chain(&err), "the token cannot be read");
                return;
            }
        };
        if found.is_none() || found == self.token {
            return;
        }
        if self.refused {
            tracing::info!("there is a new credential");
        }
        self.refused = false;
        self.token = found;
        self.plan();
    }

    /// Works out when the token is renewed.
    fn plan(&mut self) {
        self.backoff.reset();
        let claims = self.token.as_ref().and_then(Token::claims);
        let expires_at = claims.map(|c| c.expires_at);
        self.expiry.send_if_modified(|known| {
            let is_new = *known != expires_at;
            *known = expires_at;
            is_new
        });
        let wait = self
            .renewal
            .wait(claims, jiff::Timestamp::now().as_second());
        self.due = Instant::now() + jittered(wait, JITTER);
    }

    async fn renew(&mut self) {
        let Some(token) = &self.token else {
            self.due = Instant::now() + LOOK;
            return;
        };
        let asked = exchange(&self.store, &self.enrolment, token, self.renewal.life).await;
        let kept = asked.and_then(|new| self.store.set_token(&new).map(|()| new));
        match kept {
            Ok(new) => {
                let expires_at = new.claims().map(|c| c.expires_at);
                tracing::info!(expires_at, "credential renewed");
                self.refused = false;
                self.token = Some(new);
                self.plan();
                // One that lives for seconds would be renewed without end.
                self.due = self.due.max(Instant::now() + FIRST_RETRY);
            }
            Err(err) => {
                self.due = Instant::now() + self.backoff.next();
                self.log_failure(&err);
            }
        }
    }

    fn log_failure(&mut self, err: &EnrolmentError) {
        let error = chain(err);
        if !matches!(err, EnrolmentError::Refused { .. }) {
            tracing::warn!(
                error,
                "the credential could not be renewed, and that is retried"
            );
        } else if !self.refused {
            self.refused = true;
            tracing::error!(
                error,
                "the credential is dead; what is on this host is kept as it was last asked for"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RENEWAL: Renewal = Renewal {
        life: Duration::from_secs(600),
        share: 2.0 / 3.0,
    };

    fn wait(issued_at: i64, expires_at: i64, now: i64) -> u64 {
        let claims = Claims {
            issued_at,
            expires_at,
        };
        RENEWAL.wait(Some(claims), now).as_secs()
    }

    #[test]
    fn a_token_is_renewed_at_two_thirds_of_its_own_life() {
        assert_eq!(wait(1000, 1600, 1000), 400);
        // The API server gave less than was asked for.
        assert_eq!(wait(1000, 1060, 1000), 40);
        assert_eq!(wait(1000, 1600, 1300), 100);
        assert_eq!(wait(1000, 1600, 1500), 0);
    }

    #[test]
    fn a_token_whose_times_do_not_fit_the_clock_is_renewed_at_once() {
        assert_eq!(wait(1000, 1600, 9000), 0, "expired, or the clock is ahead");
        assert_eq!(wait(1000, 1600, 900), 400, "the clock is behind");
        assert_eq!(wait(1000, 900, 1000), 0);
        assert_eq!(RENEWAL.wait(None, 1000), Duration::ZERO);
    }
}
