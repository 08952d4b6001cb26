//! Long work: how much of one kind runs at once, of all API keys together and of each.
//!
//! A key's work waits for a permit of its key before it waits for one of all, so what one key has waiting delays no other
//! key. Work of a key beyond its bound is refused at once.

use std::collections::HashMap;
use std::sync::Arc;

use etebar_api::Code;
use ledger::ApiKeyNumber;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::http::response::problem::Problem;

/// Bounds of one kind of work.
#[derive(Debug, Clone, Copy)]
pub struct ConcurrencyBounds {
    /// Most that run at once, of all keys together.
    pub running: usize,
    /// Most that run at once of one key: fewer than of all, so that a key leaves some to others.
    pub running_per_key: usize,
    /// Most that one key has at once, running and waiting.
    pub present_per_key: usize,
}

/// Which keys run one kind of work, and which wait for it.
#[derive(Debug)]
pub struct ConcurrencyLimit {
    what: &'static str,
    bounds: ConcurrencyBounds,
    permits: Arc<Semaphore>,
    keys: Mutex<HashMap<ApiKeyNumber, KeyLoad>>,
}

/// A key that runs the work or waits for it.
#[derive(Debug)]
struct KeyLoad {
    present: usize,
    permits: Arc<Semaphore>,
}

/// The right to run, until it is dropped. Its parts are dropped in this order.
#[derive(Debug)]
pub struct Permit {
    _of_all: OwnedSemaphorePermit,
    _of_key: OwnedSemaphorePermit,
    _present: Present,
}

/// One of a key's pieces of work, running or waiting.
#[derive(Debug)]
struct Present {
    limit: Arc<ConcurrencyLimit>,
    key: ApiKeyNumber,
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut keys = self.limit.keys();
        if let Some(load) = keys.get_mut(&self.key) {
            load.present -= 1;
            if load.present == 0 {
                keys.remove(&self.key);
            }
        }
    }
}

impl ConcurrencyLimit {
    /// Nothing runs yet. `what` names the work, in the plural.
    pub fn new(what: &'static str, bounds: ConcurrencyBounds) -> Self {
        Self { what, bounds, permits: Arc::new(Semaphore::new(bounds.running)), keys: Mutex::default() }
    }

    /// Waits for a permit, until the deadline at most. Refuses at once where the key's own bound is reached.
    pub async fn take(self: &Arc<Self>, key: ApiKeyNumber, deadline: Instant) -> Result<Permit, Problem> {
        let (present, own) = self.enter(key)?;
        let permits = async {
            let of_key = own.acquire_owned().await?;
            let of_all = self.permits.clone().acquire_owned().await?;
            Ok::<_, tokio::sync::AcquireError>((of_key, of_all))
        };
        match timeout_at(deadline, permits).await {
            Ok(Ok((of_key, of_all))) => Ok(Permit { _of_all: of_all, _of_key: of_key, _present: present }),
            Ok(Err(_)) | Err(_) => Err(Problem::new(Code::Overloaded, format!("too many {} are under way", self.what))),
        }
    }

    fn enter(self: &Arc<Self>, key: ApiKeyNumber) -> Result<(Present, Arc<Semaphore>), Problem> {
        let mut keys = self.keys();
        let most = self.bounds.present_per_key;
        let new = || KeyLoad { present: 0, permits: Arc::new(Semaphore::new(self.bounds.running_per_key)) };
        let load = keys.entry(key).or_insert_with(new);
        if load.present >= most {
            let detail = format!("this key has {most} {} on this node already, under way or waiting", self.what);
            return Err(Problem::new(Code::RateLimited, detail));
        }
        load.present += 1;
        Ok((Present { limit: Arc::clone(self), key }, Arc::clone(&load.permits)))
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<ApiKeyNumber, KeyLoad>> {
        self.keys.lock()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limit(running: usize, running_per_key: usize, present_per_key: usize) -> Arc<ConcurrencyLimit> {
        Arc::new(ConcurrencyLimit::new("tests", ConcurrencyBounds { running, running_per_key, present_per_key }))
    }

    /// A permit that is free now; the code of the refusal otherwise.
    async fn now(limit: &Arc<ConcurrencyLimit>, key: ApiKeyNumber) -> Result<Permit, Code> {
        let soon = Instant::now() + Duration::from_millis(20);
        limit.take(key, soon).await.map_err(|problem| problem.body().code)
    }

    #[tokio::test]
    async fn a_key_that_takes_all_it_can_leaves_a_permit_for_another() {
        let limit = limit(2, 1, 3);
        let held = now(&limit, 1).await.unwrap();
        let late = Instant::now() + Duration::from_mins(1);
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let limit = Arc::clone(&limit);
                tokio::spawn(async move { limit.take(1, late).await.is_ok() })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(now(&limit, 1).await.unwrap_err(), Code::RateLimited, "one more than the key may have");
        let other = now(&limit, 2).await.unwrap();
        assert_eq!(now(&limit, 2).await.unwrap_err(), Code::Overloaded, "its second waits until the deadline");
        drop((held, other));
        for permit in waiting {
            assert!(permit.await.unwrap(), "a waiting request gets a permit");
        }
        assert!(limit.keys().is_empty(), "nothing is kept of a key that has nothing");
        assert_eq!(limit.permits.available_permits(), 2);
    }

    #[tokio::test]
    async fn a_caller_that_stops_waiting_leaves_no_trace() {
        let limit = limit(1, 1, 2);
        let held = now(&limit, 1).await.unwrap();
        for _ in 0..10 {
            assert_eq!(now(&limit, 1).await.unwrap_err(), Code::Overloaded);
            assert_eq!(now(&limit, 2).await.unwrap_err(), Code::Overloaded);
        }
        drop(held);
        assert!(now(&limit, 2).await.is_ok());
        assert!(limit.keys().is_empty());
    }
}
