//! The engine that the Docker command line would use: from `DOCKER_HOST`, `DOCKER_CONTEXT`, or the
//! current context in its configuration.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use dockfleet_agent::engine::Endpoint;
use dockfleet_planner::desired::hex;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The context that means the variables and the default socket.
const DEFAULT: &str = "default";
const TLS_FILES: [&str; 3] = ["ca.pem", "cert.pem", "key.pem"];

/// An engine, and its context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Local {
    pub(super) endpoint: Endpoint,
    /// Name of the context, or `None` for variables or the default socket.
    pub(super) context: Option<String>,
}

/// The used parts of `config.json`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    current_context: String,
}

/// `meta.json` of a context.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    #[serde(default)]
    endpoints: Endpoints,
}

#[derive(Default, Deserialize)]
struct Endpoints {
    docker: Option<DockerEndpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerEndpoint {
    #[serde(default)]
    host: String,
    #[serde(default, rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

/// Returns the engine from the environment of this process.
pub(super) fn local() -> anyhow::Result<Local> {
    by_variables(|name| std::env::var(name).ok())
}

fn by_variables(get: impl Fn(&str) -> Option<String>) -> anyhow::Result<Local> {
    let get = |name: &str| get(name).filter(|value| !value.is_empty());
    let without = || -> anyhow::Result<Local> {
        Ok(Local {
            endpoint: Endpoint::from_variables(get)?,
            context: None,
        })
    };
    if get("DOCKER_HOST").is_some() {
        return without();
    }
    let home = || get("HOME").map(|home| PathBuf::from(home).join(".docker"));
    let folder = get("DOCKER_CONFIG").map(PathBuf::from).or_else(home);
    let (name, whence) = match (get("DOCKER_CONTEXT"), &folder) {
        (Some(name), _) => (name, "DOCKER_CONTEXT".to_owned()),
        (None, Some(folder)) => {
            let file = folder.join("config.json");
            (current(&file)?, file.display().to_string())
        }
        (None, None) => return without(),
    };
    if name.is_empty() || name == DEFAULT {
        return without();
    }
    let Some(folder) = folder else {
        bail!(
            "DOCKER_CONTEXT is {name:?}, and the folder of contexts is not known; set HOME or DOCKER_CONFIG"
        );
    };
    let endpoint = endpoint(&folder.join("contexts"), &name).with_context(|| {
        format!(
            "Docker context {name:?} ({whence}) cannot be used; set DOCKER_HOST to work without it"
        )
    })?;
    Ok(Local {
        endpoint: endpoint.unwrap_or(Endpoint::from_variables(|_| None)?),
        context: Some(name),
    })
}

/// Returns the name of the current context. Empty if there is none.
fn current(file: &Path) -> anyhow::Result<String> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(err) if matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(String::new());
        }
        Err(err) => return Err(err).with_context(|| unread(file)),
    };
    // The file also has credentials, which an error would quote.
    let config: Config = serde_json::from_str(&text)
        .map_err(|err| anyhow::anyhow!("it is not valid JSON (line {})", err.line()))
        .with_context(|| unread(file))?;
    Ok(config.current_context)
}

fn unread(file: &Path) -> String {
    format!(
        "{} cannot be read, so it is not known which engine the Docker command line would use; set \
         DOCKER_HOST, or DOCKER_CONTEXT=default",
        file.display()
    )
}

/// Returns the endpoint of a context, or `None` for the default socket.
fn endpoint(contexts: &Path, name: &str) -> anyhow::Result<Option<Endpoint>> {
    let id = hex(&Sha256::digest(name), 32);
    let file = contexts.join("meta").join(&id).join("meta.json");
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(err) if err.kind() == ErrorKind::NotFound => {
            bail!("there is no such context in {}", contexts.display())
        }
        Err(err) => return Err(err).with_context(|| file.display().to_string()),
    };
    let meta: Meta = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
    let docker = meta
        .endpoints
        .docker
        .context("it has no endpoint for Docker")?;
    if docker.host.is_empty() {
        return Ok(None);
    }
    ensure!(
        !docker.skip_tls_verify,
        "it skips the verification of the engine's certificate, which Dockfleet requires"
    );
    let certs = certificates(&contexts.join("tls").join(&id).join("docker"))?;
    let over_tcp = ["tcp://", "http://", "https://"];
    let over_tcp = over_tcp
        .iter()
        .any(|scheme| docker.host.starts_with(scheme));
    // The Docker command line ignores them for other endpoints.
    let certs = certs.filter(|_| over_tcp);
    Ok(Some(Endpoint::parse(&docker.host, certs)?))
}

