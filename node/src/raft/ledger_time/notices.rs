//! What is logged of the clocks: at once when something is wrong, and once a minute while it is.

use super::verdict::{CLOCK_OFF_MS, ClockState, ClockVerdict};
use crate::runtime::log_throttle::LogThrottle;

/// Logs what is wrong with the clocks of a node that leads, or does not.
pub(crate) fn log_clocks(state: ClockState, leads: bool, throttle: &LogThrottle) {
    match state.clocks.verdict {
        ClockVerdict::Apart if throttle.is_due("apart") => tracing::warn!(
            "this node's clock and the only other one received differ, and there is no third to show which is wrong: ledger \
             time advances with the monotonic clock; correct the wrong one, or bring a third node back"
        ),
        ClockVerdict::Alone if !state.is_followed && throttle.is_due("alone") => tracing::error!(
            ahead_ms = state.ahead_ms,
            "this node's clock was set, and no other one is received: ledger time does not follow it; if the clock is right, \
             restart this node with --trust-clock to say so"
        ),
        // A clock that is off the median is logged where it is kept from leading.
        ClockVerdict::Apart | ClockVerdict::Alone | ClockVerdict::Near | ClockVerdict::Good | ClockVerdict::Off(_) => {}
    }
    let far_ms = if leads && state.is_followed { state.ahead_ms } else { 0 };
    if far_ms > CLOCK_OFF_MS && throttle.is_due("late") {
        tracing::warn!(
            late_ms = far_ms,
            "ledger time is behind the clocks, and gains a hundredth of the time on them, so that no idempotency key is \
             forgotten early; to have it follow at once, stop all nodes and start them with --trust-clock, this once"
        );
    }
    if far_ms < -CLOCK_OFF_MS && throttle.is_due("early") {
        tracing::warn!(
            early_ms = far_ms.saturating_neg(),
            "ledger time is ahead of the clocks, and goes at nine tenths of the pace until they are there: idempotency keys \
             are remembered for longer meanwhile"
        );
    }
}
