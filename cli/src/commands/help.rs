//! `dockfleet help`

use crate::args;
use crate::exit::Exit;

/// Prints the help of a command, or of all of them.
pub(crate) fn run(words: &[String]) -> Exit {
    let mut command = args::command();
    command.build();
    let mut found = &mut command;
    for word in words {
        let name = found.get_bin_name().unwrap_or("dockfleet").to_owned();
        let Some(inner) = found.find_subcommand_mut(word) else {
            anstream::eprintln!("error: {name} has no command {word:?}; see {name} --help");
            return Exit::BadInput;
        };
        found = inner;
    }
    anstream::print!("{}", found.render_long_help().ansi());
    Exit::Ready
}
