//! Every version of objects that an API server ever shows, in the order in which they came to be.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::kubernetes::ControlPlane;
use crate::owned::Folder;
use crate::process::Process;
use crate::wait::eventually;

/// How long a watch may be behind.
const BEHIND: Duration = Duration::from_secs(30);

/// A recording that goes on until it is dropped.
#[derive(Debug)]
pub struct Recording {
    // The order of the fields is the order in which they go.
    watches: Vec<Process>,
    /// What was there when it began.
    first: Vec<Version>,
    _folder: Folder,
}

/// One version of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// The revision of all that the API server holds, at which this came to be.
    pub revision: u64,
    /// The object is gone, and this is the last that was seen of it.
    pub deleted: bool,
    /// The object.
    pub object: Value,
}

impl ControlPlane {
    /// Records every version of the objects of some kinds, named by their paths in the API, such as
    /// `/apis/dockfleet.io/v1alpha1/dockernetworks`.
    pub fn record(&self, paths: &[&str]) -> Result<Recording> {
        let folder = Folder::new()?;
        let (mut watches, mut first) = (Vec::new(), Vec::new());
        for (number, path) in paths.iter().enumerate() {
            let listed = self.list(path)?;
            let items = listed.get("items").and_then(Value::as_array);
            for object in items.into_iter().flatten().cloned() {
                first.push(Version::new(object, false)?);
            }
            // A watch that starts at a revision shows all that came after it, whenever it begins.
            let url = format!("{path}?watch=1&resourceVersion={}", revision(&listed)?);
            let command = self.kubectl_command(["get", "--raw", &url])?;
            let log = folder.file(&format!("watch-{number}"));
            watches.push(Process::start(&command, &log)?);
        }
        Ok(Recording {
            watches,
            first,
            _folder: folder,
        })
    }

    /// Gives the revision of all that the API server holds, as a list of this path has it.
    pub fn revision(&self, path: &str) -> Result<u64> {
        revision(&self.list(path)?)
    }

    fn list(&self, path: &str) -> Result<Value> {
        let listed = self.kubectl(["get", "--raw", path])?.ok()?;
        serde_json::from_str(&listed).with_context(|| format!("{path} is no list"))
    }
}

impl Version {
    fn new(object: Value, deleted: bool) -> Result<Self> {
        Ok(Self {
            revision: revision(&object)?,
            deleted,
            object,
        })
    }
}

impl Recording {
    /// Gives all versions so far, the oldest first.
    pub fn versions(&self) -> Result<Vec<Version>> {
        let mut all = self.first.clone();
        for watch in &self.watches {
            let text = fs::read_to_string(watch.log_path())?;
            // What follows the last line break is still being written.
            let whole = text.rfind('\n').and_then(|end| text.get(..end));
            for line in whole.unwrap_or_default().lines() {
                let event: Value =
                    serde_json::from_str(line).with_context(|| format!("a watch said {line}"))?;
                let deleted = event.get("type").and_then(Value::as_str) == Some("DELETED");
                let object = event.get("object").cloned().unwrap_or_default();
                all.push(Version::new(object, deleted)?);
            }
        }
        all.sort_by_key(|v| v.revision);
        Ok(all)
    }

    /// Waits until `enough` says so of all versions so far, and gives them.
    pub fn until(&self, what: &str, enough: impl Fn(&[Version]) -> bool) -> Result<Vec<Version>> {
        eventually(what, BEHIND, || {
            let versions = self.versions().map_err(|e| e.to_string())?;
            let last = versions.last().map(|v| v.object.to_string());
            if enough(&versions) {
                Ok(versions)
            } else {
                Err(format!("the last version is {}", last.unwrap_or_default()))
            }
        })
    }
}

fn revision(object: &Value) -> Result<u64> {
    let text = object
        .get("metadata")
        .and_then(|m| m.get("resourceVersion"));
    let number = text.and_then(Value::as_str).and_then(|t| t.parse().ok());
    number.with_context(|| format!("no resourceVersion: {object}"))
}
