//! What should be on this machine.

mod gateway;
mod install;
mod worker;

use super::bundles::Bundles;
use super::tls::Door;
use super::users::Users;
use super::{Owner, Step};
use crate::fingerprint;
use crate::gateway::State;
use crate::layout::{
    GATEWAY_USER, Layout, WAKE_PATH, WAKE_SERVICE, WARM_SERVICE, WARM_USER, WORKER_USER,
};
use crate::limits;
use crate::model::{Model, options};
use crate::observation::StartFacts;
use crate::render::units;
use crate::secret::Secret;
use crate::status::Finding;

/// A file as it should be.
#[derive(Debug)]
pub struct FileGoal {
    /// Path.
    pub path: String,
    /// Mode.
    pub mode: u32,
    /// Owner.
    pub owner: Owner,
    /// Content.
    pub content: Secret<Vec<u8>>,
}

/// A directory as it should be.
#[derive(Debug)]
pub struct DirectoryGoal {
    /// Path.
    pub path: String,
    /// Mode.
    pub mode: u32,
    /// Owner.
    pub owner: Owner,
}

/// What to do with the worker.
#[derive(Debug)]
pub enum WorkerGoal {
    /// It should run, started with these facts.
    Run {
        /// What it reads at its start; the facts' own file last.
        files: Vec<FileGoal>,
        /// What it reads while it runs.
        live: Vec<FileGoal>,
        /// What it is to be started with.
        facts: StartFacts,
    },
    /// It should not run, and Kafka's credentials should not be here.
    Stop,
    /// Something it needs cannot be judged now: it stays as it is.
    Keep,
}

/// What to do with the gateway.
#[derive(Debug)]
pub struct GatewayGoal {
    /// Its files and those of its certificates.
    pub files: Vec<FileGoal>,
    /// A file that should not be there.
    pub remove: Option<String>,
    /// The certificate to issue, and the note of it to write afterwards.
    pub certificate: Option<(Step, FileGoal)>,
}

impl GatewayGoal {
    /// Whether the gateway, which says so, serves these very settings.
    #[must_use]
    pub fn is_served(&self, state: &State, layout: &Layout) -> bool {
        let path = layout.gateway_settings();
        let settings = self.files.iter().find(|file| file.path == path);
        settings.is_some_and(|file| {
            state.settings_generation == fingerprint::sha256(file.content.expose())
        })
    }
}

/// Everything that should be on this machine.
#[derive(Debug)]
pub struct Goal {
    /// Directories.
    pub directories: Vec<DirectoryGoal>,
    /// Programs to install.
    pub install: Vec<Step>,
    /// The users file.
    pub users_file: Option<FileGoal>,
    /// systemd units that do not depend on anything.
    pub wake_files: Vec<FileGoal>,
    /// The gateway; absent while it has to stay as it is.
    pub gateway: Option<GatewayGoal>,
    /// The worker.
    pub worker: WorkerGoal,
    /// Kafka version of the workload, once installed.
    pub version: Option<String>,
    /// Directory of the workload, once installed.
    pub workload: Option<String>,
    /// The `java` that is to run it.
    pub java: Option<String>,
    /// The archive of the worker's classes, where one runs.
    pub warm: Option<Warm>,
}

/// What makes the worker's next start faster.
#[derive(Debug)]
pub struct Warm {
    /// What the archive is for.
    pub key: String,
    /// The unit and what it runs.
    pub files: Vec<FileGoal>,
}

fn owner(user: &str, group: &str) -> Owner {
    Owner {
        user: user.to_owned(),
        group: group.to_owned(),
    }
}

fn file(path: String, mode: u32, group: &str, content: impl Into<Vec<u8>>) -> FileGoal {
    FileGoal {
        path,
        mode,
        owner: owner("root", group),
        content: Secret::new(content.into()),
    }
}

