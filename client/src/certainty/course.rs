//! What is known of a call after all its attempts so far.
//!
//! Invariant: once an attempt may have been done, only a node's success, or a refusal that the ledger remembers, ends in
//! anything but "unknown".

use std::time::Duration;

use tokio::time::Instant;

use etebar_api::{Code, Problem};

use super::super::{Call, Effect, Error, NotDone, Unknown};
use super::meaning::Heard;

/// See the head of this file.
#[derive(Debug)]
pub(in super::super) struct Course {
    /// Nothing is sent after it.
    pub(in super::super) deadline: Instant,
    /// Servers that were turned to, be it to learn the key window alone.
    pub(in super::super) turns: u32,
    pub(in super::super) attempts: u32,
    /// Attempts in a row that found nobody to trust.
    pub(in super::super) untrusted: usize,
    /// When the first attempt began that may have been done.
    pub(in super::super) may_be_done_since: Option<Instant>,
    /// The last that was heard of an attempt.
    heard: Heard,
    pub(in super::super) key_window: Option<Duration>,
    /// Why the last turn brought no attempt.
    pub(in super::super) not_repeated: Option<String>,
}

impl Course {
    pub(in super::super) fn new(deadline: Instant) -> Course {
        Course {
            deadline,
            turns: 0,
            attempts: 0,
            untrusted: 0,
            may_be_done_since: None,
            heard: Heard::of("there was no time for an attempt"),
            key_window: None,
            not_repeated: None,
        }
    }

    pub(in super::super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
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
        let Course { attempts, .. } = *self;
        let Heard { problem, mut detail } = self.heard.clone();
        if let Some(why) = &self.not_repeated {
            detail = format!("{detail}; not repeated, since {why}");
        }
        match (call.effect, self.may_be_done_since) {
            (Effect::Write | Effect::Keyed, Some(_)) => {
                let (key, key_window) = (call.key.clone(), self.key_window);
                Error::OutcomeUnknown(Unknown { attempts, key, key_window, detail })
            }
            (Effect::Write | Effect::Keyed, None) | (Effect::Read, _) => {
                Error::NotDone(NotDone { attempts, problem, untrusted: self.untrusted > 0, detail })
            }
        }
    }
}

/// Whether a refusal of one attempt also says what became of the others: only what the ledger decided and remembers does.
/// All else is decided before the key is looked up, or about a request that something in between may have changed.
fn settles(call: &Call, code: Code) -> bool {
    match code {
        // Under a key it is this command's outcome for good; without one an attempt that is late may yet be done.
        Code::InsufficientCredit
        | Code::SellerSuspended
        | Code::ChargeReversed
        | Code::LimitExceeded
        | Code::NameTaken
        | Code::LastAdminKey => call.key.is_some(),
        // The key stands for another command, and the other verdict stands, both for good.
        Code::IdempotencyKeyReused | Code::CreditRequestDecided => true,
        Code::InvalidRequest
        | Code::IdempotencyKeyMissing
        | Code::Unauthenticated
        | Code::Forbidden
        | Code::NotFound
        | Code::MethodNotAllowed
        | Code::TooLarge
        | Code::UnsupportedMediaType
        | Code::RateLimited
        | Code::NoLeader
        | Code::Overloaded
        | Code::Behind
        | Code::DiskFull
        | Code::OutcomeUnknown
        | Code::Internal => false,
    }
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
            let after = |since: Option<Instant>, call: &Call| {
                let mut course = Course { may_be_done_since: since, ..Course::new(Instant::now()) };
                matches!(course.refused(call, Box::new(Problem::new(code, "so"))), Error::Refused(_))
            };
            assert!(after(None, &keyed) && after(None, &verdict), "{code:?} is certain where it is the first attempt");
            assert_eq!(after(Some(Instant::now()), &keyed), matches!(code.status(), 409 | 422), "{code:?}");
            let stands = matches!(code, Code::CreditRequestDecided | Code::IdempotencyKeyReused);
            assert_eq!(after(Some(Instant::now()), &verdict), stands, "{code:?}");
        }
    }
}
