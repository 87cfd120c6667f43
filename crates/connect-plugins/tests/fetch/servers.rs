//! Servers that misbehave.

use std::time::{Duration, Instant};

use connect_plugins::{Admitted, BundleError, Fault, Proxies, SafeUrl};
use testkit::archive::plugin::bundle;
use testkit::{Behaviour, Body, MisbehavingServer};

use crate::corpus::Verdict;
use crate::measured::{check, check_url};
use crate::place::{Place, run};

fn body() -> Body {
    bundle().into()
}

#[test]
fn odd_servers_that_deliver_are_fine() {
    let jars = [
        "acme-connector/acme-1.0.jar",
        "acme-connector/lib/helper.jar",
    ];
    let stored = Verdict::Stored(jars.map(str::to_owned).to_vec());
    let ok = |headers: &[(&str, &str)]| Behaviour::Ok {
        body: body(),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    };
    let rows = [
        (
            "chunked",
            Behaviour::Chunked {
                body: body(),
                size: 700,
            },
        ),
        ("until close", Behaviour::UntilClose { body: body() }),
        (
            "trickle",
            Behaviour::Trickle {
                body: body(),
                bytes: 1000,
                every_ms: 1,
            },
        ),
        ("unasked gzip", Behaviour::Gzipped { body: body() }),
        (
            "a content type that lies",
            ok(&[("Content-Type", "text/html")]),
        ),
        (
            "a content encoding that lies",
            ok(&[("Content-Encoding", "gzip")]),
        ),
        (
            "a content encoding nobody knows",
            ok(&[("Content-Encoding", "sdch")]),
        ),
        (
            "a file name that leaves",
            ok(&[(
                "Content-Disposition",
                "attachment; filename=\"../../x.jar\"",
            )]),
        ),
        ("a cookie", ok(&[("Set-Cookie", "a=b; Path=/")])),
        (
            "five redirects",
            Behaviour::RedirectChain {
                times: 5,
                to: "/there".into(),
            },
        ),
        (
            "user and password",
            Behaviour::Basic {
                credentials: "Ym9iOmh1bnRlcjI=".into(),
                body: body(),
            },
        ),
    ];
    let server = MisbehavingServer::start().unwrap();
    server.on("/there", Behaviour::ok(bundle()));
    let url = server
        .url("/plugin")
        .replace("http://", "http://bob:hunter2@");
    let wrong: Vec<String> = rows
        .into_iter()
        .filter_map(|(name, behaviour)| {
            server.on("/plugin", behaviour);
            check_url(&url, name, &[], &stored)
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_fault_is_named_and_leaves_nothing() {
    let server = MisbehavingServer::start().unwrap();
    server.on("/there", Behaviour::ok(bundle()));
    let wrong: Vec<String> = faults()
        .into_iter()
        .filter_map(|(name, behaviour, message)| {
            let message = if message.starts_with("cannot") {
                message.to_owned()
            } else {
                let from = server.address();
                format!("cannot download: {message} ({from})")
            };
            // Short only where the test waits for it: a busy machine is slow at anything.
            let options: &[&str] = match name {
                _ if name.starts_with("stall") => &["first-byte-ms=500", "stall-ms=500"],
                "trickle" => &["total-ms=900"],
                "slow" => &["slowest-bytes=1024", "slowest-ms=200"],
                _ if name.starts_with("endless") => &["compressed=1048576"],
                _ => &[],
            };
            let options: Vec<String> = options.iter().map(|it| (*it).to_owned()).collect();
            check(
                &server,
                name,
                behaviour,
                &options,
                &Verdict::Refused(message),
            )
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Ways to misbehave, and what is said of each.
fn faults() -> Vec<(&'static str, Behaviour, &'static str)> {
    const EARLY: &str = "it closed the connection early";
    const NOT_HTTP: &str = "its answer is not usable HTTP";
    const TOO_MANY: &str = "it redirects more than 5 times";
    const ELSEWHERE: &str = "it redirects to something that is not an http URL";
    const LARGE: &str = "cannot unpack the plugin: the archive is larger than 1 MiB";
    const TRUNCATED: &str = "cannot unpack the plugin: the archive is truncated";
    vec![
        ("404", Behaviour::status(404), "it answered 404 Not Found"),
        (
            "500",
            Behaviour::status(500),
            "it answered 500 Internal Server Error",
        ),
        (
            "503",
            Behaviour::status(503),
            "it answered 503 Service Unavailable",
        ),
        ("418", Behaviour::status(418), "it answered 418"),
        ("429", Behaviour::status(429), "it answered 429"),
        ("304 unasked", Behaviour::status(304), "it answered 304"),
        (
            "206 unasked",
            Behaviour::Status {
                code: 206,
                body: Some(body()),
            },
            "it answered 206",
        ),
        (
            "203",
            Behaviour::Status {
                code: 203,
                body: Some(body()),
            },
            "it answered 203",
        ),
        ("204", Behaviour::NoContent, "it answered 204"),
        (
            "401",
            Behaviour::Basic {
                credentials: "x".into(),
                body: body(),
            },
            "it answered 401 Unauthorized",
        ),
        (
            "a bundle under 404",
            Behaviour::Status {
                code: 404,
                body: Some(body()),
            },
            "it answered 404 Not Found",
        ),
        (
            "six redirects",
            Behaviour::RedirectChain {
                times: 6,
                to: "/there".into(),
            },
            TOO_MANY,
        ),
        ("redirect loop", Behaviour::RedirectLoop, TOO_MANY),
        (
            "redirect to a file",
            Behaviour::redirect("file:///etc/passwd"),
            ELSEWHERE,
        ),
        (
            "redirect to ftp",
            Behaviour::redirect("ftp://127.0.0.1/x.tar"),
            ELSEWHERE,
        ),
        (
            "redirect to 404",
            Behaviour::redirect("/nothing"),
            "it answered 404 Not Found",
        ),
        (
            "redirect to nowhere",
            Behaviour::Redirect {
                code: 302,
                to: String::new(),
            },
            TOO_MANY,
        ),
        ("close before head", Behaviour::CloseBeforeHead, EARLY),
        (
            "close mid-body",
            Behaviour::CloseMidBody {
                body: body(),
                after: 2000,
            },
            EARLY,
        ),
        (
            "chunked and cut",
            Behaviour::ChunkedCut {
                body: body(),
                after: 2000,
            },
            EARLY,
        ),
        (
            "chunks that are no number",
            Behaviour::ChunkedGarbage,
            EARLY,
        ),
        (
            "length too long",
            Behaviour::ContentLength {
                body: body(),
                claim: 20_000,
            },
            EARLY,
        ),
        (
            "length too short",
            Behaviour::ContentLength {
                body: body(),
                claim: 1500,
            },
            TRUNCATED,
        ),
        (
            "cut without a sign",
            Behaviour::UntilClose {
                body: bundle()[..1500].to_vec().into(),
            },
            TRUNCATED,
        ),
        ("not HTTP", Behaviour::Garbage, NOT_HTTP),
        ("head without end", Behaviour::EndlessHead, NOT_HTTP),
        (
            "stall before head",
            Behaviour::StallBeforeHead,
            "no answer within 500 ms",
        ),
        (
            "stall before body",
            Behaviour::StallBeforeBody,
            "it sent nothing for 500 ms",
        ),
        (
            "stall mid-body",
            Behaviour::StallMidBody {
                body: body(),
                after: 2000,
            },
            "it sent nothing for 500 ms",
        ),
        (
            "trickle",
            Behaviour::Trickle {
                body: body(),
                bytes: 10,
                every_ms: 10,
            },
            "not complete within 900 ms",
        ),
        (
            "slow",
            Behaviour::Trickle {
                body: body(),
                bytes: 10,
                every_ms: 10,
            },
            "it sends less than 1 KiB in 200 ms",
        ),
        (
            "endless after a good bundle",
            Behaviour::Endless { body: body() },
            LARGE,
        ),
        (
            "endless zeros",
            Behaviour::Endless {
                body: Body::default(),
            },
            LARGE,
        ),
        (
            "endless by its length",
            Behaviour::ContentLength {
                body: body(),
                claim: 1 << 40,
            },
            LARGE,
        ),
        (
            "page",
            Behaviour::ok("<!doctype html><p>Welcome"),
            "cannot use the plugin: the server sent an HTML page, not an archive",
        ),
        (
            "empty",
            Behaviour::Empty,
            "cannot use the plugin: the server sent an empty body",
        ),
        (
            "another answer at the second request",
            Behaviour::Sequence {
                steps: vec![Behaviour::status(502), Behaviour::ok(bundle())],
            },
            "it answered 502 Bad Gateway",
        ),
    ]
}

#[test]
fn nobody_there_is_told_from_no_such_name() {
    let place = Place::new();
    // Bound but not listening: the port stays ours, and connections are refused.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let bound = socket.local_addr().unwrap().port();
    let error = run(place.options(&format!("http://127.0.0.1:{bound}/p"))).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot download: connection refused (127.0.0.1:{bound})")
    );
    let error = run(place.options("http://no-such-host.invalid/p")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot download: its name does not resolve (no-such-host.invalid:80)"
    );
    place.assert_holds(&[]);
}

#[test]
fn a_private_ca_is_trusted_only_when_given() {
    let place = Place::with(MisbehavingServer::start_tls().unwrap());
    place.server.on("/plugin", Behaviour::ok(bundle()));
    let mut options = place.options(&place.server.url("/plugin"));
    let error = run(options.clone()).unwrap_err();
    let told = error.to_string();
    // A machine without any CA certificate cannot even try.
    assert!(
        told.contains("TLS failed") || told.contains("no CA certificates"),
        "{error:?}"
    );
    options.extra_ca_pem = vec![place.server.ca_pem().unwrap().as_bytes().to_vec()];
    assert!(matches!(run(options), Ok(Admitted::Stored(_))));
}

#[test]
fn tls_is_not_left_by_a_redirect_but_may_be_entered() {
    let plain = MisbehavingServer::start().unwrap();
    plain.on("/plugin", Behaviour::ok(bundle()));
    let place = Place::with(MisbehavingServer::start_tls().unwrap());
    place
        .server
        .on("/down", Behaviour::redirect(plain.url("/plugin")))
        .on("/plugin", Behaviour::ok(bundle()));
    plain.on("/up", Behaviour::redirect(place.server.url("/plugin")));
    let ca = place.server.ca_pem().unwrap().as_bytes().to_vec();

    let mut options = place.options(&place.server.url("/down"));
    options.extra_ca_pem = vec![ca.clone()];
    let error = run(options).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it redirects from https to http"),
        "{error:?}"
    );
    assert!(plain.requests().is_empty());

    let mut options = place.options(&plain.url("/up"));
    options.extra_ca_pem = vec![ca];
    assert!(matches!(run(options), Ok(Admitted::Stored(_))));
}

#[test]
fn credentials_are_sent_to_their_host_alone_and_never_shown() {
    let other = MisbehavingServer::start().unwrap();
    other.on("/there", Behaviour::status(403));
    let place = Place::new();
    place
        .server
        .on("/plugin", Behaviour::redirect(other.url("/there")));
    let url = place
        .server
        .url("/plugin?token=s3cr3t")
        .replace("http://", "http://bob:hunter2@");
    let options = place.options(&url);
    let shown = format!("{options:?}");
    let error = run(options).unwrap_err();
    let mut told = format!("{shown} {error} {error:?}");
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        told.push_str(&cause.to_string());
        source = cause.source();
    }
    for secret in ["bob", "hunter2", "s3cr3t"] {
        assert!(!told.contains(secret), "{told}");
    }
    assert_eq!(
        place.server.requests()[0].header("authorization"),
        Some("Basic Ym9iOmh1bnRlcjI=")
    );
    let elsewhere = &other.requests()[0];
    assert_eq!(elsewhere.header("authorization"), None);
    assert_eq!(elsewhere.header("referer"), None);
}

#[test]
fn a_proxy_is_used_unless_the_host_is_excepted() {
    let place = Place::new();
    // A proxy is asked with the whole URL, which has the same path.
    let proxy = MisbehavingServer::start().unwrap();
    proxy.on("http://plugins.example/plugin", Behaviour::ok(bundle()));
    let mut options = place.options("http://plugins.example/plugin");
    options.proxies = Some(Proxies {
        http: Some(proxy.url("/")),
        https: None,
        no_proxy: Some("127.0.0.0/8,.internal".into()),
    });
    assert!(matches!(run(options.clone()), Ok(Admitted::Stored(_))));
    assert_eq!(proxy.requests().len(), 1);

    place.server.on("/plugin", Behaviour::ok(bundle()));
    options.url = SafeUrl::parse(&place.server.url("/plugin")).unwrap();
    assert!(matches!(run(options), Ok(Admitted::Stored(_))));
    assert_eq!(proxy.requests().len(), 1);
}

#[test]
fn bad_settings_are_this_machines_fault() {
    let place = Place::new();
    let mut options = place.options(&place.server.url("/plugin"));
    options.extra_ca_pem =
        vec![b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n".to_vec()];
    let error = run(options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot set up downloads: an extra CA certificate is not readable"
    );
    assert_eq!(error.fault(), Fault::Machine);
    place.assert_holds(&[]);
}

#[test]
fn a_fetch_that_is_given_up_leaves_nothing() {
    let place = Place::new();
    place.server.on(
        "/plugin",
        Behaviour::StallMidBody {
            body: body(),
            after: 2000,
        },
    );
    let options = place.options(&place.server.url("/plugin"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let fetched = runtime.block_on(async {
        tokio::time::timeout(Duration::from_millis(200), connect_plugins::fetch(options)).await
    });
    assert!(fetched.is_err());
    // The reading thread notices by itself.
    let limit = Instant::now() + Duration::from_secs(5);
    while Instant::now() < limit && !crate::place::children(&place.staging()).is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    place.assert_holds(&[]);
}

#[test]
fn a_full_or_forbidden_disk_is_this_machines_fault() {
    let place = Place::new();
    place.server.on("/plugin", Behaviour::ok(bundle()));
    let mut options = place.options(&place.server.url("/plugin"));
    options.store = "/proc/nowhere".into();
    let error = run(options).unwrap_err();
    assert!(matches!(error, BundleError::Write { .. }), "{error:?}");
    assert_eq!(error.fault(), Fault::Machine);
}
