//! A store in a folder behind an ssh server, over its subsystem `sftp`. The program `ssh` makes the connection: its
//! configuration applies, and above all it checks host keys.

mod session;
mod wire;

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use rustic_core::Id;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::task::JoinSet;

use self::session::{Dialer, Session};
use self::wire::{Attributes, Reply, Status, TO_CREATE, TO_READ, put};
use super::line::Paces;
use super::path::PACK_FOLDERS;
use super::{
    Contents, FileKind, Part, Store, StoreError, TEMPORARY, id_of, is_of_creation,
    is_temporary_config, is_unfinished, path_of,
};
use crate::access::{Access, Ssh};
use crate::address::SftpAddress;

/// Bytes in one question or answer: what every server takes.
const CHUNK: usize = 32 << 10;
/// Questions on their way for one file. With a megabyte on its way, a slow answer costs nothing.
const WINDOW: usize = 32;
/// Folders that are read at the same time.
const FOLDERS: usize = 16;
const FSYNC: &str = "fsync@openssh.com";
const POSIX_RENAME: &str = "posix-rename@openssh.com";
const STATVFS: &str = "statvfs@openssh.com";
/// The longest file, in bytes, that is read as a whole.
const MOST: u64 = 256 << 20;

/// A store in a folder behind an ssh server. The folder itself is never created: a disk may not be mounted there.
#[derive(Debug)]
pub(crate) struct SftpStore {
    address: SftpAddress,
    dialer: Dialer,
    paces: Paces,
    runtime: Option<Runtime>,
    session: AsyncMutex<Option<Arc<Session>>>,
}

