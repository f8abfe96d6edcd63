//! The kinds of resource that go to hosts: watched, written and named to the API server. This file joins
//! them by the list in [`dockfleet_crds::kinds!`].

use std::borrow::Cow;
use std::sync::Arc;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::{
    BackupRepository, DockerNetwork, DockerVolume, PrunePolicy, SwarmCluster, VolumeBackup,
    VolumeBackupSchedule, VolumeRestore,
};
use dockfleet_planner::resource::Resource;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::watcher::Config;
use kube::{Api, Client, CustomResourceExt as _, Resource as _};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use crate::error::CallError;
use crate::index::{Seen, WatchChange};
use crate::jobs::{ParentWrite, write_as};
use crate::parent::Parent;
use crate::startup::is_served;
use crate::watches;

macro_rules! join {
    ($($kind:ident $object:literal $plural:literal,)*) => {
        /// Starts a watch of each kind in all namespaces.
        pub(crate) fn watch(client: &Client, changes: &Sender<WatchChange>, tasks: &mut JoinSet<()>) {
            $(
                let api: Api<_> = Api::all(client.clone());
                let seen = |seen: Seen<$kind>| WatchChange::Resource(Kind::$kind, seen.map(parent));
                tasks.spawn(watches::watch(api, changes.clone(), Config::default(), seen));
            )*
        }

        /// Writes to a resource, and returns it as it is then.
        pub(crate) async fn write(
            client: &Client,
            resource: &dyn Resource,
            write: ParentWrite,
        ) -> Result<Parent, CallError> {
            let (namespace, name) = (resource.namespace(), resource.name());
            match resource.kind() {
                $(Kind::$kind => {
                    let written = write_as::<$kind>(client, namespace, name, write).await?;
                    Ok(parent(written))
                })*
            }
        }

        /// Returns the name of the CRD of a kind.
        pub(crate) fn crd_name(kind: Kind) -> &'static str {
            match kind {
                $(Kind::$kind => $kind::crd_name(),)*
            }
        }

        /// Returns, for each kind, the plural of its resource and whether the API server serves it.
        pub(crate) async fn served(
            client: &Client,
        ) -> Result<Vec<(Cow<'static, str>, bool)>, CallError> {
            Ok(vec![$(($kind::plural(&()), is_served::<$kind>(client).await?),)*])
        }
    };
}

dockfleet_crds::kinds!(join);

/// Converts a resource, without its managed fields: nothing reads them, and they are half of an
/// object.
pub(crate) fn parent(mut resource: impl Resource) -> Parent {
    resource.metadata_mut().managed_fields = None;
    Arc::new(resource)
}

/// Returns what an event refers to a resource by.
pub(crate) fn reference(resource: &dyn Resource) -> ObjectReference {
    let meta = resource.metadata();
    ObjectReference {
        api_version: Some(format!(
            "{}/{}",
            dockfleet_crds::GROUP,
            dockfleet_crds::VERSION
        )),
        kind: Some(resource.kind().as_str().to_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        ..ObjectReference::default()
    }
}
