//! What holds after any history of several units.

use std::collections::BTreeSet;

use connect_core::gateway::Protocol;
use connect_core::layout::{Layout, WORKER_SERVICE};
use connect_core::observation::*;
use proptest::prelude::*;

use crate::encryption::{Provider, settle};
use crate::world::*;

/// `PROPTEST_CASES` asks for more than a quick run needs.
pub fn cases(usual: u32) -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    Hook(u8),
    FailingHook(u8),
    Tick,
    AddClient(u8, u8),
    RemoveClient(u8),
    ChangePlugin(u8, u8),
    SpoilRequest(u8),
    Rotate(u8),
    RotateInternal,
    Certify(bool),
    Answer(bool),
    MoveLeader(u8),
    AddUnit,
    RemoveUnit(u8),
    KafkaDown(bool),
    KillWorker(u8),
    KillGateway(u8),
    LoseFiles(u8),
    Setting(bool),
    BadSetting(bool),
    UnbearableSetting(bool),
    RestartAll,
    PassOver,
    LoseUnit(u8),
    FindUnits,
    Connect(u8),
    ServePlugins(bool),
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::*;
    prop_oneof![
        8 => any::<u8>().prop_map(Hook),
        2 => any::<u8>().prop_map(FailingHook),
        4 => Just(Tick),
        4 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| AddClient(a, b)),
        2 => any::<u8>().prop_map(RemoveClient),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| ChangePlugin(a, b)),
        1 => any::<u8>().prop_map(SpoilRequest),
        1 => any::<u8>().prop_map(Rotate),
        1 => Just(RotateInternal),
        1 => any::<bool>().prop_map(Certify),
        2 => any::<bool>().prop_map(Answer),
        2 => any::<u8>().prop_map(MoveLeader),
        1 => Just(AddUnit),
        1 => any::<u8>().prop_map(RemoveUnit),
        1 => any::<bool>().prop_map(KafkaDown),
        1 => any::<u8>().prop_map(KillWorker),
        1 => any::<u8>().prop_map(KillGateway),
        1 => any::<u8>().prop_map(LoseFiles),
        1 => any::<bool>().prop_map(Setting),
        1 => any::<bool>().prop_map(BadSetting),
        1 => any::<bool>().prop_map(UnbearableSetting),
        1 => Just(RestartAll),
        1 => Just(PassOver),
        1 => any::<u8>().prop_map(LoseUnit),
        1 => Just(FindUnits),
        2 => any::<u8>().prop_map(Connect),
        1 => any::<bool>().prop_map(ServePlugins),
    ]
}

const URLS: [&str; 4] = [
    "NOT-REQUIRED",
    "http://10.1.1.1/a",
    "http://10.1.1.2/b",
    "http://10.1.1.3/also-a",
];

fn pick<T: Copy>(from: &[T], choice: u8) -> Option<T> {
    (!from.is_empty()).then(|| from[usize::from(choice) % from.len()])
}

fn serve(world: &mut World, up: bool) {
    world.plugins.clear();
    if up {
        for (url, digest) in URLS[1..].iter().zip(["aaaa", "bbbb", "aaaa"]) {
            world.serve_plugin(url, digest);
        }
    }
}

