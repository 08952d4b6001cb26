//! Single values of the contract, each read by one strict grammar and written in one form: money, phone numbers, times,
//! durations, addresses, and text that people write or read.

pub(crate) mod address;
pub(crate) mod duration;
pub(crate) mod money;
pub(crate) mod phone;
pub(crate) mod text;
pub(crate) mod time;
