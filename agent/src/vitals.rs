//! The probes and metrics of an agent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dockfleet_vitals::{MetricError, ProbeResult, Registry, Vitals, Watchdog};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::watch;

use crate::metrics::AgentMetrics;

/// How long one step of the loop may take. Calls to the engine and to the API server run beside the loop, but
/// a write of the journal may wait for a slow disk.
const STUCK: Duration = Duration::from_mins(1);

/// The probes and metrics of an agent.
#[derive(Debug)]
pub struct AgentVitals {
    pub(crate) watchdog: Watchdog,
    pub(crate) metrics: AgentMetrics,
    registry: Registry,
    engine_answered: AtomicBool,
}

impl AgentVitals {
    /// Creates the vitals of one agent.
    pub fn new() -> Result<Arc<Self>, MetricError> {
        let registry = Registry::new(env!("CARGO_PKG_VERSION"))?;
        let metrics = AgentMetrics::register(&registry)?;
        Ok(Arc::new(Self {
            watchdog: Watchdog::new(),
            metrics,
            registry,
            engine_answered: AtomicBool::new(false),
        }))
    }

    /// Updates the metric of the token's expiry until the channel is closed.
    pub async fn follow_token(&self, mut expiry: watch::Receiver<Option<i64>>) {
        loop {
            if let Some(at) = *expiry.borrow_and_update() {
                self.metrics.token_ends(at);
            }
            if expiry.changed().await.is_err() {
                return;
            }
        }
    }

    /// Records whether the engine answered.
    pub(crate) fn engine_answered(&self, engine_answered: bool) {
        self.engine_answered
            .store(engine_answered, Ordering::Relaxed);
        self.metrics.engine_is_up(engine_answered);
    }
}

impl Vitals for AgentVitals {
    fn alive(&self) -> ProbeResult {
        self.watchdog.check(STUCK)
    }

    fn ready(&self) -> ProbeResult {
        if self.engine_answered.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err(
                "the engine did not answer when it was last observed, or was not observed yet"
                    .to_owned(),
            )
        }
    }

    fn metrics(&self) -> BoxFuture<'_, String> {
        futures::future::ready(self.registry.text()).boxed()
    }
}
