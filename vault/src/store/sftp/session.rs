//! A session of SFTP over a process of ssh, which ends with it.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Join, ReadHalf, WriteHalf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::task::JoinHandle;

use super::super::StoreError;
use super::super::line::{Line, Paces, STALLED};
use super::wire::{self, Reply, Status, put, take};

/// The longest message: the data of one answer, and lists of names.
const MOST: u32 = 1 << 20;
/// How long ssh may take to say why it ended.
const TO_END: Duration = Duration::from_secs(2);
/// Bytes of its error output that are kept; the last ones matter.
const MAX_STDERR: usize = 4096;
/// Lines of it in an error.
const MAX_LINES: usize = 3;

type Pipes = Line<Join<ChildStdout, ChildStdin>>;
/// Who waits for an answer, by the ID of the question; `None` after the end.
type Waiting = Arc<Mutex<Option<BTreeMap<u32, oneshot::Sender<Reply>>>>>;

/// How ssh is started.
#[derive(Clone, Debug)]
pub(super) struct Dialer {
    pub(super) program: &'static str,
    pub(super) arguments: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
}

/// A session. Its process is killed when it is dropped.
#[derive(Debug)]
pub(super) struct Session {
    output: AsyncMutex<WriteHalf<Pipes>>,
    waiting: Waiting,
    next: AtomicU32,
    /// What ended it.
    ended: Arc<Mutex<Option<StoreError>>>,
    extensions: Vec<String>,
    _process: Arc<Process>,
}

#[derive(Debug)]
struct Process(Mutex<Child>);

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        // There is an ID only until the exit was observed, so that it cannot belong to another process.
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id.and_then(Pid::from_raw) {
            // An error means that the processes have ended already.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Session {
    /// Starts ssh, and greets the server.
    pub(super) async fn open(dialer: &Dialer, paces: Paces) -> Result<Self, StoreError> {
        let program = dialer.program;
        let failed = |text: String| StoreError::Refused(format!("cannot run {program}: {text}"));
        let mut child = Command::new(program)
            .args(&dialer.arguments)
            .env_clear()
            .envs(&dialer.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // The group also includes the processes that ssh starts for a jump host.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|err| failed(err.to_string()))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(failed("it has no pipes".to_owned()));
        };
        let process = Arc::new(Process(Mutex::new(child)));
        let stderr = tokio::spawn(last_of(stderr));
        let line = Line::new(tokio::io::join(stdout, stdin), paces, STALLED);
        let (mut input, mut output) = tokio::io::split(line);
        let mut hello = BytesMut::new();
        hello.put_u32(5);
        hello.put_u8(wire::INIT);
        hello.put_u32(3);
        let greeted = async {
            output.write_all(&hello).await?;
            message(&mut input).await
        };
        let extensions = match greeted.await {
            Ok((wire::VERSION, body)) => extensions(body),
            Ok(_) => return Err(failed("it is not SFTP that answers".to_owned())),
            Err(err) => return Err(why(program, stderr, &err).await),
        };
        let waiting: Waiting = Arc::new(Mutex::new(Some(BTreeMap::new())));
        let ended = Arc::<Mutex<Option<StoreError>>>::default();
        let reader = (Arc::clone(&waiting), Arc::clone(&ended));
        tokio::spawn(async move {
            let (waiting, ended) = reader;
            let err = answers(&mut input, &waiting).await;
            let err = why(program, stderr, &err).await;
            *ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(err);
            // Who waits sees that nobody will answer.
            *waiting.lock().unwrap_or_else(PoisonError::into_inner) = None;
        });
        Ok(Self {
            output: AsyncMutex::new(output),
            waiting,
            next: AtomicU32::new(0),
            ended,
            extensions,
            _process: process,
        })
    }

    /// Whether it can be asked no more.
    pub(super) fn is_over(&self) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.is_none()
    }

    /// Whether the server knows an extension.
    pub(super) fn has(&self, extension: &str) -> bool {
        self.extensions.iter().any(|known| known == extension)
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&self, kind: u8, parts: &[&[u8]]) -> Result<Reply, StoreError> {
        let answer = self.begin(kind, parts, &[]).await?;
        self.end(answer).await
    }

    /// Sends a question: texts with their lengths, and `rest` as it is.
    pub(super) async fn begin(
        &self,
        kind: u8,
        parts: &[&[u8]],
        rest: &[u8],
    ) -> Result<oneshot::Receiver<Reply>, StoreError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(waiting) = waiting.as_mut() else {
                drop(waiting);
                return Err(self.reason());
            };
            waiting.insert(id, sender);
        }
        let mut packet = BytesMut::new();
        packet.put_u32(0);
        packet.put_u8(kind);
        packet.put_u32(id);
        for part in parts {
            put(&mut packet, part);
        }
        packet.extend_from_slice(rest);
        let length = u32::try_from(packet.len() - 4).unwrap_or(u32::MAX);
        if let Some(mut place) = packet.get_mut(..4) {
            place.put_u32(length);
        }
        let mut output = self.output.lock().await;
        // Why it cannot be written, the end of the output tells.
        let _ = output.write_all(&packet).await;
        Ok(receiver)
    }

    /// Waits for the answer to a question.
    pub(super) async fn end(&self, answer: oneshot::Receiver<Reply>) -> Result<Reply, StoreError> {
        answer.await.map_err(|_| self.reason())
    }

    fn reason(&self) -> StoreError {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = || StoreError::Unreachable("the connection ended".to_owned());
        ended.clone().unwrap_or_else(unknown)
    }
}

