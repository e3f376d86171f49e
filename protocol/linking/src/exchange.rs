//! The exchange between a new device, which shows the code, and an old one, which is given it.
//!
//! Keys: SPAKE2 gives a shared secret if both used the same code. HKDF-SHA256 (RFC 5869),
//! salted with the SHA-256 of the transcript, makes of it one key for each side's proof and one for
//! the bundle. The transcript holds account, devices, signature keys, the attempt's id and both
//! messages of the exchange, so that nothing of it can be exchanged for something else.

use bytes::Bytes;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};
use spake2::{Ed25519Group, Identity, Password, Spake2};
use subtle::ConstantTimeEq;
use tidings_model::{AccountId, DeviceId, Timestamp};
use zeroize::Zeroizing;

use crate::limits::{CODE_LIFE, TRIES_MAX};
use crate::sealed::{open, seal};
use crate::{HistoryKey, LinkCode, LinkError, wire};

const CONTEXT: &[u8] = b"tidings link v1";

/// A device that takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Party {
    /// The device.
    pub device: DeviceId,
    /// The Ed25519 key that signs for it.
    pub key: [u8; 32],
}

/// What a new device gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// SHA-256 of entry 0 of the account's device list.
    pub founding_hash: [u8; 32],
    /// The account storage key, with its version.
    pub storage_key: (u32, Secret32),
    /// What the history comes sealed under.
    pub history_key: HistoryKey,
}

/// 32 secret bytes, wiped when dropped and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret32(pub Zeroizing<[u8; 32]>);

impl std::fmt::Debug for Secret32 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret32(..)")
    }
}

/// The keys that one attempt has made.
struct Keys {
    proof_of_new: Zeroizing<[u8; 32]>,
    proof_of_old: Zeroizing<[u8; 32]>,
    bundle: Zeroizing<[u8; 32]>,
    transcript: [u8; 32],
}

/// The side of the device that shows the code. One code is good for one link.
pub struct NewDevice {
    account: AccountId,
    own: Party,
    code: LinkCode,
    expires: Timestamp,
    tries: u32,
    attempt: Option<([u8; 16], Party, Keys)>,
}

/// The side of the device that is given the code.
pub struct OldDevice {
    account: AccountId,
    own: Party,
    new: DeviceId,
    link: [u8; 16],
    stage: Stage,
}

enum Stage {
    Started { exchange: Spake2<Ed25519Group>, sent: Bytes },
    Proved(Keys),
    Over,
}

impl NewDevice {
    /// Shows a code, for [`CODE_LIFE`].
    pub fn new(account: AccountId, own: Party, code: LinkCode, now: Timestamp) -> Self {
        let expires = now.plus(CODE_LIFE);
        Self { account, own, code, expires, tries: 0, attempt: None }
    }

    /// The code.
    pub fn code(&self) -> &LinkCode {
        &self.code
    }

    /// When it stops being valid, unless an attempt is under way.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Answers an old device that was given a code, perhaps this one. `entropy` is fresh.
    ///
    /// # Errors
    /// [`LinkError::Expired`], [`LinkError::TooManyTries`]: show another code.
    /// [`LinkError::Malformed`].
    pub fn start(
        &mut self,
        now: Timestamp,
        from: DeviceId,
        start: &wire::LinkStart,
        entropy: [u8; 32],
    ) -> Result<wire::LinkReply, LinkError> {
        if now >= self.expires {
            return Err(LinkError::Expired);
        }
        if self.tries >= TRIES_MAX {
            return Err(LinkError::TooManyTries);
        }
        let link = array(&start.link)?;
        let old = Party { device: from, key: array(&start.key)? };
        self.tries += 1;
        let (exchange, sent) = Spake2::<Ed25519Group>::start_b_with_rng(
            &Password::new(self.code.as_bytes()),
            &identity(self.account, from),
            &identity(self.account, self.own.device),
            ChaCha20Rng::from_seed(entropy),
        );
        let secret = exchange.finish(&start.exchange).map_err(|_| LinkError::Malformed)?;
        let transcript = transcript(self.account, &old, &self.own, &link, &start.exchange, &sent);
        let keys = Keys::derive(&secret, transcript);
        let proof = keys.prove(&keys.proof_of_new);
        self.attempt = Some((link, old, keys));
        Ok(wire::LinkReply {
            link: Bytes::copy_from_slice(&link),
            exchange: sent.into(),
            key: Bytes::copy_from_slice(&self.own.key),
            proof: Bytes::copy_from_slice(&proof),
        })
    }

