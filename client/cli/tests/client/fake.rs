//! A server that answers as a test sets it, and records its requests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Method, path and query.
    pub line: String,
    pub key: Option<String>,
    pub authorization: Option<String>,
    pub body: String,
}

/// For a call that ends by its time-out: long enough for one attempt at least on a machine that is busy otherwise.
pub(crate) const ENOUGH: Duration = Duration::from_secs(2);
/// The same for the program.
pub(crate) const ENOUGH_TEXT: &str = "2s";

/// What to do about a request.
#[derive(Debug, Clone)]
pub(crate) enum Reaction {
    /// Status, head lines, body; as node 1 gives it, unless a line names another.
    Answer(u16, Vec<&'static str>, String),
    /// The same, and the connection is closed without saying so.
    AnswerAndClose(u16, String),
    /// The connection is closed without an answer.
    Break,
    /// No answer, for as long as the caller stays.
    NoAnswer,
}

/// A running fake. It ends with the test's process.
pub(crate) struct Fake {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    forgets_cluster: bool,
}

/// The request for the key window.
const CLUSTER: &str = "GET /v1/cluster";

impl Fake {
    /// `react` is given each request and how many came before it.
    pub(crate) fn start(react: impl Fn(&Asked, usize) -> Reaction + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, react) = (Arc::clone(&asked), Arc::new(react));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, react) = (Arc::clone(&log), Arc::clone(&react));
                std::thread::spawn(move || serve(stream, &log, &*react));
            }
        });
        Fake { url, asked, forgets_cluster: false }
    }

    /// The same, as a node whose cluster remembers keys for a day: it answers that request by itself, and does not
    /// record it.
    pub(crate) fn node(react: impl Fn(&Asked, usize) -> Reaction + Send + Sync + 'static) -> Fake {
        let before = AtomicUsize::new(0);
        let mut fake = Fake::start(move |asked, _| {
            if asked.line == CLUSTER {
                let body = r#"{"leader":1,"term":1,"applied":9,"version":"0","members":[],"key_window_seconds":86400}"#;
                return Reaction::Answer(200, vec![], body.to_owned());
            }
            react(asked, before.fetch_add(1, Ordering::SeqCst))
        });
        fake.forgets_cluster = true;
        fake
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap().clone();
        asked.into_iter().filter(|asked| !self.forgets_cluster || asked.line != CLUSTER).collect()
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Asked>>, react: &dyn Fn(&Asked, usize) -> Reaction) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read(&mut reader) {
        let before = {
            let mut log = log.lock().unwrap();
            log.push(asked.clone());
            log.len() - 1
        };
        let (status, lines, body, close) = match react(&asked, before) {
            Reaction::Answer(status, lines, body) => (status, lines, body, false),
            Reaction::AnswerAndClose(status, body) => (status, Vec::new(), body, true),
            Reaction::Break => return,
            Reaction::NoAnswer => {
                // The caller's end of the connection ends the wait.
                let _ = reader.read(&mut [0]);
                return;
            }
        };
        let kind = if status < 400 { "application/json" } else { "application/problem+json" };
        let mut head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n", body.len());
        for line in &lines {
            head += line;
            head += "\r\n";
        }
        if !lines.iter().any(|line| line.starts_with("etebar-node: ")) {
            head.push_str("etebar-node: 1\r\n");
        }
        if write!(writer, "{head}\r\n{body}").is_err() || close {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let first = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut asked = Asked { line: first, key: None, authorization: None, body: String::new() };
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "idempotency-key" => asked.key = Some(value.to_owned()),
            "authorization" => asked.authorization = Some(value.to_owned()),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8(body).ok()?;
    Some(asked)
}

/// A charge as a node answers it.
pub(crate) const CHARGE: &str = r#"{"id":"00000000-0000-0000-0000-000000000001","entry":7,"seller_id":"00000000-0000-0000-0000-000000000002","phone":"+989123456789","amount":"5000","balance":"700000","reference":null,"created_at":"2026-01-31T08:30:00.000Z"}"#;

/// A problem as a node answers it.
pub(crate) fn problem(code: &str, status: u16) -> String {
    format!(
        r#"{{"type":"/problems/{}","code":"{code}","title":"T","status":{status},"detail":"so it is","retryable":false}}"#,
        code.replace('_', "-")
    )
}

/// An address where no server is. A port below 1024, since one that was free just now may be the next test's.
pub(crate) fn nowhere() -> String {
    "http://127.0.0.1:1".to_owned()
}
