//! What was decided: one record a decision, numbered without gaps, never changed.
//!
//! A record holds all that its answer needs, so that the answer can be given again byte for byte.

use alloc::boxed::Box;

use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::commands::Event;
use crate::digest::{ItemBytes, RecordChain};
use crate::entry::{Entry, Movement};
use crate::origin::{Marks, MarksForm, Origin};
use crate::page::page_of;
use crate::state::Conclusion;
use crate::values::ids::{ApiKeyNumber, At, IdSpace, RecordNumber, Time};
use crate::values::rules::RULES_ROLES;
use crate::values::text::IdempotencyKey;

/// Stands in a digest before an origin, where else the byte of the event stands: no event has it.
const ORIGIN_FOLLOWS: u8 = 255;

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Form")]
pub struct Record {
    /// Its place in the history, from 1.
    pub number: RecordNumber,
    /// When it was decided, in ledger time.
    pub time: Time,
    /// The API key that acted, or [`crate::SYSTEM_ACTOR`].
    pub actor: ApiKeyNumber,
    /// The key under which it is found again.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Where it came from, for what others than sellers do; from [`crate::RULES_ROLES`] on.
    pub origin: Option<Box<Origin>>,
    /// What happened.
    pub event: Event,
}

/// A record as it is encoded.
#[derive(Deserialize)]
struct Form {
    number: RecordNumber,
    time: Time,
    actor: ApiKeyNumber,
    marks: Marks,
    event: Event,
}

impl From<Form> for Record {
    fn from(form: Form) -> Self {
        let Form { number, time, actor, marks, event } = form;
        let (idempotency_key, origin) = marks.into_parts();
        Self { number, time, actor, idempotency_key, origin, event }
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            number: RecordNumber,
            time: Time,
            actor: ApiKeyNumber,
            marks: MarksForm<'a>,
            event: &'a Event,
        }
        let Self { number, time, actor, idempotency_key, origin, event } = self;
        let marks = MarksForm::of(idempotency_key.as_ref(), origin.as_deref());
        Form { number: *number, time: *time, actor: *actor, marks, event }.serialize(serializer)
    }
}

impl Record {
    /// Its number and time.
    pub fn at(&self) -> At {
        At { number: self.number, time: self.time }
    }

    /// The seller whose credit, request or status this record is about; `None` for one about none, or for a refusal.
    pub fn seller(&self) -> Option<RecordNumber> {
        self.event.kind().seller(self.number)
    }

    /// What it moved; `None` where it moved no money.
    pub fn movement(&self) -> Option<Movement<'_>> {
        self.event.kind().movement(self.number)
    }

    /// The charge or the credit request that it concludes, and how.
    pub fn concludes(&self) -> Option<(RecordNumber, Conclusion)> {
        let (subject, how) = self.event.kind().concludes()?;
        Some((subject, Conclusion { record: self.number, how }))
    }

    /// The API keys that it made, ended or revoked.
    pub fn api_keys(&self) -> impl Iterator<Item = ApiKeyNumber> {
        self.event.kind().api_keys(self.number).into_iter().flatten()
    }

    /// Whether it is an administrative act: it came from anybody but a seller, or it is the ledger's own beginning, a new epoch or
    /// new rules. Told from the record alone, and from [`RULES_ROLES`] on, so that all nodes list the same ones.
    pub fn is_act(&self) -> bool {
        let rules = match &self.event {
            Event::Genesis(genesis) => genesis.rules,
            Event::RulesRaised(raised) => raised.to,
            Event::EpochBegun(begun) => begun.rules,
            _ => 0,
        };
        self.origin.is_some() || rules >= RULES_ROLES
    }

    /// The journal entry that it made; `None` where it moved no money. `actor` is the name of the key that acted.
    pub fn entry<'a>(&'a self, ids: &IdSpace, actor: &'a str) -> Option<Entry<'a>> {
        self.movement().map(|movement| movement.entry(ids, self.at(), actor))
    }
}

impl Record {
    /// What a digest covers of it.
    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.number);
        bytes.u64(self.time.0);
        bytes.u64(self.actor);
        bytes.text(self.idempotency_key.as_ref().map_or("", |key| key.as_str()));
        if let Some(origin) = &self.origin {
            bytes.u8(ORIGIN_FOLLOWS);
            origin.write(bytes);
        }
        self.event.write(bytes);
    }
}

impl RecordChain {
    /// One record further, in the ledger of this id.
    pub fn push(&mut self, ledger: Uuid, record: &Record) {
        self.push_item(ledger, page_of(record.number), |bytes| record.write(bytes));
    }
}
