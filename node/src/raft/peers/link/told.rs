//! Faults that come again with every attempt, such as a refused peer: logged once a minute.
//!
//! Invariant: a fault is known by its kind, a text of this program, and by the number that a certificate proved. Nothing that a
//! stranger chooses makes a new one, so strangers can neither fill the table nor keep the faults of others out of the log.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ledger::NodeNumber;
use tokio::time::Instant;

/// How long the same fault is not told again.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Different faults told in that time, at most. Source: more than there are kinds, also for some members at once.
const FAULTS: usize = 64;

/// A kind of fault, and whose it is; nobody's where no certificate proved it.
type Fault = (&'static str, Option<NodeNumber>);

/// What was told, and when.
#[derive(Debug, Default)]
pub struct Told(Mutex<BTreeMap<Fault, Instant>>);

impl Told {
    /// Whether a fault of this kind is to be told now: it is new, or was told a while ago, and few others were told lately.
    pub fn is_due(&self, kind: &'static str) -> bool {
        self.is_due_at((kind, None), Instant::now())
    }

    /// The same for a fault of this member, whose certificate proved its number; `None` for a stranger's.
    pub fn is_due_of(&self, kind: &'static str, node: Option<NodeNumber>) -> bool {
        self.is_due_at((kind, node), Instant::now())
    }

    fn is_due_at(&self, fault: Fault, now: Instant) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| now.duration_since(*at) < AGAIN_AFTER);
        if told.contains_key(&fault) || told.len() >= FAULTS {
            return false;
        }
        told.insert(fault, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_once_in_a_while() {
        let (told, now) = (Told::default(), Instant::now());
        let (stranger, member) = (("a", None), ("a", Some(1)));
        assert!(told.is_due_at(stranger, now) && !told.is_due_at(stranger, now) && told.is_due_at(("b", None), now));
        assert!(told.is_due_at(member, now) && !told.is_due_at(member, now), "a stranger's fault hides no member's");
        assert!(told.is_due_at(stranger, now + AGAIN_AFTER));
    }

    #[test]
    fn many_faults_are_bounded() {
        let told = Told::default();
        let now = Instant::now();
        let count = |at| (0..1_000).filter(|node| told.is_due_at(("a", Some(*node)), at)).count();
        assert_eq!((count(now), count(now), count(now + AGAIN_AFTER)), (FAULTS, 0, FAULTS));
    }
}
