//! Where this unit is reached, of what Juju says of its bindings.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::peer::Peers;
use crate::observation::Network;

/// Addresses that can be listened on and told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Where clients come in.
    pub client: Vec<IpAddr>,
    /// Where other units come in.
    pub peer: Vec<IpAddr>,
    /// The one of `peer` that other units are told: what they were told before, as long as it is
    /// there, for Juju lists several in no certain order and a worker restarts for another one.
    pub told: Option<IpAddr>,
}

impl Addresses {
    /// Reads the bindings.
    #[must_use]
    pub fn read(network: &Network, peers: Option<&Peers>) -> Self {
        let usable = |addresses: &[IpAddr]| -> Vec<IpAddr> {
            addresses.iter().copied().filter(is_usable).collect()
        };
        let peer = usable(&network.peer_bind);
        let before = peers.and_then(|peers| peers.ours.peer_address);
        Self {
            client: usable(&network.client_bind),
            told: before
                .filter(|before| peer.contains(before))
                .or_else(|| peer.first().copied()),
            peer,
        }
    }

    /// All of `peer`, in order.
    #[must_use]
    pub fn of_peer(&self) -> BTreeSet<IpAddr> {
        self.peer.iter().copied().collect()
    }
}

/// An address without its interface is no address if it is a link's own.
fn is_usable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_unspecified() && !address.is_link_local(),
        IpAddr::V6(address) => !address.is_unspecified() && !address.is_unicast_link_local(),
    }
}
