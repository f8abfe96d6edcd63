//! Owner and permissions of a volume's top folder, and what containers do to them.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::{Engine, Folder, Generation, eventually};
use serde_json::{Value, json};

use crate::cli_env::{CliEnv, SOON, for_each_generation, on_each_engine, says, solo};
use crate::{have, manifest};

on_each_engine!(
    what_containers_do_to_an_owner_is_undone_as_it_was_asked_for,
    watch_sets_an_owner_again_after_a_container_until_there_is_a_file,
    an_owner_that_is_edited_is_set_and_drift_is_only_reported_where_that_is_asked_for,
    a_volume_that_was_there_is_set_when_it_is_taken_over,
    a_helper_that_was_left_behind_is_removed_and_is_no_user,
    a_volume_with_a_large_file_is_examined_without_reading_it,
);
for_each_generation!(ids_are_those_of_containers_where_users_are_remapped);

const OWNERSHIP: &str = "ownership: {uid: 1000, gid: 2000, mode: '0750'";
/// What it asks for.
const WANTED: &str = "1000:2000 0750";
/// The folder in the images that have another owner.
const OF_IMAGE: &str = "33:34 0770";

fn initial(name: &str) -> String {
    manifest::volume(name, &format!("{OWNERSHIP}}}"))
}

fn root(name: &str) -> String {
    manifest::volume(name, &format!("{OWNERSHIP}, apply: Root}}"))
}

/// Gives owner and permissions of a volume's folder.
fn owner(engine: &Engine, volume: &str) -> Result<String> {
    owner_in(&engine.data_root(), volume)
}

fn folder(data_root: &Path, volume: &str) -> PathBuf {
    data_root.join("volumes").join(volume).join("_data")
}

fn owner_in(data_root: &Path, volume: &str) -> Result<String> {
    let path = folder(data_root, volume);
    let found = fs::metadata(&path).with_context(|| path.display().to_string())?;
    let (uid, gid, mode) = (found.uid(), found.gid(), found.mode() & 0o7777);
    Ok(format!("{uid}:{gid} {mode:04o}"))
}

/// Makes an image with a folder `/data`, by a command.
fn image(engine: &Engine, name: &str, command: &str) -> Result<()> {
    let run = ["run", "--name", name, "--network", "none", "busybox:local"];
    engine.docker([&run[..], &["sh", "-c", command]].concat())?;
    engine.docker(["commit", name, &format!("{name}:local")])?;
    engine.docker(["rm", name]).map(drop)
}

/// Makes images that have the folder, have it with another owner, and have it with a file.
fn images(engine: &Engine) -> Result<()> {
    engine.import_busybox()?;
    let owned = "mkdir /data && chown 33:34 /data && chmod 0770 /data";
    image(engine, "folder", "mkdir /data")?;
    image(engine, "owned", owned)?;
    image(engine, "files", &format!("{owned} && echo x > /data/f"))
}

/// Creates a container that is not started, with a volume at `/data`.
fn create(engine: &Engine, image: &str, volume: &str, options: &str) -> Result<()> {
    let mount = format!("{volume}:/data{options}");
    let image = format!("{image}:local");
    let create = ["create", "--network", "none", "--volume", &mount, &image];
    engine.docker(create).map(drop)
}

/// No container and no volume but those that the test has made.
fn no_helper_is_left(engine: &Engine) -> Result<()> {
    let all = [
        "ps",
        "--all",
        "--quiet",
        "--filter",
        "label=io.dockfleet.helper",
    ];
    let left = engine.docker(all)?;
    ensure!(left.is_empty(), "helpers are left: {left}");
    Ok(())
}

/// For each image and way to mount: what the container does to the owner of an empty volume.
const CASES: [(&str, &str, &str); 12] = [
    ("busybox", "", WANTED),
    ("busybox", ":nocopy", WANTED),
    ("busybox", ":ro", WANTED),
    ("folder", "", "0:0 0755"),
    ("folder", ":nocopy", WANTED),
    ("folder", ":ro", "0:0 0755"),
    ("owned", "", OF_IMAGE),
    ("owned", ":nocopy", WANTED),
    ("owned", ":ro", OF_IMAGE),
    ("files", "", OF_IMAGE),
    ("files", ":nocopy", WANTED),
    ("files", ":ro", OF_IMAGE),
];

