//! The catalogue: one entry per status, the most pressing first.
//!
//! A template's `{name}` stands for a value. `docs/reference/statuses.md` is made from this table.

use crate::plan::State;

/// An entry.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Which.
    pub id: Id,
    /// Its stable name.
    pub name: &'static str,
    /// The state it puts the unit in.
    pub state: State,
    /// The message.
    pub template: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Who does what about it.
    pub remedy: &'static str,
}

macro_rules! catalogue {
    ($($id:ident $name:literal $state:ident $template:literal $meaning:literal $remedy:literal)*) => {
        /// Names of the entries, the most pressing first.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Id {
            $(#[doc = $meaning] $id,)*
        }

        /// The table.
        pub const CATALOGUE: &[Entry] = &[
            $(Entry {
                id: Id::$id,
                name: $name,
                state: State::$state,
                template: $template,
                meaning: $meaning,
                remedy: $remedy,
            },)*
        ];
    };
}

catalogue! {
    Leaving "leaving" Maintenance
        "leaving this machine"
        "The unit is being removed."
        "Wait."
    ConfigInvalid "config-invalid" Blocked
        "option {option}: {fault}"
        "A config option has a value that cannot be used. Nothing the options decide is changed until it is good: a running worker goes on as it is."
        "Correct the option with `juju config`."
    OptionRejected "option-rejected" Blocked
        "option {option}: worker exits: {cause}"
        "This unit's worker exited with the newest options. It runs with the last good values again; the other workers were not restarted. The cause is from the worker's log."
        "Correct the option with `juju config`, or run the action `restart` on this unit to try it once more."
    OperatorsInvalid "operators-invalid" Blocked
        "option system-users: {fault}"
        "The secret that the option names cannot be read or used. The users it gave before keep their passwords; clients are not affected."
        "Grant the secret with `juju grant-secret`, or correct it with `juju update-secret`."
    TopicUnfit "topic-unfit" Blocked
        "topic {topic} {fault}"
        "The worker refuses one of its internal topics, because it could lose what is stored there."
        "Do as the message says, with Kafka's own tools or by an option; the worker tries again by itself. A replication factor is set with `worker-config` (`config.storage.replication.factor` and its like)."
    GroupTaken "group-taken" Blocked
        "group {group} {fault}: adopt-group=true joins it, or set another group-id"
        "The options name a group that is not new: another deployment's workers are in it, or stored connectors in its config topic. No worker of ours joins it unasked."
        "Set `adopt-group=true` to take over its connectors, or `group-id` (and the topics) to names of your own."
    StepFailed "step-failed" Blocked
        "cannot {step}: {reason}"
        "A change of this machine failed; it is tried again by itself."
        "Read the reason: usually a full disk, a package mirror or an archive that cannot be reached, or a resource that is not what it should be."
    JreUnusable "jre-unusable" Blocked
        "resource jre holds no Java 17 or newer"
        "The attached `jre` resource was unpacked, and there is no usable `bin/java` in it."
        "Attach a JRE archive of version 17 or newer for this architecture, or an empty file to use the distribution's packages."
    KafkaMissing "kafka-missing" Blocked
        "needs Kafka: juju integrate {application}:kafka-client <kafka>"
        "There is no relation to a Kafka. Without one no worker runs."
        "Integrate the application with Kafka."
    KafkaSeveral "kafka-several" Blocked
        "kafka-client: related to more than one Kafka"
        "A worker cluster lives on exactly one Kafka."
        "Remove all of the relations but one."
    KafkaNoCa "kafka-no-ca" Blocked
        "kafka-client:{relation}: Kafka uses TLS and gives no CA certificate"
        "Kafka 3 says that it uses TLS without handing over the certificate to trust."
        "Use a Kafka that hands over its CA (track 4), or switch its TLS off."
    CertificateRefused "certificate-refused" Blocked
        "certificates:{relation}: no certificate: {reason}"
        "The provider of certificates refuses this unit's request. What was served before is still served."
        "See to the provider's settings, such as the domains or addresses it may sign."
    Installing "installing" Maintenance
        "installing {what}"
        "Java, Kafka or the gateway is being installed."
        "Wait."
    KafkaWaiting "kafka-waiting" Waiting
        "kafka-client:{relation}: waiting for {what}"
        "Kafka has not answered yet, or not completely."
        "Wait; if it lasts, look at the Kafka application's status."
    KafkaFaulty "kafka-faulty" Waiting
        "kafka-client:{relation}: {field}: {fault}"
        "A part of Kafka's answer cannot be used or read, such as a secret that is not granted yet."
        "Wait a hook; if it lasts, look at the Kafka application."
    ResourceUnreadable "resource-unreadable" Waiting
        "resource {resource}: {fault}"
        "Juju could not hand over a resource."
        "Attach the resource again, or wait for the controller."
    PeersMissing "peers-missing" Waiting
        "waiting for the peer relation"
        "Juju has not created the relation between the units yet."
        "Wait."
    InternalWaiting "internal-waiting" Waiting
        "waiting for the leader to share the internal credentials"
        "The secret with the internal user and CA is not there yet, or was made in this very hook."
        "Wait; if it lasts, look at the leader unit."
    GroupUnknown "group-unknown" Waiting
        "cannot ask Kafka who is in group {group}: {fault}"
        "The options name a group, and before the first worker joins it Kafka is asked whether somebody else has it. The question is put again by itself."
        "See to the brokers, or to the rights of the related user; `adopt-group=true` asks nothing."
    GroupWaiting "group-waiting" Waiting
        "waiting for the leader to find group {group} free"
        "The options name a group. Before the first worker joins it the leader asks Kafka whether somebody else has it."
        "Wait; if it lasts, look at the leader unit."
    NetworkWaiting "network-waiting" Waiting
        "waiting for an address on {binding}"
        "Juju gives no address for a binding."
        "Wait; if it lasts, check the model's spaces and bindings."
    CertificateEnded "certificate-ended" Waiting
        "certificates:{relation}: the certificate has ended and no new one has come"
        "This unit asked for a new certificate in time and got none. Clients refuse the one it presents."
        "See to the provider of certificates; or remove the relation, and clients are told to use http."
    CertificateRevoked "certificate-revoked" Waiting
        "certificates:{relation}: the certificate was revoked and no new one has come"
        "The provider says that this unit's certificate is not to be used. It is presented until the next one is there: without any, no client could connect."
        "Wait a hook; if it lasts, see to the provider of certificates."
    CertificateFaulty "certificate-faulty" Waiting
        "certificates:{relation}: {fault}"
        "What the provider of certificates answered cannot be used."
        "Wait a hook; if it lasts, see to the provider of certificates."
    CertificateWaiting "certificate-waiting" Waiting
        "certificates:{relation}: waiting for a certificate"
        "This unit asked for a certificate. Until every unit has one, clients that are served go on over http, and new ones wait."
        "Wait; if it lasts, look at the provider of certificates."
    CertificateKeyUnreadable "certificate-key-unreadable" Waiting
        "private key of this unit's certificate: {fault}"
        "The secret with the key cannot be read now; the client door stays as it is."
        "Wait a hook; if it lasts, look at the controller."
    ClientSecretUnreadable "client-secret-unreadable" Waiting
        "connect-client:{relation}: secret-user: {fault}"
        "A client's credentials cannot be read now; the gateway goes on with those it has."
        "Wait a hook; if it lasts, look at the controller."
    OperatorsUnreadable "operators-unreadable" Waiting
        "passwords of system-users: {fault}"
        "The secret with the operators' hashed passwords cannot be read now; the gateway goes on with those it has."
        "Wait a hook; if it lasts, look at the controller."
    KafkaUnreachable "kafka-unreachable" Waiting
        "kafka-client:{relation}: worker cannot reach Kafka: {cause}"
        "The worker's log says that brokers do not answer it, or refuse its user. It keeps trying."
        "See to the brokers of that relation; a user that was just made may be refused for some minutes."
    WorkerFailing "worker-failing" Waiting
        "worker does not come up: {cause}"
        "The worker started and is not healthy; the cause is from its log. systemd keeps trying."
        "See to the cause."
    WorkerStarting "worker-starting" Maintenance
        "worker is starting"
        "The worker process runs and has not joined its group yet."
        "Wait."
    GatewayFault "gateway-fault" Waiting
        "gateway: {fault}"
        "The gateway does not serve its newest files."
        "Read the fault: usually a port that somebody else has."
    GatewayFailing "gateway-failing" Waiting
        "gateway does not stay up"
        "The gateway ended too often within a minute. It is started again once a minute has passed."
        "Read the log of kafka-connect-gateway.service on the unit."
    GatewayStarting "gateway-starting" Maintenance
        "gateway is starting"
        "The gateway has not opened the client door yet."
        "Wait; if it lasts, look at the log of kafka-connect-gateway.service."
    RollStopped "roll-stopped" Active
        "rolling restart stopped at {unit}: {cause}"
        "The leader grants no further turn to restart, because a unit is not as it was before its own; the others serve as they are."
        "See to the cause on the unit named. If it cannot be helped, run the action `restart` with `force=true` on the leader: the roll then passes over units that are not well."
    UnitLost "unit-lost" Active
        "{unit} is not well since unit-timeout: served without it"
        "A unit's worker was not healthy, or the leader could not reach the unit, for longer than `unit-timeout`. Clients are not sent to it, and nobody waits for it, until it is well again."
        "Look at the unit: its own status says why, if its machine runs."
    ClientHeld "client-held" Active
        "connect-client:{relation} ({application}): {field} {fault}"
        "A client's request cannot be served as it is. The client gets nothing; others are not affected."
        "Correct the client; the charm notices by itself."
    ClientPlugin "client-plugin" Active
        "connect-client:{relation} ({application}): plugin-url: {fault}"
        "A client's plugin could not be fetched, or not be loaded. It gets no credentials until it is; the download is tried again."
        "See to the client's plugin server or archive."
    ResourcePlugin "resource-plugin" Active
        "resource connect-plugin: {fault}"
        "The plugin that the operator attached cannot be taken or loaded on this unit. What was attached before stays, as far as it worked; clients are not affected."
        "Attach another file with `juju attach-resource`, or an empty one for none."
    ClientPlain "client-plain" Active
        "connect-client:{relation} ({application}): username is in plain text"
        "The databag carries credentials in plain text, from before this charm."
        "Remove the relation and integrate again."
    ClientSecretLost "client-secret-lost" Active
        "connect-client:{relation} ({application}): secret-user was removed"
        "The secret that was handed to a client is gone, and its URI cannot be made again."
        "Remove the relation and integrate again."
    ConnectorFailed "connector-failed" Active
        "connector {connector} failed: {cause}"
        "A connector or one of its tasks is in state FAILED."
        "The owner of the connector corrects its configuration or restarts it."
    DeletingConnectors "deleting-connectors" Active
        "deleting connectors of removed relation {relation}"
        "A client is gone, and its connectors still have to be deleted."
        "Wait; if it lasts, look at the worker."
    CertificateSpreading "certificate-spreading" Active
        "certificates:{relation}: telling clients of a new CA before it is used"
        "The newest certificate is from a CA that clients do not know yet. They are told of it first; the old certificate serves them meanwhile."
        "Wait."
    CertificateRenewing "certificate-renewing" Active
        "certificates:{relation}: waiting for a renewed certificate"
        "A new certificate was asked for; the present one serves meanwhile."
        "Wait; if it lasts, look at the provider of certificates."
    InternalRotating "internal-rotating" Active
        "rotating the internal credentials: {units}"
        "The user and the CA that the units know one another by are being replaced. The units named have a step to do; workers restart once, in turns."
        "Wait; if it lasts, look at the units named."
    TransferFaulty "transfer-faulty" Active
        "receive-ca-cert:{relation}: a certificate cannot be read"
        "Some of the CA certificates received cannot be used; the others are trusted."
        "See to the application that sends them."
    GroupShared "group-shared" Active
        "group {group} is led by a worker of another deployment, at {host}: stop it"
        "The group was adopted while workers of another deployment run in it. Its leader takes changes of connectors only from workers that it lets in."
        "Stop the other deployment's workers; the connectors go on with ours."
    Rolling "rolling" Active
        "rolling restart at {unit}: {cause}; {left} to follow"
        "Workers restart one at a time; the leader says whose turn it is."
        "Wait."
    RestartPending "restart-pending" Active
        "waiting for its turn to restart the worker"
        "The worker serves, and has to restart for a plugin or a setting; workers do so one at a time."
        "Wait; if it lasts, look for a unit that does not become healthy."
    ClientWaiting "client-waiting" Active
        "connect-client:{relation} ({application}): waiting for {units}"
        "A new client's plugin or user is not ready on every unit yet."
        "Wait; if it lasts, look at the units named."
    Ready "ready" Active
        ""
        "The worker is healthy and all clients are served."
        "Nothing."
}

