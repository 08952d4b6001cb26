//! How many connections each client address holds, so that one client cannot hold all of a node's.
//!
//! An IPv6 client has a whole /64 to dial from, so that counts as one address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::raft::link::trust::pending::one_client;

/// Open connections by address. Clones share it; it holds no address without a connection.
#[derive(Debug, Clone, Default)]
pub struct Addresses(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

/// One connection's place; dropping it gives the place back.
#[derive(Debug)]
pub struct Place {
    addresses: Addresses,
    address: IpAddr,
}

impl Addresses {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more connection from `address`; `None` where it holds `most` already.
    pub fn enter(&self, address: IpAddr, most: usize) -> Option<Place> {
        let address = one_client(address);
        let mut open = self.lock();
        let held = open.get(&address).copied().unwrap_or(0);
        if held >= most {
            return None;
        }
        open.insert(address, held + 1);
        Some(Place { addresses: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.addresses.lock();
        match open.get_mut(&self.address) {
            Some(held) if *held > 1 => *held -= 1,
            Some(_) | None => drop(open.remove(&self.address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_holds_so_many_places_and_gives_them_back() {
        let addresses = Addresses::default();
        let (first, second) = (addresses.enter(ip("10.0.0.1"), 2), addresses.enter(ip("::ffff:10.0.0.1"), 2));
        assert!(first.is_some() && second.is_some());
        assert!(addresses.enter(ip("10.0.0.1"), 2).is_none());
        assert!(addresses.enter(ip("10.0.0.2"), 2).is_some(), "another address is another client");
        drop(first);
        assert!(addresses.enter(ip("10.0.0.1"), 2).is_some());
        drop(second);
        assert!(addresses.lock().is_empty(), "no address without a connection is kept");
    }

    #[test]
    fn a_64_of_ipv6_is_one_client() {
        let addresses = Addresses::default();
        let _held = addresses.enter(ip("2001:db8:1:2::1"), 1);
        assert!(addresses.enter(ip("2001:db8:1:2:ffff::9"), 1).is_none());
        assert!(addresses.enter(ip("2001:db8:1:3::1"), 1).is_some());
    }
}