impl SftpStore {
    pub(crate) fn new(address: &SftpAddress, access: &Access) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|err| StoreError::Refused(err.to_string()))?;
        Ok(Self {
            address: address.clone(),
            dialer: Dialer {
                program: "ssh",
                arguments: arguments(address, &access.ssh),
                environment: access.ssh.environment.clone(),
            },
            paces: Paces::new(access.limits),
            runtime: Some(runtime),
            session: AsyncMutex::new(None),
        })
    }

    /// Returns the session, and opens one if there is none.
    async fn session(&self) -> Result<Arc<Session>, StoreError> {
        let mut session = self.session.lock().await;
        if let Some(session) = session.as_ref().filter(|session| !session.is_over()) {
            return Ok(Arc::clone(session));
        }
        let new = Arc::new(Session::open(&self.dialer, self.paces.clone()).await?);
        *session = Some(Arc::clone(&new));
        Ok(new)
    }

    fn run<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(work),
            None => Err(StoreError::Unreachable("closed".to_owned())),
        }
    }

    /// Returns the path of a file on the server.
    fn path(&self, below: &str) -> String {
        format!("{}/{below}", self.address.path.trim_end_matches('/'))
    }

    /// Returns the entries of the folder itself.
    async fn root(&self) -> Result<Vec<wire::Name>, StoreError> {
        let session = self.session().await?;
        match entries(&session, &self.address.path).await {
            Err(StoreError::Missing(_)) => Err(StoreError::NotThere(format!(
                "there is no folder {} at {}; create it, or mount its disk",
                self.address.path, self.address.host
            ))),
            other => other,
        }
    }

    /// Whether the folder of a kind has nothing that the beginning of a creation does not leave.
    async fn has_only_creation(&self, kind: FileKind) -> Result<bool, StoreError> {
        let session = self.session().await?;
        let found = entries(&session, &self.path(kind.folder())).await?;
        Ok(found.iter().all(|entry| is_of_creation(kind, &entry.name)))
    }

    /// Creates a folder. It may exist.
    async fn create_folder(&self, path: &str) -> Result<(), StoreError> {
        let session = self.session().await?;
        // No attributes: the server decides.
        let answer = session
            .begin(wire::MKDIR, &[path.as_bytes()], &[0; 4])
            .await?;
        let answer = session.end(answer).await?;
        if matches!(answer, Reply::Status(Status::Ok, _)) {
            return Ok(());
        }
        // One that exists is a failure like every other.
        match session.ask(wire::STAT, &[path.as_bytes()]).await? {
            Reply::Attributes(_) => Ok(()),
            _ => Err(answer.refusal(path)),
        }
    }

    /// Writes a file that does not exist yet.
    async fn write_new(
        &self,
        session: &Session,
        path: &str,
        content: &[Bytes],
    ) -> Result<(), StoreError> {
        let handle = open(session, path, TO_CREATE).await?;
        let mut offset = 0_u64;
        let mut asked = VecDeque::new();
        let mut failed = None;
        'all: for piece in content {
            for chunk in piece.chunks(CHUNK) {
                let mut rest = BytesMut::new();
                rest.put_u64(offset);
                put(&mut rest, chunk);
                asked.push_back(session.begin(wire::WRITE, &[&handle], &rest).await?);
                offset += chunk.len() as u64;
                if asked.len() < WINDOW {
                    continue;
                }
                failed = wrong(session, asked.pop_front()).await?;
                if failed.is_some() {
                    break 'all;
                }
            }
        }
        while failed.is_none() && !asked.is_empty() {
            failed = wrong(session, asked.pop_front()).await?;
        }
        if failed.is_none() && session.has(FSYNC) {
            let parts = [FSYNC.as_bytes(), &handle];
            failed = not_ok(session.ask(wire::EXTENDED, &parts).await?);
        }
        let closed = not_ok(session.ask(wire::CLOSE, &[&handle]).await?);
        match failed.or(closed) {
            None => Ok(()),
            Some(answer) if self.is_full(session).await => {
                Err(StoreError::Full(answer.refusal(path).to_string()))
            }
            Some(answer) => Err(answer.refusal(path)),
        }
    }

    /// Whether the disk is full: the protocol has no word for it.
    async fn is_full(&self, session: &Session) -> bool {
        if !session.has(STATVFS) {
            return false;
        }
        let asked = [STATVFS.as_bytes(), self.address.path.as_bytes()];
        let Ok(Reply::Extended(mut numbers)) = session.ask(wire::EXTENDED, &asked).await else {
            return false;
        };
        // Block sizes, all blocks and free blocks come before those that may be used.
        for _ in 0..4 {
            if numbers.try_get_u64().is_err() {
                return false;
            }
        }
        numbers.try_get_u64().is_ok_and(|free| free < 16)
    }

    /// Gives a file its name. There may be one with this name.
    async fn rename(&self, session: &Session, from: &str, to: &str) -> Result<(), StoreError> {
        let (old, new) = (from.as_bytes(), to.as_bytes());
        if session.has(POSIX_RENAME) {
            let parts = [POSIX_RENAME.as_bytes(), old, new];
            let answer = session.ask(wire::EXTENDED, &parts).await?;
            return not_ok(answer).map_or(Ok(()), |answer| Err(answer.refusal(to)));
        }
        let Some(answer) = not_ok(session.ask(wire::RENAME, &[old, new]).await?) else {
            return Ok(());
        };
        // Such a server does not replace a file. One that is named by this hash has this content.
        let is_hash = to.rsplit('/').next().and_then(id_of).is_some();
        let found = session.ask(wire::STAT, &[new]).await?;
        if is_hash && matches!(found, Reply::Attributes(_)) {
            session.ask(wire::REMOVE, &[old]).await?;
            return Ok(());
        }
        Err(answer.refusal(to))
    }
}

impl Drop for SftpStore {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Ends ssh first.
            drop(self.session.get_mut().take());
            runtime.shutdown_background();
        }
    }
}

