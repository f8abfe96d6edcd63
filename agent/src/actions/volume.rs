//! The calls to an engine for volumes.

mod archive;
pub(super) mod helper;

use std::collections::HashMap;

use bollard::models::{ContainerSummary, Volume, VolumeCreateRequest};
use bollard::query_parameters::{
    ListVolumesOptions, ListVolumesOptionsBuilder, RemoveVolumeOptions,
};
use dockfleet_crds::DockerVolume;
use dockfleet_planner::credentials::Credentials;
use dockfleet_planner::kinds::volume::{DesiredVolume, ObservedVolume, OwnershipChange};
use dockfleet_planner::kinds::{ObjectKind as _, ObservedObject as _};

use self::archive::Found;
use self::helper::Helper;
use super::EngineObject;
use crate::effect::Effects;
use crate::engine::map::{from_engine, to_engine};
use crate::engine::{Engine, EngineCall, EngineError, redact};

impl EngineObject for DockerVolume {
    async fn list(engine: &Engine) -> Result<(Vec<ObservedVolume>, Vec<String>), EngineError> {
        let (volumes, warnings) = volumes(engine).await?;
        Ok((volumes.into_iter().map(observed).collect(), warnings))
    }

    async fn create(
        engine: &Engine,
        desired: &DesiredVolume,
        credentials: Option<&Credentials>,
    ) -> Result<(), EngineError> {
        let call = EngineCall::Create(Self::KIND, &desired.name);
        let answer = engine.docker().create_volume(request(desired, credentials));
        let created = engine.change(call, answer).await;
        created.map(drop).map_err(|err| err.without(credentials))
    }

    async fn remove(engine: &Engine, _id: &str, name: &str) -> Result<(), EngineError> {
        let name = Engine::plain(name)?;
        let answer = engine
            .docker()
            .remove_volume(name, None::<RemoveVolumeOptions>);
        engine
            .change(EngineCall::Remove(Self::KIND, name), answer)
            .await
    }

    /// Volumes are removed by name, and another volume may have the name now.
    ///
    /// The volume is looked up in a list: to a single volume an engine adds the status of its plugin, in
    /// forms that not every client can read.
    async fn is_still(engine: &Engine, id: &str, name: &str) -> Result<bool, EngineError> {
        let found = named(engine, name).await?;
        Ok(found.is_some_and(|volume| observed(volume).id() == id))
    }

    /// Sets owner and permissions of the top folder, if they are to be set as it is now.
    async fn update(
        engine: &Engine,
        effects: &Effects,
        name: &str,
        change: &OwnershipChange,
    ) -> Result<(), EngineError> {
        let helper = Helper::create(engine, effects, name).await?;
        let result = async {
            // As long as the helper has it, no other volume can get the name.
            if !Self::is_still(engine, &change.id, name).await? {
                return Err(EngineError::NotFound(format!(
                    "volume {name} ({})",
                    change.id
                )));
            }
            let Found { folder, modified } = helper.read().await?;
            match change.ownership.next(&folder) {
                Some(folder) => helper.write(&Found { folder, modified }).await,
                None => Ok(()),
            }
        };
        let result = result.await;
        helper.end(result).await
    }

    /// Reads owner and permissions of the top folder.
    async fn examine(
        engine: &Engine,
        effects: &Effects,
        volume: &mut ObservedVolume,
    ) -> Result<(), EngineError> {
        let helper = Helper::create(engine, effects, &volume.name).await?;
        let found = helper.read().await;
        volume.top_folder = Some(helper.end(found).await?.folder);
        Ok(())
    }

    async fn remove_helpers(engine: &Engine, effects: &Effects) -> Result<(), EngineError> {
        helper::remove_all(engine, effects).await
    }

    fn is_used_by(container: &ContainerSummary, _id: &str, name: &str) -> bool {
        is_used_by(container, name)
    }
}

pub(super) fn is_used_by(container: &ContainerSummary, name: &str) -> bool {
    let mut mounts = container.mounts.iter().flatten();
    mounts.any(|mount| mount.name.as_deref() == Some(name))
}

/// Lists the volumes, with the engine's warnings about what the list may lack.
pub(super) async fn volumes(engine: &Engine) -> Result<(Vec<Volume>, Vec<String>), EngineError> {
    let call = engine.docker().list_volumes(None::<ListVolumesOptions>);
    let list = engine
        .read(EngineCall::List(DockerVolume::KIND), call)
        .await?;
    let warnings = list.warnings.iter().flatten();
    let warnings: Vec<String> = warnings.map(|w| redact::redact(w)).collect();
    for warning in &warnings {
        tracing::warn!(warning, "the engine's list of volumes may be incomplete");
    }
    Ok((list.volumes.into_iter().flatten().collect(), warnings))
}

/// Returns the volume of a name.
pub(super) async fn named(engine: &Engine, name: &str) -> Result<Option<Volume>, EngineError> {
    let filters = HashMap::from([("name", vec![name])]);
    let options = ListVolumesOptionsBuilder::default()
        .filters(&filters)
        .build();
    let call = engine.docker().list_volumes(Some(options));
    let list = engine
        .read(EngineCall::List(DockerVolume::KIND), call)
        .await?;
    Ok(list.volumes.into_iter().flatten().find(|v| v.name == name))
}

/// Returns the request for a volume. This is the only place where credentials are added to options.
fn request(want: &DesiredVolume, credentials: Option<&Credentials>) -> VolumeCreateRequest {
    let mut options = want.options.clone();
    if let Some(credentials) = credentials {
        credentials.put_into(&mut options);
    }
    VolumeCreateRequest {
        name: Some(want.name.clone()),
        driver: Some(want.driver.clone()),
        driver_opts: to_engine(&options),
        labels: to_engine(&want.labels),
        ..VolumeCreateRequest::default()
    }
}

fn observed(shown: Volume) -> ObservedVolume {
    let mut options = from_engine(Some(shown.options));
    // From here on no options contain a password (invariant 9).
    let credentials = Credentials::take_out(&mut options);
    ObservedVolume {
        name: shown.name,
        driver: shown.driver,
        options,
        credentials,
        labels: from_engine(Some(shown.labels)),
        top_folder: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    #[test]
    fn a_volume_has_its_options_under_the_engines_name() {
        let want = DesiredVolume {
            name: "v".into(),
            driver: "local".into(),
            options: [("type".to_owned(), "tmpfs".to_owned())].into(),
            ..DesiredVolume::default()
        };
        assert_eq!(
            to_value(request(&want, None)).unwrap(),
            json!({"Name": "v", "Driver": "local", "DriverOpts": {"type": "tmpfs"}})
        );
    }

    #[test]
    fn a_mount_names_its_volume() {
        let mounts: ContainerSummary =
            serde_json::from_value(json!({"Mounts": [{"Type": "volume", "Name": "data"}]}))
                .unwrap();
        assert!(DockerVolume::is_used_by(&mounts, "", "data"));
        assert!(!DockerVolume::is_used_by(&mounts, "", "other"));
    }
}
