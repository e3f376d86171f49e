//! Events as a page reads them: JSON objects whose `type` names the event, in the words of the core.
//!
//! Identifiers are their text of 26 characters, times are milliseconds since 1970, a message's state
//! is one of `waiting`, `stored`, `delivered`, `read`, `failed`. What is absent is left out.

use serde_json::{Map, Value, json};
use tidings_client_core::database::Profile;
use tidings_client_core::database::{GroupPart, Sealing};
use tidings_client_core::view::{
    Blocked, Composer, ComposerPurpose, ConversationSummary, DeliveryState, Diff, EventLine,
    MessageText, MessageView, Person, Preview, Quote, TimelineRow,
};
use tidings_client_core::{
    ConnectionState, Event, GroupAct, Listing, Notice, OfflineReason, Outcome, Presence,
};
use tidings_model::event::Act;
use tidings_model::{ConversationKind, HiddenReason, Role};
use tidings_protocol_content::Reference;

/// Writes an event.
pub(crate) fn write(event: &Event) -> String {
    match event {
        Event::Outcome { command, outcome } => {
            json!({"type": "outcome", "command": command.0, "outcome": write_outcome(outcome)})
        }
        Event::Connection(state) => json!({"type": "connection", "state": connection(state)}),
        Event::ConversationList(changes) => {
            json!({"type": "conversationList", "changes": diffs(changes, summary)})
        }
        Event::Timeline { conversation, changes } => json!({
            "type": "timeline",
            "conversation": conversation.to_string(),
            "changes": diffs(changes, row),
        }),
        Event::Composer { conversation, composer } => json!({
            "type": "composer",
            "conversation": conversation.to_string(),
            "composer": write_composer(composer),
        }),
        Event::Presence { account, presence } => json!({
            "type": "presence",
            "account": account.to_string(),
            "online": *presence == Presence::Online,
            "lastSeen": match presence {
                Presence::Offline { last_seen } => last_seen.map(|time| time.as_millis()),
                Presence::Online => None,
            },
        }),
        Event::Listing(listing) => json!({
            "type": "listing",
            "listing": match listing {
                Listing::Unknown => "unknown",
                Listing::Listed => "listed",
                Listing::Unlisted => "unlisted",
            },
        }),
        Event::Notice(notice) => json!({"type": "notice", "notice": write_notice(notice)}),
    }
    .to_string()
}

fn write_outcome(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Done => json!({"type": "done"}),
        Outcome::Queued { conversation, message_id } => json!({
            "type": "queued",
            "conversation": conversation.to_string(),
            "messageId": message_id.to_string(),
        }),
        Outcome::Accepted { conversation, message_id, seq } => json!({
            "type": "accepted",
            "conversation": conversation.to_string(),
            "messageId": message_id.to_string(),
            "seq": seq.map(|seq| seq.get()),
        }),
        Outcome::Refused(refused) => json!({
            "type": "refused",
            "code": refused.code,
            "name": refused.name,
            "message": refused.message,
            "mayRetry": refused.may_retry,
            "retryAfterMs": refused.retry_after.map(|wait| wait.as_millis() as u64),
        }),
        Outcome::Failed(failure) => json!({"type": "failed", "message": failure.to_string()}),
        Outcome::SignedIn(me) => json!({
            "type": "signedIn",
            "account": me.account.to_string(),
            "device": me.device.to_string(),
            "userName": me.user_name,
            "displayName": me.display_name,
            "administrator": me.administrator,
        }),
        Outcome::Profile(found) => json!({"type": "profile", "profile": profile(found)}),
        Outcome::Invite { link, expires_at } => json!({
            "type": "invite",
            "link": link.to_string(),
            "expiresAt": expires_at.as_millis(),
        }),
        Outcome::Devices(devices) => {
            let devices = devices.iter().map(|device| {
                json!({
                    "device": device.device.to_string(),
                    "name": device.name,
                    "createdAt": device.created_at.as_millis(),
                    "lastSeen": device.last_seen.as_millis(),
                    "thisDevice": device.this_device,
                    "linked": device.is_listed,
                })
            });
            json!({"type": "devices", "devices": devices.collect::<Vec<_>>()})
        }
        Outcome::Found(hits) => {
            let hits = hits.iter().map(|hit| {
                json!({
                    "conversation": hit.conversation.to_string(),
                    "seq": hit.seq.get(),
                    "message": reference(hit.message),
                    "time": hit.time.as_millis(),
                    "text": hit.text,
                })
            });
            json!({"type": "found", "hits": hits.collect::<Vec<_>>()})
        }
        Outcome::Members(members) => {
            let members = members.iter().map(|member| {
                json!({
                    "profile": profile(&member.profile),
                    "role": member.role.map(role),
                    "delivered": member.delivered.get(),
                    "read": member.read.get(),
                })
            });
            json!({"type": "members", "members": members.collect::<Vec<_>>()})
        }
        Outcome::RecoveryKey(key) => json!({"type": "recoveryKey", "key": key.to_text()}),
        Outcome::LinkCode { code, expires_at } => json!({
            "type": "linkCode",
            "code": code.to_string(),
            "scan": code.to_scan(),
            "expiresAt": expires_at.as_millis(),
        }),
        Outcome::LinkProved { device } => {
            json!({"type": "linkProved", "device": device.to_string()})
        }
        Outcome::SafetyNumber { number, verified } => json!({
            "type": "safetyNumber",
            "groups": number.groups().collect::<Vec<_>>(),
            "verified": verified,
        }),
    }
}

