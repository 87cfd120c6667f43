//! Asking our worker for `/health`, because before its first 200 its other answers are not true.

use std::sync::Arc;

use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, StatusCode};
use tokio::time::timeout;

use crate::body::{collect, whole};
use crate::core::{Backend, Core, Health};
use crate::limits;

/// Polls for ever; ends when its task is dropped.
pub async fn poll(core: Arc<Core>) {
    loop {
        let epoch = core.epoch();
        let backend = core.backend();
        let asked = ask(&backend);
        tokio::pin!(asked);
        let in_time = timeout(limits::HEALTH_GRACE, &mut asked).await;
        let health = if let Ok(health) = in_time {
            health
        } else {
            core.set_health(Health::NotReady, epoch);
            asked.await
        };
        if health != core.health() {
            tracing::info!(?health, "worker health");
        }
        core.set_health(health, epoch);
        let pause = match core.health() {
            Health::Ready => limits::HEALTH_POLL_UP,
            Health::NotReady | Health::Refused => limits::HEALTH_POLL_DOWN,
        };
        // A nudge while the worker is down must not turn this into a busy loop.
        let nudged = timeout(pause, core.check_health.notified()).await.is_ok();
        if nudged {
            tokio::time::sleep(limits::HEALTH_POLL_DOWN / 4).await;
        }
    }
}

/// Tries the first credential each time, so that a worker that learns it is noticed.
async fn ask(backend: &Backend) -> Health {
    let mut health = Health::Refused;
    for (which, credential) in backend.internal.all() {
        health = ask_with(backend, credential).await;
        if health == Health::Ready {
            backend.internal.accepted(which);
        }
        if health != Health::Refused {
            break;
        }
    }
    health
}

async fn ask_with(backend: &Backend, credential: &HeaderValue) -> Health {
    let mut request = Request::new(whole(""));
    *request.uri_mut() = hyper::Uri::from_static("/health");
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, credential.clone());
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Ok(host) = HeaderValue::try_from(backend.worker.address().to_string()) {
        headers.insert(HOST, host);
    }
    let answer = async {
        let response = backend
            .worker
            .send(request, true, limits::HEALTH_TIMEOUT)
            .await
            .ok()?;
        let status = response.status();
        // Read to the end, so that the connection can be used again.
        collect(response.into_body(), limits::HELD_BODY_BYTES)
            .await
            .ok()?;
        Some(status)
    };
    match timeout(limits::HEALTH_TIMEOUT, answer).await {
        Ok(Some(StatusCode::OK)) => Health::Ready,
        Ok(Some(StatusCode::UNAUTHORIZED)) => Health::Refused,
        Ok(_) | Err(_) => Health::NotReady,
    }
}