/// Returns the folder with the certificates of a context, if it has any.
fn certificates(folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    let (found, lacking): (Vec<&str>, Vec<&str>) = TLS_FILES
        .into_iter()
        .partition(|file| folder.join(file).exists());
    if found.is_empty() {
        return Ok(None);
    }
    ensure!(
        lacking.is_empty(),
        "{} lacks {}; TLS needs all of {}",
        folder.display(),
        lacking.join(" and "),
        TLS_FILES.join(", ")
    );
    Ok(Some(folder.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A home with the contexts `far` (TLS), `near` (a socket), `shell` (ssh), and invalid ones.
    struct Home(tempfile::TempDir);

    impl Home {
        fn new(current: &str) -> Self {
            let home = Self(tempfile::tempdir().unwrap());
            home.write("config.json", current);
            home.context("far", r#"{"docker": {"Host": "tcp://far.example"}}"#);
            for file in TLS_FILES {
                home.write(
                    &format!("contexts/tls/{}/docker/{file}", Self::id("far")),
                    "",
                );
            }
            home.context(
                "near",
                r#"{"docker": {"Host": "unix:///run/near.sock", "SkipTLSVerify": false}}"#,
            );
            home.context("shell", r#"{"docker": {"Host": "ssh://me@there"}}"#);
            home.context("here", r#"{"docker": {"Host": ""}}"#);
            home.context(
                "loose",
                r#"{"docker": {"Host": "tcp://h:2376", "SkipTLSVerify": true}}"#,
            );
            home.context("half", r#"{"docker": {"Host": "tcp://h:2376"}}"#);
            home.write(
                &format!("contexts/tls/{}/docker/ca.pem", Self::id("half")),
                "",
            );
            home.context(
                "windows",
                r#"{"docker": {"Host": "npipe:////./pipe/docker_engine"}}"#,
            );
            home.context("cluster", r#"{"kubernetes": {}}"#);
            home
        }

        fn id(name: &str) -> String {
            hex(&Sha256::digest(name), 32)
        }

        fn write(&self, file: &str, text: &str) {
            let path = self.0.path().join(".docker").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn context(&self, name: &str, endpoints: &str) {
            let text =
                format!(r#"{{"Name": "{name}", "Metadata": {{}}, "Endpoints": {endpoints}}}"#);
            self.write(
                &format!("contexts/meta/{}/meta.json", Self::id(name)),
                &text,
            );
        }

        fn with(&self, variables: &[(&str, &str)]) -> Result<(String, Option<String>), String> {
            let home = self.0.path().display().to_string();
            let found = by_variables(|name| {
                let found = variables.iter().find(|(n, _)| *n == name);
                let found = found.map(|(_, value)| (*value).to_owned());
                found.or_else(|| (name == "HOME").then(|| home.clone()))
            });
            found
                .map(|l| (l.endpoint.to_string(), l.context))
                .map_err(|err| format!("{err:#}"))
        }

        fn leads(&self, variables: &[(&str, &str)]) -> (String, Option<String>) {
            self.with(variables).unwrap()
        }
    }

    fn at(endpoint: &str, context: Option<&str>) -> (String, Option<String>) {
        (endpoint.to_owned(), context.map(str::to_owned))
    }

    const SOCKET: &str = "unix:///var/run/docker.sock";

    #[test]
    fn the_context_is_that_of_the_docker_command_line() {
        let home = Home::new(r#"{"auths": {}, "currentContext": "far"}"#);
        assert_eq!(home.leads(&[]), at("tcp://far.example:2376", Some("far")));
        let near = ("DOCKER_CONTEXT", "near");
        assert_eq!(
            home.leads(&[near]),
            at("unix:///run/near.sock", Some("near"))
        );
        let shell = home.leads(&[("DOCKER_CONTEXT", "shell")]);
        assert_eq!(shell, at("ssh://me@there", Some("shell")));
        let here = home.leads(&[("DOCKER_CONTEXT", "here")]);
        assert_eq!(here, at(SOCKET, Some("here")));
        assert_eq!(
            home.leads(&[("DOCKER_CONTEXT", "default")]),
            at(SOCKET, None)
        );
        // An empty variable counts as not set.
        let empty = home.leads(&[("DOCKER_CONTEXT", ""), ("DOCKER_HOST", "")]);
        assert_eq!(empty, home.leads(&[]));
        let host = ("DOCKER_HOST", "unix:///other.sock");
        assert_eq!(home.leads(&[near, host]), at("unix:///other.sock", None));
        // TLS variables apply only to `DOCKER_HOST`.
        assert_eq!(
            home.leads(&[near, ("DOCKER_TLS_VERIFY", "1")]),
            home.leads(&[near])
        );
    }

    #[test]
    fn certificates_of_a_context_are_found() {
        let home = Home::new("{}");
        let folder = home.0.path().join(".docker/contexts");
        let Ok(Some(Endpoint::Tcp {
            certs: Some(certs), ..
        })) = endpoint(&folder, "far")
        else {
            panic!("no certificates");
        };
        assert!(certs.join("key.pem").exists());
    }

    #[test]
    fn without_a_context_it_is_the_socket() {
        for config in [
            "{}",
            r#"{"currentContext": ""}"#,
            r#"{"currentContext": "default"}"#,
        ] {
            assert_eq!(Home::new(config).leads(&[]), at(SOCKET, None), "{config}");
        }
        let bare = Home(tempfile::tempdir().unwrap());
        assert_eq!(bare.leads(&[]), at(SOCKET, None));
    }

    #[test]
    fn a_context_that_cannot_be_used_is_reported() {
        let home = Home::new("{}");
        for (name, part) in [
            ("nosuch", "no such context"),
            ("../far", "no such context"),
            ("loose", "skips the verification"),
            ("half", "lacks cert.pem and key.pem"),
            ("windows", "has no known form"),
            ("cluster", "no endpoint for Docker"),
        ] {
            let error = home.with(&[("DOCKER_CONTEXT", name)]).unwrap_err();
            assert!(error.contains(part), "{error}");
            assert!(
                error.contains(name) && error.contains("set DOCKER_HOST"),
                "{error}"
            );
        }
        let broken = Home::new("{\"auths\": hunter2");
        let error = broken.with(&[]).unwrap_err();
        assert!(error.contains("config.json cannot be read"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        assert!(broken.with(&[("DOCKER_HOST", SOCKET)]).is_ok());
        assert!(broken.with(&[("DOCKER_CONTEXT", "default")]).is_ok());
    }
}
