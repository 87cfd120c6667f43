//! What holds after any history of several units: after each thing that happens, and in the end,
//! which is that of a fresh deployment.

mod fresh;
mod happening;

use std::collections::BTreeSet;

use connect_core::gateway::Protocol;
use connect_core::observation::{GroupFacts, Reading};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};

use self::happening::{BAD, Happening, URLS, happen, happening, serve};
use crate::encryption::{Provider, settle};
use crate::world::*;

/// `PROPTEST_CASES` asks for more than a quick run needs.
pub fn cases(usual: u32) -> u32 {
    number("PROPTEST_CASES").unwrap_or(usual)
}

fn number<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Side by side, for a history takes a while; a failing one is shown in its shortest form, to become
/// one of the named ones.
#[test]
fn any_history_ends_well() {
    let seed = number("HISTORIES_SEED").unwrap_or(SEED);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cores = u32::try_from(cores).unwrap();
    let each = cases(CASES).div_ceil(cores);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..cores)
            .map(|core| scope.spawn(move || run(each, seed, core)))
            .collect();
        runs.into_iter()
            .filter_map(|run| run.join().unwrap())
            .collect()
    });
    let asked = each * cores;
    assert!(
        failures.is_empty(),
        "of {asked} histories with seed {seed}:\n{}",
        failures.join("\n\n")
    );
    println!("{asked} histories with seed {seed} ended well");
}

/// How many every run of the tests looks at; `make histories` looks at more.
const CASES: u32 = 200;
/// Every run of the tests looks at the same ones; `make histories` at others each time.
const SEED: u64 = 1;

fn run(cases: u32, seed: u64, core: u32) -> Option<String> {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 4000,
        ..ProptestConfig::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..12].copy_from_slice(&core.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let histories = (1..4_u32, prop::collection::vec(happening(), 0..40));
    let outcome = TestRunner::new_with_rng(config, random)
        .run(&histories, |(units, history)| ends_well(units, history));
    match outcome {
        Ok(()) => None,
        Err(TestError::Fail(reason, (units, history))) => {
            Some(format!("ends_well({units}, vec!{history:?}): {reason}"))
        }
        Err(TestError::Abort(reason)) => Some(reason.to_string()),
    }
}

