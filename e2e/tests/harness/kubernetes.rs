use std::time::Duration;

use anyhow::Result;
use dockfleet_e2e::{ControlPlane, Fleet, Output, eventually};

fn config_map(colour: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: paint}}\ndata: {{colour: {colour}}}\n"
    )
}

fn colour(plane: &ControlPlane) -> Result<String> {
    let map = plane.get_json(&["configmap", "paint"])?;
    Ok(map["data"]["colour"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

#[test]
fn state_survives_a_restart_and_can_be_set_back() -> Result<()> {
    let plane = ControlPlane::start_on_loopback()?;
    plane.apply_yaml(&config_map("red"))?;
    let older = plane.snapshot()?;
    plane.apply_yaml(&config_map("blue"))?;

    plane.stop()?;
    assert!(colour(&plane).is_err());
    plane.start_again()?;
    assert_eq!(colour(&plane)?, "blue");

    plane.restore(&older)?;
    assert_eq!(colour(&plane)?, "red");
    Ok(())
}

#[test]
fn hosts_reach_the_api_server_unless_they_are_cut_off() -> Result<()> {
    let fleet = Fleet::new()?;
    let host = fleet.host("h1")?;
    let plane = ControlPlane::start(&fleet)?;
    let url = format!("{}/readyz", plane.url());
    let authority = plane.kubeconfig_for_hosts()?.with_file_name("ca.crt");
    let authority = authority.display().to_string();
    let args = [
        "--silent",
        "--show-error",
        "--max-time",
        "2",
        "--cacert",
        &authority,
        &url,
    ];
    assert_eq!(host.run("curl", args)?.ok()?, "ok");
    host.cut()?;
    assert!(!host.run("curl", args)?.success());
    host.join()?;
    eventually(
        "the API server after joining",
        Duration::from_secs(20),
        || {
            host.run("curl", args)
                .and_then(Output::ok)
                .map_err(|e| e.to_string())
        },
    )?;

    // Refusals come through with their text, and a token is somebody else than the administrator.
    let refused = plane.apply_yaml("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Bad_Name}\n");
    assert!(refused.unwrap_err().to_string().contains("Bad_Name"));
    plane.kubectl(["create", "serviceaccount", "agent"])?.ok()?;
    let token = plane.kubectl(["create", "token", "agent"])?.ok()?;
    let config = plane.kubeconfig_with_token(&token)?.display().to_string();
    let may = plane.kubectl(["--kubeconfig", &config, "auth", "can-i", "get", "secrets"])?;
    assert_eq!(may.stdout.trim(), "no");

    // Without its controller a namespace is never gone.
    plane.start_controllers(&["namespace-controller"])?;
    plane.kubectl(["create", "namespace", "short"])?.ok()?;
    plane
        .kubectl(["delete", "namespace", "short", "--timeout=60s"])?
        .ok()?;
    Ok(())
}
