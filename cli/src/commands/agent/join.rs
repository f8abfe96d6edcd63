//! `dockfleet agent join`: makes this machine a host of a fleet.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dockfleet_agent::enrolment::{Enrolment, Store, Token, join};

use super::runner::{self, AgentSetup};
use crate::args::access::{JoinArgs, Runner};
use crate::exit::Exit;

/// Longer than any token.
const MAX_TOKEN: u64 = 64 * 1024;

/// Gets the host's credential, and starts the agent.
pub(crate) async fn run(args: JoinArgs) -> anyhow::Result<Exit> {
    let (enrolment, first) = enrolment(&args)?;
    enrolment.check()?;
    let store = Store::new(&args.state_dir);
    let own = join(&store, &enrolment, &first, args.life.token_life).await?;
    let until = own.claims().and_then(|c| jiff(c.expires_at));
    anstream::eprintln!(
        "{} has joined {}; its credential is in {}{}",
        enrolment.host,
        enrolment.server,
        args.state_dir.display(),
        until.map_or_else(String::new, |t| format!(
            ", and expires at {t} unless it is renewed"
        )),
    );
    let program = std::env::current_exe().context("cannot find the path of this program")?;
    let wanted = AgentSetup {
        program: &program,
        state_dir: &std::path::absolute(&args.state_dir)?,
        life: args.life.token_life,
    };
    match args.print {
        Some(Runner::Systemd) => anstream::print!("{}", runner::systemd(&wanted)),
        Some(Runner::Compose) => anstream::print!("{}", runner::compose(&wanted)),
        None if Path::new(runner::SYSTEMD_RUNS).is_dir() => install(&wanted)?,
        None => anstream::eprintln!(
            "There is no systemd here. Have this run by what starts services on this machine:\n\n  \
             {} agent --state-dir {}\n\nor print a compose file, with the same command and --print \
             compose",
            program.display(),
            wanted.state_dir.display()
        ),
    }
    Ok(Exit::Ready)
}

fn jiff(seconds: i64) -> Option<k8s_openapi::jiff::Timestamp> {
    k8s_openapi::jiff::Timestamp::from_second(seconds).ok()
}

fn enrolment(args: &JoinArgs) -> anyhow::Result<(Enrolment, Token)> {
    if let Some(path) = &args.file {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let (enrolment, token) = Enrolment::from_kubeconfig(&text)
            .with_context(|| format!("{} is not a join file", path.display()))?;
        let token = token.with_context(|| format!("{} contains no token", path.display()))?;
        return Ok((enrolment, token));
    }
    let required =
        |value: &Option<String>, flag| value.clone().with_context(|| format!("{flag} is missing"));
    let enrolment = Enrolment {
        server: required(&args.server, "--server")?,
        ca: ca(&required(&args.ca, "--ca")?)?,
        namespace: args.namespace.clone(),
        host: required(&args.host, "--host")?,
    };
    Ok((enrolment, token(&args.token_file)?))
}

/// Reads PEM from a file, or from the argument.
fn ca(text: &str) -> anyhow::Result<String> {
    if let Ok(pem) = std::fs::read_to_string(text) {
        return Ok(pem);
    }
    let pem = STANDARD
        .decode(text)
        .ok()
        .and_then(|b| String::from_utf8(b).ok());
    pem.context("--ca is not a readable file, and not PEM in base64")
}

fn token(path: &Path) -> anyhow::Result<Token> {
    let mut text = String::new();
    if path == Path::new("-") {
        let input = std::io::stdin();
        ensure!(
            !input.is_terminal(),
            "the token comes by standard input; paste the whole line that `dockfleet enroll` \
             printed, or name a file with --token-file"
        );
        input.lock().take(MAX_TOKEN).read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
    }
    Token::parse(&text).context("the input is not a token; paste the whole line again")
}

/// Writes the unit, and starts or restarts it with systemd.
fn install(wanted: &AgentSetup<'_>) -> anyhow::Result<()> {
    let unit = Path::new(runner::UNIT);
    std::fs::write(unit, runner::systemd(wanted))
        .with_context(|| format!("cannot write {}; run the command as root", unit.display()))?;
    systemctl(&["daemon-reload"])?;
    systemctl(&["enable", runner::SERVICE])?;
    systemctl(&["restart", runner::SERVICE])?;
    anstream::eprintln!(
        "{} runs it: systemctl status {}",
        unit.display(),
        runner::SERVICE
    );
    Ok(())
}

fn systemctl(args: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("systemctl").args(args).output();
    let output = output.context("cannot run systemctl")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("systemctl {} failed: {}", args.join(" "), said.trim());
    }
    Ok(())
}
