//! What the client noticed by itself, in words for the person.

use tidings_client_core::Notice;

use crate::visible;

/// The words; `None` for what the state of the connection tells already.
pub(crate) fn words(notice: &Notice) -> Option<String> {
    Some(match notice {
        Notice::SignedOut => return None,
        Notice::LogWentBack { offered_again, .. } => format!(
            "the server was restored from an older state: {offered_again} of your messages are \
             offered to it again"
        ),
        Notice::DeviceRestored => {
            "this folder is an older copy of itself: everything is read again before anything is \
             sent"
                .to_owned()
        }
        Notice::DeviceAdded { name } => format!(
            "a new device signed in to your account: {} (`tidings devices` lists them)",
            visible::one_line(name)
        ),
        Notice::DeviceRevoked { name } => {
            format!("a device was signed out: {}", visible::one_line(name))
        }
        Notice::OutboxHeld { reason } => {
            format!("{}: what you send is kept on this device", visible::one_line(reason))
        }
        Notice::OutboxReleased => "the server takes what you send again".to_owned(),
        Notice::ProtocolViolation(detail) => format!(
            "the server broke the protocol, and the connection was closed ({detail}): tell its \
             operator"
        ),
        Notice::DatabaseFailed(error) => error.to_string(),
    })
}
