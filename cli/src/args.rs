//! The command line.

pub(crate) mod access;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::duration::{duration, seconds};

/// Networks and volumes of many Docker hosts, the way YAML says they should be.
#[derive(Debug, Parser)]
#[command(
    name = "dockfleet",
    version,
    about,
    disable_help_subcommand = true,
    after_help = "`dockfleet help COMMAND` and `dockfleet version` work as words, too."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// What is logged to standard error: off, error, warn, info, debug, trace, or a filter such as
    /// `warn,dockfleet_agent=debug`. Default: info for controller and agent, else error.
    #[arg(long, global = true, env = "DOCKFLEET_LOG", value_name = "FILTER", value_parser = crate::logging::filter)]
    pub(crate) log: Option<String>,
    /// How it is logged; json when standard error is not a terminal.
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
    /// Make hosts as files say, without Kubernetes.
    Apply(ApplyArgs),
    /// Show what apply would change, field by field. Exits with 2 when there is something.
    Diff(DiffArgs),
    /// Show how what was applied stands on the hosts now.
    Get(GetArgs),
    /// Let go of what files say, each by its deletionPolicy.
    Delete(DeleteArgs),
    /// Show what the journals of hosts hold, also while an agent runs.
    Journal(JournalArgs),
    /// Run the controller of a fleet in a Kubernetes cluster.
    Controller(ControllerArgs),
    /// Run the agent of one host, or make it join.
    Agent(AgentArgs),
    /// Let a host join: print the command to run on it, or write a file. Takes an administrator.
    Enroll(access::EnrollArgs),
    /// End a host's access at once. Takes an administrator.
    Revoke(access::RevokeArgs),
    /// Print the CRDs, to be piped to `kubectl apply --server-side -f -`.
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

/// Returns the command line. A variable that is set to nothing counts as one that is not set.
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

/// Files and where their state is kept.
#[derive(Args, Debug)]
pub(crate) struct FileArgs {
    /// File, folder or - for standard input; YAML with several documents, or JSON. Several, with
    /// commas in between or each with its own -f.
    #[arg(
        short = 'f',
        long = "filename",
        required_unless_present = "extra",
        value_name = "PATH"
    )]
    pub(crate) files: Vec<String>,
    /// Read folders with all folders below them.
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// What a shell made of `*.yaml`, or a file without -f: to be told of.
    #[arg(hide = true, value_name = "PATH")]
    pub(crate) extra: Vec<String>,
}

/// How long a command waits for another one.
#[derive(Args, Debug)]
pub(crate) struct LockArgs {
    /// How long to wait for another dockfleet that works on the same host; 0s for not at all.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub(crate) lock_timeout: Duration,
}

impl FileArgs {
    /// Returns what is to be read.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        dockfleet::manifest::named(&self.files)
    }
}

/// Where journals are kept.
#[derive(Args, Debug)]
pub(crate) struct StateArgs {
    /// Folder of the journals, one folder a host. Default: /var/lib/dockfleet/standalone for root,
    /// else dockfleet in the folder for state of your home (`$XDG_STATE_HOME`).
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
    /// Whether a program reads it.
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
    /// Show what would be done, and do nothing.
    #[arg(long, conflicts_with = "watch")]
    pub(crate) dry_run: bool,
    /// Let go of everything that was applied to the hosts before and is not in these files; asks
    /// first. Not with --watch: a file that is missing while it is being written is no wish.
    #[arg(long, conflicts_with = "watch")]
    pub(crate) prune: bool,
    /// Prune without asking.
    #[arg(short = 'y', long, requires = "prune")]
    pub(crate) yes: bool,
    /// Go on: repair drift, and follow changes of the files, until interrupted.
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
    /// Show what apply --prune would let go of, too.
    #[arg(long)]
    pub(crate) prune: bool,
}

#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// Files with the DockerHosts to ask; the local engine when left out.
    #[arg(
        short = 'f',
        long = "filename",
        value_name = "PATH",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(crate) files: Vec<String>,
    /// Read folders with all folders below them.
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// Format of the result.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// Names, as kubectl takes them: to be told of.
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
    /// Show what would be done, and do nothing.
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    /// Go on until no container uses what is to be removed.
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
    /// How long --wait goes on.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration, requires = "wait")]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) lock: LockArgs,
}

