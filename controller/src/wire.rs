//! The client of the controller, with the layers that every request passes.
//!
//! From the outside in: requests that an overloaded API server refuses are retried. Each attempt
//! asks the fence whether it may write, has a time limit if it writes, and is measured.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use dockfleet_vitals::{BootTime, CALL_TIMEOUT};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Uri};
use kube::client::retry::RetryPolicy;
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::buffer::BufferLayer;
use tower::layer::layer_fn;
use tower::retry::RetryLayer;
use tower::{BoxError, Service};

use crate::call::{ApiCall, ApiFailure};
use crate::effect::WriteHook;
use crate::metrics::ControllerMetrics;
use crate::write_fence::WriteFence;

/// Size of the queue of requests; there are never more jobs at the same time.
const WAITING: usize = 1024;

/// Creates the client of the controller.
pub(crate) fn client(
    mut config: Config,
    fence: WriteFence,
    metrics: ControllerMetrics,
    effects: WriteHook,
) -> kube::Result<Client> {
    // A retry inside the fence would not be checked by it.
    config.default_retry = false;
    let wire = layer_fn(move |inner| Wire {
        inner,
        fence: fence.clone(),
        metrics: metrics.clone(),
        effects: effects.clone(),
    });
    Ok(ClientBuilder::try_from(config)?
        .with_layer(&BufferLayer::new(WAITING))
        .with_layer(&wire)
        .with_layer(&RetryLayer::new(RetryPolicy::server_retry()))
        .build())
}

/// A client whose writes pass the fence.
#[derive(Clone)]
struct Wire<S> {
    inner: S,
    fence: WriteFence,
    metrics: ControllerMetrics,
    effects: WriteHook,
}

impl<S, B> Service<Request<Body>> for Wire<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<B>, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let call = ApiCall::of(request.method(), request.uri());
        let mut attempt = Attempt::new(call, self.metrics.clone());
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            let answer = self.inner.call(request);
            return async move { attempt.ended(answer.await) }.boxed();
        }
        let limit = match self.fence.admits(CALL_TIMEOUT) {
            Ok(limit) => limit,
            Err(err) => {
                attempt.failed(ApiFailure::NotLeading);
                return futures::future::ready(Err(err.into())).boxed();
            }
        };
        limit_at_server(request.uri_mut(), limit);
        let name = format!("{} {}", request.method(), call.resource());
        let write = WriteRequest {
            until: BootTime::now() + limit,
            fence: self.fence.clone(),
            answered: false,
        };
        let effects = self.effects.clone();
        effects.begins(&name);
        let answer = self.inner.call(request);
        async move {
            let mut write = write;
            let Ok(answer) = tokio::time::timeout(limit, answer).await else {
                attempt.failed(ApiFailure::Timeout);
                return Err(NoAnswer(limit).into());
            };
            write.answered = answer.is_ok();
            effects.happened(&name);
            attempt.ended(answer)
        }
        .boxed()
    }
}

/// A write had no response in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s; after that another controller may lead", .0.as_secs_f64())]
struct NoAnswer(Duration);

/// Sets the time limit of a write at the API server too, because a request that waits there
/// outlives its sender.
fn limit_at_server(uri: &mut Uri, limit: Duration) {
    let ms = limit.as_millis().max(1);
    let (path, query) = (uri.path(), uri.query());
    let joint = if query.is_some_and(|q| !q.is_empty()) {
        "&"
    } else {
        ""
    };
    let text = format!("{path}?{}{joint}timeout={ms}ms", query.unwrap_or_default());
    let mut parts = uri.clone().into_parts();
    if let Ok(path) = PathAndQuery::try_from(text) {
        parts.path_and_query = Some(path);
        if let Ok(limited) = Uri::from_parts(parts) {
            *uri = limited;
        }
    }
}

/// A write under way. Without a response it may still be carried out.
struct WriteRequest {
    until: BootTime,
    fence: WriteFence,
    answered: bool,
}

impl Drop for WriteRequest {
    fn drop(&mut self) {
        if !self.answered {
            self.fence.note_unanswered(self.until);
        }
    }
}

/// One attempt of a call, for the metrics. The caller may drop it at any time.
struct Attempt {
    call: ApiCall,
    begin: Instant,
    metrics: ControllerMetrics,
    ended: bool,
}

impl Attempt {
    fn new(call: ApiCall, metrics: ControllerMetrics) -> Self {
        Self {
            call,
            begin: Instant::now(),
            metrics,
            ended: false,
        }
    }

