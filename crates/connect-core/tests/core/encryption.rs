//! TLS towards clients, from the first request to the last byte of it.

use std::collections::{BTreeMap, BTreeSet};

use connect_core::gateway::Protocol;
use connect_core::layout::Layout;
use connect_core::observation::{Databag, Hook};
use connect_core::plan::State;
use connect_core::wire::certificates::{self, REQUESTS};
use connect_core::wire::x509::Certificate;
use serde_json::json;

use crate::pki::Authority;
use crate::world::*;

const DAY: u64 = 86_400;

/// A provider that answers every request once, as long as it stands.
pub struct Provider {
    authority: Authority,
    issued: BTreeMap<String, (String, String)>,
    lifetime: u64,
}

impl Provider {
    pub fn new() -> Self {
        Self {
            authority: Authority::root("ca-1"),
            issued: BTreeMap::new(),
            lifetime: 90 * DAY,
        }
    }

    fn requests(world: &World) -> BTreeSet<String> {
        let of = |bag: &Databag| -> Option<String> {
            let list: serde_json::Value = serde_json::from_str(bag.get(REQUESTS)?).unwrap();
            Some(
                list[0]["certificate_signing_request"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            )
        };
        world
            .units
            .values()
            .filter_map(|unit| of(&unit.requests))
            .collect()
    }

    /// Signs what is new and forgets what is gone.
    pub fn answer(&mut self, world: &mut World) {
        let requests = Self::requests(world);
        self.issued.retain(|request, _| requests.contains(request));
        for request in requests {
            self.issued.entry(request.clone()).or_insert_with(|| {
                let end = world.now + self.lifetime;
                let leaf = self.authority.sign(&request, world.now, end);
                (leaf, self.authority.pem.clone())
            });
        }
        self.write(world, false);
    }

    fn write(&self, world: &mut World, revoked: bool) {
        let entries: Vec<serde_json::Value> = self
            .issued
            .iter()
            .map(|(request, (leaf, ca))| {
                json!({
                    "certificate_signing_request": request,
                    "certificate": leaf,
                    "ca": ca,
                    "chain": [leaf, ca],
                    "revoked": revoked,
                })
            })
            .collect();
        let text = serde_json::Value::from(entries).to_string();
        world.certificates = Some(bag(&[("certificates", &text)]));
    }

    /// A new CA, and new certificates for the requests as they stand.
    pub fn rotate(&mut self, world: &mut World, name: &str) {
        self.authority = Authority::root(name);
        self.issued.clear();
        self.answer(world);
    }
}

/// Hooks and answers until nothing changes.
pub fn settle(world: &mut World, provider: &mut Provider) {
    for _ in 0..6 {
        world.settle();
        provider.answer(world);
    }
    world.settle();
}

fn hooks(world: &mut World) {
    for number in world.units.keys().copied().collect::<Vec<_>>() {
        world.hook(number, reconcile());
    }
}

pub fn with_tls(units: u32) -> (World, Provider) {
    let mut world = World::new(units);
    world.add_client(7, "ui", "NOT-REQUIRED");
    world.settle();
    world.certificates = Some(Databag::new());
    let mut provider = Provider::new();
    settle(&mut world, &mut provider);
    world.assert_sound();
    (world, provider)
}

fn protocols(world: &World) -> Vec<Protocol> {
    let doors = world.units.values().map(|unit| unit.door.as_ref());
    doors.map(|door| door.unwrap().0).collect()
}

/// The CAs that the doors' certificates are from.
fn presented(world: &World) -> BTreeSet<Vec<u8>> {
    let files = world.units.values().map(|unit| {
        let file = &unit.files[&Layout::new("").client_pem()].bytes;
        Certificate::all(std::str::from_utf8(file).unwrap()).remove(0)
    });
    files.map(|leaf| leaf.issuer).collect()
}

fn told(world: &World) -> (&str, &str, BTreeSet<Vec<u8>>) {
    let secret = &world.secrets["connect-client.7.tls.secret"].content;
    let authorities = Certificate::all(&secret["tls-ca"]);
    let names = authorities.into_iter().map(|one| one.subject).collect();
    (&world.clients[&7].ours["endpoints"], &secret["tls"], names)
}

fn message(world: &mut World) -> (State, String) {
    let status = world.hook(0, reconcile()).last.status;
    (status.state, status.message)
}

#[test]
fn clients_are_told_https_with_the_ca_once_every_door_speaks_it() {
    let mut world = World::new(2);
    world.add_client(7, "ui", "NOT-REQUIRED");
    world.settle();
    let before = (starts(&world), world.clients[&7].ours.clone());
    world.certificates = Some(Databag::new());
    world.settle();
    assert_eq!(
        world.clients[&7].ours, before.1,
        "no certificate, no change"
    );
    let waiting = "certificates:5: waiting for a certificate".to_owned();
    assert_eq!(message(&mut world), (State::Waiting, waiting));
    // A new client waits meanwhile.
    world.add_client(8, "late", "NOT-REQUIRED");
    world.settle();
    assert!(!world.clients[&8].ours.contains_key("secret-user"));

    // One unit has its certificate, the other has not.
    let mut provider = Provider::new();
    provider.answer(&mut world);
    let (first, all) = (world.units[&0].requests.clone(), world.certificates.clone());
    let text = &first[REQUESTS];
    let csr = certificates::request(&first).unwrap();
    assert_eq!(csr.common_name, "10.20.0.4", "{text}");
    provider
        .issued
        .retain(|request, _| text.contains(&request.replace('\n', "\\n")));
    assert_eq!(provider.issued.len(), 1);
    provider.write(&mut world, false);
    world.settle();
    assert_eq!(protocols(&world), [Protocol::Both, Protocol::Http]);
    assert_eq!(world.clients[&7].ours, before.1);

    world.certificates = all;
    world.settle();
    world.assert_sound();
    assert_eq!(protocols(&world), [Protocol::Both, Protocol::Both]);
    let (endpoints, tls, authorities) = told(&world);
    assert_eq!(endpoints, "https://10.20.0.4:8083,https://10.20.0.5:8083");
    assert_eq!((tls, authorities), ("enabled", presented(&world)));
    let secret = &world.secrets["connect-client.7.tls.secret"];
    assert_eq!(world.clients[&7].ours["secret-tls"], secret.uri);
    assert!(secret.granted.contains(&7));
    assert!(world.clients[&8].ours["endpoints"].starts_with("https"));
    assert!(world.clients[&8].ours.contains_key("secret-user"));
    assert_eq!(starts(&world), before.0, "no worker restarts");
    assert_eq!(message(&mut world), (State::Active, String::new()));

    // Http ends once clients had their time.
    world.now += 600;
    world.settle();
    assert_eq!(protocols(&world), [Protocol::Https, Protocol::Https]);
    let done = world.hook(0, reconcile());
    assert_eq!((done.rounds, done.last.promises), (1, vec![]));
}

#[test]
fn a_client_that_names_fewer_fields_gets_the_others_in_plain_text() {
    let mut world = World::new(1);
    world.add_client(7, "spec", "NOT-REQUIRED");
    world.add_client(8, "bare", "NOT-REQUIRED");
    let names = [
        (7, r#"["username","password","tls-ca"]"#),
        (8, r#"["username","password"]"#),
    ];
    for (id, list) in names {
        let theirs = &mut world.clients.get_mut(&id).unwrap().theirs;
        theirs.insert("requested-secrets".to_owned(), list.to_owned());
    }
    world.certificates = Some(Databag::new());
    settle(&mut world, &mut Provider::new());
    world.assert_sound();
    let (spec, bare) = (&world.clients[&7].ours, &world.clients[&8].ours);
    let secret = &world.secrets["connect-client.7.tls.secret"].content;
    assert_eq!(secret.keys().collect::<Vec<_>>(), ["tls-ca"]);
    assert_eq!(
        (spec["tls"].as_str(), spec.get("tls-ca")),
        ("enabled", None)
    );
    assert_eq!(
        (bare["tls"].as_str(), bare.get("secret-tls")),
        ("enabled", None)
    );
    assert_eq!(bare["tls-ca"], secret["tls-ca"]);
}

#[test]
fn without_its_provider_tls_ends_when_clients_have_moved() {
    let (mut world, _) = with_tls(2);
    world.now += 600;
    world.settle();
    assert_eq!(protocols(&world), [Protocol::Https, Protocol::Https]);
    let (before, uri) = (starts(&world), world.clients[&7].ours["secret-tls"].clone());
    for number in [0, 1] {
        let hook = Hook::RelationBroken {
            endpoint: "certificates".to_owned(),
            id: CERTIFICATES_RELATION,
        };
        world.hook(number, hook);
    }
    assert!(
        told(&world).0.starts_with("https"),
        "no door speaks http yet"
    );
    world.certificates = None;
    for unit in world.units.values_mut() {
        unit.requests.clear();
    }
    world.settle();
    assert_eq!(protocols(&world), [Protocol::Both, Protocol::Both]);
    let (endpoints, tls, authorities) = told(&world);
    assert_eq!(endpoints, "http://10.20.0.4:8083,http://10.20.0.5:8083");
    assert_eq!((tls, authorities.len()), ("disabled", 0));
    assert_eq!(world.clients[&7].ours["secret-tls"], uri);
    world.now += 600;
    world.settle();
    world.assert_sound();
    assert_eq!(protocols(&world), [Protocol::Http, Protocol::Http]);
    assert!(world.units.values().all(|unit| unit.secrets.is_empty()));
    let path = Layout::new("").client_pem();
    assert!(
        world
            .units
            .values()
            .all(|unit| !unit.files.contains_key(&path))
    );
    assert!(!world.peer_bag.contains_key("tls"));
    assert_eq!(starts(&world), before);
    // And on again.
    world.certificates = Some(Databag::new());
    settle(&mut world, &mut Provider::new());
    world.assert_sound();
    assert_eq!(
        (told(&world).1, &world.clients[&7].ours["secret-tls"]),
        ("enabled", &uri)
    );
}

#[test]
fn clients_know_a_new_ca_before_any_door_presents_it() {
    let (mut world, mut provider) = with_tls(2);
    world.now += 600;
    world.settle();
    let old = presented(&world);
    provider.rotate(&mut world, "ca-2");
    hooks(&mut world);
    hooks(&mut world);
    assert_eq!(presented(&world), old);
    assert_eq!(told(&world).2.len(), 2, "told of both");
    let spreading = "certificates:5: telling clients of a new CA before it is used".to_owned();
    assert_eq!(message(&mut world), (State::Active, spreading));
    let done = world.hook(0, reconcile());
    assert!(done.last.wake_after_s.is_some_and(|s| s <= 12), "{done:?}");
    world.tick();
    hooks(&mut world);
    assert_ne!(presented(&world), old);
    // Until the gateway says that it presents the new one, the old CA is needed.
    assert_eq!(told(&world).2.len(), 2);
    world.settle();
    world.assert_sound();
    assert_eq!(told(&world).2, presented(&world));
    let revision = world.secrets["connect-client.7.tls.secret"].revision;
    assert_eq!(revision, 3, "made, both, the new one");
}

#[test]
fn a_certificate_is_renewed_in_time_and_on_a_new_address_and_serves_until_then() {
    let (mut world, mut provider) = with_tls(1);
    let request = |world: &World| world.units[&0].requests[REQUESTS].clone();
    let leaf = |world: &World| {
        let file = &world.units[&0].files[&Layout::new("").client_pem()];
        file.bytes.clone()
    };
    let (asked, had) = (request(&world), leaf(&world));
    world.now += 70 * DAY;
    world.settle();
    assert_eq!(request(&world), asked);
    world.now += 3 * DAY;
    // The provider drops the certificate with the request that it was for.
    world.hook(0, reconcile());
    assert_ne!(request(&world), asked);
    let renewed = request(&world);
    world.certificates = Some(bag(&[("certificates", "[]")]));
    world.settle();
    assert_eq!(
        (request(&world), leaf(&world)),
        (renewed.clone(), had.clone())
    );
    let waiting = "certificates:5: waiting for a renewed certificate".to_owned();
    assert_eq!(message(&mut world), (State::Active, waiting));
    // The disk is lost meanwhile; the old certificate is not.
    world.units.get_mut(&0).unwrap().files.clear();
    world.settle();
    assert_eq!(leaf(&world), had);
    world.now += 18 * DAY;
    let ended = "certificates:5: the certificate has ended and no new one has come".to_owned();
    assert_eq!(message(&mut world), (State::Waiting, ended));
    settle(&mut world, &mut provider);
    assert_ne!(leaf(&world), had);
    assert_eq!(message(&mut world), (State::Active, String::new()));

    let had = leaf(&world);
    world.units.get_mut(&0).unwrap().address = "10.20.0.44".to_owned();
    world.hook(0, reconcile());
    assert_ne!(request(&world), renewed);
    assert_eq!(leaf(&world), had);
    let asked = certificates::request(&world.units[&0].requests).unwrap();
    assert!(asked.addresses.contains(&"10.20.0.44".parse().unwrap()));
    settle(&mut world, &mut provider);
    world.assert_sound();
    assert_ne!(leaf(&world), had);
    assert_eq!(told(&world).0, "https://10.20.0.44:8083");
}

#[test]
fn a_revoked_certificate_is_named_and_serves_until_the_next() {
    let (mut world, mut provider) = with_tls(1);
    let request = world.units[&0].requests.clone();
    let old = presented(&world);
    provider.write(&mut world, true);
    world.settle();
    let revoked = "certificates:5: the certificate was revoked and no new one has come".to_owned();
    assert_eq!(message(&mut world), (State::Waiting, revoked));
    assert_eq!(presented(&world), old);
    assert!(told(&world).0.starts_with("https"));
    provider.rotate(&mut world, "ca-2");
    settle(&mut world, &mut provider);
    world.assert_sound();
    assert_ne!(presented(&world), old);
    assert_eq!(world.units[&0].requests, request, "the same request");

    world.certificates = Some(bag(&[(
        "request_errors",
        &json!([{
            "csr": Provider::requests(&world).into_iter().next().unwrap(),
            "error": {"code": 102, "name": "DOMAIN_NOT_ALLOWED", "message": "domain not allowed"},
        }])
        .to_string(),
    )]));
    world.settle();
    let refused = "certificates:5: no certificate: domain not allowed".to_owned();
    assert_eq!(message(&mut world), (State::Blocked, refused));
    assert_eq!(world.units[&0].requests, request, "no hammering");
    world.certificates = Some(bag(&[("certificates", "pending")]));
    let faulty = "certificates:5: certificates is not a list".to_owned();
    assert_eq!(message(&mut world), (State::Waiting, faulty));
}

#[test]
fn a_new_unit_is_told_to_clients_when_it_speaks_https_too() {
    let (mut world, mut provider) = with_tls(1);
    world.add_unit(1);
    world.settle();
    assert_eq!(told(&world).0, "https://10.20.0.4:8083");
    settle(&mut world, &mut provider);
    world.assert_sound();
    assert_eq!(
        told(&world).0,
        "https://10.20.0.4:8083,https://10.20.0.5:8083"
    );
}

#[test]
fn a_client_that_leaves_takes_its_tls_secret_along() {
    let (mut world, _) = with_tls(1);
    assert!(world.secrets.contains_key("connect-client.7.tls.secret"));
    world.remove_client(7);
    world.settle();
    world.assert_sound();
    let left: Vec<&String> = world.secrets.keys().collect();
    assert_eq!(left, ["kafka-connect.internal.secret"]);
}

#[test]
fn received_authorities_are_trusted_when_plugins_are_fetched() {
    let mut world = World::new(1);
    let received = Authority::root("theirs").pem;
    let option = Authority::root("option").pem;
    world.transfer = Some(SimTransfer {
        theirs: bag(&[("certificates", &json!([received, "nonsense"]).to_string())]),
        ..SimTransfer::default()
    });
    let value = connect_core::observation::ConfigValue::Text(format!("{option}\n{received}"));
    world
        .config
        .insert("extra-ca-certificates".to_owned(), value);
    world.serve_plugin("https://10.1.1.5/p", "aaaa");
    world.add_client(7, "mysql", "https://10.1.1.5/p");
    world.settle();
    world.assert_sound();
    assert_eq!(
        world.transfer.as_ref().unwrap().ours,
        bag(&[("version", "1")])
    );
    assert_eq!(world.trusted.len(), 2, "{:?}", world.trusted);
    assert!(world.trusted.concat().contains(&option));
    let faulty = "receive-ca-cert:6: a certificate cannot be read".to_owned();
    assert_eq!(message(&mut world), (State::Active, faulty));
}
