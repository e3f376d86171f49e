//! Operations and queries of accounts, their devices, and invites.

use std::fmt;

use tidings_model::{AccountId, DeviceId, Timestamp};

/// SHA-256 of a device's token; the token itself is never stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

/// SHA-256 of an invite's token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InviteHash(pub [u8; 32]);

impl fmt::Debug for TokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenHash(..)")
    }
}

impl fmt::Debug for InviteHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("InviteHash(..)")
    }
}

/// What checks a password by a SASL mechanism without knowing it (RFC 5802 §3).
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    /// `SCRAM-SHA-256`.
    pub mechanism: String,
    /// Salt.
    pub salt: Vec<u8>,
    /// Iteration count.
    pub iterations: u32,
    /// StoredKey.
    pub stored_key: Vec<u8>,
    /// ServerKey.
    pub server_key: Vec<u8>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Verifier({}, ..)", self.mechanism)
    }
}

/// A change of accounts, devices or invites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountOperation {
    /// Makes an account with its first device, using up an invite. Checked in this order:
    ///
    /// 1. The account exists with the same user name, device and token hash: the same answer again.
    ///    Otherwise an account or device id in use: `ID_TAKEN`.
    /// 2. The invite: absent where `invite_required` → `INVITE_REQUIRED`; unknown → `INVITE_INVALID`;
    ///    used → `INVITE_USED`; at or past its end → `INVITE_EXPIRED`. One that is given is checked and
    ///    used up even where none is required.
    /// 3. The user name: `USER_NAME_TAKEN`.
    ///
    /// The account is an administrator if the invite says so, or if it is the store's first.
    SignUp {
        /// The account.
        account: NewAccount,
        /// Its first device.
        device: NewDevice,
        /// The invite.
        invite: Option<InviteHash>,
        /// Whether sign-up needs one.
        invite_required: bool,
        /// The server's time.
        now: Timestamp,
    },
    /// Adds a device to an account. Checked in this order:
    ///
    /// 1. The account exists: else `NOT_FOUND`.
    /// 2. The same device of the account, not revoked, with the same token hash: done. Otherwise a
    ///    device id in use, revoked ones included: `ID_TAKEN`.
    /// 3. `DEVICES_MAX` devices that are not revoked: `TOO_MANY_DEVICES`.
    AddDevice {
        /// The account.
        account: AccountId,
        /// The device.
        device: NewDevice,
        /// The server's time.
        now: Timestamp,
    },
    /// Revokes a device; its id is never used again. Its key packages, its last resort and what its inbox
    /// holds and remembers are dropped. Another account's device, or none: `NOT_FOUND`. Revoking twice is
    /// done.
    RevokeDevice {
        /// The account.
        account: AccountId,
        /// The device.
        device: DeviceId,
        /// The server's time.
        now: Timestamp,
    },
    /// Notes that a device resumes with a counter, and when. A revoked or unknown device:
    /// `TOKEN_REVOKED`. A counter that is not above the highest so far (0 for a new device): restored.
    Resume {
        /// The device.
        device: DeviceId,
        /// Its counter; the store keeps the highest.
        counter: u64,
        /// The server's time.
        now: Timestamp,
    },
    /// Changes an account's display name. No such account: `NOT_FOUND`.
    SetDisplayName {
        /// The account.
        account: AccountId,
        /// The name.
        display_name: String,
    },
    /// Adds an invite. The same one of the same maker again: the same answer, whatever became of it; one
    /// of another maker: `ID_TAKEN`. `by` does not exist:
    /// `NOT_FOUND`. `open_max` invites of `by` that are neither used nor expired: `TOO_MANY_INVITES`.
    /// An invite of nobody (the server's own) replaces the earlier ones of nobody that are not used, and
    /// is not counted.
    CreateInvite {
        /// The invite.
        invite: InviteHash,
        /// Who made it; `None`: the server.
        by: Option<AccountId>,
        /// Whether the account that it makes is an administrator.
        administrator: bool,
        /// When it ends.
        expires_at: Timestamp,
        /// How many may be open.
        open_max: usize,
        /// The server's time.
        now: Timestamp,
    },
}

/// An account before it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Its id, drawn by the client.
    pub account: AccountId,
    /// Its user name, prepared (RFC 8265).
    pub user_name: String,
    /// Its display name.
    pub display_name: String,
    /// What checks its password, by mechanism.
    pub verifiers: Vec<Verifier>,
}

/// A device before it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDevice {
    /// Its id, drawn by the client.
    pub device: DeviceId,
    /// Its name, for its owner's list.
    pub name: String,
    /// Hash of its token.
    pub token_hash: TokenHash,
}

/// A question about accounts and devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountQuery {
    /// The account of a prepared user name.
    ByName(String),
    /// The account of an id.
    ById(AccountId),
    /// Profiles of these accounts, in no order.
    Profiles(Vec<AccountId>),
    /// A device with its account, revoked or not.
    Device(DeviceId),
    /// The devices of an account that are not revoked.
    Devices(AccountId),
    /// Whether there is any account.
    AnyAccount,
}

/// What others see of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The account.
    pub account: AccountId,
    /// Its user name.
    pub user_name: String,
    /// Its display name.
    pub display_name: String,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// What others see.
    pub profile: Profile,
    /// Whether it administers the server.
    pub administrator: bool,
    /// What checks its password, by mechanism.
    pub verifiers: Vec<Verifier>,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRecord {
    /// The device.
    pub device: DeviceId,
    /// Its account.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// Hash of its token.
    pub token_hash: TokenHash,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it resumed last, or was added; it never goes back.
    pub last_seen: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}
