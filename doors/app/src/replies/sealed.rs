//! Answers about sealed conversations. What does not fit a frame is left to the next request.

use bytes::Bytes;
use tidings_messaging::store::{
    self, AccountValuePage, BackupChunk, ClaimedKeyPackage, GroupAnswer, InboxPage, ListPart,
};
use tidings_model::ConversationId;
use tidings_protocol_app::limits::SERVER_FRAME_BYTES_MAX;
use tidings_protocol_app::{sealed, wire};

use crate::limits::LISTS_BYTES_MAX;

pub(super) fn group(conversation: ConversationId, answer: GroupAnswer) -> wire::Group {
    sealed::PublicGroup {
        conversation,
        place: answer.group.place,
        group_info: answer.group.group_info,
        tree: answer.group.tree,
        leaves: answer.group.left.into_iter().map(|(_, leave)| leave).collect(),
        head: answer.head,
        log_epoch: answer.log_epoch,
    }
    .into()
}

/// Cuts lists where a frame is full: whoever asks beyond what it knows goes on from there.
pub(super) fn device_lists(parts: Vec<ListPart>) -> wire::DeviceLists {
    let mut room = LISTS_BYTES_MAX;
    let mut fitted = Vec::new();
    for mut part in parts {
        let entries = part.entries.len();
        part.entries = fitting(part.entries, &mut room, Bytes::len);
        let is_cut = part.entries.len() < entries;
        if !part.entries.is_empty() {
            fitted.push(list_part(part));
        }
        if is_cut {
            break;
        }
    }
    wire::DeviceLists { parts: fitted }
}

fn list_part(part: ListPart) -> wire::device_lists::Part {
    sealed::DeviceListPart {
        account: part.account,
        identity: part.identity,
        from: part.from,
        entries: part.entries,
    }
    .into()
}

/// Packages that fit a frame. The devices of the rest join by themselves.
pub(super) fn key_packages(packages: Vec<ClaimedKeyPackage>) -> wire::KeyPackages {
    // Half of a frame: what stands around 2,048 packages takes far less than the other half.
    let mut room = SERVER_FRAME_BYTES_MAX / 2;
    let packages = fitting(packages, &mut room, |claimed| claimed.package.len());
    wire::KeyPackages {
        packages: packages
            .into_iter()
            .map(|claimed| {
                sealed::ClaimedKeyPackage {
                    account: claimed.account,
                    device: claimed.device,
                    package: claimed.package,
                }
                .into()
            })
            .collect(),
    }
}

/// Items from the first on that have room together, and takes it.
fn fitting<T>(items: Vec<T>, room: &mut usize, bytes: impl Fn(&T) -> usize) -> Vec<T> {
    items
        .into_iter()
        .map_while(|item| {
            *room = room.checked_sub(bytes(&item))?;
            Some(item)
        })
        .collect()
}

pub(super) fn inbox(page: InboxPage) -> wire::InboxItems {
    let items = page.items.into_iter().map(|item| sealed::InboxItem {
        seq: item.seq,
        time: item.time,
        content: Some(inbox_content(item.content)),
    });
    sealed::InboxPage { items: items.collect(), head: page.head }.into()
}

fn inbox_content(content: store::InboxContent) -> sealed::InboxContent {
    match content {
        store::InboxContent::Invitation { conversation, log_epoch, seq, place, welcome, tree } => {
            sealed::InboxContent::Invitation(sealed::Invitation {
                conversation,
                seq,
                log_epoch,
                place,
                welcome,
                tree,
            })
        }
        store::InboxContent::Message { from, message_id, payload } => {
            sealed::InboxContent::Message(sealed::DeviceMessage {
                device: from,
                message_id,
                payload,
            })
        }
    }
}

pub(super) fn backup_chunk(chunk: Option<BackupChunk>) -> wire::BackupChunk {
    let Some(BackupChunk { number, sealed, left }) = chunk else {
        return wire::BackupChunk::default();
    };
    wire::BackupChunk { number, sealed, left }
}

pub(super) fn account_values(page: AccountValuePage) -> wire::AccountValues {
    let values = page.values.into_iter().map(|value| sealed::AccountValue {
        seq: value.seq,
        device: value.device,
        key: value.key,
        value: value.value,
    });
    sealed::AccountValuePage { values: values.collect(), head: page.head }.into()
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use tidings_model::{AccountId, DeviceId};
    use tidings_protocol_app::limits::FRAME_BYTES_MAX;

    use super::*;

    fn part(account: u8, entries: usize) -> ListPart {
        ListPart {
            account: AccountId::from_bytes([account; 16]),
            identity: 0,
            from: 0,
            entries: vec![Bytes::from(vec![account; 512]); entries],
        }
    }

    #[test]
    fn lists_are_cut_in_order_where_a_frame_is_full() {
        let answer = device_lists(vec![part(1, 300), part(2, 300), part(3, 1)]);
        assert!(answer.encoded_len() < FRAME_BYTES_MAX, "{}", answer.encoded_len());
        let entries: Vec<usize> = answer.parts.iter().map(|part| part.entries.len()).collect();
        assert_eq!(entries, [300, 84]);
        assert_eq!(device_lists(vec![part(1, 2), part(2, 3)]).parts.len(), 2);
        assert_eq!(device_lists(Vec::new()).parts.len(), 0);
    }

    #[test]
    fn claimed_packages_of_any_size_fit_a_frame() {
        let claimed = |bytes: usize| ClaimedKeyPackage {
            account: AccountId::from_bytes([1; 16]),
            device: DeviceId::from_bytes([2; 16]),
            package: vec![0; bytes].into(),
        };
        for (bytes, number) in [(16 * 1024, 320), (313, 2_048), (1, 2_048)] {
            let answer = key_packages(vec![claimed(bytes); 2_048]);
            assert!(answer.encoded_len() < SERVER_FRAME_BYTES_MAX, "{}", answer.encoded_len());
            assert_eq!(answer.packages.len(), number);
        }
    }
}
