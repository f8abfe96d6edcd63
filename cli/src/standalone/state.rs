//! The folders of journals.

use std::path::{Path, PathBuf};

use anyhow::Context;
use dockfleet_planner::desired::hex;
use sha2::{Digest, Sha256};

use crate::args::StateArgs;

/// Returns the folder of all journals: the folder of the flag, the system's folder for root, or the
/// state folder in the user's home, by the XDG base directory specification.
pub(crate) fn root(args: &StateArgs) -> anyhow::Result<PathBuf> {
    if let Some(dir) = &args.state_dir {
        return Ok(dir.clone());
    }
    if is_root() {
        return Ok(PathBuf::from("/var/lib/dockfleet/standalone"));
    }
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    Ok(state
        .context("there is no folder for the journal; set HOME or --state-dir")?
        .join("dockfleet"))
}

/// Returns the folder of one host's journal. It depends on the endpoint too: another engine under
/// the same name is another host with another journal.
pub(super) fn of_host(root: &Path, host: &str, endpoint: &str) -> PathBuf {
    let short = hex(&Sha256::digest(endpoint), 4);
    root.join(format!("{host}-{short}"))
}

fn is_root() -> bool {
    user() == Some(0)
}

/// Returns the user that this process runs as.
pub(super) fn user() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    // The owner of our own process, without a call into libc.
    std::fs::metadata("/proc/self").ok().map(|m| m.uid())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::of_host;

    #[test]
    fn another_endpoint_is_another_journal() {
        let root = Path::new("/state");
        let a = of_host(root, "h1", "unix:///var/run/docker.sock");
        assert_eq!(a, of_host(root, "h1", "unix:///var/run/docker.sock"));
        assert_ne!(a, of_host(root, "h1", "tcp://10.0.0.1:2376"));
    }
}
