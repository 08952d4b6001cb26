//! Breaks a cluster of real processes on purpose, under load, and proves that every promise was kept: `cluster-scripts/chaos.sh`
//! builds this program and runs it; what it does, and its arguments, stand at the head of that script.
//!
//! Invariant: however it ends, by itself or by SIGINT or SIGTERM, it leaves no process, mount or folder behind, but for the
//! drawing and, after a failure, a folder that it names. All random choices follow the seed.
//!
//! Read in this order: [`arguments`], [`faults::catalogue`], [`machine`] (what can be done here), [`run`] (the cluster, the load, what every fault
//! uses), [`faults`], [`report`].

mod arguments;
mod end;
mod faults;
mod load;
mod machine;
mod report;
mod run;
mod signals;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tests::Folder;
use tests::wait::let_pass;

use arguments::Arguments;
use end::End;
use faults::catalogue::{Deck, Fault};
use machine::Machine;
use run::Run;

/// Time without a fault at the end, so that the last one's effect is seen whole.
const AFTERMATH: Duration = Duration::from_secs(5);
/// Pause between two faults.
const BETWEEN_FAULTS: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    // A failure that the kit finds has said what it is.
    let ended = std::panic::catch_unwind(chaos).unwrap_or_else(|_| Err(End::already_printed()));
    signals::let_finish();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(end) => {
            end.print();
            ExitCode::from(end.code)
        }
    }
}

fn chaos() -> Result<(), End> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let arguments = Arguments::parse(&given)?;
    if arguments.list {
        for fault in Fault::ALL {
            println!("{}", fault.name());
        }
        return Ok(());
    }
    if let Some(folder) = arguments.svg.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|_| End::failed(format!("--svg: there is no place for {}", arguments.svg.display())))?;
    }
    let machine = Machine::prepare(&arguments, &given)?;
    let faults = machine.faults(&arguments)?;
    let names: Vec<&str> = faults.iter().map(|fault| fault.name()).collect();
    eprintln!(
        "seed {}, {} s, {} nodes, faults: {}",
        arguments.seed,
        arguments.seconds,
        arguments.nodes,
        names.join(" ")
    );
    let work = Folder::below(&std::env::temp_dir(), &format!("etebar-chaos.{}", std::process::id()));
    signals::end_well(work.path());
    let mut run = Run::start(&arguments, &machine, work.path().to_owned())?;
    let ended = played(&mut run, &arguments, Deck::new(faults), &given);
    if ended.is_err() {
        keep(&run.work);
    }
    ended
}

/// The faults, one after the other, and the verdict.
fn played(run: &mut Run, arguments: &Arguments, mut deck: Deck, given: &[String]) -> Result<(), End> {
    let mut done = Vec::new();
    run.charges_are_back()?;
    while run.begun.elapsed() + AFTERMATH < Duration::from_secs(arguments.seconds) {
        let fault = deck.draw(&mut run.dice);
        faults::play(fault, run)?;
        run.healed()?;
        done.push(fault);
        let_pass(BETWEEN_FAULTS);
    }
    let_pass(AFTERMATH);
    // A last fault may outlast the given time; the loads continue until it is over, and end here.
    run.loads.end()?;
    report::report(run, arguments, &done, given)
}

/// Keeps what shows why a run failed.
fn keep(work: &Path) {
    let kept = std::env::temp_dir().join(format!("etebar-chaos-kept.{}", std::process::id()));
    let is_log = |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "log");
    let is_evidence = |name: &str| name == "marks" || name.starts_with("record-") || is_log(name);
    let copied = std::fs::create_dir_all(&kept).and_then(|()| {
        for folder in [work.to_owned(), work.join(run::CLUSTER)] {
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                if is_evidence(&entry.file_name().to_string_lossy()) {
                    std::fs::copy(entry.path(), kept.join(entry.file_name()))?;
                }
            }
        }
        Ok(())
    });
    match copied {
        Ok(()) => eprintln!("kept: {}", kept.display()),
        Err(error) => eprintln!("{} could not be kept: {error}", kept.display()),
    }
}
