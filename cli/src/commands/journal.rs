//! `dockfleet journal`

use std::io::Write;

use anyhow::Context;
use dockfleet_agent::journal::Journal;
use tabwriter::TabWriter;

use crate::args::{JournalArgs, Output};
use crate::exit::Exit;

/// Shows what a journal holds; the agent may be running.
pub(crate) fn run(args: &JournalArgs) -> anyhow::Result<Exit> {
    let journal = Journal::read_only(&args.dir)
        .with_context(|| format!("no journal can be read in {}", args.dir.display()))?;
    let records = journal.records();
    let records: Vec<_> = records.values().collect();
    match args.output {
        Output::Json => anstream::println!("{}", serde_json::to_string_pretty(&records)?),
        Output::Yaml => anstream::print!("{}", serde_saphyr::to_string(&records)?),
        Output::Table | Output::Wide => {
            let mut table = TabWriter::new(Vec::new()).padding(3);
            writeln!(table, "KIND\tRESOURCE\tOBJECT\tSTAGE\tADOPTED\tID\tUID")?;
            for r in records {
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
                    r.uid
                )?;
            }
            table.flush()?;
            let bytes = table.into_inner().map_err(|err| anyhow::anyhow!("{err}"))?;
            anstream::print!("{}", String::from_utf8(bytes)?);
        }
    }
    Ok(Exit::Ready)
}
