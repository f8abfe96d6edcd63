//! `dockfleet help`

use crate::{args, exit::Exit};

/// Prints the same as these words with `--help`.
pub(crate) fn run(words: &[String]) -> Exit {
    let before = std::iter::once("dockfleet");
    let words = before.chain(words.iter().map(String::as_str));
    match args::command().try_get_matches_from(words.chain(["--help"])) {
        Err(err) => crate::print_answer(&err),
        // All words with `--help` print a help text.
        Ok(_) => Exit::Ready,
    }
}
