//! Faults of an installation that come again with every attempt, such as a refused peer: told once in a while.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long the same fault is not told again.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Faults remembered at a time; with more, the oldest is forgotten and may be told again.
const FAULTS: usize = 64;

/// What was told, and when.
#[derive(Debug, Default)]
pub struct Told(Mutex<BTreeMap<String, Instant>>);

impl Told {
    /// Whether `fault` is to be told now: it is new, or was told a while ago.
    pub fn is_due(&self, fault: &str) -> bool {
        self.is_due_at(fault, Instant::now())
    }

    fn is_due_at(&self, fault: &str, now: Instant) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| now.duration_since(*at) < AGAIN_AFTER);
        if told.contains_key(fault) {
            return false;
        }
        if told.len() >= FAULTS
            && let Some(oldest) = told.iter().min_by_key(|(_, at)| **at).map(|(fault, _)| fault.clone())
        {
            told.remove(&oldest);
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
        assert!((0..1_000).all(|count| told.is_due(&count.to_string())));
        assert!(told.0.lock().unwrap().len() <= FAULTS);
    }
}
