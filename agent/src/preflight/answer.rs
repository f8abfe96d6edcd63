//! Answers at the ports of a swarm.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

use super::{Port, Protocol, WORD};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(1);

/// The tasks that answer, one for each port.
pub(super) struct Answers(Vec<JoinHandle<()>>);

impl Answers {
    /// Starts to answer, and returns the ports that another program uses.
    pub(super) fn start(ports: &[Port]) -> (Self, Vec<String>) {
        let mut tasks = Vec::new();
        let mut in_use = Vec::new();
        for port in ports {
            match listen(*port) {
                Ok(task) => tasks.push(task),
                Err(err) if err.kind() == ErrorKind::AddrInUse => in_use.push(port.to_string()),
                Err(err) => {
                    tracing::warn!(%port, error = %err, "nobody can try this port: it cannot be opened");
                }
            }
        }
        (Self(tasks), in_use)
    }

    /// Ends them, and returns what is to be waited for.
    pub(super) fn end(mut self) -> Vec<JoinHandle<()>> {
        let tasks = std::mem::take(&mut self.0);
        tasks.iter().for_each(JoinHandle::abort);
        tasks
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// Opens a port and answers there.
fn listen(port: Port) -> std::io::Result<JoinHandle<()>> {
    Ok(match port.protocol {
        Protocol::Tcp => {
            let listener = on_all_addresses(port.number, std::net::TcpListener::bind)?;
            listener.set_nonblocking(true)?;
            tokio::spawn(answer_connections(TcpListener::from_std(listener)?))
        }
        Protocol::Udp => {
            let socket = on_all_addresses(port.number, std::net::UdpSocket::bind)?;
            socket.set_nonblocking(true)?;
            tokio::spawn(answer_datagrams(UdpSocket::from_std(socket)?))
        }
    })
}

/// Binds a port on all addresses; on those of IPv4 if the kernel has no IPv6.
fn on_all_addresses<T>(
    port: u16,
    bind: impl Fn(SocketAddr) -> std::io::Result<T>,
) -> std::io::Result<T> {
    match bind((Ipv6Addr::UNSPECIFIED, port).into()) {
        Err(err) if err.kind() != ErrorKind::AddrInUse => {
            bind((Ipv4Addr::UNSPECIFIED, port).into())
        }
        done => done,
    }
}

/// Returns the answer: the time of this host's clock, in milliseconds.
fn answer() -> Vec<u8> {
    let mut answer = WORD.to_vec();
    let now = Timestamp::now().as_millisecond();
    answer.extend(format!("{now}\n").into_bytes());
    answer
}

async fn answer_connections(listener: TcpListener) {
    loop {
        let Ok((mut connection, _)) = listener.accept().await else {
            // No file is left, for example.
            tokio::time::sleep(ANSWER).await;
            continue;
        };
        // Who does not get an answer tries again.
        let _ = tokio::time::timeout(ANSWER, connection.write_all(&answer())).await;
    }
}

async fn answer_datagrams(socket: UdpSocket) {
    let mut request = [0; 128];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut request).await else {
            tokio::time::sleep(ANSWER).await;
            continue;
        };
        let answer = answer();
        // Nobody gets more than he sends.
        let asks = request.get(..length).is_some_and(|r| r.starts_with(WORD));
        if asks && length >= answer.len() {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}
