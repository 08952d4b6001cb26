//! Charges that the program `etebar` drives and records while an operator works, and the proof that none was lost.

use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::scripts::{Ended, ScriptCluster, run};
use crate::api::caller::unique;
use crate::wait::eventually;

/// Recorded charges over the nodes that the cluster had at its start; ended and proven by [`Charges::prove`].
#[derive(Debug)]
pub struct Charges {
    load: Option<Child>,
    record: String,
}

impl Charges {
    /// Begins, and waits until charges are answered. They end by themselves after five minutes.
    #[track_caller]
    pub fn start(cluster: &ScriptCluster) -> Charges {
        let path = |name: &str| cluster.dir.join(unique(name)).display().to_string();
        let (sellers, record) = (path("sellers"), path("charges"));
        run(&mut cluster.etebar(&["load", "--prepare", "8", "--sellers-file", &sellers])).success();
        let arguments = ["--json", "load", "--sellers-file", &sellers, "--seconds", "300", "--record", &record];
        let mut load = cluster.etebar(&arguments);
        let load = load.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the load starts");
        let charges = Charges { load: Some(load), record };
        charges.wait_for_more();
        charges
    }

    /// A line each.
    fn count(&self) -> usize {
        std::fs::read_to_string(&self.record).map_or(0, |text| text.lines().count())
    }

    /// Charges go on at the cluster as it is now.
    #[track_caller]
    pub fn wait_for_more(&self) {
        let before = self.count();
        eventually("charges to go on", || self.count() > before + 50);
    }

    /// Ends the load, and proves from its record that each charge was done once, and none was refused or left open.
    #[track_caller]
    pub fn prove(mut self, cluster: &ScriptCluster) {
        let load = self.load.take().expect("it runs");
        kill_process(Pid::from_child(&load), Signal::INT).expect("the load runs");
        let report = Ended::from(load.wait_with_output().expect("it ends")).json();
        assert_eq!(report["unanswered"], 0, "{report}");
        let prove = ["--json", "--timeout", "60s", "prove", "--record", &self.record];
        let proof = run(&mut cluster.etebar(&prove)).json();
        for nothing in ["lost", "doubled", "negative", "unanswered", "refused"] {
            assert_eq!(proof[nothing], 0, "{proof}");
        }
        let verified = run(&mut cluster.etebar(&["--json", "verify"])).json();
        assert_eq!(verified["verdict"], "kept", "{verified}");
    }
}

impl Drop for Charges {
    fn drop(&mut self) {
        if let Some(mut load) = self.load.take() {
            // A failing test has said what is wrong already.
            drop(load.kill());
            drop(load.wait());
        }
    }
}
