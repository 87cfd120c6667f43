//! Programs and users that have to be there first.

use std::path::Path;

use connect_core::plan::{Owner, WorkloadSource};

use super::{StepError, files};
use crate::host::accounts::{self, Accounts};
use crate::host::fs;
use crate::host::{apt, archive, http};
use crate::world::World;

pub(super) fn packages(packages: &[String], world: &World) -> Result<(), StepError> {
    let context = &world.context;
    let mut proxies: Vec<(&str, &str)> = Vec::new();
    for (name, value) in [
        ("http_proxy", &context.http_proxy),
        ("https_proxy", &context.https_proxy),
        ("no_proxy", &context.no_proxy),
    ] {
        if let Some(value) = value {
            proxies.push((name, value));
        }
    }
    Ok(apt::install(packages, &proxies)?)
}

pub(super) fn jre(path: &str, directory: &str) -> Result<(), StepError> {
    Ok(archive::unpack_jre(Path::new(path), Path::new(directory))?)
}

pub(super) fn workload(
    source: &WorkloadSource,
    directory: &str,
    world: &World,
) -> Result<(), StepError> {
    let directory = Path::new(directory);
    match source {
        WorkloadSource::Resource { path } => {
            archive::unpack_kafka(Path::new(path), directory)?;
        }
        WorkloadSource::Release { url, sha512 } => {
            let above = fs::above(directory);
            let download = tempfile::Builder::new()
                .prefix(".download-")
                .tempfile_in(above)
                .map_err(fs::failed("create a file in", above))?;
            http::download(url, sha512, download.path(), &world.proxies())?;
            archive::unpack_kafka(download.path(), directory)?;
        }
    }
    Ok(())
}

pub(super) fn gateway(path: &str, owner: &Owner, world: &World) -> Result<(), StepError> {
    let path = Path::new(path);
    let access = files::access(0o750, owner, &world.root)?;
    if let Some(directory) = path.parent() {
        fs::make_directory(directory, access)?;
    }
    Ok(fs::copy(&world.packed_gateway(), path, access)?)
}

pub(super) fn user(name: &str, accounts: &Accounts) -> Result<(), StepError> {
    if accounts.user(name).is_none() {
        accounts::create(name)?;
    }
    Ok(())
}
