//! Keeping what is served in step with the files, and telling the charm what is served.
//!
//! *Guarantee:* a file that cannot be used changes nothing: what was served stays, and the state
//! says why. *Assumption:* the files are replaced by rename.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use connect_core::gateway::{PeerDoor, Settings, State};
use rustls::ServerConfig;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsConnector;

use crate::access::Door;
use crate::core::{Backend, Core, Health};
use crate::door::{Inherited, Listeners};
use crate::files::{self, FileError, Stamp};
use crate::tls::{self, PeerTls};
use crate::{limits, readiness};

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No settings to start with.
    #[error("cannot start without settings")]
    Settings(#[source] FileError),
    /// The state cannot be told.
    #[error("cannot write the state file {}", path.display())]
    State {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What keeps the newest files from being served as written; each part heals by itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Faults {
    settings: Option<String>,
    users: Option<String>,
    certificate: Option<String>,
    client_door: Option<String>,
    peer_door: Option<String>,
}

impl Faults {
    fn line(&self, health: Health) -> Option<String> {
        let Self {
            settings,
            users,
            certificate,
            client_door,
            peer_door,
        } = self;
        let refused = (health == Health::Refused)
            .then(|| "cannot use the worker: it refuses the internal credential".to_owned());
        [
            settings,
            users,
            certificate,
            client_door,
            peer_door,
            &refused,
        ]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .reduce_to_line()
    }
}

trait ReduceToLine {
    fn reduce_to_line(self) -> Option<String>;
}

impl<'a, I: Iterator<Item = &'a str>> ReduceToLine for I {
    fn reduce_to_line(self) -> Option<String> {
        let parts: Vec<_> = self.collect();
        (!parts.is_empty()).then(|| parts.join("; ").replace(['\n', '\r'], " "))
    }
}

struct Gateway {
    settings_path: PathBuf,
    settings_stamp: Option<Stamp>,
    settings: Settings,
    settings_generation: String,
    users_stamp: Option<Option<Stamp>>,
    users_file: String,
    tls_stamps: Option<(PeerDoor, [Option<Stamp>; 3])>,
    tls: Option<watch::Sender<Arc<ServerConfig>>>,
    connector: Option<TlsConnector>,
    core: Arc<Core>,
    client_door: Listeners,
    peer_door: Listeners,
    inherited: Inherited,
    faults: Faults,
    /// The settings file last read in full; its generation is told once all of it is in effect.
    written: Option<State>,
}

/// Serves until `stop` completes, then drains. `ready` is called once, when the client door is open.
///
/// # Errors
/// [`RunError`] if there are no usable settings to start with, or no state can be written.
pub async fn run(
    settings_path: PathBuf,
    inherited: Inherited,
    ready: impl FnOnce(),
    stop: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let stamp = Stamp::of(&settings_path);
    let (settings, generation) =
        files::read_settings(&settings_path).map_err(RunError::Settings)?;
    let bad = || FileError::Setting {
        path: settings_path.clone(),
        field: "worker.internal",
    };
    let backend = Backend::new(&settings, None).ok_or_else(|| RunError::Settings(bad()))?;
    let core = Arc::new(Core::new(backend));
    let mut gateway = Gateway {
        users_file: settings.users_file.clone(),
        settings_path,
        settings_stamp: stamp,
        settings,
        settings_generation: generation,
        users_stamp: None,
        tls_stamps: None,
        tls: None,
        connector: None,
        client_door: Listeners::new(Door::Client, Arc::clone(&core)),
        peer_door: Listeners::new(Door::Peer, Arc::clone(&core)),
        core: Arc::clone(&core),
        inherited,
        faults: Faults::default(),
        written: None,
    };
    // Users before doors: no request ever meets a door that does not know whom to let in.
    gateway.reconcile().await;
    gateway.write_state()?;
    let poll = tokio::spawn(readiness::poll(Arc::clone(&core)));
    gateway.serve(ready, stop).await;
    poll.abort();
    gateway.drain().await;
    Ok(())
}

impl Gateway {
    async fn serve(&mut self, ready: impl FnOnce(), stop: impl Future<Output = ()>) {
        let mut ready = Some(ready);
        let mut tick = interval(limits::FILE_POLL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut health = self.core.watch_health();
        let mut stop = std::pin::pin!(stop);
        loop {
            if self.client_door.are_open(&self.settings.client_door.listen)
                && let Some(ready) = ready.take()
            {
                ready();
            }
            tokio::select! {
                () = &mut stop => return,
                _ = tick.tick() => self.reconcile().await,
                _ = health.changed() => {}
            }
            if let Err(error) = self.write_state() {
                // The charm sees an old state and promises nothing new; serving goes on.
                tracing::error!(%error, "state not written");
            }
        }
    }

    async fn drain(&mut self) {
        self.client_door.close_all();
        self.peer_door.close_all();
        if let Err(error) = self.write_state() {
            tracing::error!(%error, "state not written");
        }
        let drained = async {
            self.client_door.drained().await;
            self.peer_door.drained().await;
        };
        if timeout(limits::DRAIN, drained).await.is_err() {
            tracing::warn!("cannot wait any longer for open requests");
        }
    }

    /// Looks at every file once and brings into effect what changed.
    async fn reconcile(&mut self) {
        let before = std::mem::take(&mut self.faults);
        // What is not looked at anew keeps its fault.
        self.faults = Faults {
            settings: before.settings.clone(),
            users: before.users.clone(),
            certificate: before.certificate.clone(),
            client_door: None,
            peer_door: None,
        };
        self.reload_users();
        self.reload_settings();
        self.reload_certificate();
        self.open_doors().await;
        if self.faults != before {
            match self.faults.line(Health::NotReady) {
                Some(fault) => tracing::warn!(fault, "not served as written"),
                None => tracing::info!("served as written"),
            }
        }
    }

    fn reload_settings(&mut self) {
        let stamp = Stamp::of(&self.settings_path);
        if stamp == self.settings_stamp {
            return;
        }
        self.settings_stamp = stamp;
        let read = files::read_settings(&self.settings_path);
        let (settings, generation) = match read {
            Ok(read) => read,
            Err(error) => {
                self.faults.settings = Some(one_line(&error));
                return;
            }
        };
        self.faults.settings = None;
        self.settings_generation = generation;
        if settings == self.settings {
            return;
        }
        self.settings = settings;
        self.users_file.clone_from(&self.settings.users_file);
        if self.settings.peer_door.is_none() {
            self.connector = None;
        }
        self.rebuild_backend();
        tracing::info!("settings changed");
        self.reload_users();
    }

    fn reload_users(&mut self) {
        let path = Path::new(&self.users_file);
        let stamp = Stamp::of(path);
        if self.users_stamp == Some(stamp) && self.faults.users.is_none() {
            return;
        }
        let changed = self.users_stamp != Some(stamp);
        self.users_stamp = Some(stamp);
        if !changed && stamp.is_some() {
            return;
        }
        match files::read_users(path) {
            Ok(users) => {
                self.faults.users = None;
                tracing::info!(
                    generation = users.generation,
                    users = users.len(),
                    "users changed"
                );
                self.core.set_users(users);
            }
            Err(error) => self.faults.users = Some(one_line(&error)),
        }
    }

    fn reload_certificate(&mut self) {
        let Some(door) = &self.settings.peer_door else {
            self.tls_stamps = None;
            self.faults.certificate = None;
            return;
        };
        let files_of = |door: &PeerDoor| {
            (
                door.certificate_file.clone(),
                door.key_file.clone(),
                door.ca_file.clone(),
            )
        };
        let stamps = tls::stamps(door);
        let same = self
            .tls_stamps
            .as_ref()
            .is_some_and(|(of, seen)| *seen == stamps && files_of(of) == files_of(door));
        if same {
            return;
        }
        self.tls_stamps = Some((door.clone(), stamps));
        match tls::load(door) {
            Ok(PeerTls { server, connector }) => {
                self.faults.certificate = None;
                match &self.tls {
                    Some(tls) => {
                        tls.send_replace(server);
                    }
                    None => self.tls = Some(watch::Sender::new(server)),
                }
                self.connector = Some(connector);
                self.rebuild_backend();
                tracing::info!("certificate changed");
            }
            Err(error) => self.faults.certificate = Some(one_line(&error)),
        }
    }

    fn rebuild_backend(&mut self) {
        // Settings were checked when read, so there is always a backend.
        if let Some(backend) = Backend::new(&self.settings, self.connector.as_ref()) {
            self.core.set_backend(backend);
        }
    }

    async fn open_doors(&mut self) {
        let fault = |door: &str, (address, error): (std::net::SocketAddr, io::Error)| {
            format!("cannot open the {door} door on {address}: {error}")
        };
        let wanted = &self.settings.client_door.listen;
        let opened = self
            .client_door
            .reconcile(wanted, &None, &mut self.inherited)
            .await;
        self.faults.client_door = opened.err().map(|error| fault("client", error));
        let tls = self.tls.as_ref().map(watch::Sender::subscribe);
        match (&self.settings.peer_door, tls) {
            (Some(door), Some(tls)) => {
                let opened = self
                    .peer_door
                    .reconcile(&door.listen, &Some(tls), &mut self.inherited)
                    .await;
                self.faults.peer_door = opened.err().map(|error| fault("peer", error));
            }
            // Without a certificate it never opened; `certificate` says why.
            (Some(_), None) => {}
            (None, _) => {
                self.peer_door.close_all();
                self.tls = None;
            }
        }
    }

    fn state(&self) -> State {
        let health = self.core.health();
        let peer = self.settings.peer_door.as_ref();
        State {
            users_generation: self.core.users().generation.clone(),
            settings_generation: self.settings_generation.clone(),
            client_door: self.client_door.are_open(&self.settings.client_door.listen),
            peer_door: peer.is_some_and(|door| self.peer_door.are_open(&door.listen)),
            worker_healthy: health == Health::Ready,
            fault: self.faults.line(health),
        }
    }

    fn write_state(&mut self) -> Result<(), RunError> {
        let state = self.state();
        if self.written.as_ref() == Some(&state) {
            return Ok(());
        }
        let path = PathBuf::from(&self.settings.state_file);
        let error = |source| RunError::State {
            path: path.clone(),
            source,
        };
        let text = serde_json::to_vec_pretty(&state).map_err(|source| error(source.into()))?;
        files::replace(&path, &text).map_err(error)?;
        self.written = Some(state);
        Ok(())
    }
}

/// An error with its causes, for a state that has one line for it.
fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
