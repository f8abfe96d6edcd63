//! One Docker Engine: the calls that an agent makes, in the words of the planner.
//!
//! Nothing outside of this module knows the client library. Every call has a timeout, and every error
//! is turned into what it means in one place, `error`.

mod decode;
mod encode;
mod endpoint;
mod error;
mod events;
mod orphaned_network;
mod redact;
mod ssh;
mod usage;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bollard::models::NetworkCreateRequest;
use bollard::query_parameters::{
    ListNetworksOptions, ListVolumesOptions, ListVolumesOptionsBuilder, RemoveVolumeOptions,
};
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker, body_full};
use dockfleet_crds::assignment::Kind;
use dockfleet_crds::host::EngineFacts;
use dockfleet_planner::capability::{self, ApiVersion};
use dockfleet_planner::credentials::Credentials;
use dockfleet_planner::desired::Desired;
use dockfleet_planner::observed::{Observed, ObservedNetwork, ObservedVolume};

use crate::vitals::AgentVitals;

pub use self::endpoint::{Endpoint, EndpointError};
use self::error::Call;
pub use self::error::{Cause, EngineError};
pub use self::events::EngineEvent;

/// The oldest API version that is supported: that of Engine 20.10.
const OLDEST: ApiVersion = ApiVersion(1, 41);
/// The newest API version that the client library's types describe. Calls name it, or the engine's own
/// where that is older, so that a newer engine answers in a form that is known.
const KNOWN: ApiVersion = ApiVersion(1, 53);
/// Since this API version the engine itself refuses a second network of one name.
const UNIQUE_NAMES: ApiVersion = ApiVersion(1, 44);
/// Time for the client library beyond our own timeouts, which end first and can tell what was asked.
const CLIENT_TIMEOUT: u64 = 130;

/// How long an engine may take to answer.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// To connect and say what it is: short, because it decides whether there is an engine at all.
    pub connect: Duration,
    /// To list: an engine that starts many containers answers late.
    pub read: Duration,
    /// To make or remove an object: the engine does one at a time, each up to a second on a slow
    /// disk, and others may be waiting before us.
    pub change: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            change: Duration::from_secs(120),
        }
    }
}

/// A Docker Engine that has said what it is.
#[derive(Debug)]
pub struct Engine {
    docker: Docker,
    facts: EngineFacts,
    api: ApiVersion,
    timeouts: Timeouts,
    calls: AtomicU64,
    vitals: Option<Arc<AgentVitals>>,
}

/// What an engine has, and why a part of it is not known.
#[derive(Debug, Default)]
pub struct Observation {
    /// What it has; a list that could not be read is unknown, not empty.
    pub observed: Observed,
    /// Why lists could not be read.
    pub failures: Vec<EngineError>,
}

