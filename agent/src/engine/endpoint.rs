//! Where an engine listens, in the forms of `DOCKER_HOST`.

use std::fmt;
use std::path::PathBuf;

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// Default ports of the Docker CLI.
const PLAIN_PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP socket.
    Tcp {
        /// Host and port, such as `docker-3:2376`.
        address: String,
        /// Folder with `ca.pem`, `cert.pem` and `key.pem`; no TLS if left out.
        certs: Option<PathBuf>,
    },
    /// `docker system dial-stdio` behind ssh: the destination, such as `admin@docker-3`.
    Ssh(String),
}

/// Why a text is not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It has no known form.
    #[error(
        "endpoint {0:?} has no known form; write unix:///path, tcp://host:port or ssh://user@host"
    )]
    Form(String),
    /// It contains a password.
    #[error("an endpoint cannot carry a password; use an ssh key or certificates")]
    Password,
    /// It has a path, and its form has none.
    #[error("endpoint {0:?} has a path, which a tcp or ssh endpoint cannot have; remove it")]
    Path(String),
    /// It has certificates and is not TCP.
    #[error("certificates are only for tcp endpoints, and {0:?} is not one")]
    Certificates(String),
    /// It needs TLS and has no certificates.
    #[error(
        "TLS is enabled, but the folder with the certificates is not known; set DOCKER_CERT_PATH"
    )]
    NoCertificates,
}

impl Endpoint {
    /// Reads an endpoint in one of the forms of `DOCKER_HOST`; `certs` is the folder of the
    /// certificates for TLS.
    pub fn parse(text: &str, certs: Option<PathBuf>) -> Result<Self, EndpointError> {
        let form = || EndpointError::Form(without_user(text));
        let (scheme, rest) = text.split_once("://").ok_or_else(form)?;
        let endpoint = match scheme {
            "unix" if rest.starts_with('/') && certs.is_some() => {
                return Err(EndpointError::Certificates(text.to_owned()));
            }
            "unix" if rest.starts_with('/') => Self::Unix(PathBuf::from(rest)),
            "tcp" | "http" | "https" => {
                if scheme == "https" && certs.is_none() {
                    return Err(EndpointError::NoCertificates);
                }
                let authority = authority(text, rest)?;
                if authority.contains('@') {
                    return Err(EndpointError::Password);
                }
                let port = if certs.is_some() {
                    TLS_PORT
                } else {
                    PLAIN_PORT
                };
                Self::Tcp {
                    address: with_port(authority, port),
                    certs,
                }
            }
            "ssh" if certs.is_some() => {
                return Err(EndpointError::Certificates(without_user(text)));
            }
            "ssh" => {
                let authority = authority(text, rest)?;
                if authority
                    .split_once('@')
                    .is_some_and(|(user, _)| user.contains(':'))
                {
                    return Err(EndpointError::Password);
                }
                Self::Ssh(authority.to_owned())
            }
            _ => return Err(form()),
        };
        Ok(endpoint)
    }

    /// Returns the endpoint that the Docker CLI would use in the environment of this process.
    pub fn from_env() -> Result<Self, EndpointError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// Returns the endpoint that the Docker CLI would use with these variables: `DOCKER_HOST`,
    /// `DOCKER_TLS_VERIFY`, `DOCKER_CERT_PATH`, `DOCKER_CONFIG` and `HOME`.
    pub fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Self, EndpointError> {
        let get = |name| get(name).filter(|value| !value.is_empty());
        let Some(host) = get("DOCKER_HOST") else {
            return Ok(Self::Unix(PathBuf::from(DEFAULT_SOCKET)));
        };
        let over_tcp = ["tcp://", "http://", "https://"]
            .iter()
            .any(|s| host.starts_with(s));
        let certs = if over_tcp && get("DOCKER_TLS_VERIFY").is_some() {
            let folder = get("DOCKER_CERT_PATH")
                .or_else(|| get("DOCKER_CONFIG"))
                .map(PathBuf::from)
                .or_else(|| get("HOME").map(|home| PathBuf::from(home).join(".docker")));
            Some(folder.ok_or(EndpointError::NoCertificates)?)
        } else {
            None
        };
        Self::parse(&host, certs)
    }
}

