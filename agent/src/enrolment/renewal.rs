//! Renews a host's token long before it expires, while the agent runs.

use std::time::Duration;

use dockfleet_vitals::chain;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::exchange::exchange;
use super::{Claims, Enrolment, EnrolmentError, Store, Token};
use crate::retry::{Backoff, jittered};

/// How often the file is checked for a new token: `dockfleet agent join` may have written one.
const LOOK: Duration = Duration::from_secs(15);
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// After an outage of the API server the agents of a fleet retry within this time, not all at once.
const LAST_RETRY: Duration = Duration::from_mins(5);
/// Jitter, as a share of the time until a renewal: agents that joined at the same time do not renew at the
/// same time.
const JITTER: f64 = 0.1;

/// How tokens are renewed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Renewal {
    /// Requested lifetime of a token; the API server may grant less.
    pub life: Duration,
    /// Share of a token's lifetime after which it is renewed, between 0 and 1.
    pub share: f64,
}

impl Renewal {
    /// Returns how long to wait before a token is renewed, at the time `now` of the host's clock. A token
    /// whose times do not fit that clock is renewed at once: only the API server's clock counts.
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
            // Issued in the future of this clock, usually by a little: the whole wait is still to come.
            (Some(life), None) => life.mul_f64(self.share),
            _ => Duration::ZERO,
        }
    }
}

/// Renews the token of a host until `shutdown`. `expiry` gets the time at which the token expires by the API
/// server's clock, in seconds since 1970.
///
/// The agent cannot replace a token that the API server refuses. It logs that once, as an error, and its
/// other work goes on. It uses a new token as soon as `dockfleet agent join` has written one.
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
    /// The API server has refused the token, and that was logged.
    refused: bool,
}

impl Keeper {
    /// Uses the token in the file, if it is new.
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
            tracing::info!("found a new credential");
        }
        self.refused = false;
        self.token = found;
        self.plan();
    }

    /// Sets when the token is renewed.
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
                // A token that is valid for seconds would be renewed without a pause.
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
            tracing::warn!(error, "the credential could not be renewed; retrying");
        } else if !self.refused {
            self.refused = true;
            tracing::error!(
                error,
                "the credential has expired or was revoked; the agent keeps the host as last assigned"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RENEWAL: Renewal = Renewal {
        life: Duration::from_mins(10),
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
        // The API server granted less than requested.
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
