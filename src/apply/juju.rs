//! What Juju is told: minted secrets at once, promises last.

use std::collections::BTreeMap;

use connect_core::observation::{Observation, OwnSecret, Reading};
use connect_core::plan::{Mint, MintedValue, Promise, SecretOwner};
use connect_core::secret::Secret;
use connect_core::wire::certificates;
use hook_tools::{Level, SecretError, ToolError};

use crate::host::request;
use crate::host::x509::{self, CertificateError};
use crate::observe::juju::own_uri;
use crate::report;
use crate::world::World;

/// Why Juju could not be told something.
#[derive(Debug, thiserror::Error)]
pub enum JujuError {
    /// The internal CA could not be made.
    #[error("cannot make secret `{label}`")]
    Make {
        /// Owner label.
        label: String,
        /// Reason.
        source: CertificateError,
    },
    /// A secret could not be handed over.
    #[error("cannot keep secret `{label}`")]
    Keep {
        /// Owner label.
        label: String,
        /// Reason.
        source: SecretError,
    },
    /// A certificate could not be asked for.
    #[error("cannot ask for a certificate on {relation}")]
    Request {
        /// Relation.
        relation: String,
        /// Reason.
        source: CertificateError,
    },
    /// A promise could not be published.
    #[error("cannot publish {what}")]
    Publish {
        /// What.
        what: String,
        /// Reason.
        source: ToolError,
    },
}

/// Hands minted secrets to Juju and adds them to what is seen: from here on they can be used,
/// though they are only safe once the hook has ended well.
///
/// # Errors
///
/// See [`JujuError`]; the hook has to fail then, and Juju's retry mints anew.
pub fn keep(minted: &[Mint], seen: &mut Observation, world: &World) -> Result<(), JujuError> {
    for mint in minted {
        let content = content(mint)?;
        let owner = match mint.owner {
            SecretOwner::Application => hook_tools::SecretOwner::Application,
            SecretOwner::Unit => hook_tools::SecretOwner::Unit,
        };
        let uri = world
            .tools
            .add_secret(owner, &mint.label, &mint.description, &exposed(&content))
            .map_err(|source| JujuError::Keep {
                label: mint.label.clone(),
                source,
            })?;
        let secret = OwnSecret {
            uri: Some(uri),
            content,
        };
        seen.secrets
            .insert(mint.label.clone(), Reading::Known(secret));
        seen.minted.insert(mint.label.clone());
    }
    Ok(())
}

fn content(mint: &Mint) -> Result<BTreeMap<String, Secret<String>>, JujuError> {
    let make = |source| JujuError::Make {
        label: mint.label.clone(),
        source,
    };
    let mut authority = None;
    let mut tls_key = None;
    let mut content = BTreeMap::new();
    for (key, value) in &mint.content {
        let value = match value {
            MintedValue::Text(text) => text.clone(),
            MintedValue::CaCertificate | MintedValue::CaKey => {
                let pair = match authority.take() {
                    Some(pair) => pair,
                    None => x509::mint_authority(&mint.label).map_err(make)?,
                };
                let chosen = if *value == MintedValue::CaKey {
                    pair.key.clone()
                } else {
                    Secret::new(pair.certificate.clone())
                };
                authority = Some(pair);
                chosen
            }
            MintedValue::TlsKey | MintedValue::TlsPublicKey => {
                let pair = match tls_key.take() {
                    Some(pair) => pair,
                    None => request::mint_key().map_err(make)?,
                };
                let chosen = if *value == MintedValue::TlsKey {
                    pair.private.clone()
                } else {
                    Secret::new(pair.public.clone())
                };
                tls_key = Some(pair);
                chosen
            }
        };
        content.insert(key.clone(), value);
    }
    Ok(content)
}

/// The content as the hook command takes it, which puts it into files that only root can read.
fn exposed(content: &BTreeMap<String, Secret<String>>) -> BTreeMap<String, String> {
    content
        .iter()
        .map(|(key, value)| (key.clone(), value.expose().clone()))
        .collect()
}

