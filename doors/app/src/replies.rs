//! The core's answers and events as frames.
//!
//! A frame stays below the limit of frames whatever the core says: states are spread over several
//! events, and a description leaves out what concerns the past first.

mod sealed;

use bytes::Bytes;
use prost::Message as _;
use tidings_messaging::request::{
    ConversationState, Description, LiveEntry, LogItem, Member, Resumed,
};
use tidings_messaging::store::{Appended, DeviceRecord, Marks, Profile};
use tidings_messaging::{Event, Reply};
use tidings_model::{AccountId, ConversationId, DeviceId, MessageId, Now, Seq, Timestamp};
use tidings_protocol_app::limits::FRAME_BYTES_MAX;
use tidings_protocol_app::sealed::ListHead;
use tidings_protocol_app::wire::server_frame::Body;
use tidings_protocol_app::{encode, id_bytes, wire};

use crate::limits::STATES_BYTES_MAX;
use crate::session::Service;

/// Encodes the answer to a request, or an event as number 0.
pub(crate) fn frame(number: u64, body: Body) -> Bytes {
    encode(&wire::ServerFrame { request: number, body: Some(body) })
}

/// An answer of the core's that needs nothing of the login; `None` for those that do, and for a list
/// of devices where no device is signed in.
pub(crate) fn answer(
    now: Now,
    service: &Service,
    device: Option<DeviceId>,
    reply: Reply,
) -> Option<Body> {
    Some(match reply {
        Reply::Done => Body::Done(wire::Done {}),
        Reply::SignedUp { profile, administrator } => Body::SignedUp(wire::SignedUp {
            account: id_bytes(profile.account.as_bytes()),
            user_name: profile.user_name,
            display_name: profile.display_name,
            administrator,
        }),
        Reply::Accepted { conversation, message_id, appended } => {
            Body::Accepted(accepted(conversation, message_id, appended))
        }
        Reply::Entries { conversation, epoch, items, head } => Body::Entries(wire::Entries {
            conversation: id_bytes(conversation.as_bytes()),
            log_epoch: epoch.get(),
            items: items.iter().map(item).collect(),
            head: head.get(),
        }),
        Reply::Description(description) => Body::Description(fit(*description)),
        Reply::States(states) => Body::ConversationsChanged(wire::ConversationsChanged {
            conversations: states.into_iter().map(state).collect(),
        }),
        Reply::Profile(of) => Body::Profile(profile(of)),
        Reply::InviteCreated { expires_at } => Body::InviteCreated(wire::InviteCreated {
            prefix: service.invite_prefix.clone(),
            suffix: service.invite_suffix.clone(),
            expires_at: expires_at.as_millis(),
        }),
        Reply::Devices(devices) => {
            let this_device = device?;
            Body::Devices(wire::Devices {
                devices: devices.into_iter().map(|of| listed(of, this_device)).collect(),
            })
        }
        Reply::Tail(heads) => Body::Pong(wire::Pong { server_time: now.wall.as_millis(), heads }),
        Reply::Group { conversation, answer } => Body::Group(sealed::group(conversation, *answer)),
        Reply::DeviceLists(parts) => Body::DeviceLists(sealed::device_lists(parts)),
        Reply::KeyPackageStock(left) => Body::KeyPackageStock(stock(left)),
        Reply::KeyPackages(packages) => Body::KeyPackages(sealed::key_packages(packages)),
        Reply::Inbox(page) => Body::InboxItems(sealed::inbox(page)),
        Reply::AccountValuePut(seq) => Body::AccountValuePut(wire::AccountValuePut { seq }),
        Reply::AccountValues(page) => Body::AccountValues(sealed::account_values(page)),
        Reply::BackupChunkPut(number) => Body::BackupChunkPut(wire::BackupChunkPut { number }),
        Reply::BackupChunk(chunk) => Body::BackupChunk(sealed::backup_chunk(chunk)),
        Reply::Verifier(_) | Reply::SignedIn { .. } | Reply::Resumed(_) => return None,
    })
}

/// The answer to a sign-in.
pub(crate) fn signed_in(server_final: Vec<u8>, profile: Profile, administrator: bool) -> Body {
    Body::SignedIn(wire::SignedIn {
        server_final: server_final.into(),
        account: id_bytes(profile.account.as_bytes()),
        user_name: profile.user_name,
        display_name: profile.display_name,
        administrator,
    })
}

