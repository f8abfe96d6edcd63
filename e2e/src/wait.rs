//! Waiting for a condition with a deadline: the only place of this crate that sleeps.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The first pause: most conditions here hold within milliseconds.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
/// The longest pause: what takes seconds must not keep the machine busy with asking, and many a check
/// starts a `kubectl`, which takes a tenth of a second of a core.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Asks `check` again and again until it gives a value, or fails after `timeout` with its last
/// reason.
///
/// `what` completes the sentence "waited for ..., but not".
pub fn eventually<T>(
    what: &str,
    timeout: Duration,
    mut check: impl FnMut() -> Result<T, String>,
) -> Result<T> {
    let begin = Instant::now();
    let mut pause = SHORTEST_PAUSE;
    loop {
        let reason = match check() {
            Ok(value) => return Ok(value),
            Err(reason) => reason,
        };
        let Some(left) = timeout.checked_sub(begin.elapsed()) else {
            bail!("waited {timeout:?} for {what}, in vain: {reason}");
        };
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
