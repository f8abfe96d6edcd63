//! A store in a bucket of an S3 server. Buckets are in the path of URLs, which every server understands.

mod signature;
#[cfg(test)]
mod tests;
mod xml;

use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, DATE, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use rustic_core::Id;

use self::signature::{Signed, Signer, encode, hash_of};
use self::xml::{elements, text};
use super::http::{Answer, Http, Question};
use super::{Contents, FileKind, Part, Store, StoreError, id_of, path_of};
use crate::access::{Access, Login};
use crate::address::S3Address;

/// The region of servers that have none.
const REGION: &str = "us-east-1";
/// Files in one page of a list: the most that S3 gives.
const PAGE: &str = "1000";
/// The longest text of a server that is shown, in characters.
const SHOWN: usize = 300;

/// A store in a bucket. The bucket itself is never created.
#[derive(Debug)]
pub(crate) struct S3Store {
    address: S3Address,
    http: Http,
    login: Login,
    region: String,
    /// The seconds that the clock of the server is ahead of ours.
    ahead: AtomicI64,
}

impl S3Store {
    pub(crate) fn new(address: &S3Address, access: &Access) -> Result<Self, StoreError> {
        let login = access.login.clone().ok_or_else(|| {
            StoreError::Refused("S3 needs an access key ID and a secret access key".to_owned())
        })?;
        Ok(Self {
            address: address.clone(),
            http: Http::new(&address.endpoint, access)?,
            login,
            region: access.region.clone().unwrap_or_else(|| REGION.to_owned()),
            ahead: AtomicI64::new(0),
        })
    }

    /// Returns the name of an object.
    fn key(&self, path: &str) -> String {
        match self.address.prefix.as_str() {
            "" => path.to_owned(),
            prefix => format!("{prefix}/{path}"),
        }
    }

    /// Asks for an object, or with an empty key for the bucket.
    fn ask(&self, request: &S3Request<'_>) -> Result<Answer, StoreError> {
        let answer = self.send(request)?;
        let is_skewed = answer.status == StatusCode::FORBIDDEN
            && code(&answer).as_deref() == Some("RequestTimeTooSkewed");
        if !is_skewed {
            return Ok(answer);
        }
        // The clock of this host is wrong, and backups go on all the same.
        let date = answer.headers.get(DATE).and_then(|d| d.to_str().ok());
        let date = date.and_then(|d| jiff::fmt::rfc2822::parse(d).ok());
        let Some(date) = date else {
            return Ok(answer);
        };
        let ahead = date.timestamp().as_second() - Timestamp::now().as_second();
        self.ahead.store(ahead, Ordering::Relaxed);
        self.send(request)
    }

    fn send(&self, request: &S3Request<'_>) -> Result<Answer, StoreError> {
        let ahead = SignedDuration::from_secs(self.ahead.load(Ordering::Relaxed));
        let now = Timestamp::now();
        let signer = Signer {
            login: &self.login,
            region: &self.region,
            time: now.checked_add(ahead).unwrap_or(now),
        };
        let mut path = format!("/{}", encode(&self.address.bucket, false));
        if !request.key.is_empty() {
            path.push('/');
            path.push_str(&encode(request.key, false));
        }
        let query: Vec<String> = request
            .query
            .iter()
            .map(|(name, value)| format!("{name}={}", encode(value, true)))
            .collect();
        let query = query.join("&");
        let headers = [
            ("host", self.http.host().to_owned()),
            ("x-amz-content-sha256", request.hash.clone()),
            ("x-amz-date", signer.date()),
        ];
        let authorization = signer.authorization(&Signed {
            method: &request.method,
            path: &path,
            query: &query,
            headers: &headers,
            hash: &request.hash,
        });
        let mut authorization = HeaderValue::try_from(authorization)
            .map_err(|_| StoreError::Refused("the access key ID has odd letters".to_owned()))?;
        authorization.set_sensitive(true);
        let mut sent = vec![(AUTHORIZATION, authorization)];
        let others = headers.into_iter().skip(1).chain(request.header.clone());
        for (name, value) in others {
            let value = HeaderValue::try_from(value);
            let value = value.map_err(|err| StoreError::Refused(err.to_string()))?;
            sent.push((HeaderName::from_static(name), value));
        }
        let target = match query.as_str() {
            "" => path,
            query => format!("{path}?{query}"),
        };
        self.http.ask(Question {
            method: request.method.clone(),
            target,
            headers: sent,
            content: request.content.to_vec(),
        })
    }

