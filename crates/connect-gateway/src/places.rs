//! How many connections one source address may have.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits;

/// Connections per source address.
#[derive(Debug, Default)]
pub struct PerAddress(Mutex<HashMap<IpAddr, usize>>);

/// One connection's share; dropping it gives it back.
#[derive(Debug)]
pub struct Share(Arc<PerAddress>, IpAddr);

impl PerAddress {
    /// A share for one more connection; `None` if the address has all it may have.
    #[must_use]
    pub fn take(all: &Arc<Self>, address: IpAddr) -> Option<Share> {
        let mut counts = all.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_insert(0);
        if *count >= limits::CONNECTIONS_PER_ADDRESS {
            return None;
        }
        *count += 1;
        Some(Share(Arc::clone(all), address))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.1);
            }
        }
    }
}
