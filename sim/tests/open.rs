//! Open conversations in virtual time.

use std::time::Duration;

use tidings_sim::{Day, Faults, Trace, World};

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

#[test]
fn two_people_talk_while_everything_breaks() {
    for seed in 1..=4 {
        let mut world = World::new(seed);
        world.people(&["anna", "kofi"]);
        let talk = world.open_direct("anna", "kofi");
        world.begin_faults(Faults::many());
        for number in 0..30 {
            let device = ["anna", "kofi"][world.draw(2)];
            let _ = world.try_say(device, talk, &format!("words {number}"));
            world.run_for(seconds(1));
            if number == 15 {
                world.server_crash();
            }
        }
        world.until_quiet();
        println!("seed {seed}: {:?} in {:?}", world.tally(), world.elapsed());
    }
}

#[test]
fn seed_decides_everything_that_happens() {
    let run = |seed: u64| -> Trace {
        let mut world = World::new(seed);
        world.people(&["anna", "kofi"]);
        let talk = world.open_direct("anna", "kofi");
        world.begin_faults(Faults::many());
        for number in 0..10 {
            let _ = world.try_say("anna", talk, &format!("words {number}"));
            world.run_for(seconds(1));
        }
        world.until_quiet();
        world.trace()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn group_of_eight_lives_through_hard_days() {
    for seed in seeds() {
        let tally = Day { open: true, ..Day::hard(6, 2, seconds(40)) }.run(seed);
        println!("seed {seed}: {tally:?}");
    }
}

fn seeds() -> std::ops::RangeInclusive<u64> {
    let given = std::env::var("SIM_SEEDS").ok();
    let range = given.as_deref().and_then(|text| text.split_once('-'));
    match range.and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?))) {
        Some((first, last)) => first..=last,
        None => 1..=4,
    }
}
