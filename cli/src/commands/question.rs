//! Questions to a person at a terminal.

use std::io::{IsTerminal, Write};

/// What a person says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Go on.
    Yes,
    /// Do nothing.
    No,
    /// There is no terminal, so nobody can answer.
    Nobody,
}

/// Asks whether to go on.
pub(super) fn go_on() -> anyhow::Result<Answer> {
    if !std::io::stdin().is_terminal() {
        return Ok(Answer::Nobody);
    }
    anstream::eprint!("go on? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if is_yes(&answer) {
        Ok(Answer::Yes)
    } else {
        anstream::eprintln!("nothing was done");
        Ok(Answer::No)
    }
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
