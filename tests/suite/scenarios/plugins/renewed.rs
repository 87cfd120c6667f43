//! New content at the URL that a client gave: noticed, and swapped while its connector runs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{acme, asks, stored, versions};
use crate::scenarios::model::{Model, SOON, Status};
use crate::scenarios::servers::Servers;

const UNITS: [&str; 2] = ["kafka-connect/0", "kafka-connect/1"];
/// The client whose plugin is renewed, and one that has nothing to do with it.
const CLIENTS: [&str; 2] = ["renews/0", "stays/0"];
const CLASSES: [&str; 2] = [
    "com.acme.LinesSourceConnector",
    "com.acme.OtherSourceConnector",
];
const PATHS: [&str; 2] = ["/lines", "/other"];
/// Two workers start or restart, on a machine that they share with a broker.
const ROLL: Duration = Duration::from_secs(240);
const PORT: u16 = 8000;

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn new_content_at_the_same_url_is_swapped_in_one_roll_and_a_server_that_is_down_changes_nothing() {
    let mut stage = Stage::set();
    let before = stage.processes();

    stage
        .model
        .sim(&["config", "kafka-connect", "plugin-check-interval-s=1"]);
    stage.model.wait_idle();
    stage
        .servers
        .answer(PATHS.map(|path| (path, json!({"do": "status", "code": 500}))));
    stage.look_served();
    stage.unchanged(&before, "500");
    stage.servers.stop();
    stage.look();
    stage.unchanged(&before, "connection refused");

    stage.serve("2.0");
    stage.servers.start(&stage.model, PORT);
    let began = Instant::now();
    stage.look_served();
    stage
        .model
        .wait_until("version 2 is on every unit", ROLL, || {
            UNITS.iter().all(|unit| {
                let digests = stored(&stage.model, unit);
                digests.len() == 2 && digests != before.stored && stage.is_active(unit)
            })
        });
    stage.model.wait_idle();
    let after = stage.processes();
    let once: Vec<usize> = before.starts.iter().map(|starts| starts + 1).collect();
    assert_eq!(after.starts, once, "one restart each");
    let gaps = UNITS.map(|unit| stage.model.last_gap(unit));
    let [(stopped, started), (other_stopped, other_started)] = &gaps;
    assert!(
        started < other_stopped || other_started < stopped,
        "both down at a time: {gaps:?}"
    );
    stage.wait_running();
    for endpoint in 0..UNITS.len() {
        assert_eq!(stage.versions(endpoint, 0), ["2.0"], "{endpoint}");
        assert_eq!(stage.versions(endpoint, 1), ["1.0"], "{endpoint}");
    }
    println!(
        "new content: on every worker after {:.1} s, one restart each, {gaps:?}",
        began.elapsed().as_secs_f64()
    );
    stage.look_served();
    stage.unchanged(&after, "the same content again");
    stage.model.assert_no_hook_failed();
}

struct Stage {
    model: Model,
    servers: Servers,
}

/// What a restart or a swap would change.
#[derive(Debug, PartialEq, Eq)]
struct Processes {
    pids: Vec<String>,
    starts: Vec<usize>,
    /// The digests of the first unit; every other has the same.
    stored: Vec<String>,
}

