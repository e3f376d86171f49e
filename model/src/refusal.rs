//! Refusals: what a valid peer is told when a request cannot be granted.
//!
//! One enum for all doors, with numbers that never change their meaning (`docs/formats.md` lists them).
//! Each door maps it to its standard's codes in one file, exhaustively. What breaks a protocol's rules
//! is not here: that is the protocol's own error and closes the connection.

use std::time::Duration;

use crate::{AccountId, ConversationId, GroupEpoch, LogEpoch, Seq};

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A field of the request has no valid value.
    #[error("the field {field} {problem}")]
    InvalidField {
        /// The field's name.
        field: &'static str,
        /// What is wrong with it, as the end of a sentence.
        problem: &'static str,
    },
    /// The request's body is of a later version, or missing.
    #[error("this server does not know the request: it may be older than the app")]
    UnknownRequest,
    /// The request number is in flight already.
    #[error("a request with this number is still in flight: number requests upwards")]
    DuplicateRequest,
    /// No common version of the protocol.
    #[error(
        "this server speaks versions {lowest} to {highest} of the protocol: update the older side"
    )]
    VersionUnsupported {
        /// The lowest version that the server speaks.
        lowest: u32,
        /// The highest one.
        highest: u32,
    },
    /// The request needs a live session.
    #[error("sign in or resume first")]
    Unauthenticated,
    /// Wrong password or unknown user name, indistinguishably.
    #[error("the user name or the password is wrong")]
    NotAuthenticated,
    /// The device's token is unknown or revoked.
    #[error("this device was signed out: sign in again")]
    TokenRevoked,
    /// Sign-up without an invite where one is needed.
    #[error("this server takes new accounts by invite only: ask a member for an invite link")]
    InviteRequired,
    /// An invite that this server did not make.
    #[error("the invite is not known here: check the link, or ask for a new one")]
    InviteInvalid,
    /// An invite past its seven days.
    #[error("the invite has expired: ask for a new one")]
    InviteExpired,
    /// An invite that made an account already.
    #[error("the invite was used already: ask for a new one")]
    InviteUsed,
    /// Another account has the user name.
    #[error("the user name is taken: choose another")]
    UserNameTaken,
    /// An identifier that belongs to something else.
    #[error("the identifier is in use: draw a new one")]
    IdTaken,
    /// Absent, or not visible to the asker.
    #[error("there is no such thing, or it is not yours to see")]
    NotFound,
    /// The account has left or was removed.
    #[error("you are not a member of this conversation any more")]
    NotAMember,
    /// The role does not allow the act.
    #[error("your role in this conversation does not allow this")]
    Forbidden,
    /// The act is not for this kind of conversation.
    #[error("members and names can only be changed in groups")]
    WrongKind,
    /// The change is already true.
    #[error("it is so already")]
    NothingToChange,
    /// A cursor past the head.
    #[error("the cursor is past the head of the log: read again from its head")]
    CursorAhead {
        /// The log's head.
        head: Seq,
    },
    /// A cursor of a former life of the log.
    #[error("the log began a new epoch: go on from the last seq that both have in common")]
    EpochChanged {
        /// The epoch now.
        epoch: LogEpoch,
        /// Entries up to here are the same in both epochs.
        since: Seq,
    },
    /// An entry's checksum does not fit its bytes.
    #[error("entry {} of conversation {conversation} is damaged on the server's disk: its operator has to repair it", seq.get())]
    EntryDamaged {
        /// The log.
        conversation: ConversationId,
        /// The entry.
        seq: Seq,
    },
    /// Over `payload_bytes`.
    #[error("a payload has at most {max} bytes: send longer things as a file")]
    PayloadTooLarge {
        /// Bytes.
        max: u64,
    },
    /// Over `name_bytes`.
    #[error("the name has more than {max} bytes: shorten it")]
    NameTooLong {
        /// Bytes.
        max: u64,
    },
    /// Over `members_per_group`.
    #[error("a group has at most {max} members")]
    GroupFull {
        /// Members.
        max: u64,
    },
    /// Over `adds_per_change`.
    #[error("at most {max} people can be added at once: add them in parts")]
    TooManyAdded {
        /// Accounts.
        max: u64,
    },
    /// Over `devices_per_account`.
    #[error("an account has at most {max} devices: sign one out first")]
    TooManyDevices {
        /// Devices.
        max: u64,
    },
    /// Over `conversations_per_account`.
    #[error("an account has at most {max} conversations")]
    TooManyConversations {
        /// Conversations.
        max: u64,
    },
    /// Over `requests_in_flight`.
    #[error("at most {max} requests may wait for their answer: wait for one")]
    TooManyInFlight {
        /// Requests.
        max: u64,
    },
    /// Over `cursors_per_resume`.
    #[error("a resume carries at most {max} cursors: leave out the oldest conversations")]
    TooManyCursors {
        /// Cursors.
        max: u64,
    },
    /// Over `open_invites_per_account`.
    #[error("at most {max} invites may be open: wait until one is used or has expired")]
    TooManyInvites {
        /// Invites.
        max: u64,
    },
    /// Over `messages_per_second` and its burst.
    #[error("more than {max} messages a second: slow down")]
    RateLimited {
        /// Messages a second.
        max: u64,
        /// When to try again.
        retry_after: Duration,
    },
    /// Over `sign_in_failures_per_minute`.
    #[error("more than {max} failed sign-ins in a minute: wait")]
    SignInThrottled {
        /// Failures a minute.
        max: u64,
        /// When to try again.
        retry_after: Duration,
    },
    /// Over `look_ups_per_minute` or `look_ups_per_day`.
    #[error("more than {max} look-ups: wait")]
    LookUpsExhausted {
        /// Look-ups.
        max: u64,
        /// When to try again.
        retry_after: Duration,
    },
    /// The disk is full; nothing was written.
    #[error("the server's disk is full: nothing was stored")]
    StorageFull,
    /// A queue is at its bound.
    #[error("the server has more to do than it can: try again later")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// The server stops, or cannot reach what it needs.
    #[error("the server cannot do this just now: try again")]
    Unavailable,
    /// It was made in another epoch than the group's present one.
    #[error("the group is in epoch {} of generation {}: read the log and do it again", place.epoch, place.generation)]
    EpochConflict {
        /// Where the group stands.
        place: GroupEpoch,
    },
    /// A Commit comes too soon after another.
    #[error("the group has just changed: send the same again a little later")]
    CommitBusy {
        /// When to try again.
        retry_after: Duration,
    },
    /// Devices of accounts that have left, or revoked devices, are still in the group.
    #[error("a Commit has to remove those who have gone first")]
    CommitRequired {
        /// The accounts whose devices are to be removed.
        to_remove: Vec<AccountId>,
    },
    /// A Commit, or the beginning of a group, breaks a rule.
    #[error("the Commit is not allowed: {reason}")]
    CommitRefused {
        /// Which one.
        reason: String,
    },
    /// An open entry for a sealed conversation, or the other way round.
    #[error("the conversation is {}: send what fits it", if *.sealed { "sealed" } else { "open" })]
    WrongSealing {
        /// Whether the conversation is sealed.
        sealed: bool,
    },
    /// A group was restarted a short while ago.
    #[error("the group was restarted a short while ago: wait")]
    RestartTooSoon {
        /// When to try again.
        retry_after: Duration,
    },
    /// The device list has other entries than the new ones were made for.
    #[error("the device list has {entries} entries under identity {identity}: fetch it first")]
    DeviceListConflict {
        /// Number of the present identity.
        identity: u32,
        /// Its entries.
        entries: u32,
    },
    /// An entry of a device list is not valid.
    #[error("the device list is not valid: {reason}")]
    DeviceListRefused {
        /// Why.
        reason: String,
    },
    /// The account's device list does not cover the device.
    #[error("the account's device list does not cover this device: link it first")]
    DeviceNotListed,
    /// A key package is not valid.
    #[error("key package {index} is not valid: {reason}")]
    KeyPackageRefused {
        /// Its place in the request.
        index: usize,
        /// Why.
        reason: String,
    },
    /// Over `key_packages_per_device`.
    #[error("a device has at most {max} key packages")]
    TooManyKeyPackages {
        /// Key packages.
        max: u64,
    },
    /// Over `claims_per_minute` or `claims_per_day`.
    #[error("more than {max} claims of key packages: wait")]
    ClaimsExhausted {
        /// Claims.
        max: u64,
        /// When to try again.
        retry_after: Duration,
    },
    /// Over `inbox_items`.
    #[error("the device's inbox holds {max} items already: it has to come online first")]
    InboxFull {
        /// Items.
        max: u64,
    },
    /// Over `account_log_keys`.
    #[error("an account log has at most {max} keys")]
    AccountLogFull {
        /// Keys.
        max: u64,
    },
    /// Over `backup_bytes`.
    #[error("a recovery backup holds at most {max} bytes")]
    BackupFull {
        /// Bytes.
        max: u64,
    },
    /// The log has lost entries a short while ago, and the devices that have them come first.
    #[error("the log has lost entries and is about to get them back: wait")]
    LogHealing {
        /// When to try again.
        retry_after: Duration,
    },
}