#[derive(Args, Debug)]
pub(crate) struct JournalArgs {
    /// A folder that journals are in: an agent's --state-dir, that of apply, or a host's folder below
    /// that. Default: that of the agent on this machine, else that of apply.
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
    /// Namespace of the DockerHosts, beside those labelled dockfleet.io/hosts=true.
    #[arg(long, env = "DOCKFLEET_FLEET_NAMESPACE", value_name = "NAMESPACE", default_value = dockfleet_crds::DEFAULT_FLEET_NAMESPACE)]
    pub(crate) fleet_namespace: String,
    /// How long a host is not heard of before it counts as offline; at least three heartbeats.
    #[arg(long, env = "DOCKFLEET_OFFLINE_AFTER", value_name = "DURATION", default_value = "150s", value_parser = seconds)]
    pub(crate) offline_after: Duration,
    /// How many in a hundred may be removed at once without anybody being asked: hosts that a
    /// resource no longer selects, resources of a namespace that are deleted. 100 never asks.
    #[arg(long, env = "DOCKFLEET_BRAKE_SHARE", value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) brake_share: u8,
    /// How many resources of a namespace may always be deleted at once.
    #[arg(
        long,
        env = "DOCKFLEET_BRAKE_RESOURCES",
        value_name = "NUMBER",
        default_value_t = 10
    )]
    pub(crate) brake_resources: usize,
    /// How long more resources than that wait for an answer when their namespace is deleted.
    #[arg(long, env = "DOCKFLEET_BRAKE_NAMESPACE_HOLD", value_name = "DURATION", default_value = "1h", value_parser = duration)]
    pub(crate) brake_namespace_hold: Duration,
    /// What the agents are started with.
    #[arg(long, env = "DOCKFLEET_HEARTBEAT_INTERVAL", value_name = "DURATION", default_value = "30s", value_parser = seconds)]
    pub(crate) heartbeat_interval: Duration,
    #[command(flatten)]
    pub(crate) election: ElectionArgs,
    /// Where /healthz, /readyz and /metrics are served by HTTP; off for nowhere.
    #[arg(
        long,
        env = "DOCKFLEET_METRICS_ADDRESS",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8080"
    )]
    pub(crate) metrics_address: MetricsAddress,
}

/// Who leads, where several controllers run.
#[derive(Args, Debug)]
pub(crate) struct ElectionArgs {
    /// Write only while holding the Lease `dockfleet-controller`; false for the only controller.
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
    /// How long the others wait since the Lease last changed; whole seconds.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = duration)]
    pub(crate) lease_duration: Duration,
    /// How long the holder goes on without renewing the Lease.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub(crate) renew_deadline: Duration,
    /// How often the Lease is renewed, and looked at by the others.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub(crate) retry_period: Duration,
}

/// Where probes and metrics are served.
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
    /// Name of the DockerHost that this agent serves; that of its credential once it has joined.
    #[arg(long, env = "DOCKFLEET_HOST", value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// Namespace of the DockerHost; that of its credential once it has joined, else dockfleet-hosts.
    #[arg(long, env = "DOCKFLEET_NAMESPACE")]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) life: access::LifeArgs,
    /// At which part of its life a token is renewed, from 0.05 to 0.9.
    #[arg(long, env = "DOCKFLEET_TOKEN_RENEW_AT", value_name = "SHARE", default_value = "0.66", value_parser = access::share)]
    pub(crate) token_renew_at: f64,
    /// Folder of the journal, and of the credential of a host that has joined.
    #[arg(long, env = "DOCKFLEET_STATE_DIR", value_name = "DIR", default_value = AGENT_STATE_DIR)]
    pub(crate) state_dir: PathBuf,
    /// How often the host's Lease is renewed; at most a third of the controller's --offline-after.
    #[arg(long, env = "DOCKFLEET_HEARTBEAT_INTERVAL", value_name = "DURATION", default_value = "30s", value_parser = seconds)]
    pub(crate) heartbeat_interval: Duration,
    /// Where /healthz, /readyz and /metrics are served by HTTP; off for nowhere.
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
    /// Write one file for each into this folder instead.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

pub(crate) const AGENT_STATE_DIR: &str = "/var/lib/dockfleet/agent";
/// The variable that names the folder of journals.
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
