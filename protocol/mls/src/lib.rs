//! What clients and server both hold about sealed conversations (MLS, RFC 9420): who an account's
//! devices are, who may do what in a group, and whether a Commit is valid.
//!
//! An account is a signed, hash-chained [`DeviceList`]; two people compare its beginning as a
//! [`SafetyNumber`]. A group's [`Roles`] stand in its group context, and [`rules::judge`] decides
//! about a Commit by roles, roster, proposals and lists alone, so that every member and the server
//! decide alike, today and in a month. [`GroupRules`] and [`Identities`] hand these decisions to
//! `mls-rs`; with the feature `observer`, `Observer` follows a group's public state without keys.
//! Deliberately not here: key material of groups, storage, and anything that reads a clock or draws
//! randomness. Keys come in as bytes, times as arguments.

mod adapter;
pub mod credential;
pub mod device_list;
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated;
mod group_id;
pub mod header;
mod key;
#[cfg(feature = "observer")]
mod key_package;
mod known_lists;
mod leave;
pub mod limits;
#[cfg(feature = "observer")]
mod observer;
pub mod roles;
pub mod rules;
mod safety_number;

pub use adapter::{
    Audience, GroupRules, Identities, accounts_of_tree, key_packages_of_welcome, leaves_of,
    refusal_of, roles_of, transition_of,
};
pub use credential::DeviceIdentity;
pub use device_list::{DeviceList, ListError};
pub use group_id::GroupId;
pub use key::{SecretKey, SignatureKey};
#[cfg(feature = "observer")]
pub use key_package::{KeyPackageError, KeyPackageUse, check_key_package};
pub use known_lists::{Coverage, DeviceLists, KnownLists, Learned};
pub use leave::{Leave, LeaveError};
#[cfg(feature = "observer")]
pub use observer::{Observation, Observer, ObserverError, Snapshot};
pub use roles::{Roles, RolesError};
pub use rules::{CommitRefusal, Transition};
pub use safety_number::SafetyNumber;
