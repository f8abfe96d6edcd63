//! A store behind a REST server of restic, such as rest-server, in version 2 of its protocol.
//!
//! <https://restic.readthedocs.io/en/stable/100_references.html#rest-backend>. A server may let nobody remove or replace
//! files: a backup needs neither.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue, RANGE};
use hyper::{Method, StatusCode};
use rustic_core::Id;
use serde::Deserialize;

use super::http::{Answer, Http, Question};
use super::{Contents, FileKind, Part, Store, StoreError, id_of, is_unfinished, size_of};
use crate::access::Access;
use crate::address::RestAddress;

/// The version in which lists have sizes.
const VERSION: &str = "application/vnd.x.restic.rest.v2";

/// A store behind a REST server.
#[derive(Debug)]
pub(crate) struct RestStore {
    address: RestAddress,
    http: Http,
    authorization: Option<HeaderValue>,
}

/// A file in a list.
#[derive(Debug, Deserialize)]
struct Listed {
    name: String,
    size: u64,
}

impl RestStore {
    pub(crate) fn new(address: &RestAddress, access: &Access) -> Result<Self, StoreError> {
        let authorization = access.login.as_ref().map(|login| {
            let pair = STANDARD.encode(format!("{}:{}", login.user, login.secret));
            // Base64 is always a value.
            let mut value = HeaderValue::try_from(format!("Basic {pair}")).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        Ok(Self {
            address: address.clone(),
            http: Http::new(&address.server, access)?,
            authorization: authorization.flatten(),
        })
    }

    fn path(kind: FileKind, id: &Id) -> String {
        match kind {
            FileKind::Config => "config".to_owned(),
            _ => format!("{}/{}", kind.folder(), id.to_hex().as_str()),
        }
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        header: Option<(HeaderName, String)>,
        content: &[Bytes],
    ) -> Result<Answer, StoreError> {
        let mut headers = Vec::new();
        headers.extend(self.authorization.clone().map(|a| (AUTHORIZATION, a)));
        if let Some((name, value)) = header {
            let value = HeaderValue::try_from(value);
            headers.push((
                name,
                value.map_err(|err| StoreError::Refused(err.to_string()))?,
            ));
        }
        self.http.ask(Question {
            method,
            target: match self.address.path.as_str() {
                "" => format!("/{path}"),
                folder => format!("/{folder}/{path}"),
            },
            headers,
            content: content.to_vec(),
        })
    }

    /// Returns the size of a file, if it exists.
    fn size(&self, kind: FileKind, id: &Id) -> Result<Option<u64>, StoreError> {
        let path = Self::path(kind, id);
        let answer = self.ask(Method::HEAD, &path, None, &[])?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::OK => answer.length().map(Some).ok_or_else(|| {
                StoreError::Unreachable(format!("{}: {path} has no size", self.address))
            }),
            _ => Err(self.refusal(&answer, &path)),
        }
    }

    /// Returns all files of a kind, and none if there is no folder of the kind.
    fn files(&self, kind: FileKind) -> Result<Vec<(Id, u64)>, StoreError> {
        let path = format!("{}/", kind.folder());
        let version = Some((ACCEPT, VERSION.to_owned()));
        let answer = self.ask(Method::GET, &path, version, &[])?;
        if answer.status != StatusCode::OK {
            return Err(self.refusal(&answer, &path));
        }
        // Older servers list names only. Whatever else answers has not said that there is nothing.
        let listed: Vec<Listed> = serde_json::from_slice(&answer.content).map_err(|_| {
            let text = "the answer is not a list of version 2 of the protocol";
            StoreError::Unreachable(format!("{}: {text}", self.address))
        })?;
        let mut all: Vec<_> = listed
            .iter()
            .filter_map(|file| Some((id_of(&file.name)?, file.size)))
            .collect();
        all.sort_unstable();
        Ok(all)
    }

    /// Whether a file is stored already as it is to be written: an answer to its first writing was lost.
    fn has(&self, kind: FileKind, id: &Id, content: &[Bytes]) -> Result<bool, StoreError> {
        if self.size(kind, id)? != Some(size_of(content)) {
            return Ok(false);
        }
        // Only the name of a config is not the hash of its content.
        Ok(kind != FileKind::Config || self.read(kind, id, None)? == content.concat())
    }

    /// Returns what an answer means that is an error. What the server says of it is not shown: only its status is
    /// part of the protocol.
    fn refusal(&self, answer: &Answer, path: &str) -> StoreError {
        let said = format!("{}: {}", self.address, answer.status);
        match answer.status {
            StatusCode::NOT_FOUND => StoreError::Missing(path.to_owned()),
            StatusCode::RANGE_NOT_SATISFIABLE => {
                StoreError::Damaged(format!("{path} is shorter than it was written"))
            }
            // The first is what rest-server says of its own limit.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::INSUFFICIENT_STORAGE => {
                StoreError::Full(said)
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                StoreError::Unreachable(said)
            }
            StatusCode::NOT_IMPLEMENTED => StoreError::Refused(said),
            status if status.is_server_error() => StoreError::Unreachable(said),
            _ => StoreError::Refused(said),
        }
    }
}

