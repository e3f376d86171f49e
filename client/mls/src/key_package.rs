//! Key packages (RFC 9420 §10): what others need to add this device while it is away.
//!
//! A device keeps a stock of them at the server, each handed out once, and one of last resort that may
//! be handed out again when the stock is used up.

use std::time::Duration;

use bytes::Bytes;
use mls_rs::extension::recommended::LastResortKeyPackageExt;
use mls_rs::mls_rs_codec::{MlsDecode, MlsEncode};
use mls_rs::{ExtensionList, MlsMessage};
use mls_rs_core::key_package::KeyPackageData;
use tidings_model::Timestamp;
use tidings_protocol_mls::DeviceIdentity;

use crate::library::library_time;
use crate::limits::KEY_PACKAGE_LIFETIME;
use crate::staging::Staging;
use crate::{Mls, MlsError, Secret};

/// Whether a key package is used up by a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPackageKind {
    /// It is.
    Single,
    /// It stays. The device makes a new one each week, and after each use.
    LastResort,
}

/// A key package as the database holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPackage {
    /// Its name in a Welcome.
    pub reference: Bytes,
    /// What is published.
    pub public: Bytes,
    /// What opens a Welcome.
    pub secret: Secret,
    /// Whether a join uses it up.
    pub kind: KeyPackageKind,
    /// When it stops being of use; an hour later its row may go.
    pub expires: Timestamp,
}

/// The device that a key package says it is of; `None` where it cannot be read. A server that hands out
/// another device's package than was asked for is found out by this; whether the name is true is checked
/// where the package is used.
pub fn owner_of(key_package: &[u8]) -> Option<DeviceIdentity> {
    let message = MlsMessage::from_bytes(key_package).ok()?;
    let identity = message.as_key_package()?.signing_identity();
    DeviceIdentity::from_bytes(identity.credential.as_basic()?.identifier())
}

impl Mls {
    /// Makes key packages. They are stored before they are published.
    ///
    /// # Errors
    /// [`MlsError::Invalid`]: the system has no randomness.
    pub fn make_key_packages(
        &self,
        kind: KeyPackageKind,
        count: usize,
        now: Timestamp,
    ) -> Result<Vec<KeyPackage>, MlsError> {
        (0..count).map(|_| self.make_key_package(kind, now)).collect()
    }

    fn make_key_package(
        &self,
        kind: KeyPackageKind,
        now: Timestamp,
    ) -> Result<KeyPackage, MlsError> {
        let staging = Staging::default();
        let client = self.client(staging.clone(), self.rules([].into()));
        let mut extensions = ExtensionList::new();
        if kind == KeyPackageKind::LastResort {
            let extension = LastResortKeyPackageExt;
            extensions.set_from(extension).map_err(|error| MlsError::Invalid(error.into()))?;
        }
        let no_leaf_extensions = ExtensionList::new();
        let time = Some(library_time(now));
        let message = client.generate_key_package_message(extensions, no_leaf_extensions, time)?;
        let made = staging.take_key_packages().into_iter().next();
        let (reference, data) = made.ok_or(MlsError::StateDamaged)?;
        let secret = data.mls_encode_to_vec().map_err(|error| MlsError::Invalid(error.into()))?;
        Ok(KeyPackage {
            reference: reference.into(),
            public: message.to_bytes()?.into(),
            secret: secret.into(),
            kind,
            expires: now.plus(KEY_PACKAGE_LIFETIME.saturating_sub(Duration::from_secs(1))),
        })
    }
}

impl KeyPackage {
    pub(crate) fn stage(&self, staging: &Staging) -> Result<(), MlsError> {
        let data = KeyPackageData::mls_decode(&mut self.secret.as_bytes())
            .map_err(|_| MlsError::StateDamaged)?;
        staging.put_key_package(self.reference.to_vec(), data);
        Ok(())
    }
}
