//! Where a repository is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use hyper::Uri;
use serde::{Deserialize, Serialize};

/// The address of a repository, written as restic writes it. It has no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Address {
    /// A folder of this host.
    Path(PathBuf),
    /// A bucket of an S3 server.
    S3(S3Address),
    /// A REST server of restic.
    Rest(RestAddress),
    /// A folder behind an ssh server.
    Sftp(SftpAddress),
}

/// A bucket of an S3 server, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Address {
    /// Scheme, host and port, such as `https://s3.example.com`.
    pub endpoint: String,
    /// The name of the bucket.
    pub bucket: String,
    /// What the names of all objects begin with, without a slash at its end; may be empty.
    #[serde(default)]
    pub prefix: String,
}

/// A folder of a REST server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestAddress {
    /// Scheme, host and port, such as `https://backup.example.com:8000`.
    pub server: String,
    /// The path, without slashes at its ends; may be empty.
    #[serde(default)]
    pub path: String,
}

/// A folder behind an ssh server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SftpAddress {
    /// The user; without one, the configuration of ssh says it.
    #[serde(default)]
    pub user: Option<String>,
    /// The host, or its name in the configuration of ssh.
    pub host: String,
    /// The port; without one, the configuration of ssh says it.
    #[serde(default)]
    pub port: Option<u16>,
    /// The folder; one that is not absolute is in the home folder of the user.
    pub path: String,
}

/// Why a text is not an address. The text itself is not in it: it may have a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is in none of the forms.
    #[error(
        "not a repository; give the absolute path of a folder, such as /backup, s3:https://HOST[:PORT]/BUCKET[/PREFIX] , rest:https://HOST[:PORT]/PATH or sftp:USER@HOST:/PATH"
    )]
    Unknown,
    /// User or password are in it.
    #[error(
        "user and password do not belong in the address, where other processes see them; use --credentials-file"
    )]
    Credentials,
    /// The address of a server lacks a part, or has too many.
    #[error("{0}")]
    Incomplete(&'static str),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = text.strip_prefix("s3:") {
            return s3(rest).map(Self::S3);
        }
        if let Some(rest) = text.strip_prefix("rest:") {
            let (server, path) = server(rest)?;
            return Ok(Self::Rest(RestAddress { server, path }));
        }
        if let Some(rest) = text.strip_prefix("sftp:") {
            return sftp(rest).map(Self::Sftp);
        }
        let path = PathBuf::from(text);
        if path.is_absolute() {
            Ok(Self::Path(path))
        } else {
            Err(AddressError::Unknown)
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::S3(s3) => write!(f, "s3:{s3}"),
            Self::Rest(rest) => write!(f, "rest:{rest}"),
            Self::Sftp(sftp) => write!(f, "{sftp}"),
        }
    }
}

impl fmt::Display for S3Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.endpoint, self.bucket)?;
        match self.prefix.as_str() {
            "" => Ok(()),
            prefix => write!(f, "/{prefix}"),
        }
    }
}

impl fmt::Display for RestAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "{}/", self.server),
            path => write!(f, "{}/{path}/", self.server),
        }
    }
}

impl fmt::Display for SftpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_ref().map(|user| format!("{user}@"));
        let user = user.unwrap_or_default();
        let Self { host, path, .. } = self;
        // The colons of an IPv6 address.
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.clone()
        };
        match self.port {
            None => write!(f, "sftp:{user}{host}:{path}"),
            Some(port) => write!(f, "sftp://{user}{host}:{port}/{path}"),
        }
    }
}

/// Reads `[user@]host:path`, `[user@]host:port:/path` or `//[user@]host[:port]/path`, in which an absolute path has two
/// slashes.
fn sftp(text: &str) -> Result<SftpAddress, AddressError> {
    let incomplete = AddressError::Incomplete(
        "the address of an ssh server is sftp:[USER@]HOST:/PATH or sftp://[USER@]HOST:PORT//PATH",
    );
    let url = text.strip_prefix("//");
    let (user, rest) = match url.unwrap_or(text).split_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, text.trim_start_matches("//")),
    };
    if user.is_some_and(|user| user.contains(':')) {
        return Err(AddressError::Credentials);
    }
    let (host, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest),
        None => rest.split_at(rest.find([':', '/']).unwrap_or(rest.len())),
    };
    let port_and_path = match (url, rest.strip_prefix(':')) {
        (Some(_), Some(rest)) => rest.split_once('/').map(|(port, path)| (Some(port), path)),
        (Some(_), None) => rest.strip_prefix('/').map(|path| (None, path)),
        (None, Some(rest)) => Some(match rest.split_once(":/") {
            Some((port, _)) if port.parse::<u16>().is_ok() => {
                (Some(port), rest.get(port.len() + 1..).unwrap_or_default())
            }
            _ => (None, rest),
        }),
        (None, None) => None,
    };
    let Some((port, path)) = port_and_path.filter(|(_, path)| !path.is_empty()) else {
        return Err(incomplete);
    };
    // Nothing that ssh could take for an option.
    let is_option = |text: &str| text.is_empty() || text.starts_with('-');
    let port = port.map(str::parse).transpose();
    let (false, false, Ok(port)) = (is_option(host), user.is_some_and(is_option), port) else {
        return Err(incomplete);
    };
    Ok(SftpAddress {
        user: user.map(str::to_owned),
        host: host.to_owned(),
        port,
        path: path.to_owned(),
    })
}

