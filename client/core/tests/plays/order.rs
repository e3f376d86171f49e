//! No order of arrival changes a timeline: edits, deletions and reactions may stand in the log before
//! or behind their targets, and may come in one page or one by one.

use proptest::prelude::*;
use tidings_client_core::view::TimelineRow;
use tidings_model::{ConversationId, MessageId};
use tidings_protocol_content::{Content, Reference};

use crate::world::{World, in_words, message_id};

#[derive(Debug, Clone)]
enum Act {
    Edit { target: usize, text: u8 },
    Delete { target: usize },
    React { by: usize, target: usize, emoji: usize },
}

const NAMES: [&str; 3] = ["Anna", "Kofi", "Noor"];
const EMOJI: [&str; 3] = ["👍", "🎉", ""];
const MESSAGES: usize = 3;

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act =
        prop_oneof![
            (0..MESSAGES, any::<u8>()).prop_map(|(target, text)| Act::Edit { target, text }),
            (0..MESSAGES).prop_map(|target| Act::Delete { target }),
            (0..NAMES.len(), 0..MESSAGES, 0..EMOJI.len())
                .prop_map(|(by, target, emoji)| Act::React { by, target, emoji }),
        ];
    prop::collection::vec(act, 0..8)
}

/// Builds a log in which the texts stand at some places among the acts, and gives what somebody who
/// reads it sees of the three messages.
fn seen(acts: &[Act], places: &[usize], live: bool) -> Vec<String> {
    let mut world = World::with_people(7, &NAMES);
    let choir = world.group("Choir", &NAMES);
    if !live {
        world.is_cut = true;
        world.cut("Noor");
    }
    let inject = |world: &mut World, by: usize, content: Content| {
        let (account, id) = (world.id(NAMES[by]), content.message_id);
        world.server.inject(choir, account, id, content.encode().expect("content"));
        if live {
            world.deliver_all();
        }
    };
    let target = |world: &World, at: usize| Reference {
        account: world.id(NAMES[at]),
        message_id: id_of(at),
    };
    for place in 0..=acts.len() {
        for at in (0..MESSAGES).filter(|at| places[*at].min(acts.len()) == place) {
            inject(&mut world, at, Content::text(id_of(at), format!("message {at}")));
        }
        let Some(act) = acts.get(place) else { break };
        let id = message_id(100 + place as u64);
        match act {
            Act::Edit { target: at, text } => {
                let content = Content::edit(id, target(&world, *at), format!("edit {text}"));
                inject(&mut world, *at, content);
            }
            Act::Delete { target: at } => {
                let content = Content::deletion(id, target(&world, *at));
                inject(&mut world, *at, content);
            }
            Act::React { by, target: at, emoji } => {
                let content = Content::reaction(id, target(&world, *at), EMOJI[*emoji]);
                inject(&mut world, *by, content);
            }
        }
    }
    world.is_cut = false;
    world.calm();
    let mut rows = messages_in_words(&mut world, choir);
    rows.sort();
    rows
}

fn messages_in_words(world: &mut World, choir: ConversationId) -> Vec<String> {
    let rows = world.timeline("Noor", choir);
    let of = |row: &&TimelineRow| matches!(row, TimelineRow::Message(_));
    rows.iter().filter(of).map(in_words).collect()
}

fn id_of(at: usize) -> MessageId {
    message_id(at as u64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn place_of_the_target_does_not_matter(
        acts in acts(),
        places in prop::collection::vec(0usize..9, MESSAGES),
        live: bool,
    ) {
        let first = vec![0; MESSAGES];
        prop_assert_eq!(seen(&acts, &places, live), seen(&acts, &first, true));
    }
}
