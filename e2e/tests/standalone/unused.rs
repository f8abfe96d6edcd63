//! `dockfleet prune` and PrunePolicies over objects of every sort: only what nobody needs and nobody manages goes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result};
use dockfleet_e2e::{Engine, eventually};
use serde_json::Value;

use crate::cli_env::{CliEnv, Report, on_each_engine, says, text};
use crate::{have, manifest};

on_each_engine!(
    prune_lists_what_nobody_needs_and_says_why_the_rest_stays,
    prune_removes_what_it_listed_and_nothing_else,
    prune_without_a_terminal_wants_a_yes,
    prune_asks_at_a_terminal,
    most_of_a_host_goes_only_with_a_number,
    a_policy_lists_first_and_removes_what_it_listed,
    a_policy_in_dry_run_or_suspended_removes_nothing,
);

/// Objects of every sort, with what is expected of each.
struct Zoo {
    /// Name and kind of what nobody needs.
    unused: BTreeSet<(String, String)>,
    /// Why everything else stays, by name.
    kept: BTreeMap<String, &'static str>,
}

impl Zoo {
    fn build(engine: &Engine, cli: &CliEnv) -> Result<Self> {
        engine.import_busybox()?;
        let mut zoo = Self {
            unused: BTreeSet::new(),
            kept: BTreeMap::new(),
        };
        zoo.networks(engine)?;
        zoo.volumes(engine)?;
        zoo.managed(engine, cli)?;
        for predefined in ["host", "none"] {
            zoo.kept.insert(predefined.to_owned(), "Predefined");
        }
        Ok(zoo)
    }