impl Engine {
    /// Connects to an engine with one call, in which it says what it is. An engine that is too old
    /// or that cannot be reached is an error.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, EngineError> {
        Self::connect_within(endpoint, Timeouts::default()).await
    }

    /// Connects as [`Engine::connect`] does, with other timeouts for this and all later calls.
    pub async fn connect_within(
        endpoint: &Endpoint,
        timeouts: Timeouts,
    ) -> Result<Self, EngineError> {
        let docker = client(endpoint).map_err(|err| EngineError::of(Call::Version, &err))?;
        let told = answered(Call::Version, timeouts.connect, docker.version()).await?;
        let version = told.version.unwrap_or_default();
        let api: ApiVersion = told
            .api_version
            .as_deref()
            .unwrap_or_default()
            .parse()
            .map_err(|_| EngineError::Unreachable {
                what: "asking the engine for its version".to_owned(),
                cause: Cause::Unreadable(0),
            })?;
        if api < OLDEST {
            return Err(EngineError::TooOld { version, api });
        }
        let facts = EngineFacts {
            version,
            api_version: api.to_string(),
            os: told.os.unwrap_or_default(),
            architecture: told.arch.unwrap_or_default(),
            capabilities: capability::of(api),
            ..EngineFacts::default()
        };
        let docker = docker.with_request_modifier(move |request| versioned(request, api));
        Ok(Self {
            docker,
            facts,
            api,
            timeouts,
            calls: AtomicU64::new(1),
            vitals: None,
        })
    }

    /// Connects as [`Engine::connect_within`] does, and has this and all later calls measured.
    pub(crate) async fn connect_with(
        endpoint: &Endpoint,
        timeouts: Timeouts,
        vitals: &Arc<AgentVitals>,
    ) -> Result<Self, EngineError> {
        let begin = Instant::now();
        let answer = Self::connect_within(endpoint, timeouts).await;
        measure(vitals, Call::Version, begin, &answer);
        let vitals = Some(Arc::clone(vitals));
        Ok(Self { vitals, ..answer? }.identified().await)
    }

    /// Asks the engine which one it is. One that does not say, or a proxy before it that does not let
    /// it, has no identity, and is worked with all the same.
    pub async fn identified(mut self) -> Self {
        let call = self.docker.info();
        match self.count(Call::Info, self.timeouts.connect, call).await {
            Ok(info) => {
                self.facts.id = info.id;
                self.facts.hostname = info.name;
                self.facts.data_root = info.docker_root_dir;
            }
            Err(err) => tracing::debug!(error = err.sentence(), "the engine has no identity"),
        }
        self
    }

    /// Returns what the engine said of itself.
    pub fn facts(&self) -> &EngineFacts {
        &self.facts
    }

    /// Returns the newest API version that the engine speaks.
    pub fn api(&self) -> ApiVersion {
        self.api
    }

    /// Whether the engine can make two networks of one name: one that is still being made does not
    /// count for `CheckDuplicate`.
    pub(crate) fn may_make_twins(&self) -> bool {
        self.api < UNIQUE_NAMES
    }

    /// Returns how many calls were made, the one to connect among them.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Lists networks and volumes, with one call each.
    pub async fn observe(&self) -> Observation {
        let (networks, volumes) = tokio::join!(self.networks(), self.volumes());
        let mut failures = Vec::new();
        let mut known = |err| failures.push(err);
        let observed = Observed {
            networks: networks.map_err(&mut known).ok(),
            volumes: volumes.map_err(&mut known).ok(),
        };
        Observation { observed, failures }
    }

    /// Lists the objects of one kind; those of the other are not known.
    pub(crate) async fn observe_kind(&self, kind: Kind) -> Observation {
        let mut seen = Observation::default();
        match kind {
            Kind::DockerNetwork => match self.networks().await {
                Ok(networks) => seen.observed.networks = Some(networks),
                Err(err) => seen.failures.push(err),
            },
            Kind::DockerVolume => match self.volumes().await {
                Ok(volumes) => seen.observed.volumes = Some(volumes),
                Err(err) => seen.failures.push(err),
            },
        }
        seen
    }

    async fn networks(&self) -> Result<Vec<ObservedNetwork>, EngineError> {
        let call = self.docker.list_networks(None::<ListNetworksOptions>);
        let list = self
            .count(Call::List("networks"), self.timeouts.read, call)
            .await?;
        Ok(list.into_iter().map(decode::network).collect())
    }

    async fn volumes(&self) -> Result<Vec<ObservedVolume>, EngineError> {
        let call = self.docker.list_volumes(None::<ListVolumesOptions>);
        let list = self
            .count(Call::List("volumes"), self.timeouts.read, call)
            .await?;
        for warning in list.warnings.iter().flatten() {
            tracing::warn!(
                warning = redact::redact(warning),
                "the engine's list of volumes may lack some"
            );
        }
        Ok(list
            .volumes
            .into_iter()
            .flatten()
            .map(decode::volume)
            .collect())
    }

    /// Returns the volume of this name as it is now, or nothing where there is none.
    ///
    /// It is looked up in a list: an engine adds to a single volume what its plugin says of it, in
    /// forms that not every client can read.
    pub async fn volume(&self, name: &str) -> Result<Option<ObservedVolume>, EngineError> {
        let filters = HashMap::from([("name", vec![name])]);
        let options = ListVolumesOptionsBuilder::default()
            .filters(&filters)
            .build();
        let call = self.docker.list_volumes(Some(options));
        let list = self
            .count(Call::List("volumes"), self.timeouts.read, call)
            .await?;
        let found = list.volumes.into_iter().flatten().find(|v| v.name == name);
        Ok(found.map(decode::volume))
    }

    /// Makes a network or a volume, which is mounted with the credentials. That it succeeds says little: an engine answers the same to a
    /// volume that was there and stays as it was, so the result has to be looked at.
    pub async fn create(
        &self,
        desired: &Desired,
        credentials: Option<&Credentials>,
    ) -> Result<(), EngineError> {
        match desired {
            Desired::Network(network) => {
                let call = Call::Create(Kind::DockerNetwork, &network.name);
                let docker = self.checking_names(encode::network(network));
                let answer = docker.create_network(encode::network(network));
                let made = match self.count(call, self.timeouts.change, answer).await {
                    Err(EngineError::Refused(text)) => return Err(self.refusal(text).await),
                    other => other?,
                };
                if !made.warning.is_empty() {
                    tracing::warn!(
                        object = network.name,
                        warning = redact::redact(&made.warning),
                        "the engine warns"
                    );
                }
            }
            Desired::Volume(volume) => {
                let call = Call::Create(Kind::DockerVolume, &volume.name);
                let answer = self
                    .docker
                    .create_volume(encode::volume(volume, credentials));
                let made = self.count(call, self.timeouts.change, answer).await;
                made.map_err(|err| err.without(credentials))?;
            }
            Desired::Tombstone(t) => {
                return Err(EngineError::Refused(format!(
                    "{} is to go, not to be made",
                    t.name
                )));
            }
        }
        Ok(())
    }

    /// Returns the refusal of a network, with what no list of networks would tell a person.
    async fn refusal(&self, text: String) -> EngineError {
        let Some(rival) = orphaned_network::rival(&text) else {
            return EngineError::Refused(text);
        };
        let text = match self.networks().await {
            Ok(listed) if listed.iter().all(|n| n.id != rival) => {
                orphaned_network::explained(&text, rival)
            }
            Ok(_) | Err(_) => text,
        };
        EngineError::Refused(text)
    }

    /// Returns a client that sends `CheckDuplicate` to engines that need it: without it they make a
    /// second network of the same name, and the client library's type has no such field.
    fn checking_names(&self, request: NetworkCreateRequest) -> Docker {
        if self.api >= UNIQUE_NAMES {
            return self.docker.clone();
        }
        let api = self.api;
        let Some(body) = encode::with_check_duplicate(request) else {
            return self.docker.clone();
        };
        self.docker.clone().with_request_modifier(move |request| {
            let mut request = versioned(request, api);
            *request.body_mut() = body_full(body.clone().into());
            request
        })
    }

    /// Removes the network with this ID. One that containers are connected to is not removed, which is
    /// [`EngineError::InUse`].
    pub async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        let call = Call::Remove(Kind::DockerNetwork, id);
        self.count(
            call,
            self.timeouts.change,
            self.docker.remove_network(plain(id)?),
        )
        .await
    }

    /// Removes the volume with this name, never by force. One that a container uses is not removed,
    /// which is [`EngineError::InUse`].
    pub async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        let call = Call::Remove(Kind::DockerVolume, name);
        let answer = self
            .docker
            .remove_volume(plain(name)?, None::<RemoveVolumeOptions>);
        self.count(call, self.timeouts.change, answer).await
    }

    async fn count<T>(
        &self,
        call: Call<'_>,
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

/// Has the metrics take in a call.
fn measure<T>(
    vitals: &AgentVitals,
    call: Call<'_>,
    begin: Instant,
    answer: &Result<T, EngineError>,
) {
    vitals.metrics.call_took(call.label(), begin.elapsed());
    if let Err(err) = answer {
        vitals.metrics.call_failed(err.label());
    }
}

async fn answered<T>(
    call: Call<'_>,
    timeout: Duration,
    answer: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, EngineError> {
    match tokio::time::timeout(timeout, answer).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(err)) => Err(EngineError::of(call, &err)),
        Err(_) => Err(EngineError::timeout(call, timeout)),
    }
}

fn client(endpoint: &Endpoint) -> Result<Docker, bollard::errors::Error> {
    let version = API_DEFAULT_VERSION;
    match endpoint {
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
    }
}

/// Puts the API version before the path, which the client library leaves out: an engine would answer
/// in the form of its newest version.
fn versioned(mut request: BollardRequest, api: ApiVersion) -> BollardRequest {
    let uri = request.uri();
    let text = match (uri.scheme_str(), uri.authority(), uri.path_and_query()) {
        (Some(scheme), Some(authority), Some(path)) => {
            format!("{scheme}://{authority}/v{}{path}", api.min(KNOWN))
        }
        // Without them the request cannot be sent at all, which the client will say.
        _ => return request,
    };
    if let Ok(uri) = text.parse() {
        *request.uri_mut() = uri;
    }
    request
}

/// Lets only what can be an ID or a name into a path.
fn plain(name: &str) -> Result<&str, EngineError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && name.chars().all(fits) {
        Ok(name)
    } else {
        Err(EngineError::Refused(format!(
            "{name:?} is no name or ID of an object"
        )))
    }
}
