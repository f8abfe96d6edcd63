use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use dockfleet_e2e::{Engine, Fleet, Generation, eventually};
use serde_json::json;

const SOON: Duration = Duration::from_secs(20);

fn engine(generation: Generation) -> Result<Engine> {
    let host = Fleet::new()?.host("solo")?;
    let engine = Engine::start(&host, generation)?;
    engine.import_busybox()?;
    Ok(engine)
}

fn reach(engine: &Engine, from: &str, to: &str) -> Result<String> {
    engine.docker(["exec", from, "ping", "-c", "1", "-W", "2", to])
}

fn containers_reach_each_other_by_name_across_restarts(generation: Generation) -> Result<()> {
    let engine = engine(generation)?;
    engine.docker(["network", "create", "front"])?;
    let always = ["--network", "front", "--restart", "always"];
    engine.run_container("one", &always, &[])?;
    engine.run_container("two", &always, &[])?;
    reach(&engine, "one", "two")?;
    let id = engine.get("/networks/front")?["Id"].clone();

    engine.stop()?;
    assert!(engine.get("/networks/front").is_err());
    engine.start_again()?;
    assert_eq!(engine.get("/networks/front")?["Id"], id, "after a stop");
    eventually("containers that restart", SOON, || {
        reach(&engine, "one", "two").map_err(|e| e.to_string())
    })?;

    engine.lose_power()?;
    engine.start_again()?;
    assert_eq!(
        engine.get("/networks/front")?["Id"],
        id,
        "after a loss of power"
    );
    eventually("containers that restart", SOON, || {
        reach(&engine, "two", "one").map_err(|e| e.to_string())
    })?;
    Ok(())
}

#[test]
fn containers_reach_each_other_by_name_across_restarts_on_20() -> Result<()> {
    containers_reach_each_other_by_name_across_restarts(Generation::Debian20)
}

#[test]
fn containers_reach_each_other_by_name_across_restarts_on_the_newest() -> Result<()> {
    containers_reach_each_other_by_name_across_restarts(Generation::Newest)
}

/// The pid of a container's first process, as the engine's own namespace counts.
fn pid_of(engine: &Engine, container: &str) -> Result<String> {
    engine.docker(["inspect", "--format", "{{.State.Pid}}", container])
}

#[test]
fn a_killed_engine_leaves_its_containers_running() -> Result<()> {
    for generation in Generation::ALL {
        let host = Fleet::new()?.host("solo")?;
        let engine = Engine::start_with(&host, generation, &["--live-restore"])?;
        engine.import_busybox()?;
        engine.run_container("one", &["--network", "none"], &[])?;
        let pid = pid_of(&engine, "one")?;
        engine.kill()?;
        assert!(!engine.is_running());
        ensure!(
            engine.run_inside("kill", &["-0", &pid])?.success(),
            "{generation:?}: the container ended with its engine"
        );
        engine.start_again()?;
        assert_eq!(pid_of(&engine, "one")?, pid, "{generation:?}");
    }
    Ok(())
}

#[test]
fn a_paused_engine_hangs_and_goes_on() -> Result<()> {
    for generation in Generation::ALL {
        let host = Fleet::new()?.host("solo")?;
        let engine = Engine::start(&host, generation)?;
        engine.pause()?;
        let socket = engine.socket().display().to_string();
        let args = [
            "--silent",
            "--max-time",
            "1",
            "--unix-socket",
            &socket,
            "http://e/_ping",
        ];
        let asked = host.run("curl", args)?;
        assert_eq!(
            asked.code(),
            Some(28),
            "{generation:?}: curl ends with its time limit"
        );
        assert!(engine.is_running());
        engine.resume()?;
        engine.get("/_ping")?;
        // A paused engine can be killed too, and does not keep the drop waiting.
        engine.pause()?;
    }
    Ok(())
}

#[test]
fn each_engine_has_its_own_name_identity_and_api() -> Result<()> {
    let fleet = Fleet::new()?;
    let mut identities = Vec::new();
    for generation in Generation::ALL {
        for number in [1, 2] {
            let engine = Engine::start(&fleet.host(&format!("h{number}"))?, generation)?;
            let info = engine.get("/info")?;
            assert_eq!(info["Name"], format!("h{number}"));
            let api = engine.api_version()?;
            match generation {
                Generation::Debian20 => assert_eq!(api, "1.41"),
                Generation::Newest => assert_eq!(api, "1.56"),
            }
            identities.push(info["ID"].to_string());
        }
    }
    identities.sort();
    identities.dedup();
    assert_eq!(identities.len(), 4);
    Ok(())
}

#[test]
fn the_api_answers_with_status_and_body() -> Result<()> {
    for generation in Generation::ALL {
        let host = Fleet::new()?.host("solo")?;
        let engine = Engine::start(&host, generation)?;
        let made = engine.post("/volumes/create", &json!({"Name": "data"}))?;
        assert_eq!(made.status, 201);
        let place = made.body["Mountpoint"].as_str().unwrap_or_default();
        assert!(Path::new(place).starts_with(engine.data_root()), "{place}");
        let gone = engine.delete("/volumes/data")?;
        assert_eq!((gone.status, gone.body), (204, json!(null)));
        let absent = engine.request("GET", "/volumes/data", None)?;
        assert_eq!(absent.status, 404);
        assert!(absent.body["message"].is_string());
    }
    Ok(())
}
