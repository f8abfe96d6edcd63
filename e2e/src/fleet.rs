//! A local network of its own for one test: a Linux bridge with a subnet that no other test has.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context as _, Result, ensure};

use crate::host::Host;
use crate::owned::{OwnedKind, complain, lock, new_name, sweep_once};
use crate::program::tool;

/// The network that the hosts of one test share; it is removed when the last handle of it and of
/// its hosts goes.
#[derive(Debug, Clone)]
pub struct Fleet {
    bridge: Arc<Bridge>,
}

impl Fleet {
    /// Makes a bridge with a free subnet 10.99.K.0/24 and the address 10.99.K.1.
    pub fn new() -> Result<Self> {
        sweep_once();
        Ok(Self {
            bridge: Arc::new(Bridge::new()?),
        })
    }

    /// Adds a host to the network: a network namespace whose `eth0` has the next free address.
    pub fn host(&self, name: &str) -> Result<Host> {
        let number = self.bridge.next_host.fetch_add(1, Ordering::Relaxed);
        ensure!(number < u8::MAX, "a fleet holds 253 hosts");
        let address = Ipv4Addr::new(10, 99, self.bridge.third, number);
        Host::new(self.clone(), name, address)
    }

    /// Gives the address of this machine in the fleet's network, which hosts reach servers of the
    /// test by.
    pub fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 99, self.bridge.third, 1)
    }

    /// Gives the subnet, such as `10.99.7.0/24`.
    pub fn subnet(&self) -> String {
        format!("10.99.{}.0/24", self.bridge.third)
    }

    pub(crate) fn bridge_name(&self) -> &str {
        &self.bridge.name
    }
}

#[derive(Debug)]
struct Bridge {
    name: String,
    /// The third part of the subnet's addresses.
    third: u8,
    /// The last part of the next host's address.
    next_host: AtomicU8,
    opened_firewall: bool,
}

impl Bridge {
    fn new() -> Result<Self> {
        let name = new_name(OwnedKind::Bridge)?;
        let _lock = lock()?;
        let third = free_subnet()?;
        // From here on `Drop` removes whatever part of it exists.
        let mut bridge = Self {
            name,
            third,
            next_host: AtomicU8::new(2),
            opened_firewall: false,
        };
        let name = bridge.name.as_str();
        // Without snooping, neighbour discovery works from the first moment.
        tool(
            "ip",
            ["link", "add", name, "type", "bridge", "mcast_snooping", "0"],
        )?;
        let address = format!("10.99.{third}.1/24");
        tool("ip", ["addr", "add", &address, "dev", name])?;
        tool("ip", ["link", "set", name, "up"])?;
        if firewall_may_drop()? {
            tool("iptables", rule("-I", name))?;
            bridge.opened_firewall = true;
        }
        Ok(bridge)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        if self.opened_firewall {
            complain(tool("iptables", rule("-D", &self.name)).map(drop));
        }
        complain(tool("ip", ["link", "del", &self.name]).map(drop));
    }
}

/// Finds a subnet 10.99.K.0/24 that no address of this machine is in; the caller holds the lock.
fn free_subnet() -> Result<u8> {
    let addresses = tool("ip", ["-4", "-o", "addr", "show"])?;
    (1..u8::MAX)
        .find(|third| !addresses.contains(&format!(" 10.99.{third}.")))
        .context("all of 10.99.0.0/16 is in use")
}

/// Says whether frames between two ports of a bridge may be dropped: by the policy that an engine
/// sets, or a rule.
fn firewall_may_drop() -> Result<bool> {
    let rules = tool("iptables", ["-w", "-S", "FORWARD"])?;
    Ok(rules.lines().any(|line| line != "-P FORWARD ACCEPT"))
}

fn rule<'a>(action: &'a str, bridge: &'a str) -> [&'a str; 9] {
    [
        "-w", action, "FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT",
    ]
}
