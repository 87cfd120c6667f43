//! `kafka-connect-gateway hold`, `release` and `leave`: a unit asks all gateways of its group to hold
//! writes before its worker is stopped, and to let them go on when it is gone; and its own, before it
//! is removed, whether clients have gone.
//!
//! Best effort: a gateway that cannot be asked, or is of a version that does not know the request,
//! costs a longer stop and no more. What each of them does is in [`crate::holds`] and
//! [`crate::leaving`].

use std::sync::Arc;
use std::time::Duration;

use connect_core::gateway::Settings;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::body::whole;
use crate::core::{Backend, Peer};
use crate::limits;
use crate::tls::Roots;
use crate::upstream::Upstream;

/// What [`ask`] returns of a gateway that did as it was asked.
pub const DONE: &str = "done";

/// What is asked of the gateways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Hold writes, and answer when those that are under way are done, and what follows them.
    Hold,
    /// Let them go on.
    Release,
    /// Answer when clients ask the other units; for our own gateway, if there are others.
    Leave,
}

impl Wish {
    /// The path of the request, at the peer door only. Kafka Connect has none like it.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Hold => "/gateway/writes/hold",
            Self::Release => "/gateway/writes/release",
            Self::Leave => "/gateway/leave",
        }
    }

    /// Longest time an answer takes.
    fn patience(self) -> Duration {
        match self {
            Self::Hold | Self::Release => limits::HOLD_DRAIN,
            Self::Leave => limits::LEAVE,
        }
    }

    /// What a request asks for; `None` if it is one to the worker.
    #[must_use]
    pub fn of(method: &Method, path: &str) -> Option<Self> {
        [Self::Hold, Self::Release, Self::Leave]
            .into_iter()
            .find(|wish| *method == Method::POST && path == wish.path())
    }
}

/// Asks every gateway of the group, our own included, at the same time; with [`Wish::Leave`] our own
/// only. After [`Wish::Hold`] it returns once none of them has had a write for [`limits::QUIET`], as
/// far as each can tell within [`limits::HOLD_DRAIN`]. Returns whom it asked and what each answered,
/// for the log.
pub async fn ask(settings: &Settings, roots: &Roots, wish: Wish) -> Vec<(String, String)> {
    let Some(backend) = Backend::new(settings, Some(&roots.connector)).map(Arc::new) else {
        return Vec::new();
    };
    let own = settings.peer_door.iter().flat_map(|door| &door.listen);
    let own = own
        .take(1)
        .map(|&address| Upstream::tls(address, roots.connector.clone()));
    if wish == Wish::Leave && backend.peers.is_empty() {
        // Nobody to go to.
        return Vec::new();
    }
    let others = match wish {
        Wish::Hold | Wish::Release => backend.peers.len(),
        Wish::Leave => 0,
    };
    let mut asked = JoinSet::new();
    for upstream in own {
        let backend = Arc::clone(&backend);
        asked.spawn(async move { ("this unit".to_owned(), one(&backend, &upstream, wish).await) });
    }
    for number in 0..others {
        let backend = Arc::clone(&backend);
        asked.spawn(async move {
            let Peer { unit, upstream, .. } = &backend.peers[number];
            (unit.clone(), one(&backend, upstream, wish).await)
        });
    }
    let mut outcomes = Vec::new();
    for (unit, outcome) in asked.join_all().await {
        let told = outcome.map_or_else(|message| message, |()| DONE.to_owned());
        outcomes.push((unit, told));
    }
    outcomes
}

async fn one(backend: &Backend, upstream: &Upstream, wish: Wish) -> Result<(), String> {
    let mut request = Request::new(whole(""));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = hyper::Uri::from_static(wish.path());
    let host = HeaderValue::try_from(upstream.address().to_string());
    let host = host.map_err(|error| error.to_string())?;
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.insert(AUTHORIZATION, backend.internal.for_peer().clone());
    let limit = limits::CONNECT_TIMEOUT + wish.patience();
    let sent = timeout(limit, upstream.send(request, false, limit)).await;
    let answer = match sent {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(crate::service::chain(&error)),
        Err(_) => return Err("cannot wait any longer for an answer".to_owned()),
    };
    if answer.status() != StatusCode::NO_CONTENT {
        return Err(format!("answered {}", answer.status()));
    }
    Ok(())
}
