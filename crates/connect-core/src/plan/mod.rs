//! The only place where anything is decided.

pub mod adoption;
pub mod bundles;
pub mod clients;
pub mod goal;
pub mod internal;
mod leave;
pub mod promises;
pub mod rolling;
mod services;
mod status;
mod step;
pub mod steps;
pub mod tls;
mod topics;
mod trial;
pub mod turns;
pub mod unit;
pub mod users;
pub mod watch;

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::layout::Layout;
use crate::model::Model;
use crate::model::admission::Terms;
use crate::model::tls::Subject;
use crate::observation::{Hook, Observation, RelationId};
use crate::secret::Secret;

/// What a round should do. Empty `minted` and `steps` mean that this machine has converged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Secrets to hand to Juju before anything else is done with them.
    pub minted: Vec<Mint>,
    /// What to change on this machine, in order.
    pub steps: Vec<Step>,
    /// What to tell other units and applications; written last, from facts observed.
    pub promises: Vec<Promise>,
    /// What the unit's status is if the steps change nothing about it.
    pub status: Status,
    /// When to be woken although no event may come, in seconds from now.
    pub wake_after_s: Option<u64>,
    /// Lines for the unit's log at WARNING or INFO: every problem, not only the one in the status.
    pub notes: Vec<Note>,
}

/// Something worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// True for a problem, false for information.
    pub problem: bool,
    /// The line; no secret.
    pub text: String,
}

/// A unit status (`status-set`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The state.
    pub state: State,
    /// One line, at most about 120 characters.
    pub message: String,
}

/// The workload states a charm may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Serving.
    Active,
    /// Busy; will go on by itself.
    Maintenance,
    /// Waiting for a neighbour.
    Waiting,
    /// The operator has to do something.
    Blocked,
}

/// Whose secret it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretOwner {
    /// The application's: every unit reads it, the leader makes and changes it.
    Application,
    /// This unit's alone.
    Unit,
}

/// A secret to create (`secret-add`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mint {
    /// Owner.
    pub owner: SecretOwner,
    /// Owner label.
    pub label: String,
    /// Description shown by `juju secrets`.
    pub description: String,
    /// Content. Values that need more than randomness (the internal CA) are made by the shell:
    /// see [`MintedValue`].
    pub content: BTreeMap<String, MintedValue>,
}

/// A value of a secret to be minted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MintedValue {
    /// Text made by the core from injected randomness.
    Text(Secret<String>),
    /// PEM certificate of a new self-signed internal CA; its key goes to the value below.
    CaCertificate,
    /// PEM private key of that CA.
    CaKey,
    /// PEM of a new private key that certificates can be asked for (RSA 2048: every provider takes
    /// it); its public half goes to the value below.
    TlsKey,
    /// PEM of the public half of that key.
    TlsPublicKey,
}

/// Who owns a file; both names exist by the time the step runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User name.
    pub user: String,
    /// Group name.
    pub group: String,
}

/// Whether a step's failure stops the round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Skip the remaining steps; the failure is observed and planned for.
    Abort,
    /// Go on; only this client is affected.
    Isolate(RelationId),
}

