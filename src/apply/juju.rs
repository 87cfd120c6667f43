//! What Juju is told: minted secrets at once, promises last.

use std::collections::BTreeMap;

use connect_core::observation::{Observation, OwnSecret, Reading};
use connect_core::plan::{Mint, MintedValue, Promise};
use connect_core::secret::Secret;
use hook_tools::{Level, SecretError, ToolError};

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
        let uri = world
            .tools
            .add_secret(&mint.label, &mint.description, &exposed(&content))
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
    let mut authority = None;
    let mut content = BTreeMap::new();
    for (key, value) in &mint.content {
        let value = match value {
            MintedValue::Text(text) => text.clone(),
            MintedValue::CaCertificate | MintedValue::CaKey => {
                let pair = match authority.take() {
                    Some(pair) => pair,
                    None => {
                        x509::mint_authority(&mint.label).map_err(|source| JujuError::Make {
                            label: mint.label.clone(),
                            source,
                        })?
                    }
                };
                let chosen = if *value == MintedValue::CaKey {
                    pair.key.clone()
                } else {
                    Secret::new(pair.certificate.clone())
                };
                authority = Some(pair);
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
        match one(promise, seen, world) {
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
        Promise::SetSecret { label, .. } => format!("new content of secret {label}"),
        Promise::GrantSecret { label, relation } => {
            format!("secret {label} to {}:{}", relation.endpoint, relation.id)
        }
        Promise::RemoveSecret { label } => format!("the removal of secret {label}"),
        Promise::OpenPort { port } | Promise::ClosePort { port } => format!("port {port}"),
        Promise::SetWorkloadVersion { version } => format!("version {version}"),
    }
}
