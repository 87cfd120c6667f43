//! One connection: what it speaks, its requests, and its end.
//!
//! A door that closes lingers: while it does, every answer ends its connection, so that a client
//! with a request on its way is answered and comes back by a new connection. Only what stays
//! silent all the while is closed without an answer.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use connect_core::gateway::Protocol;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::access::{self, Door};
use crate::core::Core;
use crate::limits;
use crate::stall::Stall;

/// The first byte of a TLS connection: a handshake record. No HTTP method starts with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// What new connections are spoken to in.
#[derive(Debug, Clone)]
pub struct Speech {
    /// Plain, TLS or either.
    pub protocol: Protocol,
    /// For TLS; without it TLS connections are closed.
    pub tls: Option<Arc<ServerConfig>>,
}

/// How far a door is with closing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It accepts connections.
    Open,
    /// It accepts none, and answers end their connections.
    Lingering,
    /// Silent connections are closed.
    Closing,
}

/// A connection that was let in.
pub(crate) struct Connection {
    pub(crate) door: Door,
    pub(crate) core: Arc<Core>,
    pub(crate) speech: Speech,
    pub(crate) remote: IpAddr,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) watcher: Watcher,
}

impl Connection {
    /// Serves until either side has enough.
    pub(crate) async fn serve(self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let mut phase = self.phase.clone();
        let remote = self.remote;
        let closing = phase.wait_for(|phase| *phase == Phase::Closing);
        let encrypted = tokio::select! {
            encrypted = self.is_encrypted(&stream) => encrypted,
            _ = closing => return,
        };
        match encrypted {
            Ok(false) => self.http(stream).await,
            Ok(true) => {
                let Some(tls) = self.speech.tls.clone() else {
                    return tracing::debug!(address = %remote, "cannot speak TLS");
                };
                let acceptor = TlsAcceptor::from(tls);
                let closing = phase.wait_for(|phase| *phase == Phase::Closing);
                let accepted = tokio::select! {
                    accepted = in_time(limits::HANDSHAKE_TIMEOUT, acceptor.accept(stream)) => accepted,
                    _ = closing => return,
                };
                match accepted {
                    Ok(stream) => self.http(stream).await,
                    Err(error) => {
                        tracing::debug!(%error, address = %remote, "cannot agree on TLS");
                    }
                }
            }
            Err(error) => tracing::debug!(%error, address = %remote, "cannot read a first byte"),
        }
    }

    async fn is_encrypted(&self, stream: &TcpStream) -> io::Result<bool> {
        match self.speech.protocol {
            Protocol::Http => Ok(false),
            Protocol::Https => Ok(true),
            Protocol::Both => {
                let mut first = [0];
                let length = in_time(limits::HEADER_TIMEOUT, stream.peek(&mut first)).await?;
                if length == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(first == [TLS_HANDSHAKE])
            }
        }
    }

    async fn http<T>(self, stream: T)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self {
            door,
            core,
            remote,
            phase,
            watcher,
            ..
        } = self;
        let service = service_fn(move |request| {
            let core = Arc::clone(&core);
            let phase = phase.clone();
            async move {
                let mut response = access::serve(core, door, remote, request).await;
                if *phase.borrow() > Phase::Open {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(CONNECTION, close);
                }
                Ok::<_, Infallible>(response)
            }
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
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let done = timeout(limit, work).await;
    done.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
