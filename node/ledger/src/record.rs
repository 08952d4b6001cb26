//! What was decided: one record a decision, numbered without gaps, never changed.
//!
//! A record holds all that its answer needs, so that the answer can be given again byte for byte.

use serde::{Deserialize, Serialize};

use crate::commands::Event;
use crate::entry::{Entry, Movement};
use crate::values::ids::{ApiKeyNumber, At, IdSpace, RecordNumber, Time};
use crate::values::text::IdempotencyKey;

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its place in the history, from 1.
    pub number: RecordNumber,
    /// When it was decided, in ledger time.
    pub time: Time,
    /// The API key that acted, or [`crate::SYSTEM_ACTOR`].
    pub actor: ApiKeyNumber,
    /// The key under which it is found again.
    pub idempotency_key: Option<IdempotencyKey>,
    /// What happened.
    pub event: Event,
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

    /// The API key that it made or revoked.
    pub fn api_key(&self) -> Option<ApiKeyNumber> {
        self.event.kind().api_key(self.number)
    }

    /// The journal entry that it made; `None` where it moved no money. `actor` is the name of the key that acted.
    pub fn entry<'a>(&'a self, ids: &IdSpace, actor: &'a str) -> Option<Entry<'a>> {
        self.movement().map(|movement| movement.entry(ids, self.at(), actor))
    }
}
