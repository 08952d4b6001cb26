//! `etebar-node check`: whether this build can serve a data directory, found out without changing a byte of it.
//!
//! Opening a database of sled writes to it: it cuts a torn end and writes a summary. So the databases are opened as a copy.
//! Meanwhile the directory's lock is held, so that no node is started on it.

mod error;
mod report;
mod scratch;

use std::panic::{self, AssertUnwindSafe};

use crate::config::CheckArgs;
use crate::identity::{DataDir, Looked};
use crate::raft::{Build, InspectionError, inspect};
use crate::storage::{LOG_BYTES_MIN, NodeDisks, StorageError};

pub use self::error::CheckError;
pub use self::report::{Finding, Report};
use self::scratch::Scratch;

/// The bound that the log is opened with: any will do, since nothing is written to it.
const LOG_BYTES_ANY: u64 = LOG_BYTES_MIN;

/// Looks at a data directory in the order of a start, up to the first thing that a start of this build would refuse.
///
/// # Errors
/// Where it could not be looked at; what was seen is in the report otherwise.
pub fn check(arguments: &CheckArgs) -> Result<Report, CheckError> {
    let mut report = Report::new(arguments.data_dir.clone());
    let (path, parts) = (&arguments.data_dir, &NodeDisks::FOLDERS);
    let Looked { identity, lock } = match DataDir::look(path, parts, arguments.id, arguments.cluster_id) {
        Ok(looked) => looked,
        Err(error) => {
            report.refuse(Finding::Identity, error.to_string(), error.is_wrong_setting());
            return Ok(report);
        }
    };
    report.pass(
        Finding::Identity,
        format!(
            "node {} of cluster {}, epoch {} of ledger {}, data format {}",
            identity.node, identity.cluster, identity.epoch, identity.ledger, identity.format
        ),
    );
    let _held = match lock {
        Ok(held) => held,
        Err(error) => {
            report.refuse(Finding::Lock, error.to_string(), error.is_wrong_setting());
            return Ok(report);
        }
    };
    report.pass(Finding::Lock, "no process serves it".to_owned());
    let scratch = Scratch::copy_of(path, parts, arguments.scratch.as_deref())?;
    look_inside(&scratch, &mut report);
    scratch.remove()?;
    Ok(report)
}

/// Opens the copies of the databases.
fn look_inside(scratch: &Scratch, report: &mut Report) {
    // Paths in messages are those of the data directory, not of its copy.
    let named = |error: &StorageError| scratch.original(&error.to_string());
    let found = match open_quietly(|| NodeDisks::open(scratch.path()).map(|disks| inspect(&disks, LOG_BYTES_ANY))) {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return report.refuse(Finding::Rules, named(&error), false),
        Err(panic) => return report.refuse(Finding::Rules, format!("opening it ended with: {panic}"), false),
    };
    let refused = found.refused.map(|error| match error {
        InspectionError::Rules(unknown) => (Finding::Rules, unknown.to_string()),
        InspectionError::Checkpoint(error) => (Finding::Rules, named(&error)),
        InspectionError::History(error) => (Finding::History, named(&error)),
        InspectionError::Log(error) => (Finding::Log, named(&error)),
    });
    let first_refused = refused.as_ref().map(|(finding, _)| *finding);
    let passed = |finding| first_refused.is_none_or(|refused| finding < refused);
    if let Some(checkpoint) = &found.checkpoint {
        let known = Build::OWN.rules;
        let rules = format!("the ledger goes by rules {}, and this build knows rules up to {known}", found.rules);
        let applied = checkpoint.applied.map_or(0, |applied| applied.index);
        let history = format!("{} records, checkpoint at log entry {applied}", checkpoint.records);
        for (finding, found) in [(Finding::Rules, rules), (Finding::History, history)] {
            if passed(finding) {
                report.pass(finding, found);
            }
        }
    }
    if let Some(last) = found.last_entry {
        report.pass(Finding::Log, format!("up to log entry {last}, joins the history"));
    }
    if let Some((finding, why)) = refused {
        report.refuse(finding, why, false);
    }
}

/// Runs `open` without a trace on standard error: over some damage the database panics, which is reported in one line.
fn open_quietly<T>(open: impl FnOnce() -> T) -> Result<T, String> {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(|_panic| {}));
    let opened = panic::catch_unwind(AssertUnwindSafe(open));
    panic::set_hook(usual);
    opened.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given").to_owned()
    })
}
