//! Passwords made of injected randomness.

use crate::limits;
use crate::plan::Entropy;
use crate::secret::Secret;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A new password of [`limits::PASSWORD_LENGTH`] characters `[A-Za-z0-9]`, each equally likely.
pub fn generate(entropy: &mut dyn Entropy) -> Secret<String> {
    let mut password = String::with_capacity(limits::PASSWORD_LENGTH);
    // A source that only ever gives bytes to be rejected would otherwise never end.
    for attempt in 0_u32.. {
        let mut buffer = [0_u8; 64];
        entropy.fill(&mut buffer);
        for byte in buffer {
            // 248 is the largest multiple of 62 in a byte: what lies above would favour some.
            if byte < 248 || attempt > 64 {
                password.push(char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
                if password.len() == limits::PASSWORD_LENGTH {
                    return Secret::new(password);
                }
            }
        }
    }
    Secret::new(password)
}

/// Whether a value is safe in every file it is written to.
#[must_use]
pub fn is_plain(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Constant(u8);
    impl Entropy for Constant {
        fn fill(&mut self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    #[test]
    fn any_source_gives_a_password_of_the_right_length() {
        for byte in [0, 61, 62, 247, 248, 255] {
            let password = generate(&mut Constant(byte));
            assert_eq!(password.expose().len(), limits::PASSWORD_LENGTH);
            assert!(password.expose().bytes().all(|b| b.is_ascii_alphanumeric()));
        }
    }
}
