//! The CRD manifests.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde::ser::Error as _;
use serde_json::Value;

use crate::assignment::HostAssignment;
use crate::{
    BackupRepository, DockerHost, DockerNetwork, DockerVolume, PrunePolicy, SwarmCluster,
    VolumeBackup, VolumeBackupSchedule, VolumeRestore,
};

macro_rules! committed {
    ($plural:literal) => {
        (
            concat!($plural, ".yaml"),
            include_str!(concat!("../manifests/", $plural, ".yaml")),
        )
    };
}

macro_rules! all {
    ($($kind:ident $object:literal $plural:literal,)*) => {
        /// The text of every CRD, by file name. A test compares it with the types: what generates it would be a part
        /// of every program otherwise, and of the memory of each agent.
        pub const COMMITTED: &[(&str, &str)] = &[
            committed!("dockerhosts"),
            $(committed!($plural),)*
            committed!("hostassignments"),
        ];

        /// Returns every CRD, by file name, generated from the types.
        pub fn all() -> Vec<(&'static str, CustomResourceDefinition)> {
            vec![
                ("dockerhosts.yaml", DockerHost::crd()),
                $((concat!($plural, ".yaml"), $kind::crd()),)*
                ("hostassignments.yaml", HostAssignment::crd()),
            ]
        }
    };
}

kinds!(all);

/// Returns a CRD as the YAML text of its file. Each paragraph of a description is one line: `kubectl explain`
/// wraps lines, and also shows the line breaks that there are.
///
/// # Errors
/// If the type cannot be written as YAML. A test checks that this is not so for [`all`].
pub fn yaml(crd: &CustomResourceDefinition) -> Result<String, serde_saphyr::ser::Error> {
    let mut manifest = serde_json::to_value(crd).map_err(serde_saphyr::ser::Error::custom)?;
    join_lines(&mut manifest);
    serde_saphyr::to_string(&manifest)
}

/// Joins the lines of each paragraph in all descriptions. The items of a list stay lines.
fn join_lines(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "description" => *text = joined(text),
                    value => join_lines(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(join_lines),
        _ => {}
    }
}

fn joined(text: &str) -> String {
    let mut joined = String::new();
    let mut starts_a_line = true;
    for line in text.lines() {
        let is_item = line.starts_with("- ") || line.starts_with("* ");
        if line.is_empty() || is_item {
            starts_a_line = true;
        }
        if !joined.is_empty() {
            joined.push(if starts_a_line { '\n' } else { ' ' });
        }
        joined.push_str(line);
        starts_a_line = line.is_empty();
    }
    joined
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// `make generate` writes the files. This test compares them with the types.
    #[test]
    fn the_committed_manifests_are_current() {
        // A chart cannot read files outside of its folder, so it has copies.
        for dir in ["crds/manifests", "charts/dockfleet/files/crds"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(dir);
            for (file, crd) in super::all() {
                let committed = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
                // Not `assert_eq`: two manifests are some thousand lines of output.
                assert!(
                    committed == super::yaml(&crd).unwrap(),
                    "{dir}/{file} is out of date; run `make generate`"
                );
            }
        }
    }

    #[test]
    fn a_paragraph_is_one_line() {
        let text = "One\ntwo.\n\nThree:\n- four\nfive\n- six";
        assert_eq!(
            super::joined(text),
            "One two.\n\nThree:\n- four five\n- six"
        );
    }

    /// An API server refuses a schema without a type, and does not know unsigned formats.
    #[test]
    fn the_schemas_are_structural() {
        for (file, crd) in super::all() {
            let text = super::yaml(&crd).unwrap();
            assert!(!text.contains("uint"), "{file} has an unsigned format");
            assert!(!text.contains("oneOf"), "{file} has a oneOf");
        }
    }
}
