//! The records of a resume file, and what they say of a line.
//!
//! A record is a line of text: eight hex digits of its BLAKE3, a space, JSON. So damage is seen, and people can read it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use etebar::api::{AmountOut, Code, Timestamp};

/// Of the format below.
pub(crate) const VERSION: u32 = 1;

/// The first record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) etebar_import: u32,
    pub(crate) input_blake3: String,
    pub(crate) lines: u64,
    pub(crate) seller_id: Uuid,
    /// Of the ledger's currency.
    pub(crate) places: u32,
    /// Random. With a dash and a line's number it is the key of a line without a key of its own.
    pub(crate) key_prefix: String,
    pub(crate) key_window_seconds: Option<u64>,
    /// By the cluster's clock.
    pub(crate) begun_at: Timestamp,
}

/// Every further record. Lines are named by their numbers in the input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// From now on these may have been charged; `at` is the cluster's clock.
    Sending {
        at: Timestamp,
        lines: Vec<u64>,
    },
    /// These were certainly not charged after all.
    NotDone {
        lines: Vec<u64>,
    },
    Charged {
        line: u64,
        id: Uuid,
        entry: u64,
        balance: AmountOut,
        replayed: bool,
    },
    /// Decided, or not taken; either way this line moved nothing and its key is not sent again.
    Refused {
        line: u64,
        code: Code,
        detail: String,
    },
    /// The keys of lines without an answer may be forgotten: nothing is sent any more.
    Closed {
        at: Timestamp,
    },
}

/// What is known of a line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Known {
    NotSent,
    /// Sent, for the first time at this moment, and not answered.
    InDoubt(Timestamp),
    Charged {
        id: Uuid,
        entry: u64,
        balance: AmountOut,
        replayed: bool,
    },
    Refused {
        code: Code,
        detail: Box<str>,
    },
}

impl Known {
    pub(crate) fn is_answered(&self) -> bool {
        match self {
            Known::NotSent | Known::InDoubt(_) => false,
            Known::Charged { .. } | Known::Refused { .. } => true,
        }
    }
}

/// The line of a record.
pub(crate) fn framed(record: &impl Serialize) -> String {
    let json = serde_json::to_string(record).expect("a record has only texts for keys");
    format!("{} {json}\n", &blake3::hash(json.as_bytes()).to_hex()[..8])
}

/// The record of a whole line; `None` where it is damaged.
pub(crate) fn unframed<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let (check, json) = std::str::from_utf8(line).ok()?.strip_suffix('\n')?.split_once(' ')?;
    let right = blake3::hash(json.as_bytes()).to_hex()[..8] == *check;
    right.then(|| serde_json::from_str(json).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_was_changed_is_no_record() {
        let event = Event::Sending { at: Timestamp(0), lines: vec![2, 3] };
        let line = framed(&event);
        assert_eq!(unframed::<Event>(line.as_bytes()), Some(event));
        assert_eq!(unframed::<Event>(line.replace('3', "4").as_bytes()), None);
        assert_eq!(unframed::<Event>(line.trim_end().as_bytes()), None);
    }
}
