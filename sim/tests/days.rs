//! Days drawn from a seed: groups whose members talk, come and go, while devices crash, lose their keys,
//! are put back to old copies, and the server dies.
//!
//! `SIM_SEEDS=first-last cargo test -p tidings-sim --test days` runs other seeds.

use std::ops::RangeInclusive;
use std::time::Duration;

use tidings_sim::{Day, Tally};

/// The seeds that were asked for, or these.
fn seeds(usual: RangeInclusive<u64>) -> RangeInclusive<u64> {
    let given = std::env::var("SIM_SEEDS").ok();
    let range = given.as_deref().and_then(|text| text.split_once('-'));
    match range.and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?))) {
        Some((first, last)) => first..=last,
        None => usual,
    }
}

/// Lives through a day for each seed, and gives what all came to together.
fn check_days(test: &str, day: Day, usual: RangeInclusive<u64>) -> Tally {
    let mut sum = Tally::default();
    for seed in seeds(usual) {
        println!("again: SIM_SEEDS={seed}-{seed} cargo test -p tidings-sim --test days {test}");
        let tally = day.run(seed);
        println!("seed {seed}: {tally:?}");
        sum = sum.plus(tally);
    }
    assert_eq!(sum.undecryptable, 0);
    sum
}

#[test]
fn eight_devices_keep_every_promise() {
    let day = Day::hard(6, 2, Duration::from_secs(40));
    let sum = check_days("eight_devices", day, 1..=8);
    assert!(sum.commits > 0 && sum.read > 0);
}

#[test]
fn thirty_two_devices_keep_every_promise() {
    let day =
        Day { words: 12, losses: 300, copies: 120, ..Day::hard(28, 4, Duration::from_secs(30)) };
    let sum = check_days("thirty_two_devices", day, 1..=1);
    assert!(sum.commits > 0 && sum.read > 0);
}
