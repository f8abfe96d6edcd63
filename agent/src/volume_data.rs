//! Where the data of a volume is, as this process sees it, and who uses it.
//!
//! A backup reads the folder of the volume, not the engine's archive of it: an archive has no user attributes and
//! no sockets, makes sparse files large, and must be read as a whole every time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum, Volume, VolumeCreateRequest};
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListVolumesOptionsBuilder, RemoveVolumeOptions,
};
use dockfleet_crds::assignment::Kind;

use crate::engine::{Engine, EngineCall, EngineError};

/// The driver whose volumes are folders of the host.
const LOCAL_DRIVER: &str = "local";
/// Options of the local driver that only limit a folder. All others mount something else there.
const LIMITS: [&str; 1] = ["size"];
/// The label of a container that a swarm has created.
const SWARM_TASK: &str = "com.docker.swarm.task.id";
/// The label of a volume that shows whether this process sees the engine's volumes. It exists for a moment.
const PROBE_LABEL: &str = "io.dockfleet.probe";

/// Why the data of a volume cannot be read or written here.
#[derive(Debug, thiserror::Error)]
pub enum VolumeDataError {
    /// There is no such volume.
    #[error("there is no volume {0}")]
    NoVolume(String),
    /// Its data is not in a folder of the host.
    #[error("{0}")]
    Elsewhere(String),
    /// This process does not see the folder.
    #[error(
        "this process does not see the folder {} of the engine; run it on the host of the engine as root, or in a \
         container with that folder mounted at the same path",
        .0.display()
    )]
    NotVisible(PathBuf),
    /// The engine does not answer as it should.
    #[error("{}", .0.sentence())]
    Engine(#[from] EngineError),
}

/// A volume whose data is in a folder of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeData {
    /// The folder.
    pub folder: PathBuf,
    /// The running containers that have it mounted, sorted by name.
    pub running: Vec<RunningContainer>,
}

/// A container that runs, or is paused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunningContainer {
    /// Its name.
    pub name: String,
    /// Its ID.
    pub id: String,
    /// Whether it is paused.
    pub is_paused: bool,
    /// Whether it belongs to a service of a swarm.
    pub is_swarm_task: bool,
}

/// Finds the folder of a volume.
///
/// # Errors
/// If there is none, or this process does not see it.
pub async fn find(engine: &Engine, volume: &str) -> Result<VolumeData, VolumeDataError> {
    let Some(found) = look_up(engine, volume).await? else {
        return Err(VolumeDataError::NoVolume(volume.to_owned()));
    };
    let folder = folder_of(&found)?;
    if !sees(engine).await? {
        return Err(VolumeDataError::NotVisible(folder));
    }
    let running = running(engine, volume).await?;
    Ok(VolumeData { folder, running })
}

/// Finds the folder of a volume, and creates the volume if it does not exist.
///
/// # Errors
/// If this process does not see the folder; then no volume is created.
pub async fn find_or_create(engine: &Engine, volume: &str) -> Result<VolumeData, VolumeDataError> {
    if look_up(engine, volume).await?.is_none() {
        if !sees(engine).await? {
            let root = engine.facts().data_root.clone().unwrap_or_default();
            return Err(VolumeDataError::NotVisible(root.into()));
        }
        create(engine, volume, HashMap::new()).await?;
    }
    find(engine, volume).await
}

/// Removes a volume that this process has created a moment ago, if it has no data. The engine refuses if a container uses
/// it. Returns whether it was removed.
///
/// # Errors
/// If the engine does not remove it.
pub async fn remove_new(
    engine: &Engine,
    volume: &str,
    data: &VolumeData,
) -> Result<bool, EngineError> {
    let is_empty = fs::read_dir(&data.folder).is_ok_and(|mut names| names.next().is_none());
    if !is_empty {
        return Ok(false);
    }
    let answer = engine
        .docker()
        .remove_volume(volume, None::<RemoveVolumeOptions>);
    let removed = EngineCall::Remove(Kind::DockerVolume, volume);
    engine.change(removed, answer).await?;
    Ok(true)
}

/// Finds the folders of volumes: of those with these names, or of all if there are none, sorted by name.
///
/// # Errors
/// If the engine does not list its volumes.
pub async fn folders(
    engine: &Engine,
    names: &[String],
) -> Result<Vec<(String, Result<PathBuf, VolumeDataError>)>, EngineError> {
    let mut all: BTreeMap<String, Volume> = list(engine, None)
        .await?
        .into_iter()
        .map(|volume| (volume.name.clone(), volume))
        .collect();
    let found: Vec<(String, Option<Volume>)> = if names.is_empty() {
        all.into_iter().map(|(name, v)| (name, Some(v))).collect()
    } else {
        let unique: BTreeSet<&String> = names.iter().collect();
        unique
            .into_iter()
            .map(|name| (name.clone(), all.remove(name)))
            .collect()
    };
    let mut sees_them = None;
    let mut folders = Vec::new();
    for (name, volume) in found {
        let Some(volume) = volume else {
            folders.push((name.clone(), Err(VolumeDataError::NoVolume(name))));
            continue;
        };
        let folder = match folder_of(&volume) {
            Ok(folder) => {
                let sees_it = match sees_them {
                    Some(sees_it) => sees_it,
                    None => *sees_them.insert(sees(engine).await?),
                };
                if sees_it {
                    Ok(folder)
                } else {
                    Err(VolumeDataError::NotVisible(folder))
                }
            }
            Err(err) => Err(err),
        };
        folders.push((name, folder));
    }
    Ok(folders)
}

