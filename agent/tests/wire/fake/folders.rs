//! The top folders of a fake engine's volumes, and the containers through which an agent reaches them.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Fault, Things, error};

/// A block of a tar archive.
const BLOCK: usize = 512;

/// A top folder: user, group, permissions, and whether a file is in it.
pub(crate) type Folder = (u32, u32, u32, bool);

#[derive(Default)]
pub(super) struct Folders {
    has_image: bool,
    of_volumes: BTreeMap<String, Folder>,
    of_helpers: BTreeMap<String, String>,
}

impl Things {
    pub(super) fn folder(&mut self, volume: &str) -> &mut Folder {
        let folders = &mut self.folders.of_volumes;
        folders
            .entry(volume.to_owned())
            .or_insert((0, 0, 0o755, false))
    }

    pub(super) fn import(&mut self) -> Response {
        self.folders.has_image = true;
        axum::Json(json!({"status": "sha256:0"})).into_response()
    }

    pub(super) fn create_helper(&mut self, body: &Bytes, fault: Option<&Fault>) -> Response {
        if !self.folders.has_image {
            return error(404, "No such image: dockfleet-empty:local");
        }
        let container: Value = serde_json::from_slice(body).unwrap();
        let mount = &container["HostConfig"]["Mounts"][0];
        assert_eq!(mount["VolumeOptions"]["NoCopy"], true);
        let volume = mount["Source"].as_str().unwrap();
        if matches!(fault, Some(Fault::Raced)) {
            self.volumes.retain(|v| v["Name"] != volume);
        }
        if self.volumes.iter().all(|v| v["Name"] != volume) {
            let options = mount["VolumeOptions"]["DriverConfig"]["Options"].as_object();
            let option = options.and_then(|o| o.keys().next()).unwrap();
            return error(
                400,
                &format!("create {volume}: invalid option: \"{option}\""),
            );
        }
        self.made += 1;
        let id = format!("{:064x}", self.made);
        self.folders
            .of_helpers
            .insert(id.clone(), volume.to_owned());
        self.containers.push(json!({
            "Id": id, "Names": ["/helper"], "Labels": container["Labels"],
            "Mounts": [{"Type": "volume", "Name": volume}],
        }));
        (
            StatusCode::CREATED,
            axum::Json(json!({"Id": id, "Warnings": []})),
        )
            .into_response()
    }

    pub(super) fn remove_helper(&mut self, id: &str) -> Response {
        let before = self.containers.len();
        self.containers.retain(|c| c["Id"] != id);
        if self.containers.len() == before {
            return error(404, &format!("No such container: {id}"));
        }
        StatusCode::NO_CONTENT.into_response()
    }

    pub(super) fn archive(&mut self, id: &str) -> Response {
        let volume = self.folders.of_helpers[id].clone();
        let (uid, gid, mode, has_files) = *self.folder(&volume);
        let mut archive = header("", 0, 0, 0o755);
        archive.extend(header("/data", uid, gid, mode));
        if has_files {
            archive.extend(header("/data/f", 0, 0, 0o755));
        }
        archive.resize(archive.len() + 2 * BLOCK, 0);
        archive.into_response()
    }

    pub(super) fn extract(&mut self, id: &str, archive: &Bytes) -> Response {
        let volume = self.folders.of_helpers[id].clone();
        let number = |at: usize| {
            let digits = std::str::from_utf8(&archive[at..at + 7]).unwrap();
            u32::from_str_radix(digits, 8).unwrap()
        };
        assert!(archive.starts_with(b"data/\0"));
        let folder = self.folder(&volume);
        *folder = (number(108), number(116), number(100), folder.3);
        StatusCode::OK.into_response()
    }
}

fn header(name: &str, uid: u32, gid: u32, mode: u32) -> Vec<u8> {
    let mut block = vec![0_u8; BLOCK];
    block[..name.len()].copy_from_slice(name.as_bytes());
    for (at, number) in [(100, mode), (108, uid), (116, gid)] {
        block[at..at + 7].copy_from_slice(format!("{number:07o}").as_bytes());
    }
    block[156] = b'5';
    block
}