    fn networks(&mut self, engine: &Engine) -> Result<()> {
        let mut make = |name: &str, options: &[&str], why: Option<&'static str>| -> Result<()> {
            let create = ["network", "create"];
            engine.docker([&create[..], options, &[name]].concat())?;
            self.expect("network", name, why);
            Ok(())
        };
        for number in 1..=8 {
            make(&format!("free-{number}"), &[], None)?;
        }
        make("free-team", &["--label", "team=lab"], None)?;
        make(
            "free-no-keep",
            &["--label", "io.dockfleet.keep=false"],
            None,
        )?;
        make(
            "net-keep",
            &["--label", "io.dockfleet.keep=true"],
            Some("KeepLabel"),
        )?;
        let compose = "com.docker.compose.project=shop";
        make("net-compose", &["--label", compose], Some("Compose"))?;
        let stack = "com.docker.stack.namespace=shop";
        make("net-stack", &["--label", stack], Some("Swarm"))?;
        make("net-config", &["--config-only"], Some("Predefined"))?;
        for how in ["running", "stopped", "created", "second", "left"] {
            make(&format!("net-{how}"), &[], Some("InUse"))?;
        }
        engine.run_container("running", &["--network", "net-running"], &[])?;
        engine.run_container("stopped", &["--network", "net-stopped"], &[])?;
        engine.docker(["kill", "stopped"])?;
        engine.docker([
            "create",
            "--name",
            "created",
            "--network",
            "net-created",
            "busybox:local",
        ])?;
        engine.docker(["network", "connect", "net-second", "created"])?;
        for number in 1..=5 {
            let name = format!("net-also-{number}");
            engine.docker(["network", "create", &name])?;
            engine.docker(["network", "connect", &name, "created"])?;
            self.expect("network", &name, Some("InUse"));
        }
        engine.docker([
            "create",
            "--name",
            "left",
            "--network",
            "net-left",
            "busybox:local",
        ])?;
        engine.docker(["network", "disconnect", "net-left", "left"])?;
        Ok(())
    }

    fn volumes(&mut self, engine: &Engine) -> Result<()> {
        let mut anonymous = Vec::new();
        for _ in 1..=10 {
            anonymous.push(engine.docker(["volume", "create"])?);
        }
        for name in &anonymous {
            self.expect("volume", name, None);
        }
        for number in 1..=3 {
            let name = engine.docker(["volume", "create"])?;
            let (at, file) = (format!("{name}:/data"), format!("/data/file-{number}"));
            engine.docker([
                "run",
                "--rm",
                "--volume",
                &at,
                "busybox:local",
                "touch",
                &file,
            ])?;
            self.expect("volume", &name, Some("NonEmpty"));
        }
        let mut make = |name: &str, options: &[&str], why: Option<&'static str>| -> Result<()> {
            let create = ["volume", "create"];
            engine.docker([&create[..], options, &[name]].concat())?;
            self.expect("volume", name, why);
            Ok(())
        };
        for number in 1..=7 {
            make(&format!("named-{number}"), &[], Some("Named"))?;
        }
        make(
            "vol-keep",
            &["--label", "io.dockfleet.keep=yes"],
            Some("KeepLabel"),
        )?;
        let compose = "com.docker.compose.project=shop";
        make("vol-compose", &["--label", compose], Some("Compose"))?;
        make(
            "vol-stack",
            &["--label", "com.docker.stack.namespace=s"],
            Some("Swarm"),
        )?;
        let tmpfs = ["--opt", "type=tmpfs", "--opt", "device=tmpfs"];
        make("vol-tmpfs", &tmpfs, Some("Options"))?;
        let bind = [
            "--opt",
            "type=none",
            "--opt",
            "device=/tmp",
            "--opt",
            "o=bind",
        ];
        make("vol-bind", &bind, Some("Options"))?;
        for how in ["running", "stopped", "created", "read"] {
            let name = format!("vol-{how}");
            make(&name, &[], Some("InUse"))?;
            let at = match how {
                "read" => format!("{name}:/data:ro"),
                _ => format!("{name}:/data"),
            };
            let (container, verb) = (
                format!("with-{name}"),
                if how == "created" { "create" } else { "run" },
            );
            let detached: &[&str] = if how == "created" { &[] } else { &["--detach"] };
            let rest = ["--name", &container, "--volume", &at, "busybox:local"];
            engine.docker([&[verb], detached, &rest[..]].concat())?;
        }
        engine.docker(["kill", "with-vol-stopped"])?;
        // A container's own anonymous volume.
        engine.docker([
            "create",
            "--name",
            "own",
            "--volume",
            "/data",
            "busybox:local",
        ])?;
        let own = engine.docker(["inspect", "--format", "{{(index .Mounts 0).Name}}", "own"])?;
        self.expect("volume", &own, Some("InUse"));
        Ok(())
    }

    /// What Dockfleet made, and what it took over.
    fn managed(&mut self, engine: &Engine, cli: &CliEnv) -> Result<()> {
        engine.docker(["network", "create", "adopted-net"])?;
        engine.docker(["volume", "create", "adopted-vol"])?;
        let yaml = [
            manifest::network("our-net", ""),
            manifest::volume("our-vol", ""),
            manifest::network("adopted-net", "adoptionPolicy: IfMatching"),
            manifest::volume("adopted-vol", "adoptionPolicy: IfMatching"),
        ]
        .concat();
        cli.apply(&yaml)?.all_ready()?;
        for name in ["our-net", "adopted-net"] {
            self.expect("network", name, Some("Managed"));
        }
        for name in ["our-vol", "adopted-vol"] {
            self.expect("volume", name, Some("Managed"));
        }
        Ok(())
    }

    fn expect(&mut self, kind: &str, name: &str, why: Option<&'static str>) {
        match why {
            None => drop(self.unused.insert((name.to_owned(), kind.to_owned()))),
            Some(why) => drop(self.kept.insert(name.to_owned(), why)),
        }
    }

    fn count(&self) -> usize {
        self.unused.len() + self.kept.len()
    }
}

/// Name and kind of the rows in a state.
fn rows(report: &Report, state: &str) -> BTreeSet<(String, String)> {
    let rows = report.rows().iter().filter(|r| r["state"] == state);
    rows.map(|r| (text(&r["name"]), text(&r["kind"]))).collect()
}

/// Name and kind of everything on an engine.
fn everything(engine: &Engine) -> Result<BTreeSet<(String, String)>> {
    let networks = engine.get("/networks")?;
    let networks = networks.as_array().context("no list of networks")?;
    let networks = networks
        .iter()
        .map(|n| (text(&n["Name"]), "network".to_owned()));
    let volumes = have::volume_names(engine)?.into_iter();
    Ok(networks
        .chain(volumes.map(|name| (name, "volume".to_owned())))
        .collect())
}

