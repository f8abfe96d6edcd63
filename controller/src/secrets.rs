//! Watches of the Secrets that resources name: each by its name, so that the right to read can be
//! given for just those.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_planner::credentials::Credentials;
use dockfleet_vitals::chain;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::watch_object;
use kube::{Api, Client};
use tokio::sync::mpsc::Sender;
use tokio::task::{AbortHandle, JoinSet};
use tracing::debug;

use crate::error::CallError;
use crate::index::{Change, Heard};
use crate::object::Name;

/// The watches that run, and end with this.
pub(crate) struct SecretWatches {
    client: Client,
    changes: Sender<Change>,
    tasks: JoinSet<()>,
    running: BTreeMap<Name, AbortHandle>,
}

impl SecretWatches {
    /// Makes a set without watches, which is given what they see.
    pub(crate) fn new(client: Client, changes: Sender<Change>) -> Self {
        Self {
            client,
            changes,
            tasks: JoinSet::new(),
            running: BTreeMap::new(),
        }
    }

    /// Watches these Secrets and no others.
    pub(crate) fn follow(&mut self, names: &BTreeSet<Name>) {
        self.running.retain(|name, task| {
            let stays = names.contains(name);
            if !stays {
                task.abort();
            }
            stays
        });
        for name in names {
            if !self.running.contains_key(name) {
                let api = Api::namespaced(self.client.clone(), &name.namespace);
                let watch = watch(api, name.clone(), self.changes.clone());
                self.running.insert(name.clone(), self.tasks.spawn(watch));
            }
        }
        // What has ended is forgotten.
        while self.tasks.try_join_next().is_some() {}
    }
}

async fn watch(api: Api<Secret>, name: Name, changes: Sender<Change>) {
    let mut events = Box::pin(watch_object(api, &name.name).default_backoff());
    while let Some(event) = events.next().await {
        let heard = match event {
            // Nothing but the credentials goes any further.
            Ok(Some(secret)) => Heard::here(
                secret.metadata.uid.as_deref().unwrap_or_default(),
                secret
                    .metadata
                    .resource_version
                    .as_deref()
                    .unwrap_or_default(),
                Credentials::of(&secret),
            ),
            Ok(None) => Heard::Absent,
            Err(err) => {
                let err = CallError::from(err);
                debug!(
                    kind = "Secret",
                    namespace = name.namespace,
                    name = name.name,
                    error = chain(&err),
                    "a Secret cannot be watched"
                );
                Heard::Unreadable(reason(&err))
            }
        };
        if changes
            .send(Change::Secret(name.clone(), heard))
            .await
            .is_err()
        {
            return;
        }
    }
}

fn reason(err: &CallError) -> String {
    match err {
        CallError::Refused(status) if status.is_forbidden() => {
            "the controller has no right to get, list and watch it; a Role beside it gives the right"
                .to_owned()
        }
        other => other.to_string(),
    }
}