/// Returns the arguments of ssh.
fn arguments(address: &SftpAddress, ssh: &Ssh) -> Vec<String> {
    // BatchMode: nobody can answer a question. The last two end ssh when the network is gone.
    let mut all: Vec<String> = [
        "-T",
        "-oBatchMode=yes",
        "-oStrictHostKeyChecking=yes",
        "-oClearAllForwardings=yes",
        "-oConnectTimeout=15",
        "-oServerAliveInterval=15",
        "-oServerAliveCountMax=4",
    ]
    .map(str::to_owned)
    .into();
    if let Some(file) = &ssh.identity_file {
        all.push("-oIdentitiesOnly=yes".to_owned());
        all.push(format!("-oIdentityFile=\"{}\"", file.display()));
    }
    if let Some(file) = &ssh.known_hosts_file {
        all.push(format!("-oUserKnownHostsFile=\"{}\"", file.display()));
    }
    if let Some(user) = &address.user {
        all.extend(["-l".to_owned(), user.clone()]);
    }
    if let Some(port) = address.port {
        all.extend(["-p".to_owned(), port.to_string()]);
    }
    all.extend(["-s", "--", &address.host, "sftp"].map(str::to_owned));
    all
}

/// Opens a file.
async fn open(session: &Session, path: &str, how: u32) -> Result<Bytes, StoreError> {
    let mut rest = BytesMut::new();
    rest.put_u32(how);
    // No attributes.
    rest.put_u32(0);
    let asked = session.begin(wire::OPEN, &[path.as_bytes()], &rest).await?;
    match session.end(asked).await? {
        Reply::Handle(handle) => Ok(handle),
        other => Err(other.refusal(path)),
    }
}

/// Returns an answer that is not a success.
fn not_ok(answer: Reply) -> Option<Reply> {
    (!matches!(answer, Reply::Status(Status::Ok, _))).then_some(answer)
}

/// Waits for the answer to a question, and returns it if it is not a success.
async fn wrong(
    session: &Session,
    asked: Option<oneshot::Receiver<Reply>>,
) -> Result<Option<Reply>, StoreError> {
    match asked {
        Some(asked) => Ok(not_ok(session.end(asked).await?)),
        None => Ok(None),
    }
}

/// Returns the entries of a folder, without the folder itself and its parent.
async fn entries(session: &Session, path: &str) -> Result<Vec<wire::Name>, StoreError> {
    let handle = match session.ask(wire::OPENDIR, &[path.as_bytes()]).await? {
        Reply::Handle(handle) => handle,
        other => return Err(other.refusal(path)),
    };
    let mut all = Vec::new();
    loop {
        match session.ask(wire::READDIR, &[&handle]).await? {
            Reply::Names(names) => all.extend(names),
            Reply::Status(Status::End, _) => break,
            // A part is never taken for all.
            other => return Err(other.refusal(path)),
        }
    }
    session.ask(wire::CLOSE, &[&handle]).await?;
    all.retain(|entry| !matches!(entry.name.as_str(), "." | ".."));
    Ok(all)
}

/// Adds the files of a folder whose names are IDs.
fn add(entries: &[wire::Name], into: &mut Vec<(Id, u64)>) -> Result<(), StoreError> {
    for entry in entries {
        let Some(id) = id_of(&entry.name) else {
            continue;
        };
        let size = entry.attributes.size.ok_or_else(|| {
            StoreError::Refused(format!("the server tells no size of {}", entry.name))
        })?;
        into.push((id, size));
    }
    Ok(())
}

/// Reads a part of an open file.
async fn read_part(
    session: &Session,
    handle: &Bytes,
    part: Part,
    path: &str,
) -> Result<Bytes, StoreError> {
    let end = part.offset.saturating_add(part.length);
    let mut content = BytesMut::new();
    let mut asked = VecDeque::new();
    let mut next = part.offset;
    loop {
        while next < end && asked.len() < WINDOW {
            let length = (end - next).min(CHUNK as u64);
            let mut rest = BytesMut::new();
            rest.put_u64(next);
            rest.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
            let question = session.begin(wire::READ, &[handle], &rest).await?;
            asked.push_back((question, length));
            next += length;
        }
        let Some((question, length)) = asked.pop_front() else {
            return Ok(content.freeze());
        };
        match session.end(question).await? {
            Reply::Data(data) if data.len() as u64 <= length => {
                content.extend_from_slice(&data);
                if (data.len() as u64) < length {
                    // Either the end, or a server that gives less: what follows is asked for anew.
                    asked.clear();
                    next = part.offset + content.len() as u64;
                }
            }
            Reply::Status(Status::End, _) => return Ok(content.freeze()),
            other => return Err(other.refusal(path)),
        }
    }
}