fn prune_lists_what_nobody_needs_and_says_why_the_rest_stays(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let zoo = Zoo::build(engine, cli)?;
    assert!(zoo.count() >= 60, "{} objects", zoo.count());
    let before = everything(engine)?;
    let report = cli.report(&["prune", "--dry-run"])?.ended_with(0)?;
    assert_eq!(report.changed(), Some(0));
    assert_eq!(rows(&report, "Candidate"), zoo.unused);
    let kept = report.rows().iter().filter(|r| r["state"] == "Kept");
    let kept: BTreeMap<String, String> = kept
        .map(|r| (text(&r["name"]), text(&r["reason"])))
        .collect();
    let expected = zoo
        .kept
        .iter()
        .map(|(name, why)| (name.clone(), (*why).to_owned()));
    assert_eq!(kept, expected.collect());
    let shown = cli.run(&["prune", "--dry-run", "--kind", "network"])?;
    says(&shown.stdout, &["HOST", "free-1", "10 unused"])?;
    let selected = cli.report(&["prune", "--dry-run", "--selector", "team=lab"])?;
    assert_eq!(rows(&selected, "Candidate").len(), 1);
    assert_eq!(everything(engine)?, before, "nothing was removed");
    Ok(())
}

fn prune_removes_what_it_listed_and_nothing_else(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let zoo = Zoo::build(engine, cli)?;
    let before = everything(engine)?;
    let few = cli.report(&["prune", "--yes", "--kind", "network", "--max-per-run", "2"])?;
    assert_eq!(few.ended_with(0)?.changed(), Some(2));
    let report = cli.report(&["prune", "--yes"])?.ended_with(0)?;
    assert_eq!(report.changed(), u64::try_from(zoo.unused.len() - 2).ok());
    let left: BTreeSet<_> = before.difference(&zoo.unused).cloned().collect();
    assert_eq!(everything(engine)?, left);
    // Every container still starts: nothing that it needs is gone.
    for container in [
        "running",
        "stopped",
        "created",
        "left",
        "with-vol-stopped",
        "with-vol-created",
        "own",
    ] {
        engine.docker(["start", container])?;
    }
    let again = cli.report(&["prune", "--yes"])?.ended_with(0)?;
    assert_eq!(again.changed(), Some(0));
    // Volumes with a name, and then those with data, are each a permission of their own.
    let named = cli
        .report(&["prune", "--yes", "--only-anonymous=false"])?
        .ended_with(0)?;
    assert_eq!(named.changed(), Some(7));
    let full = cli
        .report(&["prune", "--yes", "--include-non-empty"])?
        .ended_with(0)?;
    assert_eq!(full.changed(), Some(3));
    Ok(())
}

fn prune_without_a_terminal_wants_a_yes(engine: &Engine, cli: &CliEnv) -> Result<()> {
    engine.docker(["network", "create", "free"])?;
    let output = cli.run(&["prune"])?;
    assert_eq!(output.code(), Some(3), "{output:?}");
    says(&output.stderr, &["--yes"])?;
    says(&output.stdout, &["free", "Candidate"])?;
    let json = cli.run(&["prune", "-o", "json"])?;
    assert_eq!(json.code(), Some(3), "{json:?}");
    assert!(have::has_network(engine, "free")?);
    // What agents have not observed is not known.
    let long = cli
        .report(&["prune", "--yes", "--min-unused-for", "1h"])?
        .ended_with(0)?;
    assert_eq!(long.changed(), Some(0));
    assert_eq!(text(&long.row("free")?["reason"]), "Recent");
    Ok(())
}

fn prune_asks_at_a_terminal(engine: &Engine, cli: &CliEnv) -> Result<()> {
    engine.docker(["network", "create", "free"])?;
    let answer = |word: &str| {
        let line = format!("echo {word} | script -q -e -c 'dockfleet prune' /dev/null");
        cli.run_shell(&line)
    };
    let no = answer("n")?;
    says(&no.stdout, &["free", "[y/N]"])?;
    assert_eq!(no.code(), Some(3), "{no:?}");
    assert!(have::has_network(engine, "free")?, "the answer was no");
    let yes = answer("y")?;
    assert_eq!(yes.code(), Some(0), "{yes:?}");
    assert!(!have::has_network(engine, "free")?);
    Ok(())
}

