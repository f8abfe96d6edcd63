//! Structured logs on standard error.

mod json;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::JsonFields;

use crate::args::LogFormat;

/// The client library logs whole requests and answers, and with them what is in the options of a
/// volume: passwords too (invariant 9). No filter lets that through.
const NEVER_IN_FULL: [&str; 3] = ["bollard=info", "bollard::docker=info", "bollard::read=info"];

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
    let mut filter = EnvFilter::try_new(filter)?;
    for directive in NEVER_IN_FULL {
        filter = filter.add_directive(directive.parse()?);
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal);
    match format.unwrap_or(default) {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder
            .fmt_fields(JsonFields::new())
            .event_format(json::Flat)
            .init(),
    }
    Ok(())
}
