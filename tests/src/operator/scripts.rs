//! The scripts of folder `cluster-scripts` and the program `etebar`, run as an operator runs them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::api::caller::Caller;
use crate::cluster::Cluster;
use crate::machine::place::{Folder, Ports};
use crate::machine::programs::{self, programs};
use crate::wait;

/// A cluster that up.sh started; its nodes are killed and its folder is deleted when it is dropped.
#[derive(Debug)]
pub struct ScriptCluster {
    /// What the scripts take as `--dir`.
    pub dir: PathBuf,
    /// Its ports.
    pub ports: Ports,
    _folder: Folder,
}

/// What a program said and how it ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ended {
    /// What it printed; it must have succeeded.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        self.out
    }
}

impl Ended {
    /// The JSON that it printed; it must have succeeded.
    #[track_caller]
    pub fn json(self) -> Value {
        let text = self.success();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// The command of a script, without the settings of our environment.
pub fn script(name: &str) -> Command {
    programs::clean_command(programs::root().join("cluster-scripts").join(name))
}

/// The client program, as the admin of that cluster. Settings come after: `.args(…)`.
pub fn etebar(cluster: &Cluster) -> Command {
    let mut command = programs::clean_command(&programs().client);
    command.env("ETEBAR_SERVER", cluster.servers()).env("ETEBAR_KEY", &cluster.admin_key);
    command
}

/// Runs a command to its end.
#[track_caller]
pub fn run(command: &mut Command) -> Ended {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}")).into()
}

impl ScriptCluster {
    /// A place for a cluster, in which nothing is yet.
    pub fn new(name: &str) -> ScriptCluster {
        let folder = Folder::new(name);
        ScriptCluster { dir: folder.path().join("cluster"), ports: Ports::take(), _folder: folder }
    }

    /// Runs a script on it.
    #[track_caller]
    pub fn run(&self, name: &str, arguments: &[&str]) -> Ended {
        run(script(name).args(arguments).arg("--dir").arg(&self.dir))
    }

    /// Runs up.sh on its ports.
    #[track_caller]
    pub fn up(&self) -> Ended {
        self.run("up.sh", &["--port", &self.ports.base.to_string()])
    }

    /// What cluster.json says now.
    #[track_caller]
    pub fn description(&self) -> Value {
        let text = std::fs::read_to_string(self.dir.join("cluster.json")).expect("there is a cluster.json");
        serde_json::from_str(&text).expect("it is JSON")
    }

    /// The process number of node `id`, as cluster.json has it.
    #[track_caller]
    pub fn pid(&self, id: u64) -> u64 {
        let description = self.description();
        let mut nodes = description["nodes"].as_array().expect("a list of nodes").iter();
        let node = nodes.find(|node| node["id"] == id).expect("a node of this cluster");
        node["pid"].as_u64().expect("a process number")
    }

    /// All nodes of cluster.json, as `--server` takes them.
    #[track_caller]
    pub fn servers(&self) -> String {
        let description = self.description();
        let nodes = description["nodes"].as_array().expect("a list of nodes");
        nodes.iter().map(|node| node["api"].as_str().expect("an address")).collect::<Vec<_>>().join(",")
    }

    /// The client program with these arguments, as the admin.
    #[track_caller]
    pub fn etebar(&self, arguments: &[&str]) -> Command {
        let mut command = programs::clean_command(&programs().client);
        let key = self.description()["admin_key"].as_str().expect("an admin key").to_owned();
        command.args(arguments).env("ETEBAR_SERVER", self.servers()).env("ETEBAR_KEY", key);
        command
    }

    /// Whether that node's process lives.
    pub fn runs(&self, id: u64) -> bool {
        is_running(self.pid(id))
    }

    /// The admin, calling that node.
    #[track_caller]
    pub fn admin(&self, id: u64) -> Caller {
        let key = self.description()["admin_key"].as_str().expect("an admin key").to_owned();
        Caller { address: SocketAddr::from(([127, 0, 0, 1], self.ports.api(id))), key }
    }

    /// The leader, as any node knows it; waits for one.
    #[track_caller]
    pub fn leader(&self) -> u64 {
        wait::until(wait::PATIENCE, "a leader", || {
            let answers = (1..=3).filter_map(|id| self.admin(id).try_get("/v1/cluster").ok());
            answers.filter(|answer| answer.status == 200).find_map(|answer| answer.json()["leader"].as_u64())
        })
    }
}

impl Drop for ScriptCluster {
    fn drop(&mut self) {
        if self.dir.join("cluster.json").exists() {
            // Best effort: a failing test has said what is wrong already.
            let _ = script("down.sh").arg("--wipe").arg("--dir").arg(&self.dir).output();
        }
    }
}

/// True where a process with that number lives and is no zombie.
pub fn is_running(pid: u64) -> bool {
    std::fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).is_ok_and(|line| !line.is_empty())
}
