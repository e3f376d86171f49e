//! Requests of sealed conversations: MLS messages, device lists, key packages, inboxes, account logs.
//!
//! What an MLS message says of itself in the clear (RFC 9420 §6) is held against the fields beside it,
//! so that the core can go by the fields. Nothing is opened or verified here.

use std::collections::BTreeSet;

use bytes::Bytes;
use tidings_messaging::Request;
use tidings_messaging::group::{LostHandshake, PublicState};
use tidings_messaging::request::{NewCommit, Offer};
use tidings_model::{AccountId, ConversationId, DeviceId, GroupEpoch, MessageId, Refusal};
use tidings_protocol_app::limits::{
    ACCOUNT_KEY_BYTES_MAX, ACCOUNTS_PER_REQUEST_MAX, BACKUP_CHUNK_BYTES_MAX,
    DEVICE_PAYLOAD_BYTES_MAX, HANDSHAKE_BYTES_MAX, KEY_PACKAGE_BYTES_MAX, KEY_PACKAGES_MAX,
    LEAVE_BYTES_MAX, LIST_ENTRIES_MAX, LIST_ENTRY_BYTES_MAX,
};
use tidings_protocol_app::sealed::ListHead;
use tidings_protocol_app::{FieldError, id, ids, seq, wire};
use tidings_protocol_mls::header::{ContentKind, MessageHeader, PublicSender};
use tidings_protocol_mls::limits::ADDS_MAX;

use crate::fields::{check_payload, field};

const MISSING: &str = "is missing";
const OTHER_CONVERSATION: &str = "belongs to another conversation's group";
const OTHER_MESSAGE_ID: &str = "carries another message id inside";
const NO_COMMIT: &str = "is no Commit in the clear of a conversation's group";
const TOO_MANY_ACCOUNTS: &str = "has more than 128 accounts";

/// Reads the epoch that a message was sealed in; `None` for a payload that is no sealed message of an
/// MLS group.
pub(super) fn sealed_in(
    conversation: ConversationId,
    message_id: MessageId,
    payload: &[u8],
) -> Result<Option<GroupEpoch>, Refusal> {
    match MessageHeader::parse(payload) {
        Ok(header) if header.sender.is_none() && header.content == ContentKind::Application => {
            place(&header, "payload", conversation, message_id).map(Some)
        }
        Ok(_) | Err(_) => Ok(None),
    }
}

/// Compares what a message says of itself with the fields beside it.
fn place(
    header: &MessageHeader,
    name: &'static str,
    conversation: ConversationId,
    message_id: MessageId,
) -> Result<GroupEpoch, Refusal> {
    if header.group.conversation != conversation {
        return Err(field(name, OTHER_CONVERSATION));
    }
    if header.message_id != message_id {
        return Err(field(name, OTHER_MESSAGE_ID));
    }
    Ok(GroupEpoch { generation: header.group.generation, epoch: header.epoch })
}

pub(super) fn public_state(group: Option<wire::GroupPublicState>) -> Result<PublicState, Refusal> {
    let group = group.ok_or(field("group", MISSING))?;
    Ok(PublicState {
        group_info: handshake("group.group_info", group.group_info)?,
        tree: handshake("group.tree", group.tree)?,
    })
}

pub(super) fn commit(commit: wire::Commit) -> Result<Request, Refusal> {
    let conversation = id("conversation", &commit.conversation)?;
    let message_id = id("message_id", &commit.message_id)?;
    let bytes = handshake("commit", commit.commit)?;
    let made_in = committed_in(conversation, message_id, &bytes)?;
    let joiners = joiners(&commit.joiners)?;
    if joiners.is_empty() != commit.welcome.is_empty() {
        return Err(field("welcome", "and joiners come together or not at all"));
    }
    check_payload(&commit.welcome, HANDSHAKE_BYTES_MAX)?;
    Ok(Request::Commit(Box::new(NewCommit {
        conversation,
        message_id,
        made_in,
        commit: bytes,
        group_info: handshake("group_info", commit.group_info)?,
        welcome: commit.welcome,
        joiners,
    })))
}

