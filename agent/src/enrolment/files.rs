//! The files of a credential, each written atomically and readable only by its owner.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::kubeconfig::Proof;
use super::{Enrolment, EnrolmentError, KubeconfigError, Token};
use crate::durable_file;

const KUBECONFIG: &str = "kubeconfig";
const TOKEN: &str = "token";

/// The credential files in the state folder of an agent.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// Names the folder, without creating it.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Returns the host of this agent, if it has joined a fleet.
    pub fn enrolment(&self) -> Result<Option<Enrolment>, EnrolmentError> {
        let path = self.dir.join(KUBECONFIG);
        let Some(text) = read(&path)? else {
            return Ok(None);
        };
        let (enrolment, _) = Enrolment::from_kubeconfig(&text)
            .map_err(|source| EnrolmentError::Kubeconfig { path, source })?;
        Ok(Some(enrolment))
    }

    /// Returns the token, if there is a valid one.
    pub fn token(&self) -> Result<Option<Token>, EnrolmentError> {
        Ok(read(&self.dir.join(TOKEN))?.and_then(|text| Token::parse(&text)))
    }

    /// Writes the token.
    pub fn set_token(&self, token: &Token) -> Result<(), EnrolmentError> {
        self.write(TOKEN, token.expose())
    }

    /// Writes the host of this agent and its first token. A folder of another host is refused, because the
    /// journal in it belongs to that host.
    pub fn enrol(&self, enrolment: &Enrolment, token: &Token) -> Result<(), EnrolmentError> {
        self.check(enrolment)?;
        let created = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir);
        created.map_err(|source| self.io("", source))?;
        // The token first, so that a kubeconfig is never without a token.
        self.set_token(token)?;
        let text = enrolment.to_kubeconfig_with_file(&self.token_path()?);
        self.write(KUBECONFIG, &text)
    }

    /// Checks that the folder belongs to this host or to none.
    pub fn check(&self, enrolment: &Enrolment) -> Result<(), EnrolmentError> {
        match self.enrolment()? {
            Some(before) if before.which() != enrolment.which() => Err(EnrolmentError::OtherHost {
                path: self.dir.join(KUBECONFIG),
                found: before.which(),
                asked: enrolment.which(),
            }),
            _ => Ok(()),
        }
    }

    /// Returns the client configuration. The client reads the token from the file whenever it needs it.
    pub async fn config(&self, enrolment: &Enrolment) -> Result<kube::Config, EnrolmentError> {
        let token = self.token_path()?;
        let config = enrolment.config(&Proof::File(&token)).await;
        config.map_err(|source| self.broken(source))
    }

    pub(super) fn broken(&self, source: KubeconfigError) -> EnrolmentError {
        EnrolmentError::Kubeconfig {
            path: self.dir.join(KUBECONFIG),
            source,
        }
    }

    fn token_path(&self) -> Result<String, EnrolmentError> {
        // Other programs read the kubeconfig from another working directory.
        let path = std::path::absolute(self.dir.join(TOKEN)).map_err(|e| self.io(TOKEN, e))?;
        Ok(path.display().to_string())
    }

    /// Writes a file atomically and durably.
    fn write(&self, name: &str, text: &str) -> Result<(), EnrolmentError> {
        let written = durable_file::write(&self.dir.join(name), text.as_bytes());
        written.map_err(|source| self.io(name, source))
    }

    fn io(&self, name: &str, source: io::Error) -> EnrolmentError {
        EnrolmentError::Io {
            path: self.dir.join(name),
            source,
        }
    }
}

fn read(path: &Path) -> Result<Option<String>, EnrolmentError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EnrolmentError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn enrolment(host: &str) -> Enrolment {
        Enrolment {
            server: "https://10.0.0.1:6443".to_owned(),
            ca: "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n".to_owned(),
            namespace: "hosts".to_owned(),
            host: host.to_owned(),
        }
    }

    #[test]
    fn a_credential_is_kept_for_its_owner_alone_and_for_one_host() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("state"));
        assert_eq!(store.enrolment().unwrap(), None);
        assert_eq!(store.token().unwrap(), None);
        let token = Token::parse("a.b.c").unwrap();
        store.enrol(&enrolment("h1"), &token).unwrap();
        assert_eq!(store.enrolment().unwrap(), Some(enrolment("h1")));
        assert_eq!(store.token().unwrap(), Some(token.clone()));
        for name in [KUBECONFIG, TOKEN] {
            let mode = fs::metadata(store.dir.join(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        // Again, with another address.
        let moved = Enrolment {
            server: "https://10.0.0.2:6443".to_owned(),
            ..enrolment("h1")
        };
        store.enrol(&moved, &token).unwrap();
        assert_eq!(store.enrolment().unwrap(), Some(moved));
        let other = store
            .enrol(&enrolment("h2"), &token)
            .unwrap_err()
            .to_string();
        assert!(
            other.contains("hosts/h1") && other.contains("hosts/h2"),
            "{other}"
        );
    }
}
