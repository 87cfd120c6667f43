//! Options with values that cannot be used.

use super::{Stage, Status, UNIT};

const ROWS: [(&str, &str, &str); 21] = [
    ("rest-port", "0", "must be a number from 1024 to 65535"),
    (
        "rest-port",
        "18083",
        "is the port of the worker itself; choose another",
    ),
    ("peer-port", "443", "must be a number from 1024 to 65535"),
    ("peer-port", "8083", "must differ from rest-port"),
    (
        "group-id",
        "a b",
        "must be at most 200 letters, digits, dots, dashes, underscores",
    ),
    (
        "worker-config",
        "group.id=mine",
        "group.id belongs to the charm",
    ),
    (
        "worker-config",
        "a.b=c\nrest.port=1",
        "rest.port belongs to the charm",
    ),
    ("worker-config", "nonsense", "line 1 is not key=value"),
    (
        "worker-config",
        "\u{1b}[2J{option}=x",
        "line 1 is not key=value",
    ),
    (
        "log-level",
        "LOUD",
        "must be one of TRACE, DEBUG, INFO, WARN, ERROR",
    ),
    (
        "profile",
        "huge",
        "must be one of production, testing, staging",
    ),
    ("kafka-version", "9.9", "must be one of 3.9.1, 4.1.2, 4.3.1"),
    ("kafka-mirror", "ftp://x", "must be an http or https URL"),
    ("heap-mib", "64", "must be 0 or at least 128"),
    ("plugin-max-mib", "0", "must be a number from 1 to 65536"),
    (
        "plugin-limits",
        "depth=0",
        "depth must be a number from 1 to 256",
    ),
    (
        "plugin-allowed-hosts",
        "repo:8080",
        "`repo:8080` is not the name or address of a host, without a port",
    ),
    (
        "plugin-allowed-sha256",
        "5891b5",
        "`5891b5` is not a SHA-256 of 64 hex digits",
    ),
    (
        "heartbeat-interval-ms",
        "5000",
        "must be at most a third of session-timeout-ms",
    ),
    (
        "heartbeat-interval-ms",
        "9223372036854775807",
        "must be a number from 100 to 200000",
    ),
    ("retry-limit-s", "301", "must be a number from 0 to 300"),
];

pub(super) fn rows(stage: &Stage) {
    let model = &stage.model;
    for (option, value, fault) in ROWS {
        let setting = format!("{option}={value}");
        let shown = model.status_configured(UNIT, &[&setting]);
        let message = format!("option {option}: {fault}");
        assert_eq!(shown, Status::new("blocked", &message), "{setting:?}");
        stage.is_unharmed(&message);
        let cure = match option {
            // Not at its default here.
            "profile" => vec!["profile=testing"],
            _ => vec!["--reset", option],
        };
        let shown = model.status_configured(UNIT, &cure);
        assert_eq!(shown, Status::new("active", ""), "after {setting:?}");
    }
    stage.is_unharmed("options");
}
