//! What a server keeps of a password (RFC 5802 §3), how it is made, and the two proofs over it.
//!
//! A stolen verifier does not sign in: that takes the client key, of which it holds the hash.

use hmac::{Hmac, Mac};
use pbkdf2::pbkdf2_hmac;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::ScramError;
use crate::Password;
use crate::limits::{
    ITERATIONS_DEFAULT, ITERATIONS_MAX, ITERATIONS_MIN, SALT_BYTES, SALT_BYTES_MAX, SALT_BYTES_MIN,
};

/// What a server keeps to check a password with SCRAM-SHA-256. Its `Debug` form hides the keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    salt: Vec<u8>,
    iterations: u32,
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

impl Verifier {
    /// Makes a verifier of a new password, with [`ITERATIONS_DEFAULT`] rounds.
    ///
    /// `salt` is random and used for this verifier alone. This takes some time by intent: a program
    /// with a user interface calls it off its main thread.
    pub fn derive(password: &Password, salt: [u8; SALT_BYTES]) -> Self {
        Self::of(
            &SaltedPassword::derive(password, &salt, ITERATIONS_DEFAULT),
            &salt,
            ITERATIONS_DEFAULT,
        )
    }

    /// Takes a verifier that was made elsewhere: by an app at sign-up, or read from the store.
    ///
    /// # Errors
    ///
    /// [`VerifierError`] when a part is outside of its bounds.
    pub fn from_parts(
        salt: &[u8],
        iterations: u32,
        stored_key: &[u8],
        server_key: &[u8],
    ) -> Result<Self, VerifierError> {
        if !(SALT_BYTES_MIN..=SALT_BYTES_MAX).contains(&salt.len()) {
            return Err(VerifierError::Salt { bytes: salt.len() });
        }
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(VerifierError::Iterations { iterations });
        }
        Ok(Self {
            salt: salt.to_vec(),
            iterations,
            stored_key: stored_key.try_into().map_err(|_| VerifierError::Key)?,
            server_key: server_key.try_into().map_err(|_| VerifierError::Key)?,
        })
    }

    /// Makes the verifier that an unknown user name is answered with: it looks like any other, stays
    /// the same for the same name, and no password fits it.
    ///
    /// `server_secret` is drawn once per server and kept. `user_name` is the prepared name, or what
    /// the client sent where it cannot be prepared. A verifier with another iteration count than
    /// [`ITERATIONS_DEFAULT`] tells that its account exists: a server that accepts such verifiers
    /// at sign-up gives this away for those accounts.
    pub fn decoy(server_secret: &[u8; 32], user_name: &str) -> Self {
        let derived = |purpose: &[u8]| hmac(server_secret, &[purpose, user_name.as_bytes()]);
        Self {
            salt: derived(b"tidings decoy salt ")[..SALT_BYTES].to_vec(),
            iterations: ITERATIONS_DEFAULT,
            // A proof needs a key whose SHA-256 is this value; nobody knows one.
            stored_key: derived(b"tidings decoy stored key "),
            server_key: derived(b"tidings decoy server key "),
        }
    }

    /// The salt that the client is told.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The rounds of hashing that the client is told.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// The hash of the client's key.
    pub fn stored_key(&self) -> &[u8; 32] {
        &self.stored_key
    }

    /// The key that signs the server's last message.
    pub fn server_key(&self) -> &[u8; 32] {
        &self.server_key
    }

    /// Checks a client's proof and gives the server's signature.
    pub(super) fn verify(
        &self,
        auth_message: &[&[u8]],
        proof: &[u8; 32],
    ) -> Result<[u8; 32], ScramError> {
        let client_key = xor(&hmac(&self.stored_key, auth_message), proof);
        let proven: [u8; 32] = Sha256::digest(client_key).into();
        if !bool::from(proven.ct_eq(&self.stored_key)) {
            return Err(ScramError::InvalidProof);
        }
        Ok(hmac(&self.server_key, auth_message))
    }

    pub(super) fn of(password: &SaltedPassword, salt: &[u8], iterations: u32) -> Self {
        Self {
            salt: salt.to_vec(),
            iterations,
            stored_key: Sha256::digest(password.client_key()).into(),
            server_key: password.server_key(),
        }
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// Why parts do not make a verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VerifierError {
    /// A salt that is too short to differ between users, or pointlessly long.
    #[error("a salt has {SALT_BYTES_MIN} to {SALT_BYTES_MAX} bytes, not {bytes}")]
    Salt {
        /// Its length.
        bytes: usize,
    },
    /// Rounds that no client would accept.
    #[error("a verifier has {ITERATIONS_MIN} to {ITERATIONS_MAX} iterations, not {iterations}")]
    Iterations {
        /// Their number.
        iterations: u32,
    },
    /// A key of another length than SHA-256's.
    #[error("the keys of a verifier have 32 bytes each")]
    Key,
}

