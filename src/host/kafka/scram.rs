//! SCRAM-SHA-512, the client's side. **Contract:** RFC 5802 and 7677.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use connect_core::secret::Secret;
use ring::{digest, hmac, pbkdf2};

use super::KafkaError;

/// Kafka uses 4096 to 16384; whoever asks for more wants our time.
const MOST_ROUNDS: u32 = 1 << 17;

/// A conversation.
pub(super) struct Scram {
    bare: String,
    nonce: String,
    server_signature: Vec<u8>,
}

impl Scram {
    /// The first message is in the answer.
    pub(super) fn begin(username: &str, nonce: String) -> (Self, String) {
        let name = username.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={name},r={nonce}");
        let first = format!("n,,{bare}");
        let begun = Self {
            bare,
            nonce,
            server_signature: Vec::new(),
        };
        (begun, first)
    }

    /// The proof that we know the password, for what the broker said.
    pub(super) fn prove(
        &mut self,
        said: &str,
        password: &Secret<String>,
    ) -> Result<String, KafkaError> {
        let field = |name: &str| said.split(',').find_map(|part| part.strip_prefix(name));
        let nonce = field("r=").filter(|nonce| nonce.starts_with(&self.nonce));
        let salt = field("s=").and_then(|text| STANDARD.decode(text).ok());
        let rounds = field("i=")
            .and_then(|text| text.parse::<u32>().ok())
            .filter(|rounds| *rounds <= MOST_ROUNDS)
            .and_then(NonZeroU32::new);
        let (Some(nonce), Some(salt), Some(rounds)) = (nonce, salt, rounds) else {
            return Err(KafkaError::Answer);
        };
        let mut salted = vec![0; digest::SHA512_OUTPUT_LEN];
        let secret = password.expose().as_bytes();
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA512,
            rounds,
            &salt,
            secret,
            &mut salted,
        );
        let salted = Secret::new(salted);
        let client_key = sign(salted.expose(), b"Client Key");
        let stored_key = digest::digest(&digest::SHA512, client_key.as_ref());
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{said},{without_proof}", self.bare);
        let signature = sign(stored_key.as_ref(), signed.as_bytes());
        let proof: Vec<u8> = client_key
            .as_ref()
            .iter()
            .zip(signature.as_ref())
            .map(|(key, signature)| key ^ signature)
            .collect();
        let server_key = sign(salted.expose(), b"Server Key");
        self.server_signature = sign(server_key.as_ref(), signed.as_bytes())
            .as_ref()
            .to_vec();
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    /// Whether the broker knows the password as well.
    pub(super) fn is_genuine(&self, said: &str) -> bool {
        let signature = said
            .split(',')
            .find_map(|part| part.strip_prefix("v="))
            .and_then(|text| STANDARD.decode(text).ok());
        !self.server_signature.is_empty() && signature.as_ref() == Some(&self.server_signature)
    }
}

fn sign(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, key), message)
}
