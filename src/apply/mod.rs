//! What changes: one file per kind of step. Nothing here decides anything.

mod files;
pub mod juju;
mod leave;
mod plugins;
mod programs;
mod service;
pub mod wake;
mod worker;

use connect_core::observation::{Failure, Fetched, Observation};
use connect_core::plan::{OnFailure, State, Status, Step};
use hook_tools::ToolError;

use crate::host::accounts::Accounts;
use crate::host::archive::ArchiveError;
use crate::host::exec::ExecError;
use crate::host::fs::FsError;
use crate::host::http::DownloadError;
use crate::host::loopback::LoopbackError;
use crate::host::x509::CertificateError;
use crate::report;
use crate::world::World;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A path.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A program.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// An archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A download.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// A certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The bundle store.
    #[error(transparent)]
    Store(#[from] connect_plugins::StoreError),
    /// The worker.
    #[error(transparent)]
    Worker(#[from] LoopbackError),
    /// The worker refuses.
    #[error("the worker answered {status}: {message}")]
    Refused {
        /// Status code.
        status: u16,
        /// Its message, shortened.
        message: String,
    },
    /// Waited for in vain.
    #[error("{what} within {wait_s} s")]
    Late {
        /// What did not happen.
        what: &'static str,
        /// Limit in seconds.
        wait_s: u64,
    },
    /// An owner that does not exist.
    #[error("there is no user or group `{name}`")]
    NoAccount {
        /// Name.
        name: String,
    },
    /// A note to ourselves.
    #[error("cannot write it as JSON")]
    Json(#[source] serde_json::Error),
    /// The digest is not one.
    #[error("`{digest}` is not a digest")]
    Digest {
        /// What it is instead.
        digest: String,
    },
}

/// Applies steps in order and notes in `seen` what became of each: done, failed, or fetched.
/// A step whose failure aborts the round ends it.
///
/// # Errors
///
/// Juju could not be shown a status: steps themselves never fail the hook.
pub fn apply(
    steps: &[Step],
    seen: &mut Observation,
    world: &mut World,
) -> Result<Vec<String>, ToolError> {
    let mut lines = Vec::new();
    let mut rest = steps;
    while let Some(step) = rest.first() {
        if step.is_slow() {
            world.show(&Status {
                state: State::Maintenance,
                message: step.describe(),
            })?;
        }
        // Plugins of several clients are fetched at once.
        let fetches = plugins::leading_fetches(rest);
        if !fetches.is_empty() {
            rest = rest.split_at(fetches.len()).1;
            let outcomes = plugins::fetch(&fetches, world);
            let asked = fetches
                .iter()
                .filter_map(|fetch| plugins::asked(fetch, &outcomes));
            lines.extend(remember(asked, seen, world));
            for (client, fetched) in outcomes {
                lines.push(line(&format!("client {client}"), &fetched));
                seen.fetched.insert(client, fetched);
            }
            continue;
        }
        if let Step::AdmitResource {
            path,
            source,
            terms,
        } = step
        {
            rest = rest.split_at(1).1;
            let fetched = plugins::admit(path, terms, world);
            let asked = (source.clone(), terms.fingerprint(), &fetched);
            lines.extend(remember(std::iter::once(asked), seen, world));
            lines.push(line("resource connect-plugin", &fetched));
            seen.admitted = Some(fetched);
            continue;
        }
        rest = rest.split_at(1).1;
        let description = step.describe();
        match run(step, seen, world) {
            Ok(()) => {
                lines.push(description.clone());
                seen.done.insert(description);
            }
            Err(error) => {
                let reason = report::chain(&error);
                lines.push(format!("cannot {description}: {reason}"));
                let (client, ends) = match step.on_failure() {
                    OnFailure::Abort => (None, true),
                    OnFailure::Isolate(client) => (Some(client), false),
                };
                seen.failures.push(Failure {
                    step: description,
                    reason,
                    client,
                });
                if ends {
                    break;
                }
            }
        }
    }
    Ok(lines)
}

/// What came of a plugin, for the log.
fn line(whose: &str, fetched: &Fetched) -> String {
    match fetched {
        Fetched::Stored { digest } => format!("plugin of {whose}: {digest}"),
        Fetched::Empty => format!("plugin of {whose}: none in its archive"),
        Fetched::Failed { reason, .. } => format!("plugin of {whose}: {reason}"),
    }
}

fn remember<'a>(
    outcomes: impl Iterator<Item = (String, String, &'a Fetched)>,
    seen: &mut Observation,
    world: &World,
) -> Option<String> {
    let error = plugins::remember(outcomes, &mut seen.host, world).err()?;
    let reason = report::chain(&error);
    Some(format!("cannot remember what was asked for: {reason}"))
}

fn run(step: &Step, seen: &Observation, world: &World) -> Result<(), StepError> {
    let layout = &world.layout;
    match step {
        Step::InstallPackages { packages } => programs::packages(packages, world),
        Step::InstallJre { archive, directory } => programs::jre(archive, directory),
        Step::InstallWorkload { source, directory } => programs::workload(source, directory, world),
        Step::InstallGateway { path, owner } => programs::gateway(path, owner, world),
        Step::CreateUser { name } => programs::user(name, &Accounts::read(&world.root)?),
        Step::CreateDirectory { path, mode, owner } => {
            files::directory(path, *mode, owner, &world.root)
        }
        Step::WriteFile {
            path,
            mode,
            owner,
            content,
        } => files::write(path, *mode, owner, content.expose(), &world.root),
        Step::RemoveFile { path } => files::remove(path),
        Step::IssueCertificate {
            ca_certificate,
            ca_key,
            addresses,
            name,
            certificate_path,
            key_path,
            owner,
        } => {
            let pair = crate::host::x509::issue(ca_certificate, ca_key, name, addresses)?;
            let key = pair.key.expose().as_bytes();
            files::write(key_path, 0o640, owner, key, &world.root)?;
            let certificate = pair.certificate.as_bytes();
            files::write(certificate_path, 0o640, owner, certificate, &world.root)
        }
        // Handled above.
        Step::FetchBundle { .. } | Step::AdmitResource { .. } => Ok(()),
        Step::Sweep { path } => files::sweep(path),
        Step::RetireBundle { digest } => plugins::retire(digest, layout),
        Step::RestoreBundle { digest } => plugins::restore(digest, layout),
        Step::RemoveBundle { digest } => plugins::remove(digest, layout),
        Step::ReloadUnits => Ok(crate::host::systemd::reload()?),
        Step::EnableUnit { unit } => Ok(crate::host::systemd::enable(unit)?),
        Step::StartUnit { unit } => Ok(crate::host::systemd::start(unit)?),
        Step::RestartUnit { unit, reason: _ } => Ok(crate::host::systemd::restart(unit)?),
        Step::StopUnit { unit, wait_s } => service::stop(unit, *wait_s),
        Step::AwaitUsers { generation, wait_s } => {
            service::await_users(generation, *wait_s, layout)
        }
        Step::AwaitClients => service::await_clients(layout),
        Step::DeleteConnector { client: _, name } => worker::delete_connector(name, seen),
        Step::Leave => leave::leave(world),
    }
}
