//! The record of a load: what each command was answered, one JSON line an answer, so that a proof needs no trust in
//! the program that drove it.

use std::io::BufRead;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use etebar::api::AmountIn;

use crate::output::error::CliError;

/// One answer, or the lack of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordLine {
    pub(crate) key: String,
    pub(crate) seller: Uuid,
    /// E.164.
    pub(crate) phone: String,
    pub(crate) amount: AmountIn,
    /// 201 where it was charged, the refusal's status where it was refused, 0 where no answer came.
    pub(crate) status: u16,
    pub(crate) charge: Option<Uuid>,
    pub(crate) entry: Option<u64>,
    pub(crate) replayed: bool,
    pub(crate) attempts: u32,
    /// By the load generator's clock, since the Unix epoch.
    pub(crate) started_ms: u64,
    pub(crate) ended_ms: u64,
}

/// Hands each line of a file to `take`.
pub(crate) fn read(path: &Path, mut take: impl FnMut(RecordLine)) -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError::local(format!("{}: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(failed)?;
    for (index, line) in std::io::BufReader::new(file).lines().enumerate() {
        let line = line.map_err(failed)?;
        let read = serde_json::from_str(&line);
        take(read.map_err(|error| CliError::local(format!("{} line {}: {error}", path.display(), index + 1)))?);
    }
    Ok(())
}

/// The time by this machine's clock, since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "records and saved runs say when, for people")]
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
