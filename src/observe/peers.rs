//! Whether the other units can be reached.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::time::Duration;

use connect_core::observation::Observation;
use connect_core::plan::watch;

/// Longest wait for a connection: all units are tried at once, and one that answers does so within
/// milliseconds.
const PATIENCE: Duration = Duration::from_millis(700);

/// Other units whose peer door takes no connection; only the leader needs to know.
#[must_use]
pub fn unreachable(seen: &Observation) -> BTreeSet<String> {
    let doors = watch::doors(seen);
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
                Ok(false) | Err(_) => Some(unit.clone()),
            })
            .collect()
    })
}
