//! The arguments of the commands for backups.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use dockfleet_agent::interruption;
use dockfleet_planner::retention::Retention;
use dockfleet_vault::{Address, LATEST};

use super::store::{AddressParser, StoreArgs};
use super::{Output, StateArgs};
use crate::duration::{duration, seconds};

/// What opens a repository.
#[derive(Args, Debug)]
pub(crate) struct PasswordArgs {
    /// File with the password of the repository in its first line.
    #[arg(long, env = "DOCKFLEET_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) password_file: PathBuf,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Args, Debug)]
pub(crate) struct BackupArgs {
    /// Name of the volume.
    #[arg(value_name = "VOLUME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) volume: String,
    /// The repository: the folder of a disk, s3:https://HOST/BUCKET, rest:https://HOST/PATH or
    /// sftp:USER@HOST:/PATH. restic can read it too.
    #[arg(long, value_name = "REPOSITORY", value_parser = AddressParser)]
    pub(crate) to: Address,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
    /// Create the repository, if the folder or bucket is empty.
    #[arg(long)]
    pub(crate) create: bool,
    /// Name of the host in the snapshot. Default: what the engine calls its host. With another name,
    /// all files are read again.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) host: Option<String>,
    /// What is checked before the backup counts.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) verify: Verify,
    /// What happens to running containers that use the volume, while it is read.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) consistency: Consistency,
    /// For how long containers may be paused or stopped. After that they run again, and the backup
    /// has failed.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = seconds)]
    pub(crate) max_downtime: Duration,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// Format of the result.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// Which snapshots of the same volume and host stay after a backup. Without any of these, all stay. The last complete one
/// always stays.
#[derive(Args, Debug)]
pub(crate) struct KeepArgs {
    /// Keep the last N snapshots. With any of these flags, all others are removed.
    #[arg(long = "keep-last", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    last: Option<u32>,
    /// Keep the last snapshot of each of N hours that have one.
    #[arg(long = "keep-hourly", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    hourly: Option<u32>,
    /// Keep the last snapshot of each of N days that have one.
    #[arg(long = "keep-daily", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    daily: Option<u32>,
    /// Keep the last snapshot of each of N weeks that have one.
    #[arg(long = "keep-weekly", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    weekly: Option<u32>,
    /// Keep the last snapshot of each of N months that have one.
    #[arg(long = "keep-monthly", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    monthly: Option<u32>,
    /// Keep the last snapshot of each of N years that have one.
    #[arg(long = "keep-yearly", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    yearly: Option<u32>,
    /// Keep all snapshots that are at most this much older than the newest, such as 36h.
    #[arg(long = "keep-within", value_name = "DURATION", value_parser = duration)]
    within: Option<Duration>,
}

impl KeepArgs {
    /// Returns the rules.
    pub(crate) fn retention(&self) -> Retention {
        Retention {
            last: self.last,
            hourly: self.hourly,
            daily: self.daily,
            weekly: self.weekly,
            monthly: self.monthly,
            yearly: self.yearly,
            within: self.within.and_then(|d| d.try_into().ok()),
        }
    }
}

/// What happens to running containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Consistency {
    /// They go on running.
    #[default]
    None,
    /// They are paused.
    Pause,
    /// They are stopped, and started again.
    Stop,
}

impl From<Consistency> for interruption::Consistency {
    fn from(consistency: Consistency) -> Self {
        match consistency {
            Consistency::None => Self::None,
            Consistency::Pause => Self::Pause,
            Consistency::Stop => Self::Stop,
        }
    }
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
    /// The repository: the folder of a disk, s3:https://HOST/BUCKET, rest:https://HOST/PATH or
    /// sftp:USER@HOST:/PATH.
    #[arg(long, value_name = "REPOSITORY", value_parser = AddressParser)]
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
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// Format of the result.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct SnapshotsArgs {
    /// Only snapshots of this volume.
    #[arg(value_name = "VOLUME")]
    pub(crate) volume: Option<String>,
    /// The repository: the folder of a disk, s3:https://HOST/BUCKET, rest:https://HOST/PATH or
    /// sftp:USER@HOST:/PATH.
    #[arg(long, value_name = "REPOSITORY", value_parser = AddressParser)]
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

#[derive(Args, Debug)]
pub(crate) struct RepositoryArgs {
    #[command(subcommand)]
    pub(crate) command: RepositoryCommand,
}

/// What is done with a whole repository.
#[derive(Debug, Subcommand)]
pub(crate) enum RepositoryCommand {
    /// Check that everything in a repository is there, and read it if asked to.
    Check(CheckArgs),
    /// Remove data that no snapshot uses. It is marked first, and removed by a run at least a day later.
    Prune(RepositoryPruneArgs),
    /// Print the password of one host's own repository, to read it with restic. A BackupRepository has
    /// one for each host, unless its hosts share one.
    Password(RepositoryPasswordArgs),
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The repository: the folder of a disk, s3:https://HOST/BUCKET, rest:https://HOST/PATH or
    /// sftp:USER@HOST:/PATH.
    #[arg(value_name = "REPOSITORY", value_parser = AddressParser)]
    pub(crate) repository: Address,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
    /// Share of the data that is read and compared, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) read_data: u8,
    /// Format of the result.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct RepositoryPasswordArgs {
    /// The host, as NAMESPACE/NAME.
    #[arg(value_name = "NAMESPACE/NAME", value_parser = host_name)]
    pub(crate) host: (String, String),
    /// File with the password of the BackupRepository in its first line.
    #[arg(long, env = "DOCKFLEET_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) password_file: PathBuf,
}

/// Reads the name of a host with its namespace.
fn host_name(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err("write NAMESPACE/NAME, such as dockfleet-hosts/shop-1".to_owned()),
    }
}

#[derive(Args, Debug)]
pub(crate) struct RepositoryPruneArgs {
    /// The repository: the folder of a disk, s3:https://HOST/BUCKET, rest:https://HOST/PATH or
    /// sftp:USER@HOST:/PATH.
    #[arg(value_name = "REPOSITORY", value_parser = AddressParser)]
    pub(crate) repository: Address,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
    /// Format of the result.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// The arguments of the process that lets containers run again.
#[derive(Args, Debug)]
pub(crate) struct GuardArgs {
    pub(crate) folder: PathBuf,
    pub(crate) volume: String,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}