/// Reads `[https://]host[:port]/bucket[/prefix]`.
fn s3(text: &str) -> Result<S3Address, AddressError> {
    let (server, path) = server(text.trim_start_matches("//"))?;
    let (bucket, prefix) = path.split_once('/').unwrap_or((&path, ""));
    if bucket.is_empty() {
        return Err(AddressError::Incomplete(
            "the address of an S3 server needs a bucket: s3:https://HOST[:PORT]/BUCKET[/PREFIX]",
        ));
    }
    Ok(S3Address {
        endpoint: server,
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    })
}

/// Splits the URL of a server into `scheme://host[:port]` and a path without slashes at its ends. Without a scheme it is
/// https.
fn server(text: &str) -> Result<(String, String), AddressError> {
    let url = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    let (_, rest) = url.split_once("://").unwrap_or_default();
    if rest
        .split('/')
        .next()
        .is_some_and(|host| host.contains('@'))
    {
        return Err(AddressError::Credentials);
    }
    let url: Uri = url.parse().map_err(|_| AddressError::Unknown)?;
    let scheme = url.scheme_str().filter(|s| matches!(*s, "http" | "https"));
    let host = url.authority().filter(|host| !host.host().is_empty());
    let (Some(scheme), Some(host)) = (scheme, host) else {
        return Err(AddressError::Incomplete(
            "the address of a server begins with https:// or http:// and a host",
        ));
    };
    if url.query().is_some() {
        return Err(AddressError::Incomplete(
            "the address of a server has no part after a question mark",
        ));
    }
    Ok((
        format!("{scheme}://{host}"),
        url.path().trim_matches('/').to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_restic() {
        for (text, shown) in [
            ("/backup", "/backup"),
            (
                "s3:https://s3.example.com/bucket",
                "s3:https://s3.example.com/bucket",
            ),
            (
                "s3:s3.example.com/bucket/a/b/",
                "s3:https://s3.example.com/bucket/a/b",
            ),
            (
                "s3://s3.example.com/bucket",
                "s3:https://s3.example.com/bucket",
            ),
            (
                "s3:http://[fd00::1]:9000/bucket",
                "s3:http://[fd00::1]:9000/bucket",
            ),
            (
                "rest:https://backup.example.com:8000",
                "rest:https://backup.example.com:8000/",
            ),
            ("rest:http://10.1.2.3/a/b", "rest:http://10.1.2.3/a/b/"),
            ("sftp:nas:backup", "sftp:nas:backup"),
            ("sftp:me@nas:/backup/a", "sftp:me@nas:/backup/a"),
            ("sftp:me@nas:2222:/backup", "sftp://me@nas:2222//backup"),
            ("sftp://nas//backup", "sftp:nas:/backup"),
            ("sftp://me@nas:2222/backup", "sftp://me@nas:2222/backup"),
            ("sftp:me@[fd00::1]:/backup", "sftp:me@[fd00::1]:/backup"),
            ("sftp://[fd00::1]:22//backup", "sftp://[fd00::1]:22//backup"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(address.to_string().parse(), Ok(address.clone()));
            let json = serde_json::to_string(&address).unwrap();
            assert_eq!(serde_json::from_str::<Address>(&json).unwrap(), address);
        }
    }

    #[test]
    fn i9_what_is_wrong_is_told_without_the_text() {
        for text in [
            "",
            "backup",
            "s3:https://s3.example.com",
            "s3:https://key:canary@s3.example.com/bucket",
            "rest:https://user:canary@backup.example.com/",
            "rest:",
            "sftp://me:canary@nas//backup",
            "sftp:nas",
            "sftp:nas:",
            "sftp:-oProxyCommand=canary:/backup",
            "sftp:-oProxyCommand=canary@nas:/backup",
            "sftp://nas:canary//backup",
            "s3:ftp://s3.example.com/bucket",
            "s3:https://s3.example.com/bucket?secret=canary",
        ] {
            let err = text.parse::<Address>().unwrap_err();
            assert!(!err.to_string().contains("canary"), "{err}");
        }
        let with_password = "s3:https://key:canary@s3.example.com/bucket";
        let parsed = with_password.parse::<Address>();
        assert_eq!(parsed, Err(AddressError::Credentials));
    }
}
