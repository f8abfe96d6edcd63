//! Helm, promtool, and kubectl without a cluster.

use std::ffi::OsStr;
use std::time::Duration;

use anyhow::Result;

use crate::kubernetes::ControlPlane;
use crate::owned::Folder;
use crate::program::{self, BuiltSet, Output};

/// How long one command may take, on a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_mins(5);

/// Runs `helm` without a cluster.
pub fn helm(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Output> {
    run_helm(args, OsStr::new("/dev/null"))
}

/// Runs `promtool`.
pub fn promtool(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Output> {
    let tool = program::built(BuiltSet::Promtool)?.join("promtool");
    program::run(&program::command(tool, args), LIMIT)
}

/// Runs `kubectl` without a cluster.
pub fn kubectl(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Output> {
    let tool = program::built(BuiltSet::Kubernetes)?.join("kubectl");
    let mut command = program::command(tool, args);
    command.env("KUBECONFIG", "/dev/null");
    program::run(&command, LIMIT)
}

impl ControlPlane {
    /// Runs `helm` as the administrator.
    pub fn helm(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Output> {
        run_helm(args, self.kubeconfig().as_os_str())
    }
}

fn run_helm(
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    kubeconfig: &OsStr,
) -> Result<Output> {
    let tool = program::built(BuiltSet::Helm)?.join("helm");
    let mut command = program::command(tool, args);
    command.env("KUBECONFIG", kubeconfig);
    // Repositories and plug-ins of this machine's user stay out.
    let folder = Folder::new()?;
    for variable in ["HELM_CONFIG_HOME", "HELM_DATA_HOME", "HELM_CACHE_HOME"] {
        command.env(variable, folder.path());
    }
    program::run(&command, LIMIT)
}
