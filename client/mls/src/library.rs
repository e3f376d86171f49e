//! The library's client and group with our configuration: the rules, the lists, the buffer.

use mls_rs::client_builder::{
    BaseConfig, ClientBuilder, WithCryptoProvider, WithGroupStateStorage, WithIdentityProvider,
    WithKeyPackageRepo, WithMlsRules,
};
use mls_rs::extension::ExtensionType;
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::BasicCredential;
use mls_rs::time::MlsTime;
use mls_rs::{CipherSuite, Client};
use mls_rs_core::crypto::{SignaturePublicKey, SignatureSecretKey};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use tidings_model::Timestamp;
use tidings_protocol_mls::roles::ROLES_EXTENSION;
use tidings_protocol_mls::{DeviceIdentity, GroupRules, Identities, SecretKey};

use crate::limits::KEY_PACKAGE_LIFETIME;
use crate::staging::Staging;

type Config = WithMlsRules<
    GroupRules,
    WithIdentityProvider<
        Identities,
        WithCryptoProvider<
            RustCryptoProvider,
            WithGroupStateStorage<Staging, WithKeyPackageRepo<Staging, BaseConfig>>,
        >,
    >,
>;

pub(crate) type LibraryClient = Client<Config>;
pub(crate) type LibraryGroup = mls_rs::Group<Config>;

/// The suites that this device can use.
pub(crate) const SUITES: [CipherSuite; 2] =
    [CipherSuite::CURVE25519_AES128, CipherSuite::CURVE25519_CHACHA];

pub(crate) fn crypto() -> RustCryptoProvider {
    RustCryptoProvider::with_enabled_cipher_suites(SUITES.to_vec())
}

pub(crate) fn client(
    device: &DeviceIdentity,
    key: &SecretKey,
    suite: CipherSuite,
    identities: Identities,
    rules: GroupRules,
    staging: Staging,
) -> LibraryClient {
    ClientBuilder::new()
        .key_package_repo(staging.clone())
        .group_state_storage(staging)
        .crypto_provider(crypto())
        .identity_provider(identities)
        .mls_rules(rules)
        .extension_type(ExtensionType::new(ROLES_EXTENSION))
        .key_package_lifetime(KEY_PACKAGE_LIFETIME)
        .signing_identity(signing_identity(device, key), signer(key), suite)
        .build()
}

fn signing_identity(device: &DeviceIdentity, key: &SecretKey) -> SigningIdentity {
    let credential = BasicCredential::new(device.to_bytes().to_vec()).into_credential();
    let public = SignaturePublicKey::from(key.public().as_bytes().to_vec());
    SigningIdentity::new(credential, public)
}

fn signer(key: &SecretKey) -> SignatureSecretKey {
    SignatureSecretKey::from(key.to_keypair_bytes().to_vec())
}

/// The library's time. It takes an hour off for clocks that differ, so the first day of 1970 is the
/// earliest.
pub(crate) fn library_time(now: Timestamp) -> MlsTime {
    const DAY_SECS: u64 = 86_400;
    MlsTime::from(u64::try_from(now.as_millis() / 1_000).unwrap_or(0).max(DAY_SECS))
}
