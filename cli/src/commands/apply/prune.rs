//! The question of `--prune`.

use std::io::{IsTerminal, Write};

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
        if !std::io::stdin().is_terminal() {
            let problem = "--prune asks before it removes; add --yes if there is no terminal";
            return Ok(Err(Some(problem.to_owned())));
        }
        anstream::eprint!("go on? [y/N] ");
        std::io::stderr().flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        if !is_yes(&answer) {
            anstream::eprintln!("nothing was done");
            return Ok(Err(None));
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

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn a_yes_is_a_yes_in_every_case() {
        for yes in ["y", "Y", "yes", "Yes", "YES\n", " yes \r\n"] {
            assert!(is_yes(yes), "{yes:?}");
        }
        for no in ["", "\n", "n", "no", "yep", "yes please", "ja", "y y"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }
}
