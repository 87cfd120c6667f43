//! Options, each parsed by itself: one bad option names itself and spoils no other.

mod plugins;

use std::collections::{BTreeMap, BTreeSet};

use crate::gateway::TlsVersion;
use crate::limits;
use crate::model::admission::{Allowed, PluginLimits};
use crate::observation::{ConfigValue, Identity};
use crate::wire::x509::Certificate;

/// The options' meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `rest-port`: where clients come in.
    pub rest_port: u16,
    /// `peer-port`: where other units come in.
    pub peer_port: u16,
    /// `metrics-port`: where the gateway's metrics are; nowhere if it is 0.
    pub metrics_port: Option<u16>,
    /// `group-id`, or what is derived from application and model.
    pub group_id: String,
    /// `config-topic`, `offset-topic` and `status-topic`, or what is derived from the group.
    pub topics: Topics,
    /// Group or topics are not the derived ones, so that they may be somebody else's.
    pub group_is_named: bool,
    /// `adopt-group`: the group that the options name is to be joined although it is not new.
    pub adopt_group: bool,
    /// `worker-config`: the operator's own worker properties.
    pub worker_config: BTreeMap<String, String>,
    /// `log-level`.
    pub log_level: String,
    /// `profile`.
    pub profile: Profile,
    /// `kafka-version`: the release to install without a resource.
    pub release: Release,
    /// `kafka-mirror`: base URL of the release archive, without trailing slash.
    pub kafka_mirror: String,
    /// `heap-mib`; none for automatic.
    pub heap_mib: Option<u64>,
    /// `keep-connectors`: leave a departed client's connectors alone.
    pub keep_connectors: bool,
    /// `plugin-max-mib` and `plugin-limits`: what one plugin may cost.
    pub plugin_limits: PluginLimits,
    /// `plugin-allowed-hosts` and `plugin-allowed-sha256`: what is let in.
    pub plugin_allowed: Allowed,
    /// `plugin-check-interval-s`: how often to look whether a URL serves something new; 0 for never.
    pub plugin_check_interval_s: u64,
    /// `session-timeout-ms`.
    pub session_timeout_ms: u64,
    /// `heartbeat-interval-ms`.
    pub heartbeat_interval_ms: u64,
    /// `rebalance-delay-ms`.
    pub rebalance_delay_ms: u64,
    /// `extra-ca-certificates`: PEM of CAs that plugin servers may have their certificate from.
    pub extra_ca_certificates: String,
    /// `rotate-internal-days`: age at which the internal user and CA are replaced; 0 for never.
    pub rotate_internal_days: u64,
    /// `tls-minimum-version`: the oldest that clients may speak.
    pub tls_minimum_version: TlsVersion,
    /// `retry-limit-s`: how long the gateway retries one request.
    pub retry_limit_s: u64,
    /// `unit-timeout`: how long a unit that is not well holds anybody back.
    pub unit_timeout_s: u64,
    /// `client-access`: which connectors a client may see and change.
    pub client_access: ClientAccess,
    /// `admin-clients`: applications whose clients see all connectors whatever `client-access`
    /// says; sorted.
    pub admin_clients: BTreeSet<String>,
}

/// Where the workers of a group keep what they share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Configurations of connectors. It is what makes a group: whoever has it, has the connectors.
    pub config: String,
    /// Offsets of source connectors.
    pub offset: String,
    /// States of connectors and tasks.
    pub status: String,
}

impl Topics {
    /// Those of a group unless options say otherwise.
    #[must_use]
    pub fn of(group: &str) -> Self {
        Self {
            config: format!("{group}-configs"),
            offset: format!("{group}-offsets"),
            status: format!("{group}-status"),
        }
    }
}

/// Which connectors a client may see and change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAccess {
    /// All of them.
    Shared,
    /// Those it created.
    Own,
}

/// What the deployment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Sized by the machine.
    Production,
    /// Sized as testing.
    Staging,
    /// As small as it goes.
    Testing,
}

/// A pinned Kafka release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// Version.
    pub version: &'static str,
    /// Lower-case hex SHA-512 of the archive.
    pub sha512: &'static str,
}

