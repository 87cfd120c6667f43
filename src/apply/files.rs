//! Files and directories of ours.

use std::path::Path;

use connect_core::plan::Owner;

use super::StepError;
use crate::host::accounts::Accounts;
use crate::host::fs::{self, Access};

pub(super) fn write(
    path: &str,
    mode: u32,
    owner: &Owner,
    content: &[u8],
    root: &Path,
) -> Result<(), StepError> {
    Ok(fs::write(
        Path::new(path),
        content,
        access(mode, owner, root)?,
    )?)
}

pub(super) fn directory(
    path: &str,
    mode: u32,
    owner: &Owner,
    root: &Path,
) -> Result<(), StepError> {
    Ok(fs::make_directory(
        Path::new(path),
        access(mode, owner, root)?,
    )?)
}

/// Deletes a file or a directory with everything below it.
pub(super) fn sweep(path: &str) -> Result<(), StepError> {
    Ok(fs::remove_tree(Path::new(path))?)
}

pub(super) fn remove(path: &str) -> Result<(), StepError> {
    Ok(fs::remove_file(Path::new(path))?)
}

pub(super) fn access(mode: u32, owner: &Owner, root: &Path) -> Result<Access, StepError> {
    let accounts = Accounts::read(root)?;
    let missing = |name: &str| StepError::NoAccount {
        name: name.to_owned(),
    };
    Ok(Access {
        mode,
        user: accounts
            .user(&owner.user)
            .ok_or_else(|| missing(&owner.user))?,
        group: accounts
            .group(&owner.group)
            .ok_or_else(|| missing(&owner.group))?,
    })
}
