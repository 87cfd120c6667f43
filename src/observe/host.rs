//! What this machine says, read afresh in every round.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use connect_core::fingerprint;
use connect_core::layout::{GATEWAY_SERVICE, Layout, UNITS, USERS, WORKER_SERVICE};
use connect_core::observation::{Bundle, FileFact, Host, ServiceFact, StartFacts};
use connect_core::wire::pem;

use crate::host::accounts::Accounts;
use crate::host::exec::ExecError;
use crate::host::fs::{self, FsError};
use crate::host::{clock, java, names, systemd};
use crate::observe::log;
use crate::world::World;

/// This machine could not be read.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A path could not be read.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// systemd does not answer.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The bundle store could not be read.
    #[error(transparent)]
    Store(#[from] connect_plugins::StoreError),
}

/// Oldest Java that every supported Kafka runs on.
const JAVA: u32 = 17;

/// Looks at everything of ours.
///
/// # Errors
///
/// Something is there and cannot be read.
pub fn observe(world: &World) -> Result<Host, HostError> {
    let layout = &world.layout;
    let accounts = Accounts::read(&world.root)?;
    let files = file_facts(&files(layout), &accounts)?;
    let services = services(layout, &files)?;
    let running = services
        .get(WORKER_SERVICE)
        .filter(|fact| matches!(fact.active.as_str(), "active" | "reloading"));
    let started = match running {
        Some(_) => json::<StartFacts>(&layout.started())?,
        None => None,
    };
    let gateway = match services.get(GATEWAY_SERVICE) {
        Some(fact) if fact.active == "active" => json(&layout.gateway_state())?,
        Some(_) | None => None,
    };
    let told = match services.get(WORKER_SERVICE) {
        Some(fact) => log::read(layout, fact)?,
        None => log::Told::default(),
    };
    Ok(Host {
        memory_mib: memory_mib()?,
        java: java::find(&world.root, Path::new(&layout.jres()), JAVA),
        names: names::names(&world.root)?,
        users: users(&accounts),
        workloads: workloads(layout)?,
        jres: visible(&layout.jres())?.into_iter().collect(),
        gateway_installed: is_installed(world)?,
        directories: file_facts(&directories(layout), &accounts)?,
        files,
        services,
        bundles: bundles(layout)?,
        retired: visible(&layout.retired())?.into_iter().collect(),
        asked: json(&layout.asked())?.unwrap_or_default(),
        debris: debris(layout)?,
        started,
        peer_certificate: certificate(&layout.peer_certificate())?,
        gateway,
        worker_log_cause: told.cause,
        group: told.group,
    })
}

/// Every path of the layout that may hold a file of ours.
#[must_use]
pub fn files(layout: &Layout) -> Vec<String> {
    let mut files = vec![
        layout.worker_properties(),
        layout.jaas(),
        layout.internal_users(),
        layout.log4j2(),
        layout.log4j(),
        layout.peer_trust_store(),
        layout.kafka_trust_store(),
        layout.start_facts(),
        layout.gateway_settings(),
        layout.gateway_users(),
        layout.peer_certificate(),
        layout.peer_key(),
        layout.peer_identity(),
        layout.internal_ca(),
        layout.client_pem(),
        layout.wake_script(),
        layout.warm_script(),
        layout.class_archive_key(),
    ];
    files.extend(UNITS.map(|unit| format!("{}/{unit}", layout.systemd())));
    files
}

/// Our directories.
#[must_use]
pub fn directories(layout: &Layout) -> Vec<String> {
    vec![
        layout.etc(),
        layout.gateway_etc(),
        layout.workloads(),
        layout.jres(),
        layout.lib(),
        layout.plugins(),
        layout.staging(),
        layout.retired(),
        layout.tmp(),
        layout.log(),
        layout.cache(),
    ]
}

fn file_facts(
    paths: &[String],
    accounts: &Accounts,
) -> Result<BTreeMap<String, FileFact>, FsError> {
    let mut facts = BTreeMap::new();
    for path in paths {
        let Some(metadata) = fs::metadata(Path::new(path))? else {
            continue;
        };
        let sha256 = if metadata.is_file() {
            match fs::read(Path::new(path))? {
                Some(content) => fingerprint::sha256(&content),
                None => continue,
            }
        } else {
            String::new()
        };
        facts.insert(path.clone(), fact(&metadata, sha256, accounts));
    }
    Ok(facts)
}

fn fact(metadata: &Metadata, sha256: String, accounts: &Accounts) -> FileFact {
    FileFact {
        sha256,
        mode: metadata.mode() & 0o7777,
        user: accounts.user_name(metadata.uid()),
        group: accounts.group_name(metadata.gid()),
    }
}

fn users(accounts: &Accounts) -> BTreeSet<String> {
    USERS
        .into_iter()
        .filter(|name| accounts.user(name).is_some() && accounts.group(name).is_some())
        .map(ToOwned::to_owned)
        .collect()
}

