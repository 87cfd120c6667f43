//! What becomes of plugins on three real workers, while a connector runs through it all.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::archive::{TarBuilder, java, plugin};

use super::{PARENT, acme, asks, connect_file, file, stored};
use crate::scenarios::model::{Model, SOON, Status};
use crate::scenarios::servers::Servers;

const UNITS: [&str; 3] = ["kafka-connect/0", "kafka-connect/1", "kafka-connect/2"];
/// Three workers start or restart, on a machine that they share with a broker.
const ROLL: Duration = Duration::from_secs(300);
/// For how long a plugin is not there.
const MISSING: Duration = Duration::from_secs(60);
const PORT: u16 = 8000;
/// The connector that both versions of the tarball have: lines of a file, which is never there.
const CLASS: &str = "com.acme.LinesSourceConnector";
/// A connector that ends the process which loads it.
const STOPPER: &str = "com.acme.Stopper";

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn plugins_are_shared_and_one_that_stops_a_worker_or_is_missing_touches_nobody_else() {
    let mut stage = Stage::set();
    one_tarball_of_two_clients(&stage);
    // As if all were well, which a process may say that ends; and cut short.
    let exits = java::exiting(STOPPER, PARENT, 0);
    a_plugin_that_stops_the_worker(&mut stage, "exits", exits);
    let halts = java::halting(STOPPER, PARENT, 0);
    a_plugin_that_stops_the_worker(&mut stage, "halts", halts);
    a_plugin_that_is_missing_for_a_minute(&mut stage);
    stage.model.assert_no_hook_failed();
}

struct Stage {
    model: Model,
    servers: Servers,
    /// What is served, by path.
    served: Vec<(&'static str, Value)>,
}

/// What can be told of the workers' processes.
#[derive(Debug, PartialEq, Eq)]
struct Processes {
    pids: Vec<String>,
    starts: Vec<usize>,
}

impl Stage {
    fn set() -> Self {
        let model = Model::with_kafka(&["-n", "3"]);
        let mut servers = Servers::new(&model);
        let served = vec![
            ("/first", file("acme-1.0.tar")),
            ("/second", file("acme-1.0.tar")),
        ];
        std::fs::write(servers.folder.join("acme-1.0.tar"), acme(CLASS, "1.0")).unwrap();
        servers.answer(served.clone());
        servers.start(&model, PORT);
        for unit in UNITS {
            model.wait_status(unit, "active", "", ROLL);
        }
        Self {
            model,
            servers,
            served,
        }
    }

    /// Serves something at a path from now on.
    fn serve(&mut self, path: &'static str, behaviour: Value) {
        self.served.retain(|(other, _)| *other != path);
        self.served.push((path, behaviour));
        self.servers.answer(self.served.clone());
    }

    /// A client that asks for the plugin at a path.
    fn client(&self, name: &str, path: &str) {
        let url = format!("http://{}{path}", self.servers.authority(PORT));
        self.model
            .deploy_client(name, Some(&asks(&url).to_string()));
        self.model.sim(&["integrate", name, "kafka-connect"]);
    }

    fn wait_served(&self, client: &str) {
        let unit = format!("{client}/0");
        let user = || {
            let relation = self.model.relation(&unit, "connect-client")?;
            Some(format!("user relation-{}", relation["relation-id"]))
        };
        let what = format!("{client} has its user");
        self.model.wait_until(&what, ROLL, || {
            user().is_some_and(|user| self.model.status(&unit).message == user)
        });
    }

    fn processes(&self) -> Processes {
        Processes {
            pids: UNITS.map(|unit| self.model.worker(unit)).to_vec(),
            starts: UNITS.map(|unit| self.model.starts(unit)).to_vec(),
        }
    }

    /// States of the connector and its task, as each unit answers the client.
    fn states(&self) -> Vec<String> {
        let call = ("GET", "/connectors/lines/status");
        let state = |endpoint| {
            let (_, status) = self.model.rest("second/0", endpoint, call, &Value::Null);
            let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            let connector = text(&status["connector"]["state"]);
            format!("{connector} {}", text(&status["tasks"][0]["state"]))
        };
        (0..UNITS.len()).map(state).collect()
    }

    fn wait_running(&self) {
        let all = vec!["RUNNING RUNNING".to_owned(); UNITS.len()];
        self.model
            .wait_until("the connector runs", SOON, || self.states() == all);
    }

    /// The one digest that every unit has stored.
    fn only_bundle(&self) -> String {
        let stored = UNITS.map(|unit| stored(&self.model, unit));
        assert_eq!(stored[0].len(), 1, "{stored:?}");
        assert!(stored.iter().all(|one| *one == stored[0]), "{stored:?}");
        stored[0][0].clone()
    }

    /// Waits until every unit shows a fault of a client, and nothing else.
    fn wait_named(&self, client: &str, fault: &str) {
        let relation = self.model.client_relation(&format!("{client}/0"));
        let message = format!("connect-client:{relation} ({client}): plugin-url: {fault}");
        for unit in UNITS {
            self.model.wait_status(unit, "active", &message, ROLL);
        }
        println!("every unit: active, {message}");
    }