/// Reads the epoch that a Commit was made in.
fn committed_in(
    conversation: ConversationId,
    message_id: MessageId,
    commit: &[u8],
) -> Result<GroupEpoch, Refusal> {
    let header = MessageHeader::parse(commit).map_err(|_| field("commit", NO_COMMIT))?;
    match (header.content, header.sender) {
        (ContentKind::Commit, Some(PublicSender::Member(_) | PublicSender::NewMemberCommit)) => {}
        _ => return Err(field("commit", NO_COMMIT)),
    }
    place(&header, "commit", conversation, message_id)
}

fn joiners(given: &[wire::commit::Joiner]) -> Result<Vec<(AccountId, DeviceId)>, Refusal> {
    if given.len() > ADDS_MAX {
        return Err(Refusal::TooManyAdded { max: ADDS_MAX as u64 });
    }
    let mut devices = BTreeSet::new();
    let mut joiners = Vec::with_capacity(given.len());
    for joiner in given {
        let account = id("joiners.account", &joiner.account)?;
        let device = id("joiners.device", &joiner.device)?;
        if !devices.insert(device) {
            return Err(field("joiners.device", "is there twice"));
        }
        joiners.push((account, device));
    }
    Ok(joiners)
}

pub(super) fn leave(leave: wire::Leave) -> Result<Request, Refusal> {
    Ok(Request::Leave {
        conversation: id("conversation", &leave.conversation)?,
        message_id: id("message_id", &leave.message_id)?,
        payload: signed_leave("payload", leave.payload)?,
    })
}

fn signed_leave(name: &'static str, payload: Bytes) -> Result<Bytes, Refusal> {
    if payload.is_empty() || payload.len() > LEAVE_BYTES_MAX {
        return Err(field(name, "is no signed leave of 1 to 1024 bytes"));
    }
    Ok(payload)
}

pub(super) fn offer_again(offer: wire::OfferAgain) -> Result<Request, Refusal> {
    let conversation = id("conversation", &offer.conversation)?;
    let message_id = id("message_id", &offer.message_id)?;
    let handshake = match offer.handshake.ok_or(field("handshake", MISSING))? {
        wire::offer_again::Handshake::Commit(commit) => {
            let commit = handshake("commit", commit)?;
            let made_in = committed_in(conversation, message_id, &commit)?;
            check_payload(&offer.group_info, HANDSHAKE_BYTES_MAX)?;
            let group_info = (!offer.group_info.is_empty()).then_some(offer.group_info);
            LostHandshake::Commit { made_in, commit, group_info }
        }
        wire::offer_again::Handshake::Leave(leave) => {
            LostHandshake::Leave(signed_leave("leave", leave)?)
        }
    };
    let author = (id("account", &offer.account)?, id("device", &offer.device)?);
    Ok(Request::OfferAgain(Box::new(Offer { conversation, author, message_id, handshake })))
}

pub(super) fn restart(restart: wire::Restart) -> Result<Request, Refusal> {
    Ok(Request::Restart {
        conversation: id("conversation", &restart.conversation)?,
        message_id: id("message_id", &restart.message_id)?,
        group: public_state(restart.group)?,
    })
}

pub(super) fn publish_device_list(publish: wire::PublishDeviceList) -> Result<Request, Refusal> {
    if publish.begins_anew && publish.from != 0 {
        return Err(field("from", "is not 0, where a new identity begins"));
    }
    check_entries(publish.from, &publish.entries)?;
    Ok(Request::PublishDeviceList {
        from: publish.from,
        entries: publish.entries,
        begins_anew: publish.begins_anew,
    })
}

pub(super) fn offer_device_list(offer: wire::OfferDeviceList) -> Result<Request, Refusal> {
    check_entries(offer.from, &offer.entries)?;
    Ok(Request::OfferDeviceList {
        account: id("account", &offer.account)?,
        from: offer.from,
        entries: offer.entries,
    })
}

