//! TLS towards clients: each unit's certificate, and what clients are told of it.
//!
//! **Flow.** With a provider of certificates, each unit makes a private key (a secret of its own) and
//! asks for a certificate. Once it has one, its client door answers http and https. When every
//! door does, the leader tells all clients: https endpoints and the CAs to trust, in one hook. Http
//! goes on for a while, for clients that have yet to read it, and then ends.
//!
//! **Renewal.** Before a certificate ends, or when the unit's addresses change, a new request takes
//! the place of the old one; the old certificate is presented until the new one is there, also
//! while the provider says that it is revoked: closing the door would hurt those whom it protects.
//! One from a CA that clients do not know waits until they have been told of that CA.
//!
//! **Ending.** Without the provider the doors answer both again, then the leader tells clients http,
//! and later the certificates and keys are dropped. No worker has anything to do with any of it.
//!
//! **Memory.** The certificate in use is in the unit's peer databag (it is public), the key in a
//! secret: a lost disk loses nothing.

pub mod unit;

pub use unit::{Door, door};

use crate::limits;
use crate::model::peer::ApplicationTls;

/// Clients may still use what they were told before the last change.
fn is_changing(told: &ApplicationTls, now: u64) -> bool {
    now < told.since.saturating_add(limits::SWITCH_GRACE_S)
}
