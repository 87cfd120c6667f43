//! The daemon's life: files in, doors open, state out.
//!
//! Whatever a new file says is tried as a whole; where that fails the old stays in force and
//! [`State::fault`] says why, until a better file comes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use connect_core::gateway::{LogLevel, Protocol, Settings, State};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::access::Door;
use crate::certificates::Certificates;
use crate::connection::Speech;
use crate::core::{Backend, Core, Health};
use crate::door::{Inherited, Listeners};
use crate::files::{self, FileError, Stamp};
use crate::lanes::Lanes;
use crate::{limits, readiness};

/// What is asked of a running service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Look at the files now instead of a little later.
    Look,
    /// End.
    Stop,
}

/// What a running service has to say to whoever started it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It has looked at its files for the first time, or again because it was asked to. Whether the
    /// doors are open is in the state file: a door without a certificate stays closed, and another
    /// start would not help.
    Ready,
    /// It looks at its files because it was asked to.
    Reloading,
    /// What it does now, in one line for a human.
    Status(String),
    /// What it is to log from now on.
    Log(LogLevel),
    /// It closes its doors and finishes what is under way.
    Stopping,
}

/// Why nothing can be served at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] FileError),
    /// There can be no thread more.
    #[error("cannot start the threads that serve connections")]
    Lanes(#[source] std::io::Error),
}

/// Serves until it is told to stop or nobody is left to tell it, then finishes what is under way.
///
/// # Errors
///
/// [`StartError`]: there is nothing old to go on with.
pub async fn run(
    settings: &Path,
    inherited: Inherited,
    mut commands: mpsc::Receiver<Command>,
    on: impl Fn(Event),
) -> Result<(), StartError> {
    let mut service = Service::new(settings, inherited)?;
    let core = Arc::clone(&service.core);
    let health = tokio::spawn(readiness::poll(Arc::clone(&core)));
    let mut watch_health = core.watch_health();
    let mut tick = interval(limits::FILE_POLL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    service.look().await;
    on(Event::Ready);
    let mut status = String::new();
    let mut level = None;
    loop {
        if level != Some(service.settings.log_level) {
            level = Some(service.settings.log_level);
            on(Event::Log(service.settings.log_level));
        }
        let now = service.status();
        if now != status {
            on(Event::Status(now.clone()));
            status = now;
        }
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Look) => {
                    on(Event::Reloading);
                    service.look().await;
                    on(Event::Ready);
                }
                Some(Command::Stop) | None => break,
            },
            _ = tick.tick() => service.look().await,
            // A sender lives as long as the core: it cannot fail.
            _ = watch_health.changed() => service.tell(),
        }
    }
    on(Event::Stopping);
    service.close().await;
    health.abort();
    Ok(())
}

/// What is in force, and what the files looked like when it was read.
struct Service {
    path: PathBuf,
    settings: Settings,
    settings_generation: String,
    settings_stamp: Option<Stamp>,
    users_generation: String,
    users_stamp: Option<Stamp>,
    certificates: Certificates,
    /// What the doors speak; none before a door can be opened for the first time.
    client_speech: Option<watch::Sender<Speech>>,
    peer_speech: Option<watch::Sender<Speech>>,
    core: Arc<Core>,
    client_door: Listeners,
    peer_door: Listeners,
    metrics_door: Listeners,
    metrics_speech: watch::Sender<Speech>,
    inherited: Inherited,
    faults: Faults,
    told: Option<State>,
}

/// What is wrong with the newest files, by what it is about.
#[derive(Default)]
struct Faults {
    settings: Option<String>,
    users: Option<String>,
    doors: Option<String>,
}

impl Faults {
    fn first(&self, certificates: Option<&String>) -> Option<String> {
        let [settings, users, doors] =
            [&self.settings, &self.users, &self.doors].map(Option::as_ref);
        settings.or(users).or(certificates).or(doors).cloned()
    }
}

/// An error with its causes in one line; none of ours holds a secret.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    line
}

fn tell_door(
    door: &mut Option<watch::Sender<Speech>>,
    protocol: Protocol,
    tls: Option<&Arc<rustls::ServerConfig>>,
) {
    let speech = Speech {
        protocol,
        tls: tls.filter(|_| protocol != Protocol::Http).cloned(),
    };
    match door {
        Some(door) => drop(door.send_replace(speech)),
        None => *door = Some(watch::Sender::new(speech)),
    }
}

