//! The arguments of `dockfleet usage`.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::Output;

#[derive(Args, Debug)]
pub(crate) struct UsageArgs {
    /// Names of the volumes. Default: all whose data is in a folder of the engine, the largest first.
    #[arg(value_name = "VOLUME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) volumes: Vec<String>,
    /// Format of the result. Json and yaml have bytes, all others rounded sizes.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}
