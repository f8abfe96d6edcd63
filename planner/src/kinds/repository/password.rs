//! The passwords of repositories.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::desired::hex;

/// The key of a Secret with the password of a repository, as restic has it.
pub const PASSWORD_KEY: &str = "RESTIC_PASSWORD";

/// Returns the password of one host's own repository: the HMAC of its name. A host that is taken over knows no other
/// password, and whoever has the password of all can compute it, with a well-known tool and without Dockfleet.
pub fn host_password(password: &str, namespace: &str, host: &str) -> String {
    let name = format!("{namespace}/{host}");
    // An HMAC takes a key of any length.
    let mac = Hmac::<Sha256>::new_from_slice(password.as_bytes());
    let digest = mac.map(|mac| mac.chain_update(name).finalize().into_bytes());
    digest.map(|digest| hex(&digest, 32)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `printf %s lab/h1 | openssl dgst -sha256 -hmac secret` prints, as docs/backups.md says.
    #[test]
    fn the_password_of_a_host_is_an_hmac() {
        let password = host_password("secret", "lab", "h1");
        assert_eq!(
            password,
            "45891b02eec673b96fb168a4bcf038f5ce57740ed8569d4d14f2eee89f0fcbd9"
        );
        assert_ne!(password, host_password("secret", "lab", "h2"));
        assert_ne!(password, host_password("other", "lab", "h1"));
    }
}
