//! Frames of every kind, with whatever a generator draws in their fields.

use proptest::prelude::*;

use super::*;

/// Frames of every kind whose fields hold whatever the generator draws.
fn any_frame() -> impl Strategy<Value = wire::ClientFrame> {
    let bytes = || prop_oneof![Just(vec![7; 16]), prop::collection::vec(any::<u8>(), 0..40)];
    (0u64..4, 0u32..29, bytes(), bytes(), ".{0,12}", any::<u64>(), any::<i32>()).prop_map(
        |(request, kind, one, other, text, number, small)| {
            let (one, other): (Bytes, Bytes) = (one.into(), other.into());
            let body = match kind {
                0 => hello(number as u32, small as u32),
                1 => Body::SignUp(wire::SignUp {
                    account: one.clone(),
                    device: other,
                    user_name: text.clone(),
                    display_name: text,
                    invite: one,
                    ..wire::SignUp::default()
                }),
                2 => Body::SignInStart(wire::SignInStart {
                    mechanism: "SCRAM-SHA-256".to_owned(),
                    client_first: format!("n,,n={text},r=abc").into_bytes().into(),
                }),
                3 => Body::SignInFinish(wire::SignInFinish {
                    client_final: one.clone(),
                    device: one,
                    device_name: text,
                    token_hash: vec![1; 32].into(),
                }),
                4 => resume(),
                5 => Body::Create(wire::Create {
                    conversation: one.clone(),
                    kind: small,
                    name: text,
                    members: vec![other],
                    message_id: one.clone(),
                    group: (number % 2 == 0)
                        .then(|| wire::GroupPublicState { group_info: one.clone(), tree: one }),
                }),
                6 => send(number as usize % 70_000),
                7 => Body::Fetch(wire::Fetch {
                    conversation: one,
                    log_epoch: number,
                    after: number,
                    checksum: 1,
                    entries_max: small as u32,
                }),
                8 => Body::Acknowledge(wire::Acknowledge {
                    conversation: one,
                    log_epoch: number,
                    delivered: number,
                    read: 1,
                }),
                9 => Body::LookUp(wire::LookUp { of: Some(wire::look_up::Of::UserName(text)) }),
                10 => Body::RevokeDevice(wire::RevokeDevice { device: one }),
                11 => Body::Commit(wire::Commit {
                    conversation: one.clone(),
                    message_id: one.clone(),
                    commit: other.clone(),
                    group_info: other.clone(),
                    welcome: other,
                    joiners: vec![wire::commit::Joiner {
                        account: one.clone(),
                        device: one.clone(),
                        key_package: one,
                    }],
                }),
                12 => Body::Leave(wire::Leave {
                    conversation: one.clone(),
                    message_id: one,
                    payload: other,
                }),
                13 => Body::FetchGroup(wire::FetchGroup { conversation: one }),
                14 => Body::PublishDeviceList(wire::PublishDeviceList {
                    from: small as u32,
                    entries: vec![other],
                    begins_anew: number % 2 == 0,
                }),
                15 => Body::FetchDeviceLists(wire::FetchDeviceLists {
                    known: vec![wire::fetch_device_lists::Known {
                        account: one,
                        identity: small as u32,
                        entries: number as u32,
                    }],
                }),
                16 => Body::PublishKeyPackages(wire::PublishKeyPackages {
                    packages: vec![other; number as usize % 300],
                    last_resort: one,
                    replace: false,
                }),
                17 => Body::ClaimKeyPackages(wire::ClaimKeyPackages {
                    request_id: one.clone(),
                    accounts: vec![one; number as usize % 200],
                }),
                18 => Body::FetchInbox(wire::FetchInbox { after: number }),
                19 => Body::AcknowledgeInbox(wire::AcknowledgeInbox { up_to: number }),
                20 => Body::SendToDevice(wire::SendToDevice {
                    device: one.clone(),
                    message_id: one,
                    payload: other,
                }),
                21 => Body::PutAccountValue(wire::PutAccountValue { key: one, value: other }),
                22 => Body::FetchAccountValues(wire::FetchAccountValues { after: number }),
                23 => Body::PutBackupChunk(wire::PutBackupChunk { chunk: one, sealed: other }),
                24 => Body::FetchBackupChunk(wire::FetchBackupChunk { before: number }),
                _ => Body::Ping(wire::Ping { round_trip_ms: 0 }),
            };
            wire::ClientFrame { request, body: (kind < 27).then_some(body) }
        },
    )
}

proptest! {
    #[test]
    fn whatever_a_peer_says_is_answered_once_or_closes(
        frames in prop::collection::vec(any_frame(), 0..40),
        noise in prop::collection::vec(any::<u8>(), 0..64),
        live: bool,
    ) {
        let mut play = if live { Play::live() } else { Play::connected() };
        let mut asked = 0;
        for frame in frames {
            asked += 1;
            play.send(encode(&frame));
        }
        let mut answered = 0;
        while let Some((id, _)) = play.session.poll_request() {
            play.core_answers(id, Err(Refusal::NotFound));
        }
        while let Some((number, _)) = play.hear() {
            prop_assert_ne!(number, 0);
            answered += 1;
        }
        prop_assert!(answered == asked || play.session.poll_close().is_some());
        prop_assert!(answered <= asked);
        play.send(noise.into());
    }
}
