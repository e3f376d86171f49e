//! A refusal on its way: from the model's enum to the frame, and from the frame to what an app keeps.
//!
//! An app may be older than its server and meet a number that it does not know, so it keeps what the
//! frame says and turns nothing back into the enum: the sentence is shown, the number decides.

use std::time::Duration;

use tidings_model::{AccountId, GroupEpoch, LogEpoch, Refusal, Seq};

use crate::{id_bytes, wire};

/// The numbers of `tidings_model::Refusal` on which an app acts by itself.
pub mod code {
    /// No common version of the protocol.
    pub const VERSION_UNSUPPORTED: u32 = 4;
    /// The request needs a live session.
    pub const UNAUTHENTICATED: u32 = 5;
    /// Wrong password or unknown user name.
    pub const NOT_AUTHENTICATED: u32 = 6;
    /// The device's token is unknown or revoked.
    pub const TOKEN_REVOKED: u32 = 7;
    /// Absent, or not visible to the asker.
    pub const NOT_FOUND: u32 = 14;
    /// The account has left or was removed.
    pub const NOT_A_MEMBER: u32 = 15;
    /// The change is already true.
    pub const NOTHING_TO_CHANGE: u32 = 18;
    /// A cursor past the head.
    pub const CURSOR_AHEAD: u32 = 19;
    /// A cursor of a former life of the log.
    pub const EPOCH_CHANGED: u32 = 20;
    /// The disk is full.
    pub const STORAGE_FULL: u32 = 34;
    /// Made in another epoch than the group's present one.
    pub const EPOCH_CONFLICT: u32 = 37;
    /// A Commit too soon after another.
    pub const COMMIT_BUSY: u32 = 38;
    /// A Commit has to remove devices first.
    pub const COMMIT_REQUIRED: u32 = 39;
    /// A Commit that breaks a rule.
    pub const COMMIT_REFUSED: u32 = 40;
    /// An open entry for a sealed conversation, or the other way round.
    pub const WRONG_SEALING: u32 = 41;
    /// A restart too soon after another.
    pub const RESTART_TOO_SOON: u32 = 42;
    /// Another device list than the new entries were made for.
    pub const DEVICE_LIST_CONFLICT: u32 = 43;
    /// An entry of a device list that is not valid.
    pub const DEVICE_LIST_REFUSED: u32 = 44;
    /// The account's list does not cover the device.
    pub const DEVICE_NOT_LISTED: u32 = 45;
    /// A key package that is not valid.
    pub const KEY_PACKAGE_REFUSED: u32 = 46;
    /// A full stock of key packages.
    pub const TOO_MANY_KEY_PACKAGES: u32 = 47;
    /// Too many claims of key packages.
    pub const CLAIMS_EXHAUSTED: u32 = 48;
    /// The other device's inbox is full.
    pub const INBOX_FULL: u32 = 49;
    /// Too many keys in the account log.
    pub const ACCOUNT_LOG_FULL: u32 = 50;
    /// The log gets back what it has lost first.
    pub const LOG_HEALING: u32 = 51;
    /// The recovery backup has no more room.
    pub const BACKUP_FULL: u32 = 52;
}

/// Why a request was refused, as an app keeps and shows it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// The stable number; see [`code`].
    pub code: u32,
    /// Its name, such as `NOT_FOUND`.
    pub name: String,
    /// A sentence for the person.
    pub message: String,
    /// Whether the same request can succeed later without a change.
    pub may_retry: bool,
    /// When a retry makes sense, where that is known.
    pub retry_after: Option<Duration>,
    /// Name and value of the limit that was hit.
    pub limit: Option<(String, u64)>,
    /// With [`code::EPOCH_CHANGED`]: the log's epoch, and the last seq that both have in common.
    pub epoch_changed: Option<(LogEpoch, Seq)>,
    /// With [`code::CURSOR_AHEAD`]: the log's head.
    pub head: Option<Seq>,
    /// With [`code::EPOCH_CONFLICT`]: where the group stands.
    pub group: Option<GroupEpoch>,
    /// With [`code::COMMIT_REQUIRED`]: the accounts whose devices a Commit has to remove first.
    pub to_remove: Vec<AccountId>,
    /// With [`code::DEVICE_LIST_CONFLICT`]: number of the identity, and its entries.
    pub list: Option<(u32, u32)>,
}

