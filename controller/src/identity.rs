//! The identity of each host's agent: the objects that give an agent access to its own objects, and
//! to nothing else (invariant 10).
//!
//! A host has a ServiceAccount, a Role, a RoleBinding and a Secret of its own name ([`wanted`]). An
//! agent's tokens are bound to the Secret and become invalid when it is deleted. One task for each
//! fleet namespace ([`keeper`]) creates missing objects, restores changed ones, and deletes all of
//! them when the DockerHost is deleted ([`state`] decides). None of them has an owner reference to
//! the DockerHost: the rights must outlive the drain of a host and the deletion of the CRD.
//!
//! This does not wait for hosts or assignments, and they do not wait for it.

mod calls;
mod keeper;
mod state;
mod wanted;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use dockfleet_crds::FLEET_LABEL;
use dockfleet_vitals::chain;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::PartialObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info, info_span, warn};

use crate::error::{CallError, panic_with};
use crate::write_fence::WriteFence;

/// Keeps the identities of all hosts in `first` and in every namespace with the fleet label, once
/// this controller may write. Ends only when its future is dropped; its tasks end with it.
pub(crate) async fn keep(client: Client, first: String, mut fence: WriteFence) {
    // Identities are not urgent: a new leader fills these caches when it takes over.
    while !fence.is_open() {
        fence.changed().await;
    }
    let mut tasks = JoinSet::new();
    let mut running: BTreeMap<String, CancellationToken> = BTreeMap::new();
    let room = Arc::new(Semaphore::new(keeper::JOBS));
    let start = |tasks: &mut JoinSet<()>, namespace: &str| {
        let stop = CancellationToken::new();
        let keeper = keeper::keep(client.clone(), namespace.to_owned(), Arc::clone(&room));
        let stopped = stop.clone();
        let span = info_span!("identities", namespace);
        let task = async move {
            stopped.run_until_cancelled_owned(keeper).await;
        };
        tasks.spawn(task.instrument(span));
        info!(namespace, "manages the identities of hosts");
        stop
    };
    running.insert(first.clone(), start(&mut tasks, &first));
    let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
    let config = Config::default().labels(&format!("{FLEET_LABEL}=true"));
    let mut events = Box::pin(watcher(namespaces, config).default_backoff());
    // Namespaces that the current list has not named yet.
    let mut unnamed: Vec<String> = Vec::new();
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            Some(ended) = tasks.join_next() => {
                panic_with(ended.err());
                continue;
            }
        };
        let mut gone = Vec::new();
        match event {
            None => return,
            Some(Err(err)) => {
                warn!(
                    error = chain(&CallError::from(err)),
                    "watch of fleet namespaces interrupted"
                );
            }
            Some(Ok(Event::Init)) => unnamed = running.keys().cloned().collect(),
            Some(Ok(Event::InitApply(namespace) | Event::Apply(namespace))) => {
                let name = namespace.name_any();
                unnamed.retain(|n| *n != name);
                if let Entry::Vacant(vacant) = running.entry(name) {
                    let stop = start(&mut tasks, vacant.key());
                    vacant.insert(stop);
                }
            }
            Some(Ok(Event::Delete(namespace))) => gone.push(namespace.name_any()),
            Some(Ok(Event::InitDone)) => gone = std::mem::take(&mut unnamed),
        }
        for name in gone.into_iter().filter(|name| *name != first) {
            if let Some(stop) = running.remove(&name) {
                info!(namespace = name, "is no longer a fleet namespace");
                stop.cancel();
            }
        }
    }
}
