//! The spine: one hook from its environment to its exit status.

use std::sync::mpsc;

use connect_core::observation::{Hook, Observation, OwnSecret, Reading};
use connect_core::plan::{Note, Plan};
use hook_tools::{Hook as JujuHook, Level, SecretEvent, ToolError};

use crate::apply::juju::JujuError;
use crate::observe::host::HostError;
use crate::world::World;
use crate::{actions, apply, observe, report};

/// How often a hook looks and acts before it leaves the rest to the next one. A deployment takes
/// three to four rounds; more means that two steps undo each other.
const ROUNDS: u32 = 6;

/// Hooks of Juju up to 3.6 in which next to no hook command may be run.
const RESTRICTED: [&str; 2] = ["collect-metrics", "meter-status-changed"];

/// Why a hook failed: always something that Juju's retry may cure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A hook command failed.
    #[error("cannot ask Juju")]
    Ask(#[source] ToolError),
    /// This machine could not be read.
    #[error("cannot look at this machine")]
    Look(#[source] HostError),
    /// Juju could not be told something.
    #[error("cannot tell Juju")]
    Tell(#[source] JujuError),
    /// A status could not be shown.
    #[error("cannot show a status")]
    Show(#[source] ToolError),
    /// An action's answer could not be given.
    #[error("cannot answer the action")]
    Answer(#[source] ToolError),
}

/// Runs the hook or action that `world` is for.
///
/// # Errors
///
/// See [`Error`]. Nothing that Juju buffers is kept then.
pub fn run(world: &mut World) -> Result<(), Error> {
    let hook = world.context.hook.clone();
    if let JujuHook::Action { name, id } = &hook {
        return actions::run(name, id, world);
    }
    if let JujuHook::Other { name } = &hook
        && RESTRICTED.contains(&name.as_str())
    {
        return Ok(());
    }
    if let JujuHook::SecretRemove(event) = &hook {
        forget_revision(event, world)?;
    }
    reconcile(observe::event::hook(&hook), world).map(drop)
}

/// Nobody reads this revision any more; Juju leaves forgetting it to the owner.
fn forget_revision(event: &SecretEvent, world: &World) -> Result<(), Error> {
    if event.revision.is_none() {
        return Ok(());
    }
    match world.tools.remove_secret(&event.uri, event.revision) {
        Err(error) if !error.is_gone() => Err(Error::Ask(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Rounds of observe, plan, keep and apply until nothing is left to do; then promises and status.
/// Returns what was seen last.
///
/// # Errors
///
/// See [`Error`].
pub fn reconcile(hook: Hook, world: &mut World) -> Result<Observation, Error> {
    let mut seen = look(hook, world)?;
    let plan = loop {
        let plan = connect_core::plan(&seen, &world.layout, &mut world.entropy);
        let settled = plan.minted.is_empty() && plan.steps.is_empty();
        if settled || seen.round >= ROUNDS {
            break plan;
        }
        apply::juju::keep(&plan.minted, &mut seen, world).map_err(Error::Tell)?;
        let lines = apply::apply(&plan.steps, &mut seen, world).map_err(Error::Show)?;
        if !lines.is_empty() {
            world.tools.log(Level::Info, &lines.join("\n"));
        }
        seen.round += 1;
        look_again(&mut seen, world)?;
    };
    apply::juju::publish(&plan.promises, &seen, world).map_err(Error::Tell)?;
    if let Err(error) = observe::memory::keep(&seen, &plan.promises, world) {
        // The next hook reads anew what it does not find.
        let text = format!(
            "cannot remember what clients said: {}",
            report::chain(&error)
        );
        world.tools.log(Level::Warning, &text);
    }
    finish(&plan, &seen, world)?;
    Ok(seen)
}

/// A first observation. Juju's answers take most of it: this machine is looked at beside them, and
/// its worker asked as soon as the internal user is known.
///
/// # Errors
///
/// See [`Error`].
pub fn look(hook: Hook, world: &World) -> Result<Observation, Error> {
    let (meet, met) = mpsc::channel();
    let (juju, machine) = std::thread::scope(|scope| {
        let machine = scope.spawn(move || {
            let host = observe::host::observe(world)?;
            // Nobody to come: Juju did not say, and its error is ours, or this unit is leaving.
            let internal: Vec<OwnSecret> = met.recv().unwrap_or_default();
            let internal: Vec<&OwnSecret> = internal.iter().collect();
            let worker = observe::worker::observe(&host, &internal, observe::worker::address());
            Ok((host, worker))
        });
        let juju = observe::juju::observe(world, hook, move |internal| {
            // A machine that could not be read does not wait for it, and says so below.
            let _unread = meet.send(internal);
        });
        let machine = machine
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (juju, machine)
    });
    let mut seen = juju.map_err(Error::Ask)?;
    (seen.host, seen.worker) = machine.map_err(Error::Look)?;
    seen.unreachable = observe::peers::unreachable(&seen);
    seen.group = observe::group::observe(&seen);
    observe::resources::observe(world, &mut seen).map_err(Error::Ask)?;
    Ok(seen)
}

/// What may have changed by our own steps: this machine and its worker.
fn look_again(seen: &mut Observation, world: &World) -> Result<(), Error> {
    seen.host = observe::host::observe(world).map_err(Error::Look)?;
    // A worker that let us wait is not waited for again: no hook lasts longer for it.
    if !matches!(seen.worker, Reading::Unreadable(_)) {
        let internal = observe::worker::internal(seen);
        seen.worker = observe::worker::observe(&seen.host, &internal, observe::worker::address());
    }
    Ok(())
}

fn finish(plan: &Plan, seen: &Observation, world: &mut World) -> Result<(), Error> {
    // A wake-up needs the service that the first hooks write.
    let service = format!(
        "{}/{}",
        world.layout.systemd(),
        connect_core::layout::WAKE_SERVICE
    );
    if let Some(after_s) = plan.wake_after_s
        && seen.host.files.contains_key(&service)
        && let Err(error) = apply::wake::arm(after_s, world)
    {
        let text = format!("cannot arrange to be woken: {}", report::chain(&error));
        world.tools.log(Level::Warning, &text);
    }
    let changed = world.show(&plan.status).map_err(Error::Show)?;
    log(&plan.notes, changed, world);
    Ok(())
}

/// Problems go to the log whenever they are met, the rest once it is news.
fn log(notes: &[Note], changed: bool, world: &World) {
    let of = |problem: bool| -> Vec<&str> {
        let notes = notes.iter().filter(|note| note.problem == problem);
        notes.map(|note| note.text.as_str()).collect()
    };
    let problems = of(true);
    if !problems.is_empty() {
        world.tools.log(Level::Warning, &problems.join("\n"));
    }
    let news = of(false);
    if changed && !news.is_empty() {
        world.tools.log(Level::Info, &news.join("\n"));
    }
}
