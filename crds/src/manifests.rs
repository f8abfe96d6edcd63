//! The CRD manifests, generated from the types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::assignment::HostAssignment;
use crate::{DockerHost, DockerNetwork, DockerVolume};

macro_rules! all {
    ($($kind:ident $object:literal $plural:literal,)*) => {
        /// Returns every CRD, by file name.
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

/// Returns a CRD as the YAML text of its file.
///
/// # Errors
/// If the type cannot be written as YAML. A test checks that this is not so for [`all`].
pub fn yaml(crd: &CustomResourceDefinition) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(crd)
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
