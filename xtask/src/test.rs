//! `cargo xtask test`: every check of the project, from the cheapest to the dearest. The first
//! that fails ends the run.
//!
//! One target folder serves all steps, and incremental compilation stays as the caller has it: it
//! costs some hundred megabytes for the workspace's own crates, and makes the run after a change
//! quick. Deliberately not here: nextest and cargo-deny, each of which takes minutes to
//! build and does nothing that these steps do not.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::{codegen, command, replay, setup, tidy, wasm_check};

/// A check, its name, and whether `--quick` leaves it out.
struct Step {
    name: &'static str,
    is_slow: bool,
    run: fn() -> Result<()>,
}

const STEPS: [Step; 10] = [
    Step { name: "setup", is_slow: false, run: set_up },
    // Long before it is needed, so that a machine that lacks something says so at once.
    Step { name: "wasm setup", is_slow: true, run: setup::wasm },
    Step { name: "format", is_slow: false, run: check_format },
    Step { name: "codegen", is_slow: false, run: check_generated_code },
    Step { name: "tidy", is_slow: false, run: tidy::run },
    Step { name: "clippy", is_slow: false, run: run_clippy },
    Step { name: "tests", is_slow: false, run: run_tests },
    Step { name: "wasm-check", is_slow: true, run: wasm_check::run },
    Step { name: "replay", is_slow: true, run: replay_some_lines },
    Step { name: "naughty", is_slow: true, run: send_naughty_strings },
];

/// What a step came to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Passed(Duration),
    Failed(Duration),
    LeftOut,
    NotReached,
}

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let quick = match arguments {
        [] => false,
        [flag] if flag == "--quick" => true,
        _ => bail!("usage: cargo xtask test [--quick]"),
    };
    let (outcomes, result) = run_steps(&STEPS, |step| !(quick && step.is_slow));
    println!("\n{}", report(&STEPS, &outcomes));
    result
}

fn run_steps(steps: &[Step], is_wanted: impl Fn(&Step) -> bool) -> (Vec<Outcome>, Result<()>) {
    let mut outcomes = Vec::new();
    let mut result = Ok(());
    for step in steps {
        if result.is_err() {
            outcomes.push(Outcome::NotReached);
            continue;
        }
        if !is_wanted(step) {
            outcomes.push(Outcome::LeftOut);
            continue;
        }
        println!("\n== {} ==", step.name);
        let start = Instant::now();
        result = (step.run)().map_err(|error| error.context(format!("{} failed", step.name)));
        let time = start.elapsed();
        outcomes.push(if result.is_ok() { Outcome::Passed(time) } else { Outcome::Failed(time) });
    }
    (outcomes, result)
}

fn report(steps: &[Step], outcomes: &[Outcome]) -> String {
    let row = |(step, outcome): (&Step, &Outcome)| match outcome {
        Outcome::Passed(time) => format!("{:<12} passed {:>8.1} s", step.name, time.as_secs_f64()),
        Outcome::Failed(time) => format!("{:<12} FAILED {:>8.1} s", step.name, time.as_secs_f64()),
        Outcome::LeftOut => format!("{:<12} left out", step.name),
        Outcome::NotReached => format!("{:<12} not reached", step.name),
    };
    steps.iter().zip(outcomes).map(row).collect::<Vec<_>>().join("\n")
}

fn set_up() -> Result<()> {
    setup::rust_components()?;
    setup::native()
}

fn check_format() -> Result<()> {
    command::run(&mut command::cargo(["fmt", "--all", "--check"])?)
}

fn check_generated_code() -> Result<()> {
    codegen::run(&["--check".to_owned()])
}

fn run_clippy() -> Result<()> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    command::run(&mut command::cargo(arguments)?)
}

fn run_tests() -> Result<()> {
    command::run(&mut command::cargo(["test", "--workspace", "--locked"])?)
}

/// A short replay: enough lines for three kills of the server, in about a minute.
fn replay_some_lines() -> Result<()> {
    let day = command::workspace_root()?.join("testdata/ubuntu-irc/2006-06-01.txt");
    let arguments = [&day.to_string_lossy(), "--lines", "200", "--seed", "1"].map(str::to_owned);
    replay::run(&arguments)
}

/// Each naughty string as message, group name and display name: a few seconds.
fn send_naughty_strings() -> Result<()> {
    let strings = command::workspace_root()?.join("testdata/naughty-strings/blns.json");
    replay::run(&["--naughty".to_owned(), strings.to_string_lossy().into_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAY: [Step; 3] = [
        Step { name: "first", is_slow: false, run: || Ok(()) },
        Step { name: "second", is_slow: true, run: || bail!("it broke") },
        Step { name: "third", is_slow: false, run: || Ok(()) },
    ];

    #[test]
    fn first_failure_ends_the_run_and_is_named() {
        let (outcomes, result) = run_steps(&PLAY, |_| true);
        assert!(matches!(
            outcomes[..],
            [Outcome::Passed(_), Outcome::Failed(_), Outcome::NotReached]
        ));
        assert_eq!(format!("{:#}", result.unwrap_err()), "second failed: it broke");
        let report = report(&PLAY, &outcomes);
        assert!(report.contains("second       FAILED"), "{report}");
        assert!(report.contains("third        not reached"), "{report}");
    }

    #[test]
    fn quick_run_leaves_out_the_slow_steps_and_says_so() {
        let (outcomes, result) = run_steps(&PLAY, |step| !step.is_slow);
        assert!(result.is_ok());
        assert_eq!(outcomes[1], Outcome::LeftOut);
        assert!(report(&PLAY, &outcomes).contains("second       left out"));
    }
}
