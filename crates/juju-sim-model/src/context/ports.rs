//! Ports to open and to close.
//!
//! Contract: `context/ports.go` of Juju's uniter.

use std::collections::{BTreeMap, BTreeSet};

use crate::state::{Model, PortRange};

type Grouped = BTreeMap<String, Vec<PortRange>>;

/// Requests of one run, against what was open on the machine at its start.
#[derive(Debug, Default)]
pub(crate) struct PortChanges {
    unit: String,
    /// Open ranges by unit of the machine and endpoint.
    machine: BTreeMap<String, BTreeMap<String, BTreeSet<PortRange>>>,
    pub(crate) opened: Grouped,
    pub(crate) closed: Grouped,
}

enum Conflict {
    /// Open already, in just this way.
    Same,
    With(String),
}

impl PortChanges {
    pub(super) fn open(model: &Model, unit: &str) -> Self {
        let machine = model.units.get(unit).map(|unit| unit.machine.as_str());
        let neighbours = model.units.iter().filter(|(name, other)| {
            name.as_str() == unit || Some(other.machine.as_str()) == machine
        });
        let machine = neighbours
            .filter(|(_, other)| other.ports.values().any(|ranges| !ranges.is_empty()))
            .map(|(name, other)| (name.clone(), other.ports.clone()))
            .collect();
        Self {
            unit: unit.to_owned(),
            machine,
            ..Self::default()
        }
    }

    /// Asks for a range; nothing happens when it is open.
    ///
    /// # Errors
    /// On a conflict with another range.
    pub(crate) fn open_range(&mut self, endpoint: &str, range: PortRange) -> Result<(), String> {
        cancel(&mut self.closed, endpoint, range);
        let refuse = |why: String| format!("cannot open {range} (unit \"{}\"): {why}", self.unit);
        if let Some(conflict) = self.conflict_with_pending(endpoint, range, &self.opened) {
            return match conflict {
                Conflict::Same => Ok(()),
                Conflict::With(why) => Err(refuse(why)),
            };
        }
        if let Some(conflict) = self.conflict_with_machine(endpoint, range) {
            return match conflict {
                Conflict::Same => Ok(()),
                Conflict::With(why) => Err(refuse(why)),
            };
        }
        self.opened
            .entry(endpoint.to_owned())
            .or_default()
            .push(range);
        Ok(())
    }

    /// Asks to close a range; a closed one may be closed again.
    ///
    /// # Errors
    /// On a conflict with another range.
    pub(crate) fn close_range(&mut self, endpoint: &str, range: PortRange) -> Result<(), String> {
        cancel(&mut self.opened, endpoint, range);
        let refuse = |why: String| format!("cannot close {range} (unit \"{}\"): {why}", self.unit);
        match self.conflict_with_pending(endpoint, range, &self.closed) {
            Some(Conflict::Same) => return Ok(()),
            Some(Conflict::With(why)) => return Err(refuse(why)),
            None => {}
        }
        if let Some(Conflict::With(why)) = self.conflict_with_machine(endpoint, range) {
            return Err(refuse(why));
        }
        if !self.machine.is_empty() {
            self.closed
                .entry(endpoint.to_owned())
                .or_default()
                .push(range);
        }
        Ok(())
    }

    fn conflict_with_pending(
        &self,
        endpoint: &str,
        range: PortRange,
        pending: &Grouped,
    ) -> Option<Conflict> {
        let ranges = pending
            .iter()
            .flat_map(|(endpoint, ranges)| ranges.iter().map(move |r| (endpoint, r)));
        self.conflict(endpoint, range, &self.unit, ranges, " requested earlier")
    }

    fn conflict_with_machine(&self, endpoint: &str, range: PortRange) -> Option<Conflict> {
        self.machine.iter().find_map(|(unit, ports)| {
            let ranges = ports
                .iter()
                .flat_map(|(endpoint, ranges)| ranges.iter().map(move |r| (endpoint, r)));
            self.conflict(endpoint, range, unit, ranges, "")
        })
    }

    fn conflict<'a>(
        &self,
        endpoint: &str,
        range: PortRange,
        unit: &str,
        ranges: impl Iterator<Item = (&'a String, &'a PortRange)>,
        when: &str,
    ) -> Option<Conflict> {
        let mut touching = ranges.filter(|(_, existing)| range.conflicts_with(existing));
        touching.find_map(|(existing_endpoint, existing)| {
            if unit == self.unit && *existing == range {
                return (existing_endpoint == endpoint).then_some(Conflict::Same);
            }
            let why = format!("port range conflicts with {existing} (unit \"{unit}\"){when}");
            Some(Conflict::With(why))
        })
    }

    /// The unit's open ranges by endpoint, this run's requests included.
    pub(crate) fn current(&self) -> BTreeMap<String, BTreeSet<PortRange>> {
        let mut ports = self.machine.get(&self.unit).cloned().unwrap_or_default();
        for (endpoint, ranges) in &self.opened {
            ports.entry(endpoint.clone()).or_default().extend(ranges);
        }
        for (endpoint, ranges) in &self.closed {
            if let Some(open) = ports.get_mut(endpoint) {
                open.retain(|range| !ranges.contains(range));
            }
        }
        ports.retain(|_, ranges| !ranges.is_empty());
        ports
    }
}

fn cancel(pending: &mut Grouped, endpoint: &str, range: PortRange) {
    if let Some(ranges) = pending.get_mut(endpoint) {
        ranges.retain(|pending| *pending != range);
    }
}
