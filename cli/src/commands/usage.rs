//! `dockfleet usage`

use std::cmp::Reverse;
use std::io::{IsTerminal as _, stderr};

use dockfleet_agent::volume_data::VolumeDataError;
use dockfleet_agent::volume_usage::{UsageError, VolumeUsage, measure_volumes};
use serde::Serialize;

use super::vault;
use crate::args::usage::UsageArgs;
use crate::args::{Output, StateArgs};
use crate::exit::Exit;
use crate::result::{Failure, OutputDocument};
use crate::standalone;

/// One volume.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    volume: String,
    #[serde(flatten)]
    usage: VolumeUsage,
}

/// Measures volumes of this host.
pub(crate) async fn run(args: UsageArgs) -> anyhow::Result<Exit> {
    let target = standalone::local_target(&StateArgs::default())?;
    let engine = target.connect().await?;
    let shows = stderr().is_terminal();
    let is_of_all = args.volumes.is_empty();
    let measured = measure_volumes(&engine, &args.volumes, |volume| {
        if shows {
            anstream::eprint!("\r\x1b[Kmeasuring {volume}");
        }
    })
    .await?;
    if shows {
        anstream::eprint!("\r\x1b[K");
    }
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for (volume, usage) in measured {
        match usage {
            Ok(usage) => rows.push(Row { volume, usage }),
            // Nobody asked for this one.
            Err(UsageError::Data(VolumeDataError::Elsewhere(_))) if is_of_all => {}
            Err(err) => failures.push(Failure {
                message: err.to_string(),
                ..Failure::default()
            }),
        }
    }
    if is_of_all {
        rows.sort_by_key(|row| Reverse(row.usage.allocated));
    }
    print(args.output, &rows, &failures)?;
    let is_whole = failures.is_empty() && rows.iter().all(|row| row.usage.unread == 0);
    Ok(if is_whole { Exit::Ready } else { Exit::Failed })
}

fn print(output: Output, rows: &[Row], failures: &[Failure]) -> anyhow::Result<()> {
    if output.is_for_programs() {
        let document = OutputDocument {
            changed: None,
            results: rows,
            failures,
        };
        return document.print(output);
    }
    let header = "VOLUME\tFILES\tFOLDERS\tSIZE\tON DISK";
    vault::print(output, rows, header, |row| {
        format!(
            "{}\t{}\t{}\t{}\t{}",
            row.volume,
            row.usage.files,
            row.usage.folders,
            vault::size(row.usage.bytes),
            vault::size(row.usage.allocated)
        )
    })?;
    for row in rows.iter().filter(|row| row.usage.unread > 0) {
        anstream::eprintln!(
            "warning: volume {}: {} folders could not be read",
            row.volume,
            row.usage.unread
        );
    }
    for failure in failures {
        anstream::eprintln!("error: {failure}");
    }
    Ok(())
}