/// Histories that once ended badly.
#[test]
fn named_histories_end_well() {
    use Happening::*;
    // An option that no worker bears, there before any worker ran, was blamed on a client's plugin.
    let unbearable_from_the_start = vec![
        UnbearableSetting(true),
        AddClient(0, 49),
        Hook(0),
        AddClient(0, 215),
    ];
    ends_well(1, unbearable_from_the_start).unwrap();
    // While an option was bad, a client's secret went before the gateway had let go of its user.
    let leaves_a_blocked_unit = vec![
        AddClient(0, 0),
        Hook(0),
        BadSetting(true),
        Tick,
        Hook(0),
        Tick,
        RemoveClient(0),
    ];
    ends_well(1, leaves_a_blocked_unit).unwrap();
    // Of two plugins that were new at once both were blamed for what one did, for ever.
    let good_and_bad = vec![AddClient(0, 1), AddClient(0, 4), Hook(0)];
    let (mut world, mut provider) = begun(1);
    for what in good_and_bad {
        happen(&mut world, &mut provider, what);
    }
    world.settle();
    world.assert_sound();
    let served: Vec<bool> = world
        .clients
        .keys()
        .map(|id| published(&world, *id))
        .collect();
    assert_eq!(served, [true, false]);
    // The last one to have been lost was nobody to wait for, so a plugin that had never run counted
    // as shown.
    let bad_on_the_only_unit = vec![
        RotateInternal,
        AddClient(0, 38),
        Rotate(0),
        AddClient(0, 14),
        FailingHook(0),
    ];
    ends_well(1, bad_on_the_only_unit).unwrap();
    // Options were blamed for an exit before anything was started with them.
    let options_and_plugin_at_once = vec![
        LosesLead(0, 107),
        Hook(0),
        UnbearableSetting(false),
        Tick,
        Hook(9),
        LosesLead(0, 136),
        LongTime,
        AddClient(0, 109),
        Hook(199),
        RemoveUnit(1),
    ];
    ends_well(3, options_and_plugin_at_once).unwrap();
    // Once one unit was late, a client was sent to another one that did not know it.
    let late_and_without_user = vec![
        RemoveUnit(0),
        AddClient(0, 58),
        Hook(0),
        Tick,
        PassOver,
        AddClient(0, 5),
        AddUnit,
        Hook(109),
        Tick,
        Hook(215),
        Rotate(0),
        AddUnit,
    ];
    ends_well(2, late_and_without_user).unwrap();
    // A client was told https although a unit that it was sent to did not speak it.
    let told_https = vec![
        AddClient(0, 0),
        AddClient(0, 0),
        AddClient(0, 0),
        AddUnit,
        RemoveClient(0),
        Tick,
        AddClient(2, 140),
        Hook(73),
        AddClient(0, 203),
        RemoveClient(86),
        Certify(true),
        Rotate(118),
        Tick,
        Rotate(65),
        Hook(195),
        Answer(true),
    ];
    ends_well(1, told_https).unwrap();
    // All were told https because of a unit that was lost, which alone had been told of.
    let https_of_the_lost = vec![
        AddClient(0, 55),
        RestartAll,
        LosesLead(0, 92),
        Tick,
        PassOver,
        Hook(16),
        UnbearableSetting(false),
        Certify(true),
        RestartAll,
        LosesLead(0, 123),
        KafkaDown(false),
    ];
    ends_well(3, https_of_the_lost).unwrap();
    // A plugin that came in the hook that made a client's user counted as one that had run.
    let new_plugin_with_the_user = vec![
        Overtaken(3, 0, 52),
        LoseForGood(0),
        Tick,
        Hook(2),
        Setting(false),
        AddClient(0, 6),
        LoseForGood(31),
        Tick,
        ChangePlugin(0, 74),
        Own(false),
        Hook(0),
        Tick,
        PassOver,
    ];
    ends_well(3, new_plugin_with_the_user).unwrap();
    // What was told of TLS while a request was spoiled stayed beside the secret.
    let spoiled_under_tls = vec![
        Certify(true),
        RestartAll,
        Hook(0),
        AddClient(0, 0),
        Rotate(0),
        Answer(false),
        Tick,
        Hook(0),
        SpoilRequest(0),
        Hook(0),
    ];
    ends_well(1, spoiled_under_tls).unwrap();
    // The world left tasks with a worker that had come back at another address.
    let busy_worker_moves = vec![
        LosesLead(0, 31),
        RestartAll,
        AddClient(0, 65),
        LongTime,
        FailingHook(0),
        FailingHook(0),
        Hook(31),
        Connect(0),
        Readdress(85),
    ];
    ends_well(2, busy_worker_moves).unwrap();
    // A plugin stayed blamed for a kill, although the worker ran well with it.
    let killed_in_its_first_start = vec![
        LoseForGood(0),
        AddClient(0, 11),
        LoseForGood(0),
        KillWorker(0),
        LongTime,
        Hook(0),
        Hook(0),
    ];
    ends_well(3, killed_in_its_first_start).unwrap();
}

fn begun(units: u32) -> (World, Provider) {
    let mut world = World::new(units);
    serve(&mut world, true);
    (world, Provider::new())
}

fn ends_well(units: u32, history: Vec<Happening>) -> Result<(), TestCaseError> {
    let (mut world, mut provider) = begun(units);
    for what in history {
        happen(&mut world, &mut provider, what);
        world.check_invariants(&format!("{what:?}"));
    }
    // The troubles end, and everything finds its place.
    world.kafka_up = true;
    world.config.remove("rest-port");
    world.config.remove("worker-config");
    world.kafka.get_mut(&3).unwrap().withheld = false;
    world.foreign = Reading::Known(GroupFacts::default());
    for machine in world.units.values_mut() {
        machine.gone = false;
    }
    serve(&mut world, true);
    for client in world.clients.values_mut() {
        client
            .theirs
            .insert("requested-secrets".to_owned(), FIVE.to_owned());
        if client.theirs["plugin-url"] == BAD {
            let (url, _) = URLS[1];
            client
                .theirs
                .insert("plugin-url".to_owned(), url.to_owned());
        }
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
                let (_, digest) = URLS.iter().find(|(one, _)| *one == url)?;
                (!digest.is_empty()).then_some(*digest)
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
    let differences = fresh::differences(&world);
    prop_assert_eq!(differences, Vec::<String>::new());
    // A converged world needs nothing.
    for number in world.units.keys().copied().collect::<Vec<_>>() {
        let done = world.hook(number, reconcile());
        prop_assert_eq!(done.rounds, 1);
        prop_assert_eq!(&done.last.promises, &vec![], "unit {}", number);
    }
    Ok(())
}
