//! Money: an [`Amount`] is what a request or a charge asks for, a [`SignedAmount`] is an adjustment, a [`Balance`] is what is left.
//!
//! Unit: minor units of the ledger's currency, as integers, so that equal values have equal bytes on every node.
//! Invariant: no value exceeds [`MAX_MINOR`], so sums of up to 9,000 balances fit an `i64` and sums of all fit an `i128`.

use core::num::{NonZeroI64, NonZeroU64};

use serde::{Deserialize, Serialize};

/// The largest amount and the largest balance, in minor units. Source: the contract, section Money.
pub const MAX_MINOR: u64 = 1_000_000_000_000_000;

/// A sum to credit or to charge. Invariant: 1 ..= [`MAX_MINOR`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Amount(NonZeroU64);

impl Amount {
    /// An amount of `minor` units; `None` where it is zero or over [`MAX_MINOR`].
    pub fn new(minor: u64) -> Option<Self> {
        if minor > MAX_MINOR { None } else { NonZeroU64::new(minor).map(Self) }
    }

    /// Minor units.
    pub fn minor(self) -> u64 {
        self.0.get()
    }

    /// Minor units with the sign of a credit.
    pub fn plus(self) -> i64 {
        self.minor().cast_signed()
    }

    /// Minor units with the sign of a debit.
    pub fn minus(self) -> i64 {
        self.plus().saturating_neg()
    }
}

impl TryFrom<u64> for Amount {
    type Error = &'static str;

    fn try_from(minor: u64) -> Result<Self, Self::Error> {
        Self::new(minor).ok_or("an amount is 1 to 10^15 minor units")
    }
}

impl From<Amount> for u64 {
    fn from(amount: Amount) -> u64 {
        amount.minor()
    }
}

/// An admin's signed correction. Invariant: not zero, at most [`MAX_MINOR`] either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct SignedAmount(NonZeroI64);

impl SignedAmount {
    /// An amount of `minor` units, signed; `None` where it is zero or over [`MAX_MINOR`] either way.
    pub fn new(minor: i64) -> Option<Self> {
        if minor.unsigned_abs() > MAX_MINOR { None } else { NonZeroI64::new(minor).map(Self) }
    }

    /// Signed minor units.
    pub fn minor(self) -> i64 {
        self.0.get()
    }
}

impl TryFrom<i64> for SignedAmount {
    type Error = &'static str;

    fn try_from(minor: i64) -> Result<Self, Self::Error> {
        Self::new(minor).ok_or("an adjustment is not zero and at most 10^15 minor units either way")
    }
}

impl From<SignedAmount> for i64 {
    fn from(amount: SignedAmount) -> i64 {
        amount.minor()
    }
}

/// What an account of a seller or a phone holds. Invariant: 0 ..= [`MAX_MINOR`]; it cannot be negative, by type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Balance(u64);

/// Why a balance cannot move as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Immovable {
    /// It would fall below zero.
    BelowZero,
    /// It would exceed [`MAX_MINOR`].
    OverLimit,
}

impl Balance {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Minor units.
    pub fn minor(self) -> u64 {
        self.0
    }

    /// Minor units as a signed number; it fits, because the limit is far below `i64::MAX`.
    pub fn signed(self) -> i64 {
        self.0.cast_signed()
    }

    /// The balance after `amount` came in; `None` where it would exceed [`MAX_MINOR`].
    pub fn credited(self, amount: Amount) -> Option<Self> {
        self.0.checked_add(amount.minor()).filter(|sum| *sum <= MAX_MINOR).map(Self)
    }

    /// The balance after `amount` was spent; `None` where it does not suffice.
    pub fn charged(self, amount: Amount) -> Option<Self> {
        self.0.checked_sub(amount.minor()).map(Self)
    }

    /// The balance after an adjustment, or why there is none.
    pub fn adjusted(self, amount: SignedAmount) -> Result<Self, Immovable> {
        let moved = self.0.checked_add_signed(amount.minor()).ok_or(Immovable::BelowZero)?;
        if moved > MAX_MINOR { Err(Immovable::OverLimit) } else { Ok(Self(moved)) }
    }
}

impl TryFrom<u64> for Balance {
    type Error = &'static str;

    fn try_from(minor: u64) -> Result<Self, Self::Error> {
        if minor > MAX_MINOR { Err("a balance is at most 10^15 minor units") } else { Ok(Self(minor)) }
    }
}

impl From<Balance> for u64 {
    fn from(balance: Balance) -> u64 {
        balance.minor()
    }
}
