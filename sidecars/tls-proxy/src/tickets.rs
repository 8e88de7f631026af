//! Session tickets encrypted with a key that several tasks share.
//!
//! RFC 5077 section 4 and RFC 8446 section 4.6.1 leave the format to the server. Here it is four bytes of
//! epoch, twelve bytes of nonce, then AES-256-GCM. The key of an epoch (six hours) is derived with HKDF
//! (RFC 5869) from the secret, the epoch and the rules for clients, so that a session from before an
//! authority was removed cannot be resumed.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Prk, Salt},
    rand,
};
use chassis::Secret;
use rustls::server::ProducesTickets;

/// Encrypts and decrypts the tickets of all tasks with the same secret.
pub(crate) struct SharedTickets {
    secret: Prk,
    bound_to: [u8; 32],
    now: fn() -> u64,
}

/// Validates the length of the secret, if it is set.
pub(crate) fn validate_secret(secret: &Secret) -> Result<(), String> {
    let length = secret.expose().trim().len();
    if secret.is_empty() || length >= MIN_SECRET_LENGTH {
        return Ok(());
    }
    Err(format!(
        "has {length} characters; the minimum is {MIN_SECRET_LENGTH}"
    ))
}

impl SharedTickets {
    pub(crate) fn new(secret: &Secret, bound_to: [u8; 32]) -> Self {
        let salt = Salt::new(HKDF_SHA256, b"tls-proxy session tickets");
        Self {
            // Trimmed, because a file or console may append a line end to the secret.
            secret: salt.extract(secret.expose().trim().as_bytes()),
            bound_to,
            now: seconds,
        }
    }

    fn key(&self, epoch: u32) -> Option<LessSafeKey> {
        let epoch = epoch.to_be_bytes();
        let info = [&epoch[..], &self.bound_to[..]];
        let okm = self.secret.expand(&info, &AES_256_GCM).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(okm)))
    }

    fn epoch(&self) -> u32 {
        ((self.now)() / EPOCH_SECONDS) as u32
    }
}

impl ProducesTickets for SharedTickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        EPOCH_SECONDS as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let epoch = self.epoch();
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;

        let mut body = plain.to_vec();
        let header = epoch.to_be_bytes();
        self.key(epoch)?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                // Authenticates the epoch, which is not encrypted.
                Aad::from(header),
                &mut body,
            )
            .ok()?;

        Some([&header[..], &nonce[..], &body[..]].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (header, rest) = ticket.split_first_chunk::<4>()?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>()?;
        let epoch = u32::from_be_bytes(*header);

        // A ticket stays valid for one epoch; one epoch ahead allows for the clock of another task.
        if epoch.abs_diff(self.epoch()) > 1 {
            return None;
        }

        let mut body = body.to_vec();
        let plain = self
            .key(epoch)?
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(*header),
                &mut body,
            )
            .ok()?;

        Some(plain.to_vec())
    }
}

impl std::fmt::Debug for SharedTickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedTickets")
    }
}

fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

const MIN_SECRET_LENGTH: usize = 32;
/// Short enough to bound the damage of a leaked key; RFC 8446 allows up to seven days.
const EPOCH_SECONDS: u64 = 6 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn tickets(secret: &str, bound_to: u8) -> SharedTickets {
        SharedTickets::new(&Secret::new(secret), [bound_to; 32])
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_ticket_is_valid_at_another_task() {
        let ticket = tickets(SECRET, 1).encrypt(b"session").unwrap();
        assert_eq!(tickets(SECRET, 1).decrypt(&ticket).unwrap(), b"session");
    }

    #[test]
    fn a_ticket_of_another_secret_or_other_client_rules_is_invalid() {
        let ticket = tickets(SECRET, 1).encrypt(b"session").unwrap();
        assert!(tickets(SECRET, 2).decrypt(&ticket).is_none());
        assert!(
            tickets(&SECRET.replace('0', "1"), 1)
                .decrypt(&ticket)
                .is_none()
        );
    }

    #[test]
    fn a_modified_or_truncated_ticket_is_invalid() {
        let key = tickets(SECRET, 1);
        let ticket = key.encrypt(b"session").unwrap();
        // Every byte is authenticated: epoch, nonce, ciphertext and tag.
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert!(key.decrypt(&changed).is_none(), "{at}");
            assert!(key.decrypt(&ticket[..at]).is_none(), "{at}");
        }
    }

    #[test]
    fn an_old_ticket_is_invalid() {
        let mut key = tickets(SECRET, 1);
        key.now = || 100 * EPOCH_SECONDS;
        let ticket = key.encrypt(b"session").unwrap();
        key.now = || 101 * EPOCH_SECONDS;
        assert!(key.decrypt(&ticket).is_some());
        // Two epochs later.
        key.now = || 102 * EPOCH_SECONDS;
        assert!(key.decrypt(&ticket).is_none());
    }

    #[test]
    fn rejects_a_short_secret() {
        assert!(validate_secret(&Secret::default()).is_ok());
        assert!(validate_secret(&Secret::new(SECRET)).is_ok());
        assert!(validate_secret(&Secret::new("short")).is_err());
    }
}
