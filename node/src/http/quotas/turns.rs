//! Turns at long work: how much of it runs at once, for all callers and for each.
//!
//! A caller's own work waits for its own turn before it asks for one of all, so what one key has waiting stands in nobody
//! else's way. What a key asks for beyond its bound is refused at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use etebar_api::Code;
use ledger::KeyNumber;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::http::response::problem::Problem;

/// Bounds of one kind of work.
#[derive(Debug, Clone, Copy)]
pub struct TurnBounds {
    /// Most that run at once, of all keys together.
    pub running: usize,
    /// Most that run at once of one key: fewer than of all, so that a key leaves room for others.
    pub running_per_key: usize,
    /// Most that one key has at once, running and waiting.
    pub present_per_key: usize,
}

/// Who has a turn at one kind of work, and who waits for one.
#[derive(Debug)]
pub struct Turns {
    what: &'static str,
    bounds: TurnBounds,
    room: Arc<Semaphore>,
    callers: Mutex<HashMap<KeyNumber, Caller>>,
}

/// A key that has a turn or waits for one.
#[derive(Debug)]
struct Caller {
    present: usize,
    room: Arc<Semaphore>,
}

/// The right to work, until it is dropped. Its parts go in this order.
#[derive(Debug)]
pub struct Turn {
    _of_all: OwnedSemaphorePermit,
    _of_key: OwnedSemaphorePermit,
    _present: Present,
}

/// A place among those of a key.
#[derive(Debug)]
struct Present {
    turns: Arc<Turns>,
    key: KeyNumber,
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut callers = self.turns.callers();
        if let Some(caller) = callers.get_mut(&self.key) {
            caller.present -= 1;
            if caller.present == 0 {
                callers.remove(&self.key);
            }
        }
    }
}

impl Turns {
    /// Nobody has a turn. `what` names the work, in the plural.
    pub fn new(what: &'static str, bounds: TurnBounds) -> Self {
        Self { what, bounds, room: Arc::new(Semaphore::new(bounds.running)), callers: Mutex::default() }
    }

    /// Waits for a turn, until the deadline at most. Refuses at once what is beyond the key's own bound.
    pub async fn take(self: &Arc<Self>, key: KeyNumber, deadline: Instant) -> Result<Turn, Problem> {
        let (present, own) = self.enter(key)?;
        let turns = async {
            let of_key = own.acquire_owned().await?;
            let of_all = self.room.clone().acquire_owned().await?;
            Ok::<_, tokio::sync::AcquireError>((of_key, of_all))
        };
        match timeout_at(deadline, turns).await {
            Ok(Ok((of_key, of_all))) => Ok(Turn { _of_all: of_all, _of_key: of_key, _present: present }),
            Ok(Err(_)) | Err(_) => Err(Problem::new(Code::Overloaded, format!("too many {} are under way", self.what))),
        }
    }

    fn enter(self: &Arc<Self>, key: KeyNumber) -> Result<(Present, Arc<Semaphore>), Problem> {
        let mut callers = self.callers();
        let most = self.bounds.present_per_key;
        let new = || Caller { present: 0, room: Arc::new(Semaphore::new(self.bounds.running_per_key)) };
        let caller = callers.entry(key).or_insert_with(new);
        if caller.present >= most {
            let detail = format!("this key has {most} {} on this node already, under way or waiting", self.what);
            return Err(Problem::new(Code::RateLimited, detail));
        }
        caller.present += 1;
        Ok((Present { turns: Arc::clone(self), key }, Arc::clone(&caller.room)))
    }

    fn callers(&self) -> MutexGuard<'_, HashMap<KeyNumber, Caller>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn turns(running: usize, running_per_key: usize, present_per_key: usize) -> Arc<Turns> {
        Arc::new(Turns::new("tests", TurnBounds { running, running_per_key, present_per_key }))
    }

    /// A turn that is free now; the code of the refusal otherwise.
    async fn now(turns: &Arc<Turns>, key: KeyNumber) -> Result<Turn, Code> {
        let soon = Instant::now() + Duration::from_millis(20);
        turns.take(key, soon).await.map_err(|problem| problem.body().code)
    }

    #[tokio::test]
    async fn a_key_that_takes_all_it_can_leaves_a_turn_for_another() {
        let turns = turns(2, 1, 3);
        let held = now(&turns, 1).await.unwrap();
        let late = Instant::now() + Duration::from_secs(60);
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let turns = Arc::clone(&turns);
                tokio::spawn(async move { turns.take(1, late).await.is_ok() })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(now(&turns, 1).await.unwrap_err(), Code::RateLimited, "one more than the key may have");
        let other = now(&turns, 2).await.unwrap();
        assert_eq!(now(&turns, 2).await.unwrap_err(), Code::Overloaded, "its second waits, in vain");
        drop((held, other));
        for turn in waiting {
            assert!(turn.await.unwrap(), "who waits gets a turn");
        }
        assert!(turns.callers().is_empty(), "nothing is kept of a key that has nothing");
        assert_eq!(turns.room.available_permits(), 2);
    }

    #[tokio::test]
    async fn who_stops_waiting_leaves_no_trace() {
        let turns = turns(1, 1, 2);
        let held = now(&turns, 1).await.unwrap();
        for _ in 0..10 {
            assert_eq!(now(&turns, 1).await.unwrap_err(), Code::Overloaded);
            assert_eq!(now(&turns, 2).await.unwrap_err(), Code::Overloaded);
        }
        drop(held);
        assert!(now(&turns, 2).await.is_ok());
        assert!(turns.callers().is_empty());
    }
}
