//! The controller of all sites, which can be killed after each of its writes.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context as _, Result, bail};
use dockfleet_e2e::faults::{How, ORDER, Order, TracedEffect, start};
use dockfleet_e2e::{ApiClient, ControlPlane, Folder, Process};
use rustix::process::Signal;

/// How long a claim to lead holds, until when it has to be renewed, and how often that is tried, in milliseconds:
/// nobody contests it.
const ELECTION: [&str; 3] = ["15000", "10000", "2000"];
/// The claim to lead.
const LEASE: &str =
    "/apis/coordination.k8s.io/v1/namespaces/dockfleet-system/leases/dockfleet-controller";
/// After how many effects one after the other is killed. The first effect is its claim to lead, and the others are its
/// writes. Some are made again after each start, so one that is always killed after the first write gets nowhere.
const NUMBERS: [usize; 4] = [2, 3, 4, 5];
/// How often it is looked whether it was killed.
const LOOK: Duration = Duration::from_millis(50);

/// A controller; its folder has its log, its order and its trace.
pub(super) struct Controller {
    process: Process,
    folder: Folder,
    kubeconfig: PathBuf,
    api: ApiClient,
}

impl Controller {
    pub(super) fn start(plane: &ControlPlane) -> Result<Self> {
        let (folder, kubeconfig) = (Folder::new()?, plane.kubeconfig());
        Ok(Self {
            process: process(&folder, &kubeconfig)?,
            folder,
            kubeconfig,
            api: plane.client()?,
        })
    }

    pub(super) fn log(&self) -> String {
        self.process.log()
    }

    /// Gives its writes so far.
    fn writes(&self) -> Result<Vec<TracedEffect>> {
        let mut all = TracedEffect::all(self.folder.path())?;
        all.retain(|effect| effect.ended);
        Ok(all)
    }

    /// Does some work while the controller is killed after its first, second, third and fourth write in turn. Gives the
    /// result of the work, and what it was killed after.
    pub(super) fn killed_during<T: Send>(
        &mut self,
        work: impl FnOnce() -> Result<T> + Send,
    ) -> Result<(T, Vec<String>)> {
        let begin = self.writes()?.len();
        let mut numbers = NUMBERS.into_iter().cycle();
        self.order(numbers.next())?;
        let is_done = AtomicBool::new(false);
        let result = thread::scope(|scope| {
            let work = scope.spawn(|| {
                let result = work();
                is_done.store(true, Ordering::Relaxed);
                result
            });
            while !is_done.load(Ordering::Relaxed) {
                if self.process.exit_status().is_some() {
                    self.order(numbers.next())?;
                    self.start_again()?;
                }
                thread::sleep(LOOK);
            }
            work.join().ok().context("the work has panicked")?
        })?;
        fs::remove_file(self.folder.file(ORDER))?;
        self.start_again()?;
        let writes = self.writes()?;
        let killed = writes.iter().skip(begin).filter(|write| write.stopped);
        Ok((result, killed.map(|write| write.what.clone()).collect()))
    }

    /// Has it be killed after this many effects.
    fn order(&self, number: Option<usize>) -> Result<()> {
        let order = Order {
            how: How::Killed,
            number: number.unwrap_or_default(),
            of: None,
            fleeting: true,
        };
        order.give(self.folder.path())
    }

    /// Starts another one if it was killed.
    fn start_again(&mut self) -> Result<()> {
        let Some(status) = self.process.exit_status() else {
            return Ok(());
        };
        if status.signal() != Some(Signal::KILL.as_raw()) {
            bail!("the controller ended ({status}):\n{}", self.log());
        }
        // The next one would wait until the claim of a process that is gone does not hold any more. It may not have made
        // it yet.
        let _ = self.api.delete(LEASE);
        self.process = process(&self.folder, &self.kubeconfig)?;
        Ok(())
    }
}

fn process(folder: &Folder, kubeconfig: &Path) -> Result<Process> {
    let program = env!("CARGO_BIN_EXE_dockfleet-that-stops");
    let args = ["controller"].into_iter().chain(ELECTION);
    let args: Vec<&str> = args.collect();
    let variables: [(&str, &OsStr); 1] = [("KUBECONFIG", kubeconfig.as_os_str())];
    start(program, folder.path(), &args, &variables)
}
