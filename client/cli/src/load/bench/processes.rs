//! Several processes for one run: the first starts the others, hands each its job, and merges what they counted.
//!
//! Each line on a pipe is one message: the job and `go` in, `ready` and the tally out. A process whose standard input ends
//! stops, so none outlives the first. Secrets go through pipes and the environment, never into arguments.

use std::env;
use std::io::BufRead as _;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::drive::tally::Tally;
use super::drive::{GRACE, Job};
use crate::arguments::Global;
use crate::output;
use crate::output::error::CliError;
use crate::session::Session;

/// Longest time for a process to start and to open its connections.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// Longest time after its last request for a process to hand over its tally.
const TALLY_WITHIN: Duration = Duration::from_secs(10);
const READY: &str = "ready";
const GO: &str = "go";

/// Another process of this run. It is killed where this is dropped.
struct Part {
    number: u32,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Drives a run in as many processes as its plan says.
pub(crate) async fn drive(session: &Session, global: &Global, job: Job) -> Result<Tally, CliError> {
    let length = Duration::from_secs(u64::from(job.plan.warm_up_seconds) + u64::from(job.plan.seconds));
    let mut parts = Vec::new();
    for share in 1..job.plan.processes {
        parts.push(Part::start(global, &Job { share, ..job.clone() }).await?);
    }
    let ready = job.prepare(&session.client).await?;
    for part in &mut parts {
        part.expect_ready().await?;
    }
    for part in &mut parts {
        part.say(GO).await?;
    }
    let mut tasks = JoinSet::new();
    tasks.spawn(ready.run());
    for part in parts {
        tasks.spawn(part.tally(length + GRACE + TALLY_WITHIN));
    }
    let mut tally = Tally::default();
    // Where one fails, all others are stopped: what they measured would not be what was asked for.
    while let Some(joined) = tasks.join_next().await {
        tally.merge(&joined.map_err(|error| CliError::local(error.to_string()))??);
    }
    Ok(tally)
}

impl Part {
    async fn start(global: &Global, job: &Job) -> Result<Part, CliError> {
        let number = job.share + 1;
        let failed = |error: std::io::Error| CliError::local(format!("process {number} cannot be started: {error}"));
        let mut command = Command::new(env::current_exe().map_err(failed)?);
        command.args(["--json", "bench", "--part"]).env("ETEBAR_SERVER", global.server.join(","));
        match &global.ca {
            Some(file) => command.env("ETEBAR_CA", file),
            None => command.env_remove("ETEBAR_CA"),
        };
        if let Some(key) = &global.key {
            command.env("ETEBAR_KEY", key);
        }
        // A group of its own: Ctrl-C on a terminal reaches the first process, and its end ends the others.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut part = Part { number, child, input, output };
        let job = serde_json::to_string(job).map_err(|error| CliError::local(error.to_string()))?;
        part.say(&job).await?;
        Ok(part)
    }

    async fn say(&mut self, message: &str) -> Result<(), CliError> {
        let line = format!("{message}\n");
        match self.input.write_all(line.as_bytes()).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.ended(&error.to_string())),
        }
    }

    async fn hear(&mut self, within: Duration) -> Result<String, CliError> {
        let mut line = String::new();
        match timeout(within, self.output.read_line(&mut line)).await {
            Ok(Ok(bytes)) if bytes > 0 => Ok(line),
            Ok(Ok(_)) => match timeout(TALLY_WITHIN, self.child.wait()).await {
                Ok(Ok(status)) => Err(self.ended(&status.to_string())),
                Ok(Err(error)) => Err(self.ended(&error.to_string())),
                Err(_) => Err(self.ended("it closed its output")),
            },
            Ok(Err(error)) => Err(self.ended(&error.to_string())),
            Err(_) => Err(self.ended(&format!("no word within {within:?}"))),
        }
    }

    async fn expect_ready(&mut self) -> Result<(), CliError> {
        let said = self.hear(READY_WITHIN).await?;
        if said.trim_end() == READY { Ok(()) } else { Err(self.ended("it is another program")) }
    }

    async fn tally(mut self, within: Duration) -> Result<Tally, CliError> {
        let said = self.hear(within).await?;
        serde_json::from_str(&said).map_err(|error| self.ended(&format!("its tally: {error}")))
    }

    /// What it charged is not known then, so nothing can be said of the books.
    fn ended(&self, why: &str) -> CliError {
        CliError::Unproven(format!("process {} of the bench ended before its result: {why}", self.number))
    }
}

/// The other side: one of several processes, driven by the first.
pub(crate) async fn part(session: &Session) -> Result<(), CliError> {
    let mut lines = lines();
    let usage = || CliError::usage("--part is for the processes that bench starts by itself");
    let job = lines.recv().await.ok_or_else(usage)?;
    let job: Job = serde_json::from_str(&job).map_err(|_| usage())?;
    let ready = job.prepare(&session.client).await?;
    output::write(&format!("{READY}\n"))?;
    let alone = || CliError::local("the first process of the bench has ended");
    if lines.recv().await.as_deref() != Some(GO) {
        return Err(alone());
    }
    let tally = tokio::select! {
        tally = ready.run() => tally?,
        _ = lines.recv() => return Err(alone()),
    };
    let text = serde_json::to_string(&tally).map_err(|error| CliError::local(error.to_string()))?;
    output::write(&format!("{text}\n"))?;
    Ok(())
}

/// Lines of standard input. Read by a thread of its own: the runtime would await its end.
fn lines() -> mpsc::Receiver<String> {
    let (lines, received) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    received
}
