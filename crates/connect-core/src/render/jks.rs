//! Trust stores in Java's own format, which every supported JVM reads without help.

use sha1::{Digest, Sha1};

/// The stores' password. It protects nothing: they hold certificates only, and the format merely
/// wants one for its checksum.
pub const PASSWORD: &str = "kafka-connect";

const MAGIC: u32 = 0xFEED_FEED;
const VERSION: u32 = 2;
const CERTIFICATE_ENTRY: u32 = 2;

/// A store with these certificates (DER); the same bytes for the same certificates.
#[must_use]
pub fn trust_store(certificates: &[Vec<u8>]) -> Vec<u8> {
    let mut store = Vec::new();
    store.extend(MAGIC.to_be_bytes());
    store.extend(VERSION.to_be_bytes());
    store.extend(length(certificates.len()).to_be_bytes());
    for (index, certificate) in certificates.iter().enumerate() {
        store.extend(CERTIFICATE_ENTRY.to_be_bytes());
        text(&mut store, &format!("ca-{index}"));
        // The entry's date; fixed, so that the file depends on the certificates only.
        store.extend(0_u64.to_be_bytes());
        text(&mut store, "X.509");
        store.extend(length(certificate.len()).to_be_bytes());
        store.extend(certificate);
    }
    let mut digest = Sha1::new();
    for unit in PASSWORD.encode_utf16() {
        digest.update(unit.to_be_bytes());
    }
    digest.update(b"Mighty Aphrodite");
    digest.update(&store);
    store.extend(digest.finalize());
    store
}

fn text(store: &mut Vec<u8>, value: &str) {
    let length = u16::try_from(value.len()).expect("aliases and type names are short");
    store.extend(length.to_be_bytes());
    store.extend(value.as_bytes());
}

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("databags and secrets are far smaller than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_documented_one() {
        let store = trust_store(&[vec![1, 2, 3]]);
        assert_eq!(
            &store[..12],
            [0xFE, 0xED, 0xFE, 0xED, 0, 0, 0, 2, 0, 0, 0, 1]
        );
        assert_eq!(&store[12..22], [0, 0, 0, 2, 0, 4, b'c', b'a', b'-', b'0']);
        assert_eq!(store.len(), 22 + 8 + 7 + 4 + 3 + 20);
        assert_eq!(trust_store(&[vec![1, 2, 3]]), store);
    }
}
