//! The history as bytes, for whoever reads it without a node's disk: values and their seals, pages, and the backup file.
//!
//! Read in this order: [`kind`] and [`codec`] (values, versions, seals), [`page`] (64 records), [`backup`] (a file of pages,
//! which `GET /v1/backup` streams too). `docs/format.md` describes every byte.
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used)]

pub mod codec;
mod error;
pub mod kind;
pub mod page;

pub mod backup;

pub use error::PageError;
pub use kind::Kind;
