//! The certificates in force, and following the files they come from.
//!
//! Two files cannot be replaced at once, so a pair that cannot be used is looked at once more
//! before it becomes a fault. Whatever happens, what was good stays in force.

use std::path::Path;

use connect_core::gateway::{Settings, TlsVersion};

use crate::files::Stamp;
use crate::service::chain;
use crate::tls::{Pair, Roots, TlsError};

/// What a value was made of: files as they were, and the minimum version.
type Seen = (Vec<(String, Option<Stamp>)>, TlsVersion);

/// What was last made of some files.
struct Followed<T> {
    seen: Option<Seen>,
    value: Option<T>,
    fault: Option<String>,
    /// Looks at the files as they are now that failed.
    failures: u32,
}

impl<T> Default for Followed<T> {
    fn default() -> Self {
        Self {
            seen: None,
            value: None,
            fault: None,
            failures: 0,
        }
    }
}

impl<T> Followed<T> {
    /// Whether another value is in force.
    fn look(
        &mut self,
        files: &[&str],
        minimum: TlsVersion,
        load: impl FnOnce() -> Result<T, TlsError>,
    ) -> bool {
        let stamps = files
            .iter()
            .map(|file| ((*file).to_owned(), Stamp::of(Path::new(file))));
        let seen = Some((stamps.collect(), minimum));
        let changed = self.seen != seen;
        if !changed && self.failures != 1 {
            return false;
        }
        self.seen = seen;
        match load() {
            Ok(value) => {
                tracing::info!(?files, "certificates read");
                self.value = Some(value);
                self.fault = None;
                self.failures = 0;
                true
            }
            Err(error) => {
                self.failures = if changed { 1 } else { 2 };
                if self.failures == 2 {
                    let fault = chain(&error);
                    tracing::error!(%fault, "certificates not taken over");
                    self.fault = Some(fault);
                }
                false
            }
        }
    }

    /// Whether there was something in force.
    fn forget(&mut self) -> bool {
        std::mem::take(self).value.is_some()
    }
}

impl Followed<Pair> {
    fn pair(&mut self, certificate: &str, key: &str, minimum: TlsVersion) {
        self.look(&[certificate, key], minimum, || {
            Pair::load(Path::new(certificate), Path::new(key), minimum)
        });
    }
}

/// The certificates in force.
#[derive(Default)]
pub struct Certificates {
    client: Followed<Pair>,
    peer: Followed<Pair>,
    roots: Followed<Roots>,
}

impl Certificates {
    /// Takes over what changed; whether other units are verified with something else from now on.
    pub fn look(&mut self, settings: &Settings) -> bool {
        match &settings.client_door.tls {
            Some(tls) => {
                let minimum = tls.minimum_version;
                self.client
                    .pair(&tls.certificate_file, &tls.key_file, minimum);
            }
            None => drop(self.client.forget()),
        }
        if let Some(door) = &settings.peer_door {
            self.peer
                .pair(&door.certificate_file, &door.key_file, TlsVersion::V12);
            let load = || Roots::load(Path::new(&door.ca_file));
            self.roots.look(&[&door.ca_file], TlsVersion::V12, load)
        } else {
            self.peer.forget();
            self.roots.forget()
        }
    }

    /// What the client door presents.
    #[must_use]
    pub fn client(&self) -> Option<&Pair> {
        self.client.value.as_ref()
    }

    /// What the peer door presents.
    #[must_use]
    pub fn peer(&self) -> Option<&Pair> {
        self.peer.value.as_ref()
    }

    /// What other units are verified with.
    #[must_use]
    pub fn roots(&self) -> Option<&Roots> {
        self.roots.value.as_ref()
    }

    /// What is wrong with the newest files.
    #[must_use]
    pub fn fault(&self) -> Option<&String> {
        let faults = [&self.client.fault, &self.peer.fault, &self.roots.fault];
        faults.into_iter().flatten().next()
    }
}
