//! What the Helm chart says of rights, for a control plane that no chart is installed on.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// The name that the chart is installed by here.
const RELEASE: &str = "dockfleet";
/// The namespace of the controller.
pub(crate) const SYSTEM: &str = "dockfleet-system";
/// What the chart allows a token by default: a week.
const MAX_TOKEN_LIFE: &str = "604800";

/// The ServiceAccount of the controller, in the namespace `dockfleet-system`.
pub(crate) const CONTROLLER: &str = "dockfleet-controller";

/// Gives the manifests of the chart's `rbac.yaml` and `policies.yaml` for one namespace of hosts,
/// and the namespaces that they speak of.
pub(crate) fn rights(hosts: &str) -> Result<String> {
    let mut text = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {SYSTEM}}}\n---\n\
         apiVersion: v1\nkind: Namespace\n\
         metadata: {{name: {hosts}, labels: {{dockfleet.io/hosts: \"true\"}}}}\n"
    );
    for name in ["rbac.yaml", "policies.yaml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../charts/dockfleet/templates")
            .join(name);
        let template = fs::read_to_string(&path)
            .with_context(|| format!("could not read {}", path.display()))?;
        text.push_str("---\n");
        text.push_str(&rendered(&template, hosts)?);
    }
    Ok(text)
}

/// Fills in the few values that these templates use; a loop over the namespaces of hosts runs once.
fn rendered(template: &str, hosts: &str) -> Result<String> {
    let mut text = String::new();
    for line in template.lines() {
        let line = match line.trim() {
            "{{- range .Values.fleetNamespaces }}" | "{{- end }}" => continue,
            _ => line
                .replace("{{ .Release.Name }}", RELEASE)
                .replace("{{ $.Release.Name }}", RELEASE)
                .replace("{{ .Release.Namespace }}", SYSTEM)
                .replace("{{ $.Release.Namespace }}", SYSTEM)
                .replace("{{ .Values.tokens.maxLifeSeconds }}", MAX_TOKEN_LIFE)
                .replace("{{ . }}", hosts),
        };
        ensure!(!line.contains("{{"), "nobody here fills in: {line}");
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}
