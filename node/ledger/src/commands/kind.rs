//! The traits of every kind of command and event, and the context in which a command is decided.

use crate::digest::ItemBytes;
use crate::entry::Movement;
use crate::refusal::{Refusal, Rejection};
use crate::state::api_key::{ApiKey, Grant};
use crate::state::seller::{Seller, SellerStatus};
use crate::state::{Concluded, Conclusion, State};
use crate::values::ids::{ApiKeyNumber, At, RecordNumber, Time};
use crate::values::phone::Phone;

/// Who may have a command decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequiredRole {
    /// The cluster itself, under [`crate::SYSTEM_ACTOR`].
    System,
    /// An admin's API key.
    Admin,
    /// An admin's API key, or that of who decides credit requests.
    Approver,
    /// An admin's API key, or that of who runs the nodes.
    Operator,
    /// A seller's API key, for that seller.
    Seller,
}

impl RequiredRole {
    /// Whether a key with this grant has it.
    pub(crate) fn is_of(self, grant: Grant) -> bool {
        match self {
            Self::System => false,
            Self::Admin => grant == Grant::Admin,
            Self::Approver => matches!(grant, Grant::Admin | Grant::Approver { .. }),
            Self::Operator => matches!(grant, Grant::Admin | Grant::Operator),
            Self::Seller => matches!(grant, Grant::Seller(_)),
        }
    }
}

/// What every kind of command provides. Its checks are its own `evaluate`, which gives its event.
pub(crate) trait CommandKind {
    /// Who may have it decided.
    fn role(&self) -> RequiredRole;

    /// The first version of the rules that has this kind.
    fn since(&self) -> u32 {
        1
    }

    /// Whether it is decided while the ledger is on hold. The cluster's own always are.
    fn is_done_on_hold(&self) -> bool {
        self.role() == RequiredRole::System
    }

    /// The old record that its `evaluate` reads.
    fn subject(&self, _state: &State) -> Option<RecordNumber> {
        None
    }

    /// The phone whose account its `evaluate` reads.
    fn phone(&self) -> Option<Phone> {
        None
    }

    /// The charge or the request that it concludes, where the state does not say that this is open.
    fn concludes(&self, _state: &State) -> Option<RecordNumber> {
        None
    }

    /// Whether what concluded its subject is what it asks for.
    fn is_done_by(&self, _how: Concluded) -> bool {
        false
    }

    /// Whether deciding it a second time without an idempotency key moves nothing.
    fn is_repeatable(&self) -> bool;

    /// At least as many bytes as its texts take in a log entry.
    fn text_bytes(&self) -> usize;

    /// What the digest of a recorded refusal covers of it. Frozen per rules version.
    fn write(&self, bytes: &mut ItemBytes<'_>);
}

/// What every kind of event provides.
pub(crate) trait EventKind {
    /// Who may have it decided. The command says so for the decision, the event for the audit: two statements of one rule,
    /// so that a mistake in one is noticed.
    fn role(&self) -> RequiredRole;

    /// Changes the state by it.
    ///
    /// # Panics
    /// Where it does not fit this state: the history is damaged, and continuing would corrupt the books.
    fn apply(&self, at: At, state: &mut State);

    /// What a record's digest covers of it. Frozen per rules version.
    fn write(&self, bytes: &mut ItemBytes<'_>);

    /// The seller whose credit, request or status it is about, where there is one. `number` is its record's.
    fn seller(&self, _number: RecordNumber) -> Option<RecordNumber> {
        None
    }

    /// The movement of money; `None` where it moves none, which [`State::apply`] compares with the balances. `number` is its
    /// record's.
    fn movement(&self, _number: RecordNumber) -> Option<Movement<'_>> {
        None
    }

    /// The charge or the credit request that it concludes, and how.
    fn concludes(&self) -> Option<(RecordNumber, Concluded)> {
        None
    }

    /// The API keys that it made, ended or revoked. `number` is its record's.
    fn api_keys(&self, _number: RecordNumber) -> [Option<ApiKeyNumber>; 2] {
        [None, None]
    }
}

/// The context of a decision, besides the command itself.
pub(crate) struct Context<'a> {
    /// The ledger before it.
    pub(crate) state: &'a State,
    /// The time of the record that it makes.
    pub(crate) now: Time,
    /// The API key that acts; `None` for the cluster itself.
    pub(crate) key: Option<&'a ApiKey>,
    /// What concluded the charge or the request that the command is about; `None` while that is open.
    pub(crate) concluded: Option<Conclusion>,
}

impl<'a> Context<'a> {
    /// The seller whose key acts, where it is not suspended.
    pub(crate) fn acting_seller(&self) -> Result<&'a Seller, Denial> {
        let Some(Grant::Seller(number)) = self.key.map(|key| key.grant) else {
            return Err(Rejection::Forbidden.into());
        };
        let seller = self.seller(number)?;
        match seller.status {
            SellerStatus::Active => Ok(seller),
            SellerStatus::Suspended => Err(Refusal::SellerSuspended.into()),
        }
    }

    /// The seller of this number.
    pub(crate) fn seller(&self, number: RecordNumber) -> Result<&'a Seller, Denial> {
        self.state.seller(number).ok_or(Rejection::UnknownSeller.into())
    }

    /// The number of the journal entry that the command makes, where it makes one.
    pub(crate) fn next_entry(&self) -> u64 {
        self.state.entries().saturating_add(1)
    }
}

/// Why a command makes no event.
pub(crate) enum Denial {
    /// It was done before, by this record.
    Done(RecordNumber),
    /// Nothing is recorded.
    Rejected(Rejection),
    /// The state forbids it.
    Refused(Refusal),
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Rejection> for Denial {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}
