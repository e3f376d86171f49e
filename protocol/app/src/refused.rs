//! A refusal on its way: from the model's enum to the frame, and from the frame to what an app keeps.
//!
//! An app may be older than its server and meet a number that it does not know, so it keeps what the
//! frame says and turns nothing back into the enum: the sentence is shown, the number decides.

use std::time::Duration;

use tidings_model::{LogEpoch, Refusal, Seq};

use crate::wire;

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
}

impl From<&Refusal> for wire::Refused {
    fn from(refusal: &Refusal) -> Self {
        let limit = refusal.limit();
        let (log_epoch, log_epoch_since) = match refusal {
            Refusal::EpochChanged { epoch, since } => (epoch.get(), since.get()),
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
    fn numbers_are_those_of_the_model() {
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
        ] {
            assert_eq!(number, refusal.number(), "{refusal:?}");
        }
    }
}
