//! What is asked and what happened: each kind of command in a file of its own, with its fields, its checks, its event and
//! the traits of both (`kind`). Here they meet, in two enums with their tables.
//!
//! Variants are encoded by position (bincode): add at the end, never remove or reorder. The byte that names a variant in a
//! digest is assigned once and never reused.

pub(crate) mod kind;

mod charge;
mod create_seller;
mod credit;
mod genesis;
mod keys;
mod nodes;
mod raise_rules;
mod recovery;
mod reverse;
mod set_policy;
mod set_seller_status;

use alloc::boxed::Box;

use serde::{Deserialize, Serialize, Serializer};

pub use self::charge::{Charge, Charged};
pub use self::create_seller::{CreateSeller, SellerCreated};
use self::credit::CreditDecision;
pub use self::credit::{
    Adjust, Adjusted, CreditApproved, CreditRejected, CreditRequested, CreditRequestedFor, DecideCredit, RequestCredit,
    RequestCreditFor, RequestShown,
};
pub use self::keys::{
    CreateExpiringKey, CreateKey, ExpiringKeyCreated, KeyCreated, KeyRevoked, KeyRotated, RevokeKey, RotateKey,
};
use self::kind::{CommandKind, Context, Denial, EventKind, RequiredRole};
pub use self::nodes::{
    AddNode, NodeAdded, NodePromoted, NodeRegistered, NodeRemoved, PromoteNode, RegisterNode, RemoveNode,
};
pub use self::raise_rules::{RaiseRules, RulesRaised};
pub use self::recovery::{BackupNoted, BeginEpoch, EpochBegun, LedgerOpened, NewAdminKey, NoteBackup, OpenLedger};
pub use self::reverse::{Reverse, Reversed};
pub use self::set_policy::{PolicySet, SetPolicy};
pub use self::set_seller_status::{SellerStatusSet, SetSellerStatus};
use crate::digest::ItemBytes;
use crate::origin::{Marks, MarksForm, Origin};
use crate::refusal::Refusal;
use crate::state::State;
use crate::state::genesis::Genesis;
use crate::values::ids::{ApiKeyNumber, At, Time};
use crate::values::text::IdempotencyKey;

/// One command: what to do, who asks, and under which key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Form")]
pub struct Command {
    /// The API key that acts, or [`crate::SYSTEM_ACTOR`].
    pub actor: ApiKeyNumber,
    /// Names this command among those of its scope; a second one under it moves nothing.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Where it came from. None for a seller's, and before [`crate::RULES_ROLES`].
    pub origin: Option<Box<Origin>>,
    /// What to do.
    pub action: Action,
}

/// A command as it is encoded.
#[derive(Deserialize)]
struct Form {
    actor: ApiKeyNumber,
    marks: Marks,
    action: Action,
}

impl From<Form> for Command {
    fn from(form: Form) -> Self {
        let Form { actor, marks, action } = form;
        let (idempotency_key, origin) = marks.into_parts();
        Self { actor, idempotency_key, origin, action }
    }
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            actor: ApiKeyNumber,
            marks: MarksForm<'a>,
            action: &'a Action,
        }
        let Self { actor, idempotency_key, origin, action } = self;
        let marks = MarksForm::of(idempotency_key.as_ref(), origin.as_deref());
        Form { actor: *actor, marks, action }.serialize(serializer)
    }
}

/// At least as many bytes as any command takes in a log entry, its texts and its key apart.
const COMMAND_BYTES: usize = 64;

impl Command {
    /// Whether it seems to be decided already: its key has a candidate that is remembered at `stamp`. Certain where it says
    /// no; a yes is wrong once in millions of new keys, and [`decide`](crate::decide::decide) does not rely on it.
    pub fn seems_decided(&self, state: &State, stamp: Time) -> bool {
        let (Some(actor), Some(key)) = (state.api_key(self.actor), &self.idempotency_key) else { return false };
        state.candidates(actor.scope(), key, stamp).next().is_some()
    }

    /// Whether deciding it twice is the same as once: its key, or its kind, makes the second one a replay.
    pub fn is_repeatable(&self) -> bool {
        self.idempotency_key.is_some() || self.action.kind().is_repeatable()
    }

    /// At least as many bytes as it takes in a log entry.
    pub fn weight(&self) -> usize {
        let key = self.idempotency_key.as_ref().map_or(0, |key| key.as_str().len());
        self.action.kind().text_bytes().saturating_add(key).saturating_add(COMMAND_BYTES)
    }
}

