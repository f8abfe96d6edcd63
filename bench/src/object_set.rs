//! The objects that each program creates, networks with a subnet each and volumes, in the format of
//! each program.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Engine;
use serde_json::Value;

/// A number of bridge networks with a subnet each, and the same number of volumes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ObjectSet(pub(crate) u8);

impl ObjectSet {
    fn networks(self) -> impl Iterator<Item = (String, String)> {
        (0..self.0).map(|n| (format!("net-{n:03}"), format!("10.200.{n}.0/24")))
    }

    fn volumes(self) -> impl Iterator<Item = String> {
        (0..self.0).map(|n| format!("vol-{n:03}"))
    }

    /// Returns the objects as resources of Dockfleet.
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

    /// Returns the objects as an Ansible playbook. It does not gather facts, which would take
    /// longer.
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

    /// Returns the objects as a compose file. Compose creates only objects that a service uses, so
    /// there is a service, which is scaled to 0.
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

    /// Checks that the engine has all objects, and returns their identities.
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

/// By the name of an object, a value that changes when it is created again.
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
