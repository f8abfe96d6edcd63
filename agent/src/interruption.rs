//! Containers that are paused or stopped while a volume is read, so that its files are of one moment.
//!
//! What is done is written into a file first, and that file is the only reason for which a container is started or
//! continued again. Its owner has locked it: whoever can lock it knows that the owner is gone, and puts back what the
//! owner left.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bollard::models::ContainerStateStatusEnum;
use bollard::query_parameters::{
    InspectContainerOptions, StartContainerOptions, StopContainerOptions,
};
use serde::{Deserialize, Serialize};

use crate::engine::{Engine, EngineCall, EngineError};
use crate::volume_data::RunningContainer;

/// How long an engine waits for a container to stop if it is not told otherwise, in seconds.
const STOP_TIMEOUT: i64 = 10;
/// A container that may take longer to stop is not stopped, in seconds: a call to an engine may take two minutes.
const LONGEST_STOP: i64 = 90;
/// The end of the names of these files.
const SUFFIX: &str = ".interruption.json";

/// What happens to the running containers that use a volume, while it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Consistency {
    /// Nothing.
    #[default]
    None,
    /// They are paused: their processes do not run, and what they have in memory is not written.
    Pause,
    /// They are stopped, and started again.
    Stop,
}

/// Why containers were not interrupted.
#[derive(Debug, thiserror::Error)]
pub enum InterruptionError {
    /// Another process does the same.
    #[error("another backup of volume {0} is running")]
    Busy(String),
    /// A container that another program would start again.
    #[error(
        "container {0} is a task of a swarm service, which would be replaced; scale the service down instead"
    )]
    SwarmTask(String),
    /// A container that would be gone.
    #[error("container {0} is removed when it stops (--rm); use pause, or stop it yourself")]
    Removed(String),
    /// A container that may take longer to stop than a call to an engine may take.
    #[error(
        "container {0} may take {1} s to stop, which is too long here; use pause, or stop it yourself"
    )]
    Slow(String, i64),
    /// The file cannot be written, so nothing was done.
    #[error("{} cannot be written", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// A container could not be paused or stopped. The others were put back.
    #[error("container {name}: {}{}", .error.sentence(), and(.left))]
    Engine {
        /// The container.
        name: String,
        /// What could not be put back, as sentences.
        left: Vec<String>,
        /// What the engine said.
        #[source]
        error: EngineError,
    },
}

/// What was done to containers, as the file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Interruption {
    volume: String,
    consistency: Consistency,
    /// Containers that ran, in the order in which they are interrupted.
    containers: Vec<InterruptedContainer>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct InterruptedContainer {
    id: String,
    name: String,
}

/// Containers that are paused or stopped. [`InterruptedContainers::put_back`] ends it.
#[derive(Debug)]
pub struct InterruptedContainers {
    interruption: Interruption,
    path: PathBuf,
    /// Locked as long as this process lives.
    _file: File,
}

/// Pauses or stops the running containers of a volume. `folder` has the file about it. Returns `None` if there is
/// nothing to do. Who calls it has the [`VolumeLock`](crate::volume_lock::VolumeLock) of the volume.
///
/// # Errors
/// If one of them cannot be paused or stopped; then the others run again.
pub async fn interrupt(
    engine: &Engine,
    volume: &str,
    running: &[RunningContainer],
    consistency: Consistency,
    folder: &Path,
) -> Result<Option<InterruptedContainers>, InterruptionError> {
    if consistency == Consistency::None || running.is_empty() {
        return Ok(None);
    }
    let mut containers = Vec::new();
    for container in running {
        let found = inspect(engine, &container.id).await;
        let found = found.map_err(|error| InterruptionError::Engine {
            name: container.name.clone(),
            error,
            left: Vec::new(),
        })?;
        // Only what runs now runs again later.
        if found.is_running {
            may_interrupt(container, &found, consistency)?;
            containers.push(InterruptedContainer {
                id: container.id.clone(),
                name: container.name.clone(),
            });
        }
    }
    let interruption = Interruption {
        volume: volume.to_owned(),
        consistency,
        containers,
    };
    let path = path(folder, volume);
    let file = write(&path, &interruption)?;
    let all = InterruptedContainers {
        interruption,
        path,
        _file: file,
    };
    for container in &all.interruption.containers {
        let done = match consistency {
            Consistency::None => Ok(()),
            Consistency::Pause => pause(engine, &container.id).await,
            Consistency::Stop => stop(engine, &container.id).await,
        };
        if let Err(error) = done {
            let name = container.name.clone();
            let left = all.put_back(engine).await;
            return Err(InterruptionError::Engine { name, error, left });
        }
    }
    Ok(Some(all))
}

/// Checks that a container can be interrupted and run again as it was.
fn may_interrupt(
    container: &RunningContainer,
    found: &Inspected,
    consistency: Consistency,
) -> Result<(), InterruptionError> {
    let name = || container.name.clone();
    if container.is_swarm_task {
        return Err(InterruptionError::SwarmTask(name()));
    }
    if consistency != Consistency::Stop {
        return Ok(());
    }
    if found.is_removed {
        return Err(InterruptionError::Removed(name()));
    }
    if found.stop_timeout > LONGEST_STOP {
        return Err(InterruptionError::Slow(name(), found.stop_timeout));
    }
    Ok(())
}

