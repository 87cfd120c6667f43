//! One command of the operator: changes the state or shows it, answers with text.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use super::deploy::{self, Layout};
use super::state::{Fault, State};
use super::world::Shared;
use super::{logs, options, relations, secrets, tasks, waiting};
use crate::agent;
use crate::cli::args::{Command, Format};
use crate::link::{Client, Request};
use crate::{machines, show};

/// Serves one request; its exit status.
pub(crate) fn serve(world: &Shared, client: &mut Client, request: Request) -> i32 {
    match handle(world, client, request) {
        Ok(status) => status,
        Err(error) => {
            // The client may have left.
            drop(writeln!(client.stderr, "ERROR {error:#}"));
            1
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what needs more than the state comes first"
)]
fn handle(world: &Shared, client: &mut Client, request: Request) -> Result<i32> {
    let from = request.directory;
    let text = match request.command {
        Command::Run(run) => return tasks::run(world, client, &from, &run),
        Command::Exec(exec) => return tasks::exec(world, client, &exec),
        Command::WaitFor(given) => return waiting::wait_for(world, client, &given),
        Command::Ssh { unit, command } => {
            return world.machines.ssh(world, client, &unit, &command);
        }
        command @ Command::DebugLog { .. } => return logs::debug_log(world, client, &command),
        Command::Shutdown => {
            world.machines.end_all();
            world.publish(world.state());
            return Ok(0);
        }
        command => {
            let mut state = world.state();
            let known: Vec<String> = state.units.keys().cloned().collect();
            let done = change(&mut state, world, &from, command);
            let fresh: Vec<String> = state
                .units
                .keys()
                .filter(|unit| !known.contains(unit))
                .cloned()
                .collect();
            world.publish(state);
            for unit in fresh {
                agent::start(world, &unit);
            }
            done?
        }
    };
    client
        .stdout
        .write_all(text.as_bytes())
        .context("cannot write the answer")?;
    Ok(0)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is not changed is shown"
)]
fn change(state: &mut State, world: &Shared, from: &Path, command: Command) -> Result<String> {
    let layout = Layout {
        model: world.directory.clone(),
    };
    let quiet = |result: Result<()>| result.map(|()| String::new());
    match command {
        Command::Deploy(given) => deploy::deploy(state, &layout, from, &given),
        Command::AddUnit {
            application,
            num_units,
        } => quiet(deploy::add_units(state, &application, num_units).map(drop)),
        Command::RemoveUnit { units, .. } => relations::remove_units(state, &units),
        Command::RemoveApplication { applications, .. } => {
            relations::remove_applications(state, &applications)
        }
        Command::Integrate { first, second } => {
            quiet(relations::integrate(state, &first, &second).map(drop))
        }
        Command::RemoveRelation { first, second } => {
            quiet(relations::remove_relation(state, &first, second.as_deref()))
        }
        Command::Config {
            application,
            settings,
            reset,
            file,
            format,
        } => config(
            state,
            from,
            &application,
            &settings,
            &reset,
            file.as_deref(),
            format,
        ),
        Command::Address {
            unit,
            address,
            binding,
        } => quiet(address_of(state, &unit, address, binding.as_deref())),
        Command::AttachResource {
            application,
            resource,
        } => quiet(deploy::attach_resource(
            state,
            &layout,
            from,
            &application,
            &resource,
        )),
        Command::Refresh {
            application,
            path,
            resource,
        } => deploy::refresh(state, &layout, from, &application, &path, &resource),
        Command::AddSecret {
            name,
            content,
            info,
        } => secrets::add(state, from, &name, &content, &info),
        Command::UpdateSecret { secret, content } => {
            quiet(secrets::update(state, from, &secret, &content))
        }
        Command::GrantSecret {
            secret,
            application,
        } => quiet(secrets::grant(state, &secret, &application, true)),
        Command::RevokeSecret {
            secret,
            application,
        } => quiet(secrets::grant(state, &secret, &application, false)),
        Command::RemoveSecret { secret, revision } => {
            quiet(secrets::remove(state, &secret, revision))
        }
        Command::ModelConfig { settings, reset } => Ok(model_config(state, &settings, &reset)),
        Command::Resolved { units, no_retry } => resolved(state, &units, no_retry),
        Command::Lead { unit } => quiet(lead(state, &unit)),
        Command::Fault {
            unit,
            kill_at,
            lose_leadership,
        } => quiet(fault(state, &unit, kill_at.as_deref(), lose_leadership)),
        other => shown(state, other),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the commands that are no questions were served before"
)]
fn shown(state: &State, command: Command) -> Result<String> {
    match command {
        Command::Status {
            format: Format::Tabular,
            relations,
            ..
        } => Ok(show::status::tabular(state, relations)),
        Command::Status { format, .. } => Ok(show::formatted(&show::status::value(state), format)),
        Command::ShowUnit { units, format } => {
            let mut all = Map::new();
            for unit in units {
                let value = show::unit::unit(state, &unit)
                    .with_context(|| format!("unit {unit:?} not found"))?;
                all.insert(unit, value);
            }
            Ok(show::formatted(&Value::Object(all), format))
        }
        Command::ShowApplication {
            applications,
            format,
        } => {
            let mut all = Map::new();
            for name in applications {
                let value = show::unit::application(state, &name)
                    .with_context(|| deploy::not_found(&name))?;
                all.insert(name, value);
            }
            Ok(show::formatted(&Value::Object(all), format))
        }
        Command::Secrets {
            format: Format::Tabular,
        } => Ok(show::secrets::tabular(&state.model)),
        Command::Secrets { format } => {
            Ok(show::formatted(&show::secrets::list(&state.model), format))
        }
        Command::ShowSecret {
            secret,
            reveal,
            revision,
            format,
        } => {
            let value = show::secrets::show(&state.model, &secret, reveal, revision);
            let value = value.with_context(|| format!("secret {secret:?} not found"))?;
            Ok(show::formatted(&value, format))
        }
        other => bail!("not a command of the model: {other:?}"),
    }
}

