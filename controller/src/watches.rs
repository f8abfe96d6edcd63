//! The watches of the API server, as changes for the index.

use std::fmt::Debug;

use dockfleet_vitals::chain;
use futures::StreamExt as _;
use kube::api::PartialObjectMeta;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;
use tracing::warn;

use crate::error::CallError;
use crate::index::{MANAGED_BY, Seen, WatchChange};
use crate::kinds;

/// Starts every watch. They send changes to `changes`. A full queue delays them, and so the stream
/// of the API server, which is intended.
///
/// Hosts and assignments are watched in all namespaces, and the index considers those of fleet
/// namespaces: which namespaces those are can change at any time.
pub(crate) fn start(client: &Client, changes: &Sender<WatchChange>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    kinds::watch(client, changes, &mut tasks);
    tasks.spawn(watch(
        Api::all(client.clone()),
        changes.clone(),
        Config::default(),
        WatchChange::Host,
    ));
    tasks.spawn(watch(
        Api::all(client.clone()),
        changes.clone(),
        Config::default(),
        WatchChange::Assignment,
    ));
    let namespaces: Api<DeserializeGuard<PartialObjectMeta<_>>> = Api::all(client.clone());
    tasks.spawn(watch(
        namespaces,
        changes.clone(),
        Config::default(),
        WatchChange::Namespace,
    ));
    let (label, value) = MANAGED_BY;
    tasks.spawn(watch(
        Api::all(client.clone()),
        changes.clone(),
        Config::default().labels(&format!("{label}={value}")),
        WatchChange::Lease,
    ));
    tasks
}

/// Sends the events of a watch as changes for the index.
pub(crate) async fn watch<K>(
    api: Api<DeserializeGuard<K>>,
    changes: Sender<WatchChange>,
    config: Config,
    change: fn(Seen<K>) -> WatchChange,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut events = Box::pin(watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        let seen = match event {
            Ok(event) => read(event),
            Err(err) => {
                let kind = K::kind(&());
                warn!(%kind, error = chain(&CallError::from(err)), "watch interrupted");
                Seen::Interrupted
            }
        };
        if changes.send(change(seen)).await.is_err() {
            return;
        }
    }
}

fn read<K: Resource<DynamicType = ()>>(event: Event<DeserializeGuard<K>>) -> Seen<K> {
    match event {
        Event::Init => Seen::ListBegins,
        Event::InitDone => Seen::ListEnds,
        Event::InitApply(object) => readable(object, Seen::Listed),
        Event::Apply(object) => readable(object, Seen::Applied),
        Event::Delete(object) => Seen::Deleted(object.meta().clone()),
    }
}

fn readable<K: Resource<DynamicType = ()>>(
    object: DeserializeGuard<K>,
    seen: fn(Box<K>) -> Seen<K>,
) -> Seen<K> {
    match object.0 {
        Ok(object) => seen(Box::new(object)),
        Err(invalid) => {
            warn!(
                kind = %K::kind(&()),
                namespace = invalid.metadata.namespace,
                name = invalid.metadata.name,
                error = invalid.error,
                "ignored an object that cannot be read"
            );
            Seen::Unreadable(invalid.metadata)
        }
    }
}