    /// Takes the old device's yes: it knows the code, and this is the account's bundle. The person of
    /// this device has yet to say yes.
    ///
    /// # Errors
    /// [`LinkError::OutOfTurn`]: no such attempt. [`LinkError::WrongCode`]: the other one does not
    /// know the code. [`LinkError::Malformed`].
    pub fn confirm(
        &mut self,
        from: DeviceId,
        confirm: &wire::LinkConfirm,
    ) -> Result<Bundle, LinkError> {
        let (link, old, keys) = self.attempt.as_ref().ok_or(LinkError::OutOfTurn)?;
        if confirm.link != link[..] || old.device != from {
            return Err(LinkError::OutOfTurn);
        }
        keys.check(&keys.proof_of_old, &confirm.proof)?;
        let bundle = open(&keys.bundle, 0, &keys.transcript, &confirm.bundle);
        let bundle = Bundle::decode(&bundle.ok_or(LinkError::Malformed)?)?;
        // A code links one device.
        self.attempt = None;
        self.tries = TRIES_MAX;
        Ok(bundle)
    }
}

impl OldDevice {
    /// Begins with the code that a person has typed or scanned. `link` and `entropy` are fresh.
    pub fn start(
        account: AccountId,
        own: Party,
        new: DeviceId,
        code: &LinkCode,
        link: [u8; 16],
        entropy: [u8; 32],
    ) -> (Self, wire::LinkStart) {
        let (exchange, sent) = Spake2::<Ed25519Group>::start_a_with_rng(
            &Password::new(code.as_bytes()),
            &identity(account, own.device),
            &identity(account, new),
            ChaCha20Rng::from_seed(entropy),
        );
        let sent = Bytes::from(sent);
        let start = wire::LinkStart {
            link: Bytes::copy_from_slice(&link),
            exchange: sent.clone(),
            key: Bytes::copy_from_slice(&own.key),
        };
        (Self { account, own, new, link, stage: Stage::Started { exchange, sent } }, start)
    }

    /// The attempt's id.
    pub fn link(&self) -> &[u8; 16] {
        &self.link
    }

    /// Takes the new device's reply: it knows the code, and this is its key. Now the person of this
    /// device says yes or no.
    ///
    /// # Errors
    /// [`LinkError::WrongCode`]: it shows another code. [`LinkError::OutOfTurn`],
    /// [`LinkError::Malformed`]. After any but `OutOfTurn` the attempt is over.
    pub fn reply(&mut self, from: DeviceId, reply: &wire::LinkReply) -> Result<Party, LinkError> {
        if reply.link != self.link[..] || from != self.new {
            return Err(LinkError::OutOfTurn);
        }
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let Stage::Started { exchange, sent } = stage else {
            self.stage = stage;
            return Err(LinkError::OutOfTurn);
        };
        let new = Party { device: from, key: array(&reply.key)? };
        let secret = exchange.finish(&reply.exchange).map_err(|_| LinkError::Malformed)?;
        let transcript =
            transcript(self.account, &self.own, &new, &self.link, &sent, &reply.exchange);
        let keys = Keys::derive(&secret, transcript);
        keys.check(&keys.proof_of_new, &reply.proof)?;
        self.stage = Stage::Proved(keys);
        Ok(new)
    }

    /// Says yes: to be sent once the device list with the new device is published. The attempt is
    /// over with it.
    ///
    /// # Errors
    /// [`LinkError::OutOfTurn`]: the new device has not proved itself.
    pub fn confirm(&mut self, bundle: &Bundle) -> Result<wire::LinkConfirm, LinkError> {
        let Stage::Proved(keys) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return Err(LinkError::OutOfTurn);
        };
        let plain = Zeroizing::new(bundle.encode());
        let sealed = seal(&keys.bundle, 0, &keys.transcript, &plain).ok_or(LinkError::Malformed)?;
        Ok(wire::LinkConfirm {
            link: Bytes::copy_from_slice(&self.link),
            proof: Bytes::copy_from_slice(&keys.prove(&keys.proof_of_old)),
            bundle: sealed,
        })
    }
}

impl std::fmt::Debug for NewDevice {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("NewDevice").field("tries", &self.tries).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OldDevice {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("OldDevice").field("new", &self.new).finish_non_exhaustive()
    }
}

