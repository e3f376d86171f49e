//! The big list of naughty strings as texts, quotes and reactions: each comes back byte for byte or is
//! refused by name.

use tidings_model::{AccountId, MessageId};
use tidings_protocol_content::{Content, ContentError, Reference};

const LIST: &str = include_str!("../../../testdata/naughty-strings/blns.json");
const ID: MessageId = MessageId::from_bytes([7; 16]);

fn strings() -> Vec<String> {
    serde_json::from_str(LIST).expect("the list is a JSON array of strings")
}

#[test]
fn every_naughty_string_is_a_text_unchanged() {
    let strings = strings();
    assert!(strings.len() > 500);
    for text in strings {
        match Content::text(ID, text.clone()).encode() {
            Ok(encoded) => {
                assert_eq!(Content::decode(encoded, ID).unwrap().display_text(), text);
            }
            Err(error) => assert_eq!((text.as_str(), error), ("", ContentError::Empty)),
        }
    }
}

#[test]
fn every_naughty_string_is_a_quote_and_a_reaction_or_refused() {
    let to = Reference { account: AccountId::from_bytes([1; 16]), message_id: ID };
    for text in strings() {
        let reply = Content::reply(ID, to, &text, "yes");
        assert_eq!(Content::decode(reply.encode().unwrap(), ID), Ok(reply));
        let reaction = Content::reaction(ID, to, text.clone());
        match reaction.encode() {
            Ok(encoded) => assert_eq!(Content::decode(encoded, ID), Ok(reaction)),
            Err(error) => {
                assert_eq!(error, ContentError::ReactionTooLong, "{text}");
            }
        }
    }
}