impl From<&Refusal> for wire::Refused {
    fn from(refusal: &Refusal) -> Self {
        let limit = refusal.limit();
        let (log_epoch, log_epoch_since) = match refusal {
            Refusal::EpochChanged { epoch, since } => (epoch.get(), since.get()),
            _ => (0, 0),
        };
        let (list_identity, list_entries) = match refusal {
            Refusal::DeviceListConflict { identity, entries } => (*identity, *entries),
            _ => (0, 0),
        };
        Self {
            code: refusal.number(),
            name: refusal.name().to_owned(),
            message: refusal.to_string(),
            retry: refusal.may_retry(),
            retry_after_ms: refusal
                .retry_after()
                .map_or(0, |span| u32::try_from(span.as_millis()).unwrap_or(u32::MAX)),
            limit: limit.map_or_else(String::new, |limit| limit.name.to_owned()),
            limit_value: limit.map_or(0, |limit| limit.value),
            log_epoch,
            log_epoch_since,
            head: match refusal {
                Refusal::CursorAhead { head } => head.get(),
                _ => 0,
            },
            group: match refusal {
                Refusal::EpochConflict { place } => Some((*place).into()),
                _ => None,
            },
            to_remove: match refusal {
                Refusal::CommitRequired { to_remove } => {
                    to_remove.iter().map(|account| id_bytes(account.as_bytes())).collect()
                }
                _ => Vec::new(),
            },
            list_identity,
            list_entries,
        }
    }
}

