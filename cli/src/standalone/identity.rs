//! UIDs for resources without an API server.

use dockfleet_planner::desired::hex;
use sha2::{Digest, Sha256};

/// Returns the UID of a resource from a file. It is the same for every run, and for every folder of
/// the file.
pub(super) fn uid(kind: &str, namespace: &str, name: &str) -> String {
    let mut hash = Sha256::new();
    // The separator cannot be in a name, so that two resources never have the same text.
    hash.update(format!("dockfleet.io/{kind}\0{namespace}\0{name}"));
    let hex = hex(&hash.finalize(), 16);
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-{}-{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32)
    )
}

#[cfg(test)]
mod tests {
    use super::uid;

    #[test]
    fn a_uid_is_stable_and_depends_on_every_part() {
        let shop = uid("DockerNetwork", "default", "shop");
        assert_eq!(shop, uid("DockerNetwork", "default", "shop"));
        assert_eq!(shop.len(), 36);
        assert_ne!(shop, uid("DockerVolume", "default", "shop"));
        assert_ne!(shop, uid("DockerNetwork", "other", "shop"));
    }
}
