//! Money at the edge: [`AmountIn`] is what a caller wrote, [`AmountOut`] is what an answer shows.
//!
//! Unit: a decimal of the ledger's currency outside, `i64` or `i128` minor units inside; the currency's decimals
//! (0 to 4) are known only to the ledger, so an [`AmountIn`] becomes minor units in a second step.

use std::borrow::Cow;
use std::fmt;

use rust_decimal::Decimal;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use super::text::CodePoint;

/// Largest amount either way, in minor units. Source: the contract.
pub const MAX_MINOR: i64 = 1_000_000_000_000_000;
/// Most decimals of a currency. Source: the contract.
pub const MAX_DECIMALS: u32 = 4;
/// Longest text of an amount or a total without its sign and leading zeros: the library's 29 digits and a point.
const DIGITS_MAX: usize = 30;

/// Why an amount is refused. All are `400 invalid_request`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not `-?digits[.digits]`, or a JSON number that is no integer.
    #[error(
        "an amount is a string of digits such as \"5000\" or an integer, without sign +, spaces, separators or exponent"
    )]
    Malformed,
    /// The same, where one character stands in the way.
    #[error(
        "an amount is a string of digits such as \"5000\" or an integer, without sign +, spaces, separators or exponent: \
         {} stands in the way",
        CodePoint(*.0)
    )]
    Character(char),
    /// More digits after the point than the currency has decimals, zeros too.
    #[error("{}", too_precise(*.decimals))]
    TooPrecise {
        /// Of the currency, or 4 where the currency is not known.
        decimals: u32,
    },
    /// Over [`MAX_MINOR`] either way.
    #[error("an amount is at most 10^15 minor units")]
    TooLarge,
    /// Zero or less where something is to be charged or credited.
    #[error("an amount is greater than zero here")]
    NotPositive,
    /// Zero where something is to be corrected.
    #[error("an amount is not zero here")]
    Zero,
}

fn too_precise(decimals: u32) -> String {
    let most = match decimals {
        0 => "no decimal places".to_owned(),
        1 => "at most 1 decimal place".to_owned(),
        decimals => format!("at most {decimals} decimal places"),
    };
    format!(
        "an amount has {most} here; a point before more digits is nearly always a thousands separator: write 50000, not \
         50.000"
    )
}

/// An amount as a caller wrote it. Invariant: at most 16 digits before the point, leading zeros apart, and 4 after it.
///
/// Reads a JSON string `-?digits[.digits]` or an integer JSON number; is written as a string, with as many digits after
/// the point as were written: `50.000` stays so, since whether that is fifty or fifty thousand is not for a reader to
/// guess. Two amounts are equal where their values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmountIn(Decimal);

impl AmountIn {
    /// An amount of `minor` units in a currency with `decimals` decimals.
    pub fn from_minor(minor: i64, decimals: u32) -> AmountIn {
        AmountIn(Decimal::new(minor, decimals.min(MAX_DECIMALS)))
    }

    /// Reads `-?digits[.digits]`. Fails where the text is anything else, or is too large or too precise for any currency.
    pub fn parse(text: &str) -> Result<AmountIn, AmountError> {
        let value = decimal(text)?;
        // One of any size whose digits are too many is refused at once, whatever the decimals of the ledger.
        if value.abs() >= Decimal::from(10 * MAX_MINOR) { Err(AmountError::TooLarge) } else { Ok(AmountIn(value)) }
    }

    /// Minor units in a currency with `decimals` decimals, between `-10^15` and `10^15`.
    pub fn minor(self, decimals: u32) -> Result<i64, AmountError> {
        let mut value = self.0;
        if value.scale() > decimals {
            return Err(AmountError::TooPrecise { decimals });
        }
        value.rescale(decimals);
        match i64::try_from(value.mantissa()) {
            Ok(minor) if value.scale() == decimals && (-MAX_MINOR..=MAX_MINOR).contains(&minor) => Ok(minor),
            Ok(_) | Err(_) => Err(AmountError::TooLarge),
        }
    }

    /// Minor units of a charge or a credit request: 1 to `10^15`.
    pub fn positive(self, decimals: u32) -> Result<i64, AmountError> {
        match self.minor(decimals)? {
            minor if minor > 0 => Ok(minor),
            _ => Err(AmountError::NotPositive),
        }
    }

    /// Minor units of an adjustment: `-10^15` to `10^15` without zero.
    pub fn nonzero(self, decimals: u32) -> Result<i64, AmountError> {
        match self.minor(decimals)? {
            0 => Err(AmountError::Zero),
            minor => Ok(minor),
        }
    }
}

