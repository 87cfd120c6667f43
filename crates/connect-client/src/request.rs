//! What a requirer asks for.

use std::collections::BTreeMap;

use url::Url;

/// Fields a requirer lists in `requested-secrets`: what holds a password or belongs to TLS travels
/// in a secret. The list is what the published Python requirers send.
pub const REQUESTED_SECRETS: [&str; 5] = ["username", "password", "tls", "tls-ca", "uris"];

/// The connector plugin a requirer brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plugin {
    /// None: its connectors are part of the worker, or it creates none.
    NotRequired,
    /// A tarball that every worker can fetch from here.
    Url(Url),
}

/// A request for a REST user, and for a plugin on every worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The plugin.
    pub plugin: Plugin,
}

impl Request {
    /// The keys to write to the requirer's application databag, all in one hook, by its leader.
    ///
    /// **Contract:** `connect_client` v0, requirer side (`schemas/requirer.json`).
    #[must_use]
    pub fn databag(&self) -> BTreeMap<String, String> {
        let plugin_url = match &self.plugin {
            Plugin::NotRequired => "NOT-REQUIRED".to_owned(),
            Plugin::Url(url) => url.to_string(),
        };
        let requested = serde_json::Value::from(REQUESTED_SECRETS.to_vec());
        BTreeMap::from([
            ("plugin-url".to_owned(), plugin_url),
            ("requested-secrets".to_owned(), requested.to_string()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_lists_its_secrets_and_names_its_plugin() {
        let url = Url::parse("http://10.1.1.5:8080/plugin").unwrap();
        for (plugin, expected) in [
            (Plugin::NotRequired, "NOT-REQUIRED"),
            (Plugin::Url(url), "http://10.1.1.5:8080/plugin"),
        ] {
            let bag = Request { plugin }.databag();
            assert_eq!(bag["plugin-url"], expected);
            let requested: Vec<String> = serde_json::from_str(&bag["requested-secrets"]).unwrap();
            assert_eq!(requested, REQUESTED_SECRETS);
        }
    }
}
