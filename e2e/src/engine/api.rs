//! Talking to an engine: by the Docker command line, and by its API as it is on the wire.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::engine::Engine;
use crate::program::{self, tool};

/// How long one command or request may take.
const LIMIT: Duration = Duration::from_mins(2);

/// The names of busybox in the image: unpacking all 300 of them takes the newest engine 0.4 s
/// longer.
const APPLETS: [&str; 38] = [
    "arp", "arping", "cat", "chmod", "chown", "cp", "date", "dd", "df", "du", "echo", "env",
    "false", "find", "grep", "head", "hostname", "httpd", "id", "ip", "kill", "ln", "ls", "mkdir",
    "mount", "mv", "nc", "nslookup", "ping", "ps", "rm", "sh", "sleep", "stat", "test", "touch",
    "true", "wget",
];

/// An engine's answer to a request that may fail.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body: parsed when it is JSON, a string otherwise, null when it is empty.
    pub body: Value,
}

impl Answer {
    /// Gives the body of a 2xx answer and an error with everything the engine said otherwise.
    pub fn ok(self) -> Result<Value> {
        ensure!(
            (200..300).contains(&self.status),
            "the engine answered {}: {}",
            self.status,
            self.body
        );
        Ok(self.body)
    }
}

impl Engine {
    /// Runs `docker` with these arguments against this engine and gives its standard output,
    /// trimmed.
    pub fn docker(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String> {
        let mut command = program::command(program::require("docker")?, args);
        command
            .env("DOCKER_HOST", self.docker_host())
            // Contexts and credentials of this machine's user stay out.
            .env("DOCKER_CONFIG", self.folder());
        let printed = program::run(&command, LIMIT)?.ok()?;
        Ok(printed.trim().to_owned())
    }

    /// Runs `docker` and parses its standard output, as `inspect` and `--format '{{json .}}'` print
    /// it.
    pub fn docker_json(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Value> {
        let printed = self.docker(args)?;
        serde_json::from_str(&printed).with_context(|| format!("docker printed no JSON: {printed}"))
    }

    /// Gets `path` (without version, such as `/networks`); anything but a 2xx answer is an error.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.request("GET", path, None)?.ok()
    }

    /// Posts `body` as JSON to `path`.
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.request("POST", path, Some(body))
    }

    /// Deletes `path`.
    pub fn delete(&self, path: &str) -> Result<Answer> {
        self.request("DELETE", path, None)
    }

    /// Sends one request of the engine's API in its newest version.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let mut args = vec!["--request".to_owned(), method.to_owned()];
        if let Some(body) = body {
            args.extend(
                [
                    "--header",
                    "Content-Type: application/json",
                    "--data-binary",
                ]
                .map(str::to_owned),
            );
            args.push(body.to_string());
        }
        self.curl(path, &args)
    }

    /// Loads the image `busybox:local`: `/bin/busybox` under the names that tests use most; it
    /// sleeps unless told otherwise.
    pub fn import_busybox(&self) -> Result<()> {
        let archive = self.folder().join("busybox.tar");
        let root = self.folder().join("busybox");
        let busybox = program::require("busybox")?;
        fs::create_dir_all(root.join("bin"))?;
        fs::copy(&busybox, root.join("bin/busybox"))?;
        for applet in APPLETS {
            symlink("busybox", root.join("bin").join(applet))?;
        }
        let (from, to) = (root.display().to_string(), archive.display().to_string());
        tool(
            "tar",
            ["--create", "--file", &to, "--directory", &from, "bin"],
        )?;
        fs::remove_dir_all(root)?;
        let data = [
            "--header".to_owned(),
            "Content-Type: application/x-tar".to_owned(),
            "--data-binary".to_owned(),
            format!("@{to}"),
        ];
        let sleep = "CMD%20%5B%22sleep%22%2C%221000000%22%5D";
        let path = format!("/images/create?fromSrc=-&repo=busybox&tag=local&changes={sleep}");
        let said = self.curl(&path, &data)?.ok()?;
        fs::remove_file(archive)?;
        // The engine answers 200 and tells a failure in the stream of its progress.
        ensure!(
            !said.to_string().contains("errorDetail"),
            "import failed: {said}"
        );
        Ok(())
    }

    /// Runs a container of `busybox:local` in the background and gives its id; without `command` it
    /// sleeps.
    ///
    /// `options` are those of `docker run`. The container ends at once when it is stopped: a first
    /// process ignores SIGTERM, and each stop would take ten seconds.
    pub fn run_container(&self, name: &str, options: &[&str], command: &[&str]) -> Result<String> {
        let first = ["run", "--detach", "--stop-signal", "KILL", "--name", name];
        self.docker([&first[..], options, &["busybox:local"], command].concat())
    }

    /// Gives the newest version of the API that the engine speaks, such as `1.41`.
    pub fn api_version(&self) -> Result<String> {
        let version = self.get("/version")?;
        let api = version.get("ApiVersion").and_then(Value::as_str);
        Ok(api
            .context("the engine did not report a version")?
            .to_owned())
    }

    /// Asks for a sign of life, without starting a program for it.
    pub(super) fn ping(&self) -> Result<(), String> {
        let ask = || -> std::io::Result<String> {
            let mut stream = UnixStream::connect(self.socket())?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET /_ping HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        match ask() {
            Ok(answer) if answer.contains(" 200 OK\r\n") => Ok(()),
            Ok(answer) => Err(format!("it answered {answer:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    fn curl(&self, path: &str, args: &[String]) -> Result<Answer> {
        let mut command = program::command(
            program::require("curl")?,
            [
                "--silent",
                "--show-error",
                "--write-out",
                "\n%{http_code}",
                "--unix-socket",
            ],
        );
        command
            .arg(self.socket())
            .args(args)
            .arg(format!("http://engine{path}"));
        let printed = program::run(&command, LIMIT)?.ok()?;
        let (body, status) = printed
            .rsplit_once('\n')
            .context("curl printed no status")?;
        let body = match body.trim() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
        };
        Ok(Answer {
            status: status.parse()?,
            body,
        })
    }
}
