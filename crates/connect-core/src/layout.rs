//! Where everything of ours lives on a machine, under a root that tests may move.

/// All paths, as text with `/` separators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: String,
}

/// The system user and group that runs the worker (and so the clients' plugins).
pub const WORKER_USER: &str = "kafka-connect";
/// The system user and group that runs the gateway.
pub const GATEWAY_USER: &str = "kafka-connect-gateway";
/// The system user that archives the worker's classes: what it writes, no plugin can.
pub const WARM_USER: &str = "kafka-connect-warm";
/// Every system user of ours.
pub const USERS: [&str; 3] = [WORKER_USER, GATEWAY_USER, WARM_USER];
/// The worker's systemd unit.
pub const WORKER_SERVICE: &str = "kafka-connect.service";
/// The gateway's systemd unit.
pub const GATEWAY_SERVICE: &str = "kafka-connect-gateway.service";
/// Holds the client door's sockets, so that the gateway can restart without refusing anybody.
pub const GATEWAY_CLIENT_SOCKET: &str = "kafka-connect-gateway.socket";
/// Holds the peer door's sockets.
pub const GATEWAY_PEER_SOCKET: &str = "kafka-connect-gateway-peer.socket";
/// The gateway's socket units: one for each door, so that moving one leaves the other alone.
pub const GATEWAY_SOCKETS: [&str; 2] = [GATEWAY_CLIENT_SOCKET, GATEWAY_PEER_SOCKET];
/// Runs `juju-exec` for our unit, so that something that happened between hooks brings a hook.
pub const WAKE_SERVICE: &str = "kafka-connect-wake.service";
/// The name of the hook that it runs.
pub const WAKE_HOOK: &str = "kafka-connect-wake";
/// Starts [`WAKE_SERVICE`] when the gateway's state file changes.
pub const WAKE_PATH: &str = "kafka-connect-wake.path";
/// Starts [`WAKE_SERVICE`] some time after it was armed (a retry).
pub const WAKE_TIMER: &str = "kafka-connect-wake.timer";
/// Archives the classes that the worker has loaded, for its next start.
pub const WARM_SERVICE: &str = "kafka-connect-warm.service";

/// Every systemd unit of ours. What starts another unit comes before it, so that stopping them in
/// this order starts nothing again.
pub const UNITS: [&str; 8] = [
    WAKE_TIMER,
    WAKE_PATH,
    WAKE_SERVICE,
    WARM_SERVICE,
    WORKER_SERVICE,
    GATEWAY_CLIENT_SOCKET,
    GATEWAY_PEER_SOCKET,
    GATEWAY_SERVICE,
];

macro_rules! paths {
    ($($(#[$doc:meta])* $name:ident = $path:literal;)*) => {
        impl Layout {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(&self) -> String {
                format!("{}{}", self.root, $path)
            })*
        }
    };
}

impl Layout {
    /// The layout under `root`, without a trailing slash; empty for the real machine.
    #[must_use]
    pub fn new(root: &str) -> Self {
        Self {
            root: root.trim_end_matches('/').to_owned(),
        }
    }
}

paths! {
    /// The worker's configuration directory, root:kafka-connect 0750.
    etc = "/etc/kafka-connect";
    /// The worker's properties, 0640: they hold the Kafka password.
    worker_properties = "/etc/kafka-connect/worker.properties";
    /// The JAAS file naming the worker's users file.
    jaas = "/etc/kafka-connect/jaas.conf";
    /// The worker's own users: only the internal one; 0640.
    internal_users = "/etc/kafka-connect/users.properties";
    /// log4j2 (Kafka 4) configuration.
    log4j2 = "/etc/kafka-connect/log4j2.properties";
    /// log4j (Kafka 3.9) configuration.
    log4j = "/etc/kafka-connect/log4j.properties";
    /// Trust store (JKS) for forwarding to other units' peer doors: the internal CA.
    peer_trust_store = "/etc/kafka-connect/peer-trust.jks";
    /// Trust store (JKS) for Kafka's brokers.
    kafka_trust_store = "/etc/kafka-connect/kafka-trust.jks";
    /// What the next start of the worker will be started with.
    start_facts = "/etc/kafka-connect/start.json";
    /// What the running worker was started with (copied by the service).
    started = "/run/kafka-connect/started.json";
    /// The gateway's configuration directory, root:kafka-connect-gateway 0750.
    gateway_etc = "/etc/kafka-connect-gateway";
    /// The gateway's settings, 0640.
    gateway_settings = "/etc/kafka-connect-gateway/gateway.json";
    /// The gateway's users, 0640.
    gateway_users = "/etc/kafka-connect-gateway/users.json";
    /// This unit's certificate of the internal CA.
    peer_certificate = "/etc/kafka-connect-gateway/peer.crt";
    /// Its private key, 0640.
    peer_key = "/etc/kafka-connect-gateway/peer.key";
    /// What the certificate was issued for (fingerprint of CA, addresses and name).
    peer_identity = "/etc/kafka-connect-gateway/peer.identity";
    /// The internal CA's certificate.
    internal_ca = "/etc/kafka-connect-gateway/ca.crt";
    /// The client door's certificates with their private key, 0640: one file, so that a renewal is
    /// one rename.
    client_pem = "/etc/kafka-connect-gateway/client.pem";
    /// The gateway's state.
    gateway_state = "/run/kafka-connect-gateway/state.json";
    /// What clients' databags said when they were read last, root:root 0600: they may hold the
    /// password of a plugin server. Gone after a boot; safe to lose.
    client_memory = "/run/kafka-connect-charm/clients.json";
    /// The gateway program.
    gateway_program = "/opt/kafka-connect-gateway/kafka-connect-gateway";
    /// Unpacked Kafka releases, one directory each.
    workloads = "/opt/kafka-connect";
    /// Unpacked JREs, one directory each.
    jres = "/opt/kafka-connect-jre";
    /// The worker's state directory.
    lib = "/var/lib/kafka-connect";
    /// The content-addressed bundle store; `<digest>/path` is a plugin path entry.
    plugins = "/var/lib/kafka-connect/plugins";
    /// Bundles being fetched; same file system as the store.
    staging = "/var/lib/kafka-connect/staging";
    /// What came of asking for plugins, so that not every hook waits for a slow server; safe to lose.
    asked = "/var/lib/kafka-connect/asked.json";
    /// Bundles off the plugin path that a running worker may still have open.
    retired = "/var/lib/kafka-connect/retired";
    /// What [`WAKE_SERVICE`] runs.
    wake_script = "/var/lib/kafka-connect/wake.sh";
    /// The worker's scratch directory (native libraries are mapped from it).
    tmp = "/var/lib/kafka-connect/tmp";
    /// What [`WARM_SERVICE`] runs.
    warm_script = "/var/lib/kafka-connect/warm.sh";
    /// What makes starts faster and may be lost at any time.
    cache = "/var/cache/kafka-connect";
    /// The archive of the worker's classes, for one Java and one Kafka.
    class_archive = "/var/cache/kafka-connect/worker.jsa";
    /// What that archive was made for; written after it.
    class_archive_key = "/var/cache/kafka-connect/worker.key";
    /// The classes that the running worker has loaded.
    class_list = "/run/kafka-connect/classes.lst";
    /// Logs.
    log = "/var/log/kafka-connect";
    /// The worker's own log.
    worker_log = "/var/log/kafka-connect/worker.log";
    /// The rebalances that the worker took part in since it started, a line each.
    group_log = "/var/log/kafka-connect/group.log";
    /// systemd units.
    systemd = "/etc/systemd/system";
}
