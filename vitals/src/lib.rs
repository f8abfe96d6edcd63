//! What is the same for every process that runs for months: what it says about itself by HTTP (`/healthz`,
//! `/readyz`, `/metrics`), how long it waits for an API server, and how it tells of an error.
//!
//! Controller and agent keep their own metrics and know best when they are well; this crate has no
//! client of Kubernetes or Docker.

mod chain;
mod http;
mod pulse;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

pub use chain::chain;
pub use http::{Server, ServerError};
pub use pulse::Pulse;

/// How long a call of the API server may take, the client's own repetitions included. Connections through
/// a VPN die without a word.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Upper bounds of the histograms of calls and waits, in seconds: from what an idle API server or
/// engine takes to the longest timeout there is.
pub const SECONDS: [f64; 13] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0,
];

/// How it is with a process; why it is not well is one sentence without names in it.
pub type Verdict = Result<(), String>;

/// What is asked by HTTP.
pub trait Vitals: Send + Sync + 'static {
    /// Whether it gets on with its work; a process that does not is to be started again.
    fn alive(&self) -> Verdict;
    /// Whether it knows enough to do its work.
    fn ready(&self) -> Verdict;
    /// Returns the metrics as text.
    fn metrics(&self) -> BoxFuture<'_, String>;
}

/// Makes a registry whose metrics begin with `dockfleet_` and the name of the part, with the
/// version of the program in it.
pub fn registry(version: &'static str) -> Registry {
    let mut registry = Registry::with_prefix("dockfleet");
    let info = Family::<[(&str, &str); 1], Gauge>::default();
    info.get_or_create(&[("version", version)]).set(1);
    registry.register("build_info", "Version of the program; always 1", info);
    registry
}

/// Returns the metrics of a registry as text.
pub fn text(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing into a string does not fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, registry);
    text
}

/// Vitals that several parts hold.
pub type Shared = Arc<dyn Vitals>;
