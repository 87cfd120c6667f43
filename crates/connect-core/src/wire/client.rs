//! `connect_client`, provider side, v0.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use super::schema;
use crate::model::client::{Client, Fault, Plugin, Request};
use crate::observation::{ClientRelation, Databag};
use crate::secret::Secret;

const PLUGIN_URL: &str = "plugin-url";
const REQUESTED_SECRETS: &str = "requested-secrets";
const NOT_REQUIRED: &str = "NOT-REQUIRED";
/// Bookkeeping that libraries of both sides expect: the other side's databag as last answered.
pub const DATA: &str = "data";

/// Reads a client's databag.
#[must_use]
pub fn read(relation: &ClientRelation) -> Client {
    Client {
        application: relation.application.clone(),
        request: request(&relation.theirs),
    }
}

fn request(theirs: &Databag) -> Request {
    let faults = schema::requirer().check(theirs);
    // A fault in what is there says more than a key that is absent because of it.
    let missing = |fault: &&Fault| !theirs.contains_key(&fault.field);
    if let Some(fault) = faults.iter().find(|fault| !missing(fault)) {
        return Request::Held(fault.clone());
    }
    let Some(url) = theirs.get(PLUGIN_URL) else {
        // Clients write all keys in one hook, so without this one nothing was asked yet.
        return Request::Absent;
    };
    if let Some(fault) = faults.first() {
        return Request::Held(fault.clone());
    }
    let plugin = if url == NOT_REQUIRED {
        Plugin::NotRequired
    } else {
        Plugin::Url(Secret::new(url.clone()))
    };
    let secrets: BTreeSet<String> = theirs
        .get(REQUESTED_SECRETS)
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    Request::Valid { plugin, secrets }
}

/// Whether a client wants a field as a secret that belongs to no group of its own: its endpoints.
#[must_use]
pub fn wants_extra(client: &Client) -> bool {
    match &client.request {
        Request::Valid { secrets, .. } => secrets.contains(super::ENDPOINTS),
        Request::Absent | Request::Held(_) => false,
    }
}

/// The fields of the secret about TLS that a client wants; what it does not name it gets in plain
/// text.
#[must_use]
pub fn tls_fields(client: &Client) -> BTreeSet<&'static str> {
    match &client.request {
        Request::Valid { secrets, .. } => [super::TLS, super::TLS_CA]
            .into_iter()
            .filter(|field| secrets.contains(*field))
            .collect(),
        Request::Absent | Request::Held(_) => BTreeSet::new(),
    }
}

/// Whether a client wants anything about TLS in a secret.
#[must_use]
pub fn wants_tls_secret(client: &Client) -> bool {
    !tls_fields(client).is_empty()
}

/// The bookkeeping copy of a client's databag.
#[must_use]
pub fn data(theirs: &Databag) -> String {
    let copy: serde_json::Map<String, Value> = theirs
        .iter()
        .filter(|(key, _)| *key != DATA)
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
        .collect();
    Value::Object(copy).to_string()
}

/// Whether a bookkeeping copy says the same, however it is spelled.
#[must_use]
pub fn same_data(now: &str, theirs: &Databag) -> bool {
    let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
    parse(now).is_some() && parse(now) == parse(&data(theirs))
}

/// The `endpoints` text for addresses in the order given.
#[must_use]
pub fn endpoints<'a>(scheme: &str, addresses: impl Iterator<Item = &'a str>, port: u16) -> String {
    addresses
        .map(|address| match address.parse() {
            Ok(IpAddr::V6(_)) => format!("{scheme}://[{address}]:{port}"),
            Ok(IpAddr::V4(_)) | Err(_) => format!("{scheme}://{address}:{port}"),
        })
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bag(pairs: &[(&str, &str)]) -> Databag {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn a_bad_request_is_held_by_the_field_at_fault() {
        let good = (REQUESTED_SECRETS, r#"["username","password"]"#);
        let none = (PLUGIN_URL, NOT_REQUIRED);
        for (given, field) in [
            (vec![none, (REQUESTED_SECRETS, "[]")], REQUESTED_SECRETS),
            (vec![none], REQUESTED_SECRETS),
            (
                vec![none, (REQUESTED_SECRETS, "username,password")],
                REQUESTED_SECRETS,
            ),
            (
                vec![none, (REQUESTED_SECRETS, r#"["username"]"#)],
                REQUESTED_SECRETS,
            ),
            (
                vec![none, (REQUESTED_SECRETS, r#"{"username":1}"#)],
                REQUESTED_SECRETS,
            ),
            (
                vec![none, (REQUESTED_SECRETS, r#"["username","password",7]"#)],
                REQUESTED_SECRETS,
            ),
            (
                vec![none, (REQUESTED_SECRETS, r#"["username","password","Ä"]"#)],
                REQUESTED_SECRETS,
            ),
            (vec![none, good, ("version", "v9")], "version"),
            (vec![none, good, ("requests", "[]")], "requests"),
            (vec![("version", "v1"), ("requests", "[]")], "requests"),
            (vec![good, (PLUGIN_URL, "ftp://host/x")], PLUGIN_URL),
            (vec![good, (PLUGIN_URL, "http://:8080/x")], PLUGIN_URL),
            (vec![good, (PLUGIN_URL, "http://host:8080/x y")], PLUGIN_URL),
            (vec![good, (PLUGIN_URL, "not-required")], PLUGIN_URL),
            (vec![good, (PLUGIN_URL, "file:///etc/passwd")], PLUGIN_URL),
        ] {
            let Request::Held(fault) = request(&bag(&given)) else {
                panic!("{given:?}")
            };
            assert_eq!(fault.field, field, "{given:?}");
        }
        assert_eq!(request(&bag(&[])), Request::Absent);
        assert_eq!(request(&bag(&[good])), Request::Absent);
    }

    #[test]
    fn good_requests_of_every_library_are_understood() {
        let lists = [
            r#"["username", "password", "tls", "tls-ca", "uris"]"#,
            r#"["username", "password", "tls", "tls-ca", "uris", "read-only-uris", "entity-name", "entity-password"]"#,
            r#"["username", "password", "tls-ca"]"#,
        ];
        for list in lists {
            for url in [
                NOT_REQUIRED,
                "http://10.1.1.5:8080/api/v1/plugin",
                "https://u:p@[fd00::1]:8080?x=1",
                "HTTP://host.example",
            ] {
                let given = bag(&[
                    (PLUGIN_URL, url),
                    (REQUESTED_SECRETS, list),
                    ("provided-secrets", r#"["mtls-cert"]"#),
                ]);
                assert!(
                    matches!(request(&given), Request::Valid { .. }),
                    "{given:?}"
                );
            }
        }
    }

    #[test]
    fn endpoints_bracket_ipv6() {
        let text = endpoints("http", ["10.0.0.1", "fd00::4", "host"].into_iter(), 8083);
        assert_eq!(
            text,
            "http://10.0.0.1:8083,http://[fd00::4]:8083,http://host:8083"
        );
    }
}
