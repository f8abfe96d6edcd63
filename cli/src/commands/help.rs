//! `dockfleet help`

use crate::{args, exit::Exit};

/// Prints what `--help` behind these words does.
pub(crate) fn run(words: &[String]) -> Exit {
    let before = std::iter::once("dockfleet");
    let words = before.chain(words.iter().map(String::as_str));
    match args::command().try_get_matches_from(words.chain(["--help"])) {
        Err(err) => crate::told(&err),
        // Nothing asks for help and gets none.
        Ok(_) => Exit::Ready,
    }
}
