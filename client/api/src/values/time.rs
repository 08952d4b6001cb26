//! Time at the edge: a [`Timestamp`] is ledger time, shown as RFC 3339 in UTC with milliseconds.
//!
//! Unit: milliseconds since the Unix epoch. Ledger time is never before that, so a time before it, of any year from 1
//! on, is read as the epoch itself: as a bound of a span it lets through exactly the same entries.

use std::borrow::Cow;
use std::fmt;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// The last millisecond of the year 9999, which an offset or a rounded part can pass.
const LAST_MS: u64 = 253_402_300_799_999;
const MS_NANOS: i128 = 1_000_000;
/// Where RFC 3339 has its `T` (section 5.6, whose note lets a space stand there).
const SEPARATOR: usize = 10;

/// A point in ledger time, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

/// The text is no RFC 3339 time of a year from 0001 to 9999, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is written as RFC 3339, such as 2026-01-31T08:30:00.000Z")]
pub struct TimestampError;

impl Timestamp {
    /// Reads RFC 3339 with `Z` or an offset. A part of a millisecond counts as a whole one, so that `from` (inclusive)
    /// and `to` (exclusive) bound whole milliseconds exactly as written. What lies before 1970 becomes the epoch, and
    /// what lies after 9999 in UTC its last millisecond. Second 60 is read where a leap second may be, in the last minute
    /// of a month in UTC, as the second after it.
    pub fn parse(text: &str) -> Result<Timestamp, TimestampError> {
        // The library takes any sign between date and time.
        if !matches!(text.as_bytes().get(SEPARATOR), Some(b'T' | b't' | b' ')) {
            return Err(TimestampError);
        }
        let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimestampError)?;
        if time.year() < 1 {
            return Err(TimestampError);
        }
        let nanos = time.unix_timestamp_nanos();
        let ms = nanos.div_euclid(MS_NANOS) + i128::from(nanos.rem_euclid(MS_NANOS) > 0);
        Ok(Timestamp(u64::try_from(ms.max(0)).unwrap_or(LAST_MS).min(LAST_MS)))
    }
}

/// What lies after 9999 is shown as its last millisecond.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0.min(LAST_MS)) * MS_NANOS;
        let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|_| fmt::Error)?;
        let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
        let (hour, minute, second, ms) = (time.hour(), time.minute(), time.second(), time.millisecond());
        // By hand, since it stands in every answer, and the library writes no more digits than the value needs.
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

impl std::str::FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Timestamp, TimestampError> {
        Timestamp::parse(text)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Timestamp::parse(&text).map_err(de::Error::custom)
    }
}
