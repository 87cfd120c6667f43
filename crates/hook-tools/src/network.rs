//! Addresses of a binding.

use serde::Deserialize;

use crate::tools::{ToolError, Tools};

/// What `network-get` says of a binding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkInfo {
    /// Addresses to listen on, in Juju's order.
    pub bind: Vec<String>,
    /// Addresses to tell others.
    pub ingress: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Answer {
    #[serde(default)]
    bind_addresses: Option<Vec<Interface>>,
    #[serde(default)]
    ingress_addresses: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Interface {
    #[serde(default)]
    addresses: Option<Vec<Address>>,
}

#[derive(Deserialize)]
struct Address {
    // Older agents say `address`.
    #[serde(default, alias = "address")]
    value: String,
}

impl Tools {
    /// `network-get` for an endpoint or extra binding.
    ///
    /// # Errors
    ///
    /// [`ToolError::Failed`] or [`ToolError::NotFound`] where the binding has no address (yet).
    pub fn network(&self, binding: &str) -> Result<NetworkInfo, ToolError> {
        let answer: Answer = self.json("network-get", &[binding])?;
        let interfaces = answer.bind_addresses.unwrap_or_default();
        let addresses = interfaces
            .into_iter()
            .flat_map(|interface| interface.addresses.unwrap_or_default());
        let bind = addresses
            .map(|address| address.value)
            .filter(|value| !value.is_empty())
            .collect();
        Ok(NetworkInfo {
            bind,
            ingress: answer.ingress_addresses.unwrap_or_default(),
        })
    }
}