fn most_of_a_host_goes_only_with_a_number(engine: &Engine, cli: &CliEnv) -> Result<()> {
    for number in 1..=12 {
        engine.docker(["network", "create", &format!("free-{number}")])?;
    }
    let before = everything(engine)?;
    let stopped = cli.run(&["prune", "--yes"])?;
    assert_eq!(stopped.code(), Some(3), "{stopped:?}");
    says(
        &stopped.stderr,
        &["12 of 12 networks would be removed", "--allow-removal 12"],
    )?;
    let fewer = cli.run(&["prune", "--yes", "--allow-removal", "11"])?;
    assert_eq!(fewer.code(), Some(3), "{fewer:?}");
    assert_eq!(everything(engine)?, before);
    let report = cli
        .report(&["prune", "--yes", "--allow-removal", "12"])?
        .ended_with(0)?;
    assert_eq!(report.changed(), Some(12));
    Ok(())
}

/// A PrunePolicy for every host.
fn policy(name: &str, spec: &str) -> String {
    manifest::document(
        "PrunePolicy",
        name,
        &format!("hostSelector: {{}}\nminUnusedFor: 0s\n{spec}"),
    )
}

/// How long it takes until what is listed may be removed.
const LISTED: Duration = Duration::from_secs(150);

fn a_policy_lists_first_and_removes_what_it_listed(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let zoo = Zoo::build(engine, cli)?;
    let before = everything(engine)?;
    let policies = policy("nets", "kind: Network\nmode: Enforce\nmaxPerRun: 100")
        + &policy("vols", "kind: Volume\nmode: Enforce\nmaxPerRun: 3");
    let watch = cli.watch(&policies)?;
    let count = |kind: &str| zoo.unused.iter().filter(|(_, k)| k == kind).count();
    eventually("the networks and three volumes to go", LISTED, || {
        let now = everything(engine).map_err(|err| err.to_string())?;
        let gone: Vec<_> = before.difference(&now).collect();
        let of = |kind: &str| gone.iter().filter(|(_, k)| k == kind).count();
        if of("network") == count("network") && of("volume") == 3 {
            Ok(())
        } else {
            Err(format!("{gone:?}"))
        }
    })?;
    drop(watch);
    let gone: BTreeSet<_> = before.difference(&everything(engine)?).cloned().collect();
    assert!(gone.is_subset(&zoo.unused), "{gone:?}");
    for container in [
        "running",
        "stopped",
        "created",
        "left",
        "with-vol-stopped",
        "own",
    ] {
        engine.docker(["start", container])?;
    }
    Ok(())
}

fn a_policy_in_dry_run_or_suspended_removes_nothing(engine: &Engine, cli: &CliEnv) -> Result<()> {
    for number in 1..=12 {
        engine.docker(["network", "create", &format!("free-{number}")])?;
    }
    let before = everything(engine)?;
    let listed = cli.apply(&policy("nets", "kind: Network"))?.all_ready()?;
    let message = |report: &Report| -> Result<String> { Ok(text(&report.row("nets")?["message"])) };
    says(
        &message(&listed)?,
        &["would remove 12 unused networks: free-1, free-10, free-11 and 9 more"],
    )?;
    let suspended = cli.apply(&policy(
        "nets",
        "kind: Network\nmode: Enforce\nsuspend: true",
    ))?;
    suspended.stands("nets", "Pending", "Suspended")?;
    let braked = cli.apply(&policy("nets", "kind: Network\nmode: Enforce"))?;
    let why = braked.stands("nets", "Failed", "RemovalBraked")?;
    says(
        &why,
        &[
            "12 of 12 networks would be removed",
            "dockfleet.io/allow-removal=0-12",
        ],
    )?;
    let changed: Vec<Option<u64>> = [&listed, &suspended, &braked].map(Report::changed).to_vec();
    assert_eq!(changed, [Some(0), Some(0), Some(0)]);
    // Nothing is left of a policy that is deleted.
    let deleted = cli
        .delete(&policy("nets", "kind: Network"))?
        .ended_with(0)?;
    assert_eq!(deleted.row("nets")?["state"], Value::from("Gone"));
    assert_eq!(everything(engine)?, before);
    Ok(())
}
