//! Other sockets that an engine may listen at.

use std::path::PathBuf;

use dockfleet_agent::engine::Endpoint;

use super::state;

/// Returns a hint if the default socket does not exist, but the user's own engine listens at
/// another one.
pub(super) fn hint(endpoint: &Endpoint) -> Option<String> {
    let default = Endpoint::from_variables(|_| None).ok()?;
    let Endpoint::Unix(path) = endpoint else {
        return None;
    };
    if *endpoint != default || path.exists() {
        return None;
    }
    let places = places(|name| std::env::var(name).ok(), state::user());
    let socket = places.into_iter().find(|place| place.exists())?;
    Some(format!(
        "an engine of yours may listen at {0}: set DOCKER_HOST=unix://{0}",
        socket.display()
    ))
}

/// Returns the sockets of a rootless engine and of Docker Desktop.
fn places(get: impl Fn(&str) -> Option<String>, user: Option<u32>) -> Vec<PathBuf> {
    let set = |name| get(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let runtime = set("XDG_RUNTIME_DIR");
    let runtime = runtime.or_else(|| Some(PathBuf::from(format!("/run/user/{}", user?))));
    let rootless = runtime.map(|folder| folder.join("docker.sock"));
    let desktop = set("HOME").map(|home| home.join(".docker"));
    let desktop = desktop.into_iter().flat_map(|docker| {
        ["desktop/docker.sock", "run/docker.sock"].map(|socket| docker.join(socket))
    });
    rootless.into_iter().chain(desktop).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_rootless_engine_listens_in_the_runtime_folder() {
        let get = |name: &str| match name {
            "XDG_RUNTIME_DIR" => Some("/run/mine".to_owned()),
            _ => None,
        };
        assert_eq!(places(get, Some(7)), [Path::new("/run/mine/docker.sock")]);
        let by_user = places(|_| None, Some(1000));
        assert_eq!(by_user, [Path::new("/run/user/1000/docker.sock")]);
        let home = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
        let desktop = Path::new("/home/me/.docker/desktop/docker.sock");
        assert!(places(home, None).iter().any(|place| place == desktop));
    }

    #[test]
    fn only_the_default_socket_gets_a_hint() {
        let far = Endpoint::parse("tcp://h", None).unwrap();
        let named = Endpoint::parse("unix:///nowhere.sock", None).unwrap();
        assert_eq!((hint(&far), hint(&named)), (None, None));
    }
}
