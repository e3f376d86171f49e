//! A key package (RFC 9420 §10), as a server takes it from the device that it adds.
//!
//! The server hands it to whoever adds the device, so it checks what every adder would: that it is
//! whole, that it is this device's, that the account's list covers the device now, and that it can be
//! used at this time. An adder checks again. Deliberately not here: what a package says its device can
//! do (§7.2), which the library shows to a group only.

use std::sync::Arc;

use bytes::Bytes;
use mls_rs::error::MlsError;
use mls_rs::extension::recommended::LastResortKeyPackageExt;
use mls_rs::time::MlsTime;
use mls_rs::{CryptoProvider, KeyPackage, MlsMessage};
use tidings_model::Timestamp;

use crate::adapter::new_leaf;
use crate::observer::{client, crypto, rules_of};
use crate::{CommitRefusal, Coverage, DeviceIdentity, DeviceLists, refusal_of};

/// What a device publishes a key package for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPackageUse {
    /// It is handed out once.
    Once,
    /// It is handed out whenever the others are used up, and says so in its extensions.
    LastResort,
}

/// Why a key package is not taken.
#[derive(Debug, thiserror::Error)]
pub enum KeyPackageError {
    /// The bytes are no key package, or break MLS.
    #[error("it breaks MLS: {0}")]
    Invalid(#[source] MlsError),
    /// Its credential is none of ours.
    #[error(transparent)]
    Refused(#[from] CommitRefusal),
    /// It is another device's.
    #[error("it belongs to another device")]
    OtherDevice,
    /// The account's list does not cover its device.
    #[error("the account's list does not cover its device")]
    NotCovered,
    /// It has expired, or cannot be used yet.
    #[error("it cannot be used at this time")]
    NotValidNow,
    /// It is of a suite that we do not use.
    #[error("its cipher suite is not used here")]
    UnknownSuite,
    /// It is marked as a last resort and published as another, or the other way round.
    #[error("it is no key package for this use")]
    OtherUse,
}

/// Checks a key package that `owner` publishes. Returns its reference (RFC 9420 §5.2).
///
/// # Errors
/// See [`KeyPackageError`].
pub fn check_key_package(
    bytes: &[u8],
    owner: &DeviceIdentity,
    published_for: KeyPackageUse,
    lists: &Arc<dyn DeviceLists>,
    now: Timestamp,
) -> Result<Bytes, KeyPackageError> {
    let message = MlsMessage::from_bytes(bytes).map_err(KeyPackageError::Invalid)?;
    let package = message.as_key_package().ok_or(MlsError::UnexpectedMessageType);
    let package = package.map_err(KeyPackageError::Invalid)?;
    let leaf = new_leaf(package.signing_identity())?;
    if leaf.device != *owner {
        return Err(KeyPackageError::OtherDevice);
    }
    if lists.coverage(&leaf.device, &leaf.key) != Coverage::Now {
        return Err(KeyPackageError::NotCovered);
    }
    if is_last_resort(package) != (published_for == KeyPackageUse::LastResort) {
        return Err(KeyPackageError::OtherUse);
    }
    let suite = crypto().cipher_suite_provider(package.cipher_suite());
    let suite = suite.ok_or(KeyPackageError::UnknownSuite)?;
    let package = validate(message, lists, now)?;
    let reference = package.to_reference(&suite).map_err(KeyPackageError::Invalid)?;
    Ok(Bytes::copy_from_slice(&reference))
}

fn is_last_resort(package: &KeyPackage) -> bool {
    matches!(package.extensions.get_as::<LastResortKeyPackageExt>(), Ok(Some(_)))
}

/// Lets the library check signatures, keys and lifetime.
fn validate(
    message: MlsMessage,
    lists: &Arc<dyn DeviceLists>,
    now: Timestamp,
) -> Result<KeyPackage, KeyPackageError> {
    let time = MlsTime::from(u64::try_from(now.as_millis() / 1_000).unwrap_or(0));
    let client = client(lists, &rules_of(lists, []));
    client.validate_key_package(message, Some(time)).map_err(|error| match error {
        MlsError::InvalidLifetime { .. } => KeyPackageError::NotValidNow,
        error => match refusal_of(&error) {
            Some(refusal) => KeyPackageError::Refused(refusal.clone()),
            None => KeyPackageError::Invalid(error),
        },
    })
}
