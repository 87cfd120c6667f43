//! Everything that can be bad about what the charm is given, one row each: named by relation (or
//! option) and fault in the status of the first hook that could see it, no hook failed, an innocent
//! client and the worker untouched, and healed by itself once the cause is gone.

mod archives;
mod databags;
mod kafka;
mod options;
mod servers;

use serde_json::{Value, json};

use super::model::{Model, SOON, Status};

const UNIT: &str = "kafka-connect/0";
const GOOD: &str = "good/0";
const SECRETS: &str = r#"["username", "password"]"#;

/// A model with a client that does everything right, and what it has.
struct Stage {
    model: Model,
    secret: String,
    worker: String,
}

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn bad_databags_and_options_are_named_isolated_and_heal() {
    let stage = Stage::set();
    databags::rows(&stage);
    options::rows(&stage);
}

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn bad_plugins_and_their_servers_are_named_isolated_and_heal() {
    let stage = Stage::set();
    servers::run(&stage);
}

#[test]
#[ignore = "needs root, real Kafka; run by scripts/test.sh"]
fn a_kafka_that_withholds_or_is_down_is_named_and_its_return_noticed() {
    kafka::run();
}

impl Stage {
    fn set() -> Self {
        let model = Model::with_kafka(&[]);
        model.deploy_client("good", None);
        model.sim(&["integrate", "good", "kafka-connect"]);
        Self::of(model)
    }

    /// Once the good client of a model is served.
    fn of(model: Model) -> Self {
        model.wait_active(UNIT);
        model.wait_served(GOOD);
        Self {
            secret: model.given(GOOD, "secret-user").unwrap(),
            worker: model.worker(UNIT),
            model,
        }
    }

    /// No hook failed, and who did nothing wrong noticed nothing.
    fn is_unharmed(&self, during: &str) {
        let model = &self.model;
        model.assert_no_hook_failed();
        assert_eq!(model.worker(UNIT), self.worker, "{during}: same process");
        let secret = model.given(GOOD, "secret-user");
        assert_eq!(secret.as_ref(), Some(&self.secret), "{during}");
        assert_eq!(model.secret_revision(&self.secret), 1, "{during}");
        assert_eq!(model.codes(GOOD), "200", "{during}");
    }

    /// A client's fault shows after the very hook that brought it, and the client has nothing.
    fn is_named(&self, client: &str, written: usize, fault: &str) {
        let shown = self.model.status_after(UNIT, written);
        assert_eq!(shown, self.named(client, fault));
        self.has_nothing(client);
        self.is_unharmed(fault);
    }

    fn named(&self, client: &str, fault: &str) -> Status {
        let relation = self.model.client_relation(&unit(client));
        let message = format!("connect-client:{relation} ({client}): {fault}");
        Status::new("active", &message)
    }

    fn has_nothing(&self, client: &str) {
        for key in ["secret-user", "endpoints"] {
            assert_eq!(self.model.given(&unit(client), key), None, "{client}");
        }
    }

    /// The client has what it asked for and can use it.
    fn is_served(&self, client: &str) {
        self.model.wait_served(&unit(client));
        assert_eq!(self.model.codes(&unit(client)), "200", "{client}");
    }
}

fn unit(application: &str) -> String {
    format!("{application}/0")
}

fn asks(url: &str, secrets: &str) -> Value {
    json!({"plugin-url": url, "requested-secrets": secrets})
}
