//! Requests to stores that speak HTTP. Calls block.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tower_service::Service;

use super::line::{Line, Paces, STALLED};
use super::{Part, StoreError};
use crate::access::Access;

/// How long a name may take to be resolved and a connection to be made.
const TO_CONNECT: Duration = Duration::from_secs(15);
/// How long an idle connection is kept: less than after which a server or a firewall drops it.
const IDLE: Duration = Duration::from_secs(20);
/// The most bytes of an answer. The largest are packs (restic allows 128 MiB) and lists.
const MOST: usize = 256 << 20;

/// A client for one store.
pub(super) struct Http {
    /// Runs the connections.
    runtime: Option<Runtime>,
    client: Client<HttpsConnector<Dial>, Content>,
    /// Scheme, host and port.
    server: String,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// What is asked of a server.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) method: Method,
    /// The path with the query, encoded.
    pub(super) target: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) content: Vec<Bytes>,
}

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) content: Bytes,
}

impl Answer {
    /// Returns the size of the file that a `HEAD` asked for.
    pub(super) fn length(&self) -> Option<u64> {
        self.headers
            .get(CONTENT_LENGTH)?
            .to_str()
            .ok()?
            .parse()
            .ok()
    }

    /// Returns the part of a file that was asked for. A server may answer with the whole file instead.
    pub(super) fn part(self, part: Option<Part>) -> Bytes {
        match part {
            Some(part) if self.status == StatusCode::OK => part.of(&self.content),
            _ => self.content,
        }
    }
}

impl Http {
    /// Makes a client. Nothing is connected yet.
    pub(super) fn new(server: &str, access: &Access) -> Result<Self, StoreError> {
        let unusable = |err: &dyn Error| StoreError::Refused(err.to_string());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            // Connections only pass data on; who asks does the work.
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|err| unusable(&err))?;
        let tls = tls(access.ca.as_deref())?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let dial = Dial {
            tcp,
            paces: Paces::new(access.limits),
        };
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(dial);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(Self {
            runtime: Some(runtime),
            client,
            server: server.to_owned(),
        })
    }

    /// Returns the value of the header `Host`.
    pub(super) fn host(&self) -> &str {
        self.server.split_once("://").map_or("", |(_, host)| host)
    }

    /// Asks, and waits for the whole answer.
    ///
    /// # Errors
    /// If there is no whole answer. An answer that is an error is none here.
    pub(super) fn ask(&self, question: Question) -> Result<Answer, StoreError> {
        let broken = |text: &str| StoreError::Unreachable(format!("{}: {text}", self.server));
        let runtime = self.runtime.as_ref().ok_or_else(|| broken("closed"))?;
        let url = format!("{}{}", self.server, question.target);
        let mut request = Request::new(Content::new(question.content));
        *request.method_mut() = question.method;
        *request.uri_mut() = url.parse().map_err(|_| broken("not an address"))?;
        let headers = request.headers_mut();
        headers.extend(question.headers);
        headers.insert(HOST, self.host().parse().map_err(|_| broken("not a host"))?);
        runtime.block_on(async {
            let answer = self.client.request(request).await;
            let answer = answer.map_err(|err| self.failure(&err))?;
            let (head, body) = answer.into_parts();
            let content = collect(Response::new(body)).await;
            Ok(Answer {
                status: head.status,
                headers: head.headers,
                content: content.map_err(|err| self.failure(err.as_ref()))?,
            })
        })
    }

    /// Returns what it means that there is no answer.
    fn failure(&self, err: &(dyn Error + 'static)) -> StoreError {
        let mut texts = vec![];
        let mut next = Some(err);
        while let Some(err) = next {
            // Errors of connections are in errors of connections.
            let mut inner = err;
            while let Some(next) = inner.downcast_ref().and_then(io::Error::get_ref) {
                inner = next;
            }
            if let Some(rustls::Error::InvalidCertificate(why)) = inner.downcast_ref() {
                return StoreError::Refused(format!(
                    "{}: its certificate is not trusted: {why}",
                    self.server
                ));
            }
            texts.push(err.to_string());
            next = err.source();
        }
        // The outer ones say less and less.
        let text = texts.pop().unwrap_or_default();
        StoreError::Unreachable(format!("{}: {text}", self.server))
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Not even a name that is not resolved holds up the end.
            runtime.shutdown_background();
        }
    }
}

/// Reads a body to its end.
async fn collect(answer: Response<Incoming>) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
    let mut body = answer.into_body();
    // What a server says of its length is not worth memory before it comes.
    let mut content = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            if content.len() + data.len() > MOST {
                return Err(format!("the answer has more than {MOST} bytes").into());
            }
            content.extend_from_slice(&data);
        }
    }
    Ok(content.freeze())
}

/// Returns the settings of TLS, with the provider that the Kubernetes client has too.
fn tls(ca: Option<&str>) -> Result<ClientConfig, StoreError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|err| StoreError::Refused(err.to_string()))?;
    let config = match ca {
        None => config
            .with_native_roots()
            .map_err(|err| StoreError::Refused(format!("certificates of this host: {err}")))?,
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let unread = |err: &dyn Error| {
                    StoreError::Refused(format!("the certificates of the authority: {err}"))
                };
                let certificate = certificate.map_err(|err| unread(&err))?;
                roots.add(certificate).map_err(|err| unread(&err))?;
            }
            config.with_root_certificates(roots)
        }
    };
    Ok(config.with_no_client_auth())
}

/// Makes connections.
#[derive(Clone, Debug)]
struct Dial {
    tcp: HttpConnector,
    paces: Paces,
}

type BoxError = Box<dyn Error + Send + Sync>;

impl Service<Uri> for Dial {
    type Response = TokioIo<Line<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connected = tokio::time::timeout(TO_CONNECT, self.tcp.call(url));
        let paces = self.paces.clone();
        Box::pin(async move {
            let stream = connected
                .await
                .map_err(|_| format!("no connection after {} seconds", TO_CONNECT.as_secs()))??;
            Ok(TokioIo::new(Line::new(stream.into_inner(), paces, STALLED)))
        })
    }
}

/// The content of a request: pieces in memory, which are not copied together.
#[derive(Debug)]
struct Content {
    pieces: VecDeque<Bytes>,
}

impl Content {
    fn new(pieces: Vec<Bytes>) -> Self {
        Self {
            pieces: pieces.into(),
        }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum())
    }
}
