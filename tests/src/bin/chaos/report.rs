//! The end of a run: the drawing, the proof, and the verdict.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;
use tests::machine::programs;

use crate::arguments::Arguments;
use crate::end::End;
use crate::faults::catalogue::Fault;
use crate::load::as_admin;
use crate::run::Run;

/// Seconds of a run for each fault that it has at least. Source: a fault with its healing takes 3 to 10 s; a run that had far
/// fewer did not test much.
const SECONDS_A_FAULT: u64 = 15;
/// Answers in a second that a run has at least.
const ANSWERS_A_SECOND: u64 = 10;

/// Prints the report; an error where a promise was broken or too little happened.
pub(crate) fn report(run: &Run, arguments: &Arguments, done: &[Fault], given: &[String]) -> Result<(), End> {
    println!();
    let drawn = plot(run, arguments, &[]).status().map_err(|error| End::failed(format!("plot: {error}")))?;
    if !drawn.success() {
        return Err(End::failed("the load could not be drawn"));
    }
    println!();
    for id in run.cluster.ids() {
        if !run.is_ready(id) {
            return Err(End::failed(format!("node {id} is not ready: {}", run.node(id).log_tail(1))));
        }
    }
    let mut prove = as_admin(&run.cluster);
    prove.args(["--timeout", "120s", "prove", "--record"]).args(run.loads.records());
    let proven = prove.status().map_err(|error| End::failed(format!("prove: {error}")))?;
    println!();
    print_faults(done);
    print_stops(&stops(run, arguments)?);
    if !proven.success() {
        let code = proven.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        return Err(End::with(
            code,
            format!("A PROMISE IS BROKEN (exit {code}); the same faults: chaos.sh {}", given.join(" ")),
        ));
    }
    let (faults, answers, seconds) = (done.len() as u64, run.loads.counted(), arguments.seconds);
    if faults < seconds / SECONDS_A_FAULT || answers < ANSWERS_A_SECOND * seconds {
        let text = format!("TOO LITTLE HAPPENED: {faults} faults and {answers} answers in {seconds} s prove nothing");
        return Err(End::with(1, text));
    }
    println!("every promise held; seed {}; drawn in {}", run.seed, arguments.svg.display());
    Ok(())
}

fn plot(run: &Run, arguments: &Arguments, flags: &[&str]) -> Command {
    let mut plot = programs::clean_command(&programs::programs().client);
    plot.args(flags).args(["plot", "--record"]).args(run.loads.records()).arg("--marks").arg(run.marks());
    plot.arg("--output").arg(&arguments.svg).args(["--title", &format!("Etebar under chaos, seed {}", run.seed)]);
    plot
}

fn print_faults(done: &[Fault]) {
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    for fault in done {
        *kinds.entry(fault.name()).or_default() += 1;
    }
    let counted: Vec<String> = kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    println!("{} faults of {} kinds: {}", done.len(), kinds.len(), counted.join(", "));
}

/// For how long each fault stopped charges, in milliseconds, the shortest first.
fn stops(run: &Run, arguments: &Arguments) -> Result<Vec<u64>, End> {
    let output = plot(run, arguments, &["--json"]).output().map_err(|error| End::failed(format!("plot: {error}")))?;
    let plotted: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| End::failed(format!("plot: {error}")))?;
    let marks = plotted["marks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut stops: Vec<u64> = marks.iter().filter_map(|mark| mark["stopped_ms"].as_u64()).collect();
    stops.sort_unstable();
    Ok(stops)
}

fn print_stops(stops: &[u64]) {
    if let Some(worst) = stops.last() {
        let median = stops[stops.len().saturating_sub(1) / 2];
        println!("charges stopped for {median} ms in the median of all faults, {worst} ms at worst");
    }
}
