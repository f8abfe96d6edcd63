//! How a store is reached: what is not in its address.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a store is reached. It has secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Access {
    /// Who asks the store.
    pub login: Option<Login>,
    /// The region of an S3 bucket.
    pub region: Option<String>,
    /// The certificates, as PEM, of the only authorities that are trusted. Without it: those of the host.
    pub ca: Option<String>,
    /// What ssh is started with.
    pub ssh: Ssh,
    /// How fast data may be sent and received.
    pub limits: Limits,
    /// How long an operation is tried again if the store does not answer.
    pub patience: Option<Duration>,
}

/// A name and its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The access key ID of S3, or the user of a REST server.
    pub user: String,
    /// The secret access key, or the password.
    pub secret: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

/// What ssh is started with, for SFTP. Its configuration says the rest.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ssh {
    /// The file with the only private key that is tried.
    pub identity_file: Option<PathBuf>,
    /// The file with the keys of servers.
    pub known_hosts_file: Option<PathBuf>,
    /// The variables of its process: the process of a job has none.
    pub environment: BTreeMap<String, String>,
}

impl fmt::Debug for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ssh")
            .field("identity_file", &self.identity_file)
            .field("known_hosts_file", &self.known_hosts_file)
            .finish_non_exhaustive()
    }
}

/// How much may be moved, in bytes a second; without a number, as fast as it goes. A folder has no limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// To the store.
    pub upload: Option<u64>,
    /// From the store.
    pub download: Option<u64>,
}
