//! The requests of a live session: from the fields of a frame to what the core is asked.
//!
//! Checked here is what the schema cannot say: lengths, bounds, names, sizes. Whether a request is
//! allowed is the core's decision. What belongs to sealed conversations alone stands in `sealed`.

mod sealed;

use std::time::Duration;

use tidings_messaging::Request;
use tidings_messaging::request::Change;
use tidings_messaging::store::{InviteHash, Marks};
use tidings_model::entry::COUNTER_BOUND;
use tidings_model::limits::PAYLOAD_BYTES_MAX;
use tidings_model::{ConversationKind, LogEpoch, Refusal};
use tidings_protocol_app::limits::{ENTRIES_PER_FETCH_MAX, SEALED_BYTES_MAX};
use tidings_protocol_app::wire::change::Act;
use tidings_protocol_app::wire::client_frame::Body;
use tidings_protocol_app::{client_time, id, ids, seq, wire};

use crate::fields::{check_payload, conversation_name, display_name, field, user_name};
use crate::login::Authenticated;

/// Reads a request of a live session. The proof that it is one is an argument, so that no other way
/// leads here.
pub(crate) fn live_request(_: &Authenticated, body: Option<Body>) -> Result<Request, Refusal> {
    match body.ok_or(Refusal::UnknownRequest)? {
        Body::Create(create) => self::create(create),
        Body::Send(send) => self::send(send),
        Body::Change(change) => self::change(change),
        Body::Erase(erase) => Ok(Request::Erase {
            conversation: id("conversation", &erase.conversation)?,
            seq: seq("seq", erase.seq)?,
        }),
        Body::Fetch(fetch) => self::fetch(&fetch),
        Body::Describe(describe) => {
            Ok(Request::Describe { conversation: id("conversation", &describe.conversation)? })
        }
        Body::Acknowledge(acknowledge) => self::acknowledge(&acknowledge),
        Body::Typing(typing) => Ok(Request::Typing {
            conversation: id("conversation", &typing.conversation)?,
            typing: typing.typing,
        }),
        Body::View(view) => Ok(Request::View {
            conversation: id("conversation", &view.conversation)?,
            open: view.open,
        }),
        Body::SetPresence(presence) => Ok(Request::SetPresence { hidden: presence.hidden }),
        Body::LookUp(look_up) => match look_up.of {
            Some(wire::look_up::Of::UserName(typed)) => {
                Ok(Request::LookUpName(user_name("user_name", &typed)?.as_str().to_owned()))
            }
            Some(wire::look_up::Of::Account(account)) => {
                Ok(Request::LookUpAccount(id("account", &account)?))
            }
            None => Err(field("of", "is missing")),
        },
        Body::SetDisplayName(set) => {
            Ok(Request::SetDisplayName(display_name("display_name", &set.display_name)?))
        }
        Body::CreateInvite(create) => Ok(Request::CreateInvite(InviteHash(
            create.token_hash[..]
                .try_into()
                .map_err(|_| field("token_hash", "is not a SHA-256 of 32 bytes"))?,
        ))),
        Body::ListDevices(_) => Ok(Request::ListDevices),
        Body::RevokeDevice(revoke) => Ok(Request::RevokeDevice(id("device", &revoke.device)?)),
        Body::Ping(ping) => Ok(Request::Tail {
            round_trip: (ping.round_trip_ms != 0)
                .then(|| Duration::from_millis(ping.round_trip_ms.into())),
        }),
        Body::Commit(commit) => sealed::commit(commit),
        Body::Leave(leave) => sealed::leave(leave),
        Body::Restart(restart) => sealed::restart(restart),
        Body::FetchGroup(fetch) => {
            Ok(Request::FetchGroup { conversation: id("conversation", &fetch.conversation)? })
        }
        Body::OfferAgain(offer) => sealed::offer_again(offer),
        Body::OfferDeviceList(offer) => sealed::offer_device_list(offer),
        Body::PublishDeviceList(publish) => sealed::publish_device_list(publish),
        Body::FetchDeviceLists(fetch) => sealed::fetch_device_lists(&fetch),
        Body::PublishKeyPackages(publish) => sealed::publish_key_packages(publish),
        Body::ClaimKeyPackages(claim) => sealed::claim_key_packages(&claim),
        Body::FetchInbox(fetch) => {
            Ok(Request::FetchInbox { after: sealed::place_in_list("after", fetch.after)? })
        }
        Body::AcknowledgeInbox(acknowledge) => Ok(Request::AcknowledgeInbox {
            up_to: sealed::place_in_list("up_to", acknowledge.up_to)?,
        }),
        Body::SendToDevice(send) => sealed::send_to_device(send),
        Body::PutAccountValue(put) => sealed::put_account_value(put),
        Body::FetchAccountValues(fetch) => {
            Ok(Request::FetchAccountValues { after: sealed::place_in_list("after", fetch.after)? })
        }
        Body::PutBackupChunk(put) => sealed::put_backup_chunk(put),
        Body::FetchBackupChunk(fetch) => {
            Ok(Request::FetchBackupChunk { before: (fetch.before != 0).then_some(fetch.before) })
        }
        Body::DropBackup(_) => Ok(Request::DropBackup),
        Body::Hello(_) => Err(field("hello", "was said already on this connection")),
        Body::SignUp(_) => Err(field("sign_up", LIVE_ALREADY)),
        Body::SignInStart(_) => Err(field("sign_in_start", LIVE_ALREADY)),
        Body::SignInFinish(_) => Err(field("sign_in_finish", LIVE_ALREADY)),
        Body::Resume(_) => Err(field("resume", LIVE_ALREADY)),
    }
}

