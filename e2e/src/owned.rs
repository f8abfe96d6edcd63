//! What this crate puts on the machine: names that say which process it belongs to, and the sweep
//! by those names.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::program;
use crate::wait::eventually;

/// Taken while bridges and namespaces are made, so that two test processes never choose the same
/// subnet.
const LOCK: &str = "/run/dockfleet-e2e.lock";
/// Where the kernel's control groups are.
const CGROUPS: &str = "/sys/fs/cgroup";
/// How long a process that was killed may take to be gone.
const END: Duration = Duration::from_secs(5);
/// The longest name of a network link in the kernel, in bytes.
const LONGEST_LINK_NAME: usize = 15;

/// What a name stands for; the letter is the third of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnedKind {
    /// A network bridge.
    Bridge,
    /// The outer end of a host's link.
    Link,
    /// A network namespace.
    Namespace,
    /// A folder, and the control group of the engine in it.
    Folder,
}

impl OwnedKind {
    const ALL: [Self; 4] = [Self::Bridge, Self::Link, Self::Namespace, Self::Folder];

    const fn letter(self) -> char {
        match self {
            Self::Bridge => 'b',
            Self::Link => 'v',
            Self::Namespace => 'n',
            Self::Folder => 'e',
        }
    }
}

/// Makes a name that no other thing on this machine has: `df`, the kind, this process, `x`, a
/// number.
pub(crate) fn new_name(kind: OwnedKind) -> Result<String> {
    static NEXT_LINK: AtomicU32 = AtomicU32::new(0);
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let is_link = matches!(kind, OwnedKind::Bridge | OwnedKind::Link);
    let next = if is_link { &NEXT_LINK } else { &NEXT };
    let number = next.fetch_add(1, Ordering::Relaxed);
    let name = format!("df{}{}x{number}", kind.letter(), process::id());
    ensure!(
        !is_link || name.len() <= LONGEST_LINK_NAME,
        "this process has made more hosts than the kernel's names of links allow for"
    );
    Ok(name)
}

/// Reads a name back; `None` when it is not one of ours.
fn owner_of(name: &str) -> Option<(OwnedKind, u32)> {
    let rest = name.strip_prefix("df")?;
    let kind = OwnedKind::ALL
        .into_iter()
        .find(|kind| rest.starts_with(kind.letter()))?;
    let (pid, number) = rest.get(1..)?.split_once('x')?;
    number.parse::<u32>().ok()?;
    Some((kind, pid.parse().ok()?))
}

/// Says whether `name` is one of ours and its process has ended.
fn is_stale(name: &str, kind: OwnedKind) -> bool {
    owner_of(name).is_some_and(|(found, pid)| {
        found == kind && pid != process::id() && !Path::new(&format!("/proc/{pid}")).exists()
    })
}

/// Holds the machine-wide lock until the file is dropped.
pub(crate) fn lock() -> Result<File> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "network namespaces need root: run the end-to-end tests as root (`sudo -E`)"
    );
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(LOCK)
        .with_context(|| format!("could not open {LOCK}"))?;
    file.lock()
        .with_context(|| format!("could not lock {LOCK}"))?;
    Ok(file)
}

/// A folder below the system's temporary folder that is removed on drop, with the control group of
/// the same name.
#[derive(Debug)]
pub struct Folder {
    name: String,
    path: PathBuf,
}

impl Folder {
    /// Makes the folder, and sweeps what ended processes left behind when it is this process's
    /// first.
    pub fn new() -> Result<Self> {
        sweep_once();
        let name = new_name(OwnedKind::Folder)?;
        let path = env::temp_dir().join(&name);
        // Keys are in it, and the temporary folder is open to all.
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("could not make {}", path.display()))?;
        Ok(Self { name, path })
    }

    /// Gives the last part of the path.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Gives the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let removed = eventually(
            "the end of the last process in a control group",
            Duration::from_secs(5),
            || remove_cgroups(&self.name).map_err(|e| e.to_string()),
        );
        complain(removed);
        complain(
            fs::remove_dir_all(&self.path)
                .with_context(|| format!("could not remove {}", self.path.display())),
        );
    }
}

