//! The part of HTTP/1.1 that the requests and responses of these measurements need.

use std::io::BufRead;

use anyhow::{Context as _, Result, bail, ensure};

/// One message: a request or a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// The first line, such as `GET /_ping HTTP/1.1` or `HTTP/1.1 200 OK`.
    pub(crate) start: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Returns a part of the first line: method (0) and path (1) of a request, status (1) of a
    /// response.
    pub(crate) fn word(&self, number: usize) -> &str {
        self.start.split(' ').nth(number).unwrap_or_default()
    }
}

/// Reads one message; `None` at the end of the stream.
///
/// A chunked body is refused. No call here has one.
pub(crate) fn read(stream: &mut impl BufRead) -> Result<Option<Message>> {
    let start = line(stream)?;
    if start.is_empty() {
        return Ok(None);
    }
    let mut length = 0;
    loop {
        let header = line(stream)?;
        let Some((name, value)) = header.split_once(':') else {
            ensure!(header.is_empty(), "this is no header: {header:?}");
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().context("a bad content-length")?,
            "transfer-encoding" => bail!("a body in chunks after {start:?}"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some(Message { start, body }))
}

fn line(stream: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_follow_each_other_on_one_connection() {
        let mut stream =
            &b"POST /v1.41/volumes/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}\
            GET /_ping HTTP/1.1\r\nhost: x\r\n\r\n"[..];
        let first = read(&mut stream).unwrap().unwrap();
        assert_eq!(
            (first.word(0), first.word(1)),
            ("POST", "/v1.41/volumes/create")
        );
        assert_eq!(first.body, b"{}");
        assert_eq!(read(&mut stream).unwrap().unwrap().word(1), "/_ping");
        assert_eq!(read(&mut stream).unwrap(), None);
    }

    #[test]
    fn a_body_in_chunks_is_refused() {
        let mut stream = &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"[..];
        assert!(read(&mut stream).is_err());
    }
}
