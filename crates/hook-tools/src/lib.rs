//! Juju hook environment and hook commands, typed one to one, for any Rust charm.
//!
//! [`Context`] is the environment Juju gives a hook or action, read once; [`Tools`] has one method
//! for each hook command. The crate decides nothing and knows no charm in particular. Start
//! reading at [`Tools`].
//!
//! *Guarantees:* secret content and relation data never travel in an argument; a tool's exit
//! status is always looked at; *not found* and *permission denied*, which Juju answers in the
//! normal course of a relation's end, are variants of [`ToolError`] and not texts to be searched.
//!
//! **Contract:** Juju 3.6 and 4.0 hook commands.

mod context;
mod hook;
mod network;
mod relation;
mod secret;
mod tools;

pub use context::{Context, ContextError, JujuVersion};
pub use hook::{Hook, Relation, SecretEvent};
pub use network::NetworkInfo;
pub use secret::{Revision, SecretError, SecretInfo, SecretOwner, SecretRef};
pub use tools::{Level, ToolError, Tools};