/// Volumes are looked up in a list: to a single volume an engine adds the status of its plugin, in forms that not
/// every client can read.
async fn look_up(engine: &Engine, name: &str) -> Result<Option<Volume>, EngineError> {
    let all = list(engine, Some(name)).await?;
    Ok(all.into_iter().find(|volume| volume.name == name))
}

/// Lists volumes: all, or those whose names have a part in common.
async fn list(engine: &Engine, part: Option<&str>) -> Result<Vec<Volume>, EngineError> {
    let filters: HashMap<_, _> = part.map(|part| ("name", vec![part])).into_iter().collect();
    let options = ListVolumesOptionsBuilder::default()
        .filters(&filters)
        .build();
    let call = engine.docker().list_volumes(Some(options));
    let list = engine
        .read(EngineCall::List(Kind::DockerVolume), call)
        .await?;
    Ok(list.volumes.unwrap_or_default())
}

/// Returns the folder of a volume whose data is there whether a container runs or not.
fn folder_of(volume: &Volume) -> Result<PathBuf, VolumeDataError> {
    let name = &volume.name;
    if volume.driver != LOCAL_DRIVER {
        return Err(VolumeDataError::Elsewhere(format!(
            "volume {name} has the driver {}, and only the data of the driver {LOCAL_DRIVER} is on this host",
            volume.driver
        )));
    }
    let mounted = volume
        .options
        .keys()
        .find(|o| !LIMITS.contains(&o.as_str()));
    if mounted.is_some() {
        let kind = volume
            .options
            .get("type")
            .map_or("another file system", String::as_str);
        return Err(VolumeDataError::Elsewhere(format!(
            "the data of volume {name} is not in a folder of the engine, but comes from a mount ({kind})"
        )));
    }
    Ok(PathBuf::from(&volume.mountpoint))
}

/// Whether this process sees the folders of the engine's volumes. The same path may exist on two machines, or in a
/// container. So a volume with a new name is created, and its folder must appear here.
async fn sees(engine: &Engine) -> Result<bool, EngineError> {
    if !engine.is_local() {
        return Ok(false);
    }
    let name = format!("dockfleet-probe-{}", uuid::Uuid::new_v4());
    let labels = HashMap::from([(PROBE_LABEL.to_owned(), "true".to_owned())]);
    let probe = create(engine, &name, labels).await?;
    let is_seen = Path::new(&probe.mountpoint).is_dir();
    let answer = engine
        .docker()
        .remove_volume(&name, None::<RemoveVolumeOptions>);
    let removed = EngineCall::Remove(Kind::DockerVolume, &name);
    engine.change(removed, answer).await?;
    Ok(is_seen)
}

async fn create(
    engine: &Engine,
    name: &str,
    labels: HashMap<String, String>,
) -> Result<Volume, EngineError> {
    let request = VolumeCreateRequest {
        name: Some(name.to_owned()),
        driver: Some(LOCAL_DRIVER.to_owned()),
        labels: Some(labels),
        ..VolumeCreateRequest::default()
    };
    let call = EngineCall::Create(Kind::DockerVolume, name);
    engine
        .change(call, engine.docker().create_volume(request))
        .await
}

/// Returns the running containers that have a volume mounted, sorted by name.
///
/// # Errors
/// If the engine does not list them.
pub async fn running(engine: &Engine, volume: &str) -> Result<Vec<RunningContainer>, EngineError> {
    let filters = HashMap::from([("volume", vec![volume])]);
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&filters)
        .build();
    let call = engine.docker().list_containers(Some(options));
    let all = engine.read(EngineCall::Containers, call).await?;
    let mut running: Vec<_> = all
        .into_iter()
        .filter_map(|c| as_running(c, volume))
        .collect();
    running.sort_unstable();
    Ok(running)
}

/// Returns a container that runs and has a volume mounted. The engine's filter also finds paths with this name.
fn as_running(container: ContainerSummary, volume: &str) -> Option<RunningContainer> {
    use ContainerSummaryStateEnum as State;
    let state = container.state?;
    let runs = matches!(state, State::RUNNING | State::PAUSED | State::RESTARTING);
    let mut mounts = container.mounts.iter().flatten();
    if !runs || !mounts.any(|m| m.name.as_deref() == Some(volume)) {
        return None;
    }
    let id = container.id?;
    let name = container.names.and_then(|n| n.into_iter().next());
    Some(RunningContainer {
        name: name.map_or_else(|| id.clone(), |n| n.trim_start_matches('/').to_owned()),
        id,
        is_paused: state == State::PAUSED,
        is_swarm_task: container.labels.is_some_and(|l| l.contains_key(SWARM_TASK)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(driver: &str, options: &[(&str, &str)]) -> Volume {
        Volume {
            name: "v".to_owned(),
            driver: driver.to_owned(),
            mountpoint: "/var/lib/docker/volumes/v/_data".to_owned(),
            options: options
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            ..Volume::default()
        }
    }

    #[test]
    fn only_a_folder_of_the_engine_has_the_data_all_the_time() {
        let folder =
            |driver, options: &[_]| folder_of(&volume(driver, options)).map_err(|e| e.to_string());
        let data = Ok(PathBuf::from("/var/lib/docker/volumes/v/_data"));
        assert_eq!(folder("local", &[]), data);
        assert_eq!(folder("local", &[("size", "1G")]), data);
        for options in [
            &[("type", "nfs"), ("o", "addr=nas"), ("device", ":/data")][..],
            &[("type", "none"), ("o", "bind"), ("device", "/srv")],
            &[("type", "tmpfs"), ("device", "tmpfs")],
        ] {
            assert!(
                folder("local", options)
                    .unwrap_err()
                    .contains("comes from a mount")
            );
        }
        assert!(
            folder("rexray", &[])
                .unwrap_err()
                .contains("has the driver rexray")
        );
    }
}
