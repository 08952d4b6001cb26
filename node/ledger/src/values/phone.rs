//! The frozen shape of a phone number: what the ledger stores. How people write one is the business of the edge.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A number in E.164, without the plus, as an integer.
///
/// Invariant: 7 to 15 digits, the first not zero; with country code 98 it is a mobile number, `98 9` and nine digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Phone(u64);

/// Fewest digits of an E.164 number that are taken, as a power of ten. Source: the contract, section Limits.
const SEVEN_DIGITS: u64 = 1_000_000;
/// One more than the largest number of 15 digits. Source: ITU-T E.164, section 6.2.1.
const SIXTEEN_DIGITS: u64 = 1_000_000_000_000_000;
/// Iranian mobile numbers: `+98 9xx xxx xxxx`.
const IRANIAN_MOBILE: core::ops::Range<u64> = 989_000_000_000..990_000_000_000;

impl Phone {
    /// The number with these digits; `None` where the invariant does not hold.
    pub fn new(digits: u64) -> Option<Self> {
        let in_length = (SEVEN_DIGITS..SIXTEEN_DIGITS).contains(&digits);
        (in_length && (country_is_not_iran(digits) || IRANIAN_MOBILE.contains(&digits))).then_some(Self(digits))
    }

    /// The digits as an integer.
    pub fn digits(self) -> u64 {
        self.0
    }
}

fn country_is_not_iran(mut digits: u64) -> bool {
    while digits >= 100 {
        digits /= 10;
    }
    digits != 98
}

impl TryFrom<u64> for Phone {
    type Error = &'static str;

    fn try_from(digits: u64) -> Result<Self, Self::Error> {
        Self::new(digits).ok_or("not the digits of a phone number that can be charged")
    }
}

impl From<Phone> for u64 {
    fn from(phone: Phone) -> u64 {
        phone.digits()
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}
