//! Networks that an engine holds against others and does not list.
//!
//! The bridge driver writes a network down before the engine does. An engine that is killed in between
//! knows one half of it from then on, over every restart: it has no name and cannot be removed, and its
//! subnet is taken (seen with 20.10 and 29; moby/libnetwork#1743).

/// Length of a network's ID in hexadecimal digits.
const ID: usize = 64;
/// How much of an ID people are shown.
const SHORT_ID: usize = 12;

/// Returns the ID of the network that another one is refused for.
pub(crate) fn rival(refusal: &str) -> Option<&str> {
    let (_, after) = refusal.split_once("conflicts with network ")?;
    let id = after.get(..ID)?;
    id.bytes().all(|b| b.is_ascii_hexdigit()).then_some(id)
}

/// Returns a refusal with what to make of it when `rival` is not listed. That comes first, as statuses
/// cut what is long.
pub(crate) fn explained(refusal: &str, rival: &str) -> String {
    let short = rival.get(..SHORT_ID).unwrap_or(rival);
    format!(
        "it was killed while it made network {short}, which it does not list and cannot remove; {refusal}"
    )
}
