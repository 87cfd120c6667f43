//! A door: listeners, connections, their limits, and closing without cutting anybody off.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::access::Door;
use crate::connection::{Connection, Phase, Speech};
use crate::core::Core;
use crate::lanes::Lanes;
use crate::limits;
use crate::places::{PerAddress, Share};

/// Listeners handed to us by whoever started us, by address (socket activation).
#[derive(Debug, Default)]
pub struct Inherited(HashMap<SocketAddr, std::net::TcpListener>);

impl Inherited {
    /// Takes over listeners that are already bound.
    ///
    /// # Errors
    /// [`io::Error`] if one of them is not usable.
    pub fn new(listeners: Vec<std::net::TcpListener>) -> io::Result<Self> {
        let mut found = HashMap::new();
        for listener in listeners {
            listener.set_nonblocking(true)?;
            found.insert(listener.local_addr()?, listener);
        }
        Ok(Self(found))
    }

    async fn bind(&mut self, address: SocketAddr) -> io::Result<TcpListener> {
        match self.0.remove(&address) {
            Some(listener) => TcpListener::from_std(listener),
            None => TcpListener::bind(address).await,
        }
    }
}

struct Listening {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// The listeners of one door.
pub struct Listeners {
    door: Door,
    core: Arc<Core>,
    lanes: Arc<Lanes>,
    open: HashMap<SocketAddr, Listening>,
    places: Arc<Semaphore>,
    per_address: Arc<PerAddress>,
    closing: Vec<JoinHandle<()>>,
}

impl Listeners {
    /// A door that is closed.
    #[must_use]
    pub fn new(door: Door, core: Arc<Core>, lanes: Arc<Lanes>) -> Self {
        Self {
            door,
            core,
            lanes,
            open: HashMap::new(),
            places: Arc::new(Semaphore::new(limits::CONNECTIONS)),
            per_address: Arc::default(),
            closing: Vec::new(),
        }
    }

    /// Opens what is wanted and not open, then closes what is open and not wanted. If something
    /// cannot be opened, nothing is closed.
    ///
    /// # Errors
    /// The first address that cannot be bound, and why.
    pub async fn reconcile(
        &mut self,
        wanted: &[SocketAddr],
        speech: &watch::Receiver<Speech>,
        inherited: &mut Inherited,
    ) -> Result<(), (SocketAddr, io::Error)> {
        self.closing.retain(|task| !task.is_finished());
        for address in wanted {
            if self.open.contains_key(address) {
                continue;
            }
            let listener = inherited
                .bind(*address)
                .await
                .map_err(|error| (*address, error))?;
            let (stop, stopped) = oneshot::channel();
            let accept = Accept {
                door: self.door,
                core: Arc::clone(&self.core),
                lanes: Arc::clone(&self.lanes),
                speech: speech.clone(),
                places: Arc::clone(&self.places),
                per_address: Arc::clone(&self.per_address),
            };
            let task = tokio::spawn(accept.run(listener, stopped));
            self.open.insert(*address, Listening { stop, task });
            tracing::info!(door = ?self.door, %address, "door opened");
        }
        let unwanted: Vec<_> = self
            .open
            .keys()
            .filter(|open| !wanted.contains(open))
            .copied()
            .collect();
        for address in unwanted {
            self.close(address);
        }
        Ok(())
    }

    /// Whether all of these accept connections.
    #[must_use]
    pub fn are_open(&self, wanted: &[SocketAddr]) -> bool {
        !wanted.is_empty() && wanted.iter().all(|address| self.open.contains_key(address))
    }

    /// Whether any address accepts connections.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Stops accepting; requests that are under way go on.
    pub fn close_all(&mut self) {
        let open: Vec<_> = self.open.keys().copied().collect();
        for address in open {
            self.close(address);
        }
    }

    /// Waits until every connection of closed listeners is done; can be given up and begun again.
    pub async fn drained(&mut self) {
        while let Some(task) = self.closing.last_mut() {
            if let Err(error) = task.await {
                tracing::error!(%error, "door failed");
            }
            self.closing.pop();
        }
    }

    fn close(&mut self, address: SocketAddr) {
        if let Some(Listening { stop, task }) = self.open.remove(&address) {
            // The receiver is only gone if the task is, which is what is asked for.
            let _ = stop.send(());
            self.closing.push(task);
            tracing::info!(door = ?self.door, %address, "door closed");
        }
    }
}

struct Accept {
    door: Door,
    core: Arc<Core>,
    lanes: Arc<Lanes>,
    speech: watch::Receiver<Speech>,
    places: Arc<Semaphore>,
    per_address: Arc<PerAddress>,
}

impl Accept {
    async fn run(self, listener: TcpListener, mut stopped: oneshot::Receiver<()>) {
        let graceful = GracefulShutdown::new();
        let phase = watch::Sender::new(Phase::Open);
        loop {
            let accepted = async {
                let place = Arc::clone(&self.places).acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                accepted = accepted => accepted,
                _ = &mut stopped => break,
            };
            match accepted {
                Ok((stream, remote)) => {
                    let remote = remote.ip().to_canonical();
                    let Some(share) = self.admit(remote) else {
                        continue;
                    };
                    let connection = Connection {
                        door: self.door,
                        core: Arc::clone(&self.core),
                        speech: self.speech.borrow().clone(),
                        remote,
                        phase: phase.subscribe(),
                        watcher: graceful.watcher(),
                    };
                    let stream = match stream.into_std() {
                        Ok(stream) => stream,
                        Err(error) => {
                            tracing::warn!(%error, "cannot take a connection to its thread");
                            continue;
                        }
                    };
                    self.lanes.spawn(async move {
                        match TcpStream::from_std(stream) {
                            Ok(stream) => connection.serve(stream).await,
                            Err(error) => tracing::warn!(%error, "cannot serve a connection"),
                        }
                        drop((share, place));
                    });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: give the others a moment to finish.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        phase.send_replace(Phase::Lingering);
        let nobody = phase.closed();
        // Over at once if there are no connections.
        let _ = timeout(limits::LINGER, nobody).await;
        phase.send_replace(Phase::Closing);
        graceful.shutdown().await;
    }

    /// Whether the address may have one more connection.
    fn admit(&self, remote: IpAddr) -> Option<Share> {
        let known = || self.core.backend().lets_in(remote, Instant::now());
        if self.door == Door::Peer && !known() {
            tracing::warn!(target: "audit", door = "peer", address = %remote, "address refused");
            return None;
        }
        PerAddress::take(&self.per_address, remote)
    }
}
