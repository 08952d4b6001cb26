//! SIGINT and SIGTERM: all that was started ends, all that was made is removed, and the exit code is 130.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tests::machine::disk;
use tests::wait::{let_pass, within};

/// Exit code of a run that was interrupted, as shells have it.
const INTERRUPTED: i32 = 130;
/// Pause between two looks whether a signal came.
const LOOK: Duration = Duration::from_millis(50);
/// Longest time until processes that were killed are gone.
const KILLED: Duration = Duration::from_secs(5);

static CAME: AtomicBool = AtomicBool::new(false);

/// From now on a signal ends the run, and removes this folder and what is mounted in it.
pub(crate) fn end_well(work: &Path) {
    extern "C" fn came(_signal: libc::c_int) {
        CAME.store(true, Ordering::Relaxed);
    }
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler stores into an atomic and does nothing else, which is allowed in a handler.
        unsafe { libc::signal(signal, came as *const () as libc::sighandler_t) };
    }
    let work = work.to_owned();
    std::thread::spawn(move || {
        while !CAME.load(Ordering::Relaxed) {
            let_pass(LOOK);
        }
        // Processes end with this one in any case; the folder is empty only when they have.
        let gone = within(KILLED, || {
            kill_children();
            children().is_empty().then_some(())
        });
        if gone.is_none() {
            eprintln!("not all processes have ended yet");
        }
        disk::unmount_below(&work);
        if let Err(error) = fs::remove_dir_all(&work) {
            eprintln!("{}: {error}", work.display());
        }
        std::process::exit(INTERRUPTED);
    });
}

/// Leaves the end to a signal that came: it also ended the processes whose end may be reported as a failure.
pub(crate) fn let_finish() {
    while CAME.load(Ordering::Relaxed) {
        let_pass(LOOK);
    }
}

fn kill_children() {
    for pid in children() {
        // One that has ended meanwhile needs no signal.
        kill_process(pid, Signal::KILL).ok();
    }
}

/// The children of this process that still hold something: one that has ended and was not waited for does not.
fn children() -> Vec<Pid> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let listed = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let numbers: Vec<i32> = listed
        .flat_map(|line| line.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect();
    numbers.into_iter().filter_map(Pid::from_raw).filter(|pid| holds_something(*pid)).collect()
}

fn holds_something(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z') && !rest.starts_with('X'))
}