fn happen(world: &mut World, provider: &mut Provider, what: Happening) {
    let units: Vec<u32> = world.units.keys().copied().collect();
    let clients: Vec<u32> = world.clients.keys().copied().collect();
    let unit = |choice: u8| pick(&units, choice).unwrap();
    match what {
        Happening::Hook(choice) => {
            if !world.units[&unit(choice)].gone {
                world.hook(unit(choice), reconcile());
            }
        }
        Happening::FailingHook(choice) => {
            if !world.units[&unit(choice)].gone {
                world.failing_hook(unit(choice), &reconcile());
            }
        }
        Happening::UnbearableSetting(on) => {
            let interval = if on { "never" } else { "9999" };
            let text = format!("offset.flush.interval.ms={interval}");
            world
                .config
                .insert("worker-config".to_owned(), ConfigValue::Text(text));
        }
        Happening::RestartAll | Happening::PassOver => {
            let leader = world.leader;
            if world
                .units
                .get(&leader)
                .is_some_and(|machine| !machine.gone)
            {
                world.actions += 1;
                let all = matches!(what, Happening::RestartAll);
                let hook = Hook::RestartRequested {
                    id: world.actions.to_string(),
                    all,
                    force: !all,
                };
                world.hook(leader, hook);
            }
        }
        Happening::LoseUnit(choice) => {
            let lost = unit(choice);
            // Juju gives the lead to another one when it hears nothing of the leader.
            if lost != world.leader {
                world.units.get_mut(&lost).unwrap().gone = true;
            }
        }
        Happening::FindUnits => {
            for machine in world.units.values_mut() {
                machine.gone = false;
            }
        }
        Happening::Tick => world.tick(),
        Happening::AddClient(id, url) => {
            // A relation's number is never used again.
            let id = world.uris * 100 + u32::from(id);
            let url = pick(&URLS, url).unwrap();
            if !world.clients.contains_key(&id) && world.clients.len() < 4 {
                world.uris += 1;
                world.add_client(id, "client", url);
            }
        }
        Happening::RemoveClient(choice) => {
            if let Some(id) = pick(&clients, choice) {
                world.remove_client(id);
            }
        }
        Happening::ChangePlugin(choice, url) => {
            if let Some(id) = pick(&clients, choice) {
                let url = pick(&URLS, url).unwrap().to_owned();
                let client = world.clients.get_mut(&id).unwrap();
                client.theirs = bag(&[("plugin-url", &url), ("requested-secrets", FIVE)]);
            }
        }
        Happening::SpoilRequest(choice) => {
            if let Some(id) = pick(&clients, choice) {
                let client = world.clients.get_mut(&id).unwrap();
                client
                    .theirs
                    .insert("requested-secrets".to_owned(), "?".to_owned());
            }
        }
        Happening::Rotate(choice) => {
            if let Some(id) = pick(&clients, choice)
                && world
                    .units
                    .get(&world.leader)
                    .is_some_and(|machine| !machine.gone)
            {
                world.hook(world.leader, Hook::RotateRequested { relation: id });
            }
        }
        Happening::RotateInternal => {
            if world
                .units
                .get(&world.leader)
                .is_some_and(|machine| !machine.gone)
            {
                world.hook(world.leader, Hook::RotateInternalRequested);
            }
        }
        Happening::Certify(true) => {
            world.certificates.get_or_insert_default();
        }
        Happening::Certify(false) => {
            world.certificates = None;
            for machine in world.units.values_mut() {
                machine.requests.clear();
            }
        }
        Happening::Answer(anew) => match world.certificates {
            Some(_) if anew => provider.rotate(world, "ca-next"),
            Some(_) => provider.answer(world),
            None => {}
        },
        Happening::MoveLeader(choice) => {
            if !world.units[&unit(choice)].gone {
                world.leader = unit(choice);
            }
        }
        Happening::AddUnit => {
            let next = units.iter().max().unwrap() + 1;
            if units.len() < 4 {
                world.add_unit(next);
            }
        }
        Happening::RemoveUnit(choice) => {
            let leaving = unit(choice);
            let stays = |unit: &&u32| **unit != leaving && !world.units[*unit].gone;
            if units.iter().any(|unit| stays(&unit)) && !world.units[&leaving].gone {
                remove_unit(world, &units, &clients, leaving);
            }
        }
        Happening::KafkaDown(down) => world.kafka_up = !down,
        Happening::KillWorker(choice) => {
            let machine = world.units.get_mut(&unit(choice)).unwrap();
            if let Some(service) = machine.host.services.get_mut(WORKER_SERVICE) {
                service.active = "failed".to_owned();
                machine.healthy = false;
            }
        }
        Happening::KillGateway(choice) => {
            let machine = world.units.get_mut(&unit(choice)).unwrap();
            if let Some(service) = machine
                .host
                .services
                .get_mut("kafka-connect-gateway.service")
            {
                service.active = "failed".to_owned();
            }
        }
        Happening::LoseFiles(choice) => {
            let machine = world.units.get_mut(&unit(choice)).unwrap();
            let facts = Layout::new("").start_facts();
            machine.files.retain(|path, _| *path == facts);
        }
        Happening::Setting(on) => {
            let level = if on { "DEBUG" } else { "INFO" };
            world
                .config
                .insert("log-level".to_owned(), ConfigValue::Text(level.to_owned()));
        }
        Happening::BadSetting(on) => {
            let port = if on { 70000 } else { 8083 };
            world
                .config
                .insert("rest-port".to_owned(), ConfigValue::Integer(port));
        }
        Happening::Connect(choice) => {
            // Who was never told of a user cannot have made a connector.
            let told: Vec<u32> = clients
                .iter()
                .copied()
                .filter(|id| world.clients[id].ours.contains_key("secret-user"))
                .collect();
            if let Some(id) = pick(&told, choice) {
                let owner = Some(world.tag(id));
                world.run_connector(&format!("connector-{id}"), owner, 3);
            }
        }
        Happening::ServePlugins(up) => serve(world, up),
    }
}

