//! The ping of an engine. The headers of its answer have the version of the engine and of its API, and the Docker CLI
//! gets them from there, too.
//!
//! The answer to `/version` has more, and takes 5 to 30 ms: the engine starts runc and others to get their versions.

use std::path::Path;

use dockfleet_crds::host::EngineFacts;
use futures::FutureExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixStream;
use tower::service_fn;

/// The host name has no meaning.
const PING: &str = "http://docker.example.com/_ping";

/// Returns what the engine at a Unix socket reports about itself, or `None` if it does not answer like an engine.
pub(super) async fn facts(socket: &Path) -> Option<EngineFacts> {
    let socket = socket.to_owned();
    let dial = service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }.boxed()
    });
    let client: Client<_, String> = Client::builder(TokioExecutor::new()).build(dial);
    let answer = client.get(PING.parse().ok()?).await.ok()?;
    if !answer.status().is_success() {
        return None;
    }
    let header = |name: &str| answer.headers().get(name)?.to_str().ok();
    Some(EngineFacts {
        version: version(header("server")?)?.to_owned(),
        api_version: header("api-version")?.to_owned(),
        os: header("ostype").unwrap_or_default().to_owned(),
        ..EngineFacts::default()
    })
}

/// Returns the version in a header such as `Docker/29.1.0 (linux)`.
fn version(server: &str) -> Option<&str> {
    let (_, version) = server.split_once('/')?;
    version.split(' ').next()
}