impl Stage {
    /// Two workers and two clients, each with a plugin and a connector of its own that runs.
    fn set() -> Self {
        let model = Model::with_kafka(&["-n", "2"]);
        let mut servers = Servers::new(&model);
        let archives = ["lines-1.0", "lines-2.0", "other-1.0"];
        for (name, class) in archives
            .into_iter()
            .zip([CLASSES[0], CLASSES[0], CLASSES[1]])
        {
            let version = name.split('-').nth(1).unwrap();
            std::fs::write(servers.folder.join(name), acme(class, version)).unwrap();
        }
        servers.start(&model, PORT);
        let stage = Self { model, servers };
        stage.serve("1.0");
        for (client, path) in CLIENTS.into_iter().zip(PATHS) {
            let url = format!("http://{}{path}", stage.servers.authority(PORT));
            let name = client.split('/').next().unwrap();
            let databag = asks(&url).to_string();
            stage.model.deploy_client(name, Some(&databag));
            stage.model.sim(&["integrate", name, "kafka-connect"]);
        }
        for unit in UNITS {
            stage.model.wait_status(unit, "active", "", ROLL);
        }
        for (number, client) in CLIENTS.into_iter().enumerate() {
            stage.model.wait_served(client);
            let config = json!({
                "connector.class": CLASSES[number],
                "tasks.max": "1",
                "topic": "lines",
                "file": "/var/lib/kafka-connect/tmp/lines",
                "key.converter": "org.apache.kafka.connect.storage.StringConverter",
                "value.converter": "org.apache.kafka.connect.storage.StringConverter",
            });
            let path = format!("/connectors/{number}/config");
            let call = ("PUT", path.as_str());
            let (code, answer) = stage.model.rest(client, 0, call, &config);
            assert_eq!(code, 201, "{answer}");
        }
        stage.wait_running();
        stage.model.wait_idle();
        stage
    }

    /// Serves a version of the first client's plugin; the other's stays.
    fn serve(&self, version: &str) {
        let names = [format!("lines-{version}"), "other-1.0".to_owned()];
        let behaviours = PATHS.into_iter().zip(names).map(|(path, name)| {
            let etag = format!("\"{name}\"");
            let body = json!({"file": name});
            (path, json!({"do": "tagged", "body": body, "etag": etag}))
        });
        self.servers.answer(behaviours);
    }

    /// Lets every unit look if there is anything new.
    fn look(&self) {
        // They look once so many seconds have passed since they asked last.
        std::thread::sleep(Duration::from_secs(1));
        for unit in UNITS {
            self.model.update_status(unit);
        }
    }

    /// Likewise until each has asked the server, which may have to come up for it.
    fn look_served(&self) {
        let before = self.servers.asked(PORT, PATHS[0]);
        self.model
            .wait_until("each unit asks the server", SOON, || {
                self.look();
                self.servers.asked(PORT, PATHS[0]) >= before + UNITS.len()
            });
    }

    fn is_active(&self, unit: &str) -> bool {
        self.model.status(unit) == Status::new("active", "")
    }

    fn processes(&self) -> Processes {
        let stored = UNITS.map(|unit| stored(&self.model, unit));
        assert_eq!(stored[0].len(), 2, "{stored:?}");
        assert_eq!(stored[0], stored[1]);
        Processes {
            pids: UNITS.map(|unit| self.model.worker(unit)).to_vec(),
            starts: UNITS.map(|unit| self.model.starts(unit)).to_vec(),
            stored: stored[0].clone(),
        }
    }

    /// That a look changed nothing that anybody sees.
    fn unchanged(&self, before: &Processes, why: &str) {
        self.model.wait_idle();
        assert_eq!(self.processes(), *before, "{why}");
        for unit in UNITS {
            assert!(self.is_active(unit), "{why}: {:?}", self.model.status(unit));
        }
        for client in CLIENTS {
            assert_eq!(self.model.codes(client), "200 200", "{why}");
        }
        println!("{why}: nothing changed");
    }

    /// The versions of a client's class that a unit offers.
    fn versions(&self, endpoint: usize, client: usize) -> Vec<String> {
        versions(&self.model, CLIENTS[client], endpoint, CLASSES[client])
    }

    /// Waits until both connectors and their tasks run, each on a worker that is there.
    fn wait_running(&self) {
        let state = |number: usize| -> Option<String> {
            let path = format!("/connectors/{number}/status");
            let call = ("GET", path.as_str());
            let (_, status) = self.model.rest(CLIENTS[number], 0, call, &Value::Null);
            let text = |value: &Value| Some(value.as_str()?.to_owned());
            let connector = text(&status["connector"]["state"])?;
            let task = text(&status["tasks"][0]["state"])?;
            Some(format!("{connector} {task}"))
        };
        self.model.wait_until("both connectors run", SOON, || {
            (0..CLIENTS.len()).all(|number| state(number).as_deref() == Some("RUNNING RUNNING"))
        });
    }
}