/// The releases this charm was tested with.
pub const RELEASES: [Release; 3] = [
    Release {
        version: "3.9.1",
        sha512: "1ea204ba73411737a275429ca976d440f007ff0957b90b19be41dc5a4bae52617267769be9f0b5791714d0b3c4c760605bd426faea39edd90763585523fa2cfe",
    },
    Release {
        version: "4.1.2",
        sha512: "78ac6e488b1071122f9608dfdb363f6fe50e1dbbc492347002c0398dfbf77e0d8caa5bf794c5937379721004dfe92025937d238b0faf4eb715529417fd43b491",
    },
    Release {
        version: "4.3.1",
        sha512: "c7d7b2318cb51aa0c61d3246a51c349210073c5c9b754947ef965a439f2f939e8600f204e134a75ac31faf3829c9370960ef7c6a9886c8a1dbf0339a21f4c54c",
    },
];

/// The group of an application when no option names one: two deployments never meet in it.
fn derived_group(identity: &Identity) -> String {
    format!("{}-{}", identity.application, identity.model_uuid)
}

/// The characters that Kafka allows in the name of a topic.
fn is_topic(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    text.bytes().all(legal)
}

/// An option that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Its name.
    pub option: String,
    /// What is wrong and what would be right.
    pub fault: String,
}

/// Worker properties that the operator may not set, by exact name or by prefix: without them the
/// charm's contract with clients, other units or Kafka does not hold.
const CONTRACT: [&str; 27] = [
    "bootstrap.servers",
    "group.id",
    "config.storage.topic",
    "offset.storage.topic",
    "status.storage.topic",
    "plugin.path",
    "plugin.discovery",
    "listeners",
    "listeners.*",
    "admin.listeners",
    "admin.listeners.*",
    "rest.*",
    "connect.protocol",
    "inter.worker.*",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "scheduled.rebalance.max.delay.ms",
    "security.protocol",
    "sasl.*",
    "ssl.*",
    "producer.security.protocol",
    "producer.sasl.*",
    "producer.ssl.*",
    "consumer.security.protocol",
    "consumer.sasl.*",
    "consumer.ssl.*",
    "access.control.*",
];

struct Reader<'a> {
    raw: &'a BTreeMap<String, ConfigValue>,
    problems: Vec<ConfigProblem>,
}

impl Config {
    /// Reads the options; one that is absent has its default, one with a problem as well.
    #[must_use]
    pub fn read(
        raw: &BTreeMap<String, ConfigValue>,
        identity: &Identity,
    ) -> (Self, Vec<ConfigProblem>) {
        let mut reader = Reader {
            raw,
            problems: Vec::new(),
        };
        let session_timeout_ms = reader.number("session-timeout-ms", 6000, 1000, 600_000);
        let group_id = reader.group_id(identity);
        let topics = reader.topics(&group_id);
        let derived = derived_group(identity);
        let config = Self {
            rest_port: reader.port("rest-port", 8083),
            peer_port: reader.port("peer-port", 8084),
            metrics_port: reader.metrics_port(),
            group_is_named: group_id != derived || topics != Topics::of(&derived),
            group_id,
            topics,
            adopt_group: reader.boolean("adopt-group", false),
            worker_config: reader.worker_config(),
            log_level: reader.choice(
                "log-level",
                "INFO",
                &["TRACE", "DEBUG", "INFO", "WARN", "ERROR"],
            ),
            profile: match reader
                .choice(
                    "profile",
                    "production",
                    &["production", "testing", "staging"],
                )
                .as_str()
            {
                "testing" => Profile::Testing,
                "staging" => Profile::Staging,
                _ => Profile::Production,
            },
            release: reader.release(),
            kafka_mirror: reader.mirror(),
            heap_mib: Some(reader.number("heap-mib", 0, 0, 1 << 20)).filter(|mib| *mib > 0),
            keep_connectors: reader.boolean("keep-connectors", false),
            plugin_limits: reader.plugin_limits(),
            plugin_allowed: reader.plugin_allowed(),
            plugin_check_interval_s: reader.number("plugin-check-interval-s", 600, 0, 604_800),
            session_timeout_ms,
            heartbeat_interval_ms: reader.number("heartbeat-interval-ms", 1000, 100, 200_000),
            rebalance_delay_ms: reader.number("rebalance-delay-ms", 0, 0, 3_600_000),
            extra_ca_certificates: reader.extra_ca_certificates(),
            rotate_internal_days: reader.number("rotate-internal-days", 365, 0, 3650),
            tls_minimum_version: match reader
                .choice("tls-minimum-version", "1.2", &["1.2", "1.3"])
                .as_str()
            {
                "1.3" => TlsVersion::V13,
                _ => TlsVersion::V12,
            },
            retry_limit_s: reader.number("retry-limit-s", 25, 0, 300),
            unit_timeout_s: reader.number("unit-timeout", 600, 30, 86_400),
            client_access: reader.client_access(),
            admin_clients: reader.admin_clients(),
        };
        for (option, port) in [
            ("rest-port", config.rest_port),
            ("peer-port", config.peer_port),
            ("metrics-port", config.metrics_port.unwrap_or_default()),
        ] {
            if port == limits::WORKER_PORT {
                reader.problem(option, "is the port of the worker itself; choose another");
            }
        }
        let doors = [config.rest_port, config.peer_port];
        if config
            .metrics_port
            .is_some_and(|port| doors.contains(&port))
        {
            reader.problem("metrics-port", "must differ from rest-port and peer-port");
        }
        if config.rest_port == config.peer_port {
            reader.problem("peer-port", "must differ from rest-port");
        }
        if config.heartbeat_interval_ms * 3 > config.session_timeout_ms {
            reader.problem(
                "heartbeat-interval-ms",
                "must be at most a third of session-timeout-ms",
            );
        }
        if config.heap_mib.is_some_and(|mib| mib < 128) {
            reader.problem("heap-mib", "must be 0 or at least 128");
        }
        (config, reader.problems)
    }
}