impl Id {
    /// The entry.
    #[must_use]
    pub fn entry(self) -> &'static Entry {
        // The macro writes enum and table in the same order.
        &CATALOGUE[self as usize]
    }
}

/// `docs/reference/statuses.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Statuses

<!-- Made from crates/connect-core/src/status/catalogue.rs; a test compares. Do not edit. -->

A unit shows one status. Of several that apply it is the one that stands first here; all of them are
in the unit's log (`juju debug-log`). A part in braces stands for a value.

`blocked` and `waiting` are for what keeps the cluster itself from working. What is wrong with one
client or connector shows in the message of an `active` unit and touches nobody else.
",
    );
    for entry in CATALOGUE {
        let Entry {
            name,
            state,
            template,
            meaning,
            remedy,
            ..
        } = entry;
        let state = match state {
            State::Active => "active",
            State::Maintenance => "maintenance",
            State::Waiting => "waiting",
            State::Blocked => "blocked",
        };
        let message = if template.is_empty() {
            "no message".to_owned()
        } else {
            format!("`{template}`")
        };
        page.push_str(
            &[
                &format!("\n## {name}\n\n**{state}**: {message}\n\n"),
                *meaning,
                "\n\n*What to do:* ",
                *remedy,
                "\n",
            ]
            .concat(),
        );
    }
    page
}