impl Store for SftpStore {
    fn address(&self) -> String {
        self.address.to_string()
    }

    fn contents(&self) -> Result<Contents, StoreError> {
        let root = self.run(self.root())?;
        if root.iter().any(|entry| entry.name == "config") {
            return Ok(Contents::Repository);
        }
        let mut contents = Contents::Nothing;
        for entry in root {
            // A new file system of the ext family has this folder.
            if entry.name == "lost+found" {
                continue;
            }
            let kinds = FileKind::IN_FOLDERS;
            let begun = match kinds.into_iter().find(|k| k.folder() == entry.name) {
                Some(kind) => self.run(self.has_only_creation(kind))?,
                None => is_temporary_config(&entry.name),
            };
            if !begun {
                return Ok(Contents::Other);
            }
            contents = Contents::Unfinished;
        }
        Ok(match contents {
            Contents::Unfinished if !is_unfinished(self)? => Contents::Other,
            other => other,
        })
    }

    fn create(&self) -> Result<(), StoreError> {
        self.run(async {
            for kind in FileKind::IN_FOLDERS {
                self.create_folder(&self.path(kind.folder())).await?;
            }
            for byte in PACK_FOLDERS {
                self.create_folder(&self.path(&format!("data/{byte:02x}")))
                    .await?;
            }
            Ok(())
        })
    }

    fn list(&self, kind: FileKind) -> Result<Vec<(Id, u64)>, StoreError> {
        let mut all = Vec::new();
        self.run(async {
            let folder = self.path(kind.folder());
            let session = self.session().await?;
            match kind {
                FileKind::Config => {
                    let root = self.root().await?;
                    let config = root.iter().find(|entry| entry.name == "config");
                    all.extend(config.map(|c| (Id::default(), c.attributes.size.unwrap_or(0))));
                }
                FileKind::Pack => {
                    let mut reading = JoinSet::new();
                    for inner in entries(&session, &folder).await? {
                        // Only folders of packs have such names.
                        if inner.name.len() != 2 {
                            continue;
                        }
                        if reading.len() >= FOLDERS {
                            add(&joined(reading.join_next().await)?, &mut all)?;
                        }
                        let (session, path) =
                            (Arc::clone(&session), format!("{folder}/{}", inner.name));
                        reading.spawn(async move { entries(&session, &path).await });
                    }
                    while let found @ Some(_) = reading.join_next().await {
                        add(&joined(found)?, &mut all)?;
                    }
                }
                FileKind::Index | FileKind::Key | FileKind::Lock | FileKind::Snapshot => {
                    add(&entries(&session, &folder).await?, &mut all)?;
                }
            }
            Ok(())
        })?;
        all.sort_unstable();
        Ok(all)
    }

    fn read(&self, kind: FileKind, id: &Id, part: Option<Part>) -> Result<Bytes, StoreError> {
        let path = self.path(&path_of(kind, id));
        self.run(async {
            let session = self.session().await?;
            let handle = open(&session, &path, TO_READ).await?;
            let whole = Part {
                offset: 0,
                length: MOST,
            };
            let part = match part {
                Some(part) => part,
                None => match session.ask(wire::STAT, &[path.as_bytes()]).await? {
                    Reply::Attributes(Attributes { size: Some(size) }) => Part {
                        length: size.min(MOST),
                        ..whole
                    },
                    Reply::Attributes(_) => whole,
                    other => return Err(other.refusal(&path)),
                },
            };
            let content = read_part(&session, &handle, part, &path).await?;
            session.ask(wire::CLOSE, &[&handle]).await?;
            Ok(content)
        })
    }

