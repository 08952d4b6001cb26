//! The record of a load: what each command was answered, one JSON line an answer, so that a proof needs no trust in
//! the program that drove it.

use std::io::BufRead;
use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::api::AmountIn;

use super::stop::Stop;

/// One answer, or the lack of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) key: String,
    pub(super) seller: Uuid,
    /// E.164.
    pub(super) phone: String,
    pub(super) amount: AmountIn,
    /// 201 where it was charged, the refusal's status where it was refused, 0 where no answer came.
    pub(super) status: u16,
    pub(super) charge: Option<Uuid>,
    pub(super) entry: Option<u64>,
    pub(super) replayed: bool,
    pub(super) attempts: u32,
    /// By the load generator's clock, since the Unix epoch.
    pub(super) started_ms: u64,
    pub(super) ended_ms: u64,
}

/// Hands each line of a file to `take`.
pub(super) fn read(path: &Path, mut take: impl FnMut(Line)) -> Result<(), Stop> {
    let failed = |error: std::io::Error| Stop::local(format!("{}: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(failed)?;
    for (index, line) in std::io::BufReader::new(file).lines().enumerate() {
        let line = line.map_err(failed)?;
        let read = serde_json::from_str(&line);
        take(read.map_err(|error| Stop::local(format!("{} line {}: {error}", path.display(), index + 1)))?);
    }
    Ok(())
}
