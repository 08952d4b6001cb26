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
    #[serde(rename = "places")]
    pub(crate) decimals: u32,
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
    /// From now on these may have been charged.
    Sending {
        #[serde(flatten)]
        sent_at: SentAt,
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

/// When a batch was sent, by two clocks of which either may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentAt {
    /// By the cluster's clock, as the `Date` of an answer shows it: a proxy may have written that.
    pub(crate) at: Timestamp,
    /// By this machine's clock. `None` in files of builds that did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) here: Option<Timestamp>,
}

impl SentAt {
    /// The earlier of the two, by each clock.
    pub(crate) fn earlier(self, other: SentAt) -> SentAt {
        let here = [self.here, other.here].into_iter().flatten().min();
        SentAt { at: self.at.min(other.at), here }
    }
}

/// What is known of a line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum LineState {
    NotSent,
    /// Sent, for the first time then, and not answered.
    InDoubt(SentAt),
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

impl LineState {
    pub(crate) fn is_answered(&self) -> bool {
        match self {
            LineState::NotSent | LineState::InDoubt(_) => false,
            LineState::Charged { .. } | LineState::Refused { .. } => true,
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
        let sent_at = SentAt { at: Timestamp(0), here: Some(Timestamp(1)) };
        let event = Event::Sending { sent_at, lines: vec![2, 3] };
        let line = framed(&event);
        assert_eq!(unframed::<Event>(line.as_bytes()), Some(event));
        assert_eq!(unframed::<Event>(line.replace('3', "4").as_bytes()), None);
        assert_eq!(unframed::<Event>(line.trim_end().as_bytes()), None);
    }

    #[test]
    fn a_record_of_a_build_that_recorded_one_clock_is_still_read() {
        let old = "{\"sending\":{\"at\":\"1970-01-01T00:00:00.007Z\",\"lines\":[2]}}";
        let event = Event::Sending { sent_at: SentAt { at: Timestamp(7), here: None }, lines: vec![2] };
        assert_eq!(serde_json::from_str::<Event>(old).unwrap(), event);
        assert_eq!(serde_json::to_string(&event).unwrap(), old);
    }
}
