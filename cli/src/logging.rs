//! Structured logs on standard error.

mod json;

use std::io::IsTerminal;

use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::prelude::*;

use crate::args::LogFormat;

/// The default filter of a service. The info logs of kube and its HTTP client are not useful for
/// operators.
pub(crate) const SERVICE_FILTER: &str =
    "warn,dockfleet_agent=info,dockfleet_controller=info,dockfleet_vitals=info";
/// The default filter of all other commands, which print their results and errors themselves.
pub(crate) const COMMAND_FILTER: &str = "error";

/// The client library logs whole requests and responses, with the options of volumes, which may
/// have passwords (invariant 9). No filter enables these logs.
const NEVER_IN_FULL: [&str; 3] = ["bollard", "bollard::docker", "bollard::read"];

/// The levels of a filter, from least to most.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Reads a filter: a level, parts of the program with a level, or several of these with commas. The
/// library would treat an unknown word as a part of the program, and an empty string as a level.
pub(crate) fn filter(text: &str) -> Result<String, String> {
    let is_level = |word: &str| LEVELS.contains(&word.to_lowercase().as_str());
    let is_part = |word: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
        !word.is_empty() && word.chars().all(fits)
    };
    let is_right = |item: &str| match item.split_once('=') {
        None => is_level(item),
        Some((part, level)) => is_part(part) && is_level(level),
    };
    let wrong = text.split(',').map(str::trim).find(|item| !is_right(item));
    match wrong {
        None => Ok(text.replace(' ', "")),
        Some(wrong) => Err(format!(
            "{wrong:?} is no filter; write one of {}, or a part of the program with one of these, such \
             as dockfleet_agent=debug, several with commas",
            LEVELS.join(", ")
        )),
    }
}

/// Starts logging for the whole process.
///
/// # Errors
/// If `filter` cannot be read.
pub(crate) fn init(filter: &str, format: Option<LogFormat>) -> Result<(), ParseError> {
    let terminal = std::io::stderr().is_terminal();
    let default = if terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    };
    let never = NEVER_IN_FULL.map(|part| (part, LevelFilter::INFO));
    let filter = filter.parse::<Targets>()?.with_targets(never);
    let builder = tracing_subscriber::fmt()
        // The filter decides.
        .with_max_level(LevelFilter::TRACE)
        .with_writer(std::io::stderr)
        .with_ansi(terminal);
    match format.unwrap_or(default) {
        LogFormat::Text => builder.with_target(false).finish().with(filter).init(),
        LogFormat::Json => builder
            .fmt_fields(JsonFields::new())
            .event_format(json::Flat)
            .finish()
            .with(filter)
            .init(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn a_filter_has_levels_and_parts_with_levels() {
        for good in [
            "error",
            "WARN",
            "off",
            "dockfleet_agent=debug",
            "warn,dockfleet_agent::pass=trace",
            "info, hyper=Warn",
        ] {
            assert_eq!(filter(good), Ok(good.replace(' ', "")));
        }
        for bad in [
            "nonsense",
            "nonsense=",
            "=debug",
            "=",
            "",
            ",",
            "warn,",
            "debug=",
            "a=b",
            "a=debug=info",
            "agent[span]=debug",
            "5",
            "verbose",
            "warn;info",
        ] {
            let error = filter(bad).unwrap_err();
            assert!(error.contains("dockfleet_agent=debug"), "{bad}: {error}");
        }
    }
}
