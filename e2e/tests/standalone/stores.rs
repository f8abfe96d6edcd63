//! Backups in each kind of store, beside plain `restic`.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};
use dockfleet_e2e::tree::differences;
use dockfleet_e2e::{
    Engine, Folder, Listen, Output, RestRules, Restic, Store, StoreAddress, beyond_restic,
    eventually,
};

use crate::backup::content;
use crate::cli_env::{CliEnv, SOON, on_each_engine, says};

on_each_engine!(
    odd_files_come_back_from_a_bucket,
    odd_files_come_back_from_a_rest_server,
    odd_files_come_back_from_an_ssh_server,
    a_cut_in_the_middle_of_a_pack_is_survived_or_told,
    hosts_that_create_one_repository_at_once_all_use_it,
);

/// The password of each repository.
const PASSWORD: &str = "correct horse battery staple";
/// Where the repository is in its store.
const PATH: &str = "shop";

/// A store, and how the program reaches it.
struct Place<'a> {
    cli: &'a CliEnv,
    store: Store,
    /// `--to` or `--from` is before it.
    address: String,
    options: Vec<String>,
    /// What may be in no output.
    secrets: Vec<String>,
}

impl<'a> Place<'a> {
    fn new(cli: &'a CliEnv, store: Store) -> Result<Self> {
        cli.write("password", PASSWORD)?;
        let mut options = vec!["--password-file".to_owned(), "password".to_owned()];
        let mut secrets = vec![PASSWORD.to_owned()];
        let mut option = |name: &str, value: String| options.extend([name.to_owned(), value]);
        let mut credentials = |lines: [(&str, &str); 2]| {
            secrets.push(lines[1].1.to_owned());
            let lines = lines.map(|(name, value)| format!("{name}={value}\n"));
            option("--credentials-file", "credentials".to_owned());
            cli.write("credentials", &lines.concat())
        };
        let (address, ca) = match store.address() {
            StoreAddress::Path(folder) => (folder.join(PATH).display().to_string(), None),
            StoreAddress::S3 {
                endpoint,
                bucket,
                region,
                access_key,
                secret_key,
                ca,
            } => {
                credentials([
                    ("AWS_ACCESS_KEY_ID", access_key),
                    ("AWS_SECRET_ACCESS_KEY", secret_key),
                ])?;
                option("--region", region.clone());
                (format!("s3:{endpoint}/{bucket}/{PATH}"), ca.as_ref())
            }
            StoreAddress::Rest { url, login, ca } => {
                if let Some((user, password)) = login {
                    credentials([
                        ("RESTIC_REST_USERNAME", user),
                        ("RESTIC_REST_PASSWORD", password),
                    ])?;
                }
                (format!("rest:{url}{PATH}/"), ca.as_ref())
            }
            StoreAddress::Sftp {
                user,
                host,
                port,
                path,
                identity,
                known_hosts,
            } => {
                option("--identity-file", identity.display().to_string());
                option("--known-hosts-file", known_hosts.display().to_string());
                // Its folder is never created.
                fs::create_dir(store.data().join(PATH))?;
                let folder = path.join(PATH);
                (
                    format!("sftp://{user}@{host}:{port}/{}", folder.display()),
                    None,
                )
            }
        };
        if let Some(ca) = ca {
            option("--ca-file", ca.display().to_string());
        }
        Ok(Self {
            cli,
            store,
            address,
            options,
            secrets,
        })
    }

    /// Runs a command, whose first words are `words`. No secret is in what it prints.
    fn run(&self, words: &[&str], direction: &str) -> Result<Output> {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        let args = [words, &[direction, &self.address], &options].concat();
        let output = self.cli.run(&args)?;
        for secret in &self.secrets {
            let is_shown = output.stdout.contains(secret) || output.stderr.contains(secret);
            ensure!(!is_shown, "a secret is in {output:?}");
        }
        Ok(output)
    }

    /// Checks that no argument or variable of the program, or of ssh, is a secret.
    fn secrets_are_hidden(&self) -> Result<()> {
        let mut seen = 0;
        for process in fs::read_dir("/proc")? {
            let folder = process?.path();
            // Most entries are no processes, and others have ended.
            let program = fs::read_link(folder.join("exe")).unwrap_or_default();
            if !program.ends_with("dockfleet") && !program.ends_with("ssh") {
                continue;
            }
            for file in ["cmdline", "environ"] {
                let text = fs::read(folder.join(file)).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                seen += usize::from(text.contains("backup-job"));
                for secret in &self.secrets {
                    ensure!(
                        !text.contains(secret),
                        "a secret is in {file} of {}",
                        program.display()
                    );
                }
            }
        }
        ensure!(seen > 0, "no job was seen");
        Ok(())
    }

    fn backup(&self, volume: &str) -> Result<Output> {
        self.run(
            &["backup", volume, "--create", "--verify", "read-data"],
            "--to",
        )
    }

