//! Databags that do not fit the schema, and some that are only odd.

use serde_json::{Value, json};

use super::{SECRETS, SOON, Stage, Status, UNIT, asks};

const NONE: &str = "NOT-REQUIRED";
const URL: &str = "plugin-url must be an http or https URL with a host, or NOT-REQUIRED";
const LIST: &str =
    "requested-secrets must be a JSON list of field names with username and password";

fn bad() -> Vec<(Value, &'static str)> {
    let listed = |list: &str| asks(NONE, list);
    let huge = format!("http://{}", "x".repeat(1 << 20));
    let deep = "[".repeat(100_000);
    let many = json!(vec!["username"; 1000]).to_string();
    let with = |key: &str, value: &str| {
        let mut databag = asks(NONE, SECRETS);
        databag[key] = json!(value);
        databag
    };
    vec![
        // Missing, or empty, which Juju takes for the same.
        (json!({"plugin-url": NONE}), "requested-secrets is missing"),
        (listed(""), "requested-secrets is missing"),
        // URLs that are none, or not of a server.
        (asks("ftp://host/x", SECRETS), URL),
        (asks("file:///etc/passwd", SECRETS), URL),
        (asks("http://:8080/x", SECRETS), URL),
        (asks("plugin.tar", SECRETS), URL),
        (asks(" ", SECRETS), URL),
        (asks("http://host/\u{1b}[2J\n{fault}", SECRETS), URL),
        (asks(&huge, SECRETS), URL),
        // Lists that are none, or not of what must be in them.
        (listed("[]"), LIST),
        (listed("username,password"), LIST),
        (listed(r#"["username"]"#), LIST),
        (listed(r#"["username", "password", ["tls"]]"#), LIST),
        (listed(r#"["username", "password", "../etc"]"#), LIST),
        (listed(r#"["username", "password", "a\u0000b"]"#), LIST),
        (listed("\"\\ud800\""), LIST),
        (listed(&deep), LIST),
        (listed(&many), LIST),
        // What another protocol would say.
        (
            with("version", "v1"),
            "version is a protocol version this charm does not speak",
        ),
        (
            json!({"version": "v1", "requests": "[]"}),
            "requests belongs to protocol v1, which this charm does not speak",
        ),
        (
            with("entity-type", "USER"),
            "entity-type asks for an entity, which this charm does not offer",
        ),
    ]
}

/// Databags with more in them than anybody needs: no fault of anybody's.
fn odd() -> Vec<Value> {
    let with = |key: &str, value: &str| {
        let mut databag = asks(NONE, SECRETS);
        databag[key] = json!(value);
        databag
    };
    vec![
        asks(
            NONE,
            r#" ["password", "username", "username", "a-new-one"] "#,
        ),
        with("unknown", &"x".repeat(1 << 18)),
        with("{fault}", "\u{7}\u{1b}[31m\r\n\u{202e}"),
        with("data", "{\"not\": json"),
        with("secret-user", "secret:of-somebody-else"),
    ]
}

pub(super) fn rows(stage: &Stage) {
    let model = &stage.model;
    model.deploy_client("bad", None);
    for (number, (databag, fault)) in bad().iter().enumerate() {
        let written = join(stage, databag);
        stage.is_named("bad", written, fault);
        // Now and then the request is taken back first: nothing was asked then.
        if number % 8 == 0 {
            let written = model.rewrite("bad", &json!({"requested-secrets": SECRETS}));
            let shown = model.status_after(UNIT, written);
            assert_eq!(shown, Status::new("active", ""));
            stage.has_nothing("bad");
        }
        model.rewrite("bad", &asks(NONE, SECRETS));
        stage.is_served("bad");
        model.wait_active(UNIT);
        part(stage);
    }
    for databag in odd() {
        join(stage, &databag);
        stage.is_served("bad");
        model.wait_active(UNIT);
        part(stage);
    }
    stage.is_unharmed("odd databags");
}

/// Relates the client, and says at which run it wrote what it was told to.
fn join(stage: &Stage, databag: &Value) -> usize {
    let model = &stage.model;
    model.tell("bad", databag);
    let before = model.runs().len();
    model.sim(&["integrate", "bad", "kafka-connect"]);
    model.wait_wrote("bad", before)
}

fn part(stage: &Stage) {
    let model = &stage.model;
    model.sim(&["remove-relation", "bad", "kafka-connect"]);
    model.wait_until("the relation is gone", SOON, || {
        model.relation("bad/0", "connect-client").is_none()
            && model.status("bad/0").message == "unrelated"
    });
}
