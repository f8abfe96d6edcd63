//! The bare loop: recorded requests, one after the other over one connection.

use std::io::{BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::http::{self, Message};

/// Time limit of one response.
const LIMIT: Duration = Duration::from_mins(1);

/// Sends each recorded request, waits for its response, and returns the total time. Every status
/// except 201 is an error.
pub(crate) fn replay(socket: &Path, requests: &[Message]) -> Result<Duration> {
    let begin = Instant::now();
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut answers = BufReader::new(stream.try_clone()?);
    for request in requests {
        let mut bytes = format!(
            "{}\r\nHost: engine\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            request.start,
            request.body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(&request.body);
        stream.write_all(&bytes)?;
        let answer = http::read(&mut answers)?.context("the engine closed the connection")?;
        ensure!(
            answer.word(1) == "201",
            "{} was answered with {}: {}",
            request.start,
            answer.start,
            String::from_utf8_lossy(&answer.body)
        );
    }
    Ok(begin.elapsed())
}
