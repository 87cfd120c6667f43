//! Three real workers and what runs on them: the stage of several scenarios.

use std::time::Duration;

use serde_json::{Value, json};

use super::model::{Model, Status, built};

pub(super) const UNITS: [&str; 3] = ["kafka-connect/0", "kafka-connect/1", "kafka-connect/2"];
/// Three workers restart one after the other, on a machine that they share with a broker.
pub(super) const ROLL: Duration = Duration::from_secs(290);

/// Name and password of a REST user, and where it may be used.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) username: String,
    pub(super) password: String,
    pub(super) endpoints: Vec<String>,
}

/// A broker, so many workers with the file plugin that the application `files` brings, and the
/// client `owner` with a user.
pub(super) fn deploy(count: &str) -> Model {
    let model = Model::new();
    model.deploy_kafka(&[]);
    model.deploy_connect(&["-n", count]);
    model.sim(&["integrate", "kafka-connect", "kafka"]);
    let plugin = format!(
        "connect-plugin={}",
        built("kafka/connect-file-plugin.tar.gz")
    );
    let charm = built("pack/connect-integrator_ubuntu@24.04-amd64.charm");
    model.deploy(&charm, "files", &["--resource", &plugin]);
    model.deploy_client("owner", None);
    for client in ["files:connect-client", "owner"] {
        model.sim(&["integrate", client, "kafka-connect"]);
    }
    model.wait_until("the owner and the plugin are served", ROLL, || {
        let user = |unit| model.given(unit, "secret-user").is_some();
        user("files/0") && user("owner/0")
    });
    model.wait_served("owner/0");
    model
}

/// What a client was given, as it has it.
pub(super) fn login(model: &Model, unit: &str) -> Login {
    let given = model.taken(unit);
    let text = |key: &str| given[key].as_str().unwrap_or_default().to_owned();
    Login {
        username: text("username"),
        password: text("password"),
        endpoints: text("endpoints").split(',').map(str::to_owned).collect(),
    }
}

impl Login {
    /// What each endpoint answers to a look at the connectors; `000` for no answer.
    pub(super) fn codes(&self, model: &Model) -> String {
        let user = format!("{}:{}", self.username, self.password);
        let mut words = vec!["network", "--", "curl", "-s", "-m", "10", "-u", &user];
        words.extend(["-w", "%{http_code} "]);
        let urls: Vec<String> = self
            .endpoints
            .iter()
            .map(|url| format!("{url}/connectors"))
            .collect();
        for url in &urls {
            words.extend(["-o", "/dev/null", url]);
        }
        let output = model.attempt(&words);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Makes or changes a connector.
    pub(super) fn put(&self, model: &Model, name: &str, config: &Value) {
        let user = format!("{}:{}", self.username, self.password);
        let url = format!("{}/connectors/{name}/config", self.endpoints[0]);
        let output = model.sim(&[
            "network",
            "--",
            "curl",
            "-s",
            "-m",
            "60",
            "-u",
            &user,
            "-X",
            "PUT",
            "-w",
            "\n%{http_code}",
            "-H",
            "Content-Type: application/json",
            "-d",
            &config.to_string(),
            &url,
        ]);
        let code = output.lines().last().unwrap_or_default();
        assert!(["200", "201"].contains(&code), "{name}: {output}");
    }

    /// The configuration of a connector.
    pub(super) fn config(&self, model: &Model, name: &str) -> Value {
        let user = format!("{}:{}", self.username, self.password);
        let url = format!("{}/connectors/{name}/config", self.endpoints[0]);
        let text = model.sim(&["network", "--", "curl", "-s", "-m", "60", "-u", &user, &url]);
        serde_json::from_str(&text).unwrap()
    }
}

/// A sink that writes a topic to a file, or a source that reads one, with text records.
pub(super) fn file_connector(kind: &str, topics: &str, file: &str, tasks: usize) -> Value {
    let key = if kind == "Sink" { "topics" } else { "topic" };
    let converter = "org.apache.kafka.connect.storage.StringConverter";
    json!({
        "connector.class": format!("org.apache.kafka.connect.file.FileStream{kind}Connector"),
        "tasks.max": tasks.to_string(),
        key: topics,
        "file": format!("/var/lib/kafka-connect/tmp/{file}"),
        "key.converter": converter,
        "value.converter": converter,
    })
}

/// States of all tasks of the connectors whose names begin so, as a unit's own worker shows them.
pub(super) fn states(model: &Model, unit: &str, prefix: &str) -> Vec<String> {
    let script = "curl -s -m 5 -u \"$(tr = : < /etc/kafka-connect/users.properties)\" \
                  'http://127.0.0.1:18083/connectors?expand=status'";
    let output = model.attempt(&["ssh", unit, "sh", "-c", script]);
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let connectors = listed.as_object().into_iter().flatten();
    let ours = connectors.filter(|(name, _)| name.starts_with(prefix));
    let tasks = ours.flat_map(|(_, one)| one["status"]["tasks"].as_array().into_iter().flatten());
    tasks
        .map(|task| task["state"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Waits until so many tasks run, and no other is there.
pub(super) fn wait_running(model: &Model, prefix: &str, tasks: usize) {
    model.wait_until(&format!("{tasks} tasks of {prefix}* run"), ROLL, || {
        let states = states(model, UNITS[0], prefix);
        states.len() == tasks && states.iter().all(|state| state == "RUNNING")
    });
}

/// Waits until every unit is active without anything to say, and the group has nothing left to do.
pub(super) fn wait_all_active(model: &Model, units: &[&str]) {
    // All at one time: what goes on at one unit may show at another that was active before.
    let active = Status::new("active", "");
    model.wait_until(&format!("{units:?} are active"), ROLL, || {
        units.iter().all(|unit| model.status(unit) == active)
    });
}
