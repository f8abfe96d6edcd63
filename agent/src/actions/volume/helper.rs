//! The container through which an agent reaches the top folder of a volume. It works on every engine, also on a remote
//! one, and needs no rights beside those of the engine's API.
//!
//! It is created from an empty image and never started, so nothing in it ever runs. It is removed before anything else
//! is done. If the agent ends before that, the label tells that it belongs to nobody.

use std::collections::HashMap;
use std::pin::pin;

use bollard::body_full;
use bollard::models::{
    ContainerCreateBody, HostConfig, Mount, MountType, MountVolumeOptions,
    MountVolumeOptionsDriverConfig,
};
use bollard::query_parameters::{
    CreateContainerOptions, CreateImageOptions, DownloadFromContainerOptions,
    ListContainersOptionsBuilder, RemoveContainerOptions, UploadToContainerOptions,
};
use dockfleet_crds::labels;
use dockfleet_crds::volume::LOCAL;
use futures::{StreamExt as _, TryStreamExt as _};

use super::archive::{self, Found, Reading};
use crate::effect::{Effect, Effects};
use crate::engine::map::to_engine;
use crate::engine::{Engine, EngineCall, EngineError, MUST_EXIST, usage};

/// The name of the empty image. It is imported and never pulled.
const IMAGE: &str = "dockfleet-empty";
const TAG: &str = "local";
/// What its label says.
const PURPOSE: &str = "ownership";
/// How much of an archive is read at most. The folder is in the first 4 kB.
const MAX_READ: usize = 1 << 20;

/// A container that has a volume.
pub(super) struct Helper<'a> {
    engine: &'a Engine,
    effects: &'a Effects,
    volume: &'a str,
    id: String,
}

impl<'a> Helper<'a> {
    /// Creates a container that has the volume, which must exist.
    pub(super) async fn create(
        engine: &'a Engine,
        effects: &'a Effects,
        volume: &'a str,
    ) -> Result<Self, EngineError> {
        let create = || async {
            let options = None::<CreateContainerOptions>;
            let answer = engine.docker().create_container(options, body(volume));
            engine
                .change(EngineCall::CreateHelper(volume), answer)
                .await
        };
        let created = match create().await {
            Err(EngineError::NotFound(_)) => {
                import(engine).await?;
                create().await
            }
            other => other,
        };
        effects.happened(Effect::HelperCreate);
        Ok(Self {
            engine,
            effects,
            volume,
            id: created?.id,
        })
    }

    /// Reads owner and permissions of the volume's top folder, and whether it is empty.
    pub(super) async fn read(&self) -> Result<Found, EngineError> {
        let options = DownloadFromContainerOptions {
            path: "/".to_owned(),
        };
        let docker = self.engine.docker();
        let answer = async {
            let mut stream = pin!(docker.download_from_container(&self.id, Some(options)));
            let mut bytes = Vec::new();
            while let Some(part) = stream.next().await {
                bytes.extend_from_slice(&part?);
                match archive::read(&bytes) {
                    Reading::Unfinished if bytes.len() < MAX_READ => {}
                    Reading::Unfinished | Reading::Absent => break,
                    // The rest of the archive is not read.
                    Reading::Found(found) => return Ok(Some(found)),
                }
            }
            Ok(None)
        };
        let call = EngineCall::TopFolder(self.volume);
        let found = self.engine.read(call, answer).await?;
        found.ok_or_else(|| EngineError::unreadable(call))
    }

    /// Sets owner and permissions of the volume's top folder.
    pub(super) async fn write(&self, folder: &Found) -> Result<(), EngineError> {
        let options = UploadToContainerOptions {
            path: "/".to_owned(),
            ..UploadToContainerOptions::default()
        };
        let body = body_full(archive::write(folder).into());
        let docker = self.engine.docker();
        let answer = docker.upload_to_container(&self.id, Some(options), body);
        let call = EngineCall::SetTopFolder(self.volume);
        self.engine.change(call, answer).await
    }

    /// Removes the container, and returns the result of what was done in it.
    pub(super) async fn end<T>(self, result: Result<T, EngineError>) -> Result<T, EngineError> {
        let removed = remove(self.engine, self.effects, &self.id).await;
        result.and_then(|value| removed.map(|()| value))
    }
}

/// Removes a helper container, which is never running.
pub(in crate::actions) async fn remove(
    engine: &Engine,
    effects: &Effects,
    id: &str,
) -> Result<(), EngineError> {
    let answer = engine
        .docker()
        .remove_container(Engine::plain(id)?, None::<RemoveContainerOptions>);
    let removed = engine.change(EngineCall::RemoveHelper(id), answer).await;
    effects.happened(Effect::HelperRemove);
    match removed {
        Err(EngineError::NotFound(_)) => Ok(()),
        other => other,
    }
}

/// Removes the helper containers that an earlier process has left behind.
pub(super) async fn remove_all(engine: &Engine, effects: &Effects) -> Result<(), EngineError> {
    let filters = HashMap::from([("label", vec![labels::HELPER])]);
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&filters)
        .build();
    let answer = engine.docker().list_containers(Some(options));
    let found = engine.read(EngineCall::Containers, answer).await?;
    // A proxy may ignore the filter.
    for left in found.into_iter().filter(usage::is_helper) {
        if let Some(id) = left.id {
            remove(engine, effects, &id).await?;
        }
    }
    Ok(())
}

fn body(volume: &str) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(format!("{IMAGE}:{TAG}")),
        // An engine does not create a container without a command. It is never run.
        cmd: Some(vec!["none".to_owned()]),
        labels: to_engine(&[(labels::HELPER.to_owned(), PURPOSE.to_owned())].into()),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            mounts: Some(vec![mount(volume)]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// Returns the mount of a volume that exists. An engine creates a volume that does not: then it refuses this option,
/// which driver local does not know. For a volume that exists it ignores the options (20.10 and 29).
fn mount(volume: &str) -> Mount {
    let must_exist = HashMap::from([(MUST_EXIST.to_owned(), String::new())]);
    Mount {
        target: Some(format!("/{}", archive::FOLDER)),
        source: Some(volume.to_owned()),
        typ: Some(MountType::VOLUME),
        volume_options: Some(MountVolumeOptions {
            no_copy: Some(true),
            driver_config: Some(MountVolumeOptionsDriverConfig {
                name: Some(LOCAL.to_owned()),
                options: Some(must_exist),
            }),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    }
}

/// Makes the empty image, from an archive without an entry.
async fn import(engine: &Engine) -> Result<(), EngineError> {
    let options = CreateImageOptions {
        from_src: Some("-".to_owned()),
        repo: Some(IMAGE.to_owned()),
        tag: Some(TAG.to_owned()),
        changes: vec![format!("LABEL {}={PURPOSE}", labels::HELPER)],
        ..CreateImageOptions::default()
    };
    let empty = body_full(vec![0; 1024].into());
    let parts = engine
        .docker()
        .create_image(Some(options), Some(empty), None);
    let answer = parts.try_for_each(|_| std::future::ready(Ok(())));
    engine.change(EngineCall::ImportEmptyImage, answer).await
}
