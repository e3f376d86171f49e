//! The Big List of Naughty Strings as messages and as names: each arrives unchanged, or is refused with
//! words.

use super::support::{Person, Server};

fn strings() -> Vec<String> {
    let list = include_str!("../../../../testdata/naughty-strings/blns.json");
    let strings: Vec<String> = serde_json::from_str(list).expect("a list of strings");
    assert!(strings.len() > 400, "the list is whole");
    strings
}

#[test]
fn naughty_strings_arrive_unchanged_as_messages() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    let (lines, others): (Vec<String>, Vec<String>) = strings()
        .into_iter()
        .filter(|text| !text.is_empty())
        .partition(|text| !text.contains('\n'));
    let ran = anna.run_with(&["send", "kofi", "--lines"], &lines.join("\n"));
    assert_eq!(ran.exit, 0, "{}", ran.stderr);
    for text in &others {
        let ran = anna.run_with(&["send", "kofi", "-"], &format!("{text}\n"));
        assert_eq!(ran.exit, 0, "{text:?}: {ran:?}");
    }
    let sent: Vec<String> = lines.into_iter().chain(others).collect();
    let arrived = kofi.texts("anna");
    assert_eq!(arrived.len(), sent.len());
    for (arrived, sent) in arrived.iter().zip(&sent) {
        assert_eq!(arrived, sent);
    }
    let shown = kofi.ok(&["read", "anna", "--last", "100000"]);
    let drawing = |character: char| character.is_control() && character != '\n';
    assert!(!shown.contains(drawing), "control characters reach the terminal");
}

/// Every sixteenth string is enough here: each costs four runs of the program, and the rules for names
/// have tests of their own with all of them.
#[test]
fn naughty_strings_are_names_unchanged_or_refused_with_words() {
    let server = Server::start();
    let [anna] = server.people(["anna"]);
    anna.ok(&["create", "--group", "first name"]);
    let id = anna.json(&["conversations"])[0]["id"].as_str().unwrap().to_owned();
    let mut refused = 0;
    for name in strings().iter().step_by(16).filter(|name| !name.contains('\0')) {
        refused += usize::from(!set(&anna, &["rename", &id, "--", name], || {
            anna.json(&["conversations"])[0]["name"].as_str().unwrap() == name
        }));
        refused += usize::from(!set(&anna, &["display-name", "--", name], || {
            anna.json(&["status"])[0]["display_name"].as_str().unwrap() == name
        }));
    }
    assert!(refused > 0, "empty names are refused");
}

/// Sets a name: `true` when it was taken and stands, `false` when it was refused with words.
#[track_caller]
fn set(person: &Person, command: &[&str], stands: impl Fn() -> bool) -> bool {
    let (options, operands) = command.split_at(command.len() - 2);
    let arguments = [options, &["--json"], operands].concat();
    let mut running = person.command(&[]);
    let ran = running.args(&arguments).output().expect("the program starts");
    match ran.status.code() {
        Some(0) => {
            assert!(stands(), "{command:?} was taken and changed");
            true
        }
        Some(1) => {
            let words = String::from_utf8(ran.stderr).expect("text");
            let error: serde_json::Value = serde_json::from_str(words.trim()).expect("an object");
            assert!(!error["message"].as_str().expect("words").is_empty());
            false
        }
        other => panic!("{command:?}: {other:?}: {}", String::from_utf8_lossy(&ran.stderr)),
    }
}