    /// Runs a command that must fail, and say these words.
    fn refused(&self, words: &[&str], direction: &str, said: &[&str]) -> Result<()> {
        let output = self.run(words, direction)?;
        assert_eq!(output.code(), Some(1), "{output:?}");
        says(&output.stderr, said)
    }
}

/// Creates a volume, and returns its folder.
fn volume(engine: &Engine, name: &str) -> Result<PathBuf> {
    engine.docker(["volume", "create", name])?;
    let found = engine.docker_json(["volume", "inspect", name])?;
    let folder = found[0]["Mountpoint"].as_str();
    Ok(folder.context("no mountpoint")?.into())
}

/// Backs odd files up, checks the repository with restic, and restores by both programs.
fn round_trip(engine: &Engine, place: &Place<'_>) -> Result<()> {
    let source = volume(engine, "shop-data")?;
    content(300, 20 << 20).make(&source)?;
    // Their attributes cannot be in a snapshot: `backup.rs` has what is said of that.
    for file in ["odd names", "symlink"] {
        fs::remove_file(source.join("attributes").join(file))?;
    }
    place.refused(
        &["backup", "shop-data"],
        "--to",
        &[
            "there is no repository at",
            place.address.trim_end_matches('/'),
            "--create",
        ],
    )?;
    let made = place.backup("shop-data")?.ok()?;
    says(&made, &["shop-data", "Verified"])?;

    let restic = Restic::new(place.store.address(), PATH, PASSWORD)?;
    restic.check()?;
    let folder = Folder::new()?;
    restic.restore("latest", folder.path())?;
    let by_restic = folder.file("volumes").join("shop-data");
    assert_eq!(beyond_restic(differences(&source, &by_restic)?), [""; 0]);

    place
        .run(&["restore", "shop-data", "--to-volume", "again"], "--from")?
        .ok()?;
    let again = volume(engine, "again")?;
    assert_eq!(differences(&source, &again)?, [""; 0]);

    // A second backup adds one file.
    fs::write(source.join("new"), "a sofa")?;
    place.backup("shop-data")?.ok()?;
    restic.check()?;
    assert_eq!(restic.snapshots()?.len(), 2);
    let listed = place.run(&["snapshots"], "--from")?.ok()?;
    assert_eq!(listed.matches("shop-data").count(), 2, "{listed}");

    // The password of the repository.
    place.cli.write("password", "guess")?;
    place.refused(&["snapshots"], "--from", &["the password opens no key"])?;
    place.cli.write("password", PASSWORD)
}

/// Takes the store away, and brings it back.
fn server_goes(place: &Place<'_>) -> Result<()> {
    place.store.kill()?;
    let patience = ["snapshots", "--retry-for", "1s"];
    place.refused(&patience, "--from", &["the store cannot be reached"])?;
    place.store.start_again()?;
    place.run(&["snapshots"], "--from")?.ok().map(drop)
}

fn odd_files_come_back_from_a_bucket(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let place = Place::new(cli, Store::s3(&Listen::on_loopback().with_tls())?)?;
    round_trip(engine, &place)?;
    server_goes(&place)?;

    let StoreAddress::S3 {
        endpoint,
        access_key,
        ..
    } = place.store.address()
    else {
        anyhow::bail!("not S3");
    };
    let elsewhere = Place {
        cli,
        store: Store::path()?,
        address: format!("s3:{endpoint}/nothing"),
        options: place.options.clone(),
        secrets: place.secrets.clone(),
    };
    elsewhere.refused(
        &["backup", "shop-data", "--create"],
        "--to",
        &["there is no bucket nothing at", "create it"],
    )?;
    let good = fs::read_to_string(cli.file("credentials"))?;
    cli.write(
        "credentials",
        &format!("AWS_ACCESS_KEY_ID={access_key}\nAWS_SECRET_ACCESS_KEY=guess\n"),
    )?;
    place.refused(
        &["snapshots"],
        "--from",
        &["the store refuses", "SignatureDoesNotMatch"],
    )?;
    cli.write("credentials", "AWS_ACCESS_KEY_ID=nobody\n")?;
    place.refused(
        &["snapshots"],
        "--from",
        &["there is no AWS_SECRET_ACCESS_KEY in credentials"],
    )?;
    cli.write("credentials", &good)?;
    untrusted(place)
}

fn odd_files_come_back_from_a_rest_server(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let rules = RestRules {
        append_only: true,
        ..RestRules::default()
    };
    let place = Place::new(cli, Store::rest(&Listen::on_loopback().with_tls(), rules)?)?;
    round_trip(engine, &place)?;
    server_goes(&place)?;

    let good = fs::read_to_string(cli.file("credentials"))?;
    cli.write(
        "credentials",
        "RESTIC_REST_USERNAME=dockfleet\nRESTIC_REST_PASSWORD=guess\n",
    )?;
    place.refused(&["snapshots"], "--from", &["the store refuses", "401"])?;
    cli.write("credentials", &good)?;
    untrusted(place)
}

