//! This unit's certificate: asked for, presented, dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::is_changing;
use crate::fingerprint;
use crate::gateway::Protocol;
use crate::layout::Layout;
use crate::limits;
use crate::model::Model;
use crate::model::peer::{ApplicationTls, Peers, UnitTls};
use crate::model::tls::{Answer, Identity, Subject, Tls};
use crate::observation::{Observation, Reading, RelationId};
use crate::plan::{Entropy, Mint, MintedValue, Promise, RelationKey, SecretOwner};
use crate::secret::Secret;
use crate::status::{Finding, Id};
use crate::wire::x509::Certificate;
use crate::wire::{self, labels};

/// The client door as it should be.
#[derive(Debug)]
pub struct Door {
    /// What it presents; absent for plain http.
    pub identity: Option<Identity>,
    /// Content of its file; absent while the key cannot be had, so that the file stays as it is.
    pub pem: Option<Secret<Vec<u8>>>,
    /// What it speaks.
    pub protocol: Protocol,
    /// CAs of a certificate that waits until clients know them.
    pub next: BTreeSet<Certificate>,
    /// A private key to make.
    pub minted: Vec<Mint>,
    /// A certificate to ask for, a key to drop.
    pub promises: Vec<Promise>,
    /// When to look again, in seconds.
    pub wake_after_s: Vec<u64>,
}

impl Door {
    const fn plain() -> Self {
        Self {
            identity: None,
            pem: None,
            protocol: Protocol::Http,
            next: BTreeSet::new(),
            minted: Vec::new(),
            promises: Vec::new(),
            wake_after_s: Vec::new(),
        }
    }

    /// What the unit says of it, given what its gateway says.
    #[must_use]
    pub fn data(&self, seen: &Observation, before: Option<&UnitTls>) -> Option<UnitTls> {
        let identity = self.identity.as_ref()?;
        let gateway = seen.host.gateway.as_ref();
        let presented = gateway.and_then(|state| state.client_certificate.as_ref());
        let leaf = identity.leaf()?;
        let https = presented.is_some_and(|found| found.sha256 == fingerprint::sha256(&leaf.der));
        let speaks = gateway.and_then(|state| state.client_protocol);
        let pem = |set: &BTreeSet<Certificate>| set.iter().map(Certificate::pem).collect();
        let mut others = self.next.clone();
        if !https {
            // The gateway still presents the one before.
            others.extend(before.iter().flat_map(|before| read(&before.authorities)));
        }
        let others = others.difference(&identity.authorities).cloned().collect();
        Some(UnitTls {
            chain: identity.chain_pem(),
            authorities: pem(&identity.authorities),
            others: pem(&others),
            https: https && matches!(speaks, Some(Protocol::Https | Protocol::Both)),
            plain: matches!(speaks, Some(Protocol::Http | Protocol::Both)),
        })
    }
}

fn read(texts: &[String]) -> BTreeSet<Certificate> {
    texts
        .iter()
        .flat_map(|text| Certificate::all(text))
        .collect()
}

