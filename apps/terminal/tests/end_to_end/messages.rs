//! Sending, changing, finding messages, and what is printed of them.

use super::support::Server;

#[test]
fn text_arrives_byte_for_byte_from_arguments_and_standard_input() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    let texts = ["plain", "  spaces  ", "-5 °C", "tab\tand\x07bell", "two\nlines", "trailing\n\n"];
    for text in &texts[..4] {
        anna.ok(&["send", "kofi", text]);
    }
    for text in &texts[4..] {
        let ran = anna.run_with(&["send", "kofi", "-"], &format!("{text}\n"));
        assert_eq!(ran.exit, 0, "{ran:?}");
    }
    assert_eq!(kofi.texts("anna"), texts);
}

#[test]
fn lines_of_standard_input_become_messages_in_order() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    let lines: Vec<String> = (0..300).map(|number| format!("line {number}")).collect();
    let ran = anna.run_with(&["send", "kofi", "--lines"], &lines.join("\n"));
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert_eq!(kofi.texts("anna"), lines);
}

#[test]
fn replies_edits_deletions_and_reactions_are_seen_by_the_other() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "lunch at twelve?"]);
    anna.ok(&["send", "kofi", "a slip"]);
    let id = kofi.messages("anna")[0]["id"].as_str().unwrap().to_owned();
    kofi.ok(&["send", "anna", "at one", "--reply-to", &id[..6]]);
    kofi.ok(&["react", "anna", &id[..6], "👍"]);
    anna.ok(&["edit", "kofi", &id, "lunch at one?"]);
    anna.ok(&["delete", "kofi", "last"]);

    for messages in [kofi.messages("anna"), anna.messages("kofi")] {
        assert_eq!(messages[0]["text"], "lunch at one?");
        assert_eq!(messages[0]["edited"], true);
        assert_eq!(messages[0]["reactions"][0]["emoji"], "👍");
        assert_eq!(messages[0]["reactions"][0]["people"][0]["user_name"], "kofi");
        assert_eq!((&messages[1]["text"], &messages[1]["deleted"]), (&().into(), &true.into()));
        assert_eq!(messages[2]["reply_to"]["id"], id.as_str());
        assert_eq!(messages[2]["reply_to"]["quote"], "lunch at twelve?");
    }
    kofi.ok(&["react", "anna", &id]);
    assert_eq!(anna.messages("kofi")[0]["reactions"], serde_json::json!([]));
}

#[test]
fn message_of_another_cannot_be_edited_or_deleted() {
    let server = Server::start();
    let [anna, kofi, eve] = server.people(["anna", "kofi", "eve"]);
    anna.ok(&["create", "--group", "Choir", "kofi", "eve"]);
    kofi.ok(&["sync"]);
    let id = {
        kofi.ok(&["send", "Choir", "mine"]);
        eve.messages("Choir")[0]["id"].as_str().unwrap().to_owned()
    };
    eve.fails(&["edit", "Choir", &id, "hers"], 2, "UNKNOWN_NAME");
    eve.fails(&["delete", "Choir", &id], 1, "FORBIDDEN");
    assert_eq!(anna.texts("Choir"), ["mine"]);
}

#[test]
fn ticks_grow_from_stored_to_delivered_to_read() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "hello"]);
    assert_eq!(anna.messages("kofi")[0]["state"], "stored");
    let mut follow = anna.start(&["follow", "kofi", "--json"]);
    follow.wait_for("\"live\"");
    let mut reading = kofi.start(&["follow", "anna", "--since", "1h", "--mark-read", "--json"]);
    reading.wait_for("hello");
    follow.wait_for("\"state\":\"read\"");
}

#[test]
fn search_finds_messages_by_all_their_words() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "the ferry leaves at noon"]);
    anna.ok(&["send", "kofi", "the train leaves at noon"]);
    kofi.ok(&["sync"]);
    let hits = kofi.json(&["search", "ferry", "noon"]);
    assert_eq!(hits.len(), 1, "{hits:?}");
    assert_eq!(hits[0]["text"], "the ferry leaves at noon");
    assert_eq!(kofi.json(&["search", "\"*(:"]).len(), 0);
}

#[test]
fn other_peoples_control_characters_draw_nothing_but_stay_in_the_json() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    let naughty = "\x1b]0;owned\x07\x1b[2J\u{202e}";
    anna.ok(&["send", "kofi", naughty]);
    let shown = kofi.ok(&["read", "anna"]);
    assert!(!shown.contains(['\x1b', '\x07', '\u{202e}']), "{shown:?}");
    assert!(shown.contains("\\u{1b}]0;owned\\u{7}\\u{1b}[2J\\u{202e}"), "{shown}");
    assert_eq!(kofi.texts("anna"), [naughty]);
}

#[test]
fn text_that_is_too_long_is_refused_with_its_limit() {
    let server = Server::start();
    let [anna, _kofi] = server.people(["anna", "kofi"]);
    let ran = anna.run_with(&["send", "kofi", "-"], &"x".repeat(70_000));
    assert_eq!(ran.exit, 1, "{ran:?}");
    assert!(ran.stderr.contains("at most 61440"), "{}", ran.stderr);
    assert_eq!(anna.texts("kofi"), [""; 0]);
}

#[test]
fn standard_input_that_is_no_text_is_told_and_nothing_is_sent() {
    let server = Server::start();
    let [anna, _kofi] = server.people(["anna", "kofi"]);
    anna.fails(&["send", "kofi"], 2, "TEXT");
    anna.fails(&["send", "nobody-here", "hello"], 2, "UNKNOWN_NAME");
}

#[test]
fn follower_of_everything_sees_more_conversations_than_are_kept_open() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    let names: Vec<String> = (0..10).map(|number| format!("group {number}")).collect();
    for name in &names {
        anna.ok(&["create", "--group", name, "kofi"]);
    }
    kofi.ok(&["sync"]);
    let mut follow = kofi.start(&["follow", "--json", "--count", "20"]);
    follow.wait_for("\"live\"");
    for round in ["first", "second"] {
        for name in &names {
            anna.ok(&["send", name, &format!("{round} in {name}")]);
        }
    }
    let (exit, rest) = follow.end();
    assert_eq!(exit, 0);
    let mut expected: Vec<String> = names
        .iter()
        .flat_map(|name| [format!("first in {name}"), format!("second in {name}")])
        .collect();
    let mut seen = texts(&rest);
    expected.sort();
    seen.sort();
    assert_eq!(seen, expected);
}

#[test]
fn follower_misses_nothing_of_a_long_absence() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "before"]);
    kofi.ok(&["sync"]);
    let lines: Vec<String> = (0..500).map(|number| format!("line {number}")).collect();
    let ran = anna.run_with(&["send", "kofi", "--lines"], &lines.join("\n"));
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert_eq!(texts(&kofi.ok(&["follow", "--json", "--count", "500"])), lines);
    let all = kofi.ok(&["follow", "anna", "--json", "--since", "1h", "--count", "501"]);
    assert_eq!(texts(&all)[0], "before");
    assert_eq!(texts(&all)[1..], lines);
}

fn texts(output: &str) -> Vec<String> {
    super::support::objects(output)
        .iter()
        .filter(|row| row["type"] == "message")
        .map(|row| row["text"].as_str().expect("a text").to_owned())
        .collect()
}
