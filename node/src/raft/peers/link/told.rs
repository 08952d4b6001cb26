//! Faults of an installation that come again with every attempt, such as a refused peer: told once in a while.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long the same fault is not told again.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Different faults told in that time, at most; strangers could make as many as they like.
const FAULTS: usize = 64;

/// What was told, and when.
#[derive(Debug, Default)]
pub struct Told(Mutex<BTreeMap<String, Instant>>);

impl Told {
    /// Whether `fault` is to be told now: it is new, or was told a while ago, and few others were told lately.
    pub fn is_due(&self, fault: &str) -> bool {
        self.is_due_at(fault, Instant::now())
    }

    fn is_due_at(&self, fault: &str, now: Instant) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| now.duration_since(*at) < AGAIN_AFTER);
        if told.contains_key(fault) || told.len() >= FAULTS {
            return false;
        }
        told.insert(fault.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_once_in_a_while() {
        let (told, now) = (Told::default(), Instant::now());
        assert!(told.is_due_at("a", now) && !told.is_due_at("a", now) && told.is_due_at("b", now));
        assert!(told.is_due_at("a", now + AGAIN_AFTER));
    }

    #[test]
    fn many_faults_are_bounded() {
        let told = Told::default();
        let now = Instant::now();
        let count = |at| (0..1_000).filter(|count| told.is_due_at(&count.to_string(), at)).count();
        assert_eq!((count(now), count(now), count(now + AGAIN_AFTER)), (FAULTS, 0, FAULTS));
    }
}
