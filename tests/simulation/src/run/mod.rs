//! One seed from its start to its end: its phases, its checks and its summary.

mod final_checks;
mod operations;
mod phases;

use std::time::Duration;

use crate::history::events::AttemptOutcome;
use crate::history::report;
use crate::plan::Plan;
use crate::world::World;
use operations::attempts;

/// Longest wait for the first sellers, before there is any fault.
const SETUP: Duration = Duration::from_secs(15);
/// With fewer decisions a run is inconclusive.
const DECISIONS_MIN: usize = 60;
/// With fewer faults a run is inconclusive.
const FAULTS_MIN: u64 = 5;

/// How one seed ended.
pub struct RunResult {
    /// Figures of the run, in one line.
    pub summary: String,
    /// The hash of all that happened.
    pub trace_hash: String,
    /// The trace up to the first violation; empty where there is none.
    pub trace: Vec<String>,
    /// Why the run is inconclusive, where it is.
    pub invalid: Option<String>,
}

/// Runs a seed for about so many simulated seconds.
pub fn run(seed: u64, seconds: u64) -> RunResult {
    let plan = Plan::draw(seed);
    let mut world = World::new(&plan);
    report::exit_on_panic(&world.recorder, seed);
    let mut invalid = None;
    let mut recovered_ms = 0;
    if world.wait(SETUP, |world| world.workload.state().is_ready) {
        let length = Duration::from_secs(seconds);
        world.correct_late_clocks();
        world.safety(length * 7 / 10);
        recovered_ms = world.liveness(length * 3 / 10);
        world.converge();
    } else {
        invalid = Some("the first sellers were not created".to_owned());
    }
    let digest = world.check_history();
    let history = world.recorder.history();
    let faults: u64 = world.injected.values().sum();
    let decisions = attempts(&history.operations).filter(|(_, outcome)| outcome.is_decided()).count();
    if invalid.is_none() && (decisions < DECISIONS_MIN || faults < FAULTS_MIN) {
        invalid = Some(format!("{decisions} decisions and {faults} faults are too few"));
    }
    let over_http =
        attempts(&history.operations).filter(|(_, outcome)| matches!(outcome, AttemptOutcome::Http(_))).count();
    let summary = format!(
        "{} nodes, {decisions} decisions of {} operations, {over_http} over HTTP, {} reads, {faults} faults of {} kinds, {} terms, {} membership changes, recovered in {recovered_ms} ms, {} ms in all",
        plan.nodes,
        history.operations.len(),
        history.port_reads.len() + history.http_reads.len(),
        world.injected.len(),
        world.observer.terms(),
        world.operator.changes(),
        world.recorder.now_ms(),
    );
    let trace = report::lines(&history);
    drop(history);
    let trace_hash = world.recorder.trace_hash(&digest);
    // The process ends soon; hosts that panicked cannot be shut down in order.
    std::mem::forget(world);
    RunResult { summary, trace_hash, trace, invalid }
}
