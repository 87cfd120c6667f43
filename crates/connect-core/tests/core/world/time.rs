//! What happens while time passes: the group rebalances, and its tasks move.

use super::*;

impl World {
    /// Time passes: what was queued happens, what was starting is up.
    pub fn tick(&mut self) {
        self.now += 20;
        let kafka_up = self.kafka_up;
        for machine in self.units.values_mut() {
            if machine.queued {
                machine.queued = false;
                machine.start_worker();
            }
            machine.look_at_users();
            let cause = machine.reason_to_exit(&self.layout);
            if machine.worker_wanted() && cause.is_some() {
                machine.exit();
            } else if machine.worker_wanted() && !machine.worker_active() {
                // systemd's next attempt.
                machine.attempt();
            }
            let active = machine.worker_active();
            machine.exits.clone_from(&cause);
            machine.healthy = active && kafka_up && !machine.unfit && !machine.gone;
            if machine.healthy {
                machine.turning = false;
            }
            machine.host.worker_log_cause =
                (active && !kafka_up).then(|| "Timed out waiting for a node assignment".to_owned());
            if machine.exits.is_some() {
                machine.host.worker_log_cause.clone_from(&machine.exits);
            }
        }
        self.rebalance();
    }

    /// The group notices who is there, and tasks without a worker get another one.
    pub(super) fn rebalance(&mut self) {
        let members = self.healthy();
        let ids: Vec<String> = members
            .iter()
            .map(|number| self.worker_id(*number))
            .collect();
        // One that came back at another address is another member.
        if ids == self.members {
            return;
        }
        self.group.generation += 1;
        let leader = members
            .first()
            .and_then(|number| self.units[number].advertised);
        self.group.leader = leader
            .map(|address| address.to_string())
            .unwrap_or_default();
        self.members.clone_from(&ids);
        let mut next = 0;
        for task in self
            .connectors
            .values_mut()
            .flat_map(|one| one.tasks.values_mut())
        {
            if !ids.is_empty() && task.state == "RUNNING" && !ids.contains(&task.worker) {
                task.worker.clone_from(&ids[next % ids.len()]);
                next += 1;
            }
        }
    }

    pub(super) fn healthy(&self) -> BTreeSet<u32> {
        let units = self.units.iter();
        units
            .filter(|(_, machine)| machine.healthy)
            .map(|(number, _)| *number)
            .collect()
    }
}
