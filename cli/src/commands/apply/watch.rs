//! `dockfleet apply --watch`: repairs drift and applies changes of the files until interrupted.
//!
//! Each host has its own task, so that a host that hangs delays neither other hosts nor a signal
//! (invariant 7).

mod host;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use notify::Watcher;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::host::{Done, Host};
use crate::args::{ApplyArgs, Output};
use crate::exit::Exit;
use crate::result::Summary;
use crate::standalone::{self, CommandGoal, EngineHosts, Engines, Files, HostTarget};

/// Time in which several events of files or engine count as one change: editors write in several
/// steps.
const SETTLE: Duration = Duration::from_millis(200);
/// Time for hosts to finish their current action when the command stops. If an action takes longer,
/// the journal has it.
const STOP: Duration = Duration::from_secs(5);
/// Number of results that may wait for output. A host waits if there are more.
const RESULTS: usize = 64;

/// Runs until interrupted. The exit code is that of the last passes.
pub(super) async fn run(args: &ApplyArgs, files: Files, goal: CommandGoal) -> anyhow::Result<Exit> {
    let shutdown = crate::commands::shutdown()?;
    // Nothing is changed if two hosts have the same engine. Engines that answer later are checked
    // then.
    if let Err(exit) = Engines::connect(&files, args.output).await {
        return Ok(exit);
    }
    // One slot: the message only says that something happened.
    let (wake, mut woken) = mpsc::channel(1);
    let _watcher = watch_files(&args.files.paths(), wake)?;
    let (done, mut heard) = mpsc::channel(RESULTS);
    let mut hosts = Hosts {
        goal,
        claims: EngineHosts::default(),
        patience: args.lock.lock_timeout,
        files: watch::Sender::new(Arc::new(files)),
        running: BTreeMap::new(),
        shown: BTreeMap::new(),
    };
    hosts.follow(&done);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(done) = heard.recv() => hosts.show(done, args.output)?,
            Some(()) = woken.recv() => {
                if shutdown.run_until_cancelled(tokio::time::sleep(SETTLE)).await.is_none() {
                    break;
                }
                while woken.try_recv().is_ok() {}
                hosts.read(args, &done);
            }
        }
    }
    // The channel closes when the last host has ended.
    drop(done);
    hosts.stop();
    let last = async {
        while let Some(done) = heard.recv().await {
            hosts.show(done, args.output)?;
        }
        Ok(hosts.exit())
    };
    if let Ok(exit) = tokio::time::timeout(STOP, last).await {
        return exit;
    }
    anstream::eprintln!("error: stopped while a host did not answer");
    Ok(Exit::Failed)
}

/// The watched hosts.
struct Hosts {
    goal: CommandGoal,
    /// The host of each engine.
    claims: EngineHosts,
    /// How long another process may hold a journal.
    patience: Duration,
    /// The files in use.
    files: watch::Sender<Arc<Files>>,
    running: BTreeMap<String, Running>,
    /// The last output for each host, and the exit code of that result.
    shown: BTreeMap<String, (String, Exit)>,
}

/// A host with its task.
struct Running {
    target: HostTarget,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Hosts {
    /// Starts a task for each new or changed host, and ends the tasks of hosts that are no longer
    /// in the files.
    fn follow(&mut self, done: &mpsc::Sender<Done>) {
        let files = self.files.borrow().clone();
        let mut before = std::mem::take(&mut self.running);
        for target in &files.targets {
            let name = target.name().to_owned();
            let known = before.remove(&name);
            let running = match known {
                Some(running) if running.target == *target => running,
                known => {
                    let stop = CancellationToken::new();
                    let host = Host {
                        target: target.clone(),
                        goal: self.goal.clone(),
                        claims: self.claims.clone(),
                        patience: self.patience,
                        files: self.files.subscribe(),
                        done: done.clone(),
                        stop: stop.clone(),
                    };
                    let earlier = known.map(|running| {
                        running.stop.cancel();
                        running.task
                    });
                    Running {
                        target: target.clone(),
                        stop,
                        task: tokio::spawn(host.follow(earlier)),
                    }
                }
            };
            self.running.insert(name, running);
        }
        for (name, gone) in before {
            gone.stop.cancel();
            self.shown.remove(&name);
        }
    }

    /// Reads the files again, and uses them if they are correct.
    fn read(&mut self, args: &ApplyArgs, done: &mpsc::Sender<Done>) {
        match standalone::read_to_watch(&args.files) {
            Ok(read) if is_implicit(&read) != is_implicit(&self.files.borrow()) => {
                // If the file with the hosts is missing for a moment, not everything is applied to
                // the local engine.
                anstream::eprintln!(
                    "error: the files contain {}; the previous files stay in use",
                    if is_implicit(&read) {
                        "no DockerHost any longer"
                    } else {
                        "DockerHosts now: start again"
                    }
                );
            }
            Ok(read) => {
                self.files.send_replace(Arc::new(read));
                self.follow(done);
            }
            Err(problems) => {
                for problem in &problems {
                    anstream::eprintln!("error: {problem}");
                }
                anstream::eprintln!("the last correct files stay in use");
            }
        }
    }

    /// Shows the result of a host. Only changes are printed, because the terminal may stay open for
    /// days.
    fn show(&mut self, done: Done, output: Output) -> anyhow::Result<()> {
        let Done { host, report } = done;
        if !self.running.contains_key(&host) {
            return Ok(());
        }
        let mut summary = Summary::default();
        summary.add(&host, report);
        let text = serde_json::to_string(&(&summary.results, &summary.failures))?;
        let before = self.shown.get(&host).map(|(text, _)| text);
        if summary.changed > 0 || before != Some(&text) {
            summary.print(output)?;
        }
        self.shown.insert(host, (text, summary.exit()));
        Ok(())
    }

    /// Returns the exit code: success if the last result of every host was a success.
    fn exit(&self) -> Exit {
        let mut hosts = self.running.keys();
        let fine = |host: &String| self.shown.get(host).is_some_and(|(_, e)| *e == Exit::Ready);
        if hosts.all(fine) {
            Exit::Ready
        } else {
            Exit::Failed
        }
    }

    /// Lets every host finish its current action, and stops.
    fn stop(&self) {
        for running in self.running.values() {
            running.stop.cancel();
        }
    }
}

fn is_implicit(files: &Files) -> bool {
    files.targets.iter().any(HostTarget::is_implicit)
}

/// Sends a message when a file or folder changes. The watcher lives as long as the result.
fn watch_files(paths: &[PathBuf], wake: mpsc::Sender<()>) -> anyhow::Result<impl Watcher + use<>> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file is no change, and our own reading must not wake us.
        if event.is_ok_and(|e| !e.kind.is_access()) {
            // A full slot already has the message.
            let _ = wake.try_send(());
        }
    })?;
    for path in paths {
        // A file is often replaced instead of written. Watching its folder covers both.
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
        let folder = if path.is_dir() {
            path
        } else {
            parent.unwrap_or_else(|| Path::new("."))
        };
        watcher
            .watch(folder, notify::RecursiveMode::Recursive)
            .with_context(|| format!("cannot watch {}", folder.display()))?;
    }
    Ok(watcher)
}
