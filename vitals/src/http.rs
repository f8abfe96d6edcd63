//! A small HTTP server for probes and scrapes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::{debug, info};

use crate::{ProbeResult, Shared, TEXT_FORMAT};

/// The maximum number of connections: a kubelet and a few scrapers. Further ones wait.
const CONNECTIONS: usize = 32;
/// How long a client may take to send its request.
const HEADERS: Duration = Duration::from_secs(10);
/// How long a connection may stay open. A scraper then opens a new one.
const CONNECTION: Duration = Duration::from_mins(5);
/// How long to wait after a connection could not be accepted, for example for lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; charset=utf-8";

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
#[error(
    "could not listen on {address} for probes and metrics; name another address with \
     --metrics-address"
)]
pub struct ServerError {
    address: SocketAddr,
    source: std::io::Error,
}

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
}

impl Server {
    /// Listens on an address.
    pub async fn bind(address: SocketAddr) -> Result<Self, ServerError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| ServerError { address, source })?;
        // With port 0 the kernel chooses the port.
        let address = listener.local_addr().unwrap_or(address);
        info!(%address, "probes and metrics are served");
        Ok(Self { listener })
    }

    /// Answers requests until it is dropped.
    pub async fn run(self, vitals: Shared) -> Infallible {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            // The semaphore is never closed.
            let permit = Arc::clone(&room).acquire_owned().await;
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let vitals = Arc::clone(&vitals);
                    tokio::spawn(async move {
                        let _permit = permit;
                        let served = tokio::time::timeout(CONNECTION, serve(stream, vitals));
                        if let Ok(Err(err)) = served.await {
                            debug!(error = %err, "a probe or scrape was aborted");
                        }
                    });
                }
                Err(err) => {
                    debug!(error = %err, "could not accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn serve(stream: TcpStream, vitals: Shared) -> hyper::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let vitals = Arc::clone(&vitals);
        async move { Ok::<_, Infallible>(answer(&request, &vitals).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

async fn answer<B>(request: &Request<B>, vitals: &Shared) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return response(
            StatusCode::METHOD_NOT_ALLOWED,
            TEXT,
            "only GET is allowed\n".to_owned(),
        );
    }
    match request.uri().path() {
        "/healthz" => probe(vitals.alive()),
        "/readyz" => probe(vitals.ready()),
        "/metrics" => response(StatusCode::OK, TEXT_FORMAT, vitals.metrics().await),
        _ => {
            let paths = "/healthz, /readyz or /metrics\n".to_owned();
            response(StatusCode::NOT_FOUND, TEXT, paths)
        }
    }
}

fn probe(result: ProbeResult) -> Response<Full<Bytes>> {
    match result {
        Ok(()) => response(StatusCode::OK, TEXT, "ok\n".to_owned()),
        Err(why) => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
    }
}

fn response(status: StatusCode, type_: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(type_));
    response
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use futures::future::BoxFuture;
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::Vitals;

    struct Unwell;

    impl Vitals for Unwell {
        fn alive(&self) -> ProbeResult {
            Ok(())
        }
        fn ready(&self) -> ProbeResult {
            Err("the caches are not filled yet".to_owned())
        }
        fn metrics(&self) -> BoxFuture<'_, String> {
            futures::future::ready("up 1\n".to_owned()).boxed()
        }
    }

    async fn answer_of(method: Method, path: &str) -> Response<Full<Bytes>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(())
            .unwrap();
        let vitals: Shared = Arc::new(Unwell);
        answer(&request, &vitals).await
    }

    async fn ask(method: Method, path: &str) -> (u16, String) {
        let response = answer_of(method, path).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_probe_gets_the_state_and_the_reason() {
        let get = |path| ask(Method::GET, path);
        assert_eq!(get("/healthz").await, (200, "ok\n".to_owned()));
        let unready = "the caches are not filled yet\n".to_owned();
        assert_eq!(get("/readyz?verbose").await, (503, unready));
        assert_eq!(get("/metrics").await, (200, "up 1\n".to_owned()));
        assert_eq!(get("/").await.0, 404);
        assert_eq!(ask(Method::POST, "/healthz").await.0, 405);
    }

    #[tokio::test]
    async fn metrics_are_served_as_the_text_format_of_prometheus() {
        for (path, type_) in [
            ("/metrics", "text/plain; version=0.0.4"),
            ("/healthz", "text/plain; charset=utf-8"),
        ] {
            let response = answer_of(Method::GET, path).await;
            assert_eq!(response.headers()[CONTENT_TYPE], type_, "{path}");
        }
    }
}
