//! `tls-certificates` and `certificate_transfer` on the wire.

use std::collections::{BTreeMap, BTreeSet};

use connect_core::model::tls::{Answer, Key};
use connect_core::observation::{Databag, Life, TransferRelation};
use connect_core::wire::x509::{Certificate, Request};
use connect_core::wire::{certificates, transfer};
use serde_json::{Value, json};

use crate::pki::*;
use crate::world::bag;

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

/// One authority chain and what it issued.
struct Given {
    key: Key,
    request: String,
    root: Authority,
    middle: Authority,
    leaf: String,
    leaf_of_middle: String,
}

impl Given {
    fn new() -> Self {
        let (private, _) = new_key();
        let request = request(&private, &subject("10.20.0.4"), "1");
        let root = Authority::root("ca-1");
        let middle = root.intermediate("inter");
        Self {
            key: key(&private),
            leaf: root.sign(&request, NOW, NOW + 90 * DAY),
            leaf_of_middle: middle.sign(&request, NOW, NOW + 90 * DAY),
            request,
            root,
            middle,
        }
    }

    fn entry(&self, changes: Value) -> Value {
        let mut entry = json!({
            "certificate_signing_request": self.request.trim(),
            "certificate": self.leaf,
            "ca": self.root.pem,
            "chain": [self.leaf, self.root.pem],
        });
        for (key, value) in changes.as_object().unwrap() {
            if value.is_null() {
                entry.as_object_mut().unwrap().remove(key);
            } else {
                entry[key] = value.clone();
            }
        }
        entry
    }

    fn answer(&self, theirs: &Databag) -> Answer {
        let request = Request::parse(&self.request).unwrap();
        certificates::answer(theirs, &request, &self.key, NOW)
    }

    fn answer_to(&self, entries: &Value) -> Answer {
        self.answer(&bag(&[("certificates", &entries.to_string())]))
    }
}

fn one(pem: &str) -> Certificate {
    Certificate::all(pem).into_iter().next().unwrap()
}