/// Returns the end of a message about what could not be put back.
fn and(left: &[String]) -> String {
    if left.is_empty() {
        String::new()
    } else {
        format!("; not everything runs as before: {}", left.join("; "))
    }
}

impl InterruptedContainers {
    /// Lets the containers run again, the last one first. Returns what could not be done, as sentences; the file stays
    /// then, and it is tried again later.
    pub async fn put_back(self, engine: &Engine) -> Vec<String> {
        put_back(engine, &self.interruption, &self.path, Age::Fresh).await
    }
}

/// Whether processes that are gone have left containers interrupted, as the files in a folder say. It costs a look into
/// the folder.
pub fn has_left(folder: &Path) -> bool {
    files(folder).iter().any(|path| own(path).is_some())
}

/// Puts back what processes that are gone have left in a folder. Returns what was done and what could not be done, as
/// sentences. What could not be done, for example because the engine does not answer, stays in the folder: it is done by
/// the next call, and [`has_left`] says so until then.
pub async fn put_back_left(engine: &Engine, folder: &Path) -> Vec<String> {
    let mut said = Vec::new();
    for path in files(folder) {
        if let Some(_file) = own(&path) {
            said.extend(put_back_file(engine, &path, Age::Old).await);
        }
    }
    said
}

/// Returns the files about interruptions.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        // Without the folder there was never an interruption.
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.retain(|p| p.to_string_lossy().ends_with(SUFFIX));
    paths.sort_unstable();
    paths
}

/// Locks a file whose owner is gone.
fn own(path: &Path) -> Option<File> {
    let file = File::open(path).ok()?;
    file.try_lock().ok()?;
    is_at(&file, path).then_some(file)
}

/// Whether a file still has its name. Another process may have ended as it should, and a third one begun, since it was
/// opened.
fn is_at(file: &File, path: &Path) -> bool {
    let id = |found: fs::Metadata| (found.dev(), found.ino());
    let (opened, named) = (file.metadata().map(id), fs::metadata(path).map(id));
    opened.is_ok_and(|opened| named.is_ok_and(|named| named == opened))
}

/// Waits until the process that interrupts the containers of a volume is gone, and puts back what it left, as
/// [`put_back_left`] does.
pub async fn put_back_when_left(engine: &Engine, folder: &Path, volume: &str) -> Vec<String> {
    let path = path(folder, volume);
    let Ok(file) = File::open(&path) else {
        // It has ended as it should.
        return Vec::new();
    };
    let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    match locked {
        Ok(Ok(file)) if is_at(&file, &path) => put_back_file(engine, &path, Age::Fresh).await,
        _ => Vec::new(),
    }
}

/// Whether containers of a volume are still interrupted, or were left so.
pub fn is_left(folder: &Path, volume: &str) -> bool {
    path(folder, volume).exists()
}

async fn put_back_file(engine: &Engine, path: &Path, age: Age) -> Vec<String> {
    let text = fs::read(path).unwrap_or_default();
    let Ok(interruption) = serde_json::from_slice::<Interruption>(&text) else {
        return vec![format!(
            "{} cannot be read; no container was started for it",
            path.display()
        )];
    };
    let names: Vec<&str> = interruption
        .containers
        .iter()
        .map(|c| c.name.as_str())
        .collect();
    let said = put_back(engine, &interruption, path, age).await;
    let done = if path.exists() {
        "not all of its containers run again"
    } else {
        "its containers run again"
    };
    let first = format!(
        "a backup of volume {} was cut off; {done}: {}",
        interruption.volume,
        names.join(", ")
    );
    std::iter::once(first).chain(said).collect()
}

fn path(folder: &Path, volume: &str) -> PathBuf {
    folder.join(format!("{volume}{SUFFIX}"))
}

async fn put_back(
    engine: &Engine,
    interruption: &Interruption,
    path: &Path,
    age: Age,
) -> Vec<String> {
    let (mut said, mut is_done) = (Vec::new(), true);
    for container in interruption.containers.iter().rev() {
        match run_again(engine, &container.id, interruption.consistency, age).await {
            Ok(()) => {}
            // Its own restart policy, or a person, has decided.
            Err(EngineError::NotFound(_)) => {
                said.push(format!("container {} is gone", container.name));
            }
            Err(err) => {
                is_done = false;
                said.push(format!("container {}: {}", container.name, err.sentence()));
            }
        }
    }
    if is_done && let Err(err) = crate::durable_file::remove(path) {
        said.push(format!("{}: {err}", path.display()));
    }
    said
}

/// How long ago containers were interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// Just now: a call to the engine whose answer nobody has seen may still have its effect.
    Fresh,
    /// Who runs, was started by somebody since then.
    Old,
}

