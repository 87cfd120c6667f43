//! What a client asks for.

use std::collections::BTreeSet;

use crate::secret::Secret;

/// A client whose relation stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its application; empty if Juju does not say.
    pub application: String,
    /// What it asks for.
    pub request: Request,
}

/// A request as far as it can be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Nothing asked yet.
    Absent,
    /// Not to be served as it is: nothing is written, the status says why.
    Held(Fault),
    /// To be served.
    Valid {
        /// The plugin it brings.
        plugin: Plugin,
        /// Fields to be handed over in secrets.
        secrets: BTreeSet<String>,
    },
}

/// A client's plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plugin {
    /// None.
    NotRequired,
    /// To be fetched; a URL may hold a password.
    Url(Secret<String>),
}

/// What is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Databag key.
    pub field: String,
    /// What is wrong, without the value.
    pub text: String,
}

/// The REST user of a client. **Contract:** `connect_client` v0; one known requirer computes it.
#[must_use]
pub fn username(id: u32) -> String {
    format!("relation-{id}")
}