/// Publishes promises in their order. What is about a relation or secret that has gone meanwhile is
/// said in the log and left out.
///
/// # Errors
///
/// See [`JujuError`]; nothing is published then, and Juju's retry does it all again.
pub fn publish(promises: &[Promise], seen: &Observation, world: &World) -> Result<(), JujuError> {
    for promise in promises {
        let what = describe(promise);
        let signed = signed(promise)?;
        match one(signed.as_ref().unwrap_or(promise), seen, world) {
            Ok(()) => {}
            Err(SecretError::Tool(error)) if error.is_gone() => {
                let text = format!("left out {what}: {}", report::chain(&error));
                world.tools.log(Level::Warning, &text);
            }
            Err(SecretError::Tool(source)) => return Err(JujuError::Publish { what, source }),
            Err(source) => {
                return Err(JujuError::Keep {
                    label: what,
                    source,
                });
            }
        }
    }
    Ok(())
}

/// A request for a certificate, signed with the key it is for: from then on a change of our databag
/// like any other.
fn signed(promise: &Promise) -> Result<Option<Promise>, JujuError> {
    let Promise::RequestCertificate {
        relation,
        key,
        subject,
        id,
    } = promise
    else {
        return Ok(None);
    };
    let pem = request::request(key, subject, id).map_err(|source| JujuError::Request {
        relation: format!("{}:{}", relation.endpoint, relation.id),
        source,
    })?;
    Ok(Some(Promise::SetUnitData {
        relation: relation.clone(),
        changes: BTreeMap::from([(
            certificates::REQUESTS.to_owned(),
            Some(certificates::requests(&pem)),
        )]),
    }))
}

fn one(promise: &Promise, seen: &Observation, world: &World) -> Result<(), SecretError> {
    let tools = &world.tools;
    let uri = |label: &str| -> Result<String, ToolError> {
        let known = seen.secrets.get(label).and_then(Reading::known);
        match known.and_then(|secret| secret.uri.clone()) {
            Some(uri) => Ok(uri),
            None => own_uri(world, label),
        }
    };
    match promise {
        Promise::SetApplicationData { relation, changes } => {
            tools.set_application_data(&relation.endpoint, relation.id, changes)?;
        }
        Promise::SetUnitData { relation, changes } => {
            tools.set_unit_data(&relation.endpoint, relation.id, changes)?;
        }
        Promise::SetSecret { label, content } => {
            tools.set_secret(&uri(label)?, &exposed(content))?;
        }
        // Signed before, hence one of the above by now.
        Promise::RequestCertificate { .. } => {}
        Promise::GrantSecret { label, relation } => {
            tools.grant_secret(&uri(label)?, &relation.endpoint, relation.id)?;
        }
        Promise::RemoveSecret { label } => tools.remove_secret(&uri(label)?, None)?,
        Promise::OpenPort { port } => tools.open_port(*port)?,
        Promise::ClosePort { port } => tools.close_port(*port)?,
        Promise::SetWorkloadVersion { version } => tools.set_application_version(version)?,
    }
    Ok(())
}

fn describe(promise: &Promise) -> String {
    match promise {
        Promise::SetApplicationData { relation, changes }
        | Promise::SetUnitData { relation, changes } => {
            let keys: Vec<&str> = changes.keys().map(String::as_str).collect();
            format!(
                "{} on {}:{}",
                keys.join(", "),
                relation.endpoint,
                relation.id
            )
        }
        Promise::RequestCertificate { relation, .. } => {
            format!("a request on {}:{}", relation.endpoint, relation.id)
        }
        Promise::SetSecret { label, .. } => format!("new content of secret {label}"),
        Promise::GrantSecret { label, relation } => {
            format!("secret {label} to {}:{}", relation.endpoint, relation.id)
        }
        Promise::RemoveSecret { label } => format!("the removal of secret {label}"),
        Promise::OpenPort { port } | Promise::ClosePort { port } => format!("port {port}"),
        Promise::SetWorkloadVersion { version } => format!("version {version}"),
    }
}
