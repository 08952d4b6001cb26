//! A deterministic simulation of the cluster: the node's own code in one thread, on a simulated network, disk and clock,
//! while nodes lose power, disks fail, links break, clocks jump, and clients send every kind of operation.
//!
//! Two phases. *Safety*: whatever happens, no guarantee may be violated. *Liveness*: a majority is repaired and the rest stays
//! faulty permanently; charges must succeed again within ten seconds. In the end all nodes that are not lost must converge, and
//! the whole history is checked. One process a seed; the same seed gives the same trace.
//!
//! Exit 0 where every guarantee held, 4 where one was violated, 1 where the run is inconclusive, 2 for wrong usage.

#![expect(clippy::cast_possible_truncation, reason = "a run has few nodes, records and milliseconds")]

#[cfg(not(tokio_unstable))]
compile_error!("run cargo inside tests/simulation: its .cargo/config.toml sets a flag that makes runs reproducible");

mod checks;
mod clients;
mod command_port;
mod faults;
mod history;
mod network;
mod plan;
mod run;
mod world;

use std::process::ExitCode;
use std::time::Duration;

use run::RunResult;

/// The same allocator as the node's; it is also a tenth faster here.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Longest real time of one simulated millisecond, and of the checks at the end. It takes less than a thousandth.
const STANDSTILL: Duration = Duration::from_secs(20);

struct Arguments {
    seed: u64,
    seconds: u64,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(std::env::var("RUST_LOG").unwrap_or_else(|_| "off".to_owned()))
        .with_writer(std::io::stderr)
        .without_time()
        .with_ansi(false)
        .init();
    let arguments = match read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(what) => {
            eprintln!("{what}\nusage: simulation SEED [SECONDS]");
            return ExitCode::from(2);
        }
    };
    watch_progress(arguments.seed);
    let RunResult { summary, trace_hash, trace, invalid } = run::run(arguments.seed, arguments.seconds);
    for line in &trace {
        println!("{line}");
    }
    println!("seed {} trace {trace_hash}: {summary}", arguments.seed);
    match invalid {
        _ if !trace.is_empty() => ExitCode::from(4),
        Some(why) => {
            println!("INVALID: {why}");
            ExitCode::from(1)
        }
        None => ExitCode::SUCCESS,
    }
}

/// Simulated time that does not advance means that a node spins without a pause, which is a violation like others.
#[expect(clippy::disallowed_methods, reason = "it watches the simulation from outside")]
fn watch_progress(seed: u64) {
    std::thread::spawn(move || {
        let mut before = u64::MAX;
        loop {
            std::thread::sleep(STANDSTILL);
            let steps = world::STEPS.load(std::sync::atomic::Ordering::Relaxed);
            if steps == before {
                println!("BROKEN: a node spins: step {steps} did not end within {STANDSTILL:?}");
                println!("seed {seed} trace none: simulated time did not advance");
                std::process::exit(4);
            }
            before = steps;
        }
    });
}

fn read(words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let numbers: Result<Vec<u64>, String> =
        words.map(|word| word.parse().map_err(|_| format!("{word} is not a number"))).collect();
    match *numbers? {
        [seed] => Ok(Arguments { seed, seconds: 20 }),
        [seed, seconds] => Ok(Arguments { seed, seconds }),
        _ => Err("a seed is needed, and seconds may follow".to_owned()),
    }
}