fn what_containers_do_to_an_owner_is_undone_as_it_was_asked_for(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    images(engine)?;
    let name = |apply: &str, image: &str, options: &str| {
        format!("{apply}-{image}{}", options.replace(':', "-"))
    };
    let mut yaml = String::new();
    for (image, options, _) in CASES {
        yaml += &initial(&name("initial", image, options));
        yaml += &root(&name("root", image, options));
    }
    cli.apply(&yaml)?.all_ready()?;
    for (image, options, _) in CASES {
        for apply in ["initial", "root"] {
            let volume = name(apply, image, options);
            assert_eq!(owner(engine, &volume)?, WANTED, "{volume}");
            create(engine, image, &volume, options)?;
        }
    }
    let mut table = Vec::new();
    for (image, options, copied) in CASES {
        for apply in ["initial", "root"] {
            let volume = name(apply, image, options);
            assert_eq!(owner(engine, &volume)?, copied, "{volume}: the container");
        }
        let has_files = image == "files" && options != ":nocopy";
        let kept = if has_files { copied } else { WANTED };
        table.push((image, options, kept));
    }
    let report = cli.apply(&yaml)?.all_ready()?;
    for (image, options, kept) in table {
        let (of_initial, of_root) = (
            name("initial", image, options),
            name("root", image, options),
        );
        let now = (owner(engine, &of_initial)?, owner(engine, &of_root)?);
        assert_eq!(
            now,
            (kept.to_owned(), WANTED.to_owned()),
            "{image}{options}"
        );
        let message = report.row(&of_initial)?["message"]
            .as_str()
            .unwrap_or_default();
        if kept == WANTED {
            assert_eq!(message, "", "{of_initial}");
        } else {
            says(
                message,
                &[
                    "has files",
                    "ownership.uid: want 1000, have 33",
                    "apply: Root",
                ],
            )?;
        }
        assert_eq!(report.row(&of_root)?["message"], Value::Null, "{of_root}");
    }
    no_helper_is_left(engine)?;
    cli.is_settled(&yaml)
}

