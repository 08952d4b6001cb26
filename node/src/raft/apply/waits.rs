//! Requests that wait for positions of this replica, ordered by position: one that is reached wakes its own waiters and
//! no others.
//!
//! Bound: [`WAITING`] requests. A request that is given up leaves the list with its future.

use std::collections::BTreeMap;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

/// Requests that wait at a time, at most. Source: more than a node has connections, so that only a defect reaches it.
const WAITING: usize = 65_536;

/// A waiter's place: the position, and a number that distinguishes those who wait for the same.
type WaitKey = (u64, u64);

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Waits(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    reached: u64,
    next: u64,
    waiting: BTreeMap<WaitKey, oneshot::Sender<()>>,
}

/// As many requests wait as may.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests wait for a position")]
pub(crate) struct TooManyWait;

/// Takes a waiter off the list where its future ends, however it does.
struct Seat<'a> {
    waits: &'a Waits,
    place: WaitKey,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.waits.lock().waiting.remove(&self.place);
    }
}

impl Waits {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock()
    }

    /// The replica is at `position`: wakes the waiters for it and for those before.
    pub(crate) fn reach(&self, position: u64) {
        let due = {
            let mut queue = self.lock();
            queue.reached = position;
            if queue.waiting.first_key_value().is_none_or(|((first, _), _)| *first > position) {
                return;
            }
            let later = queue.waiting.split_off(&(position.saturating_add(1), 0));
            std::mem::replace(&mut queue.waiting, later)
        };
        for wake in due.into_values() {
            // A request that gave up meanwhile needs no wake-up.
            wake.send(()).ok();
        }
    }

    /// Whether a request waits for any position.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    /// Waits until the replica is at `position`; may be dropped at any time. Bound it by a deadline.
    pub(crate) async fn reached(&self, position: u64) -> Result<(), TooManyWait> {
        let (wake, woken) = oneshot::channel();
        let _seat = {
            let mut queue = self.lock();
            if queue.reached >= position {
                return Ok(());
            }
            if queue.waiting.len() >= WAITING {
                return Err(TooManyWait);
            }
            let place = (position, queue.next);
            queue.next += 1;
            queue.waiting.insert(place, wake);
            Seat { waits: self, place }
        };
        // No sender is dropped unsent: it leaves the list when it is woken, or with its seat.
        woken.await.map_err(|_gone| TooManyWait)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn waiting(waits: &Waits) -> usize {
        waits.lock().waiting.len()
    }

    #[test]
    fn a_position_wakes_its_waiters_and_no_others() {
        let waits = Waits::default();
        let mut of: Vec<_> = [5, 3, 9, 5].map(|position| Box::pin(waits.reached(position))).into();
        assert!(of.iter_mut().all(|wait| wait.as_mut().now_or_never().is_none()));
        assert_eq!(woken_by(&waits, 4), 1, "one of four waits for 3 or 4");
        assert_eq!(of[1].as_mut().now_or_never(), Some(Ok(())));
        assert_eq!(woken_by(&waits, 5), 2);
        assert_eq!(of[0].as_mut().now_or_never(), Some(Ok(())));
        assert_eq!(of[3].as_mut().now_or_never(), Some(Ok(())));
        assert!(of[2].as_mut().now_or_never().is_none());
        assert_eq!(waits.reached(5).now_or_never(), Some(Ok(())), "a position that is reached is not waited for");
    }

    /// How many waiters a position takes off the list.
    fn woken_by(waits: &Waits, position: u64) -> usize {
        let before = waiting(waits);
        waits.reach(position);
        before - waiting(waits)
    }

    #[test]
    fn a_request_that_is_given_up_leaves_nothing_behind() {
        let waits = Waits::default();
        let mut kept = Box::pin(waits.reached(7));
        assert!(kept.as_mut().now_or_never().is_none());
        for _ in 0..100 {
            assert_eq!(waits.reached(7).now_or_never(), None);
        }
        assert_eq!(waiting(&waits), 1);
        waits.reach(8);
        assert_eq!(kept.now_or_never(), Some(Ok(())));
        assert_eq!(waiting(&waits), 0);
    }

    #[test]
    fn so_many_wait_and_no_more() {
        let waits = Waits::default();
        let mut all: Vec<_> = (0..WAITING).map(|_| Box::pin(waits.reached(1))).collect();
        assert!(all.iter_mut().all(|wait| wait.as_mut().now_or_never().is_none()));
        assert_eq!(waits.reached(1).now_or_never(), Some(Err(TooManyWait)));
        drop(all);
        assert_eq!(waits.reached(1).now_or_never(), None, "there is room again");
    }
}