/// Reports what could not be cleaned up; a destructor has no other way.
#[expect(
    clippy::print_stderr,
    reason = "a test's output is where its author looks"
)]
pub(crate) fn complain(result: Result<()>) {
    if let Err(error) = result {
        eprintln!("dockfleet-e2e: {error:#}");
    }
}

/// Removes what test processes that have ended left behind, the first time it is called in this
/// process.
pub(crate) fn sweep_once() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| complain(sweep()));
}

/// Removes namespaces, links, folders, control groups and firewall rules whose process no longer
/// runs.
pub fn sweep() -> Result<()> {
    let _lock = lock()?;
    for name in names_in(Path::new("/run/netns")) {
        if is_stale(&name, OwnedKind::Namespace) {
            complain(program::tool("ip", ["netns", "del", &name]).map(drop));
        }
    }
    for name in names_in(Path::new("/sys/class/net")) {
        if is_stale(&name, OwnedKind::Bridge) || is_stale(&name, OwnedKind::Link) {
            complain(program::tool("ip", ["link", "del", &name]).map(drop));
        }
    }
    sweep_firewall()?;
    for name in names_in(&env::temp_dir()) {
        if is_stale(&name, OwnedKind::Folder) {
            complain(
                fs::remove_dir_all(env::temp_dir().join(&name))
                    .with_context(|| format!("could not remove the folder {name}")),
            );
        }
    }
    let groups = hierarchies()
        .into_iter()
        .flat_map(|hierarchy| names_in(&hierarchy));
    let stale: BTreeSet<String> = groups
        .filter(|name| is_stale(name, OwnedKind::Folder))
        .collect();
    for name in stale {
        complain(remove_cgroups(&name));
    }
    Ok(())
}

fn sweep_firewall() -> Result<()> {
    for rule in program::tool("iptables", ["-w", "-S", "FORWARD"])?.lines() {
        let mut words = rule.split(' ');
        let added = words.next() == Some("-A");
        if added && words.clone().any(|word| is_stale(word, OwnedKind::Bridge)) {
            complain(program::tool("iptables", ["-w", "-D"].into_iter().chain(words)).map(drop));
        }
    }
    Ok(())
}

fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}

/// Lists the folders that can hold a control group of ours: one per controller (v1), and the root
/// (v2).
fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new(CGROUPS);
    let mut all = vec![root.to_owned()];
    if !root.join("cgroup.controllers").exists() {
        all.extend(names_in(root).iter().map(|name| root.join(name)));
    }
    all
}

fn remove_cgroups(name: &str) -> Result<()> {
    let mut groups: Vec<PathBuf> = hierarchies().iter().map(|h| h.join(name)).collect();
    groups.retain(|group| group.exists());
    // What a paused container has left was killed with its engine, and ends when it is thawed.
    groups.iter().try_for_each(|group| thaw(group))?;
    groups.iter().try_for_each(|group| remove_cgroup(group))
}

/// Thaws a control group and those in it.
fn thaw(group: &Path) -> Result<()> {
    for (file, thawed) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
        let file = group.join(file);
        if file.exists() {
            fs::write(file, thawed)?;
        }
    }
    inner_groups(group).iter().try_for_each(|inner| thaw(inner))
}

/// Removes a control group and those in it; the kernel takes `rmdir` only, deepest first.
fn remove_cgroup(group: &Path) -> Result<()> {
    inner_groups(group)
        .iter()
        .try_for_each(|inner| remove_cgroup(inner))?;
    eventually(&format!("{} to be empty", group.display()), END, || {
        fs::remove_dir(group).map_err(|err| err.to_string())
    })
}

fn inner_groups(group: &Path) -> Vec<PathBuf> {
    let inner = names_in(group).into_iter().map(|name| group.join(name));
    inner.filter(|inner| inner.is_dir()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_kind_and_process() {
        for kind in OwnedKind::ALL {
            let name = new_name(kind).unwrap();
            assert_eq!(owner_of(&name), Some((kind, process::id())));
            assert!(
                !is_stale(&name, kind),
                "{name} belongs to a running process"
            );
        }
    }

    #[test]
    fn names_of_others_are_never_ours() {
        for name in [
            "docker0", "df", "dfb", "dfbx1", "dfb12", "dfb12x", "dfz1x1", "dfeéx1",
        ] {
            assert_eq!(owner_of(name), None, "{name}");
        }
    }
}