fn connection(state: &ConnectionState) -> Value {
    match state {
        ConnectionState::Offline(reason) => {
            let (reason, message) = match reason {
                OfflineReason::NotWanted => ("notWanted", None),
                OfflineReason::NotSignedIn => ("notSignedIn", None),
                OfflineReason::NoNetwork => ("noNetwork", None),
                OfflineReason::Background => ("background", None),
                OfflineReason::SignedOut => ("signedOut", None),
                OfflineReason::VersionUnsupported(words) => ("versionUnsupported", Some(words)),
                OfflineReason::Untrusted(words) => ("untrusted", Some(words)),
            };
            json!({"type": "offline", "reason": reason, "message": message})
        }
        ConnectionState::Waiting { retry_in, reason } => json!({
            "type": "waiting",
            "retryInMs": retry_in.as_millis() as u64,
            "reason": reason,
        }),
        ConnectionState::Connecting => json!({"type": "connecting"}),
        ConnectionState::Syncing { missing } => json!({"type": "syncing", "missing": missing}),
        ConnectionState::Live => json!({"type": "live"}),
    }
}

fn diffs<T>(changes: &[Diff<T>], item: impl Fn(&T) -> Value) -> Vec<Value> {
    changes
        .iter()
        .map(|change| match change {
            Diff::Insert { index, item: of } => {
                json!({"type": "insert", "index": index, "item": item(of)})
            }
            Diff::Update { index, item: of } => {
                json!({"type": "update", "index": index, "item": item(of)})
            }
            Diff::Remove { index } => json!({"type": "remove", "index": index}),
        })
        .collect()
}

fn summary(summary: &ConversationSummary) -> Value {
    let kind = match summary.kind {
        ConversationKind::Direct => "direct",
        ConversationKind::Group => "group",
        ConversationKind::NotesToSelf => "notesToSelf",
    };
    json!({
        "conversation": summary.conversation.to_string(),
        "kind": kind,
        "sealing": sealing(summary.sealing),
        "title": summary.title,
        "role": summary.role.map(role),
        "memberCount": summary.member_count,
        "activity": summary.activity.as_millis(),
        "head": summary.head.get(),
        "unread": summary.unread,
        "preview": summary.preview.as_ref().map(|preview| match preview {
            Preview::Message { author, text, state } => json!({
                "type": "message",
                "author": person(author),
                "text": message_text(text),
                "state": state.as_ref().map(delivery),
            }),
            Preview::Event(line) => event_line(line),
        }),
        "typing": summary.typing.iter().map(person).collect::<Vec<_>>(),
        "draft": summary.draft,
    })
}

