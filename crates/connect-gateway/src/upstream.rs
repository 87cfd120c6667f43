//! One worker or peer gateway that requests are sent to.
//!
//! What matters here is telling apart "provably never sent" and "broke somewhere in the middle":
//! only the first may be repeated for a request that changes something. Such requests therefore
//! get a connection of their own, so that a stale kept-alive one cannot blur the difference.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::body::{Body, BodyError};
use crate::{lanes, limits};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection: the request was not sent.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The connection broke after the request may have been sent.
    #[error("cannot read an answer from {address}")]
    Broken {
        /// Where from.
        address: SocketAddr,
        /// Why.
        source: hyper::Error,
    },
    /// The connection broke inside the answer.
    #[error("cannot read the answer from {address} to its end")]
    Truncated {
        /// Where from.
        address: SocketAddr,
        /// Why.
        source: BodyError,
    },
    /// No answer in time.
    #[error("cannot wait any longer for an answer from {address}")]
    Timeout {
        /// Where from.
        address: SocketAddr,
    },
}

struct Idle {
    sender: SendRequest<Body>,
    /// Where its connection is served: from elsewhere it would be slow.
    lane: usize,
    since: Instant,
}

/// A worker or peer gateway, with its idle connections.
pub struct Upstream {
    address: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    idle: Mutex<Vec<Idle>>,
}

impl Upstream {
    /// A worker on loopback, plain HTTP.
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            tls: None,
            idle: Mutex::default(),
        }
    }

    /// A peer's door, TLS; its certificate must name the address.
    #[must_use]
    pub fn tls(address: SocketAddr, connector: TlsConnector) -> Self {
        let name = ServerName::IpAddress(address.ip().into());
        Self {
            address,
            tls: Some((connector, name)),
            idle: Mutex::default(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// `reuse` allows an idle connection; leave it off for requests that change something.
    ///
    /// # Errors
    /// [`SendError::Connect`]: provably not sent. Otherwise nobody knows.
    pub async fn send(
        &self,
        mut request: Request<Body>,
        reuse: bool,
        first_byte: Duration,
    ) -> Result<Response<Incoming>, SendError> {
        let address = self.address;
        while let Some(mut sender) = self.idle(reuse) {
            match timeout(first_byte, sender.try_send_request(request)).await {
                Ok(Ok(response)) => {
                    self.keep(sender);
                    return Ok(response);
                }
                // The worker had closed the connection before a byte was written: take another.
                Ok(Err(mut error)) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => {
                        return Err(SendError::Broken {
                            address,
                            source: error.into_error(),
                        });
                    }
                },
                Err(_) => return Err(SendError::Timeout { address }),
            }
        }
        let mut sender = timeout(first_byte.min(limits::CONNECT_TIMEOUT), self.connect())
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|source| SendError::Connect { address, source })?;
        match timeout(first_byte, sender.send_request(request)).await {
            Ok(Ok(response)) => {
                self.keep(sender);
                Ok(response)
            }
            Ok(Err(source)) => Err(SendError::Broken { address, source }),
            Err(_) => Err(SendError::Timeout { address }),
        }
    }

    async fn connect(&self) -> io::Result<SendRequest<Body>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => handshake(TokioIo::new(stream)).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await?;
                handshake(TokioIo::new(stream)).await
            }
        }
    }

    /// An idle connection on which the previous answer has been read to its end.
    fn idle(&self, reuse: bool) -> Option<SendRequest<Body>> {
        if !reuse {
            return None;
        }
        let here = lanes::here();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|one| {
            !one.sender.is_closed() && one.since.elapsed() < limits::IDLE_UPSTREAM_AGE
        });
        let at = idle
            .iter()
            .rposition(|one| one.lane == here && one.sender.is_ready())?;
        Some(idle.swap_remove(at).sender)
    }

    /// Puts a connection back; it becomes usable once its answer has been read to its end.
    fn keep(&self, sender: SendRequest<Body>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < limits::IDLE_UPSTREAM {
            idle.push(Idle {
                sender,
                lane: lanes::here(),
                since: Instant::now(),
            });
        }
    }
}

async fn handshake<T>(io: TokioIo<T>) -> io::Result<SendRequest<Body>>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_headers(limits::HEADER_FIELDS);
    let (sender, connection) = builder.handshake(io).await.map_err(io::Error::other)?;
    // Ends by itself with the sender, the peer or the answer that is being read.
    tokio::spawn(connection);
    Ok(sender)
}
