//! What a client of the REST API noticed: the report of the fixture's action `use`.

use serde_json::Value;

use super::model::{Model, SOON};
use super::workers::Login;

/// What the client's `use` saw so far.
#[derive(Debug)]
pub(super) struct Used {
    pub(super) requests: u64,
    pub(super) puts: u64,
    pub(super) failures: Vec<String>,
    pub(super) longest_ms: u64,
    pub(super) longest_put_ms: u64,
    /// The last note written to each connector.
    pub(super) written: Vec<(String, String)>,
    /// Every endpoint that was ever asked.
    pub(super) urls: Vec<String>,
}

pub(super) fn used(model: &Model, unit: &str) -> Used {
    let results = model.action(unit, &["polled"]);
    let text = results["report"].as_str().unwrap();
    let report: Value = serde_json::from_str(text).unwrap();
    let texts = |key: &str| {
        let all = report[key].as_array().into_iter().flatten();
        all.map(|one| one.as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let number = |key: &str| report[key].as_u64().unwrap();
    let written = report["written"].as_object().into_iter().flatten();
    Used {
        requests: number("requests"),
        puts: number("puts"),
        failures: texts("failures"),
        longest_ms: number("longest_ms"),
        longest_put_ms: number("longest_put_ms"),
        written: written
            .map(|(name, note)| (name.clone(), note.as_str().unwrap_or_default().to_owned()))
            .collect(),
        urls: texts("urls"),
    }
}

/// Waits until the client has begun to use its connectors.
pub(super) fn wait_used(model: &Model, unit: &str, requests: u64) {
    model.wait_until(&format!("{unit} has asked {requests} times"), SOON, || {
        let seen = model.attempt(&["ssh", unit, "test", "-e", "/var/lib/client/polled.json"]);
        seen.status.success() && used(model, unit).requests >= requests
    });
}

/// Ends the client, and shows that each connector is as it wrote it last.
pub(super) fn assert_written(model: &Model, unit: &str, owner: &Login) {
    model.sim(&["ssh", unit, "systemctl", "stop", "client-poll.service"]);
    for (name, note) in used(model, unit).written {
        let config = owner.config(model, &name);
        // One write may have been under way when the client ended.
        let last: u64 = note.parse().unwrap();
        let notes = [last, last + 1].map(|note| note.to_string());
        let found = config["note"].as_str().unwrap_or_default();
        assert!(notes.iter().any(|note| note == found), "{name}: {config}");
    }
}
