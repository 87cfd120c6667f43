//! What may happen to a deployment, in any order.

use connect_core::layout::{Layout, WORKER_SERVICE};
use connect_core::observation::*;
use proptest::prelude::*;

use crate::encryption::Provider;
use crate::world::*;

#[derive(Clone, Copy, Debug)]
pub enum Happening {
    Hook(u8),
    FailingHook(u8),
    CrashingHook(u8, u8),
    Overtaken(u8, u8, u8),
    LosesLead(u8, u8),
    Tick,
    LongTime,
    Withhold(bool),
    KafkaPassword(u8),
    Own(bool),
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
    LoseForGood(u8),
    FindUnits,
    Readdress(u8),
    NameGroup(bool),
    Adopt(bool),
    Occupy(bool),
    Connect(u8),
    ServePlugins(bool),
}

pub fn happening() -> impl Strategy<Value = Happening> {
    use Happening::*;
    prop_oneof![
        8 => any::<u8>().prop_map(Hook),
        2 => any::<u8>().prop_map(FailingHook),
        4 => (any::<u8>(), 0..40_u8).prop_map(|(a, b)| CrashingHook(a, b)),
        2 => (any::<u8>(), 0..40_u8, any::<u8>()).prop_map(|(a, b, c)| Overtaken(a, b, c)),
        2 => (0..40_u8, any::<u8>()).prop_map(|(a, b)| LosesLead(a, b)),
        4 => Just(Tick),
        1 => Just(LongTime),
        1 => any::<bool>().prop_map(Withhold),
        1 => any::<u8>().prop_map(KafkaPassword),
        1 => any::<bool>().prop_map(Own),
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
        1 => any::<u8>().prop_map(LoseForGood),
        1 => Just(FindUnits),
        1 => any::<u8>().prop_map(Readdress),
        1 => any::<bool>().prop_map(NameGroup),
        1 => any::<bool>().prop_map(Adopt),
        1 => any::<bool>().prop_map(Occupy),
        2 => any::<u8>().prop_map(Connect),
        1 => any::<bool>().prop_map(ServePlugins),
    ]
}

/// Where plugins are served, and their digests.
pub const URLS: [(&str, &str); 5] = [
    ("NOT-REQUIRED", ""),
    ("http://10.1.1.1/a", "aaaa"),
    ("http://10.1.1.2/b", "bbbb"),
    ("http://10.1.1.3/also-a", "aaaa"),
    (BAD, "bad0"),
];

/// No worker bears this one.
pub const BAD: &str = "http://10.1.1.4/bad";

fn pick<T: Copy>(from: &[T], choice: u8) -> Option<T> {
    (!from.is_empty()).then(|| from[usize::from(choice) % from.len()])
}

pub fn serve(world: &mut World, up: bool) {
    world.plugins.clear();
    if up {
        for (url, digest) in &URLS[1..] {
            world.serve_plugin(url, digest);
        }
    }
}

