//! The charm's file resources.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use connect_core::observation::{Hook, Observation, Reading, Resource};
use connect_core::plan::bundles::PLUGIN_RESOURCE;
use connect_core::wire;
use hook_tools::{Hook as JujuHook, ToolError};

use crate::host::fs;
use crate::report;
use crate::world::World;

/// File resources that the planner reads, by name: file name as in `metadata.yaml`.
const RESOURCES: [(&str, &str); 3] = [
    ("kafka", "kafka.tgz"),
    ("jre", "jre.tgz"),
    (PLUGIN_RESOURCE, "connect-plugin.tgz"),
];

/// The resources, once the machine was looked at.
///
/// Juju replaces a resource's file before `upgrade-charm`, at a path that never changes. So it is
/// asked in that hook, and otherwise only where the file is not at that path although a resource
/// brought, or could bring, what is here: looking at the file costs nothing.
///
/// # Errors
///
/// The hook command cannot be run.
pub fn observe(world: &World, seen: &mut Observation) -> Result<(), ToolError> {
    if seen.hook == Hook::Leave {
        return Ok(());
    }
    let may_be_new = matches!(
        world.context.hook,
        JujuHook::Install | JujuHook::UpgradeCharm
    );
    for (name, file) in RESOURCES {
        let host = &seen.host;
        let needed = match name {
            "jre" => host.java.is_none() || !host.jres.is_empty(),
            // Until our databag says what became of it.
            PLUGIN_RESOURCE => {
                let peers = seen.peers.as_ref();
                peers.is_some_and(|peers| !peers.ours.contains_key(wire::peer::RESOURCE))
            }
            _ => host
                .workloads
                .keys()
                .all(|name| name.starts_with("resource-")),
        };
        let usual = usual_path(world, name, file);
        let reading = if !may_be_new && usual.is_file() {
            resource(&usual)
        } else if may_be_new || needed {
            match world.tools.resource(name) {
                Ok(path) => resource(Path::new(&path)),
                Err(ToolError::NotFound { .. }) => Reading::Absent,
                Err(error @ ToolError::Spawn { .. }) => return Err(error),
                Err(error) => Reading::Unreadable(report::chain(&error)),
            }
        } else if name == PLUGIN_RESOURCE {
            continue;
        } else {
            Reading::Absent
        };
        seen.resources.insert(name.to_owned(), reading);
    }
    Ok(())
}

/// Contract: `<agent>/charm` and `<agent>/resources/<name>/<file name>`.
fn usual_path(world: &World, name: &str, file: &str) -> PathBuf {
    let agent = fs::above(&world.context.charm_dir);
    agent.join("resources").join(name).join(file)
}

fn resource(path: &Path) -> Reading<Resource> {
    match fs::metadata(path) {
        Ok(Some(metadata)) => Reading::Known(Resource {
            path: path.to_string_lossy().into_owned(),
            bytes: metadata.len(),
            identity: format!(
                "{} {}.{:09}",
                metadata.len(),
                metadata.mtime(),
                metadata.mtime_nsec()
            ),
        }),
        Ok(None) => Reading::Unreadable("Juju's file is not there".to_owned()),
        Err(error) => Reading::Unreadable(report::chain(&error)),
    }
}
