//! The credentials of a mount: read from a Secret, added to an engine's mount options, and removed from
//! observed options.
//!
//! No assignment, status, message or record contains them (invariant 9). Those contain a version, from which
//! the credentials cannot be guessed. `Debug` shows no value.

use std::collections::BTreeMap;
use std::fmt;

use dockfleet_crds::volume::CREDENTIALS_LABEL;
use k8s_openapi::api::core::v1::Secret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::desired::hex;
use crate::kinds::repository::PASSWORD_KEY;

/// The key of a host's own Secret under which its agent shares the join token of a swarm.
pub const JOIN_TOKEN_KEY: &str = "swarm-join-token";

/// The key of a host's own Secret under which its agent keeps the key that unlocks its engine.
pub const UNLOCK_KEY_KEY: &str = "swarm-unlock-key";

/// The type of a mount whose options contain a user name and a password.
const CIFS: &str = "cifs";
/// The maximum length in characters that Linux accepts (`CIFS_MAX_USERNAME_LEN` and similar constants in
/// `fs/smb/client/cifsglob.h`).
const MAX_NAME: usize = 255;
const MAX_PASSWORD: usize = 512;
/// Shorter passwords are found by their key only.
const SHORT: usize = 4;
const HIDDEN: &str = "…";

/// What is read of a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretForm {
    /// The credentials of a mount.
    Mount,
    /// The join token of a swarm, in the Secret of the host whose agent shares it.
    JoinToken,
    /// The password of a repository and the credentials of its store.
    Repository,
}

/// The keys of a Secret that a repository and its store may need, as restic names them. The first one is always needed.
const OF_REPOSITORY: [&str; 5] = [
    PASSWORD_KEY,
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "RESTIC_REST_USERNAME",
    "RESTIC_REST_PASSWORD",
];

/// User name and password for a share, or the values for a repository.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    username: String,
    password: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    domain: String,
    /// The values for a repository, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    values: BTreeMap<String, String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// Why a Secret cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Its owner did not allow Dockfleet to copy it to hosts.
    #[error(
        "it is not allowed to leave its namespace; its owner can allow that with the label \
         {CREDENTIALS_LABEL}: \"true\""
    )]
    NotAllowed,
    /// It lacks a key that a mount needs.
    #[error("it has no key {0}; a mount needs the keys username and password; domain is optional")]
    NoKey(&'static str),
    /// It lacks the key that a repository needs.
    #[error(
        "it has no key {PASSWORD_KEY}, or it is empty; write the password of the repository into it"
    )]
    NoPassword,
    /// It has a value that cannot be written into mount options.
    #[error("its key {key} {why}")]
    Unfit {
        /// The key.
        key: &'static str,
        /// What is wrong and what to do, without the value.
        why: &'static str,
    },
}

impl Credentials {
    /// Reads a Secret with the password of a repository and the credentials of its store.
    ///
    /// # Errors
    /// If the Secret is not allowed, or has no password.
    pub fn of_repository(secret: &Secret) -> Result<Self, Unusable> {
        allowed(secret)?;
        let mut values = BTreeMap::new();
        for key in OF_REPOSITORY {
            if let Some(value) = text(secret, key)? {
                // A file, or an editor, adds a line break.
                values.insert(
                    key.to_owned(),
                    value.trim_end_matches(['\r', '\n']).to_owned(),
                );
            }
        }
        values.retain(|_, value| !value.is_empty());
        let password = values.get(PASSWORD_KEY).ok_or(Unusable::NoPassword)?;
        // People compute the passwords of hosts from the first line of a file.
        if password.lines().count() > 1 || password.trim() != password {
            let why =
                "has more than one line, or spaces around it; restic would read another password";
            let key = PASSWORD_KEY;
            return Err(Unusable::Unfit { key, why });
        }
        Ok(Self::of_values(values))
    }