fn config(
    state: &mut State,
    from: &Path,
    name: &str,
    words: &[String],
    reset: &[String],
    file: Option<&Path>,
    format: Format,
) -> Result<String> {
    let reset: Vec<String> = reset
        .iter()
        .flat_map(|keys| keys.split(','))
        .map(str::to_owned)
        .collect();
    let mut settings = Vec::new();
    let mut keys = Vec::new();
    for word in words {
        match word.split_once('=') {
            Some((key, value)) => settings.push((key.to_owned(), value.to_owned())),
            None => keys.push(word.as_str()),
        }
    }
    if let Some(file) = file {
        options::set_file(state, &from.join(file), name)?;
        return Ok(String::new());
    }
    match (&keys[..], settings.is_empty() && reset.is_empty()) {
        ([], false) => {
            options::set_all(state, from, name, &settings, &reset).map(|()| String::new())
        }
        ([], true) => {
            let value = show::unit::config(state, name).with_context(|| deploy::not_found(name))?;
            Ok(show::formatted(&value, format))
        }
        ([key], true) => {
            let value = show::unit::option(state, name, key).with_context(|| {
                format!("key {key:?} not found in {name:?} application config or charm settings")
            })?;
            Ok(format!("{value}\n"))
        }
        _ => bail!("cannot set and retrieve values simultaneously"),
    }
}

fn model_config(state: &mut State, words: &[String], reset: &[String]) -> String {
    for key in reset {
        state.model.config.remove(key);
    }
    let mut text = String::new();
    for word in words {
        if let Some((key, value)) = word.split_once('=') {
            state.model.config.insert(key.to_owned(), value.to_owned());
        } else {
            let value = state.model.config.get(word).map_or("", String::as_str);
            let _ = writeln!(text, "{value}");
        }
    }
    if words.is_empty() && reset.is_empty() {
        text = show::formatted(&json!(state.model.config), Format::Yaml);
    }
    text
}

fn resolved(state: &mut State, units: &[String], no_retry: bool) -> Result<String> {
    for name in units {
        let now = state.model.now_ms;
        let Some(failed) = state
            .units
            .get(name)
            .and_then(|unit| unit.memory.failed.clone())
        else {
            bail!("unit {name:?} is not in an error state");
        };
        if no_retry {
            let view = agent::view::view_of(state, name, now);
            agent::view::note(state, name, &failed, &view, now);
            agent::settled(state, name);
        } else if let Some(unit) = state.units.get_mut(name) {
            unit.retry_at = Some(now);
        }
    }
    Ok(String::new())
}

/// Imitates a machine whose address changed, and an endpoint that is bound to a space of its own:
/// `network-get` answers anew, config-changed tells of it and refreshes the unit's databags.
fn address_of(state: &mut State, unit: &str, address: IpAddr, binding: Option<&str>) -> Result<()> {
    let row = state.model.units.get_mut(unit);
    let row = row.with_context(|| format!("unit {unit:?} not found"))?;
    let network = machines::network_at(&row.machine, address);
    if let Some(binding) = binding {
        row.bindings.insert(binding.to_owned(), network);
    } else {
        row.private_address = address.to_string();
        row.public_address = address.to_string();
        row.default_network = Some(network);
    }
    if let Some(extra) = state.units.get_mut(unit) {
        extra.address_version += 1;
    }
    Ok(())
}

fn lead(state: &mut State, unit: &str) -> Result<()> {
    let name = juju_sim_model::state::application_of(unit).to_owned();
    if !state.model.units.contains_key(unit) {
        bail!("unit {unit:?} not found");
    }
    let application = state
        .model
        .applications
        .get_mut(&name)
        .with_context(|| deploy::not_found(&name))?;
    let before = application.leader.replace(unit.to_owned());
    if let Some(before) = before.filter(|before| before != unit) {
        // Should it be elected again, it is told again.
        if let Some(extra) = state.units.get_mut(&before) {
            extra.memory.elected = false;
        }
    }
    Ok(())
}

fn fault(state: &mut State, unit: &str, kill_at: Option<&str>, lose: bool) -> Result<()> {
    let extra = state
        .units
        .get_mut(unit)
        .with_context(|| format!("unit {unit:?} not found"))?;
    let fault = match kill_at {
        _ if lose => Fault::LoseLeadership,
        Some(text) => {
            let (tool, n) = match text.rsplit_once(':') {
                Some((tool, n)) => (Some(tool.to_owned()), n.parse()),
                None => (None, text.parse()),
            };
            Fault::KillAt {
                tool,
                n: n.with_context(|| format!("cannot read {text:?}"))?,
            }
        }
        None => bail!("no fault named"),
    };
    extra.fault = Some(fault);
    Ok(())
}
