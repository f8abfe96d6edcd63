//! The question of `--prune`.

use crate::commands::question::{self, Answer};
use crate::standalone::{self, Files, Prunable};

/// Asks before objects are removed or released. Returns what the user agreed to, or why there is no
/// agreement. Without a terminal nobody can answer.
pub(super) async fn agreed(files: &Files) -> anyhow::Result<Result<Vec<Prunable>, Option<String>>> {
    let mut shown = standalone::prunable(files).await;
    while shown.iter().any(|what| what.line.is_some()) {
        anstream::eprintln!("no longer in the files, to be removed or released (deletionPolicy):");
        for line in shown.iter().filter_map(|what| what.line.as_ref()) {
            anstream::eprintln!("  {line}");
        }
        match question::go_on()? {
            Answer::Yes => {}
            Answer::No => return Ok(Err(None)),
            Answer::Nobody => {
                let problem = "--prune asks before it removes; add --yes if there is no terminal";
                return Ok(Err(Some(problem.to_owned())));
            }
        }
        // Somebody may have applied other files before the answer.
        let now = standalone::prunable(files).await;
        if now == shown {
            break;
        }
        anstream::eprintln!("the list has changed.");
        shown = now;
    }
    Ok(Ok(shown))
}
