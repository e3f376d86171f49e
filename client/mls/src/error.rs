//! Why an operation on a group failed. The group is gone with it and is loaded again from its rows.

use mls_rs::error::MlsError as LibraryError;
use tidings_model::AccountId;
use tidings_protocol_mls::{CommitRefusal, refusal_of};

/// Why an operation failed. Nothing is to be written.
#[derive(Debug, thiserror::Error)]
pub enum MlsError {
    /// A rule refuses it. See [`MlsError::lists_to_fetch`].
    #[error(transparent)]
    Refused(#[from] CommitRefusal),
    /// The content is larger than the largest bucket.
    #[error("sealed content takes at most {max} bytes, not {bytes}")]
    TooLarge {
        /// How many it takes.
        bytes: usize,
        /// How many it may take.
        max: usize,
    },
    /// The device has no state of the group: it waits for a Welcome, or rejoins.
    #[error("the device is not in the group")]
    NotInGroup,
    /// A Commit must take effect before anything is sealed: the epoch is tainted, or holds as many own
    /// messages as it may.
    #[error("the device must refresh its leaf first")]
    RefreshFirst,
    /// An own Commit is on its way already.
    #[error("a Commit of this device is on its way already")]
    CommitPending,
    /// A key package cannot be used to add its device.
    #[error("key package {index} cannot be used: {fault}")]
    KeyPackage {
        /// Its place among the intents.
        index: usize,
        /// Why.
        fault: KeyPackageFault,
    },
    /// A Welcome that none of the given key packages opens.
    #[error("the Welcome is for another device, or its key package is gone")]
    OrphanWelcome,
    /// A Welcome, an offer or a row of another group than the one asked for.
    #[error("the bytes belong to another group")]
    OtherGroup,
    /// A row cannot be read: its disk lied, or it belongs to another epoch than the others.
    #[error("the stored state of the group is damaged")]
    StateDamaged,
    /// The library refuses it: a wrong signature, tree, key or encoding.
    #[error("the message breaks MLS: {0}")]
    Invalid(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a key package cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyPackageFault {
    /// It is no key package, or its signature is wrong.
    #[error("it is malformed")]
    Malformed,
    /// It is for another cipher suite than the group's.
    #[error("it is for another cipher suite")]
    OtherSuite,
    /// It is out of its lifetime.
    #[error("it has expired or is not valid yet")]
    Expired,
    /// The account's list does not cover its device now.
    #[error("its device is not in the account's list")]
    NotCovered,
}

impl MlsError {
    /// The accounts whose device lists must be fetched before this can be tried again; empty where
    /// that would not help.
    pub fn lists_to_fetch(&self) -> Vec<AccountId> {
        match self {
            Self::Refused(refusal) => refusal.lists_to_fetch(),
            _ => Vec::new(),
        }
    }
}

impl From<LibraryError> for MlsError {
    fn from(error: LibraryError) -> Self {
        match refusal_of(&error) {
            Some(refusal) => Self::Refused(refusal.clone()),
            None => Self::Invalid(error.into()),
        }
    }
}
