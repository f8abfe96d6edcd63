//! A server for tests that answers as it is told, also wrongly.
#![expect(
    clippy::unwrap_in_result,
    reason = "the helpers of a test may fail as the test does"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Method and path with query.
    pub(super) line: String,
    /// In small letters, with their values.
    pub(super) headers: Vec<(String, String)>,
    pub(super) content: Vec<u8>,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map_or("", |(_, value)| value)
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// Status, headers and content.
    Whole(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Half of it, and the connection is cut.
    Half(Vec<u8>),
    /// Half of it, and nothing more.
    Stalled(Vec<u8>),
    /// Nothing, and what is sent is not read.
    Deaf,
}

impl Reply {
    pub(super) fn ok(content: impl Into<Vec<u8>>) -> Self {
        Self::Whole(200, vec![], content.into())
    }

    pub(super) fn status(status: u16) -> Self {
        Self::Whole(status, vec![], vec![])
    }
}

type Answers = dyn Fn(usize, &Asked) -> Reply + Send + Sync;

/// A server. Its threads end when its clients are gone.
pub(super) struct Fake {
    /// Such as `http://127.0.0.1:1234`.
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// Starts a server that answers by the number of requests before and the request.
    pub(super) fn start(answers: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (answers, log): (Arc<Answers>, _) = (Arc::new(answers), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answers, log) = (Arc::clone(&answers), Arc::clone(&log));
                // A client that goes is no error.
                thread::spawn(move || drop(serve(&stream.unwrap(), &*answers, &log)));
            }
        });
        Self { url, asked }
    }

    /// Returns what was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(stream: &TcpStream, answers: &Answers, log: &Mutex<Vec<Asked>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(": ") else {
                break;
            };
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        let mut asked = Asked {
            line,
            headers,
            content: Vec::new(),
        };
        let before = log.lock().unwrap().len();
        let reply = answers(before, &asked);
        if !matches!(reply, Reply::Deaf) {
            let length = asked.header("content-length").parse().unwrap_or(0);
            asked.content = vec![0; length];
            reader.read_exact(&mut asked.content)?;
        }
        let is_head = asked.line.starts_with("HEAD");
        log.lock().unwrap().push(asked);
        let begin = |status: u16, length: usize| {
            format!("HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\n")
        };
        match reply {
            Reply::Whole(status, headers, content) => {
                let mut head = begin(status, content.len());
                for (name, value) in headers {
                    head = format!("{head}{name}: {value}\r\n");
                }
                stream.write_all(format!("{head}\r\n").as_bytes())?;
                if !is_head {
                    stream.write_all(&content)?;
                }
            }
            Reply::Half(content) => {
                write!(stream, "{}\r\n", begin(200, content.len()))?;
                return stream.write_all(&content[..content.len() / 2]);
            }
            Reply::Stalled(content) => {
                write!(stream, "{}\r\n", begin(200, content.len()))?;
                stream.write_all(&content[..content.len() / 2])?;
                return wait(&mut reader);
            }
            Reply::Deaf => loop {
                thread::park();
            },
        }
    }
}

/// Waits until the client is gone.
fn wait(reader: &mut BufReader<&TcpStream>) -> std::io::Result<()> {
    reader.read_to_end(&mut Vec::new()).map(drop)
}
