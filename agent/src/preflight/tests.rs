use std::net::Ipv4Addr;

use dockfleet_planner::desired::payload;
use dockfleet_planner::kinds::swarm::{DesiredMembership, MEMBERSHIP};

use super::*;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A port that nobody uses on this machine now.
fn free_port() -> u16 {
    let socket = std::net::UdpSocket::bind((HERE, 0)).unwrap();
    socket.local_addr().unwrap().port()
}

fn entry(preflight: Option<DesiredPreflight>) -> [Entry; 1] {
    let desired = DesiredMembership {
        name: MEMBERSHIP.to_owned(),
        preflight,
        ..DesiredMembership::default()
    };
    let (spec, revision) = payload(&desired, None);
    [Entry {
        uid: "uid-prod".to_owned(),
        kind: dockfleet_crds::assignment::Kind::SwarmCluster.into(),
        name: "prod".to_owned(),
        revision,
        spec,
        ..Entry::default()
    }]
}

/// One that answers at a port, and tries another host there.
fn wanted(port: u16, tries: &[(&str, IpAddr)]) -> DesiredPreflight {
    DesiredPreflight {
        answers: true,
        tries: tries
            .iter()
            .map(|(host, a)| ((*host).to_owned(), *a))
            .collect(),
        data_path_port: port,
        waits: None,
    }
}

#[tokio::test]
async fn a_port_answers_while_that_is_asked_for_and_is_free_afterwards() {
    let number = free_port();
    let port = [Port {
        number,
        protocol: Protocol::Udp,
    }];
    let mut preflight = Preflight::new();
    preflight.follow(&entry(Some(wanted(number, &[]))), true);
    let check = attempt::all("h2", HERE, &port).await;
    assert_eq!(check.closed, Vec::<String>::new());
    assert_eq!(check.clock_ahead_minutes, None);

    preflight.follow(&entry(None), true);
    preflight.ended().await;
    drop(std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, number)).unwrap());

    // Nor does it answer in another network than that of the engine.
    preflight.follow(&entry(Some(wanted(number, &[]))), false);
    assert!(preflight.answers.is_empty());
}

#[tokio::test]
async fn what_is_found_is_reported_as_long_as_it_is_asked_for() {
    let number = free_port();
    let _other = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, number)).unwrap();
    let mut preflight = Preflight::new();
    preflight.follow(&entry(Some(wanted(number, &[]))), true);
    let in_use = format!("{number}/udp");
    while !preflight
        .report(HostNetwork::default())
        .ports_in_use
        .contains(&in_use)
    {
        preflight.changed().await;
    }
    preflight.follow(&entry(None), true);
    assert_eq!(
        preflight.report(HostNetwork::default()),
        HostNetwork::default()
    );
}

#[tokio::test(start_paused = true)]
async fn ports_that_do_not_answer_are_closed() {
    let port = Port {
        number: free_port(),
        protocol: Protocol::Udp,
    };
    let check = attempt::all("h2", HERE, &[port]).await;
    assert_eq!(check.closed, [port.to_string()]);
}

#[test]
fn the_ports_are_those_of_a_swarm() {
    let shown = |port| ports(port).map(|p| p.to_string());
    assert_eq!(
        shown(4789),
        ["2377/tcp", "7946/tcp", "7946/udp", "4789/udp"]
    );
    assert_eq!(shown(7789)[3], "7789/udp");
}
