//! One Docker Engine: the calls that an agent makes, with the types of the planner.
//!
//! Only this module and `actions` use the client library. Every call has a timeout, and the module `error`
//! maps every error to its meaning.

mod endpoint;
mod error;
mod events;
pub(crate) mod map;
pub(crate) mod orphaned_network;
mod ping;
mod raw;
pub(crate) mod redact;
mod ssh;
pub(crate) mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use dockfleet_crds::assignment::Kind;
use dockfleet_crds::host::EngineFacts;
use dockfleet_planner::capability::{self, ApiVersion};
use dockfleet_planner::kinds;
use dockfleet_planner::observed::ObservedState;

use crate::actions;
use crate::vitals::AgentVitals;

pub use self::endpoint::{Endpoint, EndpointError};
pub use self::error::{Cause, EngineError};
pub(crate) use self::error::{EngineCall, MUST_EXIST};
pub use self::events::EngineEvent;

/// The oldest API version that is supported: that of Engine 20.10.
const OLDEST: ApiVersion = ApiVersion(1, 41);
/// The newest API version that the client library's types describe. Calls use it, or the engine's own version
/// if that is older, so that a newer engine answers in a known form.
const KNOWN: ApiVersion = ApiVersion(1, 53);
/// Timeout of the client library. The timeouts of this crate are shorter, because their errors name the call.
const CLIENT_TIMEOUT: u64 = 130;

/// Timeouts of calls to an engine.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Timeout to connect and to get the version: short, because it decides whether there is an engine at
    /// all.
    pub connect: Duration,
    /// Timeout of lists: an engine that starts many containers is slow.
    pub read: Duration,
    /// Timeout of a create or a removal: the engine does one at a time, each up to a second on a slow disk,
    /// and other clients may wait too.
    pub change: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            change: Duration::from_mins(2),
        }
    }
}

/// A connected Docker Engine.
#[derive(Debug)]
pub struct Engine {
    docker: Docker,
    facts: EngineFacts,
    api: ApiVersion,
    timeouts: Timeouts,
    is_local: bool,
    calls: AtomicU64,
    vitals: Option<Arc<AgentVitals>>,
}

/// The observed state, and why a part of it is not known.
#[derive(Debug, Default)]
pub struct Observation {
    /// The observed objects; a list that could not be read is unknown, not empty.
    pub observed: ObservedState,
    /// Why lists could not be read, by kind.
    pub failures: BTreeMap<Kind, EngineError>,
}

impl Engine {
    /// Connects to an engine with one call, for its API version. An engine that is too old or cannot be reached
    /// is an error.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, EngineError> {
        let timeouts = Timeouts::default();
        if let Endpoint::Unix(socket) = endpoint {
            let ping = tokio::time::timeout(timeouts.connect, ping::facts(socket)).await;
            match ping {
                Ok(Some(facts)) => return Self::with(client(endpoint)?, endpoint, timeouts, facts),
                // The call for the version returns why.
                Ok(None) => {}
                Err(_) => return Err(EngineError::timeout(EngineCall::Version, timeouts.connect)),
            }
        }
        Self::connect_within(endpoint, timeouts).await
    }

    /// Connects as [`Engine::connect`] does, with other timeouts for this and all later calls. The call takes
    /// longer, and returns the architecture, too.
    pub async fn connect_within(
        endpoint: &Endpoint,
        timeouts: Timeouts,
    ) -> Result<Self, EngineError> {
        let docker = client(endpoint)?;
        let reply = answered(EngineCall::Version, timeouts.connect, docker.version()).await?;
        let facts = EngineFacts {
            version: reply.version.unwrap_or_default(),
            api_version: reply.api_version.unwrap_or_default(),
            os: reply.os.unwrap_or_default(),
            architecture: reply.arch.unwrap_or_default(),
            ..EngineFacts::default()
        };
        Self::with(docker, endpoint, timeouts, facts)
    }

    /// Returns an engine by what it reported about itself.
    fn with(
        docker: Docker,
        endpoint: &Endpoint,
        timeouts: Timeouts,
        reported: EngineFacts,
    ) -> Result<Self, EngineError> {
        let api = reported.api_version.parse();
        let api: ApiVersion = api.map_err(|_| EngineError::Unreachable {
            what: "asking the engine for its version".to_owned(),
            cause: Cause::Unreadable(0),
        })?;
        if api < OLDEST {
            let version = reported.version;
            return Err(EngineError::TooOld { version, api });
        }
        let facts = EngineFacts {
            api_version: api.to_string(),
            capabilities: capability::of(api),
            ..reported
        };
        let docker = docker.with_request_modifier(move |request| versioned(request, api));
        Ok(Self {
            docker,
            facts,
            api,
            timeouts,
            is_local: matches!(endpoint, Endpoint::Unix(_)),
            calls: AtomicU64::new(1),
            vitals: None,
        })
    }

    /// Connects as [`Engine::connect_within`] does, and measures this and all later calls.
    pub(crate) async fn connect_with(
        endpoint: &Endpoint,
        timeouts: Timeouts,
        vitals: &Arc<AgentVitals>,
    ) -> Result<Self, EngineError> {
        let begin = Instant::now();
        let answer = Self::connect_within(endpoint, timeouts).await;
        measure(vitals, EngineCall::Version, begin, &answer);
        let vitals = Some(Arc::clone(vitals));
        Ok(Self { vitals, ..answer? }.identified().await)
    }

    /// Gets the identity of the engine. If the engine, or a proxy in front of it, does not report one, the
    /// engine is used without.
    pub async fn identified(mut self) -> Self {
        let call = self.docker.info();
        match self
            .count(EngineCall::Info, self.timeouts.connect, call)
            .await
        {
            Ok(info) => {
                self.facts.id = info.id;
                self.facts.hostname = info.name;
                self.facts.data_root = info.docker_root_dir;
            }
            Err(err) => tracing::debug!(error = err.sentence(), "the engine reports no identity"),
        }
        self
    }

    /// Returns what the engine reported about itself.
    pub fn facts(&self) -> &EngineFacts {
        &self.facts
    }

    /// Whether the engine is on this machine, so that this process reaches what the engine reaches.
    pub(crate) fn is_local(&self) -> bool {
        self.is_local
    }

    /// Whether this process is in the network of the engine, so that it sees the addresses of the host. A container
    /// has the name of its host only with `--network host`.
    pub(crate) fn shares_network(&self) -> bool {
        let own = rustix::system::uname();
        let own = own.nodename().to_str().ok();
        self.is_local && own.is_some() && own == self.facts.hostname.as_deref()
    }

    /// Returns the newest API version that the engine supports.
    pub fn api(&self) -> ApiVersion {
        self.api
    }

    /// Returns the number of calls, including the one to connect.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Lists the objects of every kind that is always observed, with one call each.
    pub async fn observe(&self) -> Observation {
        let all = Kind::all().filter(|kind| kinds::is_observed_always(*kind));
        let looks = all.map(|kind| self.observe_kind(kind));
        let mut all = Observation::default();
        for seen in futures::future::join_all(looks).await {
            all.observed.extend(seen.observed);
            all.failures.extend(seen.failures);
        }
        all
    }

    /// Lists the objects of one kind; the others are not known.
    pub(crate) async fn observe_kind(&self, kind: Kind) -> Observation {
        let mut seen = Observation::default();
        match actions::list(self, kind).await {
            Ok((objects, warnings)) => {
                seen.observed.insert(kind, objects);
                seen.observed.warn(kind, warnings);
            }
            Err(err) => drop(seen.failures.insert(kind, err)),
        }
        seen
    }

    /// Returns the client, for calls through [`Engine::read`] and [`Engine::change`].
    pub(crate) fn docker(&self) -> &Docker {
        &self.docker
    }

    /// Waits for the answer of a call that changes nothing.
    pub(crate) async fn read<T>(
        &self,
        call: EngineCall<'_>,
        answer: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, EngineError> {
        self.count(call, self.timeouts.read, answer).await
    }

    /// Waits for the answer of a call that changes something.
    pub(crate) async fn change<T>(
        &self,
        call: EngineCall<'_>,
        answer: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, EngineError> {
        self.count(call, self.timeouts.change, answer).await
    }

    /// Checks that a text can be an ID or a name, before it becomes a part of a path.
    pub(crate) fn plain(name: &str) -> Result<&str, EngineError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if begins && name.chars().all(fits) {
            Ok(name)
        } else {
            Err(EngineError::Refused(format!(
                "{name:?} is not a name or ID of an object"
            )))
        }
    }

    async fn count<T>(
        &self,
        call: EngineCall<'_>,
        timeout: Duration,
        answer: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, EngineError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let begin = Instant::now();
        let answer = answered(call, timeout, answer).await;
        if let Some(vitals) = &self.vitals {
            measure(vitals, call, begin, &answer);
        }
        answer
    }
}