impl Service {
    fn new(path: &Path, inherited: Inherited) -> Result<Self, StartError> {
        let settings_stamp = Stamp::of(path);
        let (settings, settings_generation) = files::read_settings(path)?;
        let backend = Backend::new(&settings, None).ok_or_else(|| FileError::Setting {
            path: path.to_owned(),
            field: "worker.internal",
        })?;
        let core = Arc::new(Core::new(backend));
        let lanes = Lanes::start(limits::LANES).map(Arc::new);
        let lanes = lanes.map_err(StartError::Lanes)?;
        let door = |door| Listeners::new(door, Arc::clone(&core), Arc::clone(&lanes));
        Ok(Self {
            path: path.to_owned(),
            settings,
            settings_generation,
            settings_stamp,
            users_generation: String::new(),
            users_stamp: None,
            certificates: Certificates::default(),
            client_speech: None,
            peer_speech: None,
            client_door: door(Door::Client),
            peer_door: door(Door::Peer),
            metrics_door: door(Door::Metrics),
            metrics_speech: watch::Sender::new(Speech {
                protocol: Protocol::Http,
                tls: None,
            }),
            core,
            inherited,
            faults: Faults {
                users: Some("no users file yet".to_owned()),
                ..Faults::default()
            },
            told: None,
        })
    }

    /// Looks at every file, takes over what changed, and tells.
    async fn look(&mut self) {
        let settings = self.look_at_settings();
        self.look_at_users();
        let roots = self.certificates.look(&self.settings);
        // Cheap, and at the first look nothing has changed yet.
        self.speak();
        if settings || roots {
            let connector = self.certificates.roots().map(|roots| &roots.connector);
            if let Some(backend) = Backend::new(&self.settings, connector) {
                self.core.set_backend(backend);
            }
        }
        self.open_doors().await;
        self.tell();
    }

    /// Whether new settings are in force.
    fn look_at_settings(&mut self) -> bool {
        let stamp = Stamp::of(&self.path);
        if stamp == self.settings_stamp {
            return false;
        }
        self.settings_stamp = stamp;
        match files::read_settings(&self.path) {
            Ok((settings, generation)) => {
                if settings.users_file != self.settings.users_file {
                    self.users_stamp = None;
                }
                self.faults.settings = None;
                let changed = generation != self.settings_generation;
                (self.settings, self.settings_generation) = (settings, generation);
                tracing::info!("settings read");
                changed
            }
            Err(error) => {
                let fault = chain(&error);
                tracing::error!(%fault, "settings not taken over");
                self.faults.settings = Some(fault);
                false
            }
        }
    }

    fn look_at_users(&mut self) {
        let path = PathBuf::from(&self.settings.users_file);
        let stamp = Stamp::of(&path);
        if stamp == self.users_stamp && (stamp.is_some() || self.faults.users.is_some()) {
            return;
        }
        self.users_stamp = stamp;
        match files::read_users(&path) {
            Ok(users) => {
                tracing::info!(users = users.len(), "users read");
                users.generation.clone_into(&mut self.users_generation);
                self.core.set_users(users);
                self.faults.users = None;
            }
            Err(error) => {
                let fault = chain(&error);
                if self.faults.users.as_ref() != Some(&fault) {
                    tracing::error!(%fault, "users not taken over");
                }
                self.faults.users = Some(fault);
            }
        }
    }

    /// Tells the doors what to speak. Without a certificate there is no going over to HTTPS.
    fn speak(&mut self) {
        let door = &self.settings.client_door;
        let tls = self.certificates.client().map(|pair| &pair.server);
        if door.protocol != Protocol::Https || tls.is_some() {
            tell_door(&mut self.client_speech, door.protocol, tls);
        }
        let tls = self.certificates.peer().map(|pair| &pair.server);
        if tls.is_some() {
            tell_door(&mut self.peer_speech, Protocol::Https, tls);
        }
    }

