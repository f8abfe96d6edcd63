use std::net::Ipv4Addr;

use super::*;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Ports that nobody uses on this machine now.
fn free_ports() -> [Port; 2] {
    let tcp = std::net::TcpListener::bind((HERE, 0)).unwrap();
    let udp = std::net::UdpSocket::bind((HERE, 0)).unwrap();
    let port = |number, protocol| Port { number, protocol };
    [
        port(tcp.local_addr().unwrap().port(), Protocol::Tcp),
        port(udp.local_addr().unwrap().port(), Protocol::Udp),
    ]
}

#[tokio::test]
async fn ports_that_answer_are_open() {
    let ports = free_ports();
    let (answers, in_use) = Answers::start(&ports);
    assert_eq!(in_use, Vec::<String>::new());
    let check = attempt::all("h2", HERE, &ports).await;
    assert_eq!(check.closed, Vec::<String>::new());
    assert_eq!(check.clock_ahead_seconds, None);

    // Another program has them now.
    let (_, in_use) = Answers::start(&ports);
    assert_eq!(in_use, ports.map(|p| p.to_string()));

    for task in answers.end() {
        let _ = task.await;
    }
    let (_answers, in_use) = Answers::start(&ports);
    assert_eq!(in_use, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn ports_that_do_not_answer_are_closed() {
    let ports = free_ports();
    let check = attempt::all("h2", HERE, &ports).await;
    assert_eq!(check.closed, ports.map(|p| p.to_string()));
}

#[test]
fn the_ports_are_those_of_a_swarm() {
    let shown = |port| ports(port).map(|p| p.to_string());
    assert_eq!(
        shown(None),
        ["2377/tcp", "7946/tcp", "7946/udp", "4789/udp"]
    );
    assert_eq!(shown(Some(7789))[3], "7789/udp");
}