/// The digits of `-?digits[.digits]` before and after the point; at most [`MAX_DECIMALS`] after it.
///
/// The grammar is checked here, since the library takes more (a plus sign, underscores, a bare point) and does not say
/// which character stands in the way.
fn digits_of(text: &str) -> Result<(&str, &str), AmountError> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').map_or((unsigned, None), |(whole, rest)| (whole, Some(rest)));
    if !is_digits(whole) || !fraction.is_none_or(is_digits) {
        return Err(malformed(unsigned));
    }
    let fraction = fraction.unwrap_or_default();
    if fraction.len() > MAX_DECIMALS as usize {
        return Err(AmountError::TooPrecise { decimals: MAX_DECIMALS });
    }
    Ok((whole, fraction))
}

/// Reads `-?digits[.digits]`, and keeps how many digits are after the point.
fn decimal(text: &str) -> Result<Decimal, AmountError> {
    let (whole, _) = digits_of(text)?;
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    // The library goes a level deeper with each digit: a number that is too large is refused before.
    let zeros = whole.bytes().take_while(|byte| *byte == b'0').count().min(whole.len() - 1);
    let digits = unsigned.get(zeros..).filter(|digits| digits.len() <= DIGITS_MAX).ok_or(AmountError::TooLarge)?;
    let mut value = Decimal::from_str_exact(digits).map_err(|_| AmountError::TooLarge)?;
    value.set_sign_negative(text.len() > unsigned.len() && !value.is_zero());
    Ok(value)
}

/// Why a text without its sign is not `digits[.digits]`: the first character that cannot stand where it does.
fn malformed(unsigned: &str) -> AmountError {
    let mut points = 0;
    let wrong = unsigned.chars().find(|char| {
        points += u32::from(*char == '.');
        !(char.is_ascii_digit() || *char == '.' && points == 1)
    });
    wrong.map_or(AmountError::Malformed, AmountError::Character)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for AmountIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for AmountIn {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<AmountIn, AmountError> {
        AmountIn::parse(text)
    }
}

impl Serialize for AmountIn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AmountIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AmountIn, D::Error> {
        deserializer.deserialize_any(AmountVisitor)
    }
}

struct AmountVisitor;

impl Visitor<'_> for AmountVisitor {
    type Value = AmountIn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string of digits such as \"5000\" or an integer")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<AmountIn, E> {
        AmountIn::parse(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<AmountIn, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => Err(E::custom(AmountError::TooLarge)),
        }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<AmountIn, E> {
        if !(-MAX_MINOR..=MAX_MINOR).contains(&number) {
            return Err(E::custom(AmountError::TooLarge));
        }
        Ok(AmountIn(Decimal::from(number)))
    }

    /// A fraction, an exponent, or an integer beyond 64 bits.
    fn visit_f64<E: de::Error>(self, _number: f64) -> Result<AmountIn, E> {
        Err(E::custom(AmountError::Malformed))
    }
}

/// An amount, a balance or a total in an answer: shown as a decimal string with exactly the currency's decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmountOut {
    minor: i128,
    decimals: u32,
}

impl AmountOut {
    /// `minor` units in a currency with `decimals` decimals (0 to 4; more counts as 4).
    pub fn new(minor: impl Into<i128>, decimals: u32) -> AmountOut {
        AmountOut { minor: minor.into(), decimals: decimals.min(MAX_DECIMALS) }
    }

    /// Minor units.
    pub fn minor(self) -> i128 {
        self.minor
    }

    /// Decimals shown, 0 to 4.
    pub fn decimals(self) -> u32 {
        self.decimals
    }

    /// Reads what [`Display`](fmt::Display) writes, totals of any size among it; the decimals are as many as are written.
    pub fn parse(text: &str) -> Result<AmountOut, AmountError> {
        let (whole, fraction) = digits_of(text)?;
        let sign = if text.starts_with('-') { "-" } else { "" };
        let minor = format!("{sign}{whole}{fraction}").parse().map_err(|_| AmountError::TooLarge)?;
        let decimals = u32::try_from(fraction.len()).map_err(|_| AmountError::TooLarge)?;
        Ok(AmountOut { minor, decimals })
    }
}

/// By hand, since it stands twice in every answer to a charge, and a total may have more digits than the library's 28.
impl fmt::Display for AmountOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minor < 0 { "-" } else { "" };
        let magnitude = self.minor.unsigned_abs();
        if self.decimals == 0 {
            return write!(f, "{sign}{magnitude}");
        }
        let unit = 10_u128.pow(self.decimals);
        let width = self.decimals as usize;
        write!(f, "{sign}{}.{:0width$}", magnitude / unit, magnitude % unit)
    }
}

impl Serialize for AmountOut {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AmountOut {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AmountOut, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        AmountOut::parse(&text).map_err(de::Error::custom)
    }
}