impl Reader<'_> {
    fn problem(&mut self, option: &str, fault: &str) {
        self.problems.push(ConfigProblem {
            option: option.to_owned(),
            fault: fault.to_owned(),
        });
    }

    fn text(&mut self, option: &str, default: &str) -> String {
        match self.raw.get(option) {
            None => default.to_owned(),
            Some(ConfigValue::Text(text)) => text.trim().to_owned(),
            Some(ConfigValue::Integer(_) | ConfigValue::Boolean(_) | ConfigValue::Float(_)) => {
                self.problem(option, "must be a text");
                default.to_owned()
            }
        }
    }

    fn number(&mut self, option: &str, default: u64, least: u64, most: u64) -> u64 {
        let value = match self.raw.get(option) {
            None => return default,
            Some(ConfigValue::Integer(value)) => u64::try_from(*value).ok(),
            Some(ConfigValue::Text(_) | ConfigValue::Boolean(_) | ConfigValue::Float(_)) => None,
        };
        if let Some(value) = value.filter(|value| (least..=most).contains(value)) {
            return value;
        }
        self.problem(option, &format!("must be a number from {least} to {most}"));
        default
    }

    fn port(&mut self, option: &str, default: u16) -> u16 {
        // The gateway runs without privileges, and so cannot take a port below 1024.
        let value = self.number(option, u64::from(default), 1024, 65535);
        u16::try_from(value).unwrap_or(default)
    }

    fn metrics_port(&mut self) -> Option<u16> {
        let none = matches!(
            self.raw.get("metrics-port"),
            None | Some(ConfigValue::Integer(0))
        );
        (!none)
            .then(|| self.port("metrics-port", 0))
            .filter(|port| *port > 0)
    }

    fn boolean(&mut self, option: &str, default: bool) -> bool {
        match self.raw.get(option) {
            None => default,
            Some(ConfigValue::Boolean(value)) => *value,
            Some(ConfigValue::Text(_) | ConfigValue::Integer(_) | ConfigValue::Float(_)) => {
                self.problem(option, "must be true or false");
                default
            }
        }
    }

    fn choice(&mut self, option: &str, default: &str, choices: &[&str]) -> String {
        let text = self.text(option, default);
        if let Some(choice) = choices
            .iter()
            .find(|choice| choice.eq_ignore_ascii_case(&text))
        {
            return (*choice).to_owned();
        }
        self.problem(option, &format!("must be one of {}", choices.join(", ")));
        default.to_owned()
    }

    /// A value that cannot be read closes rather than opens, should anybody act on it.
    fn client_access(&mut self) -> ClientAccess {
        match self
            .choice("client-access", "shared", &["shared", "own"])
            .as_str()
        {
            "shared" if !self.has_problem("client-access") => ClientAccess::Shared,
            _ => ClientAccess::Own,
        }
    }

    fn admin_clients(&mut self) -> BTreeSet<String> {
        let text = self.text("admin-clients", "");
        let names = text
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|name| !name.is_empty());
        let mut applications = BTreeSet::new();
        for name in names {
            if is_application(name) {
                applications.insert(name.to_owned());
            } else {
                let fault = format!(
                    "`{}` is not the name of an application",
                    name.escape_debug()
                );
                self.problem("admin-clients", &fault);
            }
        }
        applications
    }

    fn has_problem(&self, option: &str) -> bool {
        self.problems.iter().any(|problem| problem.option == option)
    }

    fn group_id(&mut self, identity: &Identity) -> String {
        let derived = derived_group(identity);
        let text = self.text("group-id", "");
        if text.is_empty() {
            return derived;
        }
        // The names of the internal topics are derived from it, hence Kafka's rule for topics.
        if text.len() <= 200 && is_topic(&text) {
            return text;
        }
        self.problem(
            "group-id",
            "must be at most 200 letters, digits, dots, dashes, underscores",
        );
        derived
    }

    fn topics(&mut self, group: &str) -> Topics {
        let derived = Topics::of(group);
        let topics = Topics {
            config: self.topic("config-topic", derived.config),
            offset: self.topic("offset-topic", derived.offset),
            status: self.topic("status-topic", derived.status),
        };
        if topics.offset == topics.config {
            self.problem("offset-topic", "must differ from the config topic");
        }
        if topics.status == topics.config || topics.status == topics.offset {
            self.problem(
                "status-topic",
                "must differ from the config and the offset topic",
            );
        }
        topics
    }

    fn topic(&mut self, option: &str, derived: String) -> String {
        let text = self.text(option, "");
        if text.is_empty() {
            return derived;
        }
        // `.` and `..` are no names of topics.
        if text.len() <= 249 && is_topic(&text) && text.bytes().any(|b| b != b'.') {
            return text;
        }
        self.problem(
            option,
            "must be at most 249 letters, digits, dots, dashes, underscores",
        );
        derived
    }

    fn release(&mut self) -> Release {
        let text = self.text("kafka-version", RELEASES[1].version);
        if let Some(release) = RELEASES.iter().find(|release| release.version == text) {
            return *release;
        }
        let known: Vec<&str> = RELEASES.iter().map(|release| release.version).collect();
        self.problem(
            "kafka-version",
            &format!("must be one of {}", known.join(", ")),
        );
        RELEASES[1]
    }

    fn mirror(&mut self) -> String {
        let default = "https://archive.apache.org/dist/kafka";
        let text = self.text("kafka-mirror", default);
        let text = if text.is_empty() {
            default.to_owned()
        } else {
            text
        };
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        if rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic())) {
            return text.trim_end_matches('/').to_owned();
        }
        self.problem("kafka-mirror", "must be an http or https URL");
        default.to_owned()
    }

    fn extra_ca_certificates(&mut self) -> String {
        let text = self.text("extra-ca-certificates", "");
        let blocks = text.matches("-----BEGIN ").count();
        if blocks == Certificate::all(&text).len() && (blocks > 0 || text.is_empty()) {
            return text;
        }
        self.problem("extra-ca-certificates", "must be certificates in PEM");
        String::new()
    }

    fn worker_config(&mut self) -> BTreeMap<String, String> {
        let text = self.text("worker-config", "");
        let mut properties = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let pair = line
                .split_once('=')
                .map(|(key, value)| (key.trim(), value.trim()));
            let Some((key, value)) = pair.filter(|(key, _)| is_property_name(key)) else {
                self.problem(
                    "worker-config",
                    &format!("line {} is not key=value", number + 1),
                );
                continue;
            };
            if is_contract(key) {
                self.problem("worker-config", &format!("{key} belongs to the charm"));
                continue;
            }
            properties.insert(key.to_owned(), value.to_owned());
        }
        properties
    }
}

