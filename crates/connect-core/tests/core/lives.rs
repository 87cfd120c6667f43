//! Histories of one and of several units.

use connect_core::plan::State;

use crate::world::*;

#[test]
fn one_unit_serves_a_client_without_plugin() {
    let mut world = World::new(1);
    world.add_client(7, "mirrormaker", "NOT-REQUIRED");
    let turns = world.settle();
    world.assert_sound();
    let ours = &world.clients[&7].ours;
    assert_eq!(ours["endpoints"], "http://10.20.0.4:8083", "{ours:?}");
    let secret = &world.secrets["connect-client.7.user.secret"];
    assert_eq!(ours["secret-user"], secret.uri);
    assert_eq!(secret.content["username"], "relation-7");
    assert!(turns <= 4, "{turns}");
    let done = world.hook(0, reconcile());
    assert_eq!(done.rounds, 1);
    assert_eq!(
        done.last.status.state,
        State::Active,
        "{:?}",
        done.last.status
    );
    assert_eq!(done.last.status.message, "");
    assert_eq!(done.last.promises, []);
    assert_eq!(world.units[&0].starts, 1);
}