/// A limit that was hit, by the name that the documentation gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitHit {
    /// The limit's name.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
}

impl Refusal {
    /// The stable number.
    pub fn number(&self) -> u32 {
        match self {
            Self::InvalidField { .. } => 1,
            Self::UnknownRequest => 2,
            Self::DuplicateRequest => 3,
            Self::VersionUnsupported { .. } => 4,
            Self::Unauthenticated => 5,
            Self::NotAuthenticated => 6,
            Self::TokenRevoked => 7,
            Self::InviteRequired => 8,
            Self::InviteInvalid => 9,
            Self::InviteExpired => 10,
            Self::InviteUsed => 11,
            Self::UserNameTaken => 12,
            Self::IdTaken => 13,
            Self::NotFound => 14,
            Self::NotAMember => 15,
            Self::Forbidden => 16,
            Self::WrongKind => 17,
            Self::NothingToChange => 18,
            Self::CursorAhead { .. } => 19,
            Self::EpochChanged { .. } => 20,
            Self::EntryDamaged { .. } => 21,
            Self::PayloadTooLarge { .. } => 22,
            Self::NameTooLong { .. } => 23,
            Self::GroupFull { .. } => 24,
            Self::TooManyAdded { .. } => 25,
            Self::TooManyDevices { .. } => 26,
            Self::TooManyConversations { .. } => 27,
            Self::TooManyInFlight { .. } => 28,
            Self::TooManyCursors { .. } => 29,
            Self::TooManyInvites { .. } => 30,
            Self::RateLimited { .. } => 31,
            Self::SignInThrottled { .. } => 32,
            Self::LookUpsExhausted { .. } => 33,
            Self::StorageFull => 34,
            Self::Overloaded { .. } => 35,
            Self::Unavailable => 36,
            Self::EpochConflict { .. } => 37,
            Self::CommitBusy { .. } => 38,
            Self::CommitRequired { .. } => 39,
            Self::CommitRefused { .. } => 40,
            Self::WrongSealing { .. } => 41,
            Self::RestartTooSoon { .. } => 42,
            Self::DeviceListConflict { .. } => 43,
            Self::DeviceListRefused { .. } => 44,
            Self::DeviceNotListed => 45,
            Self::KeyPackageRefused { .. } => 46,
            Self::TooManyKeyPackages { .. } => 47,
            Self::ClaimsExhausted { .. } => 48,
            Self::InboxFull { .. } => 49,
            Self::AccountLogFull { .. } => 50,
            Self::LogHealing { .. } => 51,
            Self::BackupFull { .. } => 52,
        }
    }

