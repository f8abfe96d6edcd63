//! Connections to an engine behind ssh, each one process `ssh … docker system dial-stdio`.
//!
//! The Docker CLI does the same. The configuration of ssh applies unchanged. Above all, ssh itself checks
//! host keys.

use std::future::{self, Ready};
use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bollard::errors::Error as ClientError;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Join, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio_util::task::AbortOnDropHandle;
use tower_service::Service;

use super::CLIENT_TIMEOUT;

/// Host name in requests; it has no meaning, because ssh makes the connection.
const ADDRESS: &str = "http://docker.example.com";
/// Number of idle connections that are kept: an observation makes two calls at once.
const MOST_IDLE: usize = 2;
/// Time after which an idle connection is closed and its process ended.
const IDLE: Duration = Duration::from_secs(30);
/// Number of bytes of ssh's error output that are kept; the last ones matter.
const MAX_STDERR: usize = 4096;
/// Number of lines of it in an error.
const MAX_LINES: usize = 3;
/// How long ssh may take to exit after the end of its output.
const TO_END: Duration = Duration::from_secs(2);

/// Creates a client whose connections are processes of ssh, which end with it.
pub(super) fn client(destination: &str) -> Result<Docker, ClientError> {
    over(Dialer {
        program: "ssh",
        arguments: arguments(destination),
    })
}

fn over(dialer: Dialer) -> Result<Docker, ClientError> {
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(MOST_IDLE)
        .build(dialer);
    let transport = move |request: BollardRequest| {
        let answer = client.request(request);
        async move { answer.await.map_err(ClientError::from) }
    };
    Docker::connect_with_custom_transport(
        transport,
        Some(ADDRESS),
        CLIENT_TIMEOUT,
        API_DEFAULT_VERSION,
    )
}

/// Returns the arguments of ssh for a destination in the form `[user@]host[:port]`.
fn arguments(destination: &str) -> Vec<String> {
    let (user, rest) = match destination.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, destination),
    };
    let (host, port) = host_and_port(rest);
    // Without BatchMode ssh could wait for an answer that nobody can give: several hosts are connected at
    // once, and often without a terminal. ConnectTimeout is a little below the timeout of the first call, so
    // that the error is that of ssh.
    let mut arguments = vec!["-o", "BatchMode=yes", "-o", "ConnectTimeout=9", "-T"];
    for (option, value) in [("-l", user), ("-p", port)] {
        if let Some(value) = value {
            arguments.extend([option, value]);
        }
    }
    // The remote shell parses the command as one line.
    arguments.extend(["--", host, "docker", "system", "dial-stdio"]);
    arguments.into_iter().map(str::to_owned).collect()
}

/// Splits off a port. The colons of an IPv6 address are in brackets, which ssh does not accept.
fn host_and_port(text: &str) -> (&str, Option<&str>) {
    let bracketed = text.strip_prefix('[').and_then(|t| t.split_once(']'));
    if let Some((host, rest)) = bracketed {
        return (host, rest.strip_prefix(':'));
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (text, None),
    }
}

/// Opens connections. The name does not matter, because all lead to one engine.
#[derive(Clone)]
struct Dialer {
    program: &'static str,
    arguments: Vec<String>,
}

impl<Name> Service<Name> for Dialer {
    type Response = TokioIo<Tunnel>;
    type Error = io::Error;
    type Future = Ready<io::Result<TokioIo<Tunnel>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        future::ready(self.open().map(TokioIo::new))
    }
}

impl Dialer {
    fn open(&self) -> io::Result<Tunnel> {
        let program = self.program;
        let mut child = Command::new(program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal must only reach this process, so that a running call can finish. The group
            // also includes the processes that ssh starts for a jump host, which are ended with it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|err| io::Error::new(err.kind(), format!("cannot run {program}: {err}")))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(io::Error::other(format!("{program} has no pipes")));
        };
        let process = Process {
            program,
            stderr: AbortOnDropHandle::new(tokio::spawn(last_of(stderr))),
            child,
        };
        Ok(Tunnel {
            pipes: tokio::io::join(stdout, stdin),
            end: End::Awaited(process.end().boxed()),
        })
    }
}

/// A process that is killed when this is dropped, with its child processes.
struct Process {
    program: &'static str,
    child: Child,
    stderr: AbortOnDropHandle<Vec<u8>>,
}

