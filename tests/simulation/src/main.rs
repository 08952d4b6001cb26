//! A deterministic simulation of the cluster: the node's own code in one thread, on a simulated network, disk and clock,
//! while members lose power, disks fail, links break, clocks jump, and clients ask for everything there is.
//!
//! Two phases. *Safety*: whatever happens, no promise may break. *Liveness*: a majority is mended and the rest stays broken
//! for good; charges must succeed again within [`LIVENESS`]. In the end all members that are not lost come together, and the
//! whole history is checked. One process a seed; the same seed gives the same trace.
//!
//! Exit 0 where every promise held, 4 where one was broken, 1 where too little happened to say so, 2 for wrong usage.

#[cfg(not(tokio_unstable))]
compile_error!("run cargo inside tests/simulation: its .cargo/config.toml sets a flag that makes runs repeatable");

mod accounts;
mod book;
mod check;
mod client;
mod door;
mod faults;
mod host;
mod http;
mod links;
mod market;
mod operator;
mod proxy;
mod run;
mod shown;
mod story;
mod swarm;
mod watch;
mod world;

use std::process::ExitCode;
use std::time::Duration;

/// The node's own; also a tenth faster here.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Longest real time of one simulated millisecond, and of the checks at the end. It takes less than a thousandth.
const STANDSTILL: Duration = Duration::from_secs(20);

/// How one seed ended.
pub struct Ended {
    /// One line of figures.
    pub summary: String,
    /// The fingerprint of all that happened.
    pub trace: String,
    /// The story around what broke; empty where nothing did.
    pub story: Vec<String>,
    /// Why the run says nothing, where it does not.
    pub invalid: Option<String>,
}

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
    let Ended { summary, trace, story, invalid } = run::run(arguments.seed, arguments.seconds);
    for line in &story {
        println!("{line}");
    }
    println!("seed {} trace {trace}: {summary}", arguments.seed);
    match invalid {
        _ if !story.is_empty() => ExitCode::from(4),
        Some(why) => {
            println!("INVALID: {why}");
            ExitCode::from(1)
        }
        None => ExitCode::SUCCESS,
    }
}

/// Simulated time that does not move is a member that spins without a pause: a broken promise like others.
#[expect(clippy::disallowed_methods, reason = "it watches the simulation from outside")]
fn watch_progress(seed: u64) {
    std::thread::spawn(move || {
        let mut before = u64::MAX;
        loop {
            std::thread::sleep(STANDSTILL);
            let steps = world::STEPS.load(std::sync::atomic::Ordering::Relaxed);
            if steps == before {
                println!("BROKEN: a member spins: step {steps} did not end within {STANDSTILL:?}");
                println!("seed {seed} trace none: stood still");
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
        _ => Err("a seed, and perhaps seconds".to_owned()),
    }
}
