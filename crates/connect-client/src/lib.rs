//! The requirer half of the connect_client relation, for any Rust charm.