/// One change of this machine: idempotent, complete, without choices left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Install distribution packages.
    InstallPackages {
        /// Package names.
        packages: Vec<String>,
    },
    /// Unpack the `jre` resource (a tar.gz with `bin/java` at any depth) as `directory`.
    InstallJre {
        /// The resource's file.
        archive: String,
        /// Where it goes.
        directory: String,
    },
    /// Create a system user and its group of the same name.
    CreateUser {
        /// Name.
        name: String,
    },
    /// Create a directory, or correct its mode and owner.
    CreateDirectory {
        /// Path.
        path: String,
        /// Mode.
        mode: u32,
        /// Owner.
        owner: Owner,
    },
    /// Unpack a Kafka release so that `<directory>/libs/*.jar` exists.
    InstallWorkload {
        /// Where it comes from.
        source: WorkloadSource,
        /// Where it goes.
        directory: String,
    },
    /// Copy the gateway program out of the charm: it and its directory 0750.
    InstallGateway {
        /// Where it goes.
        path: String,
        /// Owner of both.
        owner: Owner,
    },
    /// Fetch, check and store a client's plugin bundle; the outcome is observed as `Fetched`.
    FetchBundle {
        /// The client.
        client: RelationId,
        /// The URL as the client gave it; may hold a password.
        url: Secret<String>,
        /// What it may cost, what is let in, and whom to trust.
        terms: Terms,
    },
    /// Check and store the plugin of resource `connect-plugin`; the outcome is observed as
    /// `admitted`.
    AdmitResource {
        /// The resource's file.
        path: String,
        /// Fingerprint of its identity.
        source: String,
        /// What it may cost; what is allowed is said of clients only.
        terms: Terms,
    },
    /// Issue this unit's certificate from the internal CA and write certificate and key (the CA's
    /// own file and the note of what was issued are ordinary `WriteFile` steps).
    IssueCertificate {
        /// CA certificate, PEM.
        ca_certificate: String,
        /// CA key, PEM.
        ca_key: Secret<String>,
        /// Addresses the certificate must carry.
        addresses: Vec<IpAddr>,
        /// Common name.
        name: String,
        /// Where the certificate goes (0640).
        certificate_path: String,
        /// Where the key goes (0640).
        key_path: String,
        /// Owner of both.
        owner: Owner,
    },
    /// Write a file by rename, born with its mode and owner.
    WriteFile {
        /// Path.
        path: String,
        /// Mode.
        mode: u32,
        /// Owner.
        owner: Owner,
        /// Content.
        content: Secret<Vec<u8>>,
    },
    /// Remove a file if it is there.
    RemoveFile {
        /// Path.
        path: String,
    },
    /// Take a bundle off the plugin path; a running worker keeps its open files.
    RetireBundle {
        /// Digest.
        digest: String,
    },
    /// Put a retired bundle back.
    RestoreBundle {
        /// Digest.
        digest: String,
    },
    /// Delete a bundle from the store or from the retired ones.
    RemoveBundle {
        /// Digest.
        digest: String,
    },
    /// Delete a file or directory that nobody needs: what a step that was cut short left, or a
    /// program that was replaced.
    Sweep {
        /// Path.
        path: String,
    },
    /// `systemctl daemon-reload`.
    ReloadUnits,
    /// `systemctl enable` (never starts).
    EnableUnit {
        /// Unit.
        unit: String,
    },
    /// `systemctl start --no-block`.
    StartUnit {
        /// Unit.
        unit: String,
    },
    /// `systemctl restart --no-block`.
    RestartUnit {
        /// Unit.
        unit: String,
        /// Why, for the log.
        reason: String,
    },
    /// `systemctl stop` (and `disable`), waiting for at most `wait_s` seconds.
    StopUnit {
        /// Unit.
        unit: String,
        /// Longest wait in seconds; 0 does not wait.
        wait_s: u64,
    },
    /// Wait until the gateway's state file shows these users served, at most `wait_s` seconds.
    AwaitUsers {
        /// Generation awaited.
        generation: String,
        /// Longest wait in seconds.
        wait_s: u64,
    },
    /// Wait until clients ask the other units and not our gateway, if there are others; the gateway
    /// says when that took long enough.
    AwaitClients,
    /// `DELETE /connectors/<name>` through our own worker; 404 is success.
    DeleteConnector {
        /// The client it belonged to.
        client: RelationId,
        /// Connector name.
        name: String,
    },
    /// Remove every file, directory, user and unit of ours from this machine.
    Leave,
}

/// Where a Kafka release comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkloadSource {
    /// The `kafka` file resource.
    Resource {
        /// Its path.
        path: String,
    },
    /// The official archive, checked against its pinned digest.
    Release {
        /// URL.
        url: String,
        /// Lower-case hex SHA-512.
        sha512: String,
    },
}

/// A relation of ours by endpoint and id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelationKey {
    /// Endpoint name.
    pub endpoint: String,
    /// Id.
    pub id: RelationId,
}

/// Something told to the outside; every one rests on an observed fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Change keys of our application databag (leader only); `None` removes a key.
    SetApplicationData {
        /// Relation.
        relation: RelationKey,
        /// Changes only.
        changes: BTreeMap<String, Option<String>>,
    },
    /// Change keys of our unit databag.
    SetUnitData {
        /// Relation.
        relation: RelationKey,
        /// Changes only.
        changes: BTreeMap<String, Option<String>>,
    },
    /// Ask for a certificate in our unit databag: one request, in place of any that stands there.
    RequestCertificate {
        /// Relation.
        relation: RelationKey,
        /// Private key to sign the request with, PEM.
        key: Secret<String>,
        /// What the certificate has to be good for.
        subject: Subject,
        /// Makes this request differ from any other.
        id: String,
    },
    /// Replace a secret's content: a new revision of the same URI (leader only).
    SetSecret {
        /// Owner label.
        label: String,
        /// The whole new content.
        content: BTreeMap<String, Secret<String>>,
    },
    /// Grant a secret to a relation (leader only); idempotent.
    GrantSecret {
        /// Owner label.
        label: String,
        /// Relation.
        relation: RelationKey,
    },
    /// Remove a secret with all revisions (leader only).
    RemoveSecret {
        /// Owner label.
        label: String,
    },
    /// `open-port`.
    OpenPort {
        /// TCP port.
        port: u16,
    },
    /// `close-port`.
    ClosePort {
        /// TCP port.
        port: u16,
    },
    /// `application-version-set`.
    SetWorkloadVersion {
        /// Version.
        version: String,
    },
}

