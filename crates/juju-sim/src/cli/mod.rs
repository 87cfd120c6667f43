//! The command line: what needs no model is done here, the rest is sent to the model's daemon,
//! which is started when it does not run.

pub(crate) mod args;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use juju_sim_machine::realm::{self, RealmSpec};

use crate::daemon;
use crate::link::{self, Request};
use crate::machines;
use crate::script;
use args::{Cli, Command, Top};

/// The Juju version whose behaviour is imitated.
pub(crate) const JUJU_VERSION: &str = "3.6.11";

/// The file that names the realm's first process.
const REALM: &str = "realm.pid";

/// Runs the command line; the status to exit with.
pub(crate) fn main() -> i32 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // The terminal may be gone; the status says the same.
            drop(error.print());
            return error.exit_code();
        }
    };
    match run(cli) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("ERROR {error:#}");
            1
        }
    }
}

fn run(cli: Cli) -> Result<i32> {
    let model = model_directory(cli.model_dir)?;
    match cli.command {
        Top::Version => {
            println!("{JUJU_VERSION}-simulated");
            Ok(0)
        }
        Top::HookTools => hook_tools(),
        Top::Script(script) => script::run(&script),
        Top::Daemon { name } => daemon::main(&model, name.as_deref().unwrap_or("sim")),
        Top::Network { command } => network(&model, &command),
        Top::AddModel { name } => {
            if runs(&model) {
                bail!("model in `{}` already runs", model.display());
            }
            start(&model, Some(&name))?;
            println!("Added '{name}' model in {}", model.display());
            Ok(0)
        }
        Top::DestroyModel { keep_files, .. } => destroy(&model, keep_files),
        Top::Model(Command::Shutdown) if !runs(&model) => Ok(0),
        Top::Model(command) => {
            if !runs(&model) {
                start(&model, None)?;
            }
            let directory = std::env::current_dir().context("cannot tell the current directory")?;
            link::send(&model, &Request { command, directory }).context("cannot talk to the model")
        }
    }
}

fn model_directory(given: Option<PathBuf>) -> Result<PathBuf> {
    let directory = given
        .or_else(|| {
            std::env::var_os("JUJU_SIM_DIR")
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        })
        .unwrap_or_else(|| {
            let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
            Path::new("/var/lib/juju-sim").join(user)
        });
    std::path::absolute(directory).context("cannot tell the current directory")
}

/// Starts the daemon and waits until it answers.
fn start(model: &Path, name: Option<&str>) -> Result<()> {
    fs::create_dir_all(model).with_context(|| format!("cannot create `{}`", model.display()))?;
    let lock = File::create(model.join("start.lock")).context("cannot create a lock file")?;
    lock.lock().context("cannot lock the model's directory")?;
    if runs(model) {
        return Ok(());
    }
    // A daemon that is just being killed must not be taken for the new one.
    link::remove(model).context("cannot remove an old control socket")?;
    let helper = std::env::current_exe().context("cannot find this program")?;
    let mut command = vec![helper.clone().into_os_string(), "--model-dir".into()];
    command.extend([model.as_os_str().to_owned(), "daemon".into()]);
    command.extend(name.map(Into::into));
    let spec = RealmSpec {
        helper,
        bridge: machines::BRIDGE,
        prefix: machines::PREFIX,
        command,
        log: model.join("daemon.log"),
    };
    let pid = realm::launch(&spec).context("cannot start the model")?;
    fs::write(model.join(REALM), pid.to_string()).context("cannot note the realm's process")?;
    let limit = Instant::now() + Duration::from_secs(30);
    while !link::alive(model) {
        if !realm::is_running(pid) {
            bail!("the daemon ended; see `{}`", spec.log.display());
        }
        if Instant::now() > limit {
            bail!("the daemon does not answer; see `{}`", spec.log.display());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The process that holds the model's namespaces.
fn realm_of(model: &Path) -> Option<u32> {
    fs::read_to_string(model.join(REALM))
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Whether the model's daemon runs and answers.
fn runs(model: &Path) -> bool {
    realm_of(model).is_some_and(realm::is_running) && link::alive(model)
}

/// Runs a program of the host in the model's network.
fn network(model: &Path, words: &[String]) -> Result<i32> {
    use std::os::unix::process::ExitStatusExt as _;
    let [program, rest @ ..] = words else {
        bail!("no command given")
    };
    let pid = realm_of(model).filter(|pid| realm::is_running(*pid));
    let pid = pid.context("the model does not run")?;
    let status = realm::enter_network(pid, program)
        .args(rest)
        .status()
        .with_context(|| format!("cannot run {program:?}"))?;
    Ok(status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
}

fn destroy(model: &Path, keep_files: bool) -> Result<i32> {
    if runs(model) {
        let request = Request {
            command: Command::Shutdown,
            directory: PathBuf::from("/"),
        };
        let status = link::send(model, &request).context("cannot talk to the model")?;
        if status != 0 {
            return Ok(status);
        }
    }
    if let Some(pid) = realm_of(model) {
        realm::terminate(pid, Duration::from_secs(5))
            .context("cannot end the model's processes")?;
        fs::remove_file(model.join(REALM)).context("cannot remove the realm's note")?;
    }
    if !keep_files && model.join("model.json").exists() {
        fs::remove_dir_all(model)
            .with_context(|| format!("cannot remove `{}`", model.display()))?;
    }
    Ok(0)
}

/// Answers cases of hook tools, a line of JSON each, until the input ends.
fn hook_tools() -> Result<i32> {
    let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
    juju_sim_model::conformance::serve(input, output).context("cannot answer")?;
    Ok(0)
}
