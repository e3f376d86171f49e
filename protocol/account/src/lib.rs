//! What an account's devices share through its account log: `tidings.account.v1`, sealed.
//!
//! The server keeps the latest value of each key and reads neither. Keys are named and values sealed
//! under the account storage key ([`StorageKey`]); a [`KeyRing`] hands that key to the devices that
//! the account's device list covers, and to the recovery key. Chunks of the recovery backup are sealed
//! under keys that the log holds ([`BackupKeys`]). Random bytes come as arguments.
//! Deliberately not here: the device list, who may make a ring, and what a value means for a timeline.

mod backup;
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated;
mod key_ring;
pub mod limits;
mod storage_key;
mod value;

pub use backup::{BackupKey, BackupKeys};
pub use key_ring::{KeyRing, RING_KEY, Recipient};
pub use storage_key::StorageKey;
pub use value::{BackedUp, Draft, Name, Purpose, Settings, Value};

/// The messages of `tidings.account.v1`.
pub mod wire {
    pub use crate::generated::*;
}

/// Why a value of the account log is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccountValueError {
    /// It is sealed under another version of the storage key.
    #[error("the value is sealed under version {version} of the account storage key")]
    OtherVersion {
        /// Which one.
        version: u32,
    },
    /// It was sealed by nobody who has the key, or stands under a key that is not its own.
    #[error("the value is not what one of the account's devices put here")]
    NotOpened,
    /// The bytes are no such value.
    #[error("the value is malformed")]
    Malformed,
    /// A kind of value of a later version.
    #[error("the value is of a later version")]
    UnknownKind,
    /// It is larger than the largest bucket.
    #[error("a shared value has at most {max} bytes")]
    TooLarge {
        /// The limit.
        max: usize,
    },
}
