//! `kafka-connect-gateway run|check|hold|release|leave|status --settings FILE`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};
use connect_core::gateway::{Certificate, LogLevel, Protocol, Settings, State, TlsVersion};
use connect_gateway::door::Inherited;
use connect_gateway::log::Log;
use connect_gateway::service::{Command as Wish, Event, chain};
use connect_gateway::tls::{Pair, Roots, TlsError};
use connect_gateway::{files, install_tls_provider, quiet, service};
use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;
use tracing_subscriber::reload;

/// The daemon that owns Kafka Connect's REST port.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves until it is told to end.
    Run {
        /// The settings file.
        #[arg(long)]
        settings: PathBuf,
    },
    /// Checks the settings and users files without serving them.
    Check {
        /// The settings file.
        #[arg(long)]
        settings: PathBuf,
    },
    /// Asks every gateway of the group to hold writes; before the worker of this unit is stopped.
    Hold {
        /// The settings file.
        #[arg(long)]
        settings: PathBuf,
    },
    /// Asks them to let writes go on; once it is stopped.
    Release {
        /// The settings file.
        #[arg(long)]
        settings: PathBuf,
    },
    /// Waits until clients ask the other units, if there are any; before this unit is removed.
    Leave {
        /// The settings file.
        #[arg(long)]
        settings: PathBuf,
    },
    /// Shows what a running gateway serves.
    Status {
        /// The settings file.
        #[arg(long)]
        settings: PathBuf,
    },
}

fn main() -> ExitCode {
    // First: it takes the descriptors out of the environment, before any thread may look at it.
    let listeners = inherited(&mut ListenFd::from_env());
    install_tls_provider();
    let outcome = match Arguments::parse().command {
        Command::Run { settings } => run(&settings, listeners),
        Command::Check { settings } => check(&settings),
        Command::Hold { settings } => quieten(&settings, quiet::Wish::Hold),
        Command::Release { settings } => quieten(&settings, quiet::Wish::Release),
        Command::Leave { settings } => leave(&settings),
        Command::Status { settings } => status(&settings),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("kafka-connect-gateway: {message}");
            ExitCode::FAILURE
        }
    }
}

fn inherited(passed: &mut ListenFd) -> Vec<std::net::TcpListener> {
    (0..passed.len())
        .filter_map(|index| passed.take_tcp_listener(index).ok().flatten())
        .collect()
}

fn run(settings: &std::path::Path, listeners: Vec<std::net::TcpListener>) -> Result<(), String> {
    let (wanted, level) = reload::Layer::new(filter(LogLevel::Info));
    let log = Log::start(std::io::stderr())
        .map_err(|error| format!("cannot start the thread of the log: {error}"))?;
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_writer(log.clone())
        .with_current_span(false)
        .with_span_list(false);
    tracing_subscriber::registry()
        .with(lines.with_filter(wanted))
        .init();
    let on = move |event| {
        if let Event::Log(now) = event {
            // The other side of the handle lives as long as the process.
            drop(level.reload(filter(now)));
        }
        notify(&event);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let served = runtime.block_on(async {
        let listeners = Inherited::new(listeners)
            .map_err(|error| format!("cannot use the sockets handed over: {error}"))?;
        let commands = signals().map_err(|error| format!("cannot listen for signals: {error}"))?;
        service::run(settings, listeners, commands, on)
            .await
            .map_err(|error| chain(&error))
    });
    log.flush();
    served
}

/// What is logged at a level; changes and refused credentials always are.
fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_target("connect_gateway", level)
        .with_target("access", level)
        .with_target("audit", LevelFilter::INFO)
}

/// SIGHUP looks at the files, SIGTERM ends.
fn signals() -> std::io::Result<mpsc::Receiver<Wish>> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let command = tokio::select! {
                _ = hangup.recv() => Wish::Look,
                _ = terminate.recv() => Wish::Stop,
            };
            // Nobody listens any more while the gateway finishes what is under way.
            if sender.send(command).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// Tells systemd, if it started us and wants to know.
fn notify(event: &Event) {
    let told = match event {
        Event::Ready => sd_notify::notify(&[NotifyState::Ready]),
        Event::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
        Event::Status(text) => sd_notify::notify(&[NotifyState::Status(text)]),
        Event::Log(_) => return,
        Event::Reloading => NotifyState::monotonic_usec_now()
            .and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now])),
    };
    if let Err(error) = told {
        tracing::debug!(%error, "cannot notify");
    }
}

