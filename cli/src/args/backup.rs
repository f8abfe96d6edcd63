//! The arguments of the commands for backups.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use dockfleet_vault::{Address, LATEST};

use super::Output;

/// The password of a repository.
#[derive(Args, Debug)]
pub(crate) struct PasswordArgs {
    /// File with the password of the repository in its first line.
    #[arg(long, env = "DOCKFLEET_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) password_file: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct BackupArgs {
    /// Name of the volume.
    #[arg(value_name = "VOLUME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) volume: String,
    /// The repository: the folder of a disk. restic can read it too.
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) to: Address,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
    /// Create the repository, if the folder is empty.
    #[arg(long)]
    pub(crate) create: bool,
    /// Name of the host in the snapshot. Default: what the engine calls its host. With another name,
    /// all files are read again.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) host: Option<String>,
    /// What is checked before the backup counts.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) verify: Verify,
    /// Format of the result.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// How a backup is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verify {
    /// Nothing.
    None,
    /// All files of the repository exist in their size.
    #[default]
    Metadata,
    /// All that was written is read back, too.
    ReadData,
}

impl From<Verify> for dockfleet_vault::Verify {
    fn from(verify: Verify) -> Self {
        match verify {
            Verify::None => Self::None,
            Verify::Metadata => Self::Metadata,
            Verify::ReadData => Self::ReadData,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    /// Name of the volume that was backed up.
    #[arg(value_name = "VOLUME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) volume: String,
    /// The repository: the folder of a disk.
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) from: Address,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
    /// The snapshot: latest, or the first digits of its ID. See `dockfleet snapshots`.
    #[arg(long, value_name = "SNAPSHOT", default_value = LATEST)]
    pub(crate) snapshot: String,
    /// Only snapshots of this host.
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// The volume to write into. It must be empty, and is created if it does not exist. Default:
    /// the volume that was backed up.
    #[arg(long, value_name = "VOLUME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) to_volume: Option<String>,
    /// Format of the result.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct SnapshotsArgs {
    /// Only snapshots of this volume.
    #[arg(value_name = "VOLUME")]
    pub(crate) volume: Option<String>,
    /// The repository: the folder of a disk.
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) from: Address,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
    /// Only snapshots of this host.
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// Format of the result.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}
