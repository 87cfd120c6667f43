//! Whether the other units can be reached.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use connect_core::observation::{ConfigValue, Observation};
use connect_core::wire;

/// Longest wait for a connection: all units are tried at once, and one that answers does so within
/// milliseconds.
const PATIENCE: Duration = Duration::from_millis(700);

/// Other units whose peer door takes no connection; only the leader needs to know. A unit that has
/// not said where its door is, is not asked.
#[must_use]
pub fn unreachable(seen: &Observation) -> BTreeSet<String> {
    let Some(peers) = seen.peers.as_ref().filter(|_| seen.leader) else {
        return BTreeSet::new();
    };
    let port = match seen.config.get("peer-port") {
        Some(ConfigValue::Integer(port)) => u16::try_from(*port).ok(),
        Some(ConfigValue::Text(_) | ConfigValue::Boolean(_) | ConfigValue::Float(_)) | None => None,
    };
    // With an option that cannot be used the doors stay where they were, wherever that is.
    let Some(port) = port.filter(|port| *port >= 1024) else {
        return BTreeSet::new();
    };
    let doors: Vec<(&String, SocketAddr)> = peers
        .others
        .iter()
        .filter_map(|(unit, bag)| {
            let address = wire::peer::read_unit(bag).peer_address?;
            Some((unit, SocketAddr::new(address, port)))
        })
        .collect();
    std::thread::scope(|scope| {
        let asked: Vec<_> = doors
            .iter()
            .map(|(unit, door)| {
                let asks = scope.spawn(move || TcpStream::connect_timeout(door, PATIENCE).is_ok());
                (unit, asks)
            })
            .collect();
        asked
            .into_iter()
            .filter_map(|(unit, asks)| match asks.join() {
                Ok(true) => None,
                Ok(false) | Err(_) => Some((*unit).clone()),
            })
            .collect()
    })
}
