//! The daemon: holds the model, runs an agent per unit, serves the command line.

mod deploy;
mod logs;
mod options;
mod relations;
mod requests;
mod secrets;
pub(crate) mod state;
pub(crate) mod tasks;
mod waiting;
pub(crate) mod world;

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use anyhow::{Context as _, Result};

use crate::agent;
use crate::cli::args::Command;
use crate::link::{self, Client};
use crate::log::Logs;
use crate::machines::Machines;
use crate::random;
pub(crate) use deploy::{add_storage, status};
use state::State;
use world::{Shared, World};

/// Runs until the model is shut down. Called in the realm.
pub(crate) fn main(directory: &Path, name: &str) -> Result<i32> {
    let logs = Logs::open(directory).context("cannot open the logs")?;
    let state = match State::load(directory).context("cannot read model.json")? {
        Some(state) => state,
        None => fresh(name)?,
    };
    let listener = link::listen(directory).context("cannot bind the control socket")?;
    let machines = Machines::new(directory).context("cannot prepare the machines")?;
    let world = Arc::new(World::new(directory.to_owned(), logs, machines, state));
    let mut state = world.state();
    state.tidy();
    state.abort_running();
    let units: Vec<String> = state.units.keys().cloned().collect();
    world.publish(state);
    world.save();
    for unit in units {
        agent::start(&world, &unit);
    }
    let saved = Arc::clone(&world);
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(world::SAVE_EVERY);
            saved.save();
        }
    });
    let (over, ends) = std::sync::mpsc::channel();
    let served = Arc::clone(&world);
    std::thread::spawn(move || accept(&served, &listener, &over));
    // Whoever sends, or everybody gone: either way it is over.
    let _ = ends.recv();
    world.save();
    Ok(0)
}

fn accept(world: &Shared, listener: &UnixListener, over: &Sender<()>) {
    for connection in listener.incoming() {
        let Ok(connection) = connection else { continue };
        let (world, over) = (Arc::clone(world), over.clone());
        std::thread::spawn(move || {
            // A client that sends nonsense or leaves early is its own problem.
            let Ok((mut client, request)) = Client::accept(connection) else {
                return;
            };
            let shutdown = matches!(request.command, Command::Shutdown);
            let status = requests::serve(&world, &mut client, request);
            world.save();
            client.finish(status);
            if shutdown {
                // Nobody listens any more when two shut down at once.
                let _ = over.send(());
            }
        });
    }
}

fn fresh(name: &str) -> Result<State> {
    let mut bytes = random::bytes::<16>()?;
    // The bits that make it a UUID of version 4.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = random::hex(&bytes);
    let uuid = format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    );
    let seed = match std::env::var("JUJU_SIM_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        Some(seed) => seed,
        None => bytes
            .iter()
            .fold(0, |seed: u64, byte| seed.rotate_left(8) ^ u64::from(*byte)),
    };
    Ok(State::new(name, &uuid, seed))
}
