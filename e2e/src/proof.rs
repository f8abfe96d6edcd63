//! How much of a long table is tried.

use std::env;

/// Whether everything is tried, as `make proof` does, and not the fixed sample of `make test`.
pub fn is_proof() -> bool {
    env::var_os("DOCKFLEET_PROOF").is_some_and(|value| !value.is_empty())
}
