//! `dockfleet`: controller, agent, and the commands for one person with a few Docker hosts.

mod args;
mod commands;
mod duration;
mod exit;
mod fault;
mod logging;
mod result;
mod standalone;

use std::process::ExitCode;

use clap::FromArgMatches;
use clap::error::ErrorKind;

use args::{Cli, Command};
use exit::Exit;

fn main() -> ExitCode {
    let cli = args::command().try_get_matches();
    let cli = match cli.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(err) => return told(&err).into(),
    };
    let default = match cli.command {
        // What kube and its HTTP client say at info is of no use to an operator.
        Command::Controller(_) | Command::Agent(_) => {
            "warn,dockfleet_agent=info,dockfleet_controller=info,dockfleet_vitals=info"
        }
        _ => "error",
    };
    if let Err(err) = logging::init(cli.log.as_deref().unwrap_or(default), cli.log_format) {
        anstream::eprintln!("error: --log: {err}");
        return Exit::BadInput.into();
    }
    let is_service = matches!(cli.command, Command::Controller(_) | Command::Agent(_));
    fault::end_on_panic(is_service);
    match run(cli.command) {
        Ok(exit) => exit.into(),
        Err(err) => {
            let error = dockfleet_vitals::chain(err.as_ref());
            if is_service {
                // What reads its log reads nothing else.
                tracing::error!(error, "cannot go on");
            } else {
                anstream::eprintln!("error: {error}");
            }
            Exit::Failed.into()
        }
    }
}

/// Says what the command line has for an answer: help, the version, or what is wrong with it.
fn told(err: &clap::Error) -> Exit {
    // A closed standard error leaves nobody to tell.
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
        // One thread keeps the agent small, and files against a few hosts need no more.
        _ => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?,
    };
    runtime.block_on(async {
        match command {
            Command::Apply(args) => commands::apply::run(args).await,
            Command::Diff(args) => commands::diff::run(args).await,
            Command::Get(args) => commands::get::run(args).await,
            Command::Delete(args) => commands::delete::run(args).await,
            Command::Journal(args) => commands::journal::run(&args),
            Command::Controller(args) => commands::controller::run(args).await,
            Command::Agent(args) => commands::agent::run(args).await,
            Command::Enroll(args) => commands::enroll::run(args).await,
            Command::Revoke(args) => commands::revoke::run(args).await,
            Command::Crds(args) => commands::crds::run(&args),
            Command::Help { command } => Ok(commands::help::run(&command)),
            Command::Version => {
                anstream::print!("{}", args::command().render_version());
                Ok(Exit::Ready)
            }
        }
    })
}
