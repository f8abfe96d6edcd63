//! Networks that an engine does not list and that block the creation of others.
//!
//! The bridge driver stores a network before the engine does. If the engine is killed in between, one half of
//! the network remains across restarts: it has no name and cannot be removed, and its subnet is in use (seen
//! with 20.10 and 29; moby/libnetwork#1743).

/// Length of a network's ID in hexadecimal digits.
const ID: usize = 64;
/// Number of digits of an ID in messages.
const SHORT_ID: usize = 12;

/// Returns the ID of the network with which a refused one conflicts.
pub(crate) fn rival(refusal: &str) -> Option<&str> {
    let (_, after) = refusal.split_once("conflicts with network ")?;
    let id = after.get(..ID)?;
    id.bytes().all(|b| b.is_ascii_hexdigit()).then_some(id)
}

/// Returns a refusal with an explanation for a `rival` that is not listed. The explanation comes first,
/// because statuses cut long texts.
pub(crate) fn explained(refusal: &str, rival: &str) -> String {
    let short = rival.get(..SHORT_ID).unwrap_or(rival);
    format!(
        "it was killed while it created network {short}, which it does not list and cannot remove; {refusal}"
    )
}
