//! S3-compatible storage: moto's server behind a check of signatures, with a log and faults on demand
//! (`tests/python/s3_server.py`).

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::api::http::{Connection, Request, Response};
use crate::machine::{programs, spawner};
use crate::wait::eventually;

/// The version of moto. `cluster-scripts/test.sh` installs it.
const MOTO: &str = "5.2.1";
/// The credentials that it takes.
const CREDENTIALS: (&str, &str) = ("AKIAETEBARTEST", "a/secret+of=the+tests");
/// Longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A running server with one bucket, `books`; it is killed when this is dropped.
#[derive(Debug)]
pub struct Storage {
    port: u16,
    folder: PathBuf,
    child: Child,
}

impl Storage {
    /// Starts one, whose files are in `folder`.
    #[track_caller]
    pub fn start(folder: &Path) -> Storage {
        let storage = Storage::launch(folder, &[]);
        storage.send(Request::new("PUT", "/books")).expect(200);
        storage
    }

    /// Starts one with TLS, under this certificate and key. It has no bucket.
    #[track_caller]
    pub fn start_tls(folder: &Path, certificate: &Path, key: &Path) -> Storage {
        Storage::launch(folder, &[certificate, key])
    }

    #[track_caller]
    fn launch(folder: &Path, files: &[&Path]) -> Storage {
        let folder = folder.join("storage");
        fs::create_dir_all(&folder).expect("its folder");
        let python = programs::target().join(format!("tools/python-moto-{MOTO}/bin/python"));
        assert!(python.exists(), "moto {MOTO} is not installed: cluster-scripts/test.sh installs it");
        let mut command = programs::clean_command(python);
        command.arg(programs::root().join("tests/python/s3_server.py")).arg(&folder);
        command.args([CREDENTIALS.0, CREDENTIALS.1]).args(files).env("PYTHONDONTWRITEBYTECODE", "1");
        let errors = File::create(folder.join("errors")).expect("its log");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let mut child = spawner::spawn(command).expect("python starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut line).expect("its port");
        let said = fs::read_to_string(folder.join("errors")).unwrap_or_default();
        let port = line.trim().parse().unwrap_or_else(|error| panic!("{error}: {line}{said}"));
        Storage { port, folder, child }
    }

    /// Where it is, as `--s3-endpoint` takes it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The same command with its credentials in the environment, and its place.
    pub fn with<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("AWS_ACCESS_KEY_ID", CREDENTIALS.0).env("AWS_SECRET_ACCESS_KEY", CREDENTIALS.1);
        command.env_remove("AWS_SESSION_TOKEN").env_remove("AWS_REGION");
        command.env("AWS_ENDPOINT_URL_S3", self.url())
    }

    /// What must be in no output.
    pub fn secret(&self) -> &'static str {
        CREDENTIALS.1
    }

    /// The keys of all objects of the bucket, in their order.
    #[track_caller]
    pub fn keys(&self) -> Vec<String> {
        let list = self.send(Request::get("/books?list-type=2")).expect(200).text();
        let keys = list.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
        keys.map(str::to_owned).collect()
    }

    /// How many multipart uploads are unfinished.
    #[track_caller]
    pub fn unfinished(&self) -> usize {
        self.send(Request::get("/books?uploads")).expect(200).text().matches("<UploadId>").count()
    }

    /// The bytes of an object.
    #[track_caller]
    pub fn object(&self, key: &str) -> Vec<u8> {
        self.send(Request::get(format!("/books/{key}"))).expect(200).body
    }

    /// Puts these bytes in place of an object.
    #[track_caller]
    pub fn put(&self, key: &str, bytes: &[u8]) {
        self.send(Request::new("PUT", format!("/books/{key}")).body(bytes)).expect(200);
    }

    /// Has the requests that match wait until [`Storage::release`].
    pub fn hold(&self, pattern: &str) {
        fs::write(self.folder.join("hold"), pattern).expect("it is written");
    }

    /// Waits until a request is held.
    #[track_caller]
    pub fn wait_held(&self) {
        eventually("a request that is held", || self.folder.join("held").exists());
    }

    /// Ends the hold: what was held is not done.
    pub fn release(&self) {
        for name in ["hold", "held"] {
            fs::remove_file(self.folder.join(name)).expect("something was held");
        }
    }

    /// Has so many requests that match answered with this status and code, such as `503 SlowDown`.
    pub fn fail(&self, count: usize, answer: &str, pattern: &str) {
        fs::write(self.folder.join("fail"), format!("{count} {answer} {pattern}")).expect("it is written");
    }

    /// How many requests of the log match: each a line `METHOD PATH?QUERY STATUS`.
    pub fn logged(&self, matches: impl Fn(&str) -> bool) -> usize {
        self.log().lines().filter(|line| matches(line)).count()
    }

    /// All requests so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    #[track_caller]
    fn send(&self, request: Request) -> Response {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let sent = Connection::open(address, ANSWER).and_then(|mut open| open.send(&request.header("X-Test", "yes")));
        sent.expect("the storage answers")
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // One that ended by itself is waited for all the same.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