/// Juju's rule, loosely: what it also forbids just never matches.
fn is_application(name: &str) -> bool {
    name.bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_property_name(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= 200
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn is_contract(key: &str) -> bool {
    let ours = |pattern: &str| match pattern.strip_suffix('*') {
        Some(prefix) => key.starts_with(prefix),
        None => key == pattern,
    };
    let key_without_admin = key.strip_prefix("admin.");
    CONTRACT.iter().any(|pattern| ours(pattern))
        || key_without_admin.is_some_and(|rest| {
            rest == "security.protocol" || rest.starts_with("sasl.") || rest.starts_with("ssl.")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn read(option: &str, value: ConfigValue) -> (Config, Vec<ConfigProblem>) {
        let identity = Identity {
            model_uuid: "11111111-2222-3333-4444-555555555555".to_owned(),
            application: "kc".to_owned(),
            unit_number: 0,
            charm_version: String::new(),
        };
        Config::read(&BTreeMap::from([(option.to_owned(), value)]), &identity)
    }

    pub(super) fn text(value: &str) -> ConfigValue {
        ConfigValue::Text(value.to_owned())
    }

    #[test]
    fn a_bad_option_names_itself() {
        for (option, value) in [
            ("rest-port", ConfigValue::Integer(0)),
            ("rest-port", ConfigValue::Integer(443)),
            ("rest-port", ConfigValue::Integer(18083)),
            ("rest-port", ConfigValue::Integer(65536)),
            ("rest-port", ConfigValue::Integer(-1)),
            ("rest-port", text("8083")),
            ("peer-port", ConfigValue::Integer(8083)),
            ("metrics-port", ConfigValue::Integer(80)),
            ("metrics-port", ConfigValue::Integer(8084)),
            ("metrics-port", ConfigValue::Integer(18083)),
            ("group-id", text("a b")),
            ("log-level", text("LOUD")),
            ("profile", text("")),
            ("kafka-version", text("9.9.9")),
            ("kafka-mirror", text("ftp://x")),
            ("heap-mib", ConfigValue::Integer(64)),
            ("keep-connectors", text("yes")),
            ("heartbeat-interval-ms", ConfigValue::Integer(5000)),
            ("extra-ca-certificates", text("/etc/ssl/certs")),
            (
                "extra-ca-certificates",
                text("-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----"),
            ),
            ("tls-minimum-version", text("1.1")),
            ("client-access", text("mine")),
            ("client-access", text("")),
            ("admin-clients", text("ui, A/0")),
            ("worker-config", text("nonsense")),
            ("worker-config", text("group.id=x")),
            ("worker-config", text("a.b=c\nrest.advertised.port=1")),
            ("worker-config", text("admin.sasl.jaas.config=x")),
        ] {
            let (_, problems) = read(option, value.clone());
            let names: Vec<&str> = problems.iter().map(|p| p.option.as_str()).collect();
            assert_eq!(names, [option], "{value:?}");
        }
    }

    #[test]
    fn good_options_are_taken() {
        let (config, problems) = read(
            "worker-config",
            text("# note\n\noffset.flush.interval.ms = 1=2\n"),
        );
        assert!(problems.is_empty());
        assert_eq!(config.worker_config["offset.flush.interval.ms"], "1=2");
        assert_eq!(config.group_id, "kc-11111111-2222-3333-4444-555555555555");
        assert_eq!(read("log-level", text("debug")).0.log_level, "DEBUG");
        let access = |value| read("client-access", text(value)).0.client_access;
        assert_eq!(access("shared"), ClientAccess::Shared);
        assert_eq!(access("OWN"), ClientAccess::Own);
        assert_eq!(access("unreadable"), ClientAccess::Own);
        let (config, problems) = read("admin-clients", text(" ui,\n kafka-ui2 , ui "));
        assert!(problems.is_empty());
        assert_eq!(config.client_access, ClientAccess::Shared);
        assert!(config.admin_clients.iter().eq(["kafka-ui2", "ui"]));
        assert_eq!(read("profile", text("testing")).0.profile, Profile::Testing);
        assert_eq!(
            read("kafka-mirror", text("http://m/x/")).0.kafka_mirror,
            "http://m/x"
        );
    }

    #[test]
    fn digests_are_sha512() {
        for release in RELEASES {
            assert_eq!(release.sha512.len(), 128, "{}", release.version);
        }
    }
}
