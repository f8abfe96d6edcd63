//! What every side is asked for: networks with a subnet each, and volumes, in each side's words.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Engine;
use serde_json::Value;

/// So many bridge networks with a subnet each, and as many volumes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted(pub(crate) u8);

impl Wanted {
    fn networks(self) -> impl Iterator<Item = (String, String)> {
        (0..self.0).map(|n| (format!("net-{n:03}"), format!("10.200.{n}.0/24")))
    }

    fn volumes(self) -> impl Iterator<Item = String> {
        (0..self.0).map(|n| format!("vol-{n:03}"))
    }

    /// Gives it as Dockfleet's resources.
    pub(crate) fn resources(self) -> String {
        let networks = self.networks().map(|(name, subnet)| {
            format!(
                "apiVersion: dockfleet.io/v1alpha1
kind: DockerNetwork
metadata:
  name: {name}
spec:
  hostSelector: {{}}
  ipam:
    config:
      - subnet: {subnet}
"
            )
        });
        let volumes = self.volumes().map(|name| {
            format!(
                "apiVersion: dockfleet.io/v1alpha1
kind: DockerVolume
metadata:
  name: {name}
spec:
  hostSelector: {{}}
"
            )
        });
        networks.chain(volumes).collect::<Vec<_>>().join("---\n")
    }

    /// Gives it as an Ansible playbook. Nothing but the objects is asked for: gathering facts would
    /// take longer.
    pub(crate) fn playbook(self) -> String {
        let networks = lines(self.networks(), |(name, subnet)| {
            format!("        - {{name: {name}, subnet: {subnet}}}\n")
        });
        let volumes = lines(self.volumes(), |name| format!("        - {name}\n"));
        format!(
            "- hosts: localhost
  gather_facts: false
  tasks:
    - community.docker.docker_network:
        name: '{{{{ item.name }}}}'
        driver: bridge
        ipam_config:
          - subnet: '{{{{ item.subnet }}}}'
      loop:
{networks}    - community.docker.docker_volume:
        name: '{{{{ item }}}}'
      loop:
{volumes}"
        )
    }

    /// Gives it as a compose file. Compose makes only what a service uses, so there is a service,
    /// which is to be scaled to nothing.
    pub(crate) fn compose_file(self) -> String {
        let uses = lines(self.networks(), |(name, _)| format!("      - {name}\n"));
        let mounts = lines(self.volumes(), |name| format!("      - {name}:/{name}\n"));
        let networks = lines(self.networks(), |(name, subnet)| {
            format!(
                "  {name}:
    name: {name}
    driver: bridge
    ipam:
      config:
        - subnet: {subnet}
"
            )
        });
        let volumes = lines(self.volumes(), |name| {
            format!("  {name}:\n    name: {name}\n")
        });
        format!(
            "services:
  anchor:
    image: none
    pull_policy: never
    networks:
{uses}    volumes:
{mounts}networks:
{networks}volumes:
{volumes}"
        )
    }

    /// Checks that the engine has all of it, and gives what tells one object from its like.
    pub(crate) fn check(self, engine: &Engine) -> Result<Identities> {
        let networks = engine.get("/networks")?;
        let volumes = engine.get("/volumes")?;
        let mut found = Identities::new();
        for (name, subnet) in self.networks() {
            let network = named(&networks, &name)?;
            let have = text(network, "/IPAM/Config/0/Subnet");
            ensure!(have == subnet, "{name} has the subnet {have:?}");
            found.insert(name, text(network, "/Id").to_owned());
        }
        let volumes = volumes.get("Volumes").unwrap_or(&Value::Null);
        for name in self.volumes() {
            let volume = named(volumes, &name)?;
            found.insert(name, text(volume, "/CreatedAt").to_owned());
        }
        Ok(found)
    }
}

/// By an object's name: what changes when it is made again.
pub(crate) type Identities = BTreeMap<String, String>;

fn lines<T>(items: impl Iterator<Item = T>, line: impl Fn(T) -> String) -> String {
    items.map(line).collect::<Vec<_>>().concat()
}

fn named<'a>(list: &'a Value, name: &str) -> Result<&'a Value> {
    let mut all = list.as_array().into_iter().flatten();
    all.find(|object| text(object, "/Name") == name)
        .with_context(|| format!("{name} is not there"))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
