//! The `dockfleet` command: the parts that its subcommands share.

pub mod manifest;