/// What to do. Sellers, keys, requests and charges are named by their record numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Bootstraps the ledger; the first command, and applied once.
    Genesis(Genesis),
    /// Creates a seller.
    CreateSeller(CreateSeller),
    /// Suspends a seller or lets it act again.
    SetSellerStatus(SetSellerStatus),
    /// Makes an API key.
    CreateKey(CreateKey),
    /// Revokes an API key permanently.
    RevokeKey(RevokeKey),
    /// Asks for more credit.
    RequestCredit(RequestCredit),
    /// Approves or rejects a credit request.
    DecideCredit(DecideCredit),
    /// Corrects a seller's credit.
    Adjust(Adjust),
    /// Sells airtime.
    Charge(Charge),
    /// Undoes a charge, whole.
    Reverse(Reverse),
    /// Binds a node's number to its data directory.
    RegisterNode(RegisterNode),
    /// Raises the version of the rules.
    RaiseRules(RaiseRules),
    /// Adds a node.
    AddNode(AddNode),
    /// Gives a node that was added a vote.
    PromoteNode(PromoteNode),
    /// Removes a node, permanently.
    RemoveNode(RemoveNode),
    /// The ledger goes on as a new cluster, on hold.
    BeginEpoch(BeginEpoch),
    /// Ends the hold.
    OpenLedger(OpenLedger),
    /// Notes that a backup was verified.
    NoteBackup(NoteBackup),
    /// Makes an API key that ends.
    CreateExpiringKey(CreateExpiringKey),
    /// Rotates an API key.
    RotateKey(RotateKey),
    /// Asks for more credit for a seller.
    RequestCreditFor(RequestCreditFor),
    /// Sets the policy of the back office.
    SetPolicy(SetPolicy),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The ledger was bootstrapped; the record's number is also the first admin key's.
    Genesis(Genesis),
    /// A seller was created.
    SellerCreated(SellerCreated),
    /// A seller was suspended, or may act again.
    SellerStatusSet(SellerStatusSet),
    /// An API key was made.
    KeyCreated(KeyCreated),
    /// An API key was revoked.
    KeyRevoked(KeyRevoked),
    /// A seller asked for credit.
    CreditRequested(CreditRequested),
    /// A request was approved and the credit allocated.
    CreditApproved(CreditApproved),
    /// A request was rejected.
    CreditRejected(CreditRejected),
    /// A seller's credit was corrected.
    Adjusted(Adjusted),
    /// Airtime was sold.
    Charged(Charged),
    /// A charge was undone.
    Reversed(Reversed),
    /// The state forbade a command, and that is its answer.
    Refused(Refused),
    /// A node's number was bound to its data directory.
    NodeRegistered(NodeRegistered),
    /// The version of the rules was raised.
    RulesRaised(RulesRaised),
    /// A node was added.
    NodeAdded(NodeAdded),
    /// A node is to vote.
    NodePromoted(NodePromoted),
    /// A node is to be a member no longer.
    NodeRemoved(NodeRemoved),
    /// The ledger went on as a new cluster; the record's number is also the new admin key's, where there is one.
    EpochBegun(EpochBegun),
    /// The hold has ended.
    LedgerOpened(LedgerOpened),
    /// A backup was verified.
    BackupNoted(BackupNoted),
    /// An API key that ends was made.
    ExpiringKeyCreated(ExpiringKeyCreated),
    /// An API key was rotated.
    KeyRotated(KeyRotated),
    /// Credit was asked for on a seller's behalf.
    CreditRequestedFor(CreditRequestedFor),
    /// The policy of the back office was set.
    PolicySet(PolicySet),
}