    fn has_nothing(&self, client: &str) {
        for key in ["secret-user", "endpoints"] {
            assert_eq!(
                self.model.given(&format!("{client}/0"), key),
                None,
                "{client}"
            );
        }
    }
}

fn one_tarball_of_two_clients(stage: &Stage) {
    let model = &stage.model;
    let before = stage.processes();
    let began = Instant::now();
    stage.client("first", "/first");
    stage.client("second", "/second");
    stage.wait_served("first");
    stage.wait_served("second");
    let took = began.elapsed().as_secs_f64();
    model.wait_idle();
    let digest = stage.only_bundle();
    let after = stage.processes();
    let once: Vec<usize> = before.starts.iter().map(|starts| starts + 1).collect();
    assert_eq!(after.starts, once, "one restart each");
    println!(
        "two clients, one tarball: both served after {took:.1} s; 1 bundle on each unit ({}), \
         1 restart of each worker",
        &digest[..12]
    );
    let config = json!({
        "connector.class": CLASS,
        "tasks.max": "1",
        "topic": "lines",
        "file": "/var/lib/kafka-connect/tmp/lines",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.storage.StringConverter",
    });
    let call = ("PUT", "/connectors/lines/config");
    let (code, answer) = model.rest("second/0", 0, call, &config);
    assert_eq!(code, 201, "{answer}");
    stage.wait_running();

    model.sim(&["remove-relation", "first", "kafka-connect"]);
    model.wait_until("the first client has left", SOON, || {
        model.relation("first/0", "connect-client").is_none()
    });
    model.wait_idle();
    assert_eq!(stage.only_bundle(), digest);
    assert_eq!(stage.processes(), after, "no restart for who leaves");
    assert_eq!(stage.states(), ["RUNNING RUNNING"; 3]);
    assert_eq!(model.codes("second/0"), "200 200 200");
    println!("the first removed: same processes, the second's connector runs on");
}

fn a_plugin_that_stops_the_worker(stage: &mut Stage, client: &str, class: Vec<u8>) {
    let jar = plugin::jar_of(plugin::SOURCE, STOPPER, class);
    let bundle = TarBuilder::new()
        .file("stopper/stopper.jar", jar)
        .file("stopper/connect-file.jar", connect_file())
        .finish();
    std::fs::write(stage.servers.folder.join("stopper.tar"), bundle).unwrap();
    stage.serve("/bad", file("stopper.tar"));
    let before = stage.processes();
    let began = Instant::now();
    stage.client(client, "/bad");
    stage.wait_named(
        client,
        "stops the worker: its process ends, and its log does not say why",
    );
    let model = &stage.model;
    let took = began.elapsed().as_secs_f64();
    model.wait_idle();
    stage.wait_running();
    let after = stage.processes();
    let touched: Vec<&str> = (0..UNITS.len())
        .filter(|unit| after.starts[*unit] != before.starts[*unit])
        .map(|unit| UNITS[unit])
        .collect();
    assert_eq!(touched.len(), 1, "{before:?} {after:?}");
    let same = before.pids.iter().zip(&after.pids).filter(|(a, b)| a == b);
    assert_eq!(same.count(), 2, "{before:?} {after:?}");
    stage.has_nothing(client);
    assert_eq!(model.codes("second/0"), "200 200 200");
    println!(
        "a plugin that {client}: rolled back after {took:.1} s, touched {touched:?}, \
         the connector runs"
    );
    model.sim(&["remove-relation", client, "kafka-connect"]);
    for unit in UNITS {
        model.wait_status(unit, "active", "", SOON);
    }
    model.wait_idle();
    stage.only_bundle();
    assert_eq!(stage.processes(), after, "no restart when it goes");
}

fn a_plugin_that_is_missing_for_a_minute(stage: &mut Stage) {
    stage.serve("/late", json!({"do": "status", "code": 404}));
    let before = stage.processes();
    let began = Instant::now();
    stage.client("late", "/late");
    let fault = format!(
        "cannot download: it answered 404 Not Found ({})",
        stage.servers.authority(PORT)
    );
    stage.wait_named("late", &fault);
    while began.elapsed() < MISSING {
        stage.has_nothing("late");
        assert_ne!(stage.model.status(UNITS[0]), Status::new("active", ""));
        thread::sleep(Duration::from_secs(3));
    }
    stage.has_nothing("late");
    stage.serve("/late", file("acme-1.0.tar"));
    let there = Instant::now();
    stage.wait_served("late");
    println!(
        "404 for {:.0} s: no credentials; then the tarball: served by itself after {:.1} s",
        (there - began).as_secs_f64(),
        there.elapsed().as_secs_f64()
    );
    for unit in UNITS {
        stage.model.wait_status(unit, "active", "", SOON);
    }
    stage.only_bundle();
    assert_eq!(stage.processes(), before, "known content restarts nobody");
    assert_eq!(stage.model.codes("late/0"), "200 200 200");
}