impl Store for RestStore {
    fn address(&self) -> String {
        format!("rest:{}", self.address)
    }

    fn contents(&self) -> Result<Contents, StoreError> {
        if self.size(FileKind::Config, &Id::default())?.is_some() {
            return Ok(Contents::Repository);
        }
        if !is_unfinished(self)? {
            return Ok(Contents::Other);
        }
        for kind in [FileKind::Key, FileKind::Lock] {
            match self.files(kind) {
                Ok(files) if files.is_empty() => {}
                Err(StoreError::Missing(_)) => {}
                Ok(_) => return Ok(Contents::Unfinished),
                Err(err) => return Err(err),
            }
        }
        Ok(Contents::Nothing)
    }

    fn create(&self) -> Result<(), StoreError> {
        let answer = self.ask(Method::POST, "?create=true", None, &[])?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(self.refusal(&answer, "?create=true"))
    }

    fn list(&self, kind: FileKind) -> Result<Vec<(Id, u64)>, StoreError> {
        if kind != FileKind::Config {
            return self.files(kind);
        }
        let id = Id::default();
        let size = self.size(kind, &id)?;
        Ok(size.map(|size| (id, size)).into_iter().collect())
    }

    fn read(&self, kind: FileKind, id: &Id, part: Option<Part>) -> Result<Bytes, StoreError> {
        let path = Self::path(kind, id);
        let range = part.map(|part| (RANGE, part.range()));
        let answer = self.ask(Method::GET, &path, range, &[])?;
        match answer.status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(answer.part(part)),
            _ => Err(self.refusal(&answer, &path)),
        }
    }

    fn write(&self, kind: FileKind, id: &Id, content: &[Bytes]) -> Result<(), StoreError> {
        let path = Self::path(kind, id);
        let answer = self.ask(Method::POST, &path, None, content)?;
        match answer.status {
            status if status.is_success() => Ok(()),
            // It has another hash than its name: damaged on its way.
            StatusCode::BAD_REQUEST => Err(StoreError::Unreachable(format!(
                "{}: {}",
                self.address, answer.status
            ))),
            // Files are never replaced.
            StatusCode::FORBIDDEN if self.has(kind, id, content)? => Ok(()),
            _ => Err(self.refusal(&answer, &path)),
        }
    }

    fn write_config(&self, content: &[Bytes]) -> Result<bool, StoreError> {
        let (kind, id) = (FileKind::Config, Id::default());
        let path = Self::path(kind, &id);
        let answer = self.ask(Method::POST, &path, None, content)?;
        match answer.status {
            status if status.is_success() => Ok(true),
            // Files are never replaced.
            StatusCode::FORBIDDEN if self.size(kind, &id)?.is_some() => Ok(false),
            _ => Err(self.refusal(&answer, &path)),
        }
    }

    fn remove(&self, kind: FileKind, id: &Id) -> Result<(), StoreError> {
        let path = Self::path(kind, id);
        let answer = self.ask(Method::DELETE, &path, None, &[])?;
        match answer.status {
            status if status.is_success() || status == StatusCode::NOT_FOUND => Ok(()),
            _ => Err(self.refusal(&answer, &path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fake::{Asked, Fake, Reply};
    use super::super::patient::PatientStore;
    use super::*;
    use crate::access::Login;

    const SECRET: &str = "canary-of-the-password";

    fn store(
        answers: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static,
    ) -> (Fake, PatientStore<RestStore>) {
        store_for(Duration::from_secs(20), answers)
    }

    fn store_for(
        patience: Duration,
        answers: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static,
    ) -> (Fake, PatientStore<RestStore>) {
        let fake = Fake::start(answers);
        let address = RestAddress {
            server: fake.url.clone(),
            path: "shop".to_owned(),
        };
        let access = Access {
            login: Some(Login {
                user: "backup".to_owned(),
                secret: SECRET.to_owned(),
            }),
            ..Access::default()
        };
        let store = RestStore::new(&address, &access).unwrap();
        (fake, PatientStore::new(store, Some(patience)))
    }

    #[test]
    fn a_list_has_names_and_sizes() {
        let id = Id::random();
        let hex = id.to_hex().as_str().to_owned();
        let list = format!(r#"[{{"name":"{hex}","size":9}},{{"name":"other","size":1}}]"#);
        let (fake, server) = store(move |_, _| Reply::ok(list.clone()));
        assert_eq!(server.list(FileKind::Pack), Ok(vec![(id, 9)]));
        let asked = fake.asked();
        assert_eq!(asked[0].line, "GET /shop/data/");
        assert_eq!(asked[0].header("accept"), VERSION);
        assert_eq!(
            asked[0].header("authorization"),
            format!("Basic {}", STANDARD.encode(format!("backup:{SECRET}")))
        );
        assert!(!format!("{server:?}").contains(SECRET));
        // A page of a proxy, or a list without sizes, is not an empty list.
        for answer in ["<html></html>", r#"["name"]"#] {
            let (_, other) = store_for(Duration::ZERO, move |_, _| Reply::ok(answer));
            let listed = other.list(FileKind::Pack);
            assert!(
                matches!(listed, Err(StoreError::Unreachable(_))),
                "{listed:?}"
            );
        }
    }

    #[test]
    fn a_file_whose_answer_was_lost_is_not_an_error() {
        let content = [Bytes::from_static(b"abc"), Bytes::from_static(b"def")];
        let (fake, server) = store(|before, asked| match before {
            0 => Reply::Half(vec![0; 2]),
            _ if asked.line.starts_with("POST") => Reply::status(403),
            _ => Reply::ok("abcdef"),
        });
        server
            .write(FileKind::Config, &Id::default(), &content)
            .unwrap();
        let lines: Vec<_> = fake
            .asked()
            .iter()
            .map(|asked| asked.line.clone())
            .collect();
        assert_eq!(
            lines,
            [
                "POST /shop/config",
                "POST /shop/config",
                "HEAD /shop/config",
                "GET /shop/config"
            ]
        );
        // That of somebody else.
        let (_, server) = store(|_, asked| {
            if asked.line.starts_with("POST") {
                Reply::status(403)
            } else {
                Reply::ok("ABCDEF")
            }
        });
        let written = server.write(FileKind::Config, &Id::default(), &content);
        assert!(
            matches!(written, Err(StoreError::Refused(_))),
            "{written:?}"
        );
    }

    #[test]
    fn answers_mean_what_they_say() {
        let id = Id::random();
        for (status, is) in [
            (401, "the store refuses: "),
            (403, "the store refuses: "),
            (404, "missing in the store: "),
            (413, "the store has no space left: "),
            (507, "the store has no space left: "),
        ] {
            let (fake, server) = store(move |_, _| Reply::status(status));
            let err = server
                .read(FileKind::Pack, &id, None)
                .unwrap_err()
                .to_string();
            assert!(
                err.starts_with(is) && !err.contains(SECRET),
                "{status}: {err}"
            );
            assert_eq!(fake.asked().len(), 1, "{status}");
        }
        // They may pass.
        for status in [400, 408, 429, 500, 502, 503] {
            let (fake, server) = store(move |before, _| match before {
                0 => Reply::status(status),
                _ => Reply::status(200),
            });
            server
                .write(FileKind::Pack, &id, &[Bytes::from_static(b"a")])
                .unwrap();
            assert_eq!(fake.asked().len(), 2, "{status}");
        }
    }
}
