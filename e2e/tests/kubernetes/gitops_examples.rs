//! `examples/gitops`: what kustomize makes of each folder is right for the API server and for the
//! program, and what Argo CD and Flux are told about it is so. Their own kinds are checked for what
//! they refer to only: their CRDs are not here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use dockfleet_crds::validation;
use dockfleet_e2e::{ControlPlane, Dockfleet};
use serde_json::Value;

use crate::test_cluster::install_crds;

const OVERLAYS: [&str; 3] = ["overlays/berlin", "overlays/hamburg", "overlays/all-sites"];

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What kustomize makes of a folder.
fn built(plane: &ControlPlane, folder: &str) -> Result<Vec<Value>> {
    let folder = project().join("examples/gitops").join(folder);
    let text = plane
        .kubectl(["kustomize", &folder.display().to_string()])?
        .ok()?;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text)?;
    ensure!(!objects.is_empty(), "{} is empty", folder.display());
    Ok(objects)
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|o| o["kind"] == kind).collect()
}

#[test]
fn kustomize_makes_right_manifests_of_the_examples() -> Result<()> {
    let plane = ControlPlane::start_on_loopback()?;
    install_crds(&plane, &Dockfleet::find()?)?;
    let hosts = project()
        .join("examples/gitops/hosts")
        .display()
        .to_string();
    plane
        .kubectl(["apply", "--server-side", "-k", &hosts])?
        .ok()?;
    let known: BTreeSet<String> = of_kind(&built(&plane, "hosts")?, "DockerHost")
        .iter()
        .map(|host| text(host, "/metadata/name").to_owned())
        .collect();
    for folder in ["hosts", "base"].iter().chain(&OVERLAYS) {
        let mut ours = 0;
        for object in built(&plane, folder)? {
            if text(&object, "/apiVersion") != validation::api_version() {
                continue;
            }
            ours += 1;
            let wrong = validation::validate(text(&object, "/kind"), &object, None);
            ensure!(wrong.is_empty(), "{folder}: {wrong:?}");
            for named in object["spec"]["hostOverrides"]
                .as_array()
                .into_iter()
                .flatten()
            {
                for host in named["hostNames"].as_array().into_iter().flatten() {
                    let host = host.as_str().unwrap_or_default();
                    ensure!(known.contains(host), "{folder}: there is no host {host}");
                }
            }
        }
        ensure!(ours >= 3, "{folder} has {ours} resources only");
    }
    for overlay in OVERLAYS {
        let folder = project()
            .join("examples/gitops")
            .join(overlay)
            .display()
            .to_string();
        let taken = plane
            .kubectl(["apply", "--server-side", "--dry-run=server", "-k", &folder])?
            .ok()?;
        ensure!(
            taken.contains("dockernetwork.dockfleet.io/site-lan"),
            "{taken}"
        );
    }
    let kept = plane.get_json(&["dnet,dvol", "--all-namespaces"])?;
    assert_eq!(
        kept["items"],
        Value::Array(Vec::new()),
        "that was a dry run"
    );
    Ok(())
}

#[test]
fn argo_cd_and_flux_are_told_of_what_there_is() -> Result<()> {
    let plane = ControlPlane::start_on_loopback()?;
    let is_folder = |path: &str| {
        let file = project().join(path).join("kustomization.yaml");
        ensure!(file.is_file(), "{} is not there", file.display());
        Ok(())
    };
    let applications = built(&plane, "argocd")?;
    for application in &applications {
        assert_eq!(application["apiVersion"], "argoproj.io/v1alpha1");
        assert_eq!(application["kind"], "Application");
        is_folder(text(application, "/spec/source/path"))?;
    }
    assert_eq!(applications.len(), 2);
    let waves: BTreeSet<(String, String)> = built(&plane, "overlays/all-sites")?
        .iter()
        .map(|object| {
            let wave = &object["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"];
            let namespace = text(object, "/metadata/namespace").to_owned();
            (wave.as_str().unwrap_or_default().to_owned(), namespace)
        })
        .collect();
    let in_order = [("0", "site-berlin"), ("1", "site-hamburg")];
    assert!(
        waves
            .iter()
            .map(|(w, n)| (w.as_str(), n.as_str()))
            .eq(in_order)
    );

    let health = built(&plane, "argocd/health")?;
    let script = fs::read_to_string(project().join("examples/gitops/argocd/health/health.lua"))?;
    for kind in ["DockerHost", "DockerNetwork", "DockerVolume"] {
        let key = format!("resource.customizations.health.dockfleet.io_{kind}");
        let config = health.first().context("there is no configuration")?;
        assert_eq!(config["data"][key.as_str()], script.as_str());
    }

    let flux = built(&plane, "flux")?;
    let names = |kind| -> BTreeSet<&str> {
        of_kind(&flux, kind)
            .iter()
            .map(|o| text(o, "/metadata/name"))
            .collect()
    };
    let (sources, kustomizations) = (names("GitRepository"), names("Kustomization"));
    for kustomization in of_kind(&flux, "Kustomization") {
        let path = text(kustomization, "/spec/path").trim_start_matches("./");
        is_folder(path)?;
        assert!(sources.contains(text(kustomization, "/spec/sourceRef/name")));
        for needed in kustomization["spec"]["dependsOn"]
            .as_array()
            .into_iter()
            .flatten()
        {
            assert!(kustomizations.contains(text(needed, "/name")), "{needed}");
        }
        let objects = built(&plane, path.trim_start_matches("examples/gitops/"))?;
        for check in kustomization["spec"]["healthChecks"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let meant = objects.iter().any(|object| {
                object["kind"] == check["kind"]
                    && object["apiVersion"] == check["apiVersion"]
                    && object["metadata"]["name"] == check["name"]
                    && object["metadata"]["namespace"] == check["namespace"]
            });
            assert!(meant, "{path} has no {check}");
        }
    }
    assert_eq!(kustomizations.len(), 3);
    Ok(())
}
