//! The big list of naughty strings as messages, group names and display names: each arrives byte for
//! byte, or is refused in words.

use tidings_client_core::{Command, Failure, Outcome, Send};
use tidings_protocol_identity::ConversationName;

use crate::world::World;

const LIST: &str = include_str!("../../../../testdata/naughty-strings/blns.json");

#[test]
fn every_naughty_string_arrives_unchanged_or_is_refused_in_words() {
    let strings: Vec<String> = serde_json::from_str(LIST).expect("a JSON array of strings");
    let mut world = World::with_people(1, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    let mut sent = Vec::new();
    for text in &strings {
        let send =
            Send { conversation: choir, message_id: None, text: text.clone(), reply_to: None };
        let command = world.command("Anna", Command::Send(send));
        match world.outcomes("Anna", command) {
            [Outcome::Queued { .. }] => sent.push(text.clone()),
            [Outcome::Failed(Failure::Invalid(words))] => {
                assert_eq!(
                    (text.as_str(), words.as_str()),
                    ("", "an empty message cannot be sent")
                );
            }
            other => panic!("{text:?}: {other:?}"),
        }
    }
    world.calm();
    let texts: Vec<String> = world.texts(choir).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, sent);
    assert!(sent.len() > 500);
    world.check();
    for query in &strings {
        let command = world.command("Kofi", Command::Search { query: query.clone() });
        assert!(matches!(world.outcomes("Kofi", command), [Outcome::Found(_)]), "{query:?}");
    }
}

#[test]
fn every_naughty_string_is_a_group_name_unchanged_or_refused_in_words() {
    let strings: Vec<String> = serde_json::from_str(LIST).expect("a JSON array of strings");
    let mut world = World::with_people(2, &["Anna", "Kofi"]);
    let kofi = world.id("Kofi");
    for name in strings {
        let create = Command::CreateGroup { name: name.clone(), members: vec![kofi], open: true };
        let command = world.command("Anna", create);
        match world.outcomes("Anna", command) {
            [Outcome::Queued { conversation, .. }] => {
                let conversation = *conversation;
                world.deliver_all();
                let list = &world.person("Kofi").list;
                let summary = list.iter().find(|summary| summary.conversation == conversation);
                assert_eq!(summary.map(|summary| summary.title.as_str()), Some(name.as_str()));
            }
            [Outcome::Failed(Failure::Invalid(_))] => {
                assert!(ConversationName::parse(&name).is_err(), "{name:?}");
            }
            other => panic!("{name:?}: {other:?}"),
        }
    }
}
