//! The ways to a host: socket and TCP with TLS; and hosts that cannot be reached.

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Result, ensure};
use dockfleet_e2e::{Authority, Engine, Fleet, Generation};

use crate::cli_env::{CliEnv, Report, for_each_generation, pair, says};
use crate::{have, manifest};

for_each_generation!(
    one_unreachable_host_does_not_stop_the_other,
    an_engine_behind_tls_is_reached_with_its_certificates_only,
);

fn one_unreachable_host_does_not_stop_the_other(generation: Generation) -> Result<()> {
    let (first, second) = pair(generation)?;
    let cli = CliEnv::for_hosts_in_files()?;
    cli.write(
        "hosts/all.yaml",
        &(manifest::host(&first, "{}") + &manifest::host(&second, "{}")),
    )?;
    cli.write(
        "front.yaml",
        &(manifest::network("front", "") + &manifest::volume("data", "")),
    )?;
    let files = ["-f", "hosts", "-f", "front.yaml"];
    let apply = || cli.report(&[&["apply"], &files[..]].concat());
    first.stop()?;
    let report = apply()?.ended_with(1)?;
    says(
        &report.failure("h1")?,
        &["no Docker Engine answers at unix://"],
    )?;
    for name in ["front", "data"] {
        assert_eq!(report.row_on("h2", name)?["state"], "Ready");
    }
    assert!(have::has_network(&second, "front")?);
    assert_eq!(cli.run(&[&["diff"], &files[..]].concat())?.code(), Some(1));

    // Back again it catches up, and the other one has nothing to do.
    let id = have::network_id(&second, "front")?;
    first.start_again()?;
    let report = apply()?.all_ready()?;
    assert_eq!(report.rows().len(), 4);
    assert_eq!(report.changed(), Some(2));
    assert_eq!(
        report.row_on("h1", "front")?["id"],
        have::network_id(&first, "front")?
    );
    assert_eq!(have::network_id(&second, "front")?, id);

    // Letting go does not wait for it either (7).
    second.stop()?;
    let report = cli
        .report(&[&["delete"], &files[..]].concat())?
        .ended_with(1)?;
    report.failure("h2")?;
    assert!(!have::has_network(&first, "front")?);
    Ok(())
}

/// The arguments of an engine that lets in whom `ca.pem` knows.
fn on_tls(certificates: &Path, address: Ipv4Addr) -> Vec<String> {
    let file = |name: &str| certificates.join(name).display().to_string();
    vec![
        "--host".to_owned(),
        format!("tcp://{address}:2376"),
        "--tlsverify".to_owned(),
        format!("--tlscacert={}", file("ca.pem")),
        format!("--tlscert={}", file("cert.pem")),
        format!("--tlskey={}", file("key.pem")),
    ]
}

fn an_engine_behind_tls_is_reached_with_its_certificates_only(
    generation: Generation,
) -> Result<()> {
    let host = Fleet::new()?.host("h1")?;
    let cli = CliEnv::for_hosts_in_files()?;
    let (ours, stranger) = (Authority::new("ours")?, Authority::new("a stranger")?);
    ours.server(&cli.file("server"), host.address())?;
    let arguments = on_tls(&cli.file("server"), host.address());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let engine = Engine::start_with(&host, generation, &arguments)?;

    ours.client(&cli.file("hosts/right"))?;
    ours.client(&cli.file("hosts/wrong-authority"))?;
    stranger.root(&cli.file("hosts/wrong-authority"))?;
    stranger.client(&cli.file("hosts/wrong-client"))?;
    ours.root(&cli.file("hosts/wrong-client"))?;
    let endpoint = format!("tcp://{}:2376", host.address());
    let apply = |certificates: &str| -> Result<Report> {
        let direct = format!("endpoint: {endpoint}\n{certificates}");
        let yaml = manifest::reached_by("h1", "{}", &direct) + &manifest::network("front", "");
        cli.write("hosts/all.yaml", &yaml)?;
        cli.report(&["apply", "-f", "hosts/all.yaml"])
    };
    for certificates in ["certPath: wrong-authority", "certPath: wrong-client", ""] {
        let report = apply(certificates)?.ended_with(1)?;
        says(
            &report.failure("h1")?,
            &["no Docker Engine answers at", &endpoint],
        )?;
        assert!(!have::has_network(&engine, "front")?, "{certificates}");
    }
    let report = apply("certPath: missing")?;
    ensure!(report.code != Some(0), "{report:?}");
    // The path is seen from the file, and not from where the command runs.
    let report = apply("certPath: right")?.all_ready()?;
    assert_eq!(
        report.row("front")?["id"],
        have::network_id(&engine, "front")?
    );

    // The same by the variables of the Docker CLI.
    let desk_of_cli = CliEnv::with_docker_host(&endpoint)?;
    desk_of_cli.write("all.yaml", &manifest::network("back", ""))?;
    let mut command = desk_of_cli.command(&["apply", "-f", "all.yaml"]);
    command
        .env("DOCKER_TLS_VERIFY", "1")
        .env("DOCKER_CERT_PATH", cli.file("hosts/right"));
    cli.program().run_command(&command, None)?.ok()?;
    assert!(have::has_network(&engine, "back")?);
    Ok(())
}
