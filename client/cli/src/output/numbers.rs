//! Numbers for people, with their thousands set off. JSON and CSV have plain numbers.

use etebar::api::AmountOut;

use super::paint::{Cell, Tone};

/// An amount for people; a negative one is highlighted.
pub(crate) fn money(amount: AmountOut) -> Cell {
    let tone = if amount.minor() < 0 { Tone::Bad } else { Tone::Plain };
    Cell::new(&grouped(amount), tone)
}

/// An amount with its thousands set off, for people.
pub(crate) fn grouped(amount: AmountOut) -> String {
    grouped_text(&amount.to_string())
}

/// A count with its thousands set off, for people.
pub(crate) fn count(number: u64) -> String {
    grouped_text(&number.to_string())
}

/// A rate that is not negative, as a whole number with its thousands set off, for people.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is no negative number, and far from 2^64"
)]
pub(crate) fn rounded(rate: f64) -> String {
    count(rate.round() as u64)
}

fn grouped_text(text: &str) -> String {
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = unsigned.split_once('.').map_or((unsigned, None), |(whole, rest)| (whole, Some(rest)));
    let mut out = sign.to_owned();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_off() {
        let shown = |minor: i64, decimals| grouped(AmountOut::new(minor, decimals));
        assert_eq!(shown(0, 0), "0");
        assert_eq!(shown(999, 0), "999");
        assert_eq!(shown(1_000, 0), "1,000");
        assert_eq!(shown(-1_234_567, 2), "-12,345.67");
        assert_eq!(count(1_000_000), "1,000,000");
    }
}