fn check_entries(from: u32, entries: &[Bytes]) -> Result<(), Refusal> {
    let refused = |reason: &str| Refusal::DeviceListRefused { reason: reason.to_owned() };
    if entries.is_empty() {
        return Err(field("entries", MISSING));
    }
    if entries.len().saturating_add(from as usize) > LIST_ENTRIES_MAX {
        return Err(refused("a list has at most 1024 entries"));
    }
    if entries.iter().any(|entry| entry.len() > LIST_ENTRY_BYTES_MAX) {
        return Err(refused("an entry has at most 512 bytes"));
    }
    Ok(())
}

pub(super) fn fetch_device_lists(fetch: &wire::FetchDeviceLists) -> Result<Request, Refusal> {
    if fetch.known.len() > ACCOUNTS_PER_REQUEST_MAX {
        return Err(field("known", TOO_MANY_ACCOUNTS));
    }
    let mut accounts = BTreeSet::new();
    let mut known = Vec::with_capacity(fetch.known.len());
    for head in &fetch.known {
        let head = ListHead::try_from(head)?;
        if !accounts.insert(head.account) {
            return Err(field("known.account", "is there twice"));
        }
        known.push((head.account, head.identity, head.entries));
    }
    Ok(Request::FetchDeviceLists(known))
}

pub(super) fn publish_key_packages(publish: wire::PublishKeyPackages) -> Result<Request, Refusal> {
    if publish.packages.len() > KEY_PACKAGES_MAX {
        return Err(Refusal::TooManyKeyPackages { max: KEY_PACKAGES_MAX as u64 });
    }
    let last_resort = (!publish.last_resort.is_empty()).then_some(publish.last_resort);
    for (index, package) in publish.packages.iter().chain(&last_resort).enumerate() {
        if package.is_empty() || package.len() > KEY_PACKAGE_BYTES_MAX {
            let reason = "it has not 1 to 16384 bytes".to_owned();
            return Err(Refusal::KeyPackageRefused { index, reason });
        }
    }
    Ok(Request::PublishKeyPackages {
        packages: publish.packages,
        last_resort,
        replace: publish.replace,
    })
}

pub(super) fn claim_key_packages(claim: &wire::ClaimKeyPackages) -> Result<Request, Refusal> {
    if claim.accounts.len() > ACCOUNTS_PER_REQUEST_MAX {
        return Err(field("accounts", TOO_MANY_ACCOUNTS));
    }
    let mut accounts: Vec<AccountId> = ids("accounts", &claim.accounts)?;
    accounts.sort_unstable();
    accounts.dedup();
    Ok(Request::ClaimKeyPackages { request: id("request_id", &claim.request_id)?, accounts })
}

pub(super) fn send_to_device(send: wire::SendToDevice) -> Result<Request, Refusal> {
    check_payload(&send.payload, DEVICE_PAYLOAD_BYTES_MAX)?;
    Ok(Request::SendToDevice {
        device: id("device", &send.device)?,
        message_id: id("message_id", &send.message_id)?,
        payload: send.payload,
    })
}

pub(super) fn put_backup_chunk(put: wire::PutBackupChunk) -> Result<Request, Refusal> {
    check_payload(&put.sealed, BACKUP_CHUNK_BYTES_MAX)?;
    Ok(Request::PutBackupChunk { chunk: id("chunk", &put.chunk)?, sealed: put.sealed })
}

pub(super) fn put_account_value(put: wire::PutAccountValue) -> Result<Request, Refusal> {
    if put.key.is_empty() || put.key.len() > ACCOUNT_KEY_BYTES_MAX {
        return Err(field("key", "has not 1 to 64 bytes"));
    }
    check_payload(&put.value, DEVICE_PAYLOAD_BYTES_MAX)?;
    Ok(Request::PutAccountValue { key: put.key, value: put.value })
}

/// A place in an inbox or an account log, which are numbered as logs are.
pub(super) fn place_in_list(name: &'static str, number: u64) -> Result<u64, FieldError> {
    seq(name, number).map(|place| place.get())
}

fn handshake(name: &'static str, bytes: Bytes) -> Result<Bytes, Refusal> {
    if bytes.is_empty() {
        return Err(field(name, MISSING));
    }
    check_payload(&bytes, HANDSHAKE_BYTES_MAX)?;
    Ok(bytes)
}
