//! A Prometheus server of the machine, scraping a cluster, as an operator would run it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::api::http::{Connection, Request};
use crate::machine::programs;
use crate::machine::spawner;
use crate::wait::{self, until};

/// A running server; it is killed when this is dropped.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    log: PathBuf,
    child: Child,
}

/// Longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(5);

impl Prometheus {
    /// Starts one that scrapes `targets` each second as job `etebar` and goes by the rules in the file `rules`; its data and its
    /// log are in `folder`. Waits until it is ready.
    #[track_caller]
    pub fn start(folder: &Path, port: u16, targets: &[SocketAddr], rules: &Path) -> Prometheus {
        let targets: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
        let config = format!(
            "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files: [\"{}\"]\nscrape_configs:\n  \
             - job_name: etebar\n    static_configs:\n      - targets: [{}]\n",
            rules.display(),
            targets.join(", ")
        );
        let file = folder.join("prometheus.yml");
        fs::write(&file, config).expect("the settings can be written");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let log = folder.join("prometheus.log");
        let output = File::create(&log).expect("its log can be made");
        let mut command = programs::clean_command("prometheus");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()));
        command.arg(format!("--web.listen-address={address}")).arg("--log.level=warn");
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("a file can be cloned")).stderr(output);
        let child = spawner::spawn(command).expect("prometheus starts: apt-get install prometheus");
        let server = Prometheus { address, log, child };
        until(wait::PATIENCE, "prometheus to be ready", || server.get("/-/ready").filter(|(status, _)| *status == 200));
        server
    }

    /// The samples that an expression gives now; panics where it is no expression.
    #[track_caller]
    pub fn samples(&self, expression: &str) -> Vec<Value> {
        let answer = until(wait::PATIENCE, "an answer of prometheus", || {
            self.get(&format!("/api/v1/query?query={}", percent_encoded(expression)))
        });
        let body: Value = serde_json::from_str(&answer.1).expect("prometheus answers JSON");
        assert_eq!(body["status"], "success", "{expression}: {body}\n{}", self.log_text());
        body["data"]["result"].as_array().expect("a vector").clone()
    }

    /// The targets that answered their last scrape.
    pub fn healthy_targets(&self) -> usize {
        self.samples("up == 1").len()
    }

    fn log_text(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn get(&self, path: &str) -> Option<(u16, String)> {
        let answer = Connection::open(self.address, ANSWER).ok()?.send(&Request::get(path)).ok()?;
        Some((answer.status, answer.text()))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // One that ended by itself is waited for all the same.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs Prometheus's own tool; what it said, which must be a success.
#[track_caller]
pub fn promtool(arguments: &[&str]) -> String {
    let mut command: Command = programs::clean_command("promtool");
    let output = command.args(arguments).output().expect("promtool starts: apt-get install prometheus");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}:\n{said}");
    said
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
