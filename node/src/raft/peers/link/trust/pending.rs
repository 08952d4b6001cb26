//! Connections before their welcome: few, for a short time, apart from those of authenticated nodes.
//!
//! Invariant: every connection gets a place; where all are taken, the oldest one of the address that holds most of them is
//! closed. So callers that send nothing, however many, cannot block a node that dials again.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

/// Connections before their welcome, at a time. Source: some for each node of a cluster that dials all at once.
pub const PLACES: usize = 64;

#[derive(Debug, Default)]
struct PendingTable {
    last: u64,
    waiting: BTreeMap<u64, (IpAddr, CancellationToken)>,
}

/// See the head of this file.
#[derive(Debug, Clone, Default)]
pub struct PendingConnections(Arc<Mutex<PendingTable>>);

/// The place of one connection; free again when dropped.
#[derive(Debug)]
pub struct PendingSlot {
    id: u64,
    pending: PendingConnections,
    closing: CancellationToken,
}

impl PendingSlot {
    /// Returns once another one took the place.
    pub async fn lost(&self) {
        self.closing.cancelled().await;
    }
}

impl Drop for PendingSlot {
    fn drop(&mut self) {
        self.pending.table().waiting.remove(&self.id);
    }
}

impl PendingConnections {
    fn table(&self) -> MutexGuard<'_, PendingTable> {
        self.0.lock()
    }

    /// A place for a connection from this address.
    pub fn take(&self, from: IpAddr) -> PendingSlot {
        let from = one_client(from);
        let mut table = self.table();
        if table.waiting.len() >= PLACES {
            table.close_one();
        }
        table.last += 1;
        let (id, closing) = (table.last, CancellationToken::new());
        table.waiting.insert(id, (from, closing.clone()));
        PendingSlot { id, pending: self.clone(), closing }
    }
}

/// What counts as one client: an IPv4 address, written either way, or the /64 of an IPv6 address.
pub fn one_client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX))),
    }
}

impl PendingTable {
    fn close_one(&mut self) {
        let mut held: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for (from, _) in self.waiting.values() {
            *held.entry(*from).or_default() += 1;
        }
        let most = held.values().max().copied().unwrap_or_default();
        let oldest = self.waiting.iter().find(|(_, (from, _))| held.get(from) == Some(&most)).map(|(id, _)| *id);
        if let Some((_, closing)) = oldest.and_then(|oldest| self.waiting.remove(&oldest)) {
            closing.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn is_lost(place: &PendingSlot) -> bool {
        place.lost().now_or_never().is_some()
    }

    #[test]
    fn a_crowd_from_one_address_costs_others_no_place() {
        let pending = PendingConnections::default();
        let other = pending.take(address(1));
        let crowd: Vec<_> = (0..10 * PLACES).map(|_| pending.take(address(2))).collect();
        assert!(!is_lost(&other));
        assert!(is_lost(&crowd[0]) && !is_lost(&crowd[10 * PLACES - 1]), "its own oldest went");
        assert_eq!(pending.table().waiting.len(), PLACES);
        drop((other, crowd));
        assert!(pending.table().waiting.is_empty());
    }

    #[test]
    fn a_64_of_ipv6_is_one_address() {
        let pending = PendingConnections::default();
        let other = pending.take("2001:db8::1".parse().unwrap());
        let crowd =
            (0..10 * PLACES).map(|host| pending.take(IpAddr::from(Ipv6Addr::from((1_u128 << 96) + host as u128))));
        let crowd: Vec<_> = crowd.collect();
        assert!(!is_lost(&other) && is_lost(&crowd[0]));
    }

    #[test]
    fn of_many_addresses_the_oldest_goes() {
        let pending = PendingConnections::default();
        let all: Vec<_> = (0..=u8::try_from(PLACES).unwrap()).map(|place| pending.take(address(place))).collect();
        assert!(is_lost(&all[0]) && all[1..].iter().all(|place| !is_lost(place)));
    }
}
