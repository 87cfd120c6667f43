//! A value that must not be shown.

use serde::Serialize;
use zeroize::Zeroize;

/// Wraps a secret: no `Display`, a redacted `Debug`, wiped on drop; `Serialize` writes the
/// redaction too, so that a recorded observation holds no secret.
///
/// The only way to the bytes is [`Secret::expose`]; search for it to find every place that does.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes charge of a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> std::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T: Zeroize> Serialize for Secret<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("[redacted]")
    }
}
