//! Durations as people write them: one grammar for the settings of a node and the flags of the client.

use std::time::Duration;

/// Reads `50ms`, `5s`, `1.5s`, `24h` or `1h 30m`: a duration longer than nothing.
///
/// # Errors
/// A sentence that says what is wrong and how it is written.
pub fn read_duration(text: &str) -> Result<Duration, String> {
    let read = humantime::parse_duration(text);
    let duration = read.map_err(|error| format!("{error} (write it as in 24h, 5s or 50ms)"))?;
    if duration.is_zero() { Err("must be longer than nothing".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_units_and_is_longer_than_nothing() {
        for (text, ms) in [
            ("500ms", 500),
            ("2m", 120_000),
            ("1.5s", 1_500),
            ("24h", 86_400_000),
            ("1d", 86_400_000),
            ("1h 30m", 5_400_000),
        ] {
            assert_eq!(read_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "5", "s", "0s", "-1s", "+5s", "1e3s", "99999999999999999999s"] {
            assert!(read_duration(text).is_err(), "{text}");
        }
    }
}