    /// Creates the credentials of a repository.
    pub(crate) fn of_values(values: BTreeMap<String, String>) -> Self {
        Self {
            values,
            ..Self::default()
        }
    }

    /// Returns the values for a repository, by key.
    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// Reads a Secret with the keys `username`, `password` and `domain`, as type
    /// `kubernetes.io/basic-auth` has the first two.
    ///
    /// # Errors
    /// If the Secret is not allowed, not complete, or not fit for mount options.
    pub fn of(secret: &Secret) -> Result<Self, Unusable> {
        allowed(secret)?;
        let text = |key| text(secret, key);
        let credentials = Self {
            username: text("username")?.ok_or(Unusable::NoKey("username"))?,
            password: text("password")?.ok_or(Unusable::NoKey("password"))?,
            domain: text("domain")?.unwrap_or_default(),
            values: BTreeMap::new(),
        };
        fit("username", &credentials.username, MAX_NAME)?;
        fit("password", &credentials.password, MAX_PASSWORD)?;
        fit("domain", &credentials.domain, MAX_NAME)?;
        if credentials.username.contains('\\') {
            let why = "has a backslash, which Linux treats as a part of the name; write the \
                       domain into the key domain";
            let key = "username";
            return Err(Unusable::Unfit { key, why });
        }
        Ok(credentials)
    }

    /// Adds the credentials to mount options.
    pub fn put_into(&self, options: &mut BTreeMap<String, String>) {
        let mut o = options.remove("o").unwrap_or_default();
        let all = [
            ("username", &self.username),
            ("password", &self.password),
            ("domain", &self.domain),
        ];
        for (key, value) in all.into_iter().filter(|(_, value)| !value.is_empty()) {
            if !o.is_empty() {
                o.push(',');
            }
            o.push_str(key);
            o.push('=');
            o.push_str(value);
        }
        options.insert("o".to_owned(), o);
    }

    /// Returns the password or token.
    pub fn secret(&self) -> &str {
        &self.password
    }

    /// Hides the password in a text. A very short password is not searched for: it would be found in ordinary
    /// words.
    pub fn hidden_in(&self, text: &str) -> String {
        if self.password.chars().count() < SHORT {
            return text.to_owned();
        }
        // Plain, and as it is escaped in a quoted text.
        let quoted = self.password.escape_debug().to_string();
        text.replace(&self.password, HIDDEN)
            .replace(&quoted, HIDDEN)
    }

    /// Takes the credentials out of the options of a volume, so that the rest can be shown. A volume has
    /// credentials if it has one of the keys, with or without a value.
    pub fn take_out(options: &mut BTreeMap<String, String>) -> Option<Self> {
        if options.get("type").map(String::as_str) != Some(CIFS) {
            return None;
        }
        let o = options.get("o")?;
        let mut found = Self::default();
        let mut seen = [false; 3];
        let mut rest = Vec::new();
        for item in o.split(',') {
            let (key, value) = item.split_once('=').unwrap_or((item, ""));
            let [username, password, domain] = &mut seen;
            let place = match key {
                "username" => Some((username, &mut found.username)),
                "password" => Some((password, &mut found.password)),
                "domain" => Some((domain, &mut found.domain)),
                _ => None,
            };
            match place {
                Some((seen, place)) if !*seen => {
                    *seen = true;
                    value.clone_into(place);
                }
                _ => rest.push(item),
            }
        }
        if !seen.contains(&true) {
            return None;
        }
        let rest = rest.join(",");
        if rest.is_empty() {
            options.remove("o");
        } else {
            options.insert("o".to_owned(), rest);
        }
        Some(found)
    }
}

/// Checks that the owner of a Secret allowed Dockfleet to copy it to hosts.
fn allowed(secret: &Secret) -> Result<(), Unusable> {
    let labels = secret.metadata.labels.as_ref();
    let label = labels.and_then(|l| l.get(CREDENTIALS_LABEL));
    if label.map(String::as_str) == Some("true") {
        Ok(())
    } else {
        Err(Unusable::NotAllowed)
    }
}