/// Gives answers to those who wait for them, until there are no more.
async fn answers(input: &mut ReadHalf<Pipes>, waiting: &Waiting) -> std::io::Error {
    loop {
        let (kind, mut body) = match message(input).await {
            Ok(message) => message,
            Err(err) => return err,
        };
        let id = body.try_get_u32().ok();
        let sender = id.and_then(|id| {
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.as_mut()?.remove(&id)
        });
        let (Some(sender), Some(reply)) = (sender, Reply::read(kind, body)) else {
            return std::io::Error::other("an answer that is not SFTP");
        };
        // Who asked may be gone.
        let _ = sender.send(reply);
    }
}

/// Reads a message: its type and what follows.
async fn message(input: &mut ReadHalf<Pipes>) -> std::io::Result<(u8, Bytes)> {
    let length = input.read_u32().await?;
    if length == 0 || length > MOST {
        return Err(std::io::Error::other("an answer that is not SFTP"));
    }
    let mut body = vec![0; usize::try_from(length).unwrap_or_default()];
    input.read_exact(&mut body).await?;
    let mut body = Bytes::from(body);
    Ok((body.get_u8(), body))
}

/// Reads the extensions in the greeting of a server.
fn extensions(mut body: Bytes) -> Vec<String> {
    let mut all = Vec::new();
    let _ = body.try_get_u32();
    while let (Some(name), Some(_)) = (take(&mut body), take(&mut body)) {
        all.push(String::from_utf8_lossy(&name).into_owned());
    }
    all
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

/// Returns what the end of a session means: what ssh says, if it says something. The remote side can influence it, so
/// control characters are removed.
async fn why(program: &str, stderr: JoinHandle<Vec<u8>>, err: &std::io::Error) -> StoreError {
    if err.kind() == std::io::ErrorKind::TimedOut {
        return StoreError::Unreachable(err.to_string());
    }
    let last = tokio::time::timeout(TO_END, stderr).await;
    let last = last.ok().and_then(Result::ok).unwrap_or_default();
    let text = String::from_utf8_lossy(&last);
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.replace(char::is_control, " ").trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    let before = lines.len().saturating_sub(MAX_LINES);
    let shown: Vec<&str> = lines.iter().skip(before).map(String::as_str).collect();
    let shown = match shown.as_slice() {
        [] => err.to_string(),
        shown => shown.join("; "),
    };
    let said = format!("{program}: {shown}");
    // They do not pass by themselves.
    let refusals = [
        "Permission denied",
        "Host key verification failed",
        "subsystem request failed",
        "Too many authentication failures",
        "Bad configuration option",
    ];
    if refusals.iter().any(|refusal| text.contains(refusal)) {
        StoreError::Refused(said)
    } else {
        StoreError::Unreachable(said)
    }
}

impl Reply {
    /// Returns what an answer means that is not what was asked for. `what` is the file.
    pub(super) fn refusal(&self, what: &str) -> StoreError {
        match self {
            Self::Status(Status::Missing, _) => StoreError::Missing(what.to_owned()),
            Self::Status(_, text) => StoreError::Refused(format!("{what}: {text}")),
            _ => StoreError::Unreachable(format!("{what}: an answer to another question")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::access::Limits;

    async fn opened(script: &str) -> Result<Session, StoreError> {
        let dialer = Dialer {
            program: "sh",
            arguments: vec!["-c".to_owned(), script.to_owned()],
            environment: BTreeMap::new(),
        };
        Session::open(&dialer, Paces::new(Limits::default())).await
    }

    #[tokio::test]
    async fn what_ssh_says_is_the_error() {
        for (script, is) in [
            (
                "echo 'root@nas: Permission denied (publickey).' >&2; exit 255",
                StoreError::Refused("sh: root@nas: Permission denied (publickey).".to_owned()),
            ),
            (
                "head -c 300000 /dev/zero >&2; printf '\na\nb\n\\033[2Jno route\r\n' >&2; exit 255",
                StoreError::Unreachable("sh: a; b; [2Jno route".to_owned()),
            ),
            (
                "echo 'Welcome to this server'; sleep 1000",
                StoreError::Unreachable("sh: an answer that is not SFTP".to_owned()),
            ),
            (
                "exec sleep 1000",
                StoreError::Unreachable("no byte was moved for 1 seconds".to_owned()),
            ),
        ] {
            assert_eq!(opened(script).await.err(), Some(is), "{script}");
        }
    }

    #[tokio::test]
    async fn a_session_that_ends_answers_nobody_and_leaves_no_process() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        // The greeting of a server with one extension.
        let script = format!(
            "echo $$ > {}; printf '\\0\\0\\0\\016\\002\\0\\0\\0\\003\\0\\0\\0\\001x\\0\\0\\0\\0'; sleep 1000 & wait",
            file.display()
        );
        let session = opened(&script).await.unwrap();
        assert!(session.has("x") && !session.has("y"));
        let err = session.ask(wire::STAT, &[b"/"]).await.unwrap_err();
        assert!(matches!(err, StoreError::Unreachable(_)), "{err}");
        assert!(session.is_over());
        let process = fs::read_to_string(&file).unwrap();
        let stat = format!("/proc/{}/stat", process.trim());
        drop(session);
        let gone = || !fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        for _ in 0..1000 {
            if gone() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the process goes on");
    }
}