pub fn happen(world: &mut World, provider: &mut Provider, what: Happening) {
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
        Happening::CrashingHook(choice, steps) => {
            if !world.units[&unit(choice)].gone {
                world.crashing_hook(unit(choice), &reconcile(), usize::from(steps));
            }
        }
        Happening::LoseForGood(choice) => {
            let lost = unit(choice);
            let stays = |unit: &&u32| **unit != lost && !world.units[*unit].gone;
            if let Some(next) = units.iter().find(stays).copied() {
                if world.leader == lost {
                    world.leader = next;
                }
                world.units.remove(&lost);
                tell_departed(world, lost);
            }
        }
        Happening::Readdress(choice) => {
            world.moves += 1;
            let moves = world.moves % 250;
            let machine = world.units.get_mut(&unit(choice)).unwrap();
            machine.address = format!("10.21.{}.{moves}", choice % 4);
            machine.peer_address = format!("10.31.{}.{moves}", choice % 4).parse().ok();
        }
        Happening::NameGroup(on) => {
            let group = if on { "connect-cluster" } else { "" };
            let group = ConfigValue::Text(group.to_owned());
            world.config.insert("group-id".to_owned(), group);
        }
        Happening::Adopt(on) => {
            let on = ConfigValue::Boolean(on);
            world.config.insert("adopt-group".to_owned(), on);
        }
        Happening::Occupy(on) => {
            let facts = GroupFacts {
                written: on,
                ..GroupFacts::default()
            };
            world.foreign = Reading::Known(facts);
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
                let machine = world.units.get_mut(&lost).unwrap();
                (machine.gone, machine.out_of_date) = (true, true);
            }
        }
        Happening::FindUnits => {
            for machine in world.units.values_mut() {
                machine.gone = false;
            }
        }
        Happening::Overtaken(choice, steps, other) => {
            let (one, other) = (unit(choice), unit(other));
            let here = |unit: u32| !world.units[&unit].gone;
            if one != other && here(one) && here(other) {
                let what = Meanwhile::Hook(other);
                world.overtaken_hook(one, &reconcile(), usize::from(steps), what);
            }
        }
        Happening::LosesLead(steps, other) => {
            let (leader, other) = (world.leader, unit(other));
            let here = |unit: u32| world.units.get(&unit).is_some_and(|unit| !unit.gone);
            if leader != other && here(leader) && here(other) {
                let what = Meanwhile::Leads(other);
                world.overtaken_hook(leader, &reconcile(), usize::from(steps), what);
            }
        }
        Happening::Tick => world.tick(),
        Happening::LongTime => {
            // More than the time after which nobody waits for a unit any more.
            world.now += 700;
            world.tick();
        }
        Happening::Withhold(on) => {
            world.kafka.get_mut(&3).unwrap().withheld = on;
        }
        Happening::KafkaPassword(choice) => {
            let kafka = world.kafka.get_mut(&3).unwrap();
            let user = kafka.secrets.get_mut("secret-user").unwrap();
            let password = format!("kafkaPassw0rd-kafkaPassw0rd-{}", choice % 4);
            user.insert("password".to_owned(), password);
        }
        Happening::Own(on) => {
            let access = if on { "own" } else { "shared" };
            let access = ConfigValue::Text(access.to_owned());
            world.config.insert("client-access".to_owned(), access);
        }
        Happening::AddClient(id, url) => {
            // A relation's number is never used again.
            let id = world.uris * 100 + u32::from(id);
            let (url, _) = pick(&URLS, url).unwrap();
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
                let (url, _) = pick(&URLS, url).unwrap();
                let client = world.clients.get_mut(&id).unwrap();
                client.theirs = bag(&[("plugin-url", url), ("requested-secrets", FIVE)]);
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
    late_wake(world, leaving);
    if world.leader == leaving {
        let stays = |unit: &&u32| **unit != leaving && !world.units[*unit].gone;
        world.leader = *units.iter().find(stays).unwrap();
    }
    world.units.remove(&leaving);
    tell_departed(world, leaving);
}

/// The units that stay hear of one that does not.
fn tell_departed(world: &mut World, gone: u32) {
    for other in world.units.keys().copied().collect::<Vec<_>>() {
        if world.units[&other].gone {
            continue;
        }
        world.hook(
            other,
            Hook::RelationDeparted {
                endpoint: "workers".to_owned(),
                id: PEER_RELATION,
                departing_unit: format!("{APP}/{gone}"),
            },
        );
    }
}

/// A wake-up that was queued behind `stop`.
fn late_wake(world: &mut World, left: u32) {
    let name = connect_core::layout::WAKE_HOOK.to_owned();
    let done = world.hook(left, Hook::Reconcile { name });
    if !done.steps.is_empty() {
        let text = format!("a machine that was left gets {:?}", done.steps);
        world.violations.push(text);
    }
}