fn check(settings: &std::path::Path) -> Result<(), String> {
    let (read, _) = files::read_settings(settings).map_err(|error| chain(&error))?;
    let users = files::read_users(read.users_file.as_ref()).map_err(|error| chain(&error))?;
    let certificates = certificates(&read).map_err(|error| chain(&error))?;
    println!(
        "{} and its {} users are fine",
        settings.display(),
        users.len()
    );
    for (door, certificate) in certificates {
        println!("{door} door certificate {}", describe(Some(&certificate)));
    }
    Ok(())
}

/// Whoever stops a worker goes on in any case: what was not reached is said, and is no failure.
fn quieten(settings: &std::path::Path, wish: quiet::Wish) -> Result<(), String> {
    for (unit, answer) in ask(settings, wish)? {
        println!("{unit}: {answer}");
    }
    Ok(())
}

/// Whoever leaves is told whether clients were waited for.
fn leave(settings: &std::path::Path) -> Result<(), String> {
    let answers = ask(settings, quiet::Wish::Leave)?.into_iter();
    let mut failed = answers.filter(|(_, answer)| answer != quiet::DONE);
    failed.next().map_or(Ok(()), |(_, answer)| Err(answer))
}

fn ask(settings: &std::path::Path, wish: quiet::Wish) -> Result<Vec<(String, String)>, String> {
    let (read, _) = files::read_settings(settings).map_err(|error| chain(&error))?;
    let Some(door) = &read.peer_door else {
        return Ok(Vec::new());
    };
    let roots = Roots::load(door.ca_file.as_ref()).map_err(|error| chain(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    Ok(runtime.block_on(quiet::ask(&read, &roots, wish)))
}

/// The certificates of both doors, read as they would be served.
fn certificates(settings: &Settings) -> Result<Vec<(&'static str, Certificate)>, TlsError> {
    let mut found = Vec::new();
    let load = |certificate: &str, key: &str, minimum| {
        Pair::load(certificate.as_ref(), key.as_ref(), minimum).map(|pair| pair.certificate)
    };
    if let Some(tls) = &settings.client_door.tls {
        let certificate = load(&tls.certificate_file, &tls.key_file, tls.minimum_version)?;
        found.push(("client", certificate));
    }
    if let Some(door) = &settings.peer_door {
        let certificate = load(&door.certificate_file, &door.key_file, TlsVersion::V12)?;
        found.push(("peer", certificate));
        Roots::load(door.ca_file.as_ref())?;
    }
    Ok(found)
}

fn describe(certificate: Option<&Certificate>) -> String {
    let Some(certificate) = certificate else {
        return "none".to_owned();
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let days = (certificate.not_after - now).div_euclid(24 * 60 * 60);
    format!("serial {}, {days} days left", certificate.serial)
}

fn status(settings: &std::path::Path) -> Result<(), String> {
    let (read, generation) = files::read_settings(settings).map_err(|error| chain(&error))?;
    let text = std::fs::read(&read.state_file)
        .map_err(|error| format!("cannot read {}: {error}", read.state_file))?;
    let state: State = serde_json::from_slice(&text)
        .map_err(|error| format!("cannot understand {}: {error}", read.state_file))?;
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    let protocol = match state.client_protocol {
        None => "",
        Some(Protocol::Http) => " (http)",
        Some(Protocol::Https) => " (https)",
        Some(Protocol::Both) => " (http and https)",
    };
    println!("client door open    {}{protocol}", yes(state.client_door));
    println!(
        "client certificate  {}",
        describe(state.client_certificate.as_ref())
    );
    println!("peer door open      {}", yes(state.peer_door));
    println!(
        "peer certificate    {}",
        describe(state.peer_certificate.as_ref())
    );
    println!("metrics port open   {}", yes(state.metrics));
    println!("worker healthy      {}", yes(state.worker_healthy));
    println!("users generation    {}", state.users_generation);
    println!(
        "settings in force   {}",
        yes(state.settings_generation == generation)
    );
    println!(
        "fault               {}",
        state.fault.as_deref().unwrap_or("none")
    );
    Ok(())
}
