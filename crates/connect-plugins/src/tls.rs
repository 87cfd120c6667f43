//! The one TLS provider of the workspace.

/// Makes ring the TLS provider of this process.
///
/// Call it first in every `main` and test that fetches: building an HTTP client without a provider
/// panics. Calling it again, or after somebody else installed one, changes nothing.
pub fn install_tls_provider() {
    // An error only says that a provider is there already, which is all that is wanted.
    drop(rustls::crypto::ring::default_provider().install_default());
}
