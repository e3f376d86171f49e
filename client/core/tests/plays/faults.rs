//! Worlds in which everything goes wrong at random: connections are cut at any frame, the server and
//! the programs are killed, disks are full, the live feed leaves entries out, people come and go.
//! When the faults end, nothing is lost, nothing stands twice, and each person's lines stand in the
//! order in which they were typed.
//!
//! A failure names its seed; `TIDINGS_SEED=N cargo test -p tidings-client-core faults` runs that one
//! alone.

use std::collections::BTreeMap;
use std::time::Duration;

use tidings_client_core::{Change, Command, Outcome, Send};
use tidings_model::{AccountId, ConversationId, Refusal};

use crate::world::{World, message_id};

const NAMES: [&str; 4] = ["Anna", "Kofi", "Noor", "Ines"];

/// What somebody typed, in order, with whether the device said that it is kept.
#[derive(Default)]
struct Typed {
    lines: Vec<String>,
}

fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("TIDINGS_SEED") {
        Ok(seed) => vec![seed.parse().expect("TIDINGS_SEED is a number")],
        Err(_) => (1..=count).collect(),
    }
}

/// Types a line under an id of the test's own, and hands it over until the device keeps it, as a
/// program does that was killed before it heard so.
fn type_line(world: &mut World, name: &str, choir: ConversationId, number: u64, typed: &mut Typed) {
    let text = format!("{name} {number}");
    let send = Send {
        conversation: choir,
        message_id: Some(message_id(number)),
        text: text.clone(),
        reply_to: None,
    };
    let command = world.command(name, Command::Send(send.clone()));
    let is_kept = matches!(world.outcomes(name, command).first(), Some(Outcome::Queued { .. }));
    if is_kept {
        if world.dice.one_in(10) {
            world.restart_client(name);
            world.command(name, Command::Send(send));
        }
        typed.lines.push(text);
    }
}

fn fault(world: &mut World, name: &str) {
    match world.dice.below(60) {
        0 => world.cut(name),
        1 => world.restart_client(name),
        2 => world.restart_server(),
        3 => world.is_cut = !world.is_cut,
        4 => world.server.faults.mute = !world.server.faults.mute,
        5 => {
            let refusals: [Option<fn() -> Refusal>; 4] = [
                None,
                Some(|| Refusal::StorageFull),
                Some(|| Refusal::RateLimited { max: 20, retry_after: Duration::from_millis(300) }),
                Some(|| Refusal::Unavailable),
            ];
            world.server.faults.refuse = refusals[world.dice.below(4)];
        }
        6 => {
            let is_full = world.dice.one_in(3);
            world.person(name).database.is_full = is_full;
        }
        _ => {}
    }
}

fn heal(world: &mut World) {
    world.is_cut = false;
    world.server.faults = Default::default();
    for name in world.names() {
        world.person(&name).database.is_full = false;
    }
    world.calm();
}

fn run(seed: u64, restores: bool) {
    let mut world = World::with_people(seed, &NAMES);
    let choir = world.group("Choir", &NAMES);
    let anna = world.id("Anna");
    let ids: Vec<AccountId> = NAMES.iter().map(|name| world.id(name)).collect();
    let mut typed: BTreeMap<&str, Typed> = BTreeMap::new();
    for number in 0..400 {
        let at = world.dice.below(NAMES.len());
        let name = NAMES[at];
        match world.dice.below(24) {
            0..=7 => {
                world.deliver_to_server(name);
            }
            8..=17 => {
                world.deliver_to_client(name);
            }
            18 => {
                let millis = 1 << world.dice.below(13);
                world.advance(Duration::from_millis(millis));
            }
            19 | 20 => {
                type_line(&mut world, name, choir, number, typed.entry(name).or_default());
            }
            21 if name != "Anna" && !restores && world.dice.one_in(4) => {
                let change = Change::Leave;
                world.command(name, Command::Change { conversation: choir, change });
            }
            22 if !restores && world.dice.one_in(2) => {
                let change = Change::Add(vec![ids[at]]);
                world.command("Anna", Command::Change { conversation: choir, change });
            }
            23 if restores && world.dice.one_in(40) => {
                let keep = world.dice.below(100) as u64;
                world.server.restore(|head| head * keep / 100);
                world.restart_server();
            }
            _ => fault(&mut world, name),
        }
    }
    heal(&mut world);
    // Everybody comes back, so that lines of those who were outside can be sent at last.
    world.check();
    check_lines(&world, choir, &typed, anna, restores);
}

/// Each person's lines stand in the log once and in the order in which they were typed. A line of
/// somebody who had left by then was refused, and stands in their timeline with the reason.
fn check_lines(
    world: &World,
    choir: ConversationId,
    typed: &BTreeMap<&str, Typed>,
    anna: AccountId,
    restores: bool,
) {
    let texts = world.texts(choir);
    for (name, typed) in typed {
        let account = world.id(name);
        let in_log: Vec<&String> =
            texts.iter().filter(|(who, _)| *who == account).map(|(_, text)| text).collect();
        let failed = failed_lines(world, name);
        let wanted: Vec<&String> =
            typed.lines.iter().filter(|line| !failed.contains(line)).collect();
        if restores {
            // A restore may put lines of before and after it into another order; none is lost.
            let mut sorted = (in_log.clone(), wanted.clone());
            sorted.0.sort();
            sorted.1.sort();
            assert_eq!(sorted.0, sorted.1, "{name}'s lines");
        } else {
            assert_eq!(in_log, wanted, "{name}'s lines");
        }
        assert!(account != anna || failed.is_empty(), "the owner was always inside");
    }
}

fn failed_lines(world: &World, name: &str) -> Vec<String> {
    use tidings_client_core::{Database, OutboxAct};
    use tidings_protocol_content::Content;
    let outbox = world.people[name].database.outbox().expect("the outbox");
    let failed = outbox.into_iter().filter(|row| row.failure.is_some());
    let texts = failed.filter_map(|row| match row.act {
        OutboxAct::Send { content } => {
            Some(Content::decode(content, row.message_id).ok()?.display_text())
        }
        _ => None,
    });
    texts.collect()
}

fn check(count: u64, restores: bool) {
    for seed in seeds(count) {
        let result = std::panic::catch_unwind(|| run(seed, restores));
        assert!(result.is_ok(), "TIDINGS_SEED={seed} fails");
    }
}

#[test]
fn nothing_is_lost_doubled_or_swapped_whatever_fails() {
    check(150, false);
}

#[test]
fn nothing_is_lost_or_doubled_when_the_server_goes_back_in_time() {
    check(100, true);
}