/// Asks systemd only where there is something to ask for.
fn services(
    layout: &Layout,
    files: &BTreeMap<String, FileFact>,
) -> Result<BTreeMap<String, ServiceFact>, HostError> {
    let ours = format!("{}/", layout.systemd());
    if !files.keys().any(|path| path.starts_with(&ours)) {
        return Ok(BTreeMap::new());
    }
    let units = systemd::show(&UNITS)?;
    let facts = units.into_iter().map(|(name, unit)| {
        let outdated = is_outdated(&name, &unit, layout)?;
        let fact = ServiceFact {
            outdated,
            ..unit.fact
        };
        Ok((name, fact))
    });
    facts.collect()
}

/// Whether a unit runs since before its file, or the gateway's program, became what they are.
fn is_outdated(name: &str, unit: &systemd::Unit, layout: &Layout) -> Result<bool, FsError> {
    if matches!(unit.fact.active.as_str(), "inactive" | "failed") || unit.began.is_zero() {
        return Ok(false);
    }
    let file = fs::metadata(Path::new(&format!("{}/{name}", layout.systemd())))?;
    let file = file.and_then(|found| found.modified().ok());
    let program = match name {
        GATEWAY_SERVICE => fs::metadata(Path::new(&layout.gateway_program()))?,
        _ => None,
    };
    // Its modification is that of the packed one; its last change is when it was put there.
    let program = program.and_then(|found| {
        let since = Duration::new(
            found.ctime().try_into().ok()?,
            found.ctime_nsec().try_into().ok()?,
        );
        UNIX_EPOCH.checked_add(since)
    });
    let newest = [file, program].into_iter().flatten().max();
    Ok(newest
        .and_then(clock::counted)
        .is_some_and(|changed| changed > unit.began))
}

/// Names in a directory that are not debris of a step that was cut short.
fn visible(directory: &str) -> Result<Vec<String>, FsError> {
    let mut names = fs::names(Path::new(directory))?;
    names.retain(|name| !name.starts_with('.'));
    Ok(names)
}

/// What a step that was cut short left: everything in the staging directory, and what is being
/// unpacked beside programs.
fn debris(layout: &Layout) -> Result<BTreeSet<String>, FsError> {
    let mut debris = BTreeSet::new();
    for (directory, all) in [
        (layout.staging(), true),
        (layout.workloads(), false),
        (layout.jres(), false),
    ] {
        let names = fs::names(Path::new(&directory))?;
        let names = names.iter().filter(|name| all || name.starts_with('.'));
        debris.extend(names.map(|name| format!("{directory}/{name}")));
    }
    Ok(debris)
}

fn workloads(layout: &Layout) -> Result<BTreeMap<String, String>, FsError> {
    let mut workloads = BTreeMap::new();
    for name in visible(&layout.workloads())? {
        let libs = format!("{}/{name}/libs", layout.workloads());
        let jars = fs::names(Path::new(&libs))?;
        let version = ["connect-runtime-", "kafka-clients-"]
            .iter()
            .find_map(|start| {
                jars.iter()
                    .find_map(|jar| jar.strip_prefix(start)?.strip_suffix(".jar"))
            });
        if let Some(version) = version {
            workloads.insert(name, version.to_owned());
        }
    }
    Ok(workloads)
}

/// Whether the gateway program is the one of this charm. A copy keeps size and time, so that
/// neither has to be read, except when the charm may be a new one: charms that are packed with the
/// same bytes each time carry the same time as well.
fn is_installed(world: &World) -> Result<bool, FsError> {
    let what = |path: &Path| -> Result<Option<(u64, i64, i64)>, FsError> {
        let metadata = fs::metadata(path)?.filter(Metadata::is_file);
        Ok(metadata.map(|found| (found.len(), found.mtime(), found.mtime_nsec())))
    };
    let (packed, installed) = (world.packed_gateway(), world.layout.gateway_program());
    let installed = Path::new(&installed);
    let facts = what(installed)?;
    if facts.is_none() || facts != what(&packed)? {
        return Ok(false);
    }
    Ok(world.context.hook != hook_tools::Hook::UpgradeCharm
        || fs::read(installed)? == fs::read(&packed)?)
}

fn bundles(layout: &Layout) -> Result<BTreeMap<String, Bundle>, connect_plugins::StoreError> {
    let stored = connect_plugins::list(&PathBuf::from(layout.plugins()))?;
    Ok(stored
        .into_iter()
        .map(|(digest, contract)| {
            let bundle = Bundle {
                classes: contract.connectors().map(ToOwned::to_owned).collect(),
                has_manifests: contract.has_manifests,
            };
            (digest.as_str().to_owned(), bundle)
        })
        .collect())
}

fn memory_mib() -> Result<u64, FsError> {
    let text = fs::read(Path::new("/proc/meminfo"))?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&text)
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib / 1024))
}

/// The identity of the first certificate in a file.
fn certificate(path: &str) -> Result<Option<String>, FsError> {
    let text = fs::read(Path::new(path))?.unwrap_or_default();
    let blocks = pem::certificates(&String::from_utf8_lossy(&text));
    Ok(blocks.first().map(|der| fingerprint::sha256(der)))
}

/// A file of JSON; one that cannot be understood is as good as none, for its writer writes it anew.
fn json<T: serde::de::DeserializeOwned>(path: &str) -> Result<Option<T>, FsError> {
    Ok(fs::read(Path::new(path))?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}
