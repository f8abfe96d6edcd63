//! `dockfleet apply`

mod prune;
mod watch;

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::bail;
use dockfleet_agent::pass::Progress;
use dockfleet_planner::assignment::Lifecycle;
use tokio_util::sync::CancellationToken;

use crate::args::{ApplyArgs, Output};
use crate::commands::{diff, until_interrupted};
use crate::exit::Exit;
use crate::result::{Summary, bad_input};
use crate::standalone::{
    self, CommandGoal, Connected, Engines, Files, HostReport, HostSession, HostTarget, Prune,
    Rounds,
};

/// Applies the files to the hosts.
pub(crate) async fn run(args: ApplyArgs) -> anyhow::Result<Exit> {
    let files = match standalone::load_to_apply(&args.files, args.output) {
        Ok(files) => files,
        Err(exit) => return Ok(exit),
    };
    let mut goal = CommandGoal {
        lifecycle: Lifecycle::Live,
        prune: if args.prune {
            Prune::All
        } else {
            Prune::Nothing
        },
    };
    if args.prune && files.resources(Lifecycle::Live).is_empty() {
        let problem = "the files contain no DockerNetwork or DockerVolume, so --prune would remove or release \
                       everything; use dockfleet delete for that";
        return Ok(bad_input(vec![problem.to_owned()], args.output));
    }
    let lacking = files.lacking_hosts(Lifecycle::Live, args.prune);
    if !lacking.is_empty() {
        return Ok(bad_input(lacking, args.output));
    }
    if args.dry_run {
        return diff::dry_run(files, &goal, args.output).await;
    }
    if args.prune && !args.yes {
        let agreed = match prune::agreed(&files).await? {
            Ok(agreed) => agreed,
            Err(problem) => {
                return Ok(bad_input(problem.into_iter().collect(), args.output));
            }
        };
        goal.prune = Prune::Agreed(agreed);
    }
    if args.watch {
        let unwatchable = files.unwatchable();
        if !unwatchable.is_empty() {
            return Ok(bad_input(unwatchable, args.output));
        }
        if args.files.paths().iter().any(|f| f.as_os_str() == "-") {
            let problem = "standard input cannot be watched; use files or folders";
            return Ok(bad_input(vec![problem.to_owned()], args.output));
        }
        return watch::run(&args, files, goal).await;
    }
    let begin = Begin {
        files,
        goal: &goal,
        patience: args.lock.lock_timeout,
        wait: Duration::ZERO,
    };
    begin.everywhere(args.output).await
}

/// A command that runs on every host of the files.
pub(super) struct Begin<'a> {
    pub(super) files: Files,
    pub(super) goal: &'a CommandGoal,
    /// How long to wait for a journal that another process has locked.
    pub(super) patience: Duration,
    /// How long to wait for objects that containers use.
    pub(super) wait: Duration,
}

impl Begin<'_> {
    /// Works on all hosts until it is finished or interrupted, and prints the results. It changes
    /// nothing if two hosts have the same engine.
    pub(super) async fn everywhere(mut self, output: Output) -> anyhow::Result<Exit> {
        let stop = &until_interrupted()?;
        let connected = stop.run_until_cancelled(Engines::connect(&self.files, output));
        let engines = match connected.await {
            Some(Ok(engines)) => engines,
            Some(Err(exit)) => return Ok(exit),
            None => Engines::default(),
        };
        let mut summary = if self.files.needs_rounds(self.goal.prune.is_any()) {
            let rounds = Rounds {
                goal: self.goal,
                patience: self.patience,
                wait: self.wait,
                show,
                stop,
            };
            rounds.run(&mut self.files, engines).await
        } else {
            self.each_alone(engines, stop).await
        };
        let exit = summary.exit();
        if stop.is_cancelled() && exit != Exit::Ready {
            summary.hints.push(
                "interrupted: finished actions stay; run the same command again to continue"
                    .to_owned(),
            );
        }
        if self.goal.lifecycle == Lifecycle::Live {
            summary.unselected = self.files.unselected().len();
        }
        summary.print(output)?;
        Ok(exit)
    }

    /// Works on every host for itself.
    async fn each_alone(&self, mut engines: Engines, stop: &CancellationToken) -> Summary {
        let works = self.files.targets.iter().map(|target| {
            let engine = engines.take(target);
            let work = async move { self.on(target, engine, stop).await };
            (target.name().to_owned(), work)
        });
        Summary::of(standalone::gather(works).await)
    }

    async fn on(
        &self,
        target: &HostTarget,
        engine: Connected,
        stop: &CancellationToken,
    ) -> anyhow::Result<HostReport> {
        let begun = stop.run_until_cancelled(HostSession::open(target, engine, self.patience));
        let Some(begun) = begun.await else {
            bail!("interrupted before anything was changed");
        };
        let mut show = |p: &Progress| show(target.name(), p);
        begun?
            .apply_and_wait(&self.files, self.goal, self.wait, &mut show, stop)
            .await
    }
}

/// Shows the progress on a terminal, and not in a log file.
pub(super) fn show(host: &str, progress: &Progress) {
    if std::io::stderr().is_terminal() {
        anstream::eprintln!("{host}: {progress}");
    }
}