/// Derives the goal; what stands in its way goes to `findings`.
pub fn machine(
    model: &Model<'_>,
    bundles: &Bundles,
    users: Option<&Users>,
    door: &Door,
    request: Option<String>,
    layout: &Layout,
    findings: &mut Vec<Finding>,
) -> Goal {
    let mut install = Vec::new();
    if !model.seen.host.gateway_installed {
        install.push(Step::InstallGateway {
            path: layout.gateway_program(),
            owner: owner("root", GATEWAY_USER),
        });
    }
    let java = install::java(model.seen, layout, &mut install, findings);
    let workload = install::workload(model, layout, &mut install, findings);
    let gateway = gateway::goal(model, door, layout, findings);
    let worker = worker::goal(
        model,
        bundles,
        java,
        workload.as_ref(),
        request,
        layout,
        findings,
    );
    Goal {
        directories: directories(layout),
        install,
        users_file: users.map(|users| {
            file(
                layout.gateway_users(),
                0o640,
                GATEWAY_USER,
                users.bytes.clone(),
            )
        }),
        wake_files: vec![
            file(
                unit(layout, WAKE_PATH),
                0o644,
                "root",
                units::wake_path(layout),
            ),
            file(
                unit(layout, WAKE_SERVICE),
                0o644,
                "root",
                units::wake_service(layout),
            ),
            file(
                layout.wake_script(),
                0o755,
                "root",
                units::wake_script(&model.seen.identity.unit(), layout),
            ),
        ],
        gateway,
        warm: matches!(worker, WorkerGoal::Run { .. })
            .then(|| warm(model, workload.as_ref(), layout))
            .flatten(),
        worker,
        version: workload.as_ref().map(|(_, version)| version.clone()),
        workload: workload.map(|(directory, _)| directory),
        java: java.map(ToOwned::to_owned),
    }
}

fn warm(model: &Model<'_>, workload: Option<&(String, String)>, layout: &Layout) -> Option<Warm> {
    let (java, release) = model.seen.host.java.as_ref()?;
    let (directory, _) = workload?;
    if worker::heap(model) > limits::ARCHIVED_HEAP_MIB {
        return None;
    }
    let script = units::warm_script(layout);
    let key = fingerprint::short(
        [java, release, directory, &script]
            .map(String::as_str)
            .join("\n")
            .as_bytes(),
    );
    let service = units::warm_service(java, directory, &key, layout);
    Some(Warm {
        key,
        files: vec![
            file(unit(layout, WARM_SERVICE), 0o644, "root", service),
            file(layout.warm_script(), 0o755, "root", script),
        ],
    })
}

/// Programs that were replaced and that nobody needs any more, given that the worker runs with what
/// is wanted. As long as some unit has not run with the newest options, all may have to go back.
#[must_use]
pub fn replaced(model: &Model<'_>, goal: &Goal, layout: &Layout) -> Vec<String> {
    let Some(peers) = &model.peers else {
        return Vec::new();
    };
    let values = options::of(&model.options);
    let units = std::iter::once(&peers.ours).chain(peers.others.values());
    let mut proven = units.filter_map(|unit| Some(&unit.good.as_ref()?.options));
    let (Some(workload), Some(java)) = (&goal.workload, &goal.java) else {
        return Vec::new();
    };
    if model.rejection.is_some() || !proven.all(|proven| *proven == values) {
        return Vec::new();
    }
    let host = &model.seen.host;
    let below = |directory: String, name: &String| format!("{directory}/{name}");
    let workloads = host
        .workloads
        .keys()
        .map(|name| below(layout.workloads(), name));
    let jres = host.jres.iter().map(|name| below(layout.jres(), name));
    workloads
        .filter(|path| path != workload)
        .chain(jres.filter(|path| !java.starts_with(&format!("{path}/"))))
        .collect()
}

fn unit(layout: &Layout, name: &str) -> String {
    format!("{}/{name}", layout.systemd())
}

fn directories(layout: &Layout) -> Vec<DirectoryGoal> {
    [
        (layout.etc(), 0o750, "root", WORKER_USER),
        (layout.gateway_etc(), 0o750, "root", GATEWAY_USER),
        (layout.workloads(), 0o755, "root", "root"),
        (layout.jres(), 0o755, "root", "root"),
        (layout.lib(), 0o755, "root", "root"),
        (layout.plugins(), 0o755, "root", "root"),
        (layout.staging(), 0o700, "root", "root"),
        (layout.retired(), 0o755, "root", "root"),
        (layout.tmp(), 0o700, WORKER_USER, WORKER_USER),
        (layout.log(), 0o750, WORKER_USER, WORKER_USER),
        (layout.cache(), 0o750, WARM_USER, WORKER_USER),
    ]
    .into_iter()
    .map(|(path, mode, user, group)| DirectoryGoal {
        path,
        mode,
        owner: owner(user, group),
    })
    .collect()
}