/// Returns host and port; at most one slash may follow.
fn authority<'a>(text: &str, rest: &'a str) -> Result<&'a str, EndpointError> {
    let authority = match rest.split_once('/') {
        Some((authority, "")) => authority,
        Some(_) => return Err(EndpointError::Path(without_user(text))),
        None => rest,
    };
    if authority.is_empty() || authority.contains(char::is_whitespace) {
        return Err(EndpointError::Form(without_user(text)));
    }
    Ok(authority)
}

fn with_port(authority: &str, port: u16) -> String {
    // The colons of an IPv6 address are in brackets.
    let after_host = authority
        .rsplit_once(']')
        .map_or(authority, |(_, rest)| rest);
    if after_host.contains(':') {
        authority.to_owned()
    } else {
        format!("{authority}:{port}")
    }
}

/// Returns a text without user and password.
fn without_user(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        (None, Some((_, host))) => format!("…@{host}"),
        (_, None) => text.to_owned(),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { address, .. } => write!(f, "tcp://{address}"),
            Self::Ssh(destination) => write!(f, "ssh://{destination}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Endpoint, EndpointError};

    fn from(variables: &[(&str, &str)]) -> Result<Endpoint, EndpointError> {
        Endpoint::from_variables(|name| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        })
    }

    #[test]
    fn without_variables_it_is_the_socket() {
        let socket = Endpoint::Unix(PathBuf::from("/var/run/docker.sock"));
        assert_eq!(from(&[]), Ok(socket.clone()));
        assert_eq!(from(&[("DOCKER_HOST", "")]), Ok(socket.clone()));
        assert_eq!(
            from(&[("DOCKER_TLS_VERIFY", "1"), ("HOME", "/root")]),
            Ok(socket)
        );
    }

    #[test]
    fn tls_is_switched_on_by_a_variable_that_is_not_empty() {
        let tcp = |certs: Option<&str>, port: &str| Endpoint::Tcp {
            address: format!("h:{port}"),
            certs: certs.map(PathBuf::from),
        };
        let host = ("DOCKER_HOST", "tcp://h");
        assert_eq!(from(&[host]), Ok(tcp(None, "2375")));
        assert_eq!(
            from(&[host, ("DOCKER_TLS_VERIFY", "")]),
            Ok(tcp(None, "2375"))
        );
        let verify = ("DOCKER_TLS_VERIFY", "1");
        assert_eq!(
            from(&[host, verify, ("HOME", "/u")]),
            Ok(tcp(Some("/u/.docker"), "2376"))
        );
        let path = ("DOCKER_CERT_PATH", "/certs");
        assert_eq!(
            from(&[host, verify, path, ("HOME", "/u")]),
            Ok(tcp(Some("/certs"), "2376"))
        );
        assert_eq!(from(&[host, verify]), Err(EndpointError::NoCertificates));
    }

    #[test]
    fn every_form_is_shown_as_it_was_written() {
        for text in [
            "unix:///run/d.sock",
            "tcp://[fd00::1]:2375",
            "ssh://admin@docker-3",
        ] {
            let endpoint = Endpoint::parse(text, None).unwrap();
            assert_eq!(endpoint.to_string(), text);
        }
    }

    #[test]
    fn parts_that_would_be_ignored_are_refused() {
        let parse = |text| Endpoint::parse(text, None).unwrap_err();
        assert!(matches!(
            parse("ssh://h/run/docker.sock"),
            EndpointError::Path(_)
        ));
        assert!(matches!(parse("tcp://h:1/x"), EndpointError::Path(_)));
        assert!(matches!(parse("docker"), EndpointError::Form(_)));
        assert!(matches!(parse("fd://"), EndpointError::Form(_)));
        assert!(matches!(parse("unix://relative"), EndpointError::Form(_)));
    }

    #[test]
    fn no_error_shows_a_password() {
        for text in [
            "ssh://u:hunter2@h",
            "tcp://u:hunter2@h:1",
            "what://u:hunter2@h",
            "u:hunter2@h",
        ] {
            let err = Endpoint::parse(text, None).unwrap_err();
            assert!(!format!("{err}").contains("hunter2"), "{err}");
        }
    }
}