    async fn open_doors(&mut self) {
        let mut fault = None;
        if let Some(speech) = &self.client_speech {
            let wanted = &self.settings.client_door.listen;
            let door = &mut self.client_door;
            let opened = door
                .reconcile(wanted, &speech.subscribe(), &mut self.inherited)
                .await;
            fault = opened.err();
        }
        if let Some(speech) = &self.peer_speech {
            let wanted = match &self.settings.peer_door {
                Some(door) => &door.listen[..],
                None => &[],
            };
            let door = &mut self.peer_door;
            let opened = door
                .reconcile(wanted, &speech.subscribe(), &mut self.inherited)
                .await;
            fault = fault.or_else(|| opened.err());
        }
        let wanted = match &self.settings.metrics {
            Some(metrics) => &metrics.listen[..],
            None => &[],
        };
        let speech = self.metrics_speech.subscribe();
        let door = &mut self.metrics_door;
        let opened = door.reconcile(wanted, &speech, &mut self.inherited).await;
        fault = fault.or_else(|| opened.err());
        let fault = fault.map(|(address, error)| format!("cannot listen on {address}: {error}"));
        if let Some(fault) = fault
            .as_ref()
            .filter(|fault| self.faults.doors.as_ref() != Some(*fault))
        {
            tracing::error!(%fault, "door not opened");
        }
        self.faults.doors = fault;
    }

    /// Writes the state file if anything in it changed.
    fn tell(&mut self) {
        let peer = self
            .settings
            .peer_door
            .as_ref()
            .map_or(&[][..], |door| &door.listen);
        let health = self.core.health();
        let speech = self
            .client_speech
            .as_ref()
            .filter(|_| self.client_door.is_open());
        let speech = speech.map(|speech| speech.borrow().clone());
        let client = self.certificates.client();
        let backend = self.core.backend();
        let state = State {
            users_generation: self.users_generation.clone(),
            settings_generation: self.settings_generation.clone(),
            client_door: self.is_open(),
            peer_door: self.peer_door.are_open(peer),
            worker_healthy: health == Health::Ready,
            worker_takes: (health == Health::Ready).then(|| backend.internal.in_use()),
            client_protocol: speech.as_ref().map(|speech| speech.protocol),
            client_certificate: client
                .filter(|_| speech.is_some_and(|speech| speech.tls.is_some()))
                .map(|pair| pair.certificate.clone()),
            peer_certificate: self
                .certificates
                .peer()
                .map(|pair| pair.certificate.clone()),
            trusted_cas: self
                .certificates
                .roots()
                .map(|roots| roots.fingerprints.clone())
                .unwrap_or_default(),
            metrics: self.metrics_door.is_open(),
            fault: self.faults.first(self.certificates.fault()).or_else(|| {
                let refused = "cannot use the worker: it refuses the internal credential";
                (health == Health::Refused).then(|| refused.to_owned())
            }),
        };
        if self.told.as_ref() == Some(&state) {
            return;
        }
        self.core.metrics.state(&state, self.core.users().len());
        let path = Path::new(&self.settings.state_file);
        let mut text = serde_json::to_vec(&state).expect("texts and booleans always serialise");
        text.push(b'\n');
        match files::replace(path, &text) {
            Ok(()) => self.told = Some(state),
            Err(error) => tracing::error!(%error, path = %path.display(), "cannot write the state"),
        }
    }

    /// The state in one line for a human.
    fn status(&self) -> String {
        let Some(state) = &self.told else {
            return "cannot write its state file".to_owned();
        };
        if let Some(fault) = &state.fault {
            return fault.clone();
        }
        let door = match state.client_protocol {
            None => "client door closed",
            Some(Protocol::Http) => "client door open for http",
            Some(Protocol::Https) => "client door open for https",
            Some(Protocol::Both) => "client door open for http and https",
        };
        let peer = if state.peer_door { "open" } else { "closed" };
        let worker = if state.worker_healthy {
            "ready"
        } else {
            "not ready"
        };
        let users = self.core.users().len();
        format!("{door}, peer door {peer}, worker {worker}, {users} users")
    }

    /// Whether the client door is open as the settings say.
    fn is_open(&self) -> bool {
        self.client_door.are_open(&self.settings.client_door.listen)
    }

    /// While writes are held the peer door goes last: a unit that let go of them would not reach
    /// those that wait here.
    async fn close(&mut self) {
        self.client_door.close_all();
        self.metrics_door.close_all();
        let held = self.core.holds.is_held();
        if !held {
            self.peer_door.close_all();
        }
        self.tell();
        let drained = async {
            if held {
                let _ = timeout(limits::HOLD, self.client_door.drained()).await;
                self.peer_door.close_all();
            }
            self.client_door.drained().await;
            self.peer_door.drained().await;
            self.metrics_door.drained().await;
        };
        if timeout(limits::DRAIN, drained).await.is_err() {
            tracing::warn!("some requests did not finish in time");
        }
        self.tell();
    }
}