fn remove_unit(world: &mut World, units: &[u32], clients: &[u32], leaving: u32) {
    let departing_unit = format!("{APP}/{leaving}");
    for id in clients {
        world.hook(
            leaving,
            Hook::RelationDeparted {
                endpoint: "connect-client".to_owned(),
                id: *id,
                departing_unit: departing_unit.clone(),
            },
        );
    }
    world.hook(leaving, Hook::Leave);
    if world.leader == leaving {
        let stays = |unit: &&u32| **unit != leaving && !world.units[*unit].gone;
        world.leader = *units.iter().find(stays).unwrap();
    }
    world.units.remove(&leaving);
    for other in units.iter().filter(|unit| **unit != leaving) {
        if world.units[other].gone {
            continue;
        }
        world.hook(
            *other,
            Hook::RelationDeparted {
                endpoint: "workers".to_owned(),
                id: PEER_RELATION,
                departing_unit: departing_unit.clone(),
            },
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(32),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_history_ends_well(
        units in 1..4_u32,
        history in prop::collection::vec(happening(), 0..40),
    ) {
        ends_well(units, history)?;
    }
}

/// Histories that once ended badly.
#[test]
fn named_histories_end_well() {
    // An option that no worker bears, there before any worker ran, was blamed on a client's plugin.
    let unbearable_from_the_start = vec![
        Happening::UnbearableSetting(true),
        Happening::AddClient(0, 49),
        Happening::Hook(0),
        Happening::AddClient(0, 215),
    ];
    ends_well(1, unbearable_from_the_start).unwrap();
}

fn ends_well(units: u32, history: Vec<Happening>) -> Result<(), TestCaseError> {
    let mut world = World::new(units);
    let mut provider = Provider::new();
    serve(&mut world, true);
    for what in history {
        happen(&mut world, &mut provider, what);
    }
    // The troubles end, and everything finds its place.
    world.kafka_up = true;
    world.config.remove("rest-port");
    world.config.remove("worker-config");
    for machine in world.units.values_mut() {
        machine.gone = false;
    }
    serve(&mut world, true);
    for client in world.clients.values_mut() {
        client
            .theirs
            .insert("requested-secrets".to_owned(), FIVE.to_owned());
    }
    world.tick();
    world.now += 1000;
    world.settle();
    let scheme = if world.certificates.is_some() {
        settle(&mut world, &mut provider);
        "https"
    } else {
        "http"
    };
    // Whatever was told last has been read by now.
    world.now += 1000;
    world.settle();
    prop_assert_eq!(&world.violations, &Vec::<String>::new());

    let names: Vec<String> = world
        .clients
        .keys()
        .map(|id| format!("relation-{id}"))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let endpoints: Vec<String> = world
        .units
        .values()
        .map(|m| format!("{scheme}://{}:8083", m.address))
        .collect();
    for (id, client) in &world.clients {
        prop_assert!(
            client.ours.contains_key("secret-user"),
            "client {} {:?}",
            id,
            client
        );
        prop_assert_eq!(&client.ours["endpoints"], &endpoints.join(","));
    }
    for (number, machine) in &world.units {
        prop_assert!(machine.healthy, "unit {}", number);
        let served = machine.served.clone().unwrap_or_default().users;
        let mut served: Vec<String> = served.into_iter().map(|user| user.name).collect();
        served.sort();
        prop_assert_eq!(&served, &names, "unit {}", number);
        let wanted: BTreeSet<&str> = world
            .clients
            .values()
            .filter_map(|client| {
                let url = client.theirs["plugin-url"].as_str();
                URLS.iter()
                    .position(|one| *one == url)
                    .filter(|index| *index > 0)
                    .map(|index| ["aaaa", "bbbb", "aaaa"][index - 1])
            })
            .collect();
        let stored: BTreeSet<&str> = machine.host.bundles.keys().map(String::as_str).collect();
        prop_assert_eq!(stored, wanted, "unit {}", number);
    }
    let users = world
        .secrets
        .keys()
        .filter(|label| label.ends_with(".user.secret"))
        .count();
    prop_assert_eq!(users, world.clients.len(), "{:?}", world.secrets.keys());
    for (name, connector) in &world.connectors {
        let id = connector
            .owner
            .as_ref()
            .unwrap()
            .rsplit(':')
            .next()
            .unwrap();
        let id: u32 = id
            .parse()
            .map_err(|_| TestCaseError::fail("no relation id"))?;
        prop_assert!(
            world.clients.contains_key(&id),
            "{} outlived its client",
            name
        );
    }
    prop_assert!(!world.peer_bag.contains_key("tombstones"));
    let protocol = if scheme == "https" {
        Protocol::Https
    } else {
        Protocol::Http
    };
    for machine in world.units.values() {
        prop_assert_eq!(machine.door.as_ref().unwrap().0, protocol);
    }
    prop_assert!(
        !world
            .secrets
            .contains_key("kafka-connect.internal-next.secret")
    );
    // A converged world needs nothing.
    for number in world.units.keys().copied().collect::<Vec<_>>() {
        let done = world.hook(number, reconcile());
        prop_assert_eq!(done.rounds, 1);
        prop_assert_eq!(&done.last.promises, &vec![], "unit {}", number);
    }
    Ok(())
}