/// The answer to a resume. States that do not fit it follow in events.
pub(crate) fn resumed_frames(now: Now, number: u64, resumed: Resumed) -> Vec<Bytes> {
    let mut parts = parts(resumed.conversations).into_iter();
    let first = parts.next().unwrap_or_default();
    let answer = Body::Resumed(wire::Resumed {
        account: id_bytes(resumed.profile.account.as_bytes()),
        user_name: resumed.profile.user_name,
        display_name: resumed.profile.display_name,
        administrator: resumed.administrator,
        server_time: now.wall.as_millis(),
        restored: resumed.restored,
        conversations: first,
        more: resumed.more || parts.len() > 0,
        inbox_head: resumed.heads.inbox,
        account_log_head: resumed.heads.account_log,
        key_packages: stock(resumed.heads.key_packages).count,
        list_identity: resumed.heads.list_identity,
        list_entries: resumed.heads.list_entries,
    });
    std::iter::once(frame(number, answer)).chain(parts.map(conversations_changed)).collect()
}

/// The frames of an event.
pub(crate) fn event_frames(event: Event) -> Vec<Bytes> {
    let body = match event {
        Event::Entry(live) => return vec![live.app_frame(live_entry)],
        Event::ConversationsChanged(states) => {
            return parts(states).into_iter().map(conversations_changed).collect();
        }
        Event::ReceiptsChanged { conversation, epoch, receipts: of } => {
            Body::ReceiptsChanged(wire::ReceiptsChanged {
                conversation: id_bytes(conversation.as_bytes()),
                log_epoch: epoch.get(),
                receipts: receipts(&of),
            })
        }
        Event::TypingChanged { conversation, account, typing } => {
            Body::TypingChanged(wire::TypingChanged {
                conversation: id_bytes(conversation.as_bytes()),
                account: id_bytes(account.as_bytes()),
                typing,
            })
        }
        Event::PresenceChanged { account, online, last_seen } => {
            Body::PresenceChanged(wire::PresenceChanged {
                account: id_bytes(account.as_bytes()),
                online,
                last_seen: last_seen.map_or(0, Timestamp::as_millis),
            })
        }
        Event::Erased { conversation, seq } => Body::Erased(wire::Erased {
            conversation: id_bytes(conversation.as_bytes()),
            seq: seq.get(),
        }),
        Event::DevicesChanged { device, name, revoked, time } => {
            Body::DevicesChanged(wire::DevicesChanged {
                device: id_bytes(device.as_bytes()),
                name,
                revoked,
                time: time.as_millis(),
            })
        }
        Event::InboxChanged { head } => Body::InboxChanged(wire::InboxChanged { head }),
        Event::DeviceListChanged { account, identity, entries } => {
            Body::DeviceListChanged(ListHead { account, identity, entries }.into())
        }
        Event::AccountLogChanged { head } => {
            Body::AccountLogChanged(wire::AccountLogChanged { head })
        }
        Event::KeyPackagesLow { left } => Body::KeyPackagesLow(stock(left)),
        Event::GoingAway { spread } => Body::GoingAway(wire::GoingAway {
            spread_ms: u32::try_from(spread.as_millis()).unwrap_or(u32::MAX),
        }),
    };
    vec![frame(0, body)]
}

fn live_entry(live: &LiveEntry) -> Bytes {
    frame(
        0,
        Body::Entry(wire::LiveEntry {
            conversation: id_bytes(live.conversation.as_bytes()),
            log_epoch: live.epoch.get(),
            entry: Some((&live.entry).into()),
        }),
    )
}

fn conversations_changed(conversations: Vec<wire::ConversationState>) -> Bytes {
    frame(0, Body::ConversationsChanged(wire::ConversationsChanged { conversations }))
}

