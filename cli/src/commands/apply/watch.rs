//! `dockfleet apply --watch`: repairs drift and follows the files until interrupted.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use futures::StreamExt;
use notify::Watcher;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::args::ApplyArgs;
use crate::exit::Exit;
use crate::result::Summary;
use crate::standalone::{self, Files, Goal, Target, Work};

/// Time between two passes when nothing is heard: events can be lost across a restart of an engine.
const RELIST: Duration = Duration::from_secs(300);
/// Time after a failed pass before the next; with more failures it doubles up to [`RELIST`].
const RETRY: Duration = Duration::from_secs(2);
/// Time over which one change of files or engine is gathered: editors write in several steps.
const SETTLE: Duration = Duration::from_millis(200);

/// A host whose journal is held for as long as the command runs.
struct Held {
    target: Target,
    /// Nothing until the engine has answered once.
    work: Option<Work>,
}

/// Runs until interrupted. Exits as the last pass would.
pub(super) async fn run(args: &ApplyArgs, mut files: Files, goal: Goal) -> anyhow::Result<Exit> {
    let shutdown = crate::commands::shutdown()?;
    // One slot: it only says that something happened.
    let (wake, mut woken) = mpsc::channel(1);
    let _watcher = watch_files(&args.files.files, wake.clone())?;
    let mut held = hold(&files, Vec::new());
    let mut shown = String::new();
    let mut retry = RETRY;
    loop {
        let listening = listen(&files.targets, &wake, &shutdown);
        let summary = apply(&mut held, &files, goal).await;
        // Only what is news is worth a line in a terminal that stays open for days.
        let text = serde_json::to_string(&(&summary.results, &summary.failures))?;
        if summary.changed > 0 || text != shown {
            summary.print(args.output)?;
            shown = text;
        }
        let fine = summary.exit() == Exit::Ready;
        let pause = if fine { RELIST } else { retry };
        retry = if fine { RETRY } else { (retry * 2).min(RELIST) };
        let stop = tokio::select! {
            () = shutdown.cancelled() => true,
            _ = woken.recv() => false,
            () = tokio::time::sleep(pause) => false,
        };
        listening.cancel();
        if stop {
            return Ok(summary.exit());
        }
        tokio::time::sleep(SETTLE).await;
        while woken.try_recv().is_ok() {}
        match standalone::read(&args.files) {
            Ok(read) if is_implicit(&read) != is_implicit(&files) => {
                // A hosts file that is missing for a moment does not send everything here.
                anstream::eprintln!(
                    "error: the files name {}; the files as they were stay in force",
                    if is_implicit(&read) {
                        "no DockerHost any more"
                    } else {
                        "DockerHosts now: start again"
                    }
                );
            }
            Ok(read) => {
                files = read;
                held = hold(&files, held);
            }
            Err(problems) => {
                for problem in &problems {
                    anstream::eprintln!("error: {problem}");
                }
                anstream::eprintln!("the files as they were last right stay in force");
            }
        }
    }
}

fn is_implicit(files: &Files) -> bool {
    files.targets.iter().any(Target::is_implicit)
}

/// Keeps what is held of hosts that are still the same, and lets go of the others.
fn hold(files: &Files, mut before: Vec<Held>) -> Vec<Held> {
    files
        .targets
        .iter()
        .map(|target| {
            let same = before.iter().position(|held| held.target == *target);
            match same {
                Some(at) => before.swap_remove(at),
                None => Held {
                    target: target.clone(),
                    work: None,
                },
            }
        })
        .collect()
}

async fn apply(held: &mut [Held], files: &Files, goal: Goal) -> Summary {
    standalone::gather(held.iter_mut().map(|held| {
        let host = held.target.name().to_owned();
        let work = async move {
            let Held { target, work } = held;
            let mut at_work = match work.take() {
                Some(work) => work,
                None => Work::begin(target).await?,
            };
            let report = at_work
                .apply(files, goal, &mut |p| super::show(target.name(), p))
                .await?;
            // It may come back as another version, and is asked anew what it can do.
            if !report.engine_is_gone() {
                *work = Some(at_work);
            }
            Ok(report)
        };
        (host, work)
    }))
    .await
}

/// Says so when a file or folder changes. The watcher lives as long as the result.
fn watch_files(paths: &[String], wake: mpsc::Sender<()>) -> anyhow::Result<impl Watcher + use<>> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file is no change, and our own reading must not wake us.
        if event.is_ok_and(|e| !e.kind.is_access()) {
            // A full slot says it already.
            let _ = wake.try_send(());
        }
    })?;
    for path in paths.iter().filter(|p| *p != "-").map(Path::new) {
        // A file is often replaced rather than written; its folder sees both.
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

/// Says so when an engine reports a change, until the result is cancelled.
fn listen(
    targets: &[Target],
    wake: &mpsc::Sender<()>,
    shutdown: &CancellationToken,
) -> CancellationToken {
    let stop = shutdown.child_token();
    for target in targets {
        let (target, wake, stop) = (target.clone(), wake.clone(), stop.clone());
        tokio::spawn(stop.run_until_cancelled_owned(async move {
            // A host that cannot be heard is looked at again by the timer.
            let Ok(engine) = target.connect().await else {
                return;
            };
            let mut events = std::pin::pin!(engine.events());
            while events.next().await.is_some_and(|e| e.is_ok()) {
                let _ = wake.try_send(());
            }
            // The engine goes, or the way to it: what happens from now on is not heard. An engine
            // that never lets anybody listen does not make a loop of it.
            tokio::time::sleep(RETRY).await;
            let _ = wake.try_send(());
        }));
    }
    stop
}
