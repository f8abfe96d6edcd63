//! A volume plugin of an engine, which hangs at every `Create` until it is released.
//!
//! The protocol: <https://docs.docker.com/engine/extend/plugins_volume/>.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::owned::complain;

/// A plugin that an engine can find for as long as this is kept.
#[derive(Debug)]
pub struct VolumePlugin {
    socket: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct State {
    released: bool,
    creates: usize,
    volumes: BTreeSet<String>,
}

impl VolumePlugin {
    /// Puts a plugin of this name where the engine looks for plugins.
    pub fn start(engine: &Engine, name: &str) -> Result<Self> {
        // In the engine's own mounts.
        let folder = PathBuf::from(format!("/proc/{}/root", engine.daemon_pid()?));
        let folder = folder.join("run/docker/plugins");
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let socket = folder.join(format!("{name}.sock"));
        let listener = UnixListener::bind(&socket).with_context(|| socket.display().to_string())?;
        let shared = Arc::<Shared>::default();
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                // A connection that breaks is the engine's to make anew.
                thread::spawn(move || shared.serve(&stream));
            }
        });
        Ok(Self { socket, shared })
    }

    /// Returns how many times it was asked to create a volume.
    pub fn creates(&self) -> usize {
        self.shared.state().creates
    }

    /// Has it answer from now on, also what it was asked before.
    pub fn release(&self) {
        self.shared.state().released = true;
        self.shared.released.notify_all();
    }
}

impl Drop for VolumePlugin {
    fn drop(&mut self) {
        self.release();
        if self.socket.exists() {
            complain(fs::remove_file(&self.socket).map_err(Into::into));
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers the requests of one connection.
    fn serve(&self, stream: &UnixStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut request = String::new();
            if reader.read_line(&mut request)? == 0 {
                return Ok(());
            }
            let mut length = 0;
            loop {
                let mut header = String::new();
                reader.read_line(&mut header)?;
                let header = header.trim().to_ascii_lowercase();
                if header.is_empty() {
                    break;
                }
                if let Some(value) = header.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or_default();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            let asked = serde_json::from_slice(&body).unwrap_or_default();
            let method = request.split_whitespace().nth(1).unwrap_or_default();
            let answer = self.answer(method, &asked).to_string();
            let mut stream = stream;
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.plugins.v1.2+json\r\n\
                 Content-Length: {}\r\n\r\n{answer}",
                answer.len()
            )?;
        }
    }

    fn answer(&self, method: &str, asked: &Value) -> Value {
        let name = asked["Name"].as_str().unwrap_or_default().to_owned();
        let shown = |name: &String| json!({"Name": name, "Mountpoint": ""});
        match method {
            "/Plugin.Activate" => json!({"Implements": ["VolumeDriver"]}),
            "/VolumeDriver.Capabilities" => json!({"Capabilities": {"Scope": "local"}}),
            "/VolumeDriver.Create" => {
                let mut state = self.state();
                state.creates += 1;
                let mut state = self
                    .released
                    .wait_while(state, |state| !state.released)
                    .unwrap_or_else(PoisonError::into_inner);
                state.volumes.insert(name);
                json!({"Err": ""})
            }
            "/VolumeDriver.Remove" => {
                self.state().volumes.remove(&name);
                json!({"Err": ""})
            }
            "/VolumeDriver.List" => {
                let volumes: Vec<Value> = self.state().volumes.iter().map(shown).collect();
                json!({"Volumes": volumes, "Err": ""})
            }
            "/VolumeDriver.Get" if self.state().volumes.contains(&name) => {
                json!({"Volume": shown(&name), "Err": ""})
            }
            _ => json!({"Err": "no such volume"}),
        }
    }
}