/// Randomness, injected. The shell reads it from the operating system, tests from a counter.
pub trait Entropy {
    /// Fills `buffer` with random bytes.
    fn fill(&mut self, buffer: &mut [u8]);
}

/// Whether the client door is open where this round's goal has it, as the gateway says.
fn doors_are_open(seen: &Observation, goal: &goal::Goal, layout: &Layout) -> bool {
    let (Some(state), Some(gateway)) = (&seen.host.gateway, &goal.gateway) else {
        return false;
    };
    state.client_door && gateway.is_served(state, layout)
}

/// Decides: total, synchronous, deterministic for a given source of randomness.
///
/// Trouble is data: what stands in the way of the goal is found, becomes the status, and the rest
/// goes on. No steps and nothing minted means that this machine has converged.
pub fn plan(seen: &Observation, layout: &Layout, entropy: &mut dyn Entropy) -> Plan {
    if seen.hook == Hook::Leave {
        return leave::plan(seen);
    }
    if leave::is_over(seen, layout) {
        return leave::nothing();
    }
    let model = Model::read(seen);
    let mut findings = status::problems(&model);

    let bundles = bundles::assess(&model);
    let users = users::goal(&model, &mut findings);
    let request = rolling::request(&model);
    let mut door = tls::door(&model, layout, entropy, &mut findings);
    let goal = goal::machine(
        &model,
        &bundles,
        users.as_ref(),
        &door,
        request,
        layout,
        &mut findings,
    );
    let standing = rolling::standing(&model, &goal.worker);
    let rolling = rolling::ours(&model, &goal.worker, standing, layout);
    let mut steps = steps::diff(
        &model,
        &goal,
        &bundles,
        users.as_ref(),
        standing,
        &rolling,
        layout,
    );

    let attempt = trial::attempt(&model, &goal.worker, layout);
    let verdict = trial::judge(&model, &goal.worker, attempt.as_ref());
    let now = model.peers.as_ref().map(|peers| {
        let round = unit::Round {
            bundles: &bundles,
            users: users.as_ref(),
            door: &door,
            standing,
            rolling: &rolling,
            internal: internal::reached(&model, &goal, standing, layout),
            doors: doors_are_open(seen, &goal, layout),
            stopped: matches!(goal.worker, goal::WorkerGoal::Stop),
            attempt: attempt.as_ref(),
            verdict: verdict.as_ref(),
        };
        (peers, unit::data(&model, peers, &round, layout))
    });
    let mut lead = None;
    if seen.leader
        && let Some((peers, now)) = &now
    {
        lead = Some(clients::lead(
            &model,
            peers,
            now,
            &bundles,
            entropy,
            &mut findings,
        ));
    }
    let mut minted = std::mem::take(&mut door.minted);
    let mut wake = status::wake(&model, standing, &bundles);
    wake.extend(adoption::wake(&model));
    // It counts once Juju has kept it.
    wake.extend(verdict.map(|_| crate::limits::NEXT_HOOK_S));
    wake.append(&mut door.wake_after_s);
    if let Some(lead) = &mut lead {
        minted.append(&mut lead.minted);
        steps.extend(steps::filtered(&model, std::mem::take(&mut lead.steps)));
        wake.append(&mut lead.wake_after_s);
    }
    findings.extend(status::worker(
        &model,
        standing,
        &rolling,
        users.as_ref(),
        layout,
    ));
    findings.extend(status::clients(&model, &bundles));
    findings.extend(adoption::shared(&model));
    let mut promises =
        promises::collect(&model, now.as_ref().map(|(peers, now)| (*peers, now)), lead);
    promises.append(&mut door.promises);

    let plan = Plan {
        minted,
        steps,
        promises,
        status: crate::status::choose(&findings),
        wake_after_s: wake.into_iter().min(),
        notes: crate::status::notes(&findings),
    };
    debug_assert_eq!(crate::check::violations(seen, &plan), Vec::<String>::new());
    plan
}
