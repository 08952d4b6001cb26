//! Clocks that are set.

use crate::end::End;
use crate::run::Run;

/// By how many seconds: seconds, minutes, hours.
const BY: [i64; 3] = [8, 700, 18_000];

/// The wall clock of one is set, forward or back, and set right again.
pub(crate) fn set_clock(run: &mut Run) -> Result<(), End> {
    let id = run.pick()?;
    let by = BY[run.dice.index(BY.len())];
    let by = if run.dice.below(2) == 0 { by } else { -by };
    run.began(format!("clock of node {id} set by {by:+} s"));
    run.node(id).set_clock(by);
    run.last();
    run.node(id).set_clock(0);
    Ok(())
}