    /// Returns a page of the names that begin with a prefix.
    fn page(&self, prefix: &str, token: Option<&str>, most: &str) -> Result<String, StoreError> {
        let mut query = vec![];
        query.extend(token.map(|token| ("continuation-token", token)));
        query.extend([("list-type", "2"), ("max-keys", most), ("prefix", prefix)]);
        let answer = self.ask(&S3Request {
            query: &query,
            ..S3Request::get("")
        })?;
        if answer.status != StatusCode::OK {
            return Err(self.refusal(&answer, prefix));
        }
        let page = String::from_utf8_lossy(&answer.content).into_owned();
        // Whatever else answers here, for example a proxy, has not said that there is nothing.
        if !page.contains("<ListBucketResult") {
            let text = format!("{}: the answer is not one of S3", self.address);
            return Err(StoreError::Unreachable(text));
        }
        Ok(page)
    }

    /// Returns the size of the config.
    fn config(&self) -> Result<Option<u64>, StoreError> {
        match self.read(FileKind::Config, &Id::default(), None) {
            Ok(config) => Ok(Some(config.len() as u64)),
            Err(StoreError::Missing(_)) => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// Returns what an answer means that is an error.
    fn refusal(&self, answer: &Answer, key: &str) -> StoreError {
        let code = code(answer).unwrap_or_default();
        let body = String::from_utf8_lossy(&answer.content);
        let message = text(&body, "Message").unwrap_or_default();
        let shown: String = message
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(SHOWN)
            .collect();
        let said = format!("{}: {} {code} {shown}", self.address, answer.status);
        let said = said.trim_end().to_owned();
        match (answer.status, code.as_str()) {
            (_, "NoSuchBucket") => StoreError::NotThere(format!(
                "there is no bucket {} at {}; create it",
                self.address.bucket, self.address.endpoint
            )),
            (StatusCode::NOT_FOUND, "NoSuchKey") => StoreError::Missing(key.to_owned()),
            (StatusCode::RANGE_NOT_SATISFIABLE, _) => {
                StoreError::Damaged(format!("{key} is shorter than it was written"))
            }
            (StatusCode::INSUFFICIENT_STORAGE, _)
            | (_, "QuotaExceeded" | "XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded") => {
                StoreError::Full(said)
            }
            // They may pass: the server is busy, or what it got was damaged on its way.
            (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS, _)
            | (
                _,
                "SlowDown"
                | "RequestTimeout"
                | "BadDigest"
                | "IncompleteBody"
                | "XAmzContentSHA256Mismatch"
                | "OperationAborted",
            ) => StoreError::Unreachable(said),
            (StatusCode::NOT_IMPLEMENTED, _) => StoreError::Refused(said),
            (status, _) if status.is_server_error() => StoreError::Unreachable(said),
            _ => StoreError::Refused(said),
        }
    }
}

/// A request of one object, or of the bucket if the key is empty.
#[derive(Debug)]
struct S3Request<'a> {
    method: Method,
    key: &'a str,
    /// In the order of the names.
    query: &'a [(&'static str, &'a str)],
    /// One more header.
    header: Option<(&'static str, String)>,
    hash: String,
    content: &'a [Bytes],
}

impl<'a> S3Request<'a> {
    fn get(key: &'a str) -> Self {
        Self {
            method: Method::GET,
            key,
            query: &[],
            header: None,
            hash: hash_of(&[]),
            content: &[],
        }
    }
}

/// Returns the code of an error.
fn code(answer: &Answer) -> Option<String> {
    let body = String::from_utf8_lossy(&answer.content);
    text(&body, "Code")
}

impl Store for S3Store {
    fn address(&self) -> String {
        format!("s3:{}", self.address)
    }

    fn contents(&self) -> Result<Contents, StoreError> {
        if self.config()?.is_some() {
            return Ok(Contents::Repository);
        }
        let page = self.page(&self.key(""), None, PAGE)?;
        let mut contents = Contents::Nothing;
        for file in elements(&page, "Contents") {
            let key = text(file, "Key").unwrap_or_default();
            let begun = [FileKind::Key, FileKind::Lock].into_iter().any(|kind| {
                let folder = self.key(&format!("{}/", kind.folder()));
                key.strip_prefix(&folder)
                    .is_some_and(|n| id_of(n).is_some())
            });
            if !begun {
                return Ok(Contents::Other);
            }
            contents = Contents::Unfinished;
        }
        Ok(match text(&page, "IsTruncated").as_deref() {
            // No creation leaves so many.
            Some("true") => Contents::Other,
            _ => contents,
        })
    }

    fn create(&self) -> Result<(), StoreError> {
        // Objects need no folders.
        Ok(())
    }

    fn list(&self, kind: FileKind) -> Result<Vec<(Id, u64)>, StoreError> {
        if kind == FileKind::Config {
            let config = self.config()?;
            return Ok(config
                .map(|size| (Id::default(), size))
                .into_iter()
                .collect());
        }
        let prefix = self.key(&format!("{}/", kind.folder()));
        let mut all = Vec::new();
        let mut token = None;
        loop {
            let page = self.page(&prefix, token.as_deref(), PAGE)?;
            for file in elements(&page, "Contents") {
                let key = text(file, "Key").unwrap_or_default();
                let Some(id) = key.rsplit('/').next().and_then(id_of) else {
                    continue;
                };
                let size = text(file, "Size").and_then(|size| size.parse().ok());
                let size = size
                    .ok_or_else(|| StoreError::Damaged(format!("the list has no size of {key}")))?;
                all.push((id, size));
            }
            if text(&page, "IsTruncated").as_deref() != Some("true") {
                break;
            }
            let next = text(&page, "NextContinuationToken");
            if next.is_none() || next == token {
                return Err(StoreError::Damaged(format!(
                    "the list of {prefix} does not go on after its first part"
                )));
            }
            token = next;
        }
        all.sort_unstable();
        Ok(all)
    }

    fn read(&self, kind: FileKind, id: &Id, part: Option<Part>) -> Result<Bytes, StoreError> {
        let key = self.key(&path_of(kind, id));
        let answer = self.ask(&S3Request {
            header: part.map(|part| ("range", part.range())),
            ..S3Request::get(&key)
        })?;
        match answer.status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(answer.part(part)),
            _ => Err(self.refusal(&answer, &key)),
        }
    }

    fn write(&self, kind: FileKind, id: &Id, content: &[Bytes]) -> Result<(), StoreError> {
        let key = self.key(&path_of(kind, id));
        let answer = self.ask(&S3Request {
            method: Method::PUT,
            // The name is the hash. What was damaged in our own memory is refused, too.
            hash: match kind {
                FileKind::Config => hash_of(content),
                _ => id.to_hex().as_str().to_owned(),
            },
            content,
            ..S3Request::get(&key)
        })?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(self.refusal(&answer, &key))
    }

    fn write_config(&self, content: &[Bytes]) -> Result<bool, StoreError> {
        let (kind, id) = (FileKind::Config, Id::default());
        let key = self.key(&path_of(kind, &id));
        let answer = self.ask(&S3Request {
            method: Method::PUT,
            header: Some(("if-none-match", "*".to_owned())),
            hash: hash_of(content),
            content,
            ..S3Request::get(&key)
        })?;
        match answer.status {
            status if status.is_success() => Ok(true),
            StatusCode::PRECONDITION_FAILED => Ok(false),
            // Somebody writes it at this moment.
            StatusCode::CONFLICT => Err(StoreError::Unreachable(
                self.refusal(&answer, &key).to_string(),
            )),
            // A server without conditions. Who creates a repository has its lock.
            StatusCode::NOT_IMPLEMENTED => match self.config()? {
                Some(_) => Ok(false),
                None => self.write(kind, &id, content).map(|()| true),
            },
            _ => Err(self.refusal(&answer, &key)),
        }
    }

    fn remove(&self, kind: FileKind, id: &Id) -> Result<(), StoreError> {
        let key = self.key(&path_of(kind, id));
        let answer = self.ask(&S3Request {
            method: Method::DELETE,
            ..S3Request::get(&key)
        })?;
        if answer.status.is_success() {
            return Ok(());
        }
        match self.refusal(&answer, &key) {
            StoreError::Missing(_) => Ok(()),
            err => Err(err),
        }
    }
}
