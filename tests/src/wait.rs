//! Waiting for a condition, with a deadline: the one place of the kit that sleeps, between two looks.

use std::time::{Duration, Instant};

/// Pause between two looks at a condition.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Longest wait where a scenario names no time of its own. Source: many elections on a machine that is busy with others.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Looks until `look` gives a value and returns it; panics after `limit`, saying what was waited for.
#[track_caller]
pub fn until<T>(limit: Duration, what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(limit, look).unwrap_or_else(|| panic!("after {limit:?} still waiting for {what}"))
}

/// Looks until `look` gives a value and returns it; `None` after `limit`.
#[expect(clippy::disallowed_methods, reason = "the one place where tests wait")]
pub fn within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        let value = look();
        if value.is_some() || Instant::now() >= deadline {
            return value;
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

/// Looks until `holds` is true; panics after [`PATIENCE`].
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    until(PATIENCE, what, || holds().then_some(()));
}

/// Lets a span of real time go by where the time itself is what a scenario is about (a key window, a slow head).
#[expect(clippy::disallowed_methods, reason = "the one place where tests wait")]
pub fn let_pass(span: Duration) {
    std::thread::sleep(span);
}