/// `open`, or where the keys of a sealed conversation are.
fn sealing(sealing: Sealing) -> &'static str {
    match sealing {
        Sealing::Open => "open",
        Sealing::Sealed { part: GroupPart::Outside } => "keysWaitedFor",
        Sealing::Sealed { part: GroupPart::Inside } => "keysHere",
        Sealing::Sealed { part: GroupPart::Lost } => "keysLost",
        Sealing::Sealed { part: GroupPart::Removed } => "removed",
    }
}

fn row(row: &TimelineRow) -> Value {
    match row {
        TimelineRow::Message(message) => message_view(message),
        TimelineRow::Event(line) => event_line(line),
        TimelineRow::Gap(hidden) => json!({
            "type": "gap",
            "from": hidden.from.get(),
            "to": hidden.to.get(),
            "reason": match hidden.reason {
                HiddenReason::NotAMember => "notAMember",
                HiddenReason::Trimmed => "trimmed",
            },
        }),
    }
}

fn message_view(message: &MessageView) -> Value {
    json!({
        "type": "message",
        "message": reference(message.message),
        "seq": message.seq.map(|seq| seq.get()),
        "author": person(&message.author),
        "time": message.time.as_millis(),
        "text": message_text(&message.text),
        "edited": message.edited,
        "forwarded": message.forwarded,
        "replyTo": message.reply_to.as_ref().map(quote),
        "reactions": message.reactions.iter().map(|reaction| json!({
            "emoji": reaction.emoji,
            "people": reaction.people.iter().map(person).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "state": message.state.as_ref().map(delivery),
        "detached": message.detached,
    })
}

fn event_line(line: &EventLine) -> Value {
    json!({
        "type": "event",
        "seq": line.seq.get(),
        "time": line.time.as_millis(),
        "actor": person(&line.actor),
        "act": line.act.as_ref().map(act),
        "group": line.group.iter().map(group_act).collect::<Vec<_>>(),
    })
}

/// What happened to the group of a sealed conversation.
fn group_act(act: &GroupAct<Person>) -> Value {
    let all = |people: &[Person]| people.iter().map(person).collect::<Vec<_>>();
    let of = |act: &str, member: &Person| json!({"type": act, "member": person(member)});
    match act {
        GroupAct::Added(members) => json!({"type": "added", "members": all(members)}),
        GroupAct::Removed(members) => json!({"type": "removed", "members": all(members)}),
        GroupAct::Left(member) => of("left", member),
        GroupAct::RoleChanged(member, to) => {
            json!({"type": "roleChanged", "member": person(member), "role": role(*to)})
        }
        GroupAct::DeviceAdded(member) => of("deviceAdded", member),
        GroupAct::DeviceRemoved(member) => of("deviceRemoved", member),
        GroupAct::DeviceReturned(member) => of("deviceReturned", member),
        GroupAct::Renamed(name) => json!({"type": "renamed", "name": name}),
        GroupAct::TopicChanged(topic) => json!({"type": "topicChanged", "topic": topic}),
        GroupAct::PictureChanged => json!({"type": "pictureChanged"}),
        GroupAct::Restarted => json!({"type": "restarted"}),
        GroupAct::IdentityChanged(member) => of("identityChanged", member),
    }
}

fn act(act: &Act) -> Value {
    let member = |person: &tidings_model::event::Person| {
        json!({
            "account": person.account.to_string(),
            "name": person.display_name,
            "role": role(person.role),
        })
    };
    let all = |people: &[tidings_model::event::Person]| -> Vec<Value> {
        people.iter().map(member).collect()
    };
    match act {
        Act::Created { name, members } => {
            json!({"type": "created", "name": name, "members": all(members)})
        }
        Act::Added(members) => json!({"type": "added", "members": all(members)}),
        Act::Removed(removed) => json!({"type": "removed", "member": member(removed)}),
        Act::Left { member: left, new_owner } => json!({
            "type": "left",
            "member": member(left),
            "newOwner": new_owner.as_ref().map(member),
        }),
        Act::Renamed(name) => json!({"type": "renamed", "name": name}),
        Act::RoleChanged(changed) => json!({"type": "roleChanged", "member": member(changed)}),
    }
}

fn write_composer(composer: &Composer) -> Value {
    let mut value = Map::new();
    value.insert("text".into(), composer.text.clone().into());
    match &composer.purpose {
        ComposerPurpose::Message => {}
        ComposerPurpose::Reply(to) => {
            value.insert("replyTo".into(), quote(to));
        }
        ComposerPurpose::Edit(target) => {
            value.insert("edit".into(), reference(*target));
        }
    }
    if let Some(Blocked::NotAMember) = composer.blocked {
        value.insert("blocked".into(), "notAMember".into());
    }
    value.into()
}

fn write_notice(notice: &Notice) -> Value {
    match notice {
        Notice::SignedOut => json!({"type": "signedOut"}),
        Notice::LogWentBack { conversation, offered_again } => json!({
            "type": "logWentBack",
            "conversation": conversation.to_string(),
            "offeredAgain": offered_again,
        }),
        Notice::DeviceRestored => json!({"type": "deviceRestored"}),
        Notice::DeviceAdded { name } => json!({"type": "deviceAdded", "name": name}),
        Notice::DeviceRevoked { name } => json!({"type": "deviceRevoked", "name": name}),
        Notice::OutboxHeld { reason } => json!({"type": "outboxHeld", "reason": reason}),
        Notice::OutboxReleased => json!({"type": "outboxReleased"}),
        Notice::DeviceListRefused { account, reason } => json!({
            "type": "deviceListRefused",
            "account": account.to_string(),
            "reason": reason,
        }),
        Notice::IdentityChanged { account } => {
            json!({"type": "identityChanged", "account": account.to_string()})
        }
        Notice::DeviceLinked { device } => {
            json!({"type": "deviceLinked", "device": device.to_string()})
        }
        Notice::LinkOffered { by } => json!({"type": "linkOffered", "by": by.to_string()}),
        Notice::LinkEnded { device, completed } => json!({
            "type": "linkEnded",
            "device": device.to_string(),
            "completed": completed,
        }),
        Notice::LinkFailed { reason } => json!({"type": "linkFailed", "reason": reason}),
        Notice::HistoryComes { from, done, total, waits } => json!({
            "type": "historyComes",
            "from": from.to_string(),
            "done": done,
            "total": total,
            "waits": waits,
        }),
        Notice::HistoryEnded { from, completed } => json!({
            "type": "historyEnded",
            "from": from.to_string(),
            "completed": completed,
        }),
        Notice::BackupComes { left } => json!({"type": "backupComes", "left": left}),
        Notice::BackupRead => json!({"type": "backupRead"}),
        Notice::BackupFull => json!({"type": "backupFull"}),
        Notice::RemovedFromDeviceList => json!({"type": "removedFromDeviceList"}),
        Notice::NotAdded { conversation, accounts } => json!({
            "type": "notAdded",
            "conversation": conversation.to_string(),
            "accounts": accounts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
        Notice::KeysLost { conversation } => {
            json!({"type": "keysLost", "conversation": conversation.to_string()})
        }
        Notice::RestartRefused { conversation, reason } => json!({
            "type": "restartRefused",
            "conversation": conversation.to_string(),
            "reason": reason,
        }),
        Notice::ProtocolViolation(what) => json!({"type": "protocolViolation", "message": what}),
        Notice::DatabaseFailed(error) => {
            json!({"type": "databaseFailed", "message": error.to_string()})
        }
    }
}

fn message_text(text: &MessageText) -> Value {
    match text {
        MessageText::Text(text) => json!({"type": "text", "text": text}),
        MessageText::Fallback(text) => json!({"type": "fallback", "text": text}),
        MessageText::Deleted => json!({"type": "deleted"}),
        MessageText::Unreadable => json!({"type": "unreadable"}),
    }
}

fn delivery(state: &DeliveryState) -> Value {
    match state {
        DeliveryState::Waiting => json!({"type": "waiting"}),
        DeliveryState::Stored => json!({"type": "stored"}),
        DeliveryState::Delivered => json!({"type": "delivered"}),
        DeliveryState::Read => json!({"type": "read"}),
        DeliveryState::Failed(reason) => json!({"type": "failed", "reason": reason}),
    }
}

fn quote(quote: &Quote) -> Value {
    json!({
        "message": reference(quote.message),
        "author": person(&quote.author),
        "text": quote.text,
    })
}

fn reference(message: Reference) -> Value {
    json!({
        "account": message.account.to_string(),
        "messageId": message.message_id.to_string(),
    })
}

fn person(person: &Person) -> Value {
    json!({"account": person.account.to_string(), "name": person.name})
}

fn profile(profile: &Profile) -> Value {
    json!({
        "account": profile.account.to_string(),
        "userName": profile.user_name,
        "displayName": profile.display_name,
    })
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Admin => "admin",
        Role::Owner => "owner",
    }
}

#[cfg(test)]
mod tests {
    use tidings_client_core::{CommandId, Failure};
    use tidings_model::{ConversationId, MessageId, Seq};

    use super::*;

    fn check(event: Event, expected: Value) {
        let written: Value = serde_json::from_str(&write(&event)).expect("JSON");
        assert_eq!(written, expected);
    }

    #[test]
    fn outcome_names_its_command_and_its_message() {
        let conversation = ConversationId::from_bytes([3; 16]);
        let message_id = MessageId::from_bytes([7; 16]);
        let outcome = Outcome::Accepted { conversation, message_id, seq: Some(Seq::FIRST) };
        check(
            Event::Outcome { command: CommandId(9), outcome },
            json!({
                "type": "outcome",
                "command": 9,
                "outcome": {
                    "type": "accepted",
                    "conversation": conversation.to_string(),
                    "messageId": message_id.to_string(),
                    "seq": 1,
                },
            }),
        );
    }

    #[test]
    fn failure_is_told_in_words() {
        let outcome = Outcome::Failed(Failure::NotConnected);
        check(
            Event::Outcome { command: CommandId(1), outcome },
            json!({
                "type": "outcome",
                "command": 1,
                "outcome": {
                    "type": "failed",
                    "message":
                        "there is no connection to the server just now: try again later",
                },
            }),
        );
    }

    #[test]
    fn connection_says_how_much_is_missing() {
        check(
            Event::Connection(ConnectionState::Syncing { missing: 12 }),
            json!({"type": "connection", "state": {"type": "syncing", "missing": 12}}),
        );
    }
    #[test]
    fn safety_number_is_twelve_groups_to_draw() {
        use tidings_model::{AccountId, DeviceId, Timestamp};
        use tidings_protocol_mls::{DeviceList, SafetyNumber, SecretKey};

        let list = |seed| {
            let key = SecretKey::from_seed(&[seed; 32]);
            let (account, device) =
                (AccountId::from_bytes([seed; 16]), DeviceId::from_bytes([seed; 16]));
            DeviceList::found(account, device, &key, key.public(), Timestamp::from_millis(0))
        };
        let number = SafetyNumber::between(&list(1), &list(2));
        let outcome = write_outcome(&Outcome::SafetyNumber { number, verified: false });
        let groups = outcome["groups"].as_array().expect("a list");
        assert!(
            groups.len() == 12 && groups.iter().all(|group| group.as_str().unwrap().len() == 5)
        );
    }

    #[test]
    fn commit_tells_each_of_its_acts() {
        let anna =
            Person { account: tidings_model::AccountId::from_bytes([1; 16]), name: "Anna".into() };
        let line = EventLine {
            seq: Seq::FIRST,
            time: tidings_model::Timestamp::from_millis(0),
            actor: anna.clone(),
            act: None,
            group: vec![GroupAct::DeviceAdded(anna.clone()), GroupAct::Restarted],
        };
        let group = &event_line(&line)["group"];
        assert_eq!(
            *group,
            json!([{"type": "deviceAdded", "member": person(&anna)}, {"type": "restarted"}])
        );
    }
}