    fn write(&self, kind: FileKind, id: &Id, content: &[Bytes]) -> Result<(), StoreError> {
        let path = self.path(&path_of(kind, id));
        // Not an ID, so nobody takes it for a file of the repository.
        let temporary = format!("{path}.{}{TEMPORARY}", Id::random().to_hex().as_str());
        self.run(async {
            let session = self.session().await?;
            let mut written = self.write_new(&session, &temporary, content).await;
            if let (Err(StoreError::Missing(_)), FileKind::Pack) = (&written, kind) {
                // Another program may have removed an empty folder of packs.
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                self.create_folder(folder).await?;
                written = self.write_new(&session, &temporary, content).await;
            }
            let done = match written {
                Ok(()) => self.rename(&session, &temporary, &path).await,
                Err(err) => Err(err),
            };
            if done.is_err() {
                // It may be that there is none, or that nobody is there to be asked.
                let _ = session.ask(wire::REMOVE, &[temporary.as_bytes()]).await;
            }
            done
        })
    }

    fn write_config(&self, content: &[Bytes]) -> Result<bool, StoreError> {
        let path = self.path("config");
        let temporary = format!("{path}.{}{TEMPORARY}", Id::random().to_hex().as_str());
        self.run(async {
            let session = self.session().await?;
            self.write_new(&session, &temporary, content).await?;
            // It replaces no file, by the protocol. OpenSSH makes a hard link.
            let parts = [temporary.as_bytes(), path.as_bytes()];
            let renamed = not_ok(session.ask(wire::RENAME, &parts).await?);
            let Some(refused) = renamed else {
                return Ok(true);
            };
            let found = session.ask(wire::STAT, &[path.as_bytes()]).await?;
            let _ = session.ask(wire::REMOVE, &[temporary.as_bytes()]).await;
            match found {
                Reply::Attributes(_) => Ok(false),
                _ => Err(refused.refusal(&path)),
            }
        })
    }

    fn remove(&self, kind: FileKind, id: &Id) -> Result<(), StoreError> {
        let path = self.path(&path_of(kind, id));
        self.run(async {
            let session = self.session().await?;
            match session.ask(wire::REMOVE, &[path.as_bytes()]).await? {
                Reply::Status(Status::Ok | Status::Missing, _) => Ok(()),
                other => Err(other.refusal(&path)),
            }
        })
    }
}

/// Returns what a task found.
fn joined(
    found: Option<Result<Result<Vec<wire::Name>, StoreError>, tokio::task::JoinError>>,
) -> Result<Vec<wire::Name>, StoreError> {
    match found {
        Some(Ok(found)) => found,
        Some(Err(err)) => Err(StoreError::Unreachable(err.to_string())),
        None => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_asks_nobody_and_trusts_no_unknown_key() {
        let line = |address: &str, ssh: &Ssh| {
            let address = address.parse().unwrap();
            let crate::Address::Sftp(address) = address else {
                panic!("{address}");
            };
            arguments(&address, ssh).join(" ")
        };
        let always = "-T -oBatchMode=yes -oStrictHostKeyChecking=yes -oClearAllForwardings=yes \
                      -oConnectTimeout=15 -oServerAliveInterval=15 -oServerAliveCountMax=4";
        assert_eq!(
            line("sftp:nas:/backup", &Ssh::default()),
            format!("{always} -s -- nas sftp")
        );
        let ssh = Ssh {
            identity_file: Some("/root/my key".into()),
            known_hosts_file: Some("/root/hosts".into()),
            ..Ssh::default()
        };
        assert_eq!(
            line("sftp://me@nas:2222//backup", &ssh),
            format!(
                "{always} -oIdentitiesOnly=yes -oIdentityFile=\"/root/my key\" \
                 -oUserKnownHostsFile=\"/root/hosts\" -l me -p 2222 -s -- nas sftp"
            )
        );
    }
}