/// Decides about the client door; what stands in the way goes to `findings`.
pub fn door(
    model: &Model<'_>,
    layout: &Layout,
    entropy: &mut dyn Entropy,
    findings: &mut Vec<Finding>,
) -> Door {
    let Some(peers) = &model.peers else {
        return Door::plain();
    };
    let (seen, tls) = (model.seen, &model.tls);
    let told = peers.application.tls.as_ref();
    let mut door = Door::plain();
    let held = held(peers, tls);
    let leaving = tls.parting || seen.is_leaving();
    if tls.relation.is_none() && !leaving && is_over(told, seen.now) {
        // Nobody uses https any more.
        if matches!(seen.secrets.get(labels::TLS_KEY), Some(Reading::Known(_))) {
            let label = labels::TLS_KEY.to_owned();
            door.promises.push(Promise::RemoveSecret { label });
        }
        return door;
    }
    if let (Some(id), false) = (tls.relation, leaving) {
        match seen.secrets.get(labels::TLS_KEY) {
            Some(Reading::Absent) => door.minted.push(key(&seen.identity.unit())),
            Some(Reading::Known(_) | Reading::Unreadable(_)) | None => {}
        }
        ask(model, id, entropy, &mut door);
    }
    choose(model, held, told, &mut door);
    let file_is_there = seen.host.files.contains_key(&layout.client_pem());
    door.pem = match (&door.identity, &tls.key) {
        (Some(identity), Some(key)) => Some(Secret::new(
            [identity.chain_pem().as_str(), key.private.expose()]
                .concat()
                .into_bytes(),
        )),
        _ => None,
    };
    if door.pem.is_none() && !file_is_there {
        door.identity = None;
    }
    door.protocol = match (&door.identity, told) {
        (None, _) => Protocol::Http,
        (Some(_), Some(told)) if told.enabled && tls.relation.is_some() => {
            if is_changing(told, seen.now) {
                Protocol::Both
            } else {
                Protocol::Https
            }
        }
        (Some(_), _) => Protocol::Both,
    };
    if let Some(told) = told
        && is_changing(told, seen.now)
    {
        let end = told.since.saturating_add(limits::SWITCH_GRACE_S);
        door.wake_after_s.push(end - seen.now);
    }
    say(model, &door, findings);
    door
}

/// Whether no client can be using https any more, once there is no provider.
fn is_over(told: Option<&ApplicationTls>, now: u64) -> bool {
    told.is_none_or(|told| !told.enabled && !is_changing(told, now))
}

/// The certificate in use, if it is one for the key that we have.
fn held(peers: &Peers, tls: &Tls) -> Option<Identity> {
    let ours = peers.ours.tls.as_ref()?;
    let chain = Certificate::all(&ours.chain);
    let leaf = chain.first()?;
    if tls
        .key
        .as_ref()
        .is_some_and(|key| key.public != leaf.public_key)
    {
        return None;
    }
    Some(Identity {
        authorities: read(&ours.authorities),
        chain,
    })
}

/// Which certificate to present: the newest, unless clients have yet to learn of its CA.
fn choose(
    model: &Model<'_>,
    held: Option<Identity>,
    told: Option<&ApplicationTls>,
    door: &mut Door,
) {
    let now = model.seen.now;
    let Answer::Issued(issued) = &model.tls.answer else {
        door.identity = held;
        return;
    };
    door.identity = Some(issued.clone());
    let (Some(held), Some(told)) = (held, told.filter(|told| told.enabled)) else {
        return;
    };
    let ended = held.leaf().is_none_or(|leaf| leaf.not_after <= now);
    if ended || issued.authorities.is_subset(&held.authorities) {
        return;
    }
    let known_at = |authority: &Certificate| {
        let since = told.authorities.get(&fingerprint::short(&authority.der))?;
        Some(since.saturating_add(limits::CA_SPREAD_S))
    };
    let known: Option<Vec<u64>> = issued.authorities.iter().map(known_at).collect();
    let known = known.and_then(|times| times.into_iter().max());
    match known {
        Some(known) if known <= now => return,
        Some(known) => door.wake_after_s.push(known - now),
        // The leader's word on it brings a hook.
        None => {}
    }
    door.next.clone_from(&issued.authorities);
    door.identity = Some(held);
}

fn key(unit: &str) -> Mint {
    Mint {
        owner: SecretOwner::Unit,
        label: labels::TLS_KEY.to_owned(),
        description: format!("Private key of the certificate of {unit}"),
        content: BTreeMap::from([
            (wire::PRIVATE_KEY.to_owned(), MintedValue::TlsKey),
            (wire::PUBLIC_KEY.to_owned(), MintedValue::TlsPublicKey),
        ]),
    }
}

