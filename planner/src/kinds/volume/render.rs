//! Renders a DockerVolume for a host.

use std::collections::BTreeMap;

use dockfleet_crds::quantity;
use dockfleet_crds::volume::{BindSource, CifsSource, DockerVolume, NfsSource, TmpfsSource};

use super::desired::DesiredVolume;
use super::ownership::DesiredOwnership;
use crate::desired::Behaviour;
use crate::kinds::ObjectKind as _;
use crate::options::Options;
use crate::render::RenderError;
use crate::resource::Resource;

/// Renders a volume without the version of its credentials. The result is the same for every host.
pub fn volume(volume: &DockerVolume) -> Result<DesiredVolume, RenderError> {
    let spec = &volume.spec;
    let mut options = Options::default();
    options.extend(&spec.options);
    if let Some(t) = &spec.tmpfs {
        options.extend(&tmpfs(t)?);
    }
    if let Some(b) = &spec.bind {
        options.extend(&bind(b));
    }
    if let Some(n) = &spec.nfs {
        options.extend(&nfs(n));
    }
    if let Some(c) = &spec.cifs {
        options.extend(&cifs(c));
    }
    if let Some(size) = &spec.size {
        options.set("size", Some(bytes("size", size)?));
    }
    Ok(DesiredVolume {
        name: (volume as &dyn Resource).object_name().to_owned(),
        driver: spec.driver.clone(),
        options: options.into_map(),
        credentials: None,
        ownership: spec
            .ownership
            .as_ref()
            .map(DesiredOwnership::of)
            .transpose()?,
        labels: spec.labels.clone(),
        loss_policy: spec.loss_policy,
        policy: Behaviour::of(spec.policies(), DockerVolume::DEFAULT_DELETION),
    })
}

fn bytes(field: &'static str, size: &str) -> Result<u64, RenderError> {
    quantity::bytes(size).ok_or_else(|| RenderError {
        field,
        value: size.to_owned(),
        wanted: "a size such as 64Mi",
    })
}

/// The three options of a mount. <https://docs.docker.com/reference/cli/docker/volume/create/>
fn mount(kind: &str, device: &str, o: &[String]) -> BTreeMap<String, String> {
    let mut all = Options::default();
    all.set("type", Some(kind));
    all.set("device", Some(device));
    all.set("o", Some(o.join(",")).filter(|o| !o.is_empty()));
    all.into_map()
}

fn tmpfs(source: &TmpfsSource) -> Result<BTreeMap<String, String>, RenderError> {
    let size = source
        .size
        .as_deref()
        .map(|s| bytes("tmpfs.size", s))
        .transpose()?;
    let o: Vec<String> = [
        size.map(|s| format!("size={s}")),
        source.mode.as_ref().map(|m| format!("mode={m}")),
        source.uid.map(|u| format!("uid={u}")),
        source.gid.map(|g| format!("gid={g}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    Ok(mount("tmpfs", "tmpfs", &o))
}

fn bind(source: &BindSource) -> BTreeMap<String, String> {
    let mode = if source.read_only { "bind,ro" } else { "bind" };
    mount("none", &source.path, &[mode.to_owned()])
}

fn nfs(source: &NfsSource) -> BTreeMap<String, String> {
    let mut o = vec![format!("addr={}", source.server)];
    o.extend(source.version.as_ref().map(|v| format!("vers={v}")));
    o.push(if source.read_only { "ro" } else { "rw" }.to_owned());
    o.extend(source.mount_options.iter().cloned());
    mount("nfs", &format!(":{}", source.path), &o)
}

/// Returns the options of a share without the credentials, which are never in an assignment. The engine
/// passes them to Linux unchanged, without a helper such as mount.cifs. So a guest needs a name, and an octal
/// number begins with 0.
fn cifs(source: &CifsSource) -> BTreeMap<String, String> {
    // First, because the engine resolves the first address that it finds: no other value can take its place.
    let mut o = vec![format!("addr={}", source.server)];
    o.extend(source.version.as_ref().map(|v| format!("vers={v}")));
    o.push(if source.read_only { "ro" } else { "rw" }.to_owned());
    o.extend(source.uid.map(|u| format!("uid={u}")));
    o.extend(source.gid.map(|g| format!("gid={g}")));
    let octal = |mode: &String| format!("0{}", mode.trim_start_matches('0'));
    let mode =
        |key: &str, mode: &Option<String>| mode.as_ref().map(|m| format!("{key}={}", octal(m)));
    o.extend(mode("file_mode", &source.file_mode));
    o.extend(mode("dir_mode", &source.dir_mode));
    o.extend(source.mount_options.iter().cloned());
    if source.credentials_secret.is_none() {
        o.extend(["username=guest", "password="].map(str::to_owned));
    }
    let device = format!("//{}/{}", source.server, source.share);
    mount("cifs", &device, &o)
}

#[cfg(test)]
mod tests;
