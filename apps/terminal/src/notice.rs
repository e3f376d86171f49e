//! What the client noticed by itself, in words for the person.

use tidings_client_core::Notice;

use crate::naming::{ID_SHOWN, short};
use crate::people::People;
use crate::visible;

/// The words; `None` for what the state of the connection, of the device list or of a link tells
/// already.
pub(crate) fn words(notice: &Notice, people: &People) -> Option<String> {
    Some(match notice {
        Notice::SignedOut
        | Notice::LinkOffered { .. }
        | Notice::LinkEnded { .. }
        | Notice::LinkFailed { .. }
        | Notice::BackupComes { .. } => return None,
        Notice::HistoryComes { from, done, total, waits } => {
            let (id, is_begin) = (from.to_string(), *done == 0 && *total > 0);
            let id = short(&id, ID_SHOWN);
            match waits {
                true => format!(
                    "the history of your conversations comes when your device {id} is online: \
                     {done} of {total} are here"
                ),
                false if is_begin => format!(
                    "the history of your conversations comes from your device {id}, the newest \
                     first. You can write meanwhile"
                ),
                false => return None,
            }
        }
        Notice::HistoryEnded { completed: true, .. } => {
            "the history of your conversations is here".to_owned()
        }
        Notice::HistoryEnded { completed: false, .. } => {
            "your other device gives no more history: the rest is looked for in the recovery backup"
                .to_owned()
        }
        Notice::BackupRead => "what the recovery backup holds is on this device".to_owned(),
        Notice::BackupFull => {
            "the server has no more room for your recovery backup: what is said from now on is on \
             your devices alone"
                .to_owned()
        }
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
        Notice::DeviceLinked { device } => {
            let id = device.to_string();
            let id = short(&id, ID_SHOWN);
            format!(
                "another device of yours was linked and reads everything from now on: {id}. If that \
                 was not you: `tidings devices revoke {id}`, at once"
            )
        }
        Notice::DeviceListRefused { account, reason } => format!(
            "the server shows a list of {} devices that is not genuine ({}). It is not taken, and \
             nothing is sealed for it: tell the server's operator",
            possessive(people, *account),
            visible::one_line(reason)
        ),
        Notice::IdentityChanged { account } => match people.is_me(*account) {
            true => "your account has a new identity: the former devices are out".to_owned(),
            false => format!(
                "{} has a new identity: all devices and the recovery key are new, or somebody else \
                 is there. Compare safety numbers before you trust it: `tidings verify {}`",
                people.name(*account),
                people.user_name(*account)
            ),
        },
        Notice::RemovedFromDeviceList => {
            "this device was taken out of your account's device list, and is signed out".to_owned()
        }
        Notice::NotAdded { accounts, .. } => {
            let names: Vec<String> = accounts.iter().map(|account| people.name(*account)).collect();
            format!(
                "not added, because none of their devices can read sealed messages yet: {}. Ask them \
                 to sign in once, then add them again",
                names.join(", ")
            )
        }
        Notice::KeysLost { .. } => {
            "this device has lost the keys of a conversation and comes in again by itself: nothing \
             is to be done"
                .to_owned()
        }
        Notice::RestartRefused { reason, .. } => format!(
            "somebody tried to begin a group anew in a way that nobody may ({}): this device stays \
             with the former one",
            visible::one_line(reason)
        ),
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

/// Whether a person is to hear of it whatever they are doing, since it is about whom they talk to and
/// who reads along.
pub(crate) fn concerns_safety(notice: &Notice) -> bool {
    match notice {
        Notice::DeviceLinked { .. }
        | Notice::DeviceListRefused { .. }
        | Notice::IdentityChanged { .. }
        | Notice::RemovedFromDeviceList
        | Notice::NotAdded { .. }
        | Notice::RestartRefused { .. } => true,
        Notice::SignedOut
        | Notice::LogWentBack { .. }
        | Notice::DeviceRestored
        | Notice::DeviceAdded { .. }
        | Notice::DeviceRevoked { .. }
        | Notice::LinkOffered { .. }
        | Notice::LinkEnded { .. }
        | Notice::LinkFailed { .. }
        | Notice::HistoryComes { .. }
        | Notice::HistoryEnded { .. }
        | Notice::BackupComes { .. }
        | Notice::BackupRead
        | Notice::BackupFull
        | Notice::OutboxHeld { .. }
        | Notice::OutboxReleased
        | Notice::KeysLost { .. }
        | Notice::ProtocolViolation(_)
        | Notice::DatabaseFailed(_) => false,
    }
}

fn possessive(people: &People, account: tidings_model::AccountId) -> String {
    if people.is_me(account) { "your".to_owned() } else { format!("{}'s", people.name(account)) }
}

#[cfg(test)]
mod tests {
    use tidings_client_core::database::Profile;
    use tidings_model::{AccountId, DeviceId};

    use super::*;

    const ME: AccountId = AccountId::from_bytes([1; 16]);
    const KOFI: AccountId = AccountId::from_bytes([2; 16]);

    fn said(notice: &Notice) -> String {
        let kofi = Profile {
            account: KOFI,
            user_name: "kofi".to_owned(),
            display_name: "Ko\x1bfi".to_owned(),
        };
        words(notice, &People::new(Some(ME), vec![kofi])).expect("it has words")
    }

    #[test]
    fn changed_identity_says_what_it_may_mean_and_what_to_do() {
        let words = said(&Notice::IdentityChanged { account: KOFI });
        assert!(words.starts_with("Ko\\u{1b}fi has a new identity"), "{words}");
        assert!(words.ends_with("`tidings verify kofi`"), "{words}");
        assert!(said(&Notice::IdentityChanged { account: ME }).starts_with("your account"));
    }

    #[test]
    fn linked_device_says_how_it_is_put_out_again() {
        let device = DeviceId::from_bytes([3; 16]);
        let notice = Notice::DeviceLinked { device };
        assert!(said(&notice).contains(&format!("revoke {}", short(&device.to_string(), 8))));
        assert!(concerns_safety(&notice));
    }

    #[test]
    fn list_that_is_not_taken_is_told_apart_from_ones_own() {
        let refused = |account| Notice::DeviceListRefused { account, reason: "shorter".into() };
        assert!(said(&refused(KOFI)).contains("Ko\\u{1b}fi's devices"));
        assert!(said(&refused(ME)).contains("your devices"));
    }
}