impl Process {
    /// Waits for the end, and returns the reason of a failure.
    async fn end(mut self) -> Option<String> {
        let end = async {
            let status = self.child.wait().await.ok()?;
            let stderr = (&mut self.stderr).await.unwrap_or_default();
            (!status.success()).then(|| reason(self.program, status, &stderr))
        };
        tokio::time::timeout(TO_END, end).await.ok()?
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // There is an ID only until the exit was observed, so that it cannot belong to another process.
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id.and_then(Pid::from_raw) {
            // An error means that the processes have ended already.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Reads to the end, because a full pipe would block ssh, and returns the last bytes.
async fn last_of(mut stderr: ChildStderr) -> Vec<u8> {
    let mut last = Vec::new();
    let mut chunk = [0; 1024];
    while let Ok(read @ 1..) = stderr.read(&mut chunk).await {
        last.extend(chunk.iter().take(read));
        let surplus = last.len().saturating_sub(MAX_STDERR);
        last.drain(..surplus);
    }
    last
}

/// Returns why ssh ended: its error output, if there is any. The remote side can influence it, so control
/// characters are removed.
fn reason(program: &str, status: ExitStatus, stderr: &[u8]) -> String {
    let stderr = String::from_utf8_lossy(stderr);
    let lines: Vec<String> = stderr
        .lines()
        .map(|line| line.replace(char::is_control, " "))
        .map(|line| line.trim().trim_end_matches('.').to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    let before = lines.len().saturating_sub(MAX_LINES);
    let shown: Vec<&str> = lines.iter().skip(before).map(String::as_str).collect();
    if shown.is_empty() {
        format!("{program} ended with {status}")
    } else {
        format!("{program}: {}", shown.join("; "))
    }
}

/// A connection through a process. If ssh fails, the end of the connection is an error with the output of
/// ssh.
struct Tunnel {
    pipes: Join<ChildStdout, ChildStdin>,
    end: End,
}

/// The end of a process: the future that waits for it and owns the process, or its reason.
enum End {
    Awaited(BoxFuture<'static, Option<String>>),
    Known(Option<String>),
}

impl Tunnel {
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let End::Awaited(end) = &mut self.end {
            self.end = End::Known(ready!(end.as_mut().poll(cx)));
        }
        let reason = match &self.end {
            End::Known(reason) => reason.clone(),
            End::Awaited(_) => None,
        };
        Poll::Ready(reason.map_or(Ok(()), |text| Err(io::Error::other(text))))
    }
}

impl Connection for Tunnel {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.remaining();
        ready!(Pin::new(&mut self.pipes).poll_read(cx, buf))?;
        if buf.remaining() < before || before == 0 {
            return Poll::Ready(Ok(()));
        }
        self.poll_end(cx)
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(Pin::new(&mut self.pipes).poll_write(cx, buf)) {
            Err(err) if err.kind() == io::ErrorKind::BrokenPipe => {
                ready!(self.poll_end(cx))?;
                Poll::Ready(Err(err))
            }
            other => Poll::Ready(other),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipes).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipes).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use bollard::Docker;

    use super::super::error::EngineCall;
    use super::super::{Timeouts, answered};
    use super::{Dialer, arguments, over};

    const ALWAYS: &str = "-o BatchMode=yes -o ConnectTimeout=9 -T";

    #[test]
    fn ssh_is_called_as_the_docker_cli_does_it() {
        for (destination, words) in [
            ("docker-3", "-- docker-3"),
            ("admin@docker-3", "-l admin -- docker-3"),
            ("docker-3:2222", "-p 2222 -- docker-3"),
            ("admin@10.1.2.3:2222", "-l admin -p 2222 -- 10.1.2.3"),
            ("admin@corp@docker-3", "-l admin@corp -- docker-3"),
            ("[fd00::1]", "-- fd00::1"),
            ("admin@[fd00::1]:2222", "-l admin -p 2222 -- fd00::1"),
            ("fd00::1", "-- fd00::1"),
            ("-oProxyCommand=x", "-- -oProxyCommand=x"),
        ] {
            let line = format!("{ALWAYS} {words} docker system dial-stdio");
            assert_eq!(arguments(destination).join(" "), line, "{destination}");
        }
    }

    fn through(script: &str) -> Docker {
        let arguments = vec!["-c".to_owned(), script.to_owned()];
        over(Dialer {
            program: "sh",
            arguments,
        })
        .unwrap()
    }

    async fn failure(script: &str) -> String {
        let docker = through(script);
        let timeout = Timeouts::default().connect;
        let shown = answered(EngineCall::Version, timeout, docker.version()).await;
        shown.unwrap_err().sentence()
    }

    #[tokio::test]
    async fn the_error_output_of_ssh_is_in_the_message() {
        let asking = "asking the engine for its version failed: ";
        for (script, shown) in [
            (
                "echo 'Host key verification failed.' >&2; exit 255",
                "sh: Host key verification failed",
            ),
            (
                "read -r request; printf 'a\\nb\\nc\\r\\n\\n\\033[2Jd.\\n' >&2; exit 1",
                "sh: b; c; [2Jd",
            ),
            (
                "exec 0<&- 1>&-; sleep 0.1; exit 7",
                "sh ended with exit status: 7",
            ),
            (
                "head -c 300000 /dev/zero >&2; echo 'password=hunter2' >&2; exit 1",
                "password=…",
            ),
        ] {
            let text = failure(script).await;
            assert!(text.starts_with(asking) && text.ends_with(shown), "{text}");
        }
        let docker = over(Dialer {
            program: "/no/such/ssh",
            arguments: Vec::new(),
        });
        let err = docker.unwrap().version().await.unwrap_err();
        let err = super::super::EngineError::of(EngineCall::Version, &err);
        assert!(
            err.sentence().contains("cannot run /no/such/ssh"),
            "{err:?}"
        );
    }

    #[tokio::test]
    async fn an_exit_with_success_before_an_answer_is_an_error_too() {
        failure("exit 0").await;
    }

    /// Returns the processes of a group that run.
    fn running(group: &str) -> Vec<String> {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
            .filter(|stat| {
                let (_, rest) = stat.rsplit_once(") ").unwrap();
                let mut fields = rest.split(' ');
                let (state, pgrp) = (fields.next(), fields.nth(1));
                pgrp == Some(group) && state != Some("Z")
            })
            .collect()
    }

    async fn written(path: &Path) -> String {
        for _ in 0..1000 {
            match fs::read_to_string(path) {
                Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        panic!("nothing in {}", path.display());
    }

    #[tokio::test]
    async fn a_call_that_is_cancelled_leaves_no_process() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $$ > {}; wait", file.display());
        let docker = through(&script);
        let group = tokio::select! {
            _ = docker.version() => panic!("there is nothing that answers"),
            group = written(&file) => group,
        };
        for _ in 0..1000 {
            if running(&group).is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?}", running(&group));
    }
}
