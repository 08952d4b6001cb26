//! Keeps repeated faults, such as a refused peer, from flooding the log: each is logged once a minute.
//!
//! Invariant: a fault is identified by its kind, a text of this program, and by the node number that a certificate proved.
//! An unauthenticated caller chooses neither, so it cannot fill the table or suppress other faults in the log.

use std::collections::BTreeMap;
use std::time::Duration;

use ledger::NodeNumber;
use parking_lot::Mutex;
use tokio::time::Instant;

/// How long the same fault is not logged again.
const AGAIN_AFTER: Duration = Duration::from_mins(1);
/// Different faults logged in that time, at most. Source: more than there are kinds, also for some nodes at once.
const FAULTS: usize = 64;

/// A kind of fault and the node that caused it; `None` where no certificate proved its number.
type Fault = (&'static str, Option<NodeNumber>);

/// What was logged, and when.
#[derive(Debug, Default)]
pub struct LogThrottle(Mutex<BTreeMap<Fault, Instant>>);

impl LogThrottle {
    /// Whether a fault of this kind should be logged now: not within the last minute, and not after too many others.
    pub fn is_due(&self, kind: &'static str) -> bool {
        self.is_due_at((kind, None), Instant::now())
    }

    /// The same for a fault of the node whose certificate proved its number; `None` where none did.
    pub fn is_due_of(&self, kind: &'static str, node: Option<NodeNumber>) -> bool {
        self.is_due_at((kind, node), Instant::now())
    }

    fn is_due_at(&self, fault: Fault, now: Instant) -> bool {
        let mut logged = self.0.lock();
        logged.retain(|_, at| now.duration_since(*at) < AGAIN_AFTER);
        if logged.contains_key(&fault) || logged.len() >= FAULTS {
            return false;
        }
        logged.insert(fault, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_logged_once_a_minute() {
        let (throttle, now) = (LogThrottle::default(), Instant::now());
        let (unauthenticated, of_node) = (("a", None), ("a", Some(1)));
        assert!(
            throttle.is_due_at(unauthenticated, now)
                && !throttle.is_due_at(unauthenticated, now)
                && throttle.is_due_at(("b", None), now)
        );
        assert!(
            throttle.is_due_at(of_node, now) && !throttle.is_due_at(of_node, now),
            "an unauthenticated fault hides no node's"
        );
        assert!(throttle.is_due_at(unauthenticated, now + AGAIN_AFTER));
    }

    #[test]
    fn many_faults_are_bounded() {
        let throttle = LogThrottle::default();
        let now = Instant::now();
        let count = |at| (0..1_000).filter(|node| throttle.is_due_at(("a", Some(*node)), at)).count();
        assert_eq!((count(now), count(now), count(now + AGAIN_AFTER)), (FAULTS, 0, FAULTS));
    }
}
