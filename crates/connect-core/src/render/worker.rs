//! What the worker reads at its start.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::jks;
use super::properties::{Properties, jaas_quoted};
use crate::layout::Layout;
use crate::limits;
use crate::model::Internal;
use crate::model::config::Config;
use crate::model::kafka::KafkaAccess;

/// What `worker.properties` is made of.
#[derive(Debug)]
pub struct WorkerInput<'a> {
    /// Options.
    pub config: &'a Config,
    /// Kafka.
    pub kafka: &'a KafkaAccess,
    /// Where other units reach this one.
    pub peer_address: IpAddr,
    /// Digests on the plugin path.
    pub plugins: &'a BTreeSet<String>,
    /// All bundles have manifests, so that no class path needs to be scanned.
    pub manifests: bool,
}

/// `worker.properties`, and the part of it that a change of plugins leaves alone.
#[must_use]
pub fn properties(input: &WorkerInput<'_>, layout: &Layout) -> (String, String) {
    let WorkerInput {
        config,
        kafka,
        peer_address,
        plugins,
        manifests,
    } = input;
    let (group, topics) = (&config.group_id, &config.topics);
    let mut p = Properties::default();
    p.comment("Written by the charm; changes are overwritten. Use option worker-config.");
    p.set("bootstrap.servers", &kafka.bootstrap.join(","));
    p.comment("Application and model by default: two deployments never merge.");
    p.set("group.id", group)
        .set("config.storage.topic", &topics.config)
        .set("offset.storage.topic", &topics.offset)
        .set("status.storage.topic", &topics.status);

    let mut defaults: Vec<(&str, &str)> = vec![
        // The broker's own default, so that one broker is enough where it says so.
        ("config.storage.replication.factor", "-1"),
        ("offset.storage.replication.factor", "-1"),
        ("status.storage.replication.factor", "-1"),
        (
            "key.converter",
            "org.apache.kafka.connect.json.JsonConverter",
        ),
        (
            "value.converter",
            "org.apache.kafka.connect.json.JsonConverter",
        ),
        ("offset.flush.interval.ms", "10000"),
    ];
    defaults.retain(|(key, _)| !config.worker_config.contains_key(*key));
    for (key, value) in defaults {
        p.set(key, value);
    }

    p.comment("Tasks of a worker that leaves move at once; a crash is noticed within the session.");
    p.set(
        "scheduled.rebalance.max.delay.ms",
        &config.rebalance_delay_ms.to_string(),
    )
    .set(
        "heartbeat.interval.ms",
        &config.heartbeat_interval_ms.to_string(),
    )
    .set("session.timeout.ms", &config.session_timeout_ms.to_string());

    p.comment("Loopback only: clients and other units come in through the gateway.");
    let trust = layout.peer_trust_store();
    p.set(
        "listeners",
        &format!("http://127.0.0.1:{}", limits::WORKER_PORT),
    )
    .set("rest.advertised.host.name", &url_host(*peer_address))
    .set("rest.advertised.port", &config.peer_port.to_string())
    .set("rest.advertised.listener", "https")
    .set("listeners.https.ssl.truststore.location", &trust)
    .set("listeners.https.ssl.truststore.type", "JKS")
    .set("listeners.https.ssl.truststore.password", jks::PASSWORD)
    .set(
        "rest.extension.classes",
        "org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension",
    );

    p.comment("Each of the worker's clients needs the security settings under its own prefix.");
    for prefix in ["", "producer.", "consumer.", "admin."] {
        security(&mut p, prefix, kafka, layout);
    }

    if !config.worker_config.is_empty() {
        p.comment("Option worker-config.");
        for (key, value) in &config.worker_config {
            p.set(key, value);
        }
    }
    let steady = p.finish().to_owned();

    p.comment("Plugins of clients. Without reflection a start is seconds faster and far smaller.");
    if !plugins.is_empty() {
        let paths: Vec<String> = plugins
            .iter()
            .map(|digest| format!("{}/{digest}/path", layout.plugins()))
            .collect();
        p.set("plugin.path", &paths.join(","));
    }
    p.set(
        "plugin.discovery",
        if *manifests {
            "service_load"
        } else {
            "hybrid_warn"
        },
    );
    (p.finish().to_owned(), steady)
}

/// As it stands in a URL: the worker builds its own URL from it without a look.
fn url_host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

fn security(p: &mut Properties, prefix: &str, kafka: &KafkaAccess, layout: &Layout) {
    let mut set = |key: &str, value: &str| {
        p.set(&format!("{prefix}{key}"), value);
    };
    let protocol = if kafka.tls.is_some() {
        "SASL_SSL"
    } else {
        "SASL_PLAINTEXT"
    };
    set("security.protocol", protocol);
    set("sasl.mechanism", "SCRAM-SHA-512");
    let username = jaas_quoted(&kafka.username);
    let password = jaas_quoted(kafka.password.expose());
    set(
        "sasl.jaas.config",
        &format!(
            "org.apache.kafka.common.security.scram.ScramLoginModule required username={username} password={password};"
        ),
    );
    if kafka.tls.is_some() {
        set("ssl.truststore.location", &layout.kafka_trust_store());
        set("ssl.truststore.type", "JKS");
        set("ssl.truststore.password", jks::PASSWORD);
    }
}

/// `jaas.conf`: where the REST extension finds its users.
#[must_use]
pub fn jaas(layout: &Layout) -> String {
    format!(
        "KafkaConnect {{\n  org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule required\n    file={};\n}};\n",
        jaas_quoted(&layout.internal_users())
    )
}

/// `users.properties`: the internal user and nobody else. Never empty: an empty one opens the API.
#[must_use]
pub fn internal_users(internal: &Internal) -> String {
    Properties::default()
        .set(&internal.username, internal.password.expose())
        .finish()
        .to_owned()
}
