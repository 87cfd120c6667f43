//! Whole hooks.

use std::os::unix::fs::PermissionsExt;

use testkit::{Behaviour, MisbehavingServer};

use super::machine::Machine;

/// Calls of a hook with nothing to do, on a leader with one client that is not served yet.
const CALLS: usize = 22;

#[test]
fn a_hook_nobody_knows_reconciles() {
    let machine = Machine::new();
    machine.good_hook("some-hook-of-a-later-juju");
    let worker = machine.read("root/etc/kafka-connect/worker.properties");
    assert_eq!(worker, "", "the internal secret is not safe yet");
    machine.good_hook("some-hook-of-a-later-juju");
    let worker = machine.read("root/etc/kafka-connect/worker.properties");
    assert!(worker.contains("bootstrap.servers=10.0.0.1"), "{worker}");
    let programs = machine.programs();
    for expected in [
        "systemctl start --no-block kafka-connect.service",
        "systemctl start --no-block kafka-connect-gateway.service",
        "systemctl enable kafka-connect-gateway.service",
        "systemctl start --no-block kafka-connect-gateway.socket",
        "systemctl start --no-block kafka-connect-gateway-peer.socket",
        "systemctl enable kafka-connect-gateway.socket",
        "systemctl restart --no-block kafka-connect-wake.timer",
    ] {
        assert!(
            programs.iter().any(|program| program == expected),
            "{expected} not in {programs:#?}"
        );
    }
    assert!(
        machine.status().starts_with("waiting: ") || machine.status().starts_with("maintenance: "),
        "{}",
        machine.status()
    );
}

#[test]
fn a_client_without_plugin_gets_its_user_when_the_worker_is_healthy_only() {
    let machine = Machine::new();
    machine.good_hook("install");
    machine.good_hook("start");
    machine.client(7, "NOT-REQUIRED");
    machine.good_hook("connect-client-relation-changed");
    let written = machine.read("juju/written");
    assert!(!written.contains("connect-client:7"), "{written}");
    assert!(written.contains("workers:1 {"), "{written}");
}

#[test]
fn a_hook_with_nothing_to_do_changes_nothing_and_asks_little() {
    let machine = Machine::new();
    machine.client(7, "NOT-REQUIRED");
    for name in ["install", "config-changed", "start"] {
        machine.good_hook(name);
    }
    // What Juju would have kept of the writes.
    keep_own_databags(&machine);
    machine.good_hook("update-status");
    let programs = machine.programs().len();
    let calls = machine.good_hook("update-status");
    for call in &calls {
        let writes = [
            "relation-set",
            "secret-add",
            "secret-set",
            "status-set",
            "open-port",
        ];
        let tool = call.split(' ').next().unwrap();
        assert!(
            !writes.contains(&tool),
            "{call}:\n{}",
            machine.read("juju/written")
        );
    }
    assert!(calls.len() <= CALLS, "{} calls: {calls:#?}", calls.len());
    let changed: Vec<String> = machine.programs().split_off(programs);
    let changed: Vec<&String> = changed
        .iter()
        .filter(|line| !line.starts_with("systemctl show"))
        // The worker is not healthy: it is looked at again soon.
        .filter(|line| !line.contains("kafka-connect-wake.timer"))
        .collect();
    assert!(changed.is_empty(), "{changed:?}");
}

