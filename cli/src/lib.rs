//! The `dockfleet` command: what its subcommands share.

pub mod manifest;
