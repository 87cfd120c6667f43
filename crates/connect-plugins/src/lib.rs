//! Fetches, checks and unpacks a client's plugin bundle in one streaming pass.
//!
//! A client names a URL; behind it is an archive of code that will run inside the worker. [`fetch`]
//! turns that URL into a directory of the content-addressed store, or into one [`BundleError`] that
//! says in a line what is wrong and whose move it is. The bytes are read once: downloaded and hashed
//! here; recognised, decompressed, judged entry by entry and written by a process that may do nothing
//! else ([`confine`]); with constant memory.
//!
//! This crate never runs, loads or trusts anything it unpacks, never decides *when* to fetch,
//! retry or delete (the planner does), and never waits beyond the limits it was given.
//!
//! # What the store looks like
//!
//! ```text
//! <store>/.references/…                                     what each URL served last
//! <store>/<sha256 of the bytes as served>/contract.json     what the bundle offers
//! <store>/<sha256 of the bytes as served>/path              one entry of the worker's plugin.path
//! <store>/<sha256 of the bytes as served>/path/bundle/…     the unpacked files: one class loader
//! ```
//!
//! A directory appears in the store by one rename and is never changed afterwards.
//!
//! # How it is called
//!
//! ```no_run
//! use connect_plugins::{Admitted, FetchOptions, Limits, SafeUrl, fetch, install_tls_provider};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // In `main`, before anything else: this program is also the one that unpacks.
//! if let Some(_code) = connect_plugins::unpack_if_asked() {
//!     return Ok(());
//! }
//! install_tls_provider();
//! let url = SafeUrl::parse("http://10.0.0.7:8080/api/v1/plugin")?;
//! let mut options = FetchOptions::new(
//!     url,
//!     "/var/lib/kafka-connect/plugins",
//!     "/var/lib/kafka-connect/staging",
//! );
//! options.limits = Limits::with_max_mib(1024);
//! match fetch(options).await {
//!     Ok(Admitted::Stored(stored)) => println!("{}", stored.digest),
//!     Ok(Admitted::Unchanged(stored)) => println!("still {}", stored.digest),
//!     Ok(Admitted::Empty) => println!("the client brings no plugin"),
//!     Err(error) => println!("{error} ({:?} must act)", error.fault()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Where to start reading
//!
//! [`fetch()`] is the pass itself; `entry` holds every decision about a single archive entry, as a
//! pure function; `download` is the only code that talks to the network, `tree` the only code that
//! writes what an archive asked for. `child` and `helper` are the two ends of the process that
//! unpacks, `report` what passes between them; `staged` believes none of it.

mod child;
mod classfile;
mod confine;
mod contract;
mod decode;
mod digest;
mod download;
mod entry;
mod error;
mod fetch;
mod gauge;
mod helper;
mod kind;
mod limits;
mod options;
mod reference;
mod report;
mod safe_url;
mod scan;
mod services;
mod sniff;
mod staged;
mod store;
mod tls;
mod tree;
mod unpack;

pub use confine::{Confinement, Degree, confine};
pub use contract::{Contract, PluginClass};
pub use digest::Digest;
pub use entry::Refusal;
pub use error::{BundleError, Fault, NetworkCause, Retry, Stage};
pub use fetch::{Admitted, Stored, admit_file, fetch};
pub use helper::unpack_if_asked;
pub use kind::Kind;
pub use limits::{Limit, Limits};
pub use options::{Allowed, FetchOptions, FileOptions, Pace, Places, Proxies, Timeouts, Unpacker};
pub use safe_url::SafeUrl;
pub use store::{
    StoreError, list, load_contract, move_bundle, plugin_path_entry, remove, sweep_staging,
};
pub use tls::install_tls_provider;
pub use unpack::unpack;
