//! Pauses between attempts.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::Duration;

/// Returns between half of a pause and all of it, so that many hosts do not ask a server at the same time again.
pub(crate) fn jittered(pause: Duration) -> Duration {
    // Each state has other keys.
    let chance = RandomState::new().hash_one(());
    let share = u32::try_from(chance % 1024).unwrap_or_default();
    pause / 2 + pause / 2 * share / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_between_half_and_all() {
        let longest = Duration::from_secs(30);
        for _ in 0..1000 {
            let pause = jittered(longest);
            assert!((longest / 2..=longest).contains(&pause), "{pause:?}");
        }
    }
}