#[test]
fn a_request_is_written_as_current_providers_read_it_and_read_again() {
    let given = Given::new();
    let ours = bag(&[(
        certificates::REQUESTS,
        &certificates::requests(&given.request),
    )]);
    let written: Value = serde_json::from_str(&ours[certificates::REQUESTS]).unwrap();
    assert_eq!(written[0]["ca"], json!(false));
    let text = written[0]["certificate_signing_request"].as_str().unwrap();
    assert_eq!(text, text.trim());
    assert!(text.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"));
    assert!(text.lines().all(|line| line.len() <= 64));
    let read = certificates::request(&ours).unwrap();
    assert!(subject("10.20.0.4").is_asked_for_by(&read));
    assert!(!subject("10.20.0.5").is_asked_for_by(&read));
    assert_eq!(read.public_key, given.key.public);
    // Two of them, none, without `ca`, or not JSON: to be written anew.
    for text in [
        json!([]).to_string(),
        json!([written[0], written[0]]).to_string(),
        json!([{"certificate_signing_request": given.request}]).to_string(),
        "pending".to_owned(),
    ] {
        assert_eq!(
            certificates::request(&bag(&[(certificates::REQUESTS, &text)])),
            None,
            "{text}"
        );
    }
}

#[test]
fn a_certificate_is_taken_whatever_order_its_chain_has() {
    let given = Given::new();
    let (root, middle) = (&given.root.pem, &given.middle.pem);
    let direct = [one(&given.leaf)];
    let longer = [one(&given.leaf_of_middle), one(middle)];
    let deep =
        |chain: Value| given.entry(json!({"certificate": given.leaf_of_middle, "chain": chain}));
    let rows: [(Value, &[Certificate]); 8] = [
        (given.entry(json!({})), &direct),
        (given.entry(json!({"chain": null})), &direct),
        (given.entry(json!({"chain": []})), &direct),
        (given.entry(json!({"chain": [given.root.pem]})), &direct),
        (
            given.entry(json!({"certificate_signing_request": format!("{}\n", given.request)})),
            &direct,
        ),
        (deep(json!([root, middle, given.leaf_of_middle])), &longer),
        (deep(json!([given.leaf_of_middle, middle, root])), &longer),
        (deep(json!([format!("{middle}\n{root}")])), &longer),
    ];
    for (entry, chain) in rows {
        let Answer::Issued(identity) = given.answer_to(&json!([entry])) else {
            panic!("{entry}")
        };
        assert_eq!(identity.chain, chain, "{entry}");
        assert_eq!(identity.authorities, BTreeSet::from([one(root)]), "{entry}");
    }
}

#[test]
fn what_is_not_a_good_certificate_of_ours_is_not_used() {
    let given = Given::new();
    let foreign = request(&new_key().0, &subject("10.20.0.5"), "2");
    let other = given.entry(json!({"certificate_signing_request": foreign}));
    let ended = given.root.sign(&given.request, NOW - 90 * DAY, NOW - 1);
    let foreign_leaf = given.root.sign(&foreign, NOW, NOW + DAY);
    let revoked = given.entry(json!({"revoked": true}));
    let again = given.entry(json!({}));
    let faulty = |text: &str| Answer::Faulty(text.to_owned());
    let rows = [
        (json!([other]), Answer::Nothing),
        (json!([]), Answer::Nothing),
        (json!([{"certificate": 1}, 7]), Answer::Nothing),
        (json!([revoked]), Answer::Revoked),
        (
            json!([given.entry(json!({"certificate": ended}))]),
            faulty("the certificate has ended already"),
        ),
        (
            json!([given.entry(json!({"certificate": foreign_leaf}))]),
            faulty("the certificate is for another key"),
        ),
        (
            json!([given.entry(json!({"certificate": "pending"}))]),
            faulty("the certificate is not PEM of a certificate"),
        ),
        (
            json!([given.entry(json!({"ca": "", "chain": []}))]),
            faulty("no CA certificate came with it"),
        ),
        (json!("pending"), faulty("certificates is not a list")),
    ];
    for (entries, expected) in rows {
        assert_eq!(given.answer_to(&entries), expected, "{entries}");
    }
    assert!(matches!(
        given.answer_to(&json!([revoked, again])),
        Answer::Issued(_)
    ));
    assert_eq!(
        given.answer(&bag(&[("certificates", "pending")])),
        faulty("certificates is not a list")
    );
    let refusal = json!([{
        "csr": given.request,
        "error": {"code": 102, "name": "DOMAIN_NOT_ALLOWED", "message": "domain not allowed"},
    }]);
    assert_eq!(
        given.answer(&bag(&[("request_errors", &refusal.to_string())])),
        Answer::Refused("domain not allowed".to_owned())
    );
    assert_eq!(given.answer(&Databag::new()), Answer::Nothing);
}

#[test]
fn authorities_to_trust_are_read_in_both_versions() {
    let (first, second) = (Authority::root("a").pem, Authority::root("b").pem);
    let relation = |theirs: Databag, units: Databag| TransferRelation {
        life: Life::Live,
        ours: None,
        theirs,
        units: BTreeMap::from([("ca/0".to_owned(), units)]),
    };
    let list = json!([first, second]).to_string();
    let chain = json!([second]).to_string();
    let both = BTreeSet::from([one(&first), one(&second)]);
    let empty = Databag::new;
    for (theirs, units, expected, faulty) in [
        (
            bag(&[("certificates", &list), ("version", "1")]),
            empty(),
            both.clone(),
            false,
        ),
        (
            empty(),
            bag(&[("certificate", "leaf"), ("ca", &first), ("chain", &chain)]),
            both,
            false,
        ),
        (empty(), empty(), BTreeSet::new(), false),
        (
            bag(&[("certificates", "nonsense")]),
            empty(),
            BTreeSet::new(),
            true,
        ),
        (
            bag(&[("certificates", r#"["x"]"#)]),
            empty(),
            BTreeSet::new(),
            true,
        ),
    ] {
        let given = relation(theirs, units);
        assert_eq!(transfer::read(&given), (expected, faulty), "{given:?}");
    }
}