    fn ended<B>(&mut self, answer: Result<Response<B>, BoxError>) -> Result<Response<B>, BoxError> {
        self.ended = true;
        self.metrics.call_took(self.call, self.begin.elapsed());
        let failure = match &answer {
            Ok(answer) => ApiFailure::of(self.call, answer.status()),
            Err(_) => Some(ApiFailure::Unreachable),
        };
        if let Some(failure) = failure {
            self.metrics.call_failed(self.call, failure);
        }
        answer
    }

    fn failed(&mut self, failure: ApiFailure) {
        self.ended = true;
        self.metrics.call_failed(self.call, failure);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.ended {
            self.metrics.call_failed(self.call, ApiFailure::Timeout);
        }
    }
}

#[cfg(test)]
mod tests {
    use dockfleet_vitals::Registry;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::StatusCode;
    use tower::service_fn;

    use super::*;
    use crate::write_fence::{FenceState, NotLeading};

    fn limited(uri: &str) -> String {
        let mut uri: Uri = uri.parse().unwrap();
        limit_at_server(&mut uri, Duration::from_millis(4_321));
        uri.to_string()
    }

    #[test]
    fn the_api_server_gets_the_time_limit_of_a_write() {
        assert_eq!(limited("/a/b"), "/a/b?timeout=4321ms");
        assert_eq!(limited("/a/b?"), "/a/b?timeout=4321ms");
        assert_eq!(limited("/a?force=true"), "/a?force=true&timeout=4321ms");
        assert_eq!(
            limited("http://h:1/a?x=1"),
            "http://h:1/a?x=1&timeout=4321ms"
        );
    }

    /// A wire over a service that counts its requests.
    fn wire(
        fence_state: FenceState,
    ) -> (
        impl Service<Request<Body>, Response = Response<Body>, Error = BoxError>,
        Arc<AtomicUsize>,
        Arc<AtomicUsize>,
    ) {
        let (sent, reported) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, report) = (Arc::clone(&sent), Arc::clone(&reported));
        let inner = service_fn(move |_: Request<Body>| {
            count.fetch_add(1, Ordering::Relaxed);
            let mut answer = Response::new(Body::empty());
            *answer.status_mut() = StatusCode::OK;
            futures::future::ready(Ok::<_, BoxError>(answer))
        });
        let wire = Wire {
            inner,
            fence: WriteFence::new(fence_state).1,
            metrics: ControllerMetrics::register(&Registry::new("test").unwrap()).unwrap(),
            effects: WriteHook::new(move |_, _| {
                report.fetch_add(1, Ordering::Relaxed);
            }),
        };
        (wire, sent, reported)
    }

    fn request(method: Method) -> Request<Body> {
        let uri = "/apis/dockfleet.io/v1alpha1/namespaces/n/hostassignments/h";
        let request = Request::builder().method(method).uri(uri);
        request.body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn a_closed_fence_stops_every_write_and_no_read() {
        let (mut wire, sent, reported) = wire(FenceState::Closed);
        for method in [Method::PATCH, Method::POST, Method::PUT, Method::DELETE] {
            let err = wire.call(request(method)).await.unwrap_err();
            assert!(err.downcast_ref::<NotLeading>().is_some(), "{err}");
        }
        assert_eq!(sent.load(Ordering::Relaxed), 0);
        wire.call(request(Method::GET)).await.unwrap();
        assert_eq!(sent.load(Ordering::Relaxed), 1);
        assert_eq!(reported.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn the_hook_is_called_before_and_after_every_write_and_for_no_read() {
        let (mut wire, sent, reported) = wire(FenceState::NoElection);
        wire.call(request(Method::PATCH)).await.unwrap();
        wire.call(request(Method::GET)).await.unwrap();
        assert_eq!(sent.load(Ordering::Relaxed), 2);
        assert_eq!(reported.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_without_an_answer_is_given_up_when_the_lease_may_have_another_holder() {
        let now = BootTime::now();
        let fence_state = FenceState::Open {
            begin_by: now + Duration::from_secs(5),
            end_by: now + Duration::from_secs(8),
        };
        let (_sender, fence) = WriteFence::new(fence_state);
        let mut wire = Wire {
            inner: service_fn(|_| futures::future::pending::<Result<Response<Body>, BoxError>>()),
            fence: fence.clone(),
            metrics: ControllerMetrics::register(&Registry::new("test").unwrap()).unwrap(),
            effects: WriteHook::default(),
        };
        let begin = tokio::time::Instant::now();
        let err = wire.call(request(Method::PATCH)).await.unwrap_err();
        assert!(err.to_string().starts_with("no answer within"), "{err}");
        assert!(begin.elapsed() <= Duration::from_secs(8));
        assert!(fence.may_be_under_way());
    }
}