#[test]
fn a_hook_about_one_client_asks_nothing_about_the_others() {
    const ALL: [&str; 3] = ["connect-client:7", "connect-client:8", "connect-client:9"];
    let machine = Machine::new();
    for id in 7..10 {
        machine.client(id, "NOT-REQUIRED");
    }
    machine.juju("ids/connect-client", &serde_json::json!(ALL).to_string());
    let hook = |name: &str, relation: &str| {
        let before = machine.calls().len();
        let extra = [("JUJU_RELATION_ID", relation), ("JUJU_REMOTE_APP", "app")];
        let outcome = machine.dispatch(&format!("hooks/{name}"), &extra);
        let mut calls = machine.calls().split_off(before);
        calls.retain(|call| call.starts_with("relation-get"));
        let asked = ALL
            .into_iter()
            .filter(|id| calls.iter().any(|call| call.contains(id)));
        (outcome.success, asked.collect::<Vec<_>>())
    };
    let changed = "connect-client-relation-changed";
    assert_eq!(hook("install", ""), (true, ALL.to_vec()));
    assert_eq!(hook(changed, ALL[1]), (true, vec![ALL[1]]));
    assert_eq!(hook("kafka-connect-wake", ""), (true, vec![]));
    assert_eq!(
        hook("workers-relation-changed", "workers:1"),
        (true, vec![])
    );
    // Nothing that a client wrote is taken for its newest after a hook about it, whatever became of
    // that hook.
    machine.juju("failing/network-get", "ERROR connection is shut down\n");
    machine.juju("garbage/opened-ports", "no JSON at all");
    assert_eq!(hook(changed, ALL[2]), (false, vec![ALL[2]]));
    machine.remove("juju/garbage/opened-ports");
    assert_eq!(hook("kafka-connect-wake", ""), (true, vec![ALL[2]]));
    // Hooks that come now and then look at everything.
    assert_eq!(hook("update-status", ""), (true, ALL.to_vec()));
    let file = machine.path("root/run/kafka-connect-charm/clients.json");
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Copies what was written to our own peer databags into what Juju answers.
fn keep_own_databags(machine: &Machine) {
    for (start, file) in [("workers:1 {", "kc_0"), ("workers:1 app {", "kc")] {
        let mut bag = serde_json::Map::new();
        for line in machine.read("juju/written").lines() {
            if let Some(text) = line.strip_prefix(start) {
                let changes: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_str(&format!("{{{text}")).unwrap();
                bag.extend(changes);
            }
        }
        let bag = serde_json::Value::Object(bag).to_string();
        machine.juju(&format!("relations/workers:1/{file}.json"), &bag);
    }
}

#[test]
fn nonsense_from_a_hook_command_is_a_clear_error() {
    for tool in ["config-get", "relation-ids", "is-leader", "secret-get"] {
        let machine = Machine::new();
        machine.juju(&format!("garbage/{tool}"), "no JSON at all");
        let outcome = machine.hook("config-changed");
        assert!(!outcome.success);
        let expected = format!("cannot ask Juju: cannot understand the answer of hook tool {tool}");
        assert!(outcome.stderr.starts_with(&expected), "{}", outcome.stderr);
    }
}

#[test]
fn a_hook_command_that_fails_or_is_missing_fails_the_hook() {
    let machine = Machine::new();
    machine.juju("failing/config-get", "ERROR connection is shut down\n");
    let outcome = machine.hook("config-changed");
    assert!(!outcome.success);
    assert!(
        outcome
            .stderr
            .contains("config-get failed with exit status 1: connection is shut down"),
        "{}",
        outcome.stderr
    );
    machine.remove("tools/is-leader");
    let outcome = machine.hook("config-changed");
    assert!(!outcome.success);
    assert!(
        outcome
            .stderr
            .contains("cannot run hook tool is-leader: No such file"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn without_juju_the_error_says_so() {
    let machine = Machine::new();
    let outcome = machine.dispatch("", &[]);
    assert!(!outcome.success);
    assert!(
        outcome.stderr.contains("JUJU_DISPATCH_PATH"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn no_secret_is_ever_an_argument_or_a_line_of_log() {
    let machine = Machine::new();
    machine.client(7, "http://user:hidden-in-url@127.0.0.1:1/plugin.tar");
    for name in ["install", "start", "update-status"] {
        machine.good_hook(name);
    }
    let mut secrets = machine.secrets();
    assert!(secrets.len() >= 4, "{secrets:?}");
    secrets.retain(|secret| secret != "internal");
    secrets.extend(["of-kafka".to_owned(), "hidden-in-url".to_owned()]);
    let said = [machine.calls(), machine.programs()].concat().join("\n");
    for secret in secrets {
        let line = secret.lines().nth(1).unwrap_or(&secret);
        assert!(!said.contains(line), "{line} in {said}");
    }
    let modes = machine.read("juju/modes");
    for pair in modes.lines().collect::<Vec<_>>().chunks(2) {
        assert_eq!(pair, ["600", "700"]);
    }
    assert!(!modes.is_empty());
}

#[test]
fn a_plugin_that_cannot_be_fetched_is_named_and_fails_nothing() {
    let machine = Machine::new();
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    machine.client(7, &format!("http://{closed}/plugin.tar"));
    machine.good_hook("install");
    machine.good_hook("start");
    let logged = machine.calls().join("\n");
    assert!(logged.contains("connect-client:7"), "{logged}");
    let peers = machine.read("juju/written");
    assert!(peers.contains("faults"), "{peers}");
}

#[test]
fn a_plugin_server_that_has_just_failed_is_not_asked_by_the_next_hook() {
    let server = MisbehavingServer::start().unwrap();
    server.on("/plugin.tar", Behaviour::status(404));
    let machine = Machine::new();
    machine.client(7, &server.url("/plugin.tar"));
    machine.good_hook("install");
    machine.good_hook("start");
    assert_eq!(server.requests().len(), 1);
    machine.good_hook("update-status");
    assert_eq!(server.requests().len(), 1, "too early");
    assert!(
        machine.read("juju/written").contains("404"),
        "its fault stays named"
    );
    // Another URL is another matter.
    machine.client(7, &server.url("/other.tar"));
    machine.good_hook("update-status");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_secret_that_is_no_uri_or_not_granted_is_waited_for() {
    let machine = Machine::new();
    let answer = |uri: &str| {
        let text = serde_json::json!({"endpoints": "10.0.0.1:9092", "secret-user": uri});
        machine.juju("relations/kafka-client:2/kafka.json", &text.to_string());
    };
    answer("--help");
    machine.good_hook("install");
    machine.good_hook("config-changed");
    assert_eq!(
        machine.status(),
        "waiting: kafka-client:2: secret-user: is not the URI of a secret"
    );
    assert!(!machine.calls().iter().any(|call| call.contains("--help")));
    answer("secret:notgranted");
    machine.good_hook("config-changed");
    assert_eq!(
        machine.status(),
        "waiting: kafka-client:2: secret-user: is not granted (permission denied)"
    );
}

#[test]
fn a_broken_relation_that_is_gone_fails_nothing() {
    let machine = Machine::new();
    machine.good_hook("install");
    let extra = [
        ("JUJU_RELATION_ID", "connect-client:9"),
        ("JUJU_REMOTE_APP", "gone"),
    ];
    let outcome = machine.dispatch("hooks/connect-client-relation-broken", &extra);
    assert!(outcome.success, "{}", outcome.stderr);
}

#[test]
fn a_hook_in_which_juju_allows_nothing_does_nothing() {
    let machine = Machine::new();
    assert!(machine.good_hook("collect-metrics").is_empty());
}
