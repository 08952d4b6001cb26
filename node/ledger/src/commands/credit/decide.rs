//! The verdict on a credit request, given once. An approval allocates the credit.

use serde::{Deserialize, Serialize};

use super::request::CreditRequested;
use crate::commands::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
use crate::digest::ItemBytes;
use crate::entry::{EntryKind, Movement};
use crate::refusal::{Refusal, Rejection};
use crate::state::api_key::Grant;
use crate::state::{Concluded, Conclusion, State, Verdict};
use crate::values::amount::{Amount, Balance};
use crate::values::ids::{ApiKeyNumber, At, IdKind, RecordNumber, Time};
use crate::values::text::{Note, Reference, reference_text};

/// Approves or rejects a credit request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecideCredit {
    /// Which request.
    pub request: RecordNumber,
    /// Which way.
    pub verdict: Verdict,
    /// The admin's note.
    pub reason: Note,
}

/// A request was approved and the credit allocated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditApproved {
    /// Which request.
    pub request: RequestShown,
    /// The admin's note.
    pub reason: Note,
    /// The journal entry.
    pub entry: u64,
    /// The seller's credit after it.
    pub balance: Balance,
}

/// A request was rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditRejected {
    /// Which request.
    pub request: RequestShown,
    /// The admin's note.
    pub reason: Note,
}

/// A credit request as the answer to its verdict shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestShown {
    /// The request's record number.
    pub number: RecordNumber,
    /// Whose it is.
    pub seller: RecordNumber,
    /// How much.
    pub amount: Amount,
    /// The seller's note.
    pub note: Note,
    /// When it was filed.
    pub created_at: Time,
    /// The seller's own text.
    pub reference: Option<Reference>,
}

/// What a verdict makes.
pub(crate) enum CreditDecision {
    Approved(CreditApproved),
    Rejected(CreditRejected),
}

impl CommandKind for DecideCredit {
    fn role(&self) -> RequiredRole {
        RequiredRole::Approver
    }

    /// The request while it is pending.
    fn subject(&self, state: &State) -> Option<RecordNumber> {
        state.is_pending(self.request).then_some(self.request)
    }

    fn concludes(&self, state: &State) -> Option<RecordNumber> {
        let is_decided = (1..=state.records()).contains(&self.request) && !state.is_pending(self.request);
        is_decided.then_some(self.request)
    }

    fn is_done_by(&self, how: Concluded) -> bool {
        how == Concluded::Decided(self.verdict)
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn text_bytes(&self) -> usize {
        self.reason.as_str().len()
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.request);
        self.verdict.write(bytes);
        bytes.text(self.reason.as_str());
    }
}

impl DecideCredit {
    /// The request must be pending, and the key may have to be another's than the one that filed it. The same verdict once more is done already, the opposite one is refused. `filed` is the
    /// place of the request, who filed it, and its event.
    pub(crate) fn evaluate(
        &self,
        context: &Context<'_>,
        filed: Option<(At, ApiKeyNumber, &CreditRequested)>,
    ) -> Result<CreditDecision, Denial> {
        match context.concluded {
            Some(Conclusion { record, how }) if self.is_done_by(how) => return Err(Denial::Done(record)),
            Some(Conclusion { how: Concluded::Decided(verdict), .. }) => {
                return Err(Refusal::RequestDecided { verdict }.into());
            }
            // The number is a charge's.
            Some(Conclusion { how: Concluded::Reversed, .. }) => return Err(Rejection::UnknownRequest.into()),
            None if !context.state.is_pending(self.request) => return Err(Rejection::UnknownRequest.into()),
            None => {}
        }
        let (at, asker, filed) = filed.ok_or(Rejection::Inconsistent)?;
        if self.verdict == Verdict::Approved {
            may_approve(context, asker, filed.amount)?;
        }
        let request = RequestShown {
            number: at.number,
            seller: filed.seller,
            amount: filed.amount,
            note: filed.note.clone(),
            created_at: at.time,
            reference: filed.reference.clone(),
        };
        let reason = self.reason.clone();
        match self.verdict {
            Verdict::Rejected => Ok(CreditDecision::Rejected(CreditRejected { request, reason })),
            Verdict::Approved => {
                let before = context.seller(filed.seller)?.balance;
                let balance = before.credited(filed.amount).ok_or(Refusal::LimitExceeded)?;
                Ok(CreditDecision::Approved(CreditApproved { request, reason, entry: context.next_entry(), balance }))
            }
        }
    }
}

/// Whether the key that acts may approve so much, which `asker` asked for. A key that was rotated is the same person's.
fn may_approve(context: &Context<'_>, asker: ApiKeyNumber, amount: Amount) -> Result<(), Denial> {
    let Some(key) = context.key else { return Err(Rejection::Forbidden.into()) };
    if let Grant::Approver { limit: Some(limit) } = key.grant
        && amount > limit
    {
        return Err(Rejection::OverLimit.into());
    }
    let is_asker = context.state.api_key(asker).is_some_and(|asker| asker.scope() == key.scope());
    if context.state.policy().four_eyes && is_asker { Err(Rejection::FourEyes.into()) } else { Ok(()) }
}

impl EventKind for CreditApproved {
    fn role(&self) -> RequiredRole {
        RequiredRole::Approver
    }

    fn apply(&self, _at: At, state: &mut State) {
        let RequestShown { number, seller, amount, .. } = self.request;
        state.decide_request(number);
        state.move_credit(seller, self.balance, |before| before.credited(amount));
        state.move_treasury(amount.minus());
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        self.request.write(bytes);
        bytes.text(self.reason.as_str());
        bytes.u64(self.entry);
        bytes.u64(self.balance.minor());
    }

    fn seller(&self, _number: RecordNumber) -> Option<RecordNumber> {
        Some(self.request.seller)
    }

    fn movement(&self, _number: RecordNumber) -> Option<Movement<'_>> {
        Some(Movement {
            kind: EntryKind::Credit,
            seller: self.request.seller,
            amount: self.request.amount.plus(),
            entry_number: self.entry,
            balance: self.balance,
            phone: None,
            reference: (IdKind::CreditRequest, self.request.number),
            caller_reference: self.request.reference.as_ref(),
        })
    }

    fn concludes(&self) -> Option<(RecordNumber, Concluded)> {
        Some((self.request.number, Concluded::Decided(Verdict::Approved)))
    }
}

impl EventKind for CreditRejected {
    fn role(&self) -> RequiredRole {
        RequiredRole::Approver
    }

    fn apply(&self, _at: At, state: &mut State) {
        state.decide_request(self.request.number);
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        self.request.write(bytes);
        bytes.text(self.reason.as_str());
    }

    fn seller(&self, _number: RecordNumber) -> Option<RecordNumber> {
        Some(self.request.seller)
    }

    fn concludes(&self) -> Option<(RecordNumber, Concluded)> {
        Some((self.request.number, Concluded::Decided(Verdict::Rejected)))
    }
}

impl RequestShown {
    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.number);
        bytes.u64(self.seller);
        bytes.u64(self.amount.minor());
        bytes.text(self.note.as_str());
        bytes.u64(self.created_at.0);
        bytes.text(reference_text(self.reference.as_ref()));
    }
}