impl Action {
    /// The event that it makes, or why it makes none. `subject` is the record that [`CommandKind::subject`] named.
    pub(crate) fn evaluate(&self, context: &Context<'_>, subject: Option<Subject<'_>>) -> Result<Event, Denial> {
        match self {
            Self::Genesis(command) => command.evaluate().map(Event::Genesis),
            Self::CreateSeller(command) => Ok(Event::SellerCreated(command.evaluate())),
            Self::SetSellerStatus(command) => command.evaluate(context).map(Event::SellerStatusSet),
            Self::CreateKey(command) => command.evaluate(context).map(Event::KeyCreated),
            Self::RevokeKey(command) => command.evaluate(context).map(Event::KeyRevoked),
            Self::RequestCredit(command) => command.evaluate(context).map(Event::CreditRequested),
            Self::DecideCredit(command) => {
                command.evaluate(context, subject.and_then(filed)).map(|decided| match decided {
                    CreditDecision::Approved(event) => Event::CreditApproved(event),
                    CreditDecision::Rejected(event) => Event::CreditRejected(event),
                })
            }
            Self::Adjust(command) => command.evaluate(context).map(Event::Adjusted),
            Self::Charge(command) => command.evaluate(context).map(Event::Charged),
            Self::Reverse(command) => command.evaluate(context, subject.and_then(charged)).map(Event::Reversed),
            Self::RegisterNode(command) => command.evaluate(context).map(Event::NodeRegistered),
            Self::RaiseRules(command) => command.evaluate(context).map(Event::RulesRaised),
            Self::AddNode(command) => command.evaluate(context).map(Event::NodeAdded),
            Self::PromoteNode(command) => command.evaluate(context).map(Event::NodePromoted),
            Self::RemoveNode(command) => command.evaluate(context).map(Event::NodeRemoved),
            Self::BeginEpoch(command) => command.evaluate(context).map(Event::EpochBegun),
            Self::OpenLedger(command) => command.evaluate(context).map(Event::LedgerOpened),
            Self::NoteBackup(command) => command.evaluate(context).map(Event::BackupNoted),
            Self::CreateExpiringKey(command) => command.evaluate(context).map(Event::ExpiringKeyCreated),
            Self::RotateKey(command) => command.evaluate(context).map(Event::KeyRotated),
            Self::RequestCreditFor(command) => command.evaluate(context).map(Event::CreditRequestedFor),
            Self::SetPolicy(command) => Ok(Event::PolicySet(command.evaluate(context))),
        }
    }

    /// What it says of itself.
    pub(crate) fn kind(&self) -> &dyn CommandKind {
        self.row().1
    }

    /// The byte that names it in a digest, and what it says of itself.
    fn row(&self) -> (u8, &dyn CommandKind) {
        match self {
            Self::Genesis(command) => (1, command),
            Self::CreateSeller(command) => (2, command),
            Self::SetSellerStatus(command) => (3, command),
            Self::CreateKey(command) => (4, command),
            Self::RevokeKey(command) => (5, command),
            Self::RequestCredit(command) => (6, command),
            Self::DecideCredit(command) => (7, command),
            Self::Adjust(command) => (8, command),
            Self::Charge(command) => (9, command),
            Self::Reverse(command) => (10, command),
            Self::RegisterNode(command) => (11, command),
            Self::RaiseRules(command) => (12, command),
            Self::AddNode(command) => (13, command),
            Self::PromoteNode(command) => (14, command),
            Self::RemoveNode(command) => (15, command),
            Self::BeginEpoch(command) => (16, command),
            Self::OpenLedger(command) => (17, command),
            Self::NoteBackup(command) => (18, command),
            Self::CreateExpiringKey(command) => (19, command),
            Self::RotateKey(command) => (20, command),
            Self::RequestCreditFor(command) => (21, command),
            Self::SetPolicy(command) => (22, command),
        }
    }

    /// Whether `event` is this action's, compared as parsed: a retry asks for the same, any other action reuses its key.
    pub(crate) fn is_answered_by(&self, event: &Event) -> bool {
        if let Event::Refused(refused) = event {
            return self.is_same(&refused.action);
        }
        match self {
            Self::CreateSeller(asked) => matches!(event, Event::SellerCreated(event) if event.answers(asked)),
            Self::SetSellerStatus(asked) => matches!(event, Event::SellerStatusSet(event) if event.answers(asked)),
            Self::CreateKey(asked) => matches!(event, Event::KeyCreated(event) if event.answers(asked)),
            Self::RevokeKey(asked) => matches!(event, Event::KeyRevoked(event) if event.answers(asked)),
            Self::RequestCredit(asked) => matches!(event, Event::CreditRequested(event) if event.answers(asked)),
            Self::Adjust(asked) => matches!(event, Event::Adjusted(event) if event.answers(asked)),
            Self::Charge(asked) => matches!(event, Event::Charged(event) if event.answers(asked)),
            Self::Reverse(asked) => matches!(event, Event::Reversed(event) if event.answers(asked)),
            Self::NoteBackup(asked) => matches!(event, Event::BackupNoted(event) if event.records == asked.records),
            Self::CreateExpiringKey(asked) => {
                matches!(event, Event::ExpiringKeyCreated(event) if event.answers(asked))
            }
            Self::RotateKey(asked) => matches!(event, Event::KeyRotated(event) if event.answers(asked)),
            Self::RequestCreditFor(asked) => {
                matches!(event, Event::CreditRequestedFor(event) if event.answers(asked))
            }
            Self::SetPolicy(asked) => matches!(event, Event::PolicySet(event) if event.answers(*asked)),
            // The cluster's own have no idempotency key, and a verdict is found again by its request, what became of a node by
            // that node, the end of a hold by its epoch.
            Self::Genesis(_)
            | Self::DecideCredit(_)
            | Self::RegisterNode(_)
            | Self::RaiseRules(_)
            | Self::AddNode(_)
            | Self::PromoteNode(_)
            | Self::RemoveNode(_)
            | Self::BeginEpoch(_)
            | Self::OpenLedger(_) => false,
        }
    }

