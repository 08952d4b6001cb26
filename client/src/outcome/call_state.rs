//! What is known of a call after all its attempts so far.
//!
//! Invariant: once an attempt may have been done, only a node's success, or a refusal that the ledger remembers, ends in
//! anything but "unknown".

use std::time::Duration;

use tokio::time::Instant;

use etebar_api::{Code, Problem};

use super::meaning::Reason;
use super::rate_limits::RateLimits;
use super::stopwatch::Stopwatch;
use crate::{Call, Effect, Error, NotDone, Unknown};

/// A call under way, over all its attempts.
#[derive(Debug)]
pub(crate) struct CallState {
    started: Stopwatch,
    /// Longest time for all attempts together.
    timeout: Duration,
    /// Servers tried, also those that were only queried for the key window.
    pub(crate) turns: u32,
    /// Requests sent.
    pub(crate) attempts: u32,
    /// Attempts in a row whose server did not prove its identity.
    pub(crate) untrusted: usize,
    /// When the first attempt that may have been done was started.
    pub(crate) may_be_done_since: Option<Stopwatch>,
    /// Servers that take nothing of this API key for now.
    pub(crate) rate_limits: RateLimits,
    /// Why the last attempt that had its full time, or ended before it, did not settle the call.
    reason: Reason,
    /// How long the cluster remembers the call's key; `None` while it is not known or not needed.
    pub(crate) key_window: Option<Duration>,
    /// Why nothing was sent in the last turn.
    pub(crate) not_repeated: Option<String>,
}

impl CallState {
    pub(crate) fn new(timeout: Duration) -> CallState {
        CallState {
            started: Stopwatch::start(),
            timeout,
            turns: 0,
            attempts: 0,
            untrusted: 0,
            may_be_done_since: None,
            rate_limits: RateLimits::default(),
            reason: Reason::of("there was no time for an attempt"),
            key_window: None,
            not_repeated: None,
        }
    }

    /// For how long the call may still be sent: one that may have been done only for half of the time for which its key is
    /// remembered.
    pub(crate) fn left(&self) -> Duration {
        let left = self.started.left_of(self.timeout);
        match (self.key_window, self.may_be_done_since) {
            (Some(window), Some(since)) => left.min(since.left_of(window / 2)),
            (Some(_), None) | (None, _) => left,
        }
    }

    pub(crate) fn set_reason(&mut self, reason: Reason) {
        self.reason = reason;
        self.not_repeated = None;
    }

    /// A certain refusal of the last attempt may leave open what became of an earlier one.
    pub(crate) fn refused(&mut self, call: &Call, problem: Box<Problem>) -> Error {
        let open = self.may_be_done_since.is_some() && call.effect != Effect::Read;
        if open && !settles(call, problem.code) {
            self.set_reason(problem.into());
            return self.out_of_time(call);
        }
        Error::Refused(problem)
    }

    pub(crate) fn out_of_time(&self, call: &Call) -> Error {
        let (attempts, retry_after) = (self.attempts, self.rate_limits.wait(Instant::now()));
        let Reason { problem, mut detail } = self.reason.clone();
        if let Some(why) = &self.not_repeated {
            detail = format!("{detail}; not repeated, since {why}");
        }
        match (call.effect, self.may_be_done_since) {
            (Effect::Write | Effect::Keyed, Some(_)) => {
                let (key, key_window) = (call.key.clone(), self.key_window);
                Error::OutcomeUnknown(Unknown { attempts, key, key_window, retry_after, detail })
            }
            (Effect::Write | Effect::Keyed, None) | (Effect::Read, _) => {
                Error::NotDone(NotDone { attempts, problem, untrusted: self.untrusted > 0, retry_after, detail })
            }
        }
    }
}

/// Whether a refusal of one attempt also says what became of the others.
fn settles(call: &Call, code: Code) -> bool {
    // The key stands for another command, or the opposite decision was taken: both are permanent. The others settle it under a key
    // alone: without one, an attempt that is late may still be done.
    let stands = matches!(code, Code::IdempotencyKeyReused | Code::CreditRequestDecided);
    stands || call.key.is_some() && code.settles_key()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IdempotencyKey;

    #[test]
    fn only_what_the_ledger_remembers_settles_an_earlier_attempt() {
        let keyed = Call::post("/v1/charges").keyed(&IdempotencyKey::parse("k").unwrap());
        let unkeyed = Call::post("/v1/credit-requests/x/approve");
        for code in Code::ALL {
            let after = |since: Option<Stopwatch>, call: &Call| {
                let mut state = CallState { may_be_done_since: since, ..CallState::new(Duration::ZERO) };
                matches!(state.refused(call, Box::new(Problem::new(code, "so"))), Error::Refused(_))
            };
            assert!(after(None, &keyed) && after(None, &unkeyed), "{code:?} is certain where it is the first attempt");
            let of_members =
                matches!(code, Code::AddressTaken | Code::MemberBehind | Code::QuorumAtRisk | Code::CannotLead);
            let settles = matches!(code.status(), 409 | 422) && !of_members;
            assert_eq!(after(Some(Stopwatch::start()), &keyed), settles, "{code:?}");
            let stands = matches!(code, Code::CreditRequestDecided | Code::IdempotencyKeyReused);
            assert_eq!(after(Some(Stopwatch::start()), &unkeyed), stands, "{code:?}");
        }
    }

    #[cfg(not(feature = "simulation"))]
    #[test]
    fn a_call_has_no_time_left_where_the_machine_slept_through_it() {
        let timeout = Duration::from_secs(30);
        let state = CallState { started: Stopwatch::slept_through(timeout), ..CallState::new(timeout) };
        assert_eq!(state.left(), Duration::ZERO);
    }
}
