//! The service file of an agent: a systemd unit, or a compose file.

use std::path::Path;
use std::time::Duration;

/// Exists if systemd started the machine (`sd_booted(3)`).
pub(super) const SYSTEMD_RUNS: &str = "/run/systemd/system";
/// Folder of units of an administrator.
pub(super) const UNIT: &str = "/etc/systemd/system/dockfleet-agent.service";
/// Name of the unit.
pub(super) const SERVICE: &str = "dockfleet-agent.service";

/// The settings of an agent's service file.
pub(super) struct AgentSetup<'a> {
    /// Path of this program.
    pub(super) program: &'a Path,
    /// Folder of journal and credential.
    pub(super) state_dir: &'a Path,
    /// Requested lifetime of a token.
    pub(super) life: Duration,
}

/// Returns a unit. It gives the agent access to what it needs, and nothing else: the engine's
/// socket, which usually belongs to root, its state folder, and the network.
pub(super) fn systemd(wanted: &AgentSetup<'_>) -> String {
    let state = wanted.state_dir.display();
    format!(
        "# Written by `dockfleet agent join`, which overwrites it; put changes into a drop-in\n\
         # (systemctl edit {SERVICE}).\n\
         [Unit]\n\
         Description=Dockfleet agent: networks and volumes of the Docker Engine on this host\n\
         Documentation=https://github.com/dockfleet/dockfleet/blob/main/docs/kubernetes.md\n\
         Wants=network-online.target\n\
         After=network-online.target docker.service\n\
         \n\
         [Service]\n\
         ExecStart={program} agent --state-dir {state} --token-life {life}s\n\
         Restart=always\n\
         RestartSec=5\n\
         TimeoutStopSec=150\n\
         UMask=0077\n\
         ReadWritePaths={state}\n\
         NoNewPrivileges=yes\n\
         CapabilityBoundingSet=\n\
         AmbientCapabilities=\n\
         ProtectSystem=strict\n\
         ProtectHome=read-only\n\
         ProtectClock=yes\n\
         ProtectControlGroups=yes\n\
         ProtectHostname=yes\n\
         ProtectKernelLogs=yes\n\
         ProtectKernelModules=yes\n\
         ProtectKernelTunables=yes\n\
         ProtectProc=invisible\n\
         PrivateDevices=yes\n\
         PrivateTmp=yes\n\
         LockPersonality=yes\n\
         MemoryDenyWriteExecute=yes\n\
         RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n\
         RestrictNamespaces=yes\n\
         RestrictRealtime=yes\n\
         RestrictSUIDSGID=yes\n\
         SystemCallArchitectures=native\n\
         SystemCallFilter=@system-service\n\
         SystemCallFilter=~@privileged @resources\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        program = wanted.program.display(),
        life = wanted.life.as_secs(),
    )
}

/// Returns a compose file for the engine of the agent.
pub(super) fn compose(wanted: &AgentSetup<'_>) -> String {
    let state = wanted.state_dir.display();
    format!(
        "# Written by `dockfleet agent join`. Set DOCKFLEET_IMAGE to an image of this program.\n\
         name: dockfleet\n\
         services:\n  \
           agent:\n    \
             image: ${{DOCKFLEET_IMAGE:-dockfleet:{version}}}\n    \
             command: [agent, --state-dir, {state}, --token-life, {life}s]\n    \
             # The owner of the engine's socket and of the state folder.\n    \
             user: \"0:0\"\n    \
             restart: always\n    \
             # The addresses that the host has, also while a network is being repaired.\n    \
             network_mode: host\n    \
             read_only: true\n    \
             cap_drop: [ALL]\n    \
             security_opt: [\"no-new-privileges:true\"]\n    \
             volumes:\n      \
               - {state}:{state}\n      \
               - /var/run/docker.sock:/var/run/docker.sock\n",
        version = env!("CARGO_PKG_VERSION"),
        life = wanted.life.as_secs(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_run_the_agent_of_the_same_folder() {
        let wanted = AgentSetup {
            program: Path::new("/usr/local/bin/dockfleet"),
            state_dir: Path::new("/var/lib/dockfleet/agent"),
            life: Duration::from_mins(10),
        };
        let unit = systemd(&wanted);
        let line = "\nExecStart=/usr/local/bin/dockfleet agent --state-dir /var/lib/dockfleet/agent \
                    --token-life 600s\n";
        assert!(unit.contains(line), "{unit}");
        assert!(
            unit.contains("\nReadWritePaths=/var/lib/dockfleet/agent\n"),
            "{unit}"
        );
        let compose: serde_json::Value = serde_saphyr::from_str(&compose(&wanted)).unwrap();
        let agent = &compose["services"]["agent"];
        let command = serde_json::json!([
            "agent",
            "--state-dir",
            "/var/lib/dockfleet/agent",
            "--token-life",
            "600s"
        ]);
        assert_eq!(agent["command"], command);
        assert_eq!(agent["cap_drop"], serde_json::json!(["ALL"]));
        assert_eq!(
            agent["volumes"][0],
            "/var/lib/dockfleet/agent:/var/lib/dockfleet/agent"
        );
    }
}
