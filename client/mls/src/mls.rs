//! A device: who it is, which lists it knows, and the groups that it makes or takes up.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use mls_rs::extension::ExtensionType;
use mls_rs::{CipherSuite, Extension, ExtensionList};
use tidings_model::{AccountId, Timestamp};
use tidings_protocol_mls::roles::ROLES_EXTENSION;
use tidings_protocol_mls::{
    Audience, DeviceIdentity, DeviceLists, GroupRules, Identities, Roles, SecretKey,
    key_packages_of_welcome, rules,
};

use crate::group::Live;
use crate::library::{LibraryClient, client, library_time};
use crate::staging::Staging;
use crate::{Group, GroupRows, MlsError, Step};

/// A cipher suite (RFC 9420 §17.1). It is fixed when a group is made; all sign with Ed25519.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u16)]
pub enum Suite {
    /// X25519, AES-128-GCM, SHA-256.
    #[default]
    Aes128 = 1,
    /// X25519, ChaCha20-Poly1305, SHA-256.
    ChaCha20 = 3,
}

impl Suite {
    fn to_library(self) -> CipherSuite {
        CipherSuite::from(self as u16)
    }
}

/// A device. Clones are the same one.
#[derive(Clone)]
pub struct Mls(Arc<Device>);

struct Device {
    identity: DeviceIdentity,
    key: SecretKey,
    lists: Arc<dyn DeviceLists>,
    suite: Suite,
}

/// What the server needs to follow a group: it goes with a conversation's creation, with a restart, and
/// to a server that was restored from a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicState {
    /// The GroupInfo of an epoch.
    pub group_info: Bytes,
    /// The tree of that epoch.
    pub tree: Bytes,
}

impl Mls {
    /// Makes the device. `lists` answers from what has been fetched; it may learn while groups live.
    pub fn new(
        identity: DeviceIdentity,
        key: SecretKey,
        lists: Arc<dyn DeviceLists>,
        suite: Suite,
    ) -> Self {
        Self(Arc::new(Device { identity, key, lists, suite }))
    }

    /// Which device this is.
    pub fn identity(&self) -> &DeviceIdentity {
        &self.0.identity
    }

    /// Makes a group at epoch 0 in which this device is alone. Others come by the first Commit.
    ///
    /// # Errors
    /// See [`MlsError`]; `roles` may be refused.
    pub fn create_group(
        &self,
        roles: &Roles,
        now: Timestamp,
    ) -> Result<Step<PublicState>, MlsError> {
        let roles = Roles::from_bytes(&roles.to_bytes()).map_err(rules::CommitRefusal::from)?;
        if !roles.named.contains_key(&self.0.identity.account) {
            let account = self.0.identity.account;
            return Err(rules::CommitRefusal::NotAMember { account }.into());
        }
        let (staging, rules) = (Staging::default(), self.rules(BTreeSet::new()));
        let library = self.client(staging.clone(), rules.clone()).create_group_with_id(
            roles.group.to_bytes().to_vec(),
            roles_extension(&roles),
            ExtensionList::new(),
            Some(library_time(now)),
        )?;
        let live = Live::new(library, rules, staging)?;
        let public = live.public_state()?;
        Group::begin(self.clone(), roles.group, live).finish(public)
    }

    /// Takes up a group from its rows.
    ///
    /// # Errors
    /// [`MlsError::StateDamaged`]: the rows do not belong together, or cannot be read.
    pub fn load(&self, rows: GroupRows) -> Result<Group, MlsError> {
        Group::load(self.clone(), rows)
    }

    /// The references of the key packages that open a Welcome: of these, the caller loads those that
    /// it has.
    ///
    /// # Errors
    /// [`MlsError::Invalid`]: the bytes are no Welcome.
    pub fn key_packages_of(&self, welcome: &[u8]) -> Result<Vec<Bytes>, MlsError> {
        Ok(key_packages_of_welcome(welcome)?)
    }

    pub(crate) fn key(&self) -> &SecretKey {
        &self.0.key
    }

    pub(crate) fn lists(&self) -> &dyn DeviceLists {
        &*self.0.lists
    }

    pub(crate) fn rules(&self, left: BTreeSet<AccountId>) -> GroupRules {
        GroupRules::new(self.0.lists.clone(), Audience::Member, left)
    }

    pub(crate) fn client(&self, staging: Staging, rules: GroupRules) -> LibraryClient {
        let identities = Identities::new(self.0.lists.clone());
        let suite = self.0.suite.to_library();
        client(&self.0.identity, &self.0.key, suite, identities, rules, staging)
    }
}

impl std::fmt::Debug for Mls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Mls").field(&self.0.identity).finish()
    }
}

pub(crate) fn roles_extension(roles: &Roles) -> ExtensionList {
    vec![Extension::new(ExtensionType::new(ROLES_EXTENSION), roles.to_bytes())].into()
}
