//! Where an engine may listen when it is not at the default socket.

use std::path::PathBuf;

use dockfleet_agent::engine::Endpoint;

use super::state;

/// Returns what a person may have meant whose default socket is not there: an engine of their own
/// that listens elsewhere.
pub(super) fn hint(endpoint: &Endpoint) -> Option<String> {
    let default = Endpoint::from_variables(|_| None).ok()?;
    let Endpoint::Unix(path) = endpoint else {
        return None;
    };
    if *endpoint != default || path.exists() {
        return None;
    }
    let socket = places().into_iter().find(|place| place.exists())?;
    Some(format!(
        "an engine of yours may listen at {0}: set DOCKER_HOST=unix://{0}",
        socket.display()
    ))
}

/// The sockets of a rootless engine and of Docker Desktop.
fn places() -> Vec<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    let runtime = set("XDG_RUNTIME_DIR")
        .or_else(|| Some(PathBuf::from(format!("/run/user/{}", state::user()?))));
    let rootless = runtime.map(|folder| folder.join("docker.sock"));
    let desktop = set("HOME").map(|home| home.join(".docker"));
    let desktop = desktop.into_iter().flat_map(|docker| {
        ["desktop/docker.sock", "run/docker.sock"].map(|socket| docker.join(socket))
    });
    rootless.into_iter().chain(desktop).collect()
}
