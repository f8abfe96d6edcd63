//! Flags of the commands by which hosts get and lose their access.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use dockfleet_crds::DEFAULT_FLEET_NAMESPACE;

use super::AGENT_STATE_DIR;
use crate::duration::duration;

/// The shortest lifetime of a token that the API server allows.
const LEAST_LIFE: Duration = Duration::from_mins(10);

/// How an administrator connects to the cluster.
#[derive(Args, Debug)]
pub(crate) struct AdminArgs {
    /// Name of the DockerHost.
    #[arg(value_name = "HOST")]
    pub(crate) host: String,
    /// Namespace of the DockerHost.
    #[arg(short, long, env = "DOCKFLEET_NAMESPACE", default_value = DEFAULT_FLEET_NAMESPACE)]
    pub(crate) namespace: String,
    /// Context of the kubeconfig. Default: the current context.
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct EnrollArgs {
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
    /// Write a join file for `dockfleet agent join --file` instead, which only you can read.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Address at which the host reaches the API server. Default: from the kubeconfig.
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// How long the command or file is valid. At least 10m.
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = life)]
    pub(crate) valid_for: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct RevokeArgs {
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// Subcommands of the agent.
#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Join a fleet: get a credential for this host, and start the agent with systemd. Use the
    /// command that `dockfleet enroll` prints. Can be repeated.
    Join(JoinArgs),
}

#[derive(Args, Debug)]
pub(crate) struct JoinArgs {
    /// A join file of `dockfleet enroll -o`, instead of the next five flags.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["server", "ca", "namespace", "host", "token_file"])]
    pub(crate) file: Option<PathBuf>,
    /// Address of the API server.
    #[arg(long, value_name = "URL", required_unless_present = "file")]
    pub(crate) server: Option<String>,
    /// The CA of the API server; no other CA is trusted. A PEM file, or PEM in base64.
    #[arg(long, value_name = "FILE|BASE64", required_unless_present = "file")]
    pub(crate) ca: Option<String>,
    /// Namespace of the DockerHost.
    #[arg(long, default_value = DEFAULT_FLEET_NAMESPACE)]
    pub(crate) namespace: String,
    /// Name of the DockerHost.
    #[arg(long, value_name = "NAME", required_unless_present = "file")]
    pub(crate) host: Option<String>,
    /// File with the token of `dockfleet enroll`, or - for standard input.
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) token_file: PathBuf,
    /// Folder of the agent's journal and credential.
    #[arg(long, env = "DOCKFLEET_STATE_DIR", value_name = "DIR", default_value = AGENT_STATE_DIR)]
    pub(crate) state_dir: PathBuf,
    #[command(flatten)]
    pub(crate) life: LifeArgs,
    /// Print a systemd unit or a compose file, and install nothing.
    #[arg(long, value_name = "FORM")]
    pub(crate) print: Option<Runner>,
}

/// The form of a service file for an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runner {
    /// A systemd unit.
    Systemd,
    /// A compose file.
    Compose,
}

/// How a token is requested.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct LifeArgs {
    /// Lifetime of a token of this host, from 10m to the limit of the admission policy (7d). The
    /// API server may limit it further.
    #[arg(long, env = "DOCKFLEET_TOKEN_LIFE", value_name = "DURATION", default_value = "7d", value_parser = life)]
    pub(crate) token_life: Duration,
}

fn life(text: &str) -> Result<Duration, String> {
    let life = duration(text)?;
    if life < LEAST_LIFE {
        return Err("the API server issues no token for less than 10m".to_owned());
    }
    Ok(life)
}

/// Reads a share that leaves time for retries.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "write a number such as 0.66")?;
    if (0.05..=0.9).contains(&share) {
        Ok(share)
    } else {
        Err("write a number from 0.05 to 0.9".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_long_enough_and_is_renewed_in_time() {
        assert!(life("9m").is_err());
        assert!(share("0.95").is_err() && share("x").is_err());
        assert_eq!(share("0.66"), Ok(0.66));
    }
}
