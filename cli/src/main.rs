//! `dockfleet`: the controller, the agent, and the commands for a few Docker hosts.

mod args;
mod commands;
mod duration;
mod exit;
mod fault;
mod label_selector;
mod logging;
mod result;
mod standalone;

use std::process::ExitCode;
use std::time::Duration;

use clap::FromArgMatches;
use clap::error::ErrorKind;
use futures::FutureExt;
use futures::future::{LocalBoxFuture, ready};

use args::{Cli, Command};
use exit::Exit;

/// How long the end of the program waits for threads that write to a disk.
const LAST_WRITES: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let cli = args::command().try_get_matches();
    let cli = match cli.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(err) => return print_answer(&err).into(),
    };
    if matches!(cli.command, Command::BackupJob) {
        return dockfleet_vault::process::main();
    }
    let is_service = is_service(&cli.command);
    let default = if is_service {
        logging::SERVICE_FILTER
    } else {
        logging::COMMAND_FILTER
    };
    if let Err(err) = logging::init(cli.log.as_deref().unwrap_or(default), cli.log_format) {
        anstream::eprintln!("error: --log: {err}");
        return Exit::BadInput.into();
    }
    fault::end_on_panic(is_service);
    match run(cli.command) {
        Ok(exit) => exit.into(),
        Err(err) => {
            let error = dockfleet_vitals::chain(err.as_ref());
            if is_service {
                // Only the log of a service is read.
                tracing::error!(error, "cannot continue");
            } else {
                anstream::eprintln!("error: {error}");
            }
            Exit::Failed.into()
        }
    }
}

/// Whether a command runs until it is stopped, and so only its log is read. `agent join` is a command that
/// a person types.
fn is_service(command: &Command) -> bool {
    match command {
        Command::Controller(_) => true,
        Command::Agent(args) => args.command.is_none(),
        _ => false,
    }
}

/// Prints the answer of the command line parser: help, the version, or an error.
fn print_answer(err: &clap::Error) -> Exit {
    // If standard error is closed, the message is lost.
    let _ = err.print();
    match err.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Ready,
        _ => Exit::BadInput,
    }
}

fn run(command: Command) -> anyhow::Result<Exit> {
    let runtime = match command {
        Command::Controller(_) => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?,
        // One thread keeps the agent small, and is enough for the other commands.
        _ => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?,
    };
    // In boxes, so that the stack of an agent does not have room for all other commands.
    let work: LocalBoxFuture<'_, anyhow::Result<Exit>> = match command {
        Command::Apply(args) => commands::apply::run(args).boxed_local(),
        Command::Diff(args) => commands::diff::run(args).boxed_local(),
        Command::Get(args) => commands::get::run(args).boxed_local(),
        Command::Delete(args) => commands::delete::run(args).boxed_local(),
        Command::Backup(args) => commands::backup::run(args).boxed_local(),
        Command::Restore(args) => commands::restore::run(args).boxed_local(),
        Command::Snapshots(args) => commands::snapshots::run(args).boxed_local(),
        Command::Repository(args) => commands::repository::run(args).boxed_local(),
        Command::BackupGuard(args) => commands::backup::guard::run(args).boxed_local(),
        // It has a runtime of its own.
        Command::BackupJob => ready(Ok(Exit::Failed)).boxed_local(),
        Command::Usage(args) => commands::usage::run(args).boxed_local(),
        Command::Prune(args) => commands::prune::run(args).boxed_local(),
        Command::Journal(args) => ready(commands::journal::run(&args)).boxed_local(),
        Command::Controller(args) => commands::controller::run(args).boxed_local(),
        Command::Agent(args) => commands::agent::run(args).boxed_local(),
        Command::Enroll(args) => commands::enroll::run(args).boxed_local(),
        Command::Revoke(args) => commands::revoke::run(args).boxed_local(),
        Command::Crds(args) => ready(commands::crds::run(&args)).boxed_local(),
        Command::Help { command } => ready(Ok(commands::help::run(&command))).boxed_local(),
        Command::Version => {
            anstream::print!("{}", args::command().render_version());
            ready(Ok(Exit::Ready)).boxed_local()
        }
    };
    let done = runtime.block_on(work);
    // A thread that waits for a disk that does not answer is not waited for.
    runtime.shutdown_timeout(LAST_WRITES);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controller_and_agent_are_services_and_joining_is_a_command() {
        let is_service = |args: &[&str]| {
            let matches = args::command().try_get_matches_from(args).unwrap();
            is_service(&Cli::from_arg_matches(&matches).unwrap().command)
        };
        assert!(is_service(&["dockfleet", "controller"]));
        assert!(is_service(&["dockfleet", "agent"]));
        assert!(!is_service(&["dockfleet", "agent", "join", "--file", "a"]));
        assert!(!is_service(&["dockfleet", "crds"]));
    }
}
