//! Asking again, pins, and what an operator lets in.

use connect_plugins::{Admitted, Allowed, Digest, Fault, Retry, SafeUrl, remove};
use testkit::archive::TarBuilder;
use testkit::archive::plugin::{SINK, bundle, jar};
use testkit::{Behaviour, MisbehavingServer};

use crate::place::{Place, run};

fn tagged(body: Vec<u8>, headers: &[(&str, &str)]) -> Behaviour {
    Behaviour::Ok {
        body: body.into(),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

fn other() -> Vec<u8> {
    TarBuilder::new()
        .file("b.jar", jar(&[(SINK, "com.b.BSinkConnector")]))
        .finish()
}

#[test]
fn a_server_is_asked_whether_something_changed() {
    const DATE: &str = "Tue, 24 Nov 2026 12:00:00 GMT";
    let place = Place::new();
    place.server.on(
        "/plugin",
        Behaviour::Sequence {
            steps: vec![
                tagged(bundle(), &[("ETag", "\"one\""), ("Last-Modified", DATE)]),
                Behaviour::status(304),
                tagged(other(), &[("Last-Modified", DATE)]),
                Behaviour::status(304),
            ],
        },
    );
    let options = place.options(&place.server.url("/plugin"));
    let Ok(Admitted::Stored(first)) = run(options.clone()) else {
        panic!("a good bundle");
    };
    let Ok(Admitted::Unchanged(again)) = run(options.clone()) else {
        panic!("the same bundle");
    };
    assert_eq!(
        (again.digest, again.contract),
        (first.digest.clone(), first.contract)
    );
    let Ok(Admitted::Stored(second)) = run(options.clone()) else {
        panic!("a new bundle");
    };
    assert_ne!(second.digest, first.digest);
    assert!(
        matches!(run(options), Ok(Admitted::Unchanged(still)) if still.digest == second.digest)
    );
    let asked: Vec<_> = place
        .server
        .requests()
        .iter()
        .map(|request| {
            ["if-none-match", "if-modified-since"]
                .map(|name| request.header(name).map(str::to_owned))
        })
        .collect();
    let (tag, date) = (Some("\"one\"".to_owned()), Some(DATE.to_owned()));
    assert_eq!(
        asked,
        [
            [None, None],
            [tag.clone(), date.clone()],
            [tag, date.clone()],
            [None, date],
        ]
    );
    place.assert_holds(&[first.digest.as_str(), second.digest.as_str()]);
}

#[test]
fn a_tag_that_is_still_the_same_is_enough() {
    let place = Place::new();
    place.server.on(
        "/plugin",
        Behaviour::Sequence {
            steps: vec![
                tagged(bundle(), &[("ETag", "\"one\"")]),
                // Never read: it would be another bundle.
                tagged(other(), &[("ETag", "\"one\"")]),
                tagged(other(), &[("ETag", "\"two\"")]),
            ],
        },
    );
    let options = place.options(&place.server.url("/plugin"));
    let Ok(Admitted::Stored(first)) = run(options.clone()) else {
        panic!("a good bundle");
    };
    assert!(
        matches!(run(options.clone()), Ok(Admitted::Unchanged(same)) if same.digest == first.digest)
    );
    assert!(matches!(run(options), Ok(Admitted::Stored(next)) if next.digest != first.digest));
}

#[test]
fn nothing_is_asked_conditionally_that_we_do_not_have() {
    let place = Place::new();
    place
        .server
        .on("/plugin", tagged(bundle(), &[("ETag", "\"one\"")]));
    let options = place.options(&place.server.url("/plugin"));
    let Ok(Admitted::Stored(stored)) = run(options.clone()) else {
        panic!("a good bundle");
    };
    remove(&place.store(), &place.staging(), &stored.digest).unwrap();
    assert!(matches!(run(options.clone()), Ok(Admitted::Stored(_))));
    assert_eq!(place.server.requests()[1].header("if-none-match"), None);
    // Another URL of the same server is another matter, whatever it says.
    place.server.on("/other", Behaviour::status(304));
    let mut elsewhere = options;
    elsewhere.url = SafeUrl::parse(&place.server.url("/other")).unwrap();
    let error = run(elsewhere).unwrap_err();
    assert!(error.to_string().contains("it answered 304"), "{error}");
}

#[test]
fn a_pin_admits_its_content_and_nothing_else() {
    let place = Place::new();
    let digest = place.fetch_stored(bundle()).digest;
    remove(&place.store(), &place.staging(), &digest).unwrap();
    let pinned = place.server.url(&format!("/plugin#sha256={digest}"));
    let before = place.server.requests().len();
    assert!(matches!(
        run(place.options(&pinned)),
        Ok(Admitted::Stored(_))
    ));
    // It is there: nobody need be asked.
    assert!(matches!(
        run(place.options(&pinned)),
        Ok(Admitted::Unchanged(_))
    ));
    assert_eq!(place.server.requests().len(), before + 1);

    let place = Place::new();
    place.server.on("/plugin", Behaviour::ok(other()));
    let wrong = place.server.url(&format!("/plugin#sha256={digest}"));
    let error = run(place.options(&wrong)).unwrap_err();
    let told = error.to_string();
    assert!(
        told.starts_with("cannot use the plugin: its SHA-256 is not the one in plugin-url but "),
        "{told}"
    );
    assert_eq!(
        (error.fault(), error.retry()),
        (Fault::Content, Retry::Permanent)
    );
    place.assert_holds(&[]);
}

#[test]
fn an_operator_lets_in_hosts_and_digests() {
    let place = Place::new();
    place.server.on("/plugin", Behaviour::ok(bundle()));
    let url = place.server.url("/plugin");
    let with = |hosts: Option<&[&str]>, digests: Option<&[&str]>| {
        let mut options = place.options(&url);
        options.allowed = Allowed {
            hosts: hosts.map(|all| all.iter().map(|it| (*it).to_owned()).collect()),
            digests: digests
                .map(|all| all.iter().map(|it| it.parse::<Digest>().unwrap()).collect()),
        };
        options
    };
    let address = place.server.address();
    let error = run(with(Some(&["repo.example"]), None)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot download: the operator allows no plugins from there ({address})")
    );
    assert_eq!(
        (error.fault(), error.retry()),
        (Fault::Url, Retry::Permanent)
    );
    assert!(place.server.requests().is_empty(), "nothing is asked");

    let none = "0".repeat(64);
    let error = run(with(None, Some(&[&none]))).unwrap_err();
    let told = error.to_string();
    let start = "cannot use the plugin: the operator does not allow its SHA-256, ";
    let digest = told.strip_prefix(start).unwrap();
    place.assert_holds(&[]);
    let admitted = run(with(Some(&["127.0.0.1"]), Some(&[digest])));
    assert!(matches!(admitted, Ok(Admitted::Stored(_))));

    // A redirect does not lead out of the list.
    let elsewhere = MisbehavingServer::start().unwrap();
    elsewhere.on("/plugin", Behaviour::ok(bundle()));
    let there = elsewhere.url("/plugin").replace("127.0.0.1", "localhost");
    place.server.on("/plugin", Behaviour::redirect(there));
    let error = run(with(Some(&["127.0.0.1"]), None)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot download: it redirects to a host that the operator does not allow ({address})"
        )
    );
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn what_may_pass_by_itself_is_told_from_what_does_not() {
    for (behaviour, retry) in [
        (Behaviour::status(404), Retry::Transient),
        (Behaviour::status(503), Retry::Transient),
        (Behaviour::status(429), Retry::Transient),
        (Behaviour::status(403), Retry::Permanent),
        (Behaviour::status(410), Retry::Permanent),
        (Behaviour::CloseBeforeHead, Retry::Transient),
        (Behaviour::Empty, Retry::Transient),
        (Behaviour::ok("<html>starting"), Retry::Transient),
        (Behaviour::ok("hello"), Retry::Permanent),
        (Behaviour::RedirectLoop, Retry::Permanent),
        (
            Behaviour::ok(TarBuilder::new().file("../x", "x").finish()),
            Retry::Permanent,
        ),
    ] {
        let place = Place::new();
        let error = place.fetch(behaviour.clone()).unwrap_err();
        assert_eq!(error.retry(), retry, "{behaviour:?}: {error}");
    }
}
