//! The only code that talks to the network.

use std::error::Error;
use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{
    ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION,
};
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Certificate, Client, NoProxy, Proxy, Response, StatusCode};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::error::{BundleError, NetworkCause, Stage};
use crate::limits::Limit;
use crate::options::{Allowed, FetchOptions};
use crate::reference::Reference;
use crate::safe_url::SafeUrl;

const REDIRECTS: usize = 5;

/// Pieces in flight. hyper hands out at most about 400 KiB at once, so this bounds memory.
pub(crate) const PIECES: usize = 8;

/// What the download sends. A channel that closes without `End` means that it failed.
#[derive(Debug)]
pub(crate) enum Piece {
    Bytes(Bytes),
    End,
}

const NOT_HTTP: &str = "it redirects to something that is not an http URL";

/// What the server said about the version it served, for asking conditionally later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Validators {
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
}

/// A response whose head is fine, before its body.
pub(crate) struct Answer {
    response: Response,
    authority: String,
    pub(crate) validators: Validators,
}

/// Asks, conditionally if something is known already. None: it has not changed since, by status or
/// by its tag, and nothing more is read.
pub(crate) async fn ask(
    options: &FetchOptions,
    known: Option<&Reference>,
) -> Result<Option<Answer>, BundleError> {
    let authority = options.url.authority();
    if !options.allowed.host(options.url.host()) {
        return Err(BundleError::HostNotAllowed { authority });
    }
    let times = &options.timeouts;
    let mut request = client(options)?.get(options.url.expose().clone());
    for (name, value) in [
        (IF_NONE_MATCH, known.and_then(|known| known.etag.as_ref())),
        (
            IF_MODIFIED_SINCE,
            known.and_then(|known| known.last_modified.as_ref()),
        ),
    ] {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    let response = timeout(times.first_byte, request.send())
        .await
        .map_err(|_| BundleError::Timeout {
            authority: authority.clone(),
            stage: Stage::FirstByte,
            limit: times.first_byte,
        })?
        .map_err(|error| classify(error, &authority, times.connect))?;
    if known.is_some() && response.status() == StatusCode::NOT_MODIFIED {
        return Ok(None);
    }
    check(&response, options, &authority)?;
    let validators = Validators {
        etag: header(response.headers(), &ETAG),
        last_modified: header(response.headers(), &LAST_MODIFIED),
    };
    // Many servers give a version's tag and never answer 304.
    if validators.etag.is_some() && known.is_some_and(|known| known.etag == validators.etag) {
        return Ok(None);
    }
    Ok(Some(Answer {
        response,
        authority,
        validators,
    }))
}

/// Downloads the body into the channel. `End` is sent only after the last byte. When the receiver
/// is gone the reader has made up its mind, and that is no error here.
pub(crate) async fn download(
    answer: Answer,
    options: &FetchOptions,
    pieces: mpsc::Sender<Piece>,
) -> Result<(), BundleError> {
    let Answer {
        mut response,
        authority,
        validators: _,
    } = answer;
    let times = &options.timeouts;
    let mut served = 0_u64;
    let (mut stretch, mut waited) = (0_u64, Duration::ZERO);
    loop {
        let asked = Instant::now();
        let piece = timeout(times.stall, response.chunk())
            .await
            .map_err(|_| BundleError::Timeout {
                authority: authority.clone(),
                stage: Stage::Stall,
                limit: times.stall,
            })?
            .map_err(|error| classify(error, &authority, times.connect))?;
        let Some(bytes) = piece else { break };
        served += bytes.len() as u64;
        stretch += bytes.len() as u64;
        waited += asked.elapsed();
        if waited >= times.slowest.within {
            if stretch < times.slowest.bytes {
                return Err(BundleError::Slow {
                    authority,
                    slowest: times.slowest,
                });
            }
            (stretch, waited) = (0, Duration::ZERO);
        }
        if served > options.limits.compressed {
            return Err(BundleError::TooLarge(Limit::Compressed(
                options.limits.compressed,
            )));
        }
        if pieces.send(Piece::Bytes(bytes)).await.is_err() {
            return Ok(());
        }
    }
    drop(pieces.send(Piece::End).await);
    Ok(())
}

fn check(response: &Response, options: &FetchOptions, authority: &str) -> Result<(), BundleError> {
    let code = response.status().as_u16();
    // The client asks the redirect policy about http URLs only, and hands back any other redirect.
    if response.status().is_redirection() && response.headers().contains_key(LOCATION) {
        return Err(BundleError::Redirect {
            authority: authority.to_owned(),
            reason: NOT_HTTP,
        });
    }
    if code != 200 {
        return Err(BundleError::Status {
            authority: authority.to_owned(),
            code,
        });
    }
    if response
        .content_length()
        .is_some_and(|length| length > options.limits.compressed)
    {
        return Err(BundleError::TooLarge(Limit::Compressed(
            options.limits.compressed,
        )));
    }
    Ok(())
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    (text.len() <= 256).then(|| text.to_owned())
}

fn client(options: &FetchOptions) -> Result<Client, BundleError> {
    let roots = certificates(options)?;
    let built = builder(options)?.tls_certs_merge(roots.clone()).build();
    // Without any CA certificate on this machine the verifier cannot be built; plain http needs none.
    let built = match built {
        Err(_) if options.url.expose().scheme() == "http" => {
            builder(options)?.tls_certs_only(roots).build()
        }
        other => other,
    };
    built.map_err(|error| unusable("no CA certificates can be read", error))
}

fn builder(options: &FetchOptions) -> Result<reqwest::ClientBuilder, BundleError> {
    let mut builder = Client::builder()
        .user_agent(concat!("kafka-connect-charm/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.timeouts.connect)
        .redirect(Policy::custom(follow(options.allowed.clone())))
        // The URL may hold a token, and the next server has no business with it.
        .referer(false)
        // What this process inherited from its environment is not ours to obey: Juju's proxies are
        // passed in.
        .no_proxy();
    if let Some(proxies) = &options.proxies {
        let bypass = proxies.no_proxy.as_deref().and_then(NoProxy::from_string);
        for (url, proxy) in [
            (
                &proxies.http,
                Proxy::http as fn(String) -> reqwest::Result<Proxy>,
            ),
            (&proxies.https, Proxy::https),
        ] {
            if let Some(url) = url.as_ref().filter(|url| !url.is_empty()) {
                let proxy = proxy(url.clone())
                    .map_err(|error| unusable("a proxy setting is not a URL", error))?;
                builder = builder.proxy(proxy.no_proxy(bypass.clone()));
            }
        }
    }
    Ok(builder)
}

fn certificates(options: &FetchOptions) -> Result<Vec<Certificate>, BundleError> {
    let mut all = Vec::new();
    // Checked one by one here, since the client itself reports them only as a store that is broken.
    let mut check = RootCertStore::empty();
    for pem in &options.extra_ca_pem {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(unreadable)?;
            check.add(certificate.clone()).map_err(unreadable)?;
            all.push(Certificate::from_der(&certificate).map_err(unreadable)?);
        }
    }
    Ok(all)
}

fn unreadable(error: impl Error + Send + Sync + 'static) -> BundleError {
    let reason = "an extra CA certificate is not readable";
    BundleError::Client {
        reason,
        source: error.into(),
    }
}

fn unusable(reason: &'static str, error: reqwest::Error) -> BundleError {
    BundleError::Client {
        reason,
        source: error.without_url().into(),
    }
}

/// Why a redirect is not followed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotFollowed(&'static str);

fn follow(allowed: Allowed) -> impl Fn(Attempt<'_>) -> Action + Send + Sync + 'static {
    move |attempt| {
        let from_tls = attempt
            .previous()
            .last()
            .is_some_and(|url| url.scheme() == "https");
        let to = SafeUrl::from(attempt.url().clone());
        if to.check().is_err() {
            attempt.error(NotFollowed(NOT_HTTP))
        } else if from_tls && attempt.url().scheme() == "http" {
            attempt.error(NotFollowed("it redirects from https to http"))
        } else if attempt.previous().len() > REDIRECTS {
            attempt.error(NotFollowed("it redirects more than 5 times"))
        } else if !allowed.host(to.host()) {
            attempt.error(NotFollowed(
                "it redirects to a host that the operator does not allow",
            ))
        } else {
            attempt.follow()
        }
    }
}

/// Names what went wrong, from what the layers below left in the error's sources.
fn classify(error: reqwest::Error, authority: &str, connect: Duration) -> BundleError {
    let authority = authority.to_owned();
    if error.is_timeout() && error.is_connect() {
        return BundleError::Timeout {
            authority,
            stage: Stage::Connect,
            limit: connect,
        };
    }
    let error = error.without_url();
    let mut cause = NetworkCause::Other;
    let mut link: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(at) = link {
        if let Some(NotFollowed(reason)) = at.downcast_ref() {
            return BundleError::Redirect { authority, reason };
        }
        if cause == NetworkCause::Other {
            cause = cause_of(at);
        }
        link = at.source();
    }
    if cause == NetworkCause::Other && (error.is_body() || error.is_decode()) {
        cause = NetworkCause::Closed;
    }
    BundleError::Network {
        authority,
        cause,
        source: error.into(),
    }
}

fn cause_of(link: &(dyn Error + 'static)) -> NetworkCause {
    if link.is::<rustls::Error>() {
        return NetworkCause::Tls;
    }
    if let Some(error) = link.downcast_ref::<io::Error>() {
        // What an IO error wraps is not its source, and may be an IO error again.
        if let Some(inner) = error.get_ref() {
            return cause_of(inner);
        }
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the kinds of IO errors are open-ended"
        )]
        return match error.kind() {
            io::ErrorKind::ConnectionRefused => NetworkCause::Refused,
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                NetworkCause::Unreachable
            }
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => NetworkCause::Closed,
            _ => NetworkCause::Other,
        };
    }
    // hyper and its connector keep these kinds to themselves; their words are held by tests.
    let words = link.to_string();
    if words.contains("dns error") {
        NetworkCause::Name
    } else if words.contains("invalid HTTP") || words.contains("head is too large") {
        NetworkCause::NotHttp
    } else if words.contains("before message completed") || words.contains("connection closed") {
        NetworkCause::Closed
    } else {
        NetworkCause::Other
    }
}
