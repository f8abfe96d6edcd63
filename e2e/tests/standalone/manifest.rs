//! Manifests, as short as a test can have them.

use dockfleet_e2e::Engine;

/// A DockerNetwork for every host.
pub(crate) fn network(name: &str, spec: &str) -> String {
    document(
        "DockerNetwork",
        name,
        &format!("hostSelector: {{}}\n{spec}"),
    )
}

/// A DockerVolume for every host.
pub(crate) fn volume(name: &str, spec: &str) -> String {
    document("DockerVolume", name, &format!("hostSelector: {{}}\n{spec}"))
}

/// A bridge network for every host with one subnet, and more in its spec.
pub(crate) fn subnet(name: &str, subnet: &str, spec: &str) -> String {
    let ipam = format!("ipam: {{config: [{{subnet: {subnet}}}]}}\n{spec}");
    network(name, &ipam)
}

/// A DockerHost whose engine is reached by its socket; `labels` in the form `{site: berlin}`.
pub(crate) fn host(engine: &Engine, labels: &str) -> String {
    let name = engine.host().name();
    reached_by(name, labels, &format!("endpoint: {}", engine.docker_host()))
}

/// A DockerHost with a direct connection, open to all namespaces.
pub(crate) fn reached_by(name: &str, labels: &str, direct: &str) -> String {
    let spec = format!(
        "allowedNamespaces: {{from: All}}\nconnection:\n  direct:\n{}",
        indented(direct, "    ")
    );
    with_metadata(
        "DockerHost",
        &format!("{{name: {name}, labels: {labels}}}"),
        &spec,
    )
}

/// Any resource of ours.
pub(crate) fn document(kind: &str, name: &str, spec: &str) -> String {
    with_metadata(kind, &format!("{{name: {name}}}"), spec)
}

fn with_metadata(kind: &str, metadata: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: dockfleet.io/v1alpha1\nkind: {kind}\nmetadata: {metadata}\nspec:\n{}",
        indented(spec, "  ")
    )
}

fn indented(text: &str, by: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.flat_map(|line| [by, line, "\n"]).collect()
}
