//! Every combination of options in `ci/` gives objects that an API server takes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::{ControlPlane, helm};
use serde_json::Value;

use crate::project::{SYSTEM, chart, combinations, objects, rendered};

#[test]
fn helm_finds_nothing_to_complain_of() -> Result<()> {
    for values in combinations()? {
        let (chart, values) = (
            chart("").display().to_string(),
            values.display().to_string(),
        );
        helm(["lint", "--strict", &chart, "--values", &values])?.ok()?;
    }
    Ok(())
}

/// The real API server checks every field of every object, and refuses those it does not know. It does not have
/// the kinds of the Prometheus operator: `monitoring.yaml` beside this file has as much of them as the chart uses.
#[test]
fn an_api_server_takes_every_object_of_every_combination() -> Result<()> {
    let plane = ControlPlane::start_on_loopback()?;
    let kinds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/monitoring.yaml");
    let kinds = kinds.display().to_string();
    plane
        .kubectl(["apply", "--server-side", "-f", &kinds])?
        .ok()?;
    let established = ["wait", "--for=condition=Established", "--timeout=60s", "-f"];
    plane
        .kubectl([&established[..], &[&kinds]].concat())?
        .ok()?;

    let mut seen = BTreeSet::new();
    for values in combinations()? {
        let yaml = rendered(&values)?;
        let objects = objects(&yaml)?;
        // In a dry run nothing is made, not even the namespaces of what follows.
        let mut namespaces = BTreeSet::from([SYSTEM]);
        for object in &objects {
            seen.insert(object["kind"].as_str().context("no kind")?.to_owned());
            namespaces.extend(object["metadata"]["namespace"].as_str());
        }
        for name in namespaces {
            // It is there already from the second combination on.
            plane.kubectl(["create", "namespace", name])?;
        }
        let file = plane.kubeconfig().with_file_name("rendered.yaml");
        fs::write(&file, &yaml)?;
        let file = file.display().to_string();
        let words = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--dry-run=server",
            "-f",
            &file,
        ];
        let printed = plane.kubectl(words)?.ok();
        let printed = printed.with_context(|| values.display().to_string())?;
        ensure!(
            printed.lines().count() == objects.len(),
            "{}: {} objects, and this:\n{printed}",
            values.display(),
            objects.len()
        );
    }
    let every = [
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "CustomResourceDefinition",
        "DaemonSet",
        "Deployment",
        "Namespace",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "PodMonitor",
        "PrometheusRule",
        "Role",
        "RoleBinding",
        "Service",
        "ServiceAccount",
        "ServiceMonitor",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ];
    assert_eq!(seen, every.map(str::to_owned).into(), "every kind was seen");
    Ok(())
}

/// Hardened by default: what the strictest of the Pod Security Standards asks of a pod.
#[test]
fn the_controller_is_restricted_and_agents_get_no_privilege() -> Result<()> {
    for values in combinations()? {
        for object in objects(&rendered(&values)?)? {
            let pod = &object["spec"]["template"]["spec"];
            let Some(containers) = pod["containers"].as_array() else {
                continue;
            };
            assert_eq!(
                pod["securityContext"]["seccompProfile"]["type"],
                "RuntimeDefault"
            );
            for container in containers {
                let context = &container["securityContext"];
                assert_eq!(context["allowPrivilegeEscalation"], false);
                assert_eq!(context["readOnlyRootFilesystem"], true);
                assert_eq!(
                    context["capabilities"],
                    serde_json::json!({"drop": ["ALL"]})
                );
                assert_eq!(context["privileged"], Value::Null);
            }
            match object["kind"].as_str() {
                Some("Deployment") => {
                    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
                    assert_eq!(pod["volumes"], Value::Null);
                    assert_eq!(pod["hostNetwork"], Value::Null);
                }
                // One token for all of them would be one for every host.
                _ => assert_eq!(pod["automountServiceAccountToken"], false),
            }
        }
    }
    Ok(())
}

#[test]
fn what_cannot_be_meant_is_refused_with_a_sentence() -> Result<()> {
    for (words, sentence) in [
        (
            "--set contoller.replicas=1",
            "additional properties 'contoller' not allowed",
        ),
        (
            "--set controller.replica=1",
            "additional properties 'replica' not allowed",
        ),
        ("--set controller.replicas=two", "got string, want integer"),
        ("--set controller.port=0", "minimum: got 0, want 1"),
        ("--set image.digest=latest", "does not match pattern"),
        (
            "--set controller.extraArgs={offline-after}",
            "does not match pattern",
        ),
        ("--set fleetNamespaces=null", "fleetNamespaces"),
        (
            "--set tokens.maxLifeSeconds=60",
            "minimum: got 60, want 600",
        ),
        (
            "--set metrics.podMonitor.enabled=true",
            "set agent.enabled, or leave it off",
        ),
        (
            "--namespace dockfleet-hosts",
            "use a namespace of its own for hosts",
        ),
    ] {
        let chart = chart("").display().to_string();
        let all = [
            &["template", "x", &chart][..],
            &words.split(' ').collect::<Vec<_>>(),
        ]
        .concat();
        let output = helm(all)?;
        assert!(!output.success(), "{words} was taken");
        assert!(
            output.stderr.contains(sentence),
            "{words}: {}",
            output.stderr
        );
    }
    Ok(())
}