/// Records a call in the metrics.
fn measure<T>(
    vitals: &AgentVitals,
    call: EngineCall<'_>,
    begin: Instant,
    answer: &Result<T, EngineError>,
) {
    vitals.metrics.call_took(call.label(), begin.elapsed());
    if let Err(err) = answer {
        vitals.metrics.call_failed(err.label());
    }
}

async fn answered<T>(
    call: EngineCall<'_>,
    timeout: Duration,
    answer: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, EngineError> {
    match tokio::time::timeout(timeout, answer).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(err)) => Err(EngineError::of(call, &err)),
        Err(_) => Err(EngineError::timeout(call, timeout)),
    }
}

fn client(endpoint: &Endpoint) -> Result<Docker, EngineError> {
    let version = API_DEFAULT_VERSION;
    let client = match endpoint {
        Endpoint::Unix(path) => {
            Docker::connect_with_unix(&path.to_string_lossy(), CLIENT_TIMEOUT, version)
        }
        Endpoint::Tcp {
            address,
            certs: None,
        } => Docker::connect_with_http(address, CLIENT_TIMEOUT, version),
        Endpoint::Tcp {
            address,
            certs: Some(folder),
        } => {
            let file = |name| folder.join(name);
            let (key, cert, ca) = (file("key.pem"), file("cert.pem"), file("ca.pem"));
            Docker::connect_with_ssl(address, &key, &cert, &ca, CLIENT_TIMEOUT, version)
        }
        Endpoint::Ssh(destination) => ssh::client(destination),
    };
    client.map_err(|err| EngineError::of(EngineCall::Version, &err))
}

/// Adds the API version to the path, which the client library leaves out. Otherwise an engine would answer in
/// the form of its newest version.
pub(crate) fn versioned(request: BollardRequest, api: ApiVersion) -> BollardRequest {
    on_path(request, api, None)
}

/// Puts the API version before a path: another one, or that of the request.
fn on_path(mut request: BollardRequest, api: ApiVersion, path: Option<&str>) -> BollardRequest {
    let uri = request.uri();
    let text = match (uri.scheme_str(), uri.authority(), uri.path_and_query()) {
        (Some(scheme), Some(authority), Some(own)) => {
            let path = path.unwrap_or_else(|| own.as_str());
            format!("{scheme}://{authority}/v{}{path}", api.min(KNOWN))
        }
        // Without them the request cannot be sent, and the client returns an error.
        _ => return request,
    };
    if let Ok(uri) = text.parse() {
        *request.uri_mut() = uri;
    }
    request
}
