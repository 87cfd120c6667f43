//! Serves one file over HTTP: the plugin, to the workers. Runs as its own systemd service, since a
//! hook is too short-lived to serve anything.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

/// Why the plugin cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("cannot start the runtime")]
    Runtime(#[source] std::io::Error),
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("cannot read the plugin `{path}`")]
    Read {
        path: String,
        source: std::io::Error,
    },
}

/// Serves `file` at `/plugin` until the process is told to end.
pub(crate) fn run(address: SocketAddr, file: &Path) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .map_err(ServeError::Runtime)?
        .block_on(serve(address, file))
}

async fn serve(address: SocketAddr, file: &Path) -> Result<(), ServeError> {
    // Bundles are tens of megabytes; one copy in memory is shared by every request.
    let content = tokio::fs::read(file)
        .await
        .map_err(|source| ServeError::Read {
            path: file.display().to_string(),
            source,
        })?;
    let content = Bytes::from(content);
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|source| ServeError::Listen { address, source })?;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors for a moment: the backlog waits.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let content = content.clone();
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let answer = answer(&request, &content);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            // A worker that hangs up is its own business.
            drop(connection.await);
        });
    }
}

fn answer(request: &Request<Incoming>, content: &Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    if request.uri().path() != "/plugin" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    } else {
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
        *response.body_mut() = Full::new(content.clone());
    }
    response
}