/// Cuts a list of states where a frame is full.
fn parts(states: Vec<ConversationState>) -> Vec<Vec<wire::ConversationState>> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut bytes = 0;
    for state in states.into_iter().map(state) {
        let state_bytes = state.encoded_len();
        if bytes + state_bytes > STATES_BYTES_MAX && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += state_bytes;
        part.push(state);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// A description that fits a frame: if need be without former members, then without spans.
fn fit(description: Description) -> wire::Description {
    // The number of the frame and its tags, with room.
    const ENVELOPE_BYTES: usize = 64;
    let mut fitted = self::description(description);
    if fitted.encoded_len() + ENVELOPE_BYTES > FRAME_BYTES_MAX {
        fitted.members.retain(|member| member.role != wire::Role::Unspecified as i32);
        let current: std::collections::HashSet<&Bytes> =
            fitted.members.iter().map(|member| &member.account).collect();
        fitted.receipts.retain(|receipt| current.contains(&receipt.account));
    }
    if fitted.encoded_len() + ENVELOPE_BYTES > FRAME_BYTES_MAX {
        for member in &mut fitted.members {
            member.ranges.clear();
        }
    }
    fitted
}

fn description(description: Description) -> wire::Description {
    let marks: Vec<_> = description
        .members
        .iter()
        .filter(|member| member.marks != Marks::default())
        .map(|member| (member.profile.account, member.marks))
        .collect();
    wire::Description {
        state: Some(state(description.state)),
        members: description.members.into_iter().map(member).collect(),
        receipts: receipts(&marks),
    }
}

fn member(member: Member) -> wire::Member {
    wire::Member {
        account: id_bytes(member.profile.account.as_bytes()),
        user_name: member.profile.user_name,
        display_name: member.profile.display_name,
        role: member.role.map_or(wire::Role::Unspecified, wire::Role::from) as i32,
        ranges: member.ranges.iter().map(wire::Range::from).collect(),
    }
}

fn state(state: ConversationState) -> wire::ConversationState {
    wire::ConversationState {
        conversation: id_bytes(state.conversation.as_bytes()),
        kind: wire::ConversationKind::from(state.kind) as i32,
        name: state.name,
        log_epoch: state.epoch.get(),
        log_epoch_since: state.epoch_since.get(),
        head: state.head.get(),
        head_time: state.head_time.as_millis(),
        head_checksum: state.head_checksum.map_or(0, |checksum| checksum.0),
        roster_version: state.roster_version,
        role: state.role.map_or(wire::Role::Unspecified, wire::Role::from) as i32,
        ranges: state.ranges.iter().map(wire::Range::from).collect(),
        member_count: u32::try_from(state.member_count).unwrap_or(u32::MAX),
        partner: state.partner.map(profile),
        receipts: receipts(&state.receipts),
        group: state.group.map(Into::into),
    }
}

fn profile(profile: Profile) -> wire::Profile {
    wire::Profile {
        account: id_bytes(profile.account.as_bytes()),
        user_name: profile.user_name,
        display_name: profile.display_name,
    }
}

fn receipts(of: &[(AccountId, Marks)]) -> Vec<wire::Receipt> {
    of.iter()
        .map(|(account, marks)| wire::Receipt {
            account: id_bytes(account.as_bytes()),
            delivered: marks.delivered.get(),
            read: marks.read.get(),
        })
        .collect()
}

fn accepted(
    conversation: ConversationId,
    message_id: MessageId,
    appended: Appended,
) -> wire::Accepted {
    wire::Accepted {
        conversation: id_bytes(conversation.as_bytes()),
        message_id: id_bytes(message_id.as_bytes()),
        log_epoch: appended.position.epoch.get(),
        seq: Seq::get(appended.position.seq),
        time: appended.position.time.as_millis(),
        payload_differs: appended.payload_differs,
    }
}

fn item(item: &LogItem) -> wire::entries::Item {
    let of = match item {
        LogItem::Entry(entry) => wire::entries::item::Of::Entry(entry.into()),
        LogItem::Hidden(hidden) => wire::entries::item::Of::Hidden(hidden.into()),
    };
    wire::entries::Item { of: Some(of) }
}

fn stock(left: usize) -> wire::KeyPackageStock {
    wire::KeyPackageStock { count: u32::try_from(left).unwrap_or(u32::MAX) }
}

fn listed(device: DeviceRecord, this_device: DeviceId) -> wire::Device {
    wire::Device {
        device: id_bytes(device.device.as_bytes()),
        name: device.name,
        created_at: device.created_at.as_millis(),
        last_seen: device.last_seen.as_millis(),
        this_device: device.device == this_device,
    }
}
