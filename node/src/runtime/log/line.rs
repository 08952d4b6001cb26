//! The formats of a line of the log.

use clap::ValueEnum;
use serde::Deserialize;

/// How an event is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people: the time, the level, where from, what happened, and its fields.
    #[default]
    Text,
    /// For programs: a JSON object.
    Json,
}
