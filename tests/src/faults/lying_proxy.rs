//! A proxy that forwards a request and then answers something else: pages, problems of its own, old and broken answers.
//!
//! The node has answered by then: so after a false answer no client may report that the command was not done.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longest wait for a piece of a message. Source: a node's own 10 s for a request, and some more.
const WAIT: Duration = Duration::from_secs(15);
/// Largest message. Source: a body of a node is smaller.
const BYTES: u64 = 32 * 1024 * 1024;

/// One false answer.
#[derive(Debug)]
pub struct Lie {
    /// What it is, for messages of tests.
    pub name: &'static str,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// This answer, whatever the node said: its status line's rest, its header lines, its body.
    Page(&'static str, &'static [&'static str], &'static str),
    /// These bytes.
    Raw(&'static str),
    /// The node's answer, changed.
    Changed(fn(&str) -> String),
}

const HTML: &str = "content-type: text/html";
const TEXT: &str = "content-type: text/plain";
const JSON: &str = "content-type: application/json";
const PROBLEM: &str = "content-type: application/problem+json";
/// An old answer to another caller.
const OTHERS: &str = r#"{"id":"00000000-0000-8000-8000-000000000009","entry":9,"seller_id":"00000000-0000-8000-8000-000000000008","phone":"+989350000009","amount":"99","balance":"1","created_at":"2026-01-31T08:30:00.000Z"}"#;

/// What proxies answer in a node's place.
pub static LIES: [Lie; 39] = [
    page("503 as text", "503 X", &[TEXT], "upstream connect error"),
    page("503 in JSON that is no problem", "503 X", &[JSON], r#"{"error":"no healthy upstream"}"#),
    page("503 overloaded without a node id", "503 X", &[PROBLEM, "retry-after: 1"], OVERLOADED),
    page("503 no_leader without a node id", "503 X", &[PROBLEM], NO_LEADER),
    page("503 of a node, as a page", "503 X", &[HTML, "etebar-node: 1"], "<html>"),
    page("503 of a node, with an unknown code", "503 X", &[PROBLEM, "etebar-node: 1"], UNKNOWN_CODE),
    page("503 of a node, with the code of another status", "503 X", &[PROBLEM, "etebar-node: 1"], INSUFFICIENT),
    page("502", "502 Bad Gateway", &[HTML], "<html>"),
    page("504", "504 Gateway Timeout", &[HTML], "<html>"),
    page("507", "507 X", &[HTML], "<html>"),
    page("500", "500 X", &[HTML], "<html>"),
    page("500 of a node", "500 X", &[PROBLEM, "etebar-node: 1"], INTERNAL),
    page("429", "429 Too Many Requests", &[HTML, "retry-after: 1"], "slow down"),
    page("413", "413 X", &[HTML], "too large"),
    page("400, bare", "400 Bad Request", &["connection: close"], ""),
    page("408, bare", "408 Request Timeout", &["connection: close"], ""),
    page("431, bare", "431 X", &["connection: close"], ""),
    page("400", "400 Bad Request", &[HTML], "bad"),
    page("401", "401 Unauthorized", &[HTML, "www-authenticate: Basic"], "who are you"),
    page("401 unauthenticated without a node id", "401 X", &[PROBLEM], UNAUTHENTICATED),
    page("403", "403 Forbidden", &[HTML], "no"),
    page("404", "404 Not Found", &[HTML], "no such page"),
    page("405", "405 X", &[HTML, "allow: GET"], ""),
    page("409", "409 Conflict", &[HTML], "conflict"),
    page("409 insufficient_credit without a node id", "409 X", &[PROBLEM], INSUFFICIENT),
    page("422", "422 X", &[JSON], "{}"),
    page("301", "301 X", &["location: http://127.0.0.1:1/"], ""),
    page("307", "307 X", &["location: /elsewhere"], ""),
    page("200 page", "200 OK", &[HTML], "<html>welcome</html>"),
    page("202", "202 Accepted", &[JSON, "etebar-node: 1"], "{}"),
    page("204", "204 No Content", &[], ""),
    page("201 of another charge, out of a cache", "201 X", &[JSON, "etebar-node: 1", "age: 7"], OTHERS),
    page("201 of another charge", "201 X", &[JSON, "etebar-node: 1"], OTHERS),
    Lie { name: "no node is named", form: Form::Changed(|answer| answer.replacen("etebar-node:", "x-was:", 1)) },
    Lie { name: "the answer to another request", form: Form::Changed(another_request) },
    Lie { name: "cut short", form: Form::Changed(|answer| answer[..answer.len() - 9].to_owned()) },
    Lie {
        name: "two answers",
        form: Form::Changed(|answer| format!("HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n{answer}")),
    },
    Lie { name: "broken chunks", form: Form::Raw(BROKEN_CHUNKS) },
    Lie { name: "a 100 and no more", form: Form::Raw("HTTP/1.1 100 Continue\r\n\r\n") },
];

const OVERLOADED: &str =
    r#"{"type":"/problems/overloaded","code":"overloaded","title":"T","status":503,"detail":"d","retryable":true}"#;
const NO_LEADER: &str =
    r#"{"type":"/problems/no-leader","code":"no_leader","title":"T","status":503,"detail":"d","retryable":true}"#;
const UNKNOWN_CODE: &str =
    r#"{"type":"/problems/asleep","code":"asleep","title":"T","status":503,"detail":"d","retryable":true}"#;
const INSUFFICIENT: &str = r#"{"type":"/problems/insufficient-credit","code":"insufficient_credit","title":"T","status":409,"detail":"d","retryable":false,"balance":"1"}"#;
const INTERNAL: &str =
    r#"{"type":"/problems/internal","code":"internal","title":"T","status":500,"detail":"d","retryable":false}"#;
const UNAUTHENTICATED: &str = r#"{"type":"/problems/unauthenticated","code":"unauthenticated","title":"T","status":401,"detail":"d","retryable":false}"#;
const BROKEN_CHUNKS: &str =
    "HTTP/1.1 201 X\r\netebar-node: 1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}";

const fn page(name: &'static str, status: &'static str, lines: &'static [&'static str], body: &'static str) -> Lie {
    Lie { name, form: Form::Page(status, lines, body) }
}

/// The same answer under a name that a client made for another request.
fn another_request(answer: &str) -> String {
    let line = answer.lines().find(|line| line.starts_with("x-request-id:")).unwrap_or_default();
    answer.replacen(line, "x-request-id: etb-00000000000000aa-0", 1)
}

impl Lie {
    fn bytes(&self, answer: &str) -> Vec<u8> {
        let text = match &self.form {
            Form::Page(status, lines, body) => {
                let lines: String = lines.iter().flat_map(|line| [line, "\r\n"]).collect();
                let length = if status.starts_with("204") {
                    String::new()
                } else {
                    format!("content-length: {}\r\n", body.len())
                };
                format!("HTTP/1.1 {status}\r\n{lines}{length}\r\n{body}")
            }
            Form::Raw(text) => (*text).to_owned(),
            Form::Changed(change) => change(answer),
        };
        text.into_bytes()
    }
}

/// Which requests get a false answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Those that may move something.
    Writes,
    /// Those and reads.
    Everything,
}

/// A running proxy. It ends with the test's process.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    lie: Arc<Mutex<Option<(&'static Lie, About)>>>,
    falsified: Arc<AtomicUsize>,
}

