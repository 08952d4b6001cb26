//! One raw HTTP/1.1 connection: bytes out, status and body in. Knows only what a node of ours answers with
//! (`content-length`, no chunks), so that the load generator leaves the cores to the nodes.

use std::io;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use etebar::{Endpoint, Failure, Stream};

use etebar::api::NODE;

/// Longest head of an answer.
const HEAD_BYTES: usize = 16 * 1024;
/// Largest body of an answer. Source: the results of a batch of 8,000 stay below 8 MiB.
const BODY_BYTES: usize = 16 * 1024 * 1024;

/// A connection that carries one request at a time.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Stream,
    buffer: Vec<u8>,
}

/// An answer; its body lies in the connection's buffer until the next request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
    /// The server closes the connection after it.
    pub(crate) closes: bool,
}

impl Wire {
    pub(crate) async fn connect(endpoint: &Endpoint) -> Result<Wire, Failure> {
        Ok(Wire { stream: endpoint.dial().await?, buffer: Vec::with_capacity(4 * 1024) })
    }

    /// Sends `request` and reads the whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Reply<'_>> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.buffer.clear();
        let head = loop {
            self.read_more().await?;
            if let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") {
                break AnswerHead::parse(&self.buffer[..end + 2], end + 4)?;
            }
            if self.buffer.len() > HEAD_BYTES {
                return Err(unreadable("the head is too long"));
            }
        };
        if !head.names_node {
            return Err(unreadable("an answer that names no node"));
        }
        let whole = head.body_at + head.body_bytes;
        while self.buffer.len() < whole {
            self.read_more().await?;
        }
        if self.buffer.len() > whole {
            return Err(unreadable("more bytes than the answer has"));
        }
        Ok(Reply { status: head.status, body: &self.buffer[head.body_at..whole], closes: head.closes })
    }

    async fn read_more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct AnswerHead {
    status: u16,
    body_at: usize,
    body_bytes: usize,
    closes: bool,
    /// It is a node's own.
    names_node: bool,
}

impl AnswerHead {
    /// Reads a head whose every line ends with CR LF.
    fn parse(bytes: &[u8], body_at: usize) -> io::Result<AnswerHead> {
        let mut lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        let first = lines.next().unwrap_or_default();
        let digits = first.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
        let status = digits.and_then(number).ok_or_else(|| unreadable("no status"))?;
        let status = u16::try_from(status).map_err(|_| unreadable("no status"))?;
        let mut head = AnswerHead { status, body_at, body_bytes: 0, closes: false, names_node: false };
        for line in lines {
            let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"content-length") {
                head.body_bytes = number(value).ok_or_else(|| unreadable("no length"))?;
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                return Err(unreadable("chunks"));
            } else if name.eq_ignore_ascii_case(NODE.as_bytes()) {
                head.names_node = true;
            } else if name.eq_ignore_ascii_case(b"connection") {
                head.closes = value.eq_ignore_ascii_case(b"close");
            }
        }
        if head.body_bytes > BODY_BYTES {
            return Err(unreadable("the body is too long"));
        }
        Ok(head)
    }
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn unreadable(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_status_length_close_and_whether_a_node_gave_it() {
        let text = b"HTTP/1.1 201 Created\r\nContent-Length: 12\r\nconnection: close\r\nEtebar-Node: 2\r\n";
        let head = AnswerHead::parse(text, 99).unwrap();
        assert_eq!(head, AnswerHead { status: 201, body_at: 99, body_bytes: 12, closes: true, names_node: true });
    }

    #[test]
    fn what_is_no_answer_of_a_node_is_refused() {
        for text in [
            "",
            "SSH-2.0\r\n",
            "HTTP/1.1 2x1 no\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n",
        ] {
            assert!(AnswerHead::parse(text.as_bytes(), 0).is_err(), "{text:?}");
        }
    }
}
