//! The command line.

pub(crate) mod access;
pub(crate) mod backup;
pub(crate) mod store;
pub(crate) mod usage;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::duration::{duration, seconds};

/// Manages networks and volumes of many Docker hosts from YAML files.
#[derive(Debug, Parser)]
#[command(
    name = "dockfleet",
    version,
    about,
    disable_help_subcommand = true,
    after_help = "`dockfleet help COMMAND` and `dockfleet version` work too."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Log level for standard error: off, error, warn, info, debug, trace, or a filter such as
    /// `warn,dockfleet_agent=debug`. Default of controller and agent:
    /// `warn,dockfleet_agent=info,dockfleet_controller=info,dockfleet_vitals=info`, which is info for
    /// Dockfleet and warn for libraries. Default of all other commands, also of agent join: `error`.
    #[arg(long, global = true, env = "DOCKFLEET_LOG", value_name = "FILTER", value_parser = crate::logging::filter)]
    pub(crate) log: Option<String>,
    /// Format of the log. Default: text on a terminal, otherwise json.
    #[arg(
        long,
        global = true,
        env = "DOCKFLEET_LOG_FORMAT",
        value_name = "FORMAT"
    )]
    pub(crate) log_format: Option<LogFormat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Apply files to hosts, without Kubernetes.
    Apply(ApplyArgs),
    /// Show what apply would change, field by field. Exits with 2 if there are changes.
    Diff(DiffArgs),
    /// Show the current state of everything that was applied to the hosts.
    Get(GetArgs),
    /// Remove or release the objects of the resources in files, by their deletionPolicy.
    Delete(DeleteArgs),
    /// Back up a volume of this host into a repository.
    Backup(backup::BackupArgs),
    /// Write a backup into an empty volume of this host.
    Restore(backup::RestoreArgs),
    /// List the backups in a repository.
    Snapshots(backup::SnapshotsArgs),
    /// Check a repository of backups, or remove data that is not used any more.
    Repository(backup::RepositoryArgs),
    /// The process of a backup, which dockfleet starts by itself.
    #[command(hide = true)]
    BackupJob,
    /// Lets containers run again if the backup that paused or stopped them is killed.
    #[command(hide = true)]
    BackupGuard(backup::GuardArgs),
    /// Measure how much is in the volumes of this host.
    Usage(usage::UsageArgs),
    /// List and remove unused volumes and networks that no resource manages.
    Prune(PruneArgs),
    /// Show the records in the journals of hosts. Works while an agent runs.
    Journal(JournalArgs),
    /// Run the controller of a fleet in a Kubernetes cluster.
    Controller(ControllerArgs),
    /// Run the agent of one host, or join a fleet.
    Agent(AgentArgs),
    /// Let a host join: print the command to run on it, or write a file. For administrators.
    Enroll(access::EnrollArgs),
    /// End a host's access at once. For administrators.
    Revoke(access::RevokeArgs),
    /// Print the CRDs, for `kubectl apply --server-side -f -`.
    Crds(CrdsArgs),
    /// Print the help of a command.
    #[command(hide = true)]
    Help {
        /// The command.
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Print the version.
    #[command(hide = true)]
    Version,
}

/// Returns the command line. An empty variable counts as not set.
pub(crate) fn command() -> clap::Command {
    without_empty_variables(Cli::command())
}

fn without_empty_variables(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|arg| {
        let is_empty = |name| std::env::var_os(name).is_some_and(|value| value.is_empty());
        if arg.get_env().is_some_and(is_empty) {
            arg.env(None::<&'static str>)
        } else {
            arg
        }
    });
    let names: Vec<String> = command
        .get_subcommands()
        .map(|inner| inner.get_name().to_owned())
        .collect();
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, without_empty_variables)
    })
}

/// Files, and the folder of their state.
#[derive(Args, Debug)]
pub(crate) struct FileArgs {
    /// File, folder, or - for standard input. YAML with several documents, or JSON. For several
    /// paths, use commas, or -f for each.
    #[arg(
        short = 'f',
        long = "filename",
        required_unless_present = "extra",
        value_name = "PATH"
    )]
    pub(crate) files: Vec<String>,
    /// Read folders with all their subfolders.
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// The rest of an expanded `*.yaml`, or a file without -f: an error.
    #[arg(hide = true, value_name = "PATH")]
    pub(crate) extra: Vec<String>,
}

/// How long a command waits for another command.
#[derive(Args, Debug)]
pub(crate) struct LockArgs {
    /// How long to wait for another dockfleet that works on the same host. 0s means no wait.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub(crate) lock_timeout: Duration,
}

impl FileArgs {
    /// Returns the paths to read.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        dockfleet::manifest::named(&self.files)
    }
}