/// The hashed password, which the client holds for the length of one exchange.
pub(super) struct SaltedPassword(zeroize::Zeroizing<[u8; 32]>);

impl SaltedPassword {
    pub(super) fn derive(password: &Password, salt: &[u8], iterations: u32) -> Self {
        let mut salted = zeroize::Zeroizing::new([0; 32]);
        pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, iterations, salted.as_mut());
        Self(salted)
    }

    pub(super) fn proof(&self, auth_message: &[&[u8]]) -> [u8; 32] {
        let client_key = self.client_key();
        let stored_key: [u8; 32] = Sha256::digest(client_key).into();
        xor(&hmac(&stored_key, auth_message), &client_key)
    }

    pub(super) fn server_signature(&self, auth_message: &[&[u8]]) -> [u8; 32] {
        hmac(&self.server_key(), auth_message)
    }

    fn client_key(&self) -> [u8; 32] {
        hmac(&self.0, &[b"Client Key"])
    }

    fn server_key(&self) -> [u8; 32] {
        hmac(&self.0, &[b"Server Key"])
    }
}

/// The `AuthMessage` of RFC 5802 §3 in pieces, which saves copying them together.
pub(super) fn auth_message<'a>(
    client_first_bare: &'a str,
    server_first: &'a str,
    client_final_without_proof: &'a str,
) -> [&'a [u8]; 5] {
    [
        client_first_bare.as_bytes(),
        b",",
        server_first.as_bytes(),
        b",",
        client_final_without_proof.as_bytes(),
    ]
}

fn hmac(key: &[u8; 32], pieces: &[&[u8]]) -> [u8; 32] {
    // A key that fits SHA-256's block is only filled up with zeros, so this equals keying by slice,
    // but cannot fail.
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let mut hmac = <Hmac<Sha256> as Mac>::new(&block.into());
    for piece in pieces {
        hmac.update(piece);
    }
    hmac.finalize().into_bytes().into()
}

fn xor(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    std::array::from_fn(|index| left[index] ^ right[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifier_outside_its_bounds_is_refused() {
        let parts = |salt: usize, iterations, stored: usize, server: usize| {
            Verifier::from_parts(&vec![1; salt], iterations, &vec![2; stored], &vec![3; server])
        };
        assert!(parts(16, ITERATIONS_MIN, 32, 32).is_ok());
        assert!(parts(8, ITERATIONS_MAX, 32, 32).is_ok());
        assert_eq!(parts(7, 4096, 32, 32), Err(VerifierError::Salt { bytes: 7 }));
        assert_eq!(parts(65, 4096, 32, 32), Err(VerifierError::Salt { bytes: 65 }));
        assert_eq!(parts(16, 4095, 32, 32), Err(VerifierError::Iterations { iterations: 4095 }));
        let iterations = ITERATIONS_MAX + 1;
        assert_eq!(parts(16, iterations, 32, 32), Err(VerifierError::Iterations { iterations }));
        assert_eq!(parts(16, 4096, 31, 32), Err(VerifierError::Key));
        assert_eq!(parts(16, 4096, 32, 33), Err(VerifierError::Key));
    }

    #[test]
    fn decoy_stays_the_same_for_a_name_and_differs_between_names_and_servers() {
        let decoy = Verifier::decoy(&[1; 32], "juliet");
        assert_eq!(decoy, Verifier::decoy(&[1; 32], "juliet"));
        assert_ne!(decoy.salt(), Verifier::decoy(&[1; 32], "romeo").salt());
        assert_ne!(decoy.salt(), Verifier::decoy(&[2; 32], "juliet").salt());
    }

    #[test]
    fn decoy_has_the_shape_of_a_derived_verifier() {
        let derived = Verifier::derive(&Password::parse("pencil").unwrap(), [9; SALT_BYTES]);
        let decoy = Verifier::decoy(&[1; 32], "juliet");
        assert_eq!(decoy.salt().len(), derived.salt().len());
        assert_eq!(decoy.iterations(), derived.iterations());
    }

    #[test]
    fn debug_form_hides_salt_and_keys() {
        let verifier = Verifier::from_parts(&[77; 16], 4096, &[88; 32], &[99; 32]).unwrap();
        assert_eq!(format!("{verifier:?}"), "Verifier { iterations: 4096, .. }");
    }
}