fn watch_sets_an_owner_again_after_a_container_until_there_is_a_file(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    images(engine)?;
    let watch = cli.watch(&initial("data"))?;
    let is = |wanted: &str| {
        eventually(wanted, SOON, || match owner(engine, "data") {
            Ok(now) if now == wanted => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .map_err(|e| e.context(watch.log()))
    };
    is(WANTED)?;
    // Twice: the second container finds an empty volume, too.
    for _ in 0..2 {
        create(engine, "owned", "data", "")?;
        is(WANTED)?;
    }
    // From the first file on, the folder belongs to whoever uses it.
    let options = ["--volume", "data:/data", "--network", "none"];
    engine.run_container(
        "user",
        &options,
        &[
            "sh",
            "-c",
            "touch /data/f && chown 5:6 /data && sleep 1000000",
        ],
    )?;
    is("5:6 0750")?;
    create(engine, "owned", "data", "")?;
    watch.terminate(SOON)?;
    assert_eq!(owner(engine, "data")?, "5:6 0750");
    let report = cli.apply(&initial("data"))?.all_ready()?;
    assert_eq!(report.changed(), Some(0));
    assert_eq!(owner(engine, "data")?, "5:6 0750");
    no_helper_is_left(engine)
}

fn an_owner_that_is_edited_is_set_and_drift_is_only_reported_where_that_is_asked_for(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let data = |spec: &str| manifest::volume("data", spec);
    cli.apply(&data(""))?.all_ready()?;
    assert_eq!(owner(engine, "data")?, "0:0 0755");
    // Only the group, with bits beside those of permissions.
    let group = data("ownership: {gid: 4000000000, mode: '3770', apply: Root}");
    let diff = cli.with(&group, &["diff"])?;
    assert_eq!(
        owner(engine, "data")?,
        "0:0 0755",
        "diff only looks: {diff:?}"
    );
    no_helper_is_left(engine)?;
    assert_eq!(cli.apply(&group)?.all_ready()?.changed(), Some(1));
    assert_eq!(owner(engine, "data")?, "0:4000000000 3770");
    cli.is_settled(&group)?;
    // By hand.
    fs::write(folder(&engine.data_root(), "data").join("f"), "")?;
    chown(folder(&engine.data_root(), "data"), Some(7), Some(8))?;
    let observed = group.clone() + "  driftPolicy: Observe\n";
    for _ in 0..2 {
        let report = cli.apply(&observed)?.ended_with(1)?;
        let message = report.stands("data", "Drifted", "Drifted")?;
        says(
            &message,
            &[
                "driftPolicy is Observe",
                "ownership.gid: want 4000000000, have 8",
            ],
        )?;
        let diff = &report.row("data")?["diff"];
        assert_eq!(
            *diff,
            json!([{"field": "ownership.gid", "want": "4000000000", "have": "8"}])
        );
    }
    assert!(owner(engine, "data")?.starts_with("7:8 "));
    let suspended = group.clone() + "  suspend: true\n";
    cli.apply(&suspended)?;
    let watched = group.clone() + "  managementPolicy: Observe\n";
    cli.apply(&watched)?;
    assert!(
        owner(engine, "data")?.starts_with("7:8 "),
        "nothing is changed"
    );
    cli.apply(&group)?.all_ready()?;
    assert!(
        owner(engine, "data")?.starts_with("7:4000000000 "),
        "the user stays"
    );
    assert!(have::has_volume(engine, "data")?);
    cli.is_settled(&group)
}

fn a_volume_that_was_there_is_set_when_it_is_taken_over(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    have::make_volume(engine, &json!({"Name": "empty"}))?;
    have::make_volume(engine, &json!({"Name": "full"}))?;
    have::make_volume(engine, &json!({"Name": "theirs"}))?;
    fs::write(folder(&engine.data_root(), "full").join("f"), "")?;
    let take = |yaml: String| yaml + "  adoptionPolicy: IfMatching\n";
    let yaml = [
        take(initial("empty")),
        take(initial("full")),
        initial("theirs"),
    ]
    .concat();
    let report = cli.apply(&yaml)?.ended_with(1)?;
    report.stands("theirs", "Failed", "Conflict")?;
    assert_eq!(owner(engine, "empty")?, WANTED);
    assert_eq!(owner(engine, "full")?, "0:0 0755");
    assert_eq!(owner(engine, "theirs")?, "0:0 0755", "invariant 3");
    // Deleted and kept, the volume is taken back, also with another owner in the resource.
    cli.delete(&take(initial("empty")))?;
    let other = take(manifest::volume("empty", "ownership: {uid: 9}"));
    cli.apply(&other)?.all_ready()?;
    assert_eq!(owner(engine, "empty")?, "9:2000 0750");
    no_helper_is_left(engine)
}

/// What an agent leaves behind that is killed while it examines a volume.
fn a_helper_that_was_left_behind_is_removed_and_is_no_user(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let yaml = initial("data") + "  deletionPolicy: Delete\n";
    cli.apply(&yaml)?.all_ready()?;
    let leave = || {
        let mount = [
            "--label",
            "io.dockfleet.helper=ownership",
            "--volume",
            "data:/data",
        ];
        let create = [&["create", "--network", "none"], &mount[..]].concat();
        engine.docker([&create[..], &["dockfleet-empty:local", "none"]].concat())
    };
    leave()?;
    cli.apply(&yaml)?.all_ready()?;
    no_helper_is_left(engine)?;
    leave()?;
    cli.delete(&yaml)?.ended_with(0)?;
    assert!(!have::has_volume(engine, "data")?);
    no_helper_is_left(engine)?;
    // The image is made again where somebody has removed it.
    engine.docker(["rmi", "dockfleet-empty:local"])?;
    cli.apply(&yaml)?.all_ready()?;
    assert_eq!(owner(engine, "data")?, WANTED);
    let image: Value = engine.get("/images/dockfleet-empty:local/json")?;
    assert_eq!(
        image["Config"]["Labels"]["io.dockfleet.helper"],
        "ownership"
    );
    no_helper_is_left(engine)
}

fn a_volume_with_a_large_file_is_examined_without_reading_it(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    cli.apply(&root("data"))?.all_ready()?;
    let path = folder(&engine.data_root(), "data");
    // A hole: to read it all takes minutes.
    fs::File::create(path.join("big"))?.set_len(1 << 40)?;
    fs::write(path.join("ä"), "")?;
    chown(&path, Some(0), Some(0))?;
    cli.apply(&root("data"))?.all_ready()?;
    assert_eq!(owner(engine, "data")?, WANTED);
    no_helper_is_left(engine)
}

fn ids_are_those_of_containers_where_users_are_remapped(generation: Generation) -> Result<()> {
    const FIRST: u32 = 300_000;
    let engine = solo(generation)?;
    let etc = Folder::new()?;
    let copy = etc.file("etc").display().to_string();
    engine
        .run_inside("cp", &["--archive", "/etc", &copy])?
        .ok()?;
    for file in ["subuid", "subgid"] {
        fs::write(
            etc.file("etc").join(file),
            format!("daemon:{FIRST}:65536\n"),
        )?;
    }
    engine.stop()?;
    engine
        .run_inside("mount", &["--bind", &copy, "/etc"])?
        .ok()?;
    // Users of containers have to reach its data.
    let all = engine.data_root();
    let all = all.parent().context("no folder")?;
    fs::set_permissions(all, fs::Permissions::from_mode(0o711))?;
    engine.configure("userns-remap", &json!("daemon"))?;
    engine.start_again()?;
    let cli = CliEnv::at(&engine)?;
    let yaml = initial("data") + &root("kept");
    cli.apply(&yaml)?.all_ready()?;
    let data_root = engine.data_root().join(format!("{FIRST}.{FIRST}"));
    for volume in ["data", "kept"] {
        assert_eq!(owner_in(&data_root, volume)?, "301000:302000 0750");
    }
    let given = folder(&data_root, "kept");
    chown(given, Some(FIRST + 5), Some(0))?;
    let watched = yaml.clone() + "  driftPolicy: Observe\n";
    let message = cli.apply(&watched)?.stands("kept", "Drifted", "Drifted")?;
    says(
        &message,
        &[
            "ownership.uid: want 1000, have 5",
            "ownership.gid: want 2000, have 65534",
        ],
    )?;
    cli.apply(&yaml)?.all_ready()?;
    assert_eq!(owner_in(&data_root, "kept")?, "301000:302000 0750");
    // No container can have this ID.
    let outside = manifest::volume("data", "ownership: {uid: 70000}");
    let message = cli
        .apply(&outside)?
        .stands("data", "Failed", "EngineRefused")?;
    says(&message, &["70000 cannot be mapped"])?;
    no_helper_is_left(&engine)
}
