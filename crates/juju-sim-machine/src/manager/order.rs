//! Who comes before whom, and who depends on whom.

use super::Manager;
use super::jobs::JobKind;
use super::unit::Active;
use crate::units::Relations;

impl Manager {
    /// The relations of a unit, with both directions of orders and of stop propagation left to the callers.
    pub(super) fn relations(&self, name: &str) -> Relations {
        self.units
            .get(name)
            .and_then(|unit| unit.config())
            .map(|config| config.relations.clone())
            .unwrap_or_default()
    }

    /// True when `first` comes before `second`.
    pub(super) fn is_ordered(&self, first: &str, second: &str) -> bool {
        let names = |name: &str, pick: fn(&Relations) -> &Vec<String>, other: &str| {
            self.units
                .get(name)
                .and_then(|unit| unit.config())
                .is_some_and(|config| pick(&config.relations).iter().any(|known| known == other))
        };
        names(second, |relations| &relations.after, first)
            || names(first, |relations| &relations.before, second)
    }

    /// Units one of whose relations names this one.
    pub(super) fn dependents(
        &self,
        name: &str,
        pick: impl Fn(&Relations) -> Vec<&String>,
    ) -> Vec<String> {
        self.units
            .iter()
            .filter(|(other, unit)| {
                other.as_str() != name
                    && unit.config().is_some_and(|config| {
                        pick(&config.relations)
                            .into_iter()
                            .any(|known| known == name)
                    })
            })
            .map(|(other, _)| other.clone())
            .collect()
    }

    pub(super) fn is_settled(&self, name: &str) -> bool {
        self.units
            .get(name)
            .is_none_or(|unit| unit.active() != Active::Deactivating)
    }

    pub(super) fn may_run(&self, name: &str, kind: JobKind) -> bool {
        let goes_up = |kind: JobKind| kind == JobKind::Start || kind == JobKind::Reload;
        if goes_up(kind) && !self.is_settled(name) {
            return false;
        }
        self.jobs
            .iter()
            .filter(|(other, _)| other.as_str() != name)
            .all(|(other, job)| {
                let before = self.is_ordered(other, name);
                let after = self.is_ordered(name, other);
                match (goes_up(kind), goes_up(job.kind)) {
                    (true, true) => !before,
                    // Of two where one goes down, that one is first, whatever the order between them.
                    (true, false) => !(before || after),
                    (false, true) => true,
                    (false, false) => !after,
                }
            })
    }
}