/// Lets a container run that ran before.
async fn run_again(
    engine: &Engine,
    id: &str,
    consistency: Consistency,
    age: Age,
) -> Result<(), EngineError> {
    let mut found = inspect(engine, id).await?;
    if found.is_running && age == Age::Fresh {
        // It joins a call that is not done yet, and says so if there is none.
        let _ = match consistency {
            Consistency::None => Ok(()),
            Consistency::Pause => pause(engine, id).await,
            Consistency::Stop => stop(engine, id).await,
        };
        found = inspect(engine, id).await?;
    }
    if found.is_paused {
        let answer = engine.docker().unpause_container(id);
        let call = EngineCall::Container("unpause container", id);
        return engine.change(call, answer).await;
    }
    // One that was only paused may have crashed, or the engine was restarted: its restart policy decides.
    if consistency != Consistency::Stop || found.is_running {
        return Ok(());
    }
    let answer = engine
        .docker()
        .start_container(id, None::<StartContainerOptions>);
    let call = EngineCall::Container("start container", id);
    engine.change(call, answer).await
}

/// What matters of a container.
#[derive(Clone, Copy, Debug)]
struct Inspected {
    is_running: bool,
    is_paused: bool,
    /// It is removed when it stops.
    is_removed: bool,
    /// How long it may take to stop, in seconds.
    stop_timeout: i64,
}

async fn inspect(engine: &Engine, id: &str) -> Result<Inspected, EngineError> {
    let id = Engine::plain(id)?;
    let answer = engine
        .docker()
        .inspect_container(id, None::<InspectContainerOptions>);
    let call = EngineCall::Container("inspect container", id);
    let found = engine.read(call, answer).await?;
    let status = found.state.and_then(|state| state.status);
    let runs = [
        ContainerStateStatusEnum::RUNNING,
        ContainerStateStatusEnum::RESTARTING,
    ];
    Ok(Inspected {
        is_running: status.is_some_and(|s| runs.contains(&s)),
        is_paused: status == Some(ContainerStateStatusEnum::PAUSED),
        is_removed: found
            .host_config
            .and_then(|c| c.auto_remove)
            .unwrap_or(false),
        stop_timeout: found
            .config
            .and_then(|c| c.stop_timeout)
            .unwrap_or(STOP_TIMEOUT),
    })
}

async fn pause(engine: &Engine, id: &str) -> Result<(), EngineError> {
    let id = Engine::plain(id)?;
    let answer = engine.docker().pause_container(id);
    engine
        .change(EngineCall::Container("pause container", id), answer)
        .await
}

/// Stops a container, with its own timeout.
async fn stop(engine: &Engine, id: &str) -> Result<(), EngineError> {
    let id = Engine::plain(id)?;
    let answer = engine
        .docker()
        .stop_container(id, None::<StopContainerOptions>);
    engine
        .change(EngineCall::Container("stop container", id), answer)
        .await
}

/// Writes the file, locked and durable, before anything is done.
fn write(path: &Path, interruption: &Interruption) -> Result<File, InterruptionError> {
    let failed = |err: io::Error| InterruptionError::File(path.to_owned(), err);
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(failed)?;
    if let Ok(earlier) = File::open(path) {
        if matches!(earlier.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(InterruptionError::Busy(interruption.volume.clone()));
        }
        if is_at(&earlier, path) {
            // What could not be put back yet is not forgotten. No volume has an `@` in its name.
            let name = format!("{}@{}{SUFFIX}", interruption.volume, uuid::Uuid::new_v4());
            fs::rename(path, folder.join(name)).map_err(failed)?;
        }
    }
    let text = serde_json::to_vec(interruption).map_err(|err| failed(err.into()))?;
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = File::create(&new).map_err(failed)?;
    // The lock goes with the file when it is renamed.
    file.lock().map_err(failed)?;
    file.write_all(&text).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&new, path).map_err(failed)?;
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interruption() -> Interruption {
        Interruption {
            volume: "data".to_owned(),
            consistency: Consistency::Stop,
            containers: vec![InterruptedContainer {
                id: "c1".to_owned(),
                name: "app".to_owned(),
            }],
        }
    }

    #[test]
    fn the_file_belongs_to_one_process_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), "data");
        let owned = write(&path, &interruption()).unwrap();
        let second = write(&path, &interruption()).unwrap_err();
        assert_eq!(
            second.to_string(),
            "another backup of volume data is running"
        );
        assert!(!has_left(folder.path()));
        drop(owned);
        assert!(has_left(folder.path()));
    }

    #[test]
    fn what_could_not_be_put_back_is_not_forgotten_by_the_next_interruption() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), "data");
        drop(write(&path, &interruption()).unwrap());
        let next = Interruption {
            consistency: Consistency::Pause,
            ..interruption()
        };
        let _owned = write(&path, &next).unwrap();
        let mut all: Vec<Interruption> = files(folder.path())
            .iter()
            .map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
            .collect();
        all.sort_by_key(|i| i.consistency == Consistency::Stop);
        assert_eq!(all, [next, interruption()]);
        assert!(has_left(folder.path()));
    }

    #[test]
    fn a_guard_that_waited_does_not_take_the_file_of_another_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), "data");
        drop(write(&path, &interruption()).unwrap());
        let opened = File::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _owned = write(&path, &interruption()).unwrap();
        opened.lock().unwrap();
        assert!(!is_at(&opened, &path));
    }
}