fn odd_files_come_back_from_an_ssh_server(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let mut place = Place::new(cli, Store::sftp(&Listen::on_loopback())?)?;
    round_trip(engine, &place)?;
    server_goes(&place)?;

    let elsewhere = place.address.clone();
    place.address.push_str("-not-mounted");
    place.refused(
        &["backup", "shop-data", "--create"],
        "--to",
        &["there is no folder", "mount its disk"],
    )?;
    place.address = elsewhere;
    // Another key than that of the user, and a server that is not known.
    let option = |name: &str| place.options.iter().position(|option| option == name);
    let at = |name| option(name).map(|at| at + 1).context("no such option");
    let (identity, known_hosts) = (at("--identity-file")?, at("--known-hosts-file")?);
    let other = cli.file("other-key").display().to_string();
    let keygen = format!("ssh-keygen -q -t ed25519 -N '' -f {other}");
    cli.run_shell(&keygen)?.ok()?;
    let right = std::mem::replace(&mut place.options[identity], other);
    place.refused(
        &["snapshots"],
        "--from",
        &["the store refuses", "Permission denied"],
    )?;
    place.options[identity] = right;
    cli.write("nobody", "")?;
    "nobody".clone_into(&mut place.options[known_hosts]);
    place.refused(
        &["snapshots"],
        "--from",
        &["the store refuses", "Host key verification failed"],
    )
}

/// Once the store comes back, and once it does not.
fn a_cut_in_the_middle_of_a_pack_is_survived_or_told(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let source = volume(engine, "shop-data")?;
    let random = fs::File::open("/dev/urandom")?;
    let mut noise = fs::File::create(source.join("noise"))?;
    std::io::copy(&mut random.take(12_000_000), &mut noise)?;
    let listen = Listen::on_loopback().behind_a_relay();
    for store in [
        Store::s3(&listen)?,
        Store::rest(&listen, RestRules::default())?,
        Store::sftp(&listen)?,
    ] {
        let place = Place::new(cli, store)?;
        let relay = place.store.relay()?;
        relay.cut_after(6_000_000);
        let impatient = ["backup", "shop-data", "--create", "--retry-for", "1s"];
        place.refused(&impatient, "--to", &["the store cannot be reached"])?;
        assert!(relay.is_cut(), "{}", place.address);
        relay.mend();
        // Nothing of half a volume.
        let known = place.run(&["snapshots"], "--from")?.ok()?;
        assert!(!known.contains("shop-data"), "{known}");

        relay.cut_after(2_000_000);
        let made = thread::scope(|scope| {
            let backup = scope.spawn(|| place.backup("shop-data"));
            eventually("the cut", SOON, || {
                relay.is_cut().then_some(()).ok_or_else(String::new)
            })?;
            place.secrets_are_hidden()?;
            relay.mend();
            backup.join().map_err(|_| anyhow!("the thread panicked"))?
        });
        says(&made?.ok()?, &["shop-data", "Verified"])?;
        let restic = Restic::new(place.store.address(), PATH, PASSWORD)?;
        // The lock of the first backup could not be removed.
        restic.run(["check", "--read-data", "--no-lock"])?.ok()?;
    }
    Ok(())
}

fn hosts_that_create_one_repository_at_once_all_use_it(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let volumes = ["va", "vb", "vc"];
    for name in volumes {
        fs::write(volume(engine, name)?.join("file"), name)?;
    }
    let rules = RestRules {
        append_only: true,
        ..RestRules::default()
    };
    let listen = Listen::on_loopback();
    for store in [
        Store::s3(&listen)?,
        Store::rest(&listen, rules)?,
        Store::sftp(&listen)?,
    ] {
        let place = Place::new(cli, store)?;
        thread::scope(|scope| {
            let made = volumes.map(|name| {
                let place = &place;
                scope.spawn(move || place.run(&["backup", name, "--create"], "--to"))
            });
            for made in made {
                let made = made.join().map_err(|_| anyhow!("the thread panicked"))??;
                says(&made.ok()?, &["Complete"])?;
            }
            Ok::<_, anyhow::Error>(())
        })?;
        let restic = Restic::new(place.store.address(), PATH, PASSWORD)?;
        restic.check()?;
        assert_eq!(restic.snapshots()?.len(), 3, "{}", place.address);
        let keys = restic.run(["key", "list", "--json"])?.ok()?;
        assert_eq!(keys.matches("\"id\"").count(), 1, "{keys}");
    }
    Ok(())
}

/// Without the certificate of its authority, a server is refused, and at once.
fn untrusted(mut place: Place<'_>) -> Result<()> {
    let at = place
        .options
        .iter()
        .position(|option| option == "--ca-file");
    let at = at.context("no --ca-file")?;
    place.options.drain(at..at + 2);
    place.refused(
        &["snapshots"],
        "--from",
        &["its certificate is not trusted"],
    )
}
