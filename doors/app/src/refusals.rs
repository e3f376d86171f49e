//! What each refusal becomes on the wire of the app protocol: the one place, with no case left out.
//!
//! Fields and sentences of `Refused` are the same for every refusal (`tidings_protocol_app`); here is
//! decided which of them end the connection, and how.

use tidings_model::Refusal;
use tidings_protocol_app::wire;

use crate::session::Close;

/// What a session does with a refusal.
pub(crate) enum Verdict {
    /// It answers; the connection lives on.
    Refuse(wire::Refused),
    /// It answers and closes.
    RefuseAndClose(wire::Refused, Close),
    /// It closes without a word more: the peer has no right to one.
    Close(Close),
}

/// Decides what a session does with a refusal.
pub(crate) fn verdict(refusal: &Refusal) -> Verdict {
    match refusal {
        Refusal::VersionUnsupported { .. } => {
            Verdict::RefuseAndClose(refusal.into(), Close::VERSION)
        }
        Refusal::Unauthenticated => Verdict::Close(Close::UNAUTHENTICATED),
        Refusal::TokenRevoked => Verdict::Close(Close::REVOKED),
        Refusal::InvalidField { .. }
        | Refusal::UnknownRequest
        | Refusal::DuplicateRequest
        | Refusal::NotAuthenticated
        | Refusal::InviteRequired
        | Refusal::InviteInvalid
        | Refusal::InviteExpired
        | Refusal::InviteUsed
        | Refusal::UserNameTaken
        | Refusal::IdTaken
        | Refusal::NotFound
        | Refusal::NotAMember
        | Refusal::Forbidden
        | Refusal::WrongKind
        | Refusal::NothingToChange
        | Refusal::CursorAhead { .. }
        | Refusal::EpochChanged { .. }
        | Refusal::EntryDamaged { .. }
        | Refusal::PayloadTooLarge { .. }
        | Refusal::NameTooLong { .. }
        | Refusal::GroupFull { .. }
        | Refusal::TooManyAdded { .. }
        | Refusal::TooManyDevices { .. }
        | Refusal::TooManyConversations { .. }
        | Refusal::TooManyInFlight { .. }
        | Refusal::TooManyCursors { .. }
        | Refusal::TooManyInvites { .. }
        | Refusal::RateLimited { .. }
        | Refusal::SignInThrottled { .. }
        | Refusal::LookUpsExhausted { .. }
        | Refusal::StorageFull
        | Refusal::Overloaded { .. }
        | Refusal::Unavailable
        | Refusal::EpochConflict { .. }
        | Refusal::CommitBusy { .. }
        | Refusal::CommitRequired { .. }
        | Refusal::CommitRefused { .. }
        | Refusal::WrongSealing { .. }
        | Refusal::RestartTooSoon { .. }
        | Refusal::DeviceListConflict { .. }
        | Refusal::DeviceListRefused { .. }
        | Refusal::DeviceNotListed
        | Refusal::KeyPackageRefused { .. }
        | Refusal::TooManyKeyPackages { .. }
        | Refusal::ClaimsExhausted { .. }
        | Refusal::InboxFull { .. }
        | Refusal::AccountLogFull { .. }
        | Refusal::LogHealing { .. }
        | Refusal::BackupFull { .. } => Verdict::Refuse(refusal.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_right_to_speak_closes_and_everything_else_is_answered() {
        assert!(matches!(verdict(&Refusal::TokenRevoked), Verdict::Close(Close::REVOKED)));
        assert!(matches!(
            verdict(&Refusal::Unauthenticated),
            Verdict::Close(Close::UNAUTHENTICATED)
        ));
        let version = Refusal::VersionUnsupported { lowest: 1, highest: 1 };
        assert!(matches!(
            verdict(&version),
            Verdict::RefuseAndClose(refused, Close::VERSION) if refused.name == version.name()
        ));
        let throttled = Refusal::NotAuthenticated;
        assert!(matches!(verdict(&throttled), Verdict::Refuse(refused) if refused.code == 6));
    }
}
