//! Where an administrative command came from: the node that received it, and the address of who sent it.
//!
//! Commands and records are encoded with an idempotency key or none, and with an origin or none, as one value: so those without
//! an origin, which all charges are, have the bytes that they had before there were origins.

use alloc::boxed::Box;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::digest::ItemBytes;
use crate::state::NodeNumber;
use crate::values::text::IdempotencyKey;

/// Where a command came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The node that received the request.
    pub node: NodeNumber,
    /// The address at the other end of its connection: a proxy's, where there is one between.
    pub address: IpAddr,
}

impl Origin {
    /// What a record's digest covers of it: the address as IPv6, one of IPv4 mapped into it (RFC 4291, section 2.5.5.2).
    pub(crate) fn write(self, bytes: &mut ItemBytes<'_>) {
        let address = match self.address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        bytes.u64(self.node);
        bytes.bytes(&address.octets());
    }
}

/// An idempotency key and an origin, as they are encoded. Variants are encoded by position: the first two have the bytes of an
/// optional key.
#[derive(Deserialize)]
pub(crate) enum Marks {
    Neither,
    Key(IdempotencyKey),
    Origin(Box<Origin>),
    Both(IdempotencyKey, Box<Origin>),
}

impl Marks {
    pub(crate) fn into_parts(self) -> (Option<IdempotencyKey>, Option<Box<Origin>>) {
        match self {
            Self::Neither => (None, None),
            Self::Key(key) => (Some(key), None),
            Self::Origin(origin) => (None, Some(origin)),
            Self::Both(key, origin) => (Some(key), Some(origin)),
        }
    }
}

/// The same, borrowed.
#[derive(Serialize)]
pub(crate) enum MarksForm<'a> {
    Neither,
    Key(&'a IdempotencyKey),
    Origin(&'a Origin),
    Both(&'a IdempotencyKey, &'a Origin),
}

impl<'a> MarksForm<'a> {
    pub(crate) fn of(key: Option<&'a IdempotencyKey>, origin: Option<&'a Origin>) -> Self {
        match (key, origin) {
            (None, None) => Self::Neither,
            (Some(key), None) => Self::Key(key),
            (None, Some(origin)) => Self::Origin(origin),
            (Some(key), Some(origin)) => Self::Both(key, origin),
        }
    }
}
