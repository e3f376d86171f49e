//! The oracle notices what it is there for. The damage is done by a hostile server in an open
//! conversation, where nothing protects anybody.

use tidings_model::MessageId;
use tidings_protocol_app::wire::server_frame::Body;
use tidings_protocol_app::wire::{LiveEntry, ServerFrame};
use tidings_protocol_content::Content;
use tidings_sim::World;

/// Lets a hand change the entries that Kofi hears live, then lets Anna say three things.
fn talk(mut hand: impl FnMut(&mut LiveEntry) + 'static) {
    let mut world = World::new(1);
    world.people(&["anna", "kofi"]);
    let talk = world.open_direct("anna", "kofi");
    world.tamper(move |device, mut frame: ServerFrame| {
        if let (Some(Body::Entry(live)), "kofi") = (&mut frame.body, device) {
            hand(live);
        }
        vec![frame]
    });
    for text in ["one", "two", "three"] {
        world.say("anna", talk, text);
    }
    world.until_quiet();
}

#[test]
#[should_panic(expected = "says what nobody said")]
fn other_words_are_noticed() {
    talk(|live| {
        let Some(entry) = &mut live.entry else { return };
        let Ok(id) = MessageId::try_from(&entry.message_id[..]) else { return };
        entry.payload = Content::text(id, "something else").encode().expect("a content");
    });
}

#[test]
#[should_panic(expected = "is another one")]
fn another_order_is_noticed() {
    talk(|live| {
        let Some(entry) = &mut live.entry else { return };
        entry.checksum ^= 1;
    });
}
