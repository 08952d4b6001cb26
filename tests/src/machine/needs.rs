//! What this machine lacks, and a test therefore cannot do: it is then skipped, and says so loudly.
//!
//! Invariant: a missing program skips a test only where `ETEBAR_TESTS_WITHOUT` names it (`cluster-scripts/test.sh` sets it,
//! where it may not install one). A test that finds it missing otherwise fails and says what to install.

use crate::machine::disk;

/// The programs that may be missing, separated by commas.
const WITHOUT: &str = "ETEBAR_TESTS_WITHOUT";

/// What a test cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To mount, or to cut a network.
    Root,
    /// A terminal to type into.
    Tmux,
    /// The documents' programs.
    Python,
    /// A Prometheus server, and its tool for rules.
    Prometheus,
    /// S3-compatible storage: moto, a Python package.
    Moto,
}

/// True where the test cannot be, since the machine lacks what it needs; says so.
#[must_use]
pub fn lacks(need: Need, what_is_tested: &str) -> bool {
    let reason = match need {
        Need::Root if !disk::is_root() => "it takes root",
        Need::Tmux if is_named("tmux") => "tmux is not installed",
        Need::Python if is_named("python3") => "python3 is not installed",
        Need::Prometheus if is_named("prometheus") => "prometheus is not installed",
        Need::Moto if is_named("moto") => "moto is not installed",
        Need::Root | Need::Tmux | Need::Python | Need::Prometheus | Need::Moto => return false,
    };
    eprintln!("NOT TESTED, because {reason}: {what_is_tested}");
    true
}

fn is_named(program: &str) -> bool {
    std::env::var(WITHOUT).is_ok_and(|named| named.split(',').any(|name| name == program))
}
