//! A small HTTP/1.1 caller over a plain socket, which sends exactly what it is given and keeps the answer as bytes.
//!
//! Of its own, not the client library's: a scenario compares answers byte for byte and sends what no library would.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longest wait for a connection, and for each piece of an answer. Source: a node's own 10 s for a request, and some more.
pub const ANSWER_WAIT: Duration = Duration::from_secs(15);

/// What to send.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `POST` and so on.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// Names and values, in the order in which they are sent.
    pub headers: Vec<(String, String)>,
    /// Sent with its length; a `POST` without one says that it has length 0.
    pub body: Option<Vec<u8>>,
}

impl Request {
    /// A request without header fields of its own and without a body.
    pub fn new(method: &'static str, path: impl Into<String>) -> Request {
        Request { method, path: path.into(), headers: Vec::new(), body: None }
    }

    /// A `GET`.
    pub fn get(path: impl Into<String>) -> Request {
        Request::new("GET", path)
    }

    /// A `POST`.
    pub fn post(path: impl Into<String>) -> Request {
        Request::new("POST", path)
    }

    /// With this header field, beside any others of that name.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Request {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With this API key.
    #[must_use]
    pub fn bearer(self, key: &str) -> Request {
        self.header("Authorization", format!("Bearer {key}"))
    }

    /// With this idempotency key.
    #[must_use]
    pub fn key(self, key: &str) -> Request {
        self.header("Idempotency-Key", key)
    }

    /// With this body.
    #[must_use]
    pub fn json(self, body: &Value) -> Request {
        self.raw_json(body.to_string())
    }

    /// A body that calls itself JSON, whatever it is.
    #[must_use]
    pub fn raw_json(self, body: impl Into<Vec<u8>>) -> Request {
        self.header("Content-Type", "application/json").body(body)
    }

    /// With these bytes as its body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = Some(body.into());
        self
    }

    /// Sends it over a connection of its own.
    pub fn send(&self, address: SocketAddr) -> io::Result<Response> {
        Connection::open(address, ANSWER_WAIT)?.send(self)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\nHost: test\r\n", self.method, self.path).into_bytes();
        for (name, value) in &self.headers {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if self.body.is_some() || self.method == "POST" {
            let length = self.body.as_ref().map_or(0, Vec::len);
            out.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.body.as_deref().unwrap_or_default());
        out
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names and values, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body, whole; chunks are joined.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether it is the answer to an earlier request under the same key.
    pub fn replayed(&self) -> bool {
        self.header("Idempotency-Replayed") == Some("true")
    }

    /// The position that the answer reflects; panics where it does not say.
    #[track_caller]
    pub fn applied(&self) -> u64 {
        self.header("Etebar-Applied").and_then(|text| text.parse().ok()).expect("every answer names its position")
    }

    /// The body as JSON; panics where it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The same response, which must have this status.
    #[track_caller]
    #[allow(clippy::return_self_not_must_use, reason = "often its status alone is used")]
    pub fn expect(self, status: u16) -> Response {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// The code of the problem that it must be, with all that every problem has.
    #[track_caller]
    pub fn code(&self) -> String {
        assert_eq!(self.header("Content-Type"), Some("application/problem+json"), "{}: {}", self.status, self.text());
        let problem = self.json();
        let code = problem["code"].as_str().expect("a problem has a code").to_owned();
        assert_eq!(problem["status"], self.status, "{problem}");
        assert_eq!(problem["type"], format!("/problems/{}", code.replace('_', "-")), "{problem}");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        assert!(problem["retryable"].is_boolean(), "{problem}");
        code
    }

    /// The status and code together, as tables of errors state them.
    #[track_caller]
    pub fn refusal(&self) -> (u16, String) {
        (self.status, self.code())
    }
}

/// One open connection, used for one request after the other.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects; `wait` bounds that, and each read and write.
    pub fn open(address: SocketAddr, wait: Duration) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, wait)?;
        stream.set_read_timeout(Some(wait))?;
        stream.set_write_timeout(Some(wait))?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream: BufReader::new(stream) })
    }

    /// Sends a request and reads its answer.
    pub fn send(&mut self, request: &Request) -> io::Result<Response> {
        // A node may answer and close before it has read all of a body that it refuses: then the answer counts.
        let sent = self.write(&request.bytes());
        match self.read(request.method) {
            Ok(response) => Ok(response),
            Err(error) => sent.and(Err(error)),
        }
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads one answer to a request of that method.
    pub fn read(&mut self, method: &str) -> io::Result<Response> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|text| text.parse().ok()).ok_or_else(|| broken("status line"))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| broken("header"))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut response = Response { status, headers, body: Vec::new() };
        if method != "HEAD" && status != 204 {
            response.body = self.body(&response)?;
        }
        Ok(response)
    }

    /// True where the node has closed the connection, after at most the wait given at `open`.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.stream.fill_buf(), Ok(bytes) if bytes.is_empty())
    }

    fn body(&mut self, response: &Response) -> io::Result<Vec<u8>> {
        if response.header("Transfer-Encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return self.chunks();
        }
        let mut body = Vec::new();
        match response.header("Content-Length").map(str::parse) {
            Some(Ok(length)) => {
                body.resize(length, 0);
                self.stream.read_exact(&mut body)?;
            }
            Some(Err(_)) => return Err(broken("content length")),
            None => drop(self.stream.read_to_end(&mut body)?),
        }
        Ok(body)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line()?, 16).map_err(|_| broken("chunk"))?;
            let start = body.len();
            body.resize(start + length, 0);
            self.stream.read_exact(&mut body[start..])?;
            self.line()?;
            if length == 0 {
                return Ok(body);
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("unreadable {what}"))
}