/// The folder of journals.
#[derive(Args, Debug, Default)]
pub(crate) struct StateArgs {
    /// Folder of the journals, with a folder for each host. Default: /var/lib/dockfleet/standalone
    /// for root, otherwise dockfleet in the state folder of your home (`$XDG_STATE_HOME`).
    #[arg(long, env = STATE_DIR, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    #[default]
    Table,
    Wide,
    Json,
    Yaml,
}

impl Output {
    /// Whether the format is for programs.
    pub(crate) fn is_for_programs(self) -> bool {
        match self {
            Self::Json | Self::Yaml => true,
            Self::Table | Self::Wide => false,
        }
    }
}

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    pub(crate) files: FileArgs,
    /// Format of the result.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// Show what would be done, and change nothing.
    #[arg(long, conflicts_with = "watch")]
    pub(crate) dry_run: bool,
    /// Also remove or release everything that was applied to the hosts before and is not in these
    /// files. Asks first. Not with --watch, because a file may be missing while it is being
    /// written.
    #[arg(long, conflicts_with = "watch")]
    pub(crate) prune: bool,
    /// Prune without asking.
    #[arg(short = 'y', long, requires = "prune")]
    pub(crate) yes: bool,
    /// Keep running until interrupted: repair drift, and apply changes of the files.
    #[arg(short, long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) lock: LockArgs,
}

#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    pub(crate) files: FileArgs,
    /// Format of the result.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// Also show what apply --prune would remove or release.
    #[arg(long)]
    pub(crate) prune: bool,
}

#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// Files with the DockerHosts. Default: the local engine.
    #[arg(
        short = 'f',
        long = "filename",
        value_name = "PATH",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(crate) files: Vec<String>,
    /// Read folders with all their subfolders.
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// Format of the result.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// Names, as in kubectl: an error.
    #[arg(hide = true, value_name = "NAME")]
    pub(crate) extra: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    pub(crate) files: FileArgs,
    /// Format of the result.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// Show what would be done, and change nothing.
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    /// Wait until no container uses the objects, and they are removed.
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub(crate) wait: bool,
    /// How long --wait waits.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration, requires = "wait")]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) lock: LockArgs,
}

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct PruneArgs {
    /// Files with the DockerHosts. Default: the local engine.
    #[arg(
        short = 'f',
        long = "filename",
        value_name = "PATH",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(crate) files: Vec<String>,
    /// Read folders with all their subfolders.
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// What to remove. Default: both.
    #[arg(long, value_enum, value_name = "KIND")]
    pub(crate) kind: Option<PruneKind>,
    /// Docker labels that an object must have or not have: KEY=VALUE, KEY!=VALUE, KEY or !KEY. For
    /// several, use commas.
    #[arg(short = 'l', long, value_name = "LABELS", value_parser = crate::label_selector::parse)]
    pub(crate) selector: Option<LabelSelector>,
    /// How long an agent, or apply --watch, must have observed that nothing uses an object. 0s means
    /// now.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub(crate) min_unused_for: Duration,
    /// Number of volumes and of networks that are removed on a host at most. Default: all.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max_per_run: Option<usize>,
    /// Only volumes that a container created without a name.
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub(crate) only_anonymous: bool,
    /// Also volumes with data, or of which it is not known whether they have any.
    #[arg(long)]
    pub(crate) include_non_empty: bool,
    /// Show what would be removed, and remove nothing.
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Remove without asking.
    #[arg(short = 'y', long)]
    pub(crate) yes: bool,
    /// With --yes: number of volumes or networks that may be removed on a host, although they are more
    /// than 10 and more than half of them.
    #[arg(long, value_name = "NUMBER", requires = "yes")]
    pub(crate) allow_removal: Option<usize>,
    /// Format of the result. Wide, json and yaml also have what is kept, and why.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) lock: LockArgs,
}

/// What `dockfleet prune` removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PruneKind {
    /// Volumes.
    Volume,
    /// Networks.
    Network,
}