impl Proxy {
    /// A proxy before that node, honest at first.
    pub fn before(node: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let proxy = Proxy { address, lie: Arc::default(), falsified: Arc::default() };
        let (lie, falsified) = (Arc::clone(&proxy.lie), Arc::clone(&proxy.falsified));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (lie, falsified) = (Arc::clone(&lie), Arc::clone(&falsified));
                // A caller that goes away, or a node that does, ends its connection and nothing else.
                std::thread::spawn(move || drop(serve(&stream, node, &lie, &falsified)));
            }
        });
        proxy
    }

    /// Its address as `--server` takes it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Gives this false answer from now on.
    pub fn falsify(&self, lie: &'static Lie, about: About) {
        *self.lie.lock().unwrap_or_else(PoisonError::into_inner) = Some((lie, about));
    }

    /// Forwards the node's answers unchanged from now on.
    pub fn be_honest(&self) {
        *self.lie.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How many answers it has falsified.
    pub fn falsified(&self) -> usize {
        self.falsified.load(Ordering::SeqCst)
    }
}

fn serve(
    stream: &TcpStream,
    node: SocketAddr,
    lie: &Mutex<Option<(&'static Lie, About)>>,
    falsified: &AtomicUsize,
) -> io::Result<()> {
    let mut caller = BufReader::new(stream.try_clone()?);
    while let Some(request) = message(&mut caller)? {
        let mut behind = TcpStream::connect(node)?;
        behind.set_read_timeout(Some(WAIT))?;
        behind.write_all(&request)?;
        let answer = message(&mut BufReader::new(behind))?.unwrap_or_default();
        let lie = *lie.lock().unwrap_or_else(PoisonError::into_inner);
        let is_read = request.starts_with(b"GET ");
        match lie.filter(|(_, about)| *about == About::Everything || !is_read) {
            None => (&*stream).write_all(&answer)?,
            Some((lie, _)) => {
                falsified.fetch_add(1, Ordering::SeqCst);
                (&*stream).write_all(&lie.bytes(&String::from_utf8_lossy(&answer)))?;
                return stream.shutdown(std::net::Shutdown::Write);
            }
        }
    }
    Ok(())
}

/// A head and its body as they came; `None` at the end of the connection.
fn message(stream: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let mut length = 0;
    loop {
        let start = bytes.len();
        if stream.by_ref().take(BYTES).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&bytes[start..]).to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    stream.by_ref().take(length).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}