    /// Equal but for a secret's hash, which is drawn anew at each attempt.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::CreateKey(first), Self::CreateKey(again)) => first.is_same(again),
            (Self::CreateExpiringKey(first), Self::CreateExpiringKey(again)) => first.is_same(again),
            (Self::RotateKey(first), Self::RotateKey(again)) => first.is_same(again),
            _ => self == other,
        }
    }

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        let (byte, kind) = self.row();
        bytes.u8(byte);
        kind.write(bytes);
    }
}

/// An old record, as far as a command about it needs it: its place, who had it decided, and what happened.
type Subject<'a> = (At, ApiKeyNumber, &'a Event);

fn filed((at, asker, event): Subject<'_>) -> Option<(At, ApiKeyNumber, &CreditRequested)> {
    match event {
        Event::CreditRequested(filed) => Some((at, asker, filed)),
        Event::CreditRequestedFor(filed) => Some((at, asker, &filed.request)),
        _ => None,
    }
}

fn charged((_, _, event): Subject<'_>) -> Option<&Charged> {
    if let Event::Charged(charged) = event { Some(charged) } else { None }
}

impl Event {
    /// What it says of itself.
    pub(crate) fn kind(&self) -> &dyn EventKind {
        self.row().1
    }

    /// The byte that names it in a digest, and what it says of itself.
    fn row(&self) -> (u8, &dyn EventKind) {
        match self {
            Self::Genesis(event) => (1, event),
            Self::SellerCreated(event) => (2, event),
            Self::SellerStatusSet(event) => (3, event),
            Self::KeyCreated(event) => (4, event),
            Self::KeyRevoked(event) => (5, event),
            Self::CreditRequested(event) => (6, event),
            Self::CreditApproved(event) => (7, event),
            Self::CreditRejected(event) => (8, event),
            Self::Adjusted(event) => (9, event),
            Self::Charged(event) => (10, event),
            Self::Reversed(event) => (11, event),
            Self::Refused(event) => (12, event),
            Self::NodeRegistered(event) => (13, event),
            Self::RulesRaised(event) => (14, event),
            Self::NodeAdded(event) => (15, event),
            Self::NodePromoted(event) => (16, event),
            Self::NodeRemoved(event) => (17, event),
            Self::EpochBegun(event) => (18, event),
            Self::LedgerOpened(event) => (19, event),
            Self::BackupNoted(event) => (20, event),
            Self::ExpiringKeyCreated(event) => (21, event),
            Self::KeyRotated(event) => (22, event),
            Self::CreditRequestedFor(event) => (23, event),
            Self::PolicySet(event) => (24, event),
        }
    }

    pub(crate) fn write(&self, bytes: &mut ItemBytes<'_>) {
        let (byte, kind) = self.row();
        bytes.u8(byte);
        kind.write(bytes);
    }
}

/// The state forbade a command under an idempotency key: that answer stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// What was asked.
    pub action: Action,
    /// Why it was refused.
    pub refusal: Refusal,
}

impl EventKind for Refused {
    fn role(&self) -> RequiredRole {
        self.action.kind().role()
    }

    fn apply(&self, _at: At, _state: &mut State) {}

    fn write(&self, bytes: &mut ItemBytes<'_>) {
        self.action.write(bytes);
        self.refusal.write(bytes);
    }
}
