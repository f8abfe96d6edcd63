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
use uuid::Uuid;

use super::{NONCE, Port, Protocol, WORD};

/// How long a port may take to answer: the other agent has to hear that it is to answer, too.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one try may take.
const TRY: Duration = Duration::from_secs(1);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// Length of a request, in bytes: no shorter than its answer.
const REQUEST: usize = 96;
/// To what a difference of clocks is rounded, in minutes, so that it is not reported again and again.
const ROUNDED: i64 = 10;

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
            Some(ahead) => check.clock_ahead_minutes = rounded(ahead),
            None => check.closed.push(port.to_string()),
        }
    }
    check
}

/// Returns a difference of clocks in minutes, if it is notable.
fn rounded(milliseconds: i64) -> Option<i64> {
    let minutes = milliseconds / 60_000 / ROUNDED * ROUNDED;
    (minutes != 0).then_some(minutes)
}

/// Tries a port, again and again for some time. Returns by how many milliseconds the other clock is ahead, if it answers.
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
        if let Ok(Ok(Some(theirs))) = timeout(TRY, answer).await {
            return Some(theirs - Timestamp::now().as_millisecond());
        }
        if Instant::now() >= end {
            return None;
        }
        sleep(PAUSE).await;
    }
}

async fn over_connection(target: SocketAddr) -> Result<Option<i64>> {
    let connection = TcpStream::connect(target).await?;
    let mut answer = Vec::new();
    // Another program may send without an end.
    let limited = connection.take(REQUEST as u64);
    BufReader::new(limited)
        .read_until(b'\n', &mut answer)
        .await?;
    Ok(time_in(&answer, &[b'-'; NONCE]))
}

async fn over_datagrams(target: SocketAddr) -> Result<Option<i64>> {
    let own: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((own, 0)).await?;
    let nonce = Uuid::new_v4().simple().to_string().into_bytes();
    let mut request = [WORD, &nonce].concat();
    request.resize(REQUEST, b'.');
    socket.send_to(&request, target).await?;
    loop {
        let mut answer = vec![0; REQUEST];
        // A host with several addresses may answer from another one.
        let (length, _) = socket.recv_from(&mut answer).await?;
        answer.truncate(length);
        if let Some(time) = time_in(&answer, &nonce) {
            return Ok(Some(time));
        }
    }
}

/// Returns the time in the answer to a request, in milliseconds.
fn time_in(answer: &[u8], nonce: &[u8]) -> Option<i64> {
    let rest = answer.strip_prefix(WORD)?.strip_prefix(nonce)?;
    std::str::from_utf8(rest).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_compared_to_ten_minutes() {
        for (seconds, minutes) in [
            (0, None),
            (-599, None),
            (601, Some(10)),
            (-7250, Some(-120)),
        ] {
            assert_eq!(rounded(seconds * 1000), minutes);
        }
    }

    #[test]
    fn only_the_answer_to_the_request_counts() {
        assert_eq!(time_in(b"dockfleet-preflight ab 17\n", b"ab"), Some(17));
        assert_eq!(time_in(b"dockfleet-preflight ax 17\n", b"ab"), None);
        assert_eq!(time_in(b"HTTP/1.1 400 Bad Request", b"ab"), None);
    }
}
