//! What was decided: one record a decision, numbered without gaps, never changed.
//!
//! A record holds all that its answer needs, so that the answer can be given again byte for byte.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::commands::Event;
use crate::digest::{ItemBytes, RecordChain};
use crate::entry::{Entry, Movement};
use crate::page::page_of;
use crate::state::Conclusion;
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

    /// The charge or the credit request that it concludes, and how.
    pub fn concludes(&self) -> Option<(RecordNumber, Conclusion)> {
        let (subject, how) = self.event.kind().concludes()?;
        Some((subject, Conclusion { record: self.number, how }))
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

impl Record {
    /// What a digest covers of it.
    fn write(&self, bytes: &mut ItemBytes<'_>) {
        bytes.u64(self.number);
        bytes.u64(self.time.0);
        bytes.u64(self.actor);
        bytes.text(self.idempotency_key.as_ref().map_or("", |key| key.as_str()));
        self.event.write(bytes);
    }
}

impl RecordChain {
    /// One record further, in the ledger of this id.
    pub fn push(&mut self, ledger: Uuid, record: &Record) {
        self.push_item(ledger, page_of(record.number), |bytes| record.write(bytes));
    }
}
