//! One binary, many roles: which one a process plays is in its arguments.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::{boot, machine, realm};

/// Plays the role that the arguments name and returns its exit status, or `None` when they name none. A binary that serves
/// as `helper` calls this first in `main`, before it starts a thread, with [`std::env::args_os`] collected.
///
/// Roles are `__sim-…` as first argument, and the names of the stand-ins (`systemctl`, `journalctl`, `systemd-notify`) as
/// file name of the program, inside a machine.
#[must_use]
pub fn multicall(argv: &[OsString]) -> Option<i32> {
    let name = argv
        .first()
        .and_then(|program| Path::new(program).file_name())
        .and_then(OsStr::to_str);
    let rest = argv.get(1..).unwrap_or_default();
    match name {
        Some("systemctl") => return Some(crate::tools::systemctl::main(rest)),
        Some("journalctl") => return Some(crate::tools::journalctl::main(rest)),
        Some("systemd-notify") => return Some(crate::tools::notify::main(rest)),
        Some(_) | None => {}
    }
    let arguments = rest.get(1..).unwrap_or_default();
    match rest.first().and_then(|role| role.to_str())? {
        realm::LAUNCH_ROLE => Some(realm::launcher(arguments)),
        realm::INIT_ROLE => Some(realm::init(arguments)),
        machine::LAUNCH_ROLE => Some(boot::launcher()),
        machine::INIT_ROLE => Some(boot::init()),
        machine::ENTER_ROLE => Some(boot::enter(arguments)),
        crate::exec::ROLE => Some(crate::exec::trampoline::main()),
        _ => None,
    }
}
