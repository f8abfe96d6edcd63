//! Tries the ports of another host.

use std::io::Result;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use dockfleet_crds::host::PortCheck;
use futures::future::join_all;
use jiff::Timestamp;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, sleep, timeout};

use super::{Port, Protocol, WORD};

/// How long a port may take to answer: the other agent has to hear that it is to answer, too.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one try may take.
const TRY: Duration = Duration::from_secs(1);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// Length of a request, in bytes: no shorter than its answer.
const REQUEST: usize = 64;
/// A difference of clocks that is worth a word, in seconds.
const NOTABLE: i64 = 60;

/// Tries all ports of a host at once.
pub(super) async fn all(host: &str, address: IpAddr, ports: &[Port]) -> PortCheck {
    let attempts = ports.iter().map(|port| attempt(address, *port));
    let results = join_all(attempts).await;
    let mut check = PortCheck {
        host: host.to_owned(),
        address: address.to_string(),
        ..PortCheck::default()
    };
    for (port, result) in ports.iter().zip(results) {
        match result {
            Some(ahead) => check.clock_ahead_seconds = Some(ahead).filter(|s| s.abs() > NOTABLE),
            None => check.closed.push(port.to_string()),
        }
    }
    check
}

/// Tries a port, again and again for some time. Returns by how many seconds the other clock is ahead, if it answers.
async fn attempt(address: IpAddr, port: Port) -> Option<i64> {
    let end = Instant::now() + PATIENCE;
    let target = SocketAddr::new(address, port.number);
    loop {
        let answer = async {
            match port.protocol {
                Protocol::Tcp => over_connection(target).await,
                Protocol::Udp => over_datagrams(target).await,
            }
        };
        if let Ok(Ok(answer)) = timeout(TRY, answer).await
            && let Some(theirs) = time_in(&answer)
        {
            let ahead = theirs - Timestamp::now().as_millisecond();
            return Some(ahead / 1000);
        }
        if Instant::now() >= end {
            return None;
        }
        sleep(PAUSE).await;
    }
}

async fn over_connection(target: SocketAddr) -> Result<Vec<u8>> {
    let connection = TcpStream::connect(target).await?;
    let mut answer = Vec::new();
    // Another program may send without an end.
    let limited = connection.take(REQUEST as u64);
    BufReader::new(limited)
        .read_until(b'\n', &mut answer)
        .await?;
    Ok(answer)
}

async fn over_datagrams(target: SocketAddr) -> Result<Vec<u8>> {
    let own: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((own, 0)).await?;
    socket.connect(target).await?;
    let mut request = WORD.to_vec();
    request.resize(REQUEST, b'.');
    socket.send(&request).await?;
    let mut answer = vec![0; REQUEST];
    let length = socket.recv(&mut answer).await?;
    answer.truncate(length);
    Ok(answer)
}

/// Returns the time in an answer, in milliseconds.
fn time_in(answer: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(answer.strip_prefix(WORD)?).ok()?;
    text.trim_end().parse().ok()
}
