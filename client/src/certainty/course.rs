//! What is known of a call after all its attempts so far.
//!
//! Invariant: once an attempt may have been done, only a node's success, or a refusal that the ledger remembers, ends in
//! anything but "unknown".

use std::time::Duration;

use tokio::time::Instant;

use etebar_api::{Code, Problem};

use super::super::{Call, Effect, Error, NotDone, Unknown};
use super::limited::Limited;
use super::meaning::Heard;
use super::stopwatch::Stopwatch;

/// See the head of this file.
#[derive(Debug)]
pub(in super::super) struct Course {
    began: Stopwatch,
    /// Longest time for all of it.
    timeout: Duration,
    /// Servers that were turned to, be it to learn the key window alone.
    pub(in super::super) turns: u32,
    pub(in super::super) attempts: u32,
    /// Attempts in a row that found nobody to trust.
    pub(in super::super) untrusted: usize,
    /// When the first attempt began that may have been done.
    pub(in super::super) may_be_done_since: Option<Stopwatch>,
    pub(in super::super) limited: Limited,
    /// The last that was heard of an attempt.
    heard: Heard,
    /// How long the call's key is remembered, where that bounds it and is known.
    pub(in super::super) key_window: Option<Duration>,
    /// Why the last turn brought no attempt.
    pub(in super::super) not_repeated: Option<String>,
}

impl Course {
    pub(in super::super) fn new(timeout: Duration) -> Course {
        Course {
            began: Stopwatch::start(),
            timeout,
            turns: 0,
            attempts: 0,
            untrusted: 0,
            may_be_done_since: None,
            limited: Limited::default(),
            heard: Heard::of("there was no time for an attempt"),
            key_window: None,
            not_repeated: None,
        }
    }

    /// For how long something may still be sent: what may have been done only for half of the time for which its key is
    /// remembered.
    pub(in super::super) fn left(&self) -> Duration {
        let left = self.began.left_of(self.timeout);
        match (self.key_window, self.may_be_done_since) {
            (Some(window), Some(since)) => left.min(since.left_of(window / 2)),
            (Some(_), None) | (None, _) => left,
        }
    }

    pub(in super::super) fn hear(&mut self, heard: Heard) {
        self.heard = heard;
        self.not_repeated = None;
    }

    /// A certain refusal of the last attempt may leave open what became of an earlier one.
    pub(in super::super) fn refused(&mut self, call: &Call, problem: Box<Problem>) -> Error {
        let open = self.may_be_done_since.is_some() && call.effect != Effect::Read;
        if open && !settles(call, problem.code) {
            self.hear(problem.into());
            return self.out_of_time(call);
        }
        Error::Refused(problem)
    }

    pub(in super::super) fn out_of_time(&self, call: &Call) -> Error {
        let (attempts, retry_after) = (self.attempts, self.limited.wait(Instant::now()));
        let Heard { problem, mut detail } = self.heard.clone();
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
    // The key stands for another command, or the other verdict stands, both for good. The rest is so under a key alone: without
    // one an attempt that is late may yet be done.
    let stands = matches!(code, Code::IdempotencyKeyReused | Code::CreditRequestDecided);
    stands || call.key.is_some() && code.settles_key()
}

#[cfg(test)]
mod tests {
    use super::super::super::IdempotencyKey;
    use super::*;

    #[test]
    fn only_what_the_ledger_remembers_settles_an_earlier_attempt() {
        let keyed = Call::post("/v1/charges").keyed(&IdempotencyKey::parse("k").unwrap());
        let verdict = Call::post("/v1/credit-requests/x/approve");
        for code in Code::ALL {
            let after = |since: Option<Stopwatch>, call: &Call| {
                let mut course = Course { may_be_done_since: since, ..Course::new(Duration::ZERO) };
                matches!(course.refused(call, Box::new(Problem::new(code, "so"))), Error::Refused(_))
            };
            assert!(after(None, &keyed) && after(None, &verdict), "{code:?} is certain where it is the first attempt");
            assert_eq!(after(Some(Stopwatch::start()), &keyed), matches!(code.status(), 409 | 422), "{code:?}");
            let stands = matches!(code, Code::CreditRequestDecided | Code::IdempotencyKeyReused);
            assert_eq!(after(Some(Stopwatch::start()), &verdict), stands, "{code:?}");
        }
    }

    #[cfg(not(feature = "simulation"))]
    #[test]
    fn a_call_has_no_time_left_where_the_machine_slept_through_it() {
        let timeout = Duration::from_secs(30);
        let course = Course { began: Stopwatch::slept_through(timeout), ..Course::new(timeout) };
        assert_eq!(course.left(), Duration::ZERO);
    }
}
