//! Time at the edge: a [`Timestamp`] is ledger time, shown as RFC 3339 in UTC with milliseconds.
//!
//! Unit: milliseconds since the Unix epoch. Ledger time is never before that, so a moment before it, of any year from 1
//! on, is read as the epoch itself: as a bound of a span it lets through exactly the same entries.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// The last millisecond of the year 9999, which an offset or a rounded part can pass.
const LAST_MS: u64 = 253_402_300_799_999;
const DAY_MS: u64 = 86_400_000;
/// Days of 400 years, after which the calendar repeats.
const ERA_DAYS: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

/// A moment of ledger time, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

/// The text is no RFC 3339 time of a year from 0001 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is written as RFC 3339, such as 2026-01-31T08:30:00.000Z")]
pub struct TimestampError;

impl Timestamp {
    /// Reads RFC 3339 with `Z` or an offset. A part of a millisecond counts as a whole one, so that `from` (inclusive)
    /// and `to` (exclusive) bound whole milliseconds exactly as written. What lies before 1970 becomes the epoch, and
    /// what lies after 9999 in UTC its last millisecond.
    pub fn parse(text: &str) -> Result<Timestamp, TimestampError> {
        let bytes = text.as_bytes();
        let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
        let fits = separators.iter().all(|&(at, byte)| bytes.get(at) == Some(&byte));
        if !fits || !matches!(bytes.get(10), Some(b'T' | b't' | b' ')) {
            return Err(TimestampError);
        }
        let (year, month, day) = (number(bytes, 0, 4)?, number(bytes, 5, 2)?, number(bytes, 8, 2)?);
        let (hour, minute, second) = (number(bytes, 11, 2)?, number(bytes, 14, 2)?, number(bytes, 17, 2)?);
        let valid = year > 0
            && (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day)
            && hour < 24
            && minute < 60;
        if !valid || second > 60 {
            return Err(TimestampError);
        }
        let (part_ms, zone) = fraction(bytes.get(19..).ok_or(TimestampError)?)?;
        let minutes = hour * 60 + minute - offset_minutes(zone)?;
        let ms = (days_from_civil(year, month, day) * 1_440 + minutes) * 60_000 + second * 1_000 + part_ms;
        Ok(Timestamp(u64::try_from(ms).unwrap_or(0).min(LAST_MS)))
    }
}

fn number(bytes: &[u8], at: usize, width: usize) -> Result<i64, TimestampError> {
    let digits = bytes.get(at..at + width).ok_or(TimestampError)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(TimestampError);
    }
    Ok(digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
}

/// Milliseconds of an optional `.digits`, rounded up, and what follows it.
fn fraction(rest: &[u8]) -> Result<(i64, &[u8]), TimestampError> {
    let Some(rest) = rest.strip_prefix(b".") else {
        return Ok((0, rest));
    };
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 {
        return Err(TimestampError);
    }
    let (digits, zone) = rest.split_at(length);
    let digit = |at: usize| digits.get(at).map_or(0, |digit| i64::from(digit - b'0'));
    let whole = digit(0) * 100 + digit(1) * 10 + digit(2);
    let more = digits.iter().skip(3).any(|digit| *digit != b'0');
    Ok((whole + i64::from(more), zone))
}

fn offset_minutes(zone: &[u8]) -> Result<i64, TimestampError> {
    let sign = match zone.first() {
        Some(b'Z' | b'z') if zone.len() == 1 => return Ok(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Err(TimestampError),
    };
    let (hours, minutes) = (number(zone, 1, 2)?, number(zone, 4, 2)?);
    if zone.len() != 6 || zone[3] != b':' || hours > 23 || minutes > 59 {
        return Err(TimestampError);
    }
    Ok(sign * (hours * 60 + minutes))
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since the epoch of a date of the Gregorian calendar. The year is taken to begin in March, so that the leap day
/// is its last (Howard Hinnant's `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - EPOCH_DAYS
}

/// Year, month and day of a day since the epoch: the inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + EPOCH_DAYS;
    let era = shifted.div_euclid(ERA_DAYS);
    let day_of_era = shifted.rem_euclid(ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = i64::try_from(self.0 / DAY_MS).unwrap_or(i64::MAX / 2);
        let (year, month, day) = civil_from_days(days);
        let ms = self.0 % DAY_MS;
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1_000)
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
