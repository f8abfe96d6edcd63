//! Where things are, and what Helm makes of them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::helm;
use serde_json::Value;

/// Name and namespace that the documents install the chart by.
pub(crate) const RELEASE: &str = "dockfleet";
pub(crate) const SYSTEM: &str = "dockfleet-system";

/// The project's folder.
pub(crate) fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The chart's folder, or something in it.
pub(crate) fn chart(inside: &str) -> PathBuf {
    project().join("charts/dockfleet").join(inside)
}

/// The files in `ci/`: combinations of the chart's options.
pub(crate) fn combinations() -> Result<Vec<PathBuf>> {
    let mut files = fs::read_dir(chart("ci"))?
        .map(|file| Ok(file?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.sort();
    ensure!(files.len() >= 4, "too few combinations: {files:?}");
    Ok(files)
}

/// What `helm template` prints with these values.
pub(crate) fn rendered(values: &Path) -> Result<String> {
    let words = ["template", RELEASE, "--namespace", SYSTEM, "--values"].map(OsStr::new);
    let chart = chart("");
    helm(
        words
            .into_iter()
            .chain([values.as_os_str(), chart.as_os_str()]),
    )?
    .ok()
}

/// The objects in YAML.
pub(crate) fn objects(yaml: &str) -> Result<Vec<Value>> {
    let all: Vec<Value> = serde_saphyr::from_multiple(yaml).context("this is no YAML")?;
    Ok(all.into_iter().filter(|o| !o.is_null()).collect())
}

/// Everything in `text` that is named as a metric of ours is.
pub(crate) fn metrics_in(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| {
            [
                "dockfleet_controller_",
                "dockfleet_agent_",
                "dockfleet_build_",
            ]
            .iter()
            .any(|prefix| word.starts_with(prefix))
        })
        .map(str::to_owned)
        .collect()
}
