//! `dockfleet journal`

use std::io::Write;
use std::path::{Path, PathBuf};

use dockfleet_agent::journal::Journal;
use dockfleet_planner::record::Record;
use serde::Serialize;
use tabwriter::TabWriter;

use crate::args::{AGENT_STATE_DIR, JournalArgs, StateArgs};
use crate::exit::Exit;
use crate::result::{Failure, OutputDocument};
use crate::standalone::state;

/// One record, and the folder of its journal.
#[derive(Serialize)]
struct Kept {
    journal: String,
    #[serde(flatten)]
    record: Record,
}

/// Shows the records of journals. Their agents and commands may be running.
pub(crate) fn run(args: &JournalArgs) -> anyhow::Result<Exit> {
    let mut records = Vec::new();
    let mut failures = Vec::new();
    let (root, folders) = folders(args)?;
    let mut fail = |journal: &Path, message: String| {
        failures.push(Failure {
            journal: Some(journal.display().to_string()),
            message,
            ..Failure::default()
        });
    };
    match folders {
        Ok(folders) if folders.is_empty() => {
            fail(&root, format!("there is no journal in {}", root.display()));
        }
        Ok(folders) => {
            for folder in folders {
                match Journal::read_only(&folder) {
                    Ok(journal) => records.extend(journal.records().values().map(|r| Kept {
                        journal: folder.display().to_string(),
                        record: r.clone(),
                    })),
                    Err(err) => fail(&folder, err.to_string()),
                }
            }
        }
        Err(err) => fail(&root, err.to_string()),
    }
    let document = OutputDocument {
        changed: None,
        results: &records,
        failures: &failures,
    };
    if args.output.is_for_programs() {
        document.print(args.output)?;
    } else if failures.is_empty() || !records.is_empty() {
        print(&records)?;
    }
    for failure in &failures {
        anstream::eprintln!("error: {failure}");
    }
    Ok(if failures.is_empty() {
        Exit::Ready
    } else {
        Exit::Failed
    })
}

type Folders = Result<Vec<PathBuf>, dockfleet_agent::journal::JournalError>;

/// Returns the folder, and the folders of the journals in it: the folder of the argument, otherwise
/// the folder of this machine's agent if there is one, otherwise that of `apply`.
fn folders(args: &JournalArgs) -> anyhow::Result<(PathBuf, Folders)> {
    if let Some(named) = args.dir.as_ref().or(args.state.state_dir.as_ref()) {
        return Ok((named.clone(), Journal::find(named)));
    }
    let agent = PathBuf::from(AGENT_STATE_DIR);
    let of_agent = Journal::find(&agent);
    if !of_agent.as_ref().is_ok_and(Vec::is_empty) {
        return Ok((agent, of_agent));
    }
    let root = state::root(&StateArgs { state_dir: None })?;
    let found = Journal::find(&root);
    Ok((root, found))
}

fn print(records: &[Kept]) -> anyhow::Result<()> {
    let first = records.first().map(|kept| &kept.journal);
    let several = records.iter().any(|kept| Some(&kept.journal) != first);
    let mut table = TabWriter::new(Vec::new()).padding(3);
    if several {
        write!(table, "JOURNAL\t")?;
    }
    writeln!(table, "KIND\tRESOURCE\tOBJECT\tSTAGE\tADOPTED\tID\tUID")?;
    for Kept { journal, record: r } in records {
        if several {
            let name = Path::new(journal).file_name().unwrap_or_default();
            write!(table, "{}\t", name.display())?;
        }
        let short: String = r.id.as_deref().unwrap_or("-").chars().take(12).collect();
        writeln!(
            table,
            "{}\t{}/{}\t{}\t{}\t{}\t{short}\t{}",
            r.kind.as_str(),
            r.namespace,
            r.name,
            r.object,
            r.stage,
            r.adopted,
            r.key
        )?;
    }
    table.flush()?;
    let bytes = table.into_inner().map_err(|err| anyhow::anyhow!("{err}"))?;
    anstream::print!("{}", String::from_utf8(bytes)?);
    Ok(())
}
