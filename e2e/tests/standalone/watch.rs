//! `apply --watch` over several hosts: what one of them does is of no concern to the others.

use std::time::{Duration, Instant};

use anyhow::Result;
use dockfleet_e2e::{Generation, eventually};

use crate::cli_env::{CliEnv, SOON, for_each_generation, pair, says};
use crate::{have, manifest};

for_each_generation!(a_host_that_hangs_keeps_neither_others_nor_a_signal_waiting);

/// Less than a call to an engine that hangs takes to be given up.
const AT_ONCE: Duration = Duration::from_secs(20);

fn a_host_that_hangs_keeps_neither_others_nor_a_signal_waiting(
    generation: Generation,
) -> Result<()> {
    let (first, second) = pair(generation)?;
    let cli = CliEnv::for_hosts_in_files()?;
    let hosts = manifest::host(&first, "{}") + &manifest::host(&second, "{}");
    let all = |names: &[&str]| {
        let networks = names.iter().map(|name| manifest::network(name, ""));
        hosts.clone() + &networks.collect::<String>()
    };
    let watch = cli.watch(&all(&["one"]))?;
    let says_of = |host: &str, network: &str| {
        eventually(&format!("{network} on {host}"), SOON, || {
            let line = |l: &&str| l.contains(host) && l.contains(network) && l.contains("Ready");
            let log = watch.log();
            log.lines().find(line).map(drop).ok_or_else(|| log.clone())
        })
    };
    says_of("h1", "default/one")?;
    says_of("h2", "default/one")?;

    second.pause()?;
    cli.write("all.yaml", &all(&["one", "two"]))?;
    let begin = Instant::now();
    says_of("h1", "default/two")?;
    have::remove(&first, "/networks/one")?;
    eventually("the network", AT_ONCE, || {
        match have::has_network(&first, "one") {
            Ok(true) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .map_err(|e| e.context(watch.log()))?;
    let status = watch.terminate(AT_ONCE)?;
    assert!(begin.elapsed() < AT_ONCE, "{:?}", begin.elapsed());
    assert_eq!(
        status.code(),
        Some(1),
        "one host did not answer: {}",
        watch.log()
    );
    says(&watch.log(), &["did not answer"])?;

    // What it was about to do there is done by whoever comes next.
    second.resume()?;
    cli.apply(&all(&["one", "two"]))?.all_ready()?;
    cli.is_settled(&all(&["one", "two"]))
}
