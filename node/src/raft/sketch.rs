//! Stand-ins for the ledger and storage types that have not landed yet; gone with the first merge.
#![allow(
    missing_docs,
    missing_debug_implementations,
    clippy::missing_docs_in_private_items
)]

pub mod ledger {
    #[derive(Debug, Clone)]
    pub struct Command;
    #[derive(Debug, Clone)]
    pub struct Record;
    #[derive(Debug, Clone)]
    pub struct Rejection;
    #[derive(Debug, Clone)]
    pub struct Digest(pub [u8; 32]);
    #[derive(Debug, Clone)]
    pub struct KeyHash(pub [u8; 32]);
    #[derive(Debug, Clone)]
    pub struct Name;
    #[derive(Debug, Clone)]
    pub struct Grant;
    #[derive(Debug)]
    pub struct State;
    pub type RecordNumber = u64;
    pub type KeyNumber = u64;
}

#[derive(Debug, thiserror::Error)]
#[error("storage")]
pub struct StorageError;

#[derive(Debug, Clone)]
pub struct Decisions {
    pub position: u64,
    pub outcomes: Vec<Decided>,
}

#[derive(Debug, Clone)]
pub enum Decided {
    Accepted {
        record: ledger::Record,
        replayed: bool,
    },
    Refused(ledger::Rejection),
}
