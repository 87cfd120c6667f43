//! One client that asks for what cannot be: named in the status, alone in its trouble, healed by
//! the fix. Another client is served all the while.

use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::archive::{TarBuilder, TarEntry, pack, plugin};

use super::model::{Model, SOON};

const UNIT: &str = "kafka-connect/0";
const BAD: &str = "bad/0";
const GOOD: &str = "good/0";
const SECRETS: &str = r#"["username", "password"]"#;
const URL_FAULT: &str = "plugin-url must be an http or https URL with a host, or NOT-REQUIRED";
const SECRETS_FAULT: &str =
    "requested-secrets must be a JSON list of field names with username and password";

/// The model, and the plugin server in its network.
struct Stage {
    model: Model,
    server: Child,
    authority: String,
    script: PathBuf,
}

impl Drop for Stage {
    fn drop(&mut self) {
        // It may have ended with an error of its own.
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

impl Stage {
    fn set() -> Self {
        let model = Model::with_kafka(&[]);
        model.deploy_client("good", None);
        model.deploy_client("bad", Some("{}"));
        model.sim(&["integrate", "good", "kafka-connect"]);
        let script = model.folder().join("script.json");
        std::fs::write(&script, "{}").unwrap();
        let shown = model.sim(&["network", "--", "ip", "-o", "-4", "addr", "show", "br0"]);
        let address = shown.split_whitespace().nth(3).unwrap();
        let authority = format!("{}:8000", address.split('/').next().unwrap());
        let server = super::model::built("tools/testkit-server");
        let place = script.to_str().unwrap().to_owned();
        let server = model.start_in_network(&[&server, &place, &authority]);
        model.wait_active(UNIT);
        model.wait_served(GOOD);
        Self {
            model,
            server,
            authority,
            script,
        }
    }

    /// Tells the server what to do with the plugin.
    fn answer(&self, behaviour: &Value) {
        let new = self.script.with_extension("new");
        std::fs::write(&new, json!({"/plugin.tar": behaviour}).to_string()).unwrap();
        std::fs::rename(new, &self.script).unwrap();
    }

    /// Serves these bytes.
    fn serve(&self, archive: &[u8]) {
        std::fs::write(self.script.with_file_name("plugin.tar"), archive).unwrap();
        self.answer(&json!({"do": "ok", "body": {"file": "plugin.tar"}}));
    }

    /// What the bad client writes.
    fn write(&self, databag: &Value) {
        self.model
            .sim(&["config", "bad", &format!("databag={databag}")]);
    }

    fn write_url(&self, url: &str) {
        self.write(&json!({"plugin-url": url, "requested-secrets": SECRETS}));
    }

    fn url(&self) -> String {
        format!("http://{}/plugin.tar", self.authority)
    }

    fn join(&self) {
        self.model.sim(&["integrate", "bad", "kafka-connect"]);
    }

    fn part(&self) {
        self.model.sim(&["remove-relation", "bad", "kafka-connect"]);
        self.model.wait_until("the relation is gone", SOON, || {
            self.model.relation(BAD, "connect-client").is_none()
                && self.model.status(BAD).message == "unrelated"
        });
    }

    /// The fault shows by relation and field, and the client has nothing.
    fn is_named(&self, fault: &str, limit: Duration) {
        let relation = self.model.client_relation(BAD);
        let message = format!("connect-client:{relation} (bad): {fault}");
        self.model.wait_status(UNIT, "active", &message, limit);
        self.has_nothing();
    }

    fn has_nothing(&self) {
        assert_eq!(self.model.given(BAD, "secret-user"), None);
        assert_eq!(self.model.given(BAD, "endpoints"), None);
    }

    fn heals(&self, limit: Duration) {
        self.model.wait_status(UNIT, "active", "", limit);
        self.model.wait_served(BAD);
    }
}

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn a_bad_client_is_named_and_isolated_and_heals() {
    let stage = Stage::set();
    let model = &stage.model;
    let worker = model.worker(UNIT);
    databags(&stage);
    servers(&stage);
    archives(&stage);
    assert_eq!(model.codes(GOOD), "200");
    assert_eq!(model.worker(UNIT), worker, "nothing restarted the worker");
    model.assert_no_hook_failed();
}

/// Databags that do not fit the schema.
fn databags(stage: &Stage) {
    let asks = |url: &str, secrets: &str| json!({"plugin-url": url, "requested-secrets": secrets});
    let none = "NOT-REQUIRED";
    let long = format!("http://host/{}", "x".repeat(3000));
    let rows = [
        (asks("ftp://host/x", SECRETS), URL_FAULT),
        (asks("file:///etc/passwd", SECRETS), URL_FAULT),
        (asks("http://:8080/x", SECRETS), URL_FAULT),
        (asks("plugin.tar", SECRETS), URL_FAULT),
        (asks("http://host/\u{1b}[2J\n{}", SECRETS), URL_FAULT),
        (asks(&long, SECRETS), URL_FAULT),
        (json!({"plugin-url": none}), "requested-secrets is missing"),
        (asks(none, "[]"), SECRETS_FAULT),
        (asks(none, "username,password"), SECRETS_FAULT),
        (asks(none, r#"{"username": "password"}"#), SECRETS_FAULT),
        (
            asks(none, r#"["username", "password", "../etc"]"#),
            SECRETS_FAULT,
        ),
        (asks(none, r#"["username"]"#), SECRETS_FAULT),
        (
            json!({"plugin-url": none, "requested-secrets": SECRETS, "version": "v1"}),
            "version is a protocol version this charm does not speak",
        ),
        (
            json!({"version": "v1", "requests": "[]"}),
            "requests belongs to protocol v1, which this charm does not speak",
        ),
    ];

    // Without a plugin-url nothing was asked: no fault, and nothing given.
    stage.write(&json!({"requested-secrets": SECRETS}));
    stage.join();
    for (databag, fault) in &rows {
        stage.write(databag);
        stage.is_named(fault, SOON);
        stage.write(&json!({"requested-secrets": SECRETS}));
        stage.model.wait_active(UNIT);
        stage.has_nothing();
    }
    stage.write_url(none);
    stage.heals(SOON);
    stage.part();
}

/// Servers that serve no plugin.
fn servers(stage: &Stage) {
    let from = |fault: &str| format!("plugin-url: cannot download: {fault}");
    let ours = |fault: &str| from(&format!("{fault} ({})", stage.authority));
    let page = "<!DOCTYPE html><html><body>Not here</body></html>";
    let rows = [
        (
            json!({"do": "status", "code": 500}),
            ours("it answered 500 Internal Server Error"),
        ),
        (
            json!({"do": "ok", "body": {"text": page}}),
            "plugin-url: cannot use the plugin: the server sent an HTML page, not an archive"
                .to_owned(),
        ),
        (
            json!({"do": "close-before-head"}),
            ours("it closed the connection early"),
        ),
        (
            json!({"do": "empty"}),
            "plugin-url: cannot use the plugin: the server sent an empty body".to_owned(),
        ),
        (
            json!({"do": "stall-before-head"}),
            ours("no answer within 10 s"),
        ),
        (
            json!({"do": "status", "code": 404}),
            ours("it answered 404 Not Found"),
        ),
    ];
    stage.write_url("http://127.0.0.9:1/plugin.tar");
    stage.join();
    let refused = from("connection refused (127.0.0.9:1)");
    stage.is_named(&refused, SOON);
    for (number, (behaviour, fault)) in rows.iter().enumerate() {
        stage.answer(behaviour);
        // Another URL each time: the charm tries it in the very hook that brings it.
        stage.write_url(&format!("{}?{number}", stage.url()));
        stage.is_named(fault, SOON * 2);
    }
    // Nobody tells the charm that the server is well again.
    stage.serve(&plugin::no_plugin());
    let start = Instant::now();
    stage.heals(Duration::from_secs(45));
    println!("healed by itself in {:.1?}", start.elapsed());
    stage.part();
}

/// Archives that are none, or that want out of their folder.
fn archives(stage: &Stage) {
    let jar = || plugin::jar(&[(plugin::SOURCE, "com.acme.AcmeSourceConnector")]);
    let whole = pack::gzip(&plugin::bundle());
    let unpack = |fault: &str| format!("plugin-url: cannot unpack the plugin: {fault}");
    let rows = [
        (
            whole[..whole.len() / 2].to_vec(),
            unpack("the archive is truncated"),
        ),
        (
            TarBuilder::new().file("a/README.md", "hello").finish(),
            "plugin-url: cannot use the plugin: there is no jar or class in the archive".to_owned(),
        ),
        (
            TarBuilder::new().file("../../a.jar", jar()).finish(),
            unpack("entry `../../a.jar` leaves the bundle"),
        ),
        (
            TarBuilder::new().file("/opt/a.jar", jar()).finish(),
            unpack("entry `/opt/a.jar` has an absolute path"),
        ),
        (
            TarBuilder::new()
                .entry(&TarEntry::special(b'2', "a", "/etc"))
                .finish(),
            unpack("entry `a` is a symbolic link"),
        ),
        (
            TarBuilder::new()
                .entry(&TarEntry::special(b'1', "a.jar", "/etc/shadow"))
                .finish(),
            unpack("entry `a.jar` is a hard link"),
        ),
        (
            b"no archive at all".to_vec(),
            "plugin-url: cannot use the plugin: it is not a tar, zip or jar archive".to_owned(),
        ),
    ];
    stage.write(&json!({}));
    stage.join();
    for (number, (archive, fault)) in rows.iter().enumerate() {
        stage.serve(archive);
        stage.write_url(&format!("{}?{number}", stage.url()));
        stage.is_named(fault, SOON);
    }
    stage.serve(&plugin::no_plugin());
    stage.write_url(&stage.url());
    stage.heals(SOON);
    stage.part();
}
