//! `dockfleet get`

use crate::args::{FileArgs, GetArgs, STATE_DIR, StateArgs};
use crate::exit::Exit;
use crate::result::{Summary, bad_input};
use crate::standalone::{self, Engines, HostReport, HostSession};

/// Shows the current state of everything that was applied.
pub(crate) async fn run(args: GetArgs) -> anyhow::Result<Exit> {
    let output = args.output;
    if let Some(problem) = no_folder(&args.state) {
        return Ok(bad_input(vec![problem], output));
    }
    if let Some(name) = args.extra.first() {
        let problem = format!(
            "get takes no names and shows everything that was applied, and {name:?} is given; files \
             with DockerHosts come after -f"
        );
        return Ok(bad_input(vec![problem], output));
    }
    let files = if args.files.is_empty() {
        standalone::local(&args.state, output)
    } else {
        let files = FileArgs {
            files: args.files,
            recursive: args.recursive,
            state: args.state,
            extra: Vec::new(),
        };
        standalone::load(&files, output)
    };
    let files = match files {
        Ok(files) => files,
        Err(exit) => return Ok(exit),
    };
    let mut engines = match Engines::connect(&files, output).await {
        Ok(engines) => engines,
        Err(exit) => return Ok(exit),
    };
    let works = files.targets.iter().map(|target| {
        let engine = engines.take(target);
        let work = async move {
            let rows = HostSession::open_to_read(target, engine)
                .await?
                .current_rows()
                .await?;
            Ok(HostReport {
                rows,
                ..HostReport::default()
            })
        };
        (target.name().to_owned(), work)
    });
    let summary = Summary::of(standalone::gather(works).await);
    summary.print(output)?;
    Ok(summary.exit())
}

/// Reports a state folder that does not exist: after a typo it would look as if nothing had been
/// applied. For a variable it is only a hint, because the folder may not exist before the first
/// `apply`.
fn no_folder(state: &StateArgs) -> Option<String> {
    let dir = state.state_dir.as_ref()?;
    if dir.exists() {
        return None;
    }
    if std::env::var_os(STATE_DIR).is_some_and(|set| set == dir.as_os_str()) {
        anstream::eprintln!(
            "hint: the folder {} ({STATE_DIR}) does not exist: nothing was applied with it",
            dir.display()
        );
        return None;
    }
    Some(format!(
        "--state-dir {}: the folder does not exist, so nothing was applied with it",
        dir.display()
    ))
}