const LIVE_ALREADY: &str = "is for a connection whose session is not live yet";

fn create(create: wire::Create) -> Result<Request, Refusal> {
    let kind = wire::ConversationKind::required("kind", create.kind)?;
    let is_sealed = create.group.is_some();
    let name = match kind {
        ConversationKind::Group if !is_sealed => conversation_name(&create.name)?,
        _ if create.name.is_empty() => String::new(),
        ConversationKind::Group => return Err(field("name", "is not for the server to read")),
        ConversationKind::Direct | ConversationKind::NotesToSelf => {
            return Err(field("name", "is for groups alone"));
        }
    };
    if is_sealed && kind == ConversationKind::Group && !create.members.is_empty() {
        return Err(field("members", "of a sealed group come by Commits"));
    }
    let group = is_sealed.then(|| sealed::public_state(create.group)).transpose()?;
    Ok(Request::Create {
        conversation: id("conversation", &create.conversation)?,
        kind,
        name,
        members: ids("members", &create.members)?,
        message_id: id("message_id", &create.message_id)?,
        group,
    })
}

fn send(send: wire::Send) -> Result<Request, Refusal> {
    let conversation = id("conversation", &send.conversation)?;
    let message_id = id("message_id", &send.message_id)?;
    let sealed_in = sealed::sealed_in(conversation, message_id, &send.payload)?;
    let bytes_max = if sealed_in.is_some() { SEALED_BYTES_MAX } else { PAYLOAD_BYTES_MAX };
    check_payload(&send.payload, bytes_max)?;
    if send.expires_after_ms >= COUNTER_BOUND {
        return Err(field("expires_after_ms", "is not below 2^53"));
    }
    Ok(Request::Send {
        conversation,
        message_id,
        payload: send.payload,
        expires_after_ms: (send.expires_after_ms != 0).then_some(send.expires_after_ms),
        sealed_in,
        client_time: client_time(send.client_time),
    })
}

fn change(change: wire::Change) -> Result<Request, Refusal> {
    let act = match change.act.ok_or(field("act", "is missing, or of a later version"))? {
        Act::Add(add) => Change::Add(ids("add.accounts", &add.accounts)?),
        Act::Remove(remove) => Change::Remove(id("remove.account", &remove.account)?),
        Act::Leave(_) => Change::Leave,
        Act::Rename(rename) => Change::Rename(conversation_name(&rename.name)?),
        Act::SetRole(set) => Change::SetRole(
            id("set_role.account", &set.account)?,
            wire::Role::required("set_role.role", set.role)?,
        ),
    };
    Ok(Request::Change {
        conversation: id("conversation", &change.conversation)?,
        message_id: id("message_id", &change.message_id)?,
        act,
    })
}

fn fetch(fetch: &wire::Fetch) -> Result<Request, Refusal> {
    let cursor = fetch.cursor()?;
    Ok(Request::Fetch {
        conversation: id("conversation", &fetch.conversation)?,
        epoch: cursor.map(|cursor| cursor.epoch),
        after: cursor.map(|cursor| cursor.seq).unwrap_or_default(),
        checksum: cursor.and_then(|cursor| cursor.checksum),
        entries_max: (fetch.entries_max as usize).min(ENTRIES_PER_FETCH_MAX),
    })
}

fn acknowledge(acknowledge: &wire::Acknowledge) -> Result<Request, Refusal> {
    Ok(Request::Acknowledge {
        conversation: id("conversation", &acknowledge.conversation)?,
        epoch: LogEpoch::new(acknowledge.log_epoch)
            .ok_or(field("log_epoch", "is not between 1 and 2^53"))?,
        marks: Marks {
            delivered: seq("delivered", acknowledge.delivered)?,
            read: seq("read", acknowledge.read)?,
        },
    })
}
