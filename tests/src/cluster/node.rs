//! One node as a process: started, killed, paused, ended.

use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::api::http::{Connection, Request, Response};
use crate::faults::clocks;
use crate::faults::failing_disk::{self, DiskFault};
use crate::faults::network;
use crate::machine::programs;
use crate::machine::spawner;
use crate::wait::{self, until};

/// A node of a cluster, whether it runs or not.
#[derive(Debug)]
pub struct Node {
    /// Its number.
    pub id: u64,
    /// Where its API listens.
    pub api: SocketAddr,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// The file that its output goes to.
    pub log: PathBuf,
    /// Environment variables of its process.
    pub settings: Vec<(String, String)>,
    /// It runs in a network of its own, see [`network::Network`].
    pub in_network: bool,
    /// The build that it is started as; none is that of now.
    program: Mutex<Option<PathBuf>>,
    process: Mutex<Process>,
}

#[derive(Debug, Default)]
struct Process {
    child: Option<Child>,
    paused: bool,
}

impl Node {
    /// A node that does not run yet.
    pub fn new(id: u64, api: SocketAddr, data_dir: PathBuf, log: PathBuf, settings: Vec<(String, String)>) -> Node {
        let (in_network, program, process) = (false, Mutex::default(), Mutex::default());
        Node { id, api, data_dir, log, settings, in_network, program, process }
    }

    /// Starts it and waits until it answers `/livez`; panics where it ends instead.
    #[track_caller]
    pub fn start(&self) {
        self.launch();
        until(wait::PATIENCE, &format!("node {} to live", self.id), || {
            assert!(self.runs(), "node {} ended at its start:\n{}", self.id, self.log_tail(20));
            self.quick("/livez").filter(|answer| answer.status == 200)
        });
    }

    /// Starts its process without waiting for anything.
    #[track_caller]
    pub fn launch(&self) {
        let mut process = self.process();
        assert!(process.child.is_none(), "node {} runs already", self.id);
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("its log can be opened");
        let mut command = self.command();
        command.arg("run").arg("--data-dir").arg(&self.data_dir);
        if !self.in_network {
            command.envs(self.settings.iter().cloned());
        }
        command.stdin(Stdio::null()).stdout(clone(&log)).stderr(log);
        process.child = Some(spawner::spawn(command).expect("the node's program starts"));
    }

    /// Lets it be started as another build from now on.
    pub fn become_build(&self, program: &Path) {
        *self.program.lock().unwrap_or_else(PoisonError::into_inner) = Some(program.to_owned());
    }

    fn command(&self) -> Command {
        let other = self.program.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let program = other.unwrap_or_else(|| programs::programs().node.clone());
        if !self.in_network {
            return programs::clean_command(program);
        }
        let mut command = network::command(self.id);
        // The libraries are for the node, not for what starts it.
        command.arg("env").args(self.settings.iter().map(|(name, value)| format!("{name}={value}"))).arg(program);
        command
    }

    /// SIGKILL, and waits for its end. A node that does not run stays so.
    pub fn kill(&self) {
        let mut process = self.process();
        if let Some(mut child) = process.child.take() {
            child.kill().expect("a child can be killed");
            child.wait().expect("a killed child ends");
        }
        process.paused = false;
    }

    /// SIGTERM; its exit status within `limit`.
    #[track_caller]
    pub fn terminate(&self, limit: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_end(limit)
    }

    /// Its exit status, which must come within `limit`.
    #[track_caller]
    pub fn wait_end(&self, limit: Duration) -> ExitStatus {
        let status = until(limit, &format!("node {} to end", self.id), || {
            self.process().child.as_mut().expect("it was started").try_wait().expect("a child can be asked")
        });
        self.process().child = None;
        status
    }

    /// SIGSTOP; returns when all its threads have stopped, so that it sees nothing that is sent from then on.
    #[track_caller]
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        self.process().paused = true;
        let tasks = format!("/proc/{}/task", self.pid().expect("only a running node is paused"));
        until(wait::PATIENCE, &format!("node {} to stop", self.id), || {
            let tasks = fs::read_dir(&tasks).expect("a stopped process is there");
            tasks.flatten().all(|task| is_stopped(&task.path())).then_some(())
        });
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process().paused = false;
        self.signal(Signal::CONT);
    }

    /// Sends a signal to its process, which must run.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let process = self.process();
        let child = process.child.as_ref().expect("only a running node takes a signal");
        // The child was not waited for, so its number is still its own.
        kill_process(Pid::from_child(child), signal).expect("a child takes a signal");
    }

    /// Makes its disk fail in this way from now on, or work again; its cluster was planned with disk faults.
    pub fn set_disk_fault(&self, fault: DiskFault) {
        failing_disk::set(&failing_disk::file_beside(&self.log), fault);
    }

    /// Sets its clock so many seconds ahead of the right time; its cluster was planned with clocks.
    pub fn set_clock(&self, ahead_seconds: i64) {
        clocks::set(&clocks::file_beside(&self.log), ahead_seconds);
    }

    /// True while its process lives, paused or not.
    pub fn runs(&self) -> bool {
        match &mut self.process().child {
            Some(child) => child.try_wait().expect("a child can be asked").is_none(),
            None => false,
        }
    }

    /// True between [`Node::pause`] and [`Node::resume`].
    pub fn is_paused(&self) -> bool {
        self.process().paused
    }

    /// Its process number, where it was started and not ended since.
    pub fn pid(&self) -> Option<u32> {
        self.process().child.as_ref().map(Child::id)
    }

    /// Asks without a key and without patience: `None` where no answer came within a second.
    pub fn quick(&self, path: &str) -> Option<Response> {
        Connection::open(self.api, Duration::from_secs(1)).ok()?.send(&Request::get(path)).ok()
    }

    /// The last lines of its log, without those of its Raft library at level INFO.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().filter(|line| !line.contains(" INFO openraft")).collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the log of node {} ends:\n{}", self.id, self.log_tail(15));
        }
        self.kill();
    }
}

/// True where the thread of this folder in /proc has stopped.
fn is_stopped(task: &Path) -> bool {
    let stat = fs::read_to_string(task.join("stat")).expect("a stopped thread is there");
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state == Some('T')
}

fn clone(file: &File) -> File {
    file.try_clone().expect("a file handle can be cloned")
}
