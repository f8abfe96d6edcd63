//! A host of the fleet: a network namespace whose `eth0` is plugged into the fleet's bridge.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::fleet::Fleet;
use crate::owned::{OwnedKind, complain, lock, new_name};
use crate::program::{self, Output, tool};

/// A machine of the fleet as far as its network goes; it is removed when its last handle goes.
#[derive(Debug, Clone)]
pub struct Host {
    plug: Arc<Plug>,
}

impl Host {
    pub(crate) fn new(fleet: Fleet, name: &str, address: Ipv4Addr) -> Result<Self> {
        let plug = Plug {
            name: name.to_owned(),
            address,
            link: new_name(OwnedKind::Link)?,
            namespace: new_name(OwnedKind::Namespace)?,
            fleet,
        };
        plug.make()?;
        Ok(Self {
            plug: Arc::new(plug),
        })
    }

    /// Gives the name it was asked for by, which an engine on it has as its host name.
    pub fn name(&self) -> &str {
        &self.plug.name
    }

    /// Gives the address of its `eth0`.
    pub fn address(&self) -> Ipv4Addr {
        self.plug.address
    }

    /// Gives the fleet it belongs to.
    pub fn fleet(&self) -> &Fleet {
        &self.plug.fleet
    }

    /// Gives the name of its network namespace, as `ip netns` lists it.
    pub fn namespace(&self) -> &str {
        &self.plug.namespace
    }

    /// Pulls the plug: `eth0` keeps its address and loses its carrier.
    pub fn cut(&self) -> Result<()> {
        tool("ip", ["link", "set", &self.plug.link, "down"])?;
        Ok(())
    }

    /// Plugs it in again.
    pub fn join(&self) -> Result<()> {
        tool("ip", ["link", "set", &self.plug.link, "up"])?;
        Ok(())
    }

    /// Gives `command` for the network and the name of this host; files and processes stay this machine's.
    pub fn command(&self, command: &Command) -> Command {
        // `ip netns exec` would remount /sys and hide the control groups.
        let net = format!("--net=/run/netns/{}", self.plug.namespace);
        let named = "hostname \"$1\" && shift && exec \"$@\"";
        program::behind(
            &[
                "nsenter",
                &net,
                "--",
                "unshare",
                "--uts",
                "--",
                "sh",
                "-c",
                named,
                "sh",
                self.name(),
            ],
            command,
        )
    }

    /// Runs a program in the network of this host to its end, for at most a minute.
    pub fn run(
        &self,
        program: &str,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<Output> {
        let command = program::command(program::require(program)?, args);
        program::run(&self.command(&command), Duration::from_mins(1))
    }
}

#[derive(Debug)]
struct Plug {
    name: String,
    address: Ipv4Addr,
    /// The outer end of the link.
    link: String,
    namespace: String,
    /// Keeps the bridge until the link is gone.
    fleet: Fleet,
}

impl Plug {
    fn make(&self) -> Result<()> {
        let (link, space) = (self.link.as_str(), self.namespace.as_str());
        {
            // The first `ip netns add` of a machine mounts /run/netns, and two at once get in each
            // other's way.
            let _lock = lock()?;
            tool("ip", ["netns", "add", space])?;
        }
        tool(
            "ip",
            [
                "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space,
            ],
        )?;
        let address = format!("{}/24", self.address);
        tool("ip", ["-n", space, "addr", "add", &address, "dev", "eth0"])?;
        tool("ip", ["-n", space, "link", "set", "lo", "up"])?;
        tool("ip", ["-n", space, "link", "set", "eth0", "up"])?;
        tool(
            "ip",
            [
                "link",
                "set",
                link,
                "master",
                self.fleet.bridge_name(),
                "up",
            ],
        )?;
        Ok(())
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        complain(tool("ip", ["link", "del", &self.link]).map(drop));
        complain(tool("ip", ["netns", "del", &self.namespace]).map(drop));
    }
}