fn text(secret: &Secret, key: &'static str) -> Result<Option<String>, Unusable> {
    // `stringData` takes precedence, as in an API server.
    if let Some(text) = secret.string_data.as_ref().and_then(|d| d.get(key)) {
        return Ok(Some(text.clone()));
    }
    let Some(bytes) = secret.data.as_ref().and_then(|d| d.get(key)) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes.0).map_err(|_| Unusable::Unfit {
        key,
        why: "is not text in UTF-8; write it again",
    })?;
    Ok(Some(text.to_owned()))
}

/// Checks a value. Mount options are one text in which a comma ends an option, and Linux has no escape for it
/// that always works.
fn fit(key: &'static str, value: &str, most: usize) -> Result<(), Unusable> {
    let why = if value.is_empty() && key != "domain" {
        "is empty; write it, or leave out credentialsSecret to mount as a guest"
    } else if value.ends_with('\n') {
        "ends in a line break; write it without one, as `kubectl create secret --from-literal` does"
    } else if value.contains(',') {
        "has a comma, which ends an option of a mount; choose another value on the server"
    } else if value.chars().any(char::is_control) {
        "has a control character, such as a line break; write it without one"
    } else if value.chars().count() > most {
        "is longer than Linux accepts: 512 characters of a password, 255 of a name or domain"
    } else {
        return Ok(());
    };
    Err(Unusable::Unfit { key, why })
}

/// Returns the version of the credentials in a Secret: a hash of the Secret's UID and resource version. From
/// a hash of its values, readers of an assignment could guess the password.
pub fn version(uid: &str, resource_version: &str) -> String {
    hex(&Sha256::digest(format!("{uid}\0{resource_version}")), 8)
}

/// The credentials of one resource with their version, as a host's own Secret contains them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialEntry {
    /// Version, which the entry of the resource also has.
    pub version: String,
    /// The credentials.
    pub credentials: Credentials,
}

impl CredentialEntry {
    /// Returns the join token or the unlock key of a swarm in the form of credentials. A token is long and random, so its
    /// hash does not help to guess it.
    pub fn of_token(token: &str) -> Self {
        Self {
            version: hex(&Sha256::digest(token), 8),
            credentials: Credentials {
                password: token.to_owned(),
                ..Credentials::default()
            },
        }
    }

    /// Reads the join token, or the unlock key, in the Secret of a host.
    pub fn of_host(secret: &Secret, key: &str) -> Option<Self> {
        Self::unpacked(&secret.data.as_ref()?.get(key)?.0)
    }

    /// Returns the form in which a Secret contains it.
    pub fn packed(&self) -> Vec<u8> {
        // Structs of strings always become JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a value of a Secret; `None` if it has another form. There is no error text, because it would
    /// quote the value.
    pub fn unpacked(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// The credentials that an agent has read, by the UID of the resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialStore {
    entries: BTreeMap<String, CredentialEntry>,
    /// Why credentials may be missing, in a sentence.
    pub error: Option<String>,
}

impl CredentialStore {
    /// Creates an empty store.
    pub const fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            error: None,
        }
    }

    /// Adds the credentials of a resource.
    pub fn insert(&mut self, uid: String, entry: CredentialEntry) {
        self.entries.insert(uid, entry);
    }

    /// Removes the credentials of the resources that `keep` does not name.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.entries.retain(|uid, _| keep(uid));
    }

    /// Returns the credentials of a resource in the version that there is.
    pub fn newest(&self, uid: &str) -> Option<&Credentials> {
        self.entries.get(uid).map(|entry| &entry.credentials)
    }

    /// Returns the credentials of a resource, if they have this version.
    pub fn get(&self, uid: &str, version: &str) -> Option<&Credentials> {
        let entry = self.entries.get(uid)?;
        (entry.version == version).then_some(&entry.credentials)
    }
}

#[cfg(test)]
mod tests;