    /// The name that documentation and logs use.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InvalidField { .. } => "INVALID_FIELD",
            Self::UnknownRequest => "UNKNOWN_REQUEST",
            Self::DuplicateRequest => "DUPLICATE_REQUEST",
            Self::VersionUnsupported { .. } => "VERSION_UNSUPPORTED",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::NotAuthenticated => "NOT_AUTHENTICATED",
            Self::TokenRevoked => "TOKEN_REVOKED",
            Self::InviteRequired => "INVITE_REQUIRED",
            Self::InviteInvalid => "INVITE_INVALID",
            Self::InviteExpired => "INVITE_EXPIRED",
            Self::InviteUsed => "INVITE_USED",
            Self::UserNameTaken => "USER_NAME_TAKEN",
            Self::IdTaken => "ID_TAKEN",
            Self::NotFound => "NOT_FOUND",
            Self::NotAMember => "NOT_A_MEMBER",
            Self::Forbidden => "FORBIDDEN",
            Self::WrongKind => "WRONG_KIND",
            Self::NothingToChange => "NOTHING_TO_CHANGE",
            Self::CursorAhead { .. } => "CURSOR_AHEAD",
            Self::EpochChanged { .. } => "EPOCH_CHANGED",
            Self::EntryDamaged { .. } => "ENTRY_DAMAGED",
            Self::PayloadTooLarge { .. } => "PAYLOAD_TOO_LARGE",
            Self::NameTooLong { .. } => "NAME_TOO_LONG",
            Self::GroupFull { .. } => "GROUP_FULL",
            Self::TooManyAdded { .. } => "TOO_MANY_ADDED",
            Self::TooManyDevices { .. } => "TOO_MANY_DEVICES",
            Self::TooManyConversations { .. } => "TOO_MANY_CONVERSATIONS",
            Self::TooManyInFlight { .. } => "TOO_MANY_IN_FLIGHT",
            Self::TooManyCursors { .. } => "TOO_MANY_CURSORS",
            Self::TooManyInvites { .. } => "TOO_MANY_INVITES",
            Self::RateLimited { .. } => "RATE_LIMITED",
            Self::SignInThrottled { .. } => "SIGN_IN_THROTTLED",
            Self::LookUpsExhausted { .. } => "LOOK_UPS_EXHAUSTED",
            Self::StorageFull => "STORAGE_FULL",
            Self::Overloaded { .. } => "OVERLOADED",
            Self::Unavailable => "UNAVAILABLE",
            Self::EpochConflict { .. } => "EPOCH_CONFLICT",
            Self::CommitBusy { .. } => "COMMIT_BUSY",
            Self::CommitRequired { .. } => "COMMIT_REQUIRED",
            Self::CommitRefused { .. } => "COMMIT_REFUSED",
            Self::WrongSealing { .. } => "WRONG_SEALING",
            Self::RestartTooSoon { .. } => "RESTART_TOO_SOON",
            Self::DeviceListConflict { .. } => "DEVICE_LIST_CONFLICT",
            Self::DeviceListRefused { .. } => "DEVICE_LIST_REFUSED",
            Self::DeviceNotListed => "DEVICE_NOT_LISTED",
            Self::KeyPackageRefused { .. } => "KEY_PACKAGE_REFUSED",
            Self::TooManyKeyPackages { .. } => "TOO_MANY_KEY_PACKAGES",
            Self::ClaimsExhausted { .. } => "CLAIMS_EXHAUSTED",
            Self::InboxFull { .. } => "INBOX_FULL",
            Self::AccountLogFull { .. } => "ACCOUNT_LOG_FULL",
            Self::LogHealing { .. } => "LOG_HEALING",
            Self::BackupFull { .. } => "BACKUP_FULL",
        }
    }

    /// Whether the same request can succeed later without a change.
    pub fn may_retry(&self) -> bool {
        matches!(
            self,
            Self::TooManyInFlight { .. }
                | Self::RateLimited { .. }
                | Self::SignInThrottled { .. }
                | Self::LookUpsExhausted { .. }
                | Self::CommitBusy { .. }
                | Self::RestartTooSoon { .. }
                | Self::ClaimsExhausted { .. }
                | Self::LogHealing { .. }
                | Self::InboxFull { .. }
                | Self::StorageFull
                | Self::Overloaded { .. }
                | Self::Unavailable
        )
    }

    /// When a retry makes sense, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. }
            | Self::SignInThrottled { retry_after, .. }
            | Self::LookUpsExhausted { retry_after, .. }
            | Self::CommitBusy { retry_after }
            | Self::RestartTooSoon { retry_after }
            | Self::LogHealing { retry_after }
            | Self::ClaimsExhausted { retry_after, .. }
            | Self::Overloaded { retry_after } => Some(*retry_after),
            _ => None,
        }
    }

    /// The limit that was hit.
    pub fn limit(&self) -> Option<LimitHit> {
        let (name, value) = match self {
            Self::PayloadTooLarge { max } => ("payload_bytes", *max),
            Self::NameTooLong { max } => ("name_bytes", *max),
            Self::GroupFull { max } => ("members_per_group", *max),
            Self::TooManyAdded { max } => ("adds_per_change", *max),
            Self::TooManyDevices { max } => ("devices_per_account", *max),
            Self::TooManyConversations { max } => ("conversations_per_account", *max),
            Self::TooManyInFlight { max } => ("requests_in_flight", *max),
            Self::TooManyCursors { max } => ("cursors_per_resume", *max),
            Self::TooManyInvites { max } => ("open_invites_per_account", *max),
            Self::RateLimited { max, .. } => ("messages_per_second", *max),
            Self::SignInThrottled { max, .. } => ("sign_in_failures_per_minute", *max),
            Self::LookUpsExhausted { max, .. } => ("look_ups_per_minute", *max),
            Self::TooManyKeyPackages { max } => ("key_packages_per_device", *max),
            Self::ClaimsExhausted { max, .. } => ("claims_per_minute", *max),
            Self::InboxFull { max } => ("inbox_items", *max),
            Self::AccountLogFull { max } => ("account_log_keys", *max),
            Self::BackupFull { max } => ("backup_bytes", *max),
            _ => return None,
        };
        Some(LimitHit { name, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_over_a_limit_names_it_and_its_value() {
        let refusal = Refusal::GroupFull { max: 1_024 };
        assert_eq!(refusal.limit(), Some(LimitHit { name: "members_per_group", value: 1_024 }));
        assert_eq!(refusal.to_string(), "a group has at most 1024 members");
        assert_eq!(Refusal::NotFound.limit(), None);
    }

    #[test]
    fn only_passing_conditions_invite_a_retry() {
        assert!(Refusal::StorageFull.may_retry());
        assert!(Refusal::Overloaded { retry_after: Duration::from_secs(1) }.may_retry());
        assert!(!Refusal::NotFound.may_retry());
        assert!(!Refusal::UserNameTaken.may_retry());
    }
}
