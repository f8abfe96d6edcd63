//! The task that keeps the identities of the hosts in one namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use dockfleet_crds::DockerHost;
use dockfleet_vitals::chain;
use futures::stream::select_all;
use futures::{Stream, StreamExt as _, TryFutureExt as _};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::PartialObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Config, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

use super::calls::{self, IdentityError, Removed};
use super::state::{IdentityState, IdentityWork, WatchedPiece};
use super::wanted::{MANAGED_BY, Piece, PieceKind};
use crate::error::{CallError, panic_with};
use crate::lane::Lane;
use crate::random;

/// The most hosts whose identities are written at the same time, in all namespaces together. With more, a large fleet
/// would wait for identities, which cost the API server as much as assignments, before its first assignments.
pub(super) const JOBS: usize = 8;
/// How long changes of one host are collected: its objects come one by one.
const GATHER: Duration = Duration::from_millis(250);

/// A watch event for one name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum IdentityEvent {
    /// A list begins.
    Begins(WatchedPiece),
    /// A DockerHost exists.
    Host(String),
    /// An object exists, as wanted or not.
    Piece(PieceKind, String, bool),
    /// The list is complete.
    Ends(WatchedPiece),
    /// An object was deleted.
    Gone(WatchedPiece, String),
}

/// The result of a job.
struct IdentityDone {
    host: String,
    result: Result<Option<Removed>, IdentityError>,
}

/// Keeps the identities of the hosts in a namespace; ends with its future. `room` is shared by all namespaces.
pub(super) async fn keep(client: Client, namespace: String, room: Arc<Semaphore>) {
    let mut event = watch(&client, &namespace);
    let mut keeper = IdentityKeeper {
        client,
        namespace,
        state: IdentityState::new(),
        unnamed: BTreeMap::new(),
        lane: Lane::new(JOBS),
        room,
        jobs: JoinSet::new(),
    };
    loop {
        keeper.start_jobs();
        let due = keeper.due();
        tokio::select! {
            Some(event) = event.next() => keeper.handle(event),
            Some(done) = keeper.jobs.join_next() => match done {
                Ok(done) => keeper.finish(done),
                Err(err) => panic_with(Some(err)),
            },
            () = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            } => {}
        }
    }
}

struct IdentityKeeper {
    client: Client,
    namespace: String,
    state: IdentityState,
    /// For each running list, the names that it has not contained yet.
    unnamed: BTreeMap<WatchedPiece, BTreeSet<String>>,
    lane: Lane<String>,
    room: Arc<Semaphore>,
    jobs: JoinSet<IdentityDone>,
}

impl IdentityKeeper {
    fn handle(&mut self, event: IdentityEvent) {
        let now = Instant::now();
        match event {
            IdentityEvent::Begins(watched) => {
                self.unnamed.insert(watched, self.state.known(watched));
            }
            IdentityEvent::Host(name) => {
                self.named(WatchedPiece::Hosts, &name);
                self.state.host(&name);
            }
            IdentityEvent::Piece(kind, name, as_wanted) => {
                self.named(WatchedPiece::Pieces(kind), &name);
                self.state.piece(kind, &name, as_wanted);
            }
            IdentityEvent::Ends(watched) => {
                for name in self.unnamed.remove(&watched).unwrap_or_default() {
                    self.state.gone(watched, &name, now);
                }
                self.state.listed(watched, now);
            }
            IdentityEvent::Gone(watched, name) => self.state.gone(watched, &name, now),
        }
    }

    fn named(&mut self, watched: WatchedPiece, name: &str) {
        if let Some(unnamed) = self.unnamed.get_mut(&watched) {
            unnamed.remove(name);
        }
    }

    fn start_jobs(&mut self) {
        if !self.state.is_filled() {
            return;
        }
        let now = Instant::now();
        for name in self.state.take_dirty() {
            self.lane.add(name, now + GATHER);
        }
        while let Some(host) = self.lane.take(now) {
            match self.state.work(&host, now) {
                IdentityWork::None => self.lane.succeeded(&host),
                IdentityWork::Wait(until) => {
                    self.lane.succeeded(&host);
                    self.lane.add(host, until);
                }
                IdentityWork::Make { pieces, later } => {
                    if let Some(later) = later {
                        self.lane.add(host.clone(), later);
                    }
                    let call = calls::make(
                        self.client.clone(),
                        self.namespace.clone(),
                        host.clone(),
                        pieces,
                    );
                    self.spawn(host, call.map_ok(|()| None));
                }
                IdentityWork::Remove(pieces) => {
                    let call = calls::remove(
                        self.client.clone(),
                        self.namespace.clone(),
                        host.clone(),
                        pieces,
                    );
                    self.spawn(host, call.map_ok(Some));
                }
            }
        }
    }