/// Asks for a certificate, unless what stands there asks for the right one.
fn ask(model: &Model<'_>, id: RelationId, entropy: &mut dyn Entropy, door: &mut Door) {
    let (Some(key), Some(subject)) = (&model.tls.key, subject(model)) else {
        return;
    };
    let now = model.seen.now;
    let mut due = false;
    if let Answer::Issued(issued) = &model.tls.answer
        && let Some(leaf) = issued.leaf()
    {
        let at = renew_at(leaf, model.seen.identity.unit_number);
        due = at <= now;
        // One that is far off is left to the hooks that come anyway.
        door.wake_after_s
            .extend((!due && at - now < limits::FAR_S).then(|| at - now));
    }
    let fits = model
        .tls
        .request
        .as_ref()
        .is_some_and(|request| subject.is_asked_for_by(request));
    if fits && !due {
        return;
    }
    let mut random = [0_u8; 16];
    entropy.fill(&mut random);
    door.promises.push(Promise::RequestCertificate {
        relation: RelationKey {
            endpoint: wire::CERTIFICATES.to_owned(),
            id,
        },
        key: key.private.clone(),
        subject,
        id: fingerprint::short(&random),
    });
}

/// When to ask for the next one: units one after the other, and never in the minute in which the
/// certificate was issued, however short it lasts.
fn renew_at(leaf: &Certificate, unit_number: u32) -> u64 {
    let lifetime = leaf.not_after.saturating_sub(leaf.not_before);
    let percent = limits::RENEW_PERCENT - u64::from(unit_number % 10);
    let wait = (lifetime / 100 * percent).max(limits::RENEW_LEAST_S);
    leaf.not_before.saturating_add(wait)
}

/// What the certificate has to be good for: every way in which this unit is reached.
fn subject(model: &Model<'_>) -> Option<Subject> {
    let seen = model.seen;
    let ingress = seen.network.client_ingress.as_ref()?;
    let bound = model.addresses.client.iter().chain(&model.addresses.peer);
    let mut addresses: BTreeSet<IpAddr> = bound.copied().collect();
    let mut names = seen.host.names.clone();
    names.insert(seen.identity.unit().replace('/', "-"));
    match ingress.parse() {
        Ok(address) => addresses.insert(address),
        Err(_) => names.insert(ingress.clone()),
    };
    addresses.retain(|address| !address.is_loopback());
    let common_name = if ingress.len() <= limits::COMMON_NAME_LENGTH {
        ingress.clone()
    } else {
        seen.identity.unit()
    };
    Some(Subject {
        common_name,
        addresses,
        names,
    })
}

/// What an operator may want to know.
fn say(model: &Model<'_>, door: &Door, findings: &mut Vec<Finding>) {
    if let Some(fault) = &model.tls.key_unreadable {
        findings.push(Finding::new(
            Id::CertificateKeyUnreadable,
            [("fault", fault)],
        ));
    }
    let Some(relation) = model.tls.relation else {
        return;
    };
    let relation = relation.to_string();
    let relation = ("relation", relation.as_str());
    let ended = door
        .identity
        .as_ref()
        .and_then(Identity::leaf)
        .is_some_and(|leaf| leaf.not_after <= model.seen.now);
    let finding = match &model.tls.answer {
        Answer::Refused(reason) => {
            Finding::new(Id::CertificateRefused, [relation, ("reason", reason)])
        }
        Answer::Faulty(fault) => Finding::new(Id::CertificateFaulty, [relation, ("fault", fault)]),
        Answer::Revoked => Finding::new(Id::CertificateRevoked, [relation]),
        Answer::Nothing if ended => Finding::new(Id::CertificateEnded, [relation]),
        Answer::Nothing if door.identity.is_none() => {
            Finding::new(Id::CertificateWaiting, [relation])
        }
        Answer::Nothing => Finding::new(Id::CertificateRenewing, [relation]),
        Answer::Issued(_) if !door.next.is_empty() => {
            Finding::new(Id::CertificateSpreading, [relation])
        }
        Answer::Issued(_) => return,
    };
    findings.push(finding);
}
