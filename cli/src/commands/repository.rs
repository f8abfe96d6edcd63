//! `dockfleet repository`

use dockfleet_planner::kinds::repository::host_password;
use dockfleet_vault::{Check, Outcome, Task};

use super::vault::{self, OpenRepository};
use crate::args::backup::{
    CheckArgs, RepositoryArgs, RepositoryCommand, RepositoryPasswordArgs, RepositoryPruneArgs,
};
use crate::exit::Exit;

/// Works on a whole repository. No engine is needed.
pub(crate) async fn run(args: RepositoryArgs) -> anyhow::Result<Exit> {
    match args.command {
        RepositoryCommand::Check(args) => check(args).await,
        RepositoryCommand::Prune(args) => prune(args).await,
        RepositoryCommand::Password(args) => password(&args),
    }
}

fn password(args: &RepositoryPasswordArgs) -> anyhow::Result<Exit> {
    let of_all = vault::read_password(&args.password_file)?;
    let (namespace, host) = &args.host;
    anstream::println!("{}", host_password(&of_all, namespace, host));
    Ok(Exit::Ready)
}

async fn check(args: CheckArgs) -> anyhow::Result<Exit> {
    let repository = OpenRepository::open(args.repository, &args.password, false, "").await?;
    let task = Task::Check(Check {
        read_percent: args.read_data,
    });
    let Outcome::Check(checked) = repository.ask(task).await? else {
        return vault::another();
    };
    let header = "ERRORS\tDATA READ";
    vault::print(
        args.output,
        std::slice::from_ref(&checked),
        header,
        |checked| format!("{}\t{} %", checked.errors, checked.read_percent),
    )?;
    for error in &checked.first {
        anstream::eprintln!("error: {error}");
    }
    Ok(if checked.errors == 0 {
        Exit::Ready
    } else {
        Exit::Failed
    })
}

async fn prune(args: RepositoryPruneArgs) -> anyhow::Result<Exit> {
    let repository = OpenRepository::open(args.repository, &args.password, false, "").await?;
    let Outcome::Prune(pruned) = repository.ask(Task::Prune).await? else {
        return vault::another();
    };
    let header = "USED\tMARKED\tREMOVED";
    vault::print(
        args.output,
        std::slice::from_ref(&pruned),
        header,
        |pruned| {
            let size = vault::size;
            format!(
                "{}\t{}\t{}",
                size(pruned.used),
                size(pruned.marked),
                size(pruned.removed)
            )
        },
    )?;
    Ok(Exit::Ready)
}