impl From<wire::Refused> for Refused {
    fn from(refused: wire::Refused) -> Self {
        let epoch_changed = LogEpoch::new(refused.log_epoch).zip(Seq::new(refused.log_epoch_since));
        Self {
            code: refused.code,
            may_retry: refused.retry,
            retry_after: (refused.retry_after_ms != 0)
                .then(|| Duration::from_millis(refused.retry_after_ms.into())),
            limit: (!refused.limit.is_empty()).then_some((refused.limit, refused.limit_value)),
            epoch_changed: epoch_changed.filter(|_| refused.code == code::EPOCH_CHANGED),
            head: Seq::new(refused.head).filter(|_| refused.code == code::CURSOR_AHEAD),
            group: wire::GroupEpoch::optional("group", refused.group.as_ref())
                .ok()
                .flatten()
                .filter(|_| refused.code == code::EPOCH_CONFLICT),
            to_remove: match refused.code {
                code::COMMIT_REQUIRED => refused
                    .to_remove
                    .iter()
                    .filter_map(|account| account[..].try_into().ok())
                    .collect(),
                _ => Vec::new(),
            },
            list: (refused.code == code::DEVICE_LIST_CONFLICT)
                .then_some((refused.list_identity, refused.list_entries)),
            name: refused.name,
            message: refused.message,
        }
    }
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Self {
        wire::Refused::from(refusal).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_arrives_with_number_sentence_limit_and_wait() {
        let refused = Refused::from(&Refusal::RateLimited {
            max: 20,
            retry_after: Duration::from_millis(1_500),
        });
        assert_eq!(refused.name, "RATE_LIMITED");
        assert_eq!(refused.to_string(), "more than 20 messages a second: slow down");
        assert!(refused.may_retry);
        assert_eq!(refused.retry_after, Some(Duration::from_millis(1_500)));
        assert_eq!(refused.limit, Some(("messages_per_second".to_owned(), 20)));
        assert_eq!((refused.epoch_changed, refused.head), (None, None));
    }

    #[test]
    fn refusal_of_a_cursor_says_where_to_go_on() {
        let (epoch, since) = (LogEpoch::new(9).unwrap(), Seq::new(4).unwrap());
        let changed = Refused::from(&Refusal::EpochChanged { epoch, since });
        assert_eq!(changed.epoch_changed, Some((epoch, since)));
        let ahead = Refused::from(&Refusal::CursorAhead { head: Seq::ZERO });
        assert_eq!(ahead.head, Some(Seq::ZERO));
    }

    #[test]
    fn refusal_of_a_sealed_conversation_says_what_to_do_first() {
        let place = GroupEpoch { generation: 2, epoch: 7 };
        let conflict = Refused::from(&Refusal::EpochConflict { place });
        assert_eq!((conflict.group, conflict.may_retry), (Some(place), false));
        let gone = vec![AccountId::from_bytes([1; 16]), AccountId::from_bytes([2; 16])];
        let required = Refused::from(&Refusal::CommitRequired { to_remove: gone.clone() });
        assert_eq!(required.to_remove, gone);
        let list = Refused::from(&Refusal::DeviceListConflict { identity: 0, entries: 3 });
        assert_eq!(list.list, Some((0, 3)));
        let busy = Refused::from(&Refusal::CommitBusy { retry_after: Duration::from_secs(2) });
        assert_eq!((busy.may_retry, busy.retry_after), (true, Some(Duration::from_secs(2))));
        for other in [busy, Refused::from(&Refusal::NotFound)] {
            assert_eq!((other.group, other.list, other.to_remove.len()), (None, None, 0));
        }
    }

    #[test]
    fn numbers_are_those_of_the_model() {
        let retry_after = Duration::from_secs(1);
        for (number, refusal) in [
            (code::VERSION_UNSUPPORTED, Refusal::VersionUnsupported { lowest: 1, highest: 1 }),
            (code::UNAUTHENTICATED, Refusal::Unauthenticated),
            (code::NOT_AUTHENTICATED, Refusal::NotAuthenticated),
            (code::TOKEN_REVOKED, Refusal::TokenRevoked),
            (code::NOT_FOUND, Refusal::NotFound),
            (code::NOT_A_MEMBER, Refusal::NotAMember),
            (code::NOTHING_TO_CHANGE, Refusal::NothingToChange),
            (code::CURSOR_AHEAD, Refusal::CursorAhead { head: Seq::ZERO }),
            (code::STORAGE_FULL, Refusal::StorageFull),
            (code::EPOCH_CONFLICT, Refusal::EpochConflict { place: GroupEpoch::FIRST }),
            (code::COMMIT_BUSY, Refusal::CommitBusy { retry_after }),
            (code::COMMIT_REQUIRED, Refusal::CommitRequired { to_remove: Vec::new() }),
            (code::COMMIT_REFUSED, Refusal::CommitRefused { reason: String::new() }),
            (code::WRONG_SEALING, Refusal::WrongSealing { sealed: true }),
            (code::RESTART_TOO_SOON, Refusal::RestartTooSoon { retry_after }),
            (code::DEVICE_LIST_CONFLICT, Refusal::DeviceListConflict { identity: 0, entries: 1 }),
            (code::DEVICE_LIST_REFUSED, Refusal::DeviceListRefused { reason: String::new() }),
            (code::DEVICE_NOT_LISTED, Refusal::DeviceNotListed),
            (
                code::KEY_PACKAGE_REFUSED,
                Refusal::KeyPackageRefused { index: 0, reason: String::new() },
            ),
            (code::TOO_MANY_KEY_PACKAGES, Refusal::TooManyKeyPackages { max: 200 }),
            (code::CLAIMS_EXHAUSTED, Refusal::ClaimsExhausted { max: 20, retry_after }),
            (code::INBOX_FULL, Refusal::InboxFull { max: 1_000 }),
            (code::ACCOUNT_LOG_FULL, Refusal::AccountLogFull { max: 10_000 }),
            (code::LOG_HEALING, Refusal::LogHealing { retry_after }),
            (code::BACKUP_FULL, Refusal::BackupFull { max: 64 << 20 }),
        ] {
            assert_eq!(number, refusal.number(), "{refusal:?}");
        }
    }
}