#[derive(Args, Debug)]
pub(crate) struct JournalArgs {
    /// A folder with journals: the --state-dir of an agent or of apply, or the folder of a host in
    /// it. Default: the folder of the agent on this machine, otherwise that of apply.
    #[arg(value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// Format of the result.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct ControllerArgs {
    /// First namespace of DockerHosts. Further ones have the label dockfleet.io/hosts=true.
    #[arg(long, env = "DOCKFLEET_FLEET_NAMESPACE", value_name = "NAMESPACE", default_value = dockfleet_crds::DEFAULT_FLEET_NAMESPACE)]
    pub(crate) fleet_namespace: String,
    /// How long a host may send no heartbeat before it is offline. At least three heartbeat
    /// intervals.
    #[arg(long, env = "DOCKFLEET_OFFLINE_AFTER", value_name = "DURATION", default_value = "150s", value_parser = seconds)]
    pub(crate) offline_after: Duration,
    /// Percentage that may be removed at once without permission: of the hosts of a resource, and
    /// of the resources of a namespace. 100 turns the brake off.
    #[arg(long, env = "DOCKFLEET_BRAKE_SHARE", value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) brake_share: u8,
    /// Number of resources of a namespace that may always be deleted at once.
    #[arg(
        long,
        env = "DOCKFLEET_BRAKE_RESOURCES",
        value_name = "NUMBER",
        default_value_t = 10
    )]
    pub(crate) brake_resources: usize,
    /// How long the deletion of a namespace with more resources waits for permission.
    #[arg(long, env = "DOCKFLEET_BRAKE_NAMESPACE_HOLD", value_name = "DURATION", default_value = "1h", value_parser = duration)]
    pub(crate) brake_namespace_hold: Duration,
    /// Heartbeat interval of the agents. Use the same value as for the agents.
    #[arg(long, env = "DOCKFLEET_HEARTBEAT_INTERVAL", value_name = "DURATION", default_value = "30s", value_parser = seconds)]
    pub(crate) heartbeat_interval: Duration,
    #[command(flatten)]
    pub(crate) election: ElectionArgs,
    /// HTTP address of /healthz, /readyz and /metrics, or off.
    #[arg(
        long,
        env = "DOCKFLEET_METRICS_ADDRESS",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8080"
    )]
    pub(crate) metrics_address: MetricsAddress,
}

/// Leader election of several controllers.
#[derive(Args, Debug)]
pub(crate) struct ElectionArgs {
    /// Write only while this controller holds the Lease `dockfleet-controller`. Set false only for
    /// a single controller.
    #[arg(
        long,
        env = "DOCKFLEET_LEADER_ELECT",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub(crate) leader_elect: bool,
    /// Namespace of the Lease.
    #[arg(
        long,
        env = "POD_NAMESPACE",
        value_name = "NAMESPACE",
        default_value = "dockfleet-system"
    )]
    pub(crate) leader_election_namespace: String,
    /// How long a standby waits after the last change of the Lease before it leads. Whole seconds.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = duration)]
    pub(crate) lease_duration: Duration,
    /// How long the leader continues without renewing the Lease.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub(crate) renew_deadline: Duration,
    /// How often the leader renews the Lease, and standbys check it.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub(crate) retry_period: Duration,
}

/// The address of probes and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetricsAddress {
    Off,
    At(SocketAddr),
}

impl FromStr for MetricsAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse()
            .map(Self::At)
            .map_err(|_| "write an address and a port, such as 127.0.0.1:8080, or off".to_owned())
    }
}

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct AgentArgs {
    #[command(subcommand)]
    pub(crate) command: Option<access::AgentCommand>,
    /// Name of the DockerHost of this agent. Default: from its credential.
    #[arg(long, env = "DOCKFLEET_HOST", value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// Namespace of the DockerHost. Default: from its credential, otherwise dockfleet-hosts.
    #[arg(long, env = "DOCKFLEET_NAMESPACE")]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) life: access::LifeArgs,
    /// Share of its lifetime after which a token is renewed, from 0.05 to 0.9.
    #[arg(long, env = "DOCKFLEET_TOKEN_RENEW_AT", value_name = "SHARE", default_value = "0.66", value_parser = access::share)]
    pub(crate) token_renew_at: f64,
    /// Folder of the journal, and of the credential if the host has joined.
    #[arg(long, env = "DOCKFLEET_STATE_DIR", value_name = "DIR", default_value = AGENT_STATE_DIR)]
    pub(crate) state_dir: PathBuf,
    /// How often the agent renews the host's Lease. At most a third of the controller's
    /// --offline-after.
    #[arg(long, env = "DOCKFLEET_HEARTBEAT_INTERVAL", value_name = "DURATION", default_value = "30s", value_parser = seconds)]
    pub(crate) heartbeat_interval: Duration,
    /// HTTP address of /healthz, /readyz and /metrics, or off.
    #[arg(
        long,
        env = "DOCKFLEET_METRICS_ADDRESS",
        value_name = "ADDRESS",
        default_value = "off"
    )]
    pub(crate) metrics_address: MetricsAddress,
}

#[derive(Args, Debug)]
pub(crate) struct CrdsArgs {
    /// Write one file for each CRD into this folder instead.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

pub(crate) const AGENT_STATE_DIR: &str = "/var/lib/dockfleet/agent";
/// The variable for the folder of journals.
pub(crate) const STATE_DIR: &str = "DOCKFLEET_STATE_DIR";

#[cfg(test)]
mod tests {
    use super::MetricsAddress;

    #[test]
    fn metrics_are_served_at_an_address_or_not_at_all() {
        assert_eq!("off".parse(), Ok(MetricsAddress::Off));
        let at = MetricsAddress::At(([0, 0, 0, 0], 8080).into());
        assert_eq!("0.0.0.0:8080".parse(), Ok(at));
        assert!(
            "8080"
                .parse::<MetricsAddress>()
                .unwrap_err()
                .contains("off")
        );
    }

    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
