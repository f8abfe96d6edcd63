//! Answers at one port of a swarm.

use std::io::{ErrorKind, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::{sleep, timeout};

use super::{AGAIN, Found, NONCE, Port, Protocol, WORD};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(1);

/// Answers at a port, as soon as no other program uses it.
pub(super) async fn keep_answering(port: Port, found: Found) {
    loop {
        match open(port).await {
            Ok(sockets) => {
                found.in_use(port, false);
                join_all(sockets.into_iter().map(Socket::answer)).await;
            }
            Err(err) if err.kind() == ErrorKind::AddrInUse => found.in_use(port, true),
            Err(err) => {
                tracing::warn!(%port, error = %err, "nobody can try this port: it cannot be opened");
            }
        }
        sleep(AGAIN).await;
    }
}

enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

/// Opens a port on all addresses.
async fn open(port: Port) -> Result<Vec<Socket>> {
    let bind = async |address: IpAddr| {
        let address = SocketAddr::new(address, port.number);
        Ok(match port.protocol {
            Protocol::Tcp => Socket::Tcp(TcpListener::bind(address).await?),
            Protocol::Udp => Socket::Udp(UdpSocket::bind(address).await?),
        })
    };
    // This one usually takes the addresses of IPv4, too, and then the second one cannot. A kernel may be without IPv6, or
    // keep them apart.
    let all: Result<Socket> = bind(Ipv6Addr::UNSPECIFIED.into()).await;
    let v4: Result<Socket> = bind(Ipv4Addr::UNSPECIFIED.into()).await;
    match (all, v4) {
        (Ok(all), Ok(v4)) => Ok(vec![all, v4]),
        (Ok(all), Err(_)) => Ok(vec![all]),
        (Err(err), Ok(_)) if err.kind() == ErrorKind::AddrInUse => Err(err),
        (Err(_), Ok(v4)) => Ok(vec![v4]),
        (Err(_), Err(err)) => Err(err),
    }
}

impl Socket {
    /// Answers; never returns.
    async fn answer(self) {
        match self {
            Self::Tcp(listener) => answer_connections(listener).await,
            Self::Udp(socket) => answer_datagrams(socket).await,
        }
    }
}

/// Returns the answer: what was sent, and the time of this host's clock in milliseconds.
fn answer(nonce: &[u8]) -> Vec<u8> {
    let now = Timestamp::now().as_millisecond();
    [WORD, nonce, format!(" {now}\n").as_bytes()].concat()
}

async fn answer_connections(listener: TcpListener) {
    loop {
        let Ok((mut connection, _)) = listener.accept().await else {
            // No file is left, for example.
            sleep(ANSWER).await;
            continue;
        };
        // Who does not get an answer tries again.
        let _ = timeout(ANSWER, connection.write_all(&answer(&[b'-'; NONCE]))).await;
    }
}

async fn answer_datagrams(socket: UdpSocket) {
    let mut request = [0; 128];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut request).await else {
            sleep(ANSWER).await;
            continue;
        };
        let request = request.get(..length).unwrap_or_default();
        let nonce = request.strip_prefix(WORD).and_then(|r| r.get(..NONCE));
        let answer = nonce.map(answer);
        // Nobody gets more than he sends.
        if let Some(answer) = answer.filter(|answer| length >= answer.len()) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}
