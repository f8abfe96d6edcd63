//! What is recorded of resources that have one object for several hosts: each as it was last applied, with its
//! status. Entries are rendered from that status, so it is durable before any host acts on it. In a cluster, the
//! API server keeps it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use dockfleet_agent::durable_file;
use dockfleet_agent::journal::Lock;
use dockfleet_crds::DockerHost;
use dockfleet_crds::assignment::Kind;
use dockfleet_planner::kinds;
use dockfleet_planner::resource::Resource;
use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::target::patiently;

/// Name of the folder, beside those of the journals.
const FOLDER: &str = "recorded";
const SUFFIX: &str = "json";

/// The folder with a file for each resource.
#[derive(Clone, Debug, Default)]
pub(super) struct RecordFolder(PathBuf);

/// One resource as it was last applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Recorded {
    /// The resource with its status.
    resource: Value,
    /// The metadata of its hosts: a host may be in no file later.
    hosts: Vec<ObjectMeta>,
}

impl Recorded {
    /// Returns the record of a resource and its hosts.
    pub(super) fn of(resource: &dyn Resource, hosts: Vec<ObjectMeta>) -> anyhow::Result<Self> {
        let resource = resource.document()?;
        Ok(Self { resource, hosts })
    }

    /// Returns the resource as a document.
    pub(super) fn document(&self) -> &Value {
        &self.resource
    }

    /// Returns the resource.
    pub(super) fn resource(&self) -> anyhow::Result<Box<dyn Resource>> {
        let name = self.resource.get("kind").and_then(Value::as_str);
        let kind = Kind::all().find(|kind| Some(kind.as_str()) == name);
        let kind = kind.with_context(|| {
            format!(
                "it has the kind {}, which this version does not know; use a newer dockfleet",
                name.unwrap_or_default()
            )
        })?;
        Ok(kinds::read(kind, self.resource.clone())?)
    }

    /// Returns the hosts, as far as selection needs them.
    pub(super) fn hosts(&self) -> impl Iterator<Item = DockerHost> {
        self.hosts.iter().map(|metadata| DockerHost {
            metadata: metadata.clone(),
            ..DockerHost::default()
        })
    }
}

impl RecordFolder {
    /// Names the folder in the folder of all journals, without creating it.
    pub(super) fn in_folder(root: &Path) -> Self {
        Self(root.join(FOLDER))
    }

    /// Takes the right to write records. It waits up to `patience` for another process: two that do not know of
    /// each other's choice could create two swarms.
    pub(super) async fn lock(&self, patience: Duration) -> anyhow::Result<Lock> {
        patiently("swarms", patience, || Lock::of_folder(&self.0)).await
    }

    /// Reads all records.
    pub(super) fn read(&self) -> anyhow::Result<Vec<Recorded>> {
        let listed = match fs::read_dir(&self.0) {
            Ok(listed) => listed,
            // Something else in the place of the state folder is reported by the journals.
            Err(err) if matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Vec::new());
            }
            Err(err) => {
                return Err(err).with_context(|| format!("cannot read {}", self.0.display()));
            }
        };
        let mut paths = Vec::new();
        for entry in listed {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == SUFFIX) {
                paths.push(path);
            }
        }
        paths.sort();
        paths.iter().map(|path| read(path)).collect()
    }

    /// Writes the record of the resource with this UID durably.
    pub(super) fn write(&self, uid: &str, recorded: &Recorded) -> anyhow::Result<()> {
        let path = self.file(uid);
        let text = serde_json::to_vec_pretty(recorded)?;
        durable_file::write(&path, &text).with_context(|| unwritten(&path))
    }

    /// Removes the record of the resource with this UID.
    pub(super) fn remove(&self, uid: &str) -> anyhow::Result<()> {
        let path = self.file(uid);
        durable_file::remove(&path).with_context(|| unwritten(&path))
    }

    fn file(&self, uid: &str) -> PathBuf {
        self.0.join(format!("{uid}.{SUFFIX}"))
    }
}

fn unwritten(path: &Path) -> String {
    format!("cannot write to {}; nothing more is done", path.display())
}

fn read(path: &Path) -> anyhow::Result<Recorded> {
    let unread = |err: anyhow::Error| {
        anyhow!(
            "cannot read {}, which has the state of a swarm or an overlay network: {err:#}",
            path.display()
        )
    };
    let text = fs::read(path).map_err(|err| unread(err.into()))?;
    let recorded: Recorded = serde_json::from_slice(&text).map_err(|err| unread(err.into()))?;
    recorded.resource().map_err(unread)?;
    Ok(recorded)
}

#[cfg(test)]
mod tests {
    use dockfleet_crds::SwarmCluster;
    use dockfleet_crds::swarm::{SwarmClusterSpec, SwarmClusterStatus, SwarmState};

    use super::*;

    fn swarm(cluster: &str) -> SwarmCluster {
        let mut swarm = SwarmCluster::new("shop", SwarmClusterSpec::default());
        swarm.status = Some(SwarmClusterStatus {
            swarm: SwarmState {
                cluster_id: Some(cluster.to_owned()),
                ..SwarmState::default()
            },
            ..SwarmClusterStatus::default()
        });
        swarm
    }

    #[test]
    fn what_was_recorded_is_read_again() {
        let root = tempfile::tempdir().unwrap();
        let folder = RecordFolder::in_folder(root.path());
        assert_eq!(folder.read().unwrap(), []);
        let _lock = Lock::of_folder(&folder.0).unwrap();
        let host = ObjectMeta {
            name: Some("h1".to_owned()),
            ..ObjectMeta::default()
        };
        let first = Recorded::of(&swarm("c1"), vec![host]).unwrap();
        folder.write("u", &first).unwrap();
        let second = Recorded::of(&swarm("c2"), Vec::new()).unwrap();
        folder.write("u", &second).unwrap();
        assert_eq!(folder.read().unwrap(), [second]);
        let found = folder.read().unwrap().remove(0).resource().unwrap();
        assert_eq!(found.own_status()["clusterID"], "c2");
        folder.remove("u").unwrap();
        folder.remove("u").unwrap();
        assert_eq!(folder.read().unwrap(), []);
    }

    #[test]
    fn a_record_that_cannot_be_read_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let folder = RecordFolder::in_folder(root.path());
        fs::create_dir(&folder.0).unwrap();
        for text in ["", "{}", r#"{"resource": {"kind": "Other"}, "hosts": []}"#] {
            fs::write(folder.file("u"), text).unwrap();
            let error = folder.read().unwrap_err().to_string();
            assert!(
                error.contains("u.json") && error.contains("swarm"),
                "{error}"
            );
        }
    }
}
