//! Structured logs on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;

/// Starts logging for the whole process.
///
/// # Errors
/// Where `filter` cannot be read.
pub(crate) fn init(
    filter: &str,
    format: Option<LogFormat>,
) -> Result<(), tracing_subscriber::filter::ParseError> {
    let terminal = std::io::stderr().is_terminal();
    let default = if terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(filter)?)
        .with_writer(std::io::stderr)
        .with_ansi(terminal);
    match format.unwrap_or(default) {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
