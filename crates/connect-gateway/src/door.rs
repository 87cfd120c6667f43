//! A door: listeners, connections, their limits, and closing without cutting anybody off.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::access::{self, Door};
use crate::core::Core;
use crate::limits;
use crate::stall::Stall;

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

/// TLS for connections accepted from now on; `None` for plain HTTP.
pub type Tls = Option<watch::Receiver<Arc<ServerConfig>>>;

struct Listening {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// The listeners of one door.
pub struct Listeners {
    door: Door,
    core: Arc<Core>,
    open: HashMap<SocketAddr, Listening>,
    places: Arc<Semaphore>,
    per_address: Arc<PerAddress>,
    closing: Vec<JoinHandle<()>>,
}

impl Listeners {
    /// A door that is closed.
    #[must_use]
    pub fn new(door: Door, core: Arc<Core>) -> Self {
        Self {
            door,
            core,
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
        tls: &Tls,
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
                tls: tls.clone(),
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

    /// Stops accepting; requests that are under way go on.
    pub fn close_all(&mut self) {
        let open: Vec<_> = self.open.keys().copied().collect();
        for address in open {
            self.close(address);
        }
    }

    /// Waits until every connection of closed listeners is done.
    pub async fn drained(&mut self) {
        for task in self.closing.drain(..) {
            if let Err(error) = task.await {
                tracing::error!(%error, "door failed");
            }
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
    tls: Tls,
    places: Arc<Semaphore>,
    per_address: Arc<PerAddress>,
}

impl Accept {
    async fn run(self, listener: TcpListener, mut stopped: oneshot::Receiver<()>) {
        let graceful = GracefulShutdown::new();
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
                    let core = Arc::clone(&self.core);
                    let connection = connection(
                        self.door,
                        core,
                        self.tls.clone(),
                        stream,
                        remote,
                        graceful.watcher(),
                    );
                    tokio::spawn(async move {
                        connection.await;
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
        graceful.shutdown().await;
    }

    /// Whether the address may have one more connection.
    fn admit(&self, remote: IpAddr) -> Option<Share> {
        if self.door == Door::Peer && !self.core.backend().allowed.contains(&remote) {
            tracing::warn!(target: "audit", door = "peer", address = %remote, "address refused");
            return None;
        }
        PerAddress::take(&self.per_address, remote)
    }
}

async fn connection(
    door: Door,
    core: Arc<Core>,
    tls: Tls,
    stream: TcpStream,
    remote: IpAddr,
    watcher: Watcher,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let Some(tls) = tls else {
        return http(door, core, stream, remote, watcher).await;
    };
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.borrow()));
    match timeout(limits::HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => http(door, core, stream, remote, watcher).await,
        Ok(Err(error)) => tracing::debug!(%error, address = %remote, "cannot agree on TLS"),
        Err(_) => tracing::debug!(address = %remote, "cannot wait any longer for TLS"),
    }
}

async fn http<T>(door: Door, core: Arc<Core>, stream: T, remote: IpAddr, watcher: Watcher)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let core = Arc::clone(&core);
        async move { Ok::<_, Infallible>(access::serve(core, door, remote, request).await) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADER_TIMEOUT)
        .max_headers(limits::HEADER_FIELDS)
        .max_header_size(limits::HEAD_BYTES)
        .max_buf_size(limits::BUFFER_BYTES);
    let connection = builder.serve_connection(TokioIo::new(Stall::new(stream)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, address = %remote, "connection ended");
    }
}

/// Connections per source address.
#[derive(Debug, Default)]
struct PerAddress(Mutex<HashMap<IpAddr, usize>>);

/// One connection's share; dropping it gives it back.
struct Share(Arc<PerAddress>, IpAddr);

impl PerAddress {
    fn take(all: &Arc<Self>, address: IpAddr) -> Option<Share> {
        let mut counts = all.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_insert(0);
        if *count >= limits::CONNECTIONS_PER_ADDRESS {
            return None;
        }
        *count += 1;
        Some(Share(Arc::clone(all), address))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.1);
            }
        }
    }
}
