//! `juju-exec` in the machine: takes commands at the unit's `run.socket` and queues them.

use std::fmt::Write as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::daemon::tasks;
use crate::daemon::world::Shared;
use crate::link;
use crate::tool;

const SOCKET: &str = "run.socket";

/// Ends the thread that listens when dropped.
pub(super) struct Listener {
    directory: PathBuf,
    over: Arc<AtomicBool>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the thread; if the socket is gone, so is the thread's work.
        drop(link::connect_to(&self.directory, SOCKET));
    }
}

/// Listens for the unit.
pub(super) fn start(world: &Shared, unit: &str) -> Option<Listener> {
    let number = world.state().model.units.get(unit)?.machine.clone();
    let directory = world.machines.agent(&number, unit);
    let listener = match link::bind(&directory, SOCKET) {
        Ok(listener) => listener,
        Err(error) => {
            world.log(
                unit,
                "ERROR",
                "juju.sim",
                &format!("cannot bind {SOCKET}: {error}"),
            );
            return None;
        }
    };
    let over = Arc::new(AtomicBool::new(false));
    let (world, unit, ends) = (Arc::clone(world), unit.to_owned(), Arc::clone(&over));
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            if ends.load(Ordering::SeqCst) {
                return;
            }
            let Ok(connection) = connection else { continue };
            let (world, unit) = (Arc::clone(&world), unit.clone());
            std::thread::spawn(move || serve(&world, &unit, connection));
        }
    });
    Some(Listener { directory, over })
}

fn serve(world: &Shared, unit: &str, mut socket: UnixStream) {
    let Ok(parts) = tool::receive(&mut socket) else {
        return;
    };
    let mut parts = parts
        .into_iter()
        .map(|part| String::from_utf8_lossy(&part).into_owned());
    let mut word = || parts.next().unwrap_or_default();
    let (commands, relation, remote_unit) = (word(), word(), word());
    let task = tasks::exec_from_machine(world, unit, commands, relation, remote_unit);
    let Some(task) = task else { return };
    let text = |key: &str| {
        task.results
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let code = task
        .results
        .get("return-code")
        .and_then(Value::as_i64)
        .unwrap_or(1);
    let mut errors = text("stderr").to_owned();
    if !task.message.is_empty() {
        let _ = writeln!(errors, "ERROR {}", task.message);
    }
    // The caller may have gone.
    drop(tool::send(
        &mut socket,
        &[
            code.to_string().as_bytes(),
            text("stdout").as_bytes(),
            errors.as_bytes(),
        ],
    ));
}