    /// Starts calls for a host, which wait for room.
    fn spawn(
        &mut self,
        host: String,
        calls: impl Future<Output = Result<Option<Removed>, IdentityError>> + Send + 'static,
    ) {
        let room = Arc::clone(&self.room);
        self.jobs.spawn(async move {
            // It is never closed.
            let _permit = room.acquire().await;
            let result = calls.await;
            IdentityDone { host, result }
        });
    }

    fn due(&self) -> Option<Instant> {
        self.lane.next().filter(|_| self.state.is_filled())
    }

    fn finish(&mut self, done: IdentityDone) {
        let IdentityDone { host, result } = done;
        match result {
            Ok(removed) => {
                self.lane.succeeded(&host);
                if removed == Some(Removed::Cascaded) {
                    info!(
                        host,
                        "the host was deleted with its CRD or namespace; its identity is kept for now"
                    );
                    self.state.cascaded(&host, Instant::now());
                }
            }
            Err(err) => {
                let delay = self.lane.failed(&host, Instant::now(), random());
                warn!(
                    host,
                    error = chain(&err),
                    retry_in_s = delay.as_secs(),
                    "the identity of a host could not be updated"
                );
            }
        }
    }
}

type EventStream = Pin<Box<dyn Stream<Item = IdentityEvent> + Send>>;

fn watch(client: &Client, namespace: &str) -> impl Stream<Item = IdentityEvent> + Unpin + use<> {
    let hosts: Api<PartialObjectMeta<DockerHost>> = Api::namespaced(client.clone(), namespace);
    let hosts = stream(hosts, Config::default(), WatchedPiece::Hosts, |host| {
        IdentityEvent::Host(host.name_any())
    });
    select_all([
        hosts,
        pieces::<PartialObjectMeta<Secret>>(client, namespace),
        pieces::<ServiceAccount>(client, namespace),
        pieces::<Role>(client, namespace),
        pieces::<RoleBinding>(client, namespace),
    ])
}

fn pieces<K>(client: &Client, namespace: &str) -> EventStream
where
    K: Piece + Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + Debug + DeserializeOwned + Send + 'static,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let ours = Config::default().labels(&format!("{}={}", MANAGED_BY.0, MANAGED_BY.1));
    let namespace = namespace.to_owned();
    stream(api, ours, WatchedPiece::Pieces(K::KIND), move |object| {
        let name = object.name_any();
        let as_wanted = object.is_as_wanted(&namespace, &name);
        IdentityEvent::Piece(K::KIND, name, as_wanted)
    })
}

fn stream<K>(
    api: Api<K>,
    config: Config,
    watched: WatchedPiece,
    seen: impl Fn(&K) -> IdentityEvent + Send + 'static,
) -> EventStream
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let events = watcher(api, config).default_backoff();
    let event = events.filter_map(move |event| {
        let event = match event {
            Ok(watcher::Event::Init) => Some(IdentityEvent::Begins(watched)),
            Ok(watcher::Event::InitApply(object) | watcher::Event::Apply(object)) => {
                Some(seen(&object))
            }
            Ok(watcher::Event::InitDone) => Some(IdentityEvent::Ends(watched)),
            Ok(watcher::Event::Delete(object)) => {
                Some(IdentityEvent::Gone(watched, object.name_any()))
            }
            Err(err) => {
                let err = CallError::from(err);
                let error = chain(&err);
                if err.is_forbidden() {
                    warn!(
                        ?watched,
                        error,
                        "the controller has no rights in a namespace of hosts; add it to \
                         fleetNamespaces of the chart"
                    );
                } else {
                    warn!(?watched, error, "watch interrupted");
                }
                None
            }
        };
        std::future::ready(event)
    });
    Box::pin(event)
}