impl Keys {
    fn derive(secret: &[u8], transcript: [u8; 32]) -> Self {
        let schedule = Hkdf::<Sha256>::new(Some(&transcript), secret);
        let key = |label: &[u8]| {
            let mut key = Zeroizing::new([0; 32]);
            // 32 bytes are far below what HKDF can give.
            let _ = schedule.expand(label, key.as_mut());
            key
        };
        Self {
            proof_of_new: key(b"proof of the new device"),
            proof_of_old: key(b"proof of the old device"),
            bundle: key(b"bundle"),
            transcript,
        }
    }

    fn prove(&self, key: &[u8; 32]) -> [u8; 32] {
        // A MAC of SHA-256 takes a key of any length.
        let mac = Hmac::<Sha256>::new_from_slice(key).ok();
        mac.map_or([0; 32], |mac| mac.chain_update(self.transcript).finalize().into_bytes().into())
    }

    fn check(&self, key: &[u8; 32], proof: &[u8]) -> Result<(), LinkError> {
        let is_right: bool = self.prove(key).ct_eq(proof).into();
        if is_right { Ok(()) } else { Err(LinkError::WrongCode) }
    }
}

impl Bundle {
    fn encode(&self) -> Vec<u8> {
        let (version, key) = &self.storage_key;
        wire::Bundle {
            founding_hash: Bytes::copy_from_slice(&self.founding_hash),
            storage_key_version: *version,
            storage_key: Bytes::copy_from_slice(&key.0[..]),
            history_key: Bytes::copy_from_slice(self.history_key.as_bytes()),
        }
        .encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, LinkError> {
        let bundle = wire::Bundle::decode(bytes).map_err(|_| LinkError::Malformed)?;
        let key = Secret32(Zeroizing::new(array(&bundle.storage_key)?));
        Ok(Self {
            founding_hash: array(&bundle.founding_hash)?,
            storage_key: (bundle.storage_key_version, key),
            history_key: HistoryKey::from_bytes(array(&bundle.history_key)?),
        })
    }
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], LinkError> {
    bytes.try_into().map_err(|_| LinkError::Malformed)
}

fn identity(account: AccountId, device: DeviceId) -> Identity {
    Identity::new(&[&account.as_bytes()[..], device.as_bytes()].concat())
}

fn transcript(
    account: AccountId,
    old: &Party,
    new: &Party,
    link: &[u8; 16],
    from_old: &[u8],
    from_new: &[u8],
) -> [u8; 32] {
    // All but the last two have one length, and both messages of the exchange have the same.
    Sha256::new()
        .chain_update(CONTEXT)
        .chain_update(account.as_bytes())
        .chain_update(old.device.as_bytes())
        .chain_update(old.key)
        .chain_update(new.device.as_bytes())
        .chain_update(new.key)
        .chain_update(link)
        .chain_update((from_old.len() as u32).to_be_bytes())
        .chain_update(from_old)
        .chain_update(from_new)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ANNA: AccountId = AccountId::from_bytes([1; 16]);
    const PHONE: Party = Party { device: DeviceId::from_bytes([2; 16]), key: [3; 32] };
    const LAPTOP: Party = Party { device: DeviceId::from_bytes([4; 16]), key: [5; 32] };
    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn shown() -> NewDevice {
        NewDevice::new(ANNA, LAPTOP, LinkCode::from_entropy([7; 5]), NOW)
    }

    fn given(code: [u8; 5]) -> (OldDevice, wire::LinkStart) {
        let code = LinkCode::from_entropy(code);
        OldDevice::start(ANNA, PHONE, LAPTOP.device, &code, [9; 16], [10; 32])
    }

    fn bundle() -> Bundle {
        Bundle {
            founding_hash: [11; 32],
            storage_key: (1, Secret32(Zeroizing::new([12; 32]))),
            history_key: HistoryKey::from_bytes([13; 32]),
        }
    }

    #[test]
    fn right_code_tells_each_side_the_others_key_and_hands_the_bundle_over() {
        let (mut new, (mut old, start)) = (shown(), given([7; 5]));
        let reply = new.start(NOW, PHONE.device, &start, [20; 32]).unwrap();
        assert_eq!(old.reply(LAPTOP.device, &reply), Ok(LAPTOP));
        let confirm = old.confirm(&bundle()).unwrap();
        assert_eq!(new.confirm(PHONE.device, &confirm), Ok(bundle()));
    }

    #[test]
    fn wrong_code_is_noticed_by_the_old_device_and_gives_nothing_away() {
        let (mut new, (mut old, start)) = (shown(), given([8; 5]));
        let reply = new.start(NOW, PHONE.device, &start, [20; 32]).unwrap();
        assert_eq!(old.reply(LAPTOP.device, &reply), Err(LinkError::WrongCode));
        assert_eq!(old.confirm(&bundle()), Err(LinkError::OutOfTurn));
    }

    #[test]
    fn old_device_that_does_not_know_the_code_is_refused() {
        let (mut new, (_, start)) = (shown(), given([8; 5]));
        let reply = new.start(NOW, PHONE.device, &start, [20; 32]).unwrap();
        let confirm =
            wire::LinkConfirm { proof: reply.proof, link: reply.link, ..Default::default() };
        assert_eq!(new.confirm(PHONE.device, &confirm), Err(LinkError::WrongCode));
    }

    #[test]
    fn key_that_a_server_exchanges_on_the_way_is_noticed() {
        let (mut new, (mut old, start)) = (shown(), given([7; 5]));
        let reply = new.start(NOW, PHONE.device, &start, [20; 32]).unwrap();
        let ghost = wire::LinkReply { key: Bytes::from(vec![66; 32]), ..reply.clone() };
        assert_eq!(old.reply(LAPTOP.device, &ghost), Err(LinkError::WrongCode));

        let (mut old, start) = given([7; 5]);
        let exchanged = wire::LinkStart { key: Bytes::from(vec![66; 32]), ..start };
        let reply = new.start(NOW, PHONE.device, &exchanged, [21; 32]).unwrap();
        assert_eq!(old.reply(LAPTOP.device, &reply), Err(LinkError::WrongCode));
    }

    #[test]
    fn code_is_void_after_five_tries_after_a_minute_and_after_its_use() {
        let mut new = shown();
        for _ in 0..TRIES_MAX {
            let (_, start) = given([8; 5]);
            assert!(new.start(NOW, PHONE.device, &start, [20; 32]).is_ok());
        }
        let (_, start) = given([7; 5]);
        let again = new.start(NOW, PHONE.device, &start, [20; 32]);
        assert_eq!(again, Err(LinkError::TooManyTries));

        let late = NOW.plus(Duration::from_secs(60));
        assert_eq!(shown().start(late, PHONE.device, &start, [20; 32]), Err(LinkError::Expired));

        let (mut new, (mut old, start)) = (shown(), given([7; 5]));
        let reply = new.start(NOW, PHONE.device, &start, [20; 32]).unwrap();
        old.reply(LAPTOP.device, &reply).unwrap();
        let confirm = old.confirm(&bundle()).unwrap();
        new.confirm(PHONE.device, &confirm).unwrap();
        assert_eq!(new.confirm(PHONE.device, &confirm), Err(LinkError::OutOfTurn));
        let used = new.start(NOW, PHONE.device, &start, [20; 32]);
        assert_eq!(used, Err(LinkError::TooManyTries));
    }

    #[test]
    fn messages_of_another_attempt_or_device_are_out_of_turn() {
        let (mut new, (mut old, start)) = (shown(), given([7; 5]));
        let reply = new.start(NOW, PHONE.device, &start, [20; 32]).unwrap();
        assert_eq!(old.reply(PHONE.device, &reply), Err(LinkError::OutOfTurn));
        let other = wire::LinkReply { link: Bytes::from(vec![1; 16]), ..reply.clone() };
        assert_eq!(old.reply(LAPTOP.device, &other), Err(LinkError::OutOfTurn));
        assert_eq!(old.reply(LAPTOP.device, &reply), Ok(LAPTOP));
        let confirm = old.confirm(&bundle()).unwrap();
        assert_eq!(new.confirm(LAPTOP.device, &confirm), Err(LinkError::OutOfTurn));
    }

    #[test]
    fn foreign_bytes_are_malformed() {
        let (mut new, (_, start)) = (shown(), given([7; 5]));
        for start in [
            wire::LinkStart::default(),
            wire::LinkStart { exchange: Bytes::from(vec![0x41; 33]), ..start.clone() },
            wire::LinkStart { key: Bytes::from(vec![1; 31]), ..start },
        ] {
            assert!(new.start(NOW, PHONE.device, &start, [20; 32]).is_err());
        }
    }
}
