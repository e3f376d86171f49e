//! Sealed and open conversations: who can read them, how each is marked, and how people make sure that
//! nobody stands between them.

use super::support::{Person, Server};

fn conversation(person: &Person, name: &str) -> serde_json::Value {
    let listed = person.json(&["conversations"]);
    let found = listed.into_iter().find(|of| of["name"] == name);
    found.unwrap_or_else(|| panic!("{} has no {name}", person.name))
}

fn number(person: &Person, with: &str) -> (String, bool) {
    let shown = person.json(&["verify", with]).remove(0);
    (shown["number"].as_str().unwrap().to_owned(), shown["verified"].as_bool().unwrap())
}

#[test]
fn safety_number_is_the_same_on_both_sides_and_its_mark_is_shown() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "hello"]);
    let (of_anna, verified) = number(&anna, "kofi");
    assert!(!verified);
    assert_eq!(number(&kofi, "anna"), (of_anna.clone(), false));
    assert_eq!(of_anna.len(), 71, "twelve groups of five digits: {of_anna}");
    let shown = anna.ok(&["verify", "kofi"]);
    let digits: Vec<&str> = shown.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert_eq!((digits.len(), digits.join(" ")), (4, of_anna));
    assert!(shown.contains("tidings verify kofi --confirm"), "{shown}");

    assert!(anna.ok(&["verify", "kofi", "--confirm"]).contains("Kofi is verified"));
    assert!(anna.ok(&["conversations"]).contains("[verified]"));
    assert_eq!(conversation(&anna, "Kofi")["identity"], "verified");
    assert_eq!(conversation(&kofi, "Anna")["identity"], "unverified");
    anna.ok(&["verify", "kofi", "--undo"]);
    assert!(!number(&anna, "kofi").1);
    anna.fails(&["verify", "anna"], 2, "USAGE");
    anna.fails(&["verify", "kofi", "--confirm", "--undo"], 2, "USAGE");
}

#[test]
fn servers_folder_holds_the_words_of_an_open_talk_and_none_of_a_sealed_one() {
    let mut server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["create", "--group", "Conspiracy of the sealed", "kofi"]);
    anna.ok(&["send", "Conspiracy of the sealed", "the sealed plan at midnight"]);
    anna.ok(&["create", "--group", "Chronicle of the open", "--open", "kofi"]);
    anna.ok(&["send", "Chronicle of the open", "the open plan at noon"]);
    assert_eq!(kofi.texts("Conspiracy of the sealed"), ["the sealed plan at midnight"]);
    kofi.ok(&["send", "Conspiracy of the sealed", "the sealed plan is known"]);
    assert_eq!(kofi.texts("Chronicle of the open"), ["the open plan at noon"]);
    server.kill();
    for words in ["the open plan at noon", "Chronicle of the open"] {
        assert!(server.holds(words), "{words}: the search finds nothing");
    }
    for words in ["the sealed plan", "Conspiracy of the sealed"] {
        assert!(!server.holds(words), "{words}");
    }
}

#[test]
fn open_conversation_is_marked_wherever_it_is_shown() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["create", "--open", "kofi"]);
    anna.ok(&["send", "kofi", "for all to read"]);
    anna.ok(&["create", "--group", "Choir", "kofi"]);
    kofi.ok(&["sync"]);
    let (open, sealed) = (conversation(&kofi, "Anna"), conversation(&kofi, "Choir"));
    assert_eq!((&open["sealed"], &open["keys"]), (&false.into(), &().into()));
    assert_eq!((&sealed["sealed"], &sealed["keys"]), (&true.into(), &"here".into()));
    let listed = kofi.ok(&["conversations"]);
    assert_eq!(listed.matches("[open]").count(), 1, "{listed}");
    assert!(kofi.run(&["read", "anna"]).stderr.contains("open: the server can read this"));
    assert!(!kofi.run(&["read", "Choir"]).stderr.contains("can read this"));
    let mut chat = kofi.start(&["chat", "anna"]);
    chat.wait_for("open: the server can read this");
    assert_eq!(chat.end().0, 0);
    let mut chat = kofi.start(&["chat", "Choir"]);
    chat.wait_for("sealed: the server cannot read this");
    assert_eq!(chat.end().0, 0);
}

#[test]
fn kind_of_a_conversation_is_fixed_and_it_goes_on_in_an_open_one_beside_it() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "sealed so far"]);
    anna.fails(&["create", "--open", "kofi"], 1, "KIND_IS_FIXED");
    let words = anna.fails(&["continue-in-open", "kofi"], 2, "USAGE");
    assert!(words.contains("the server can read") && words.contains("--yes"), "{words}");
    let made = anna.json(&["continue-in-open", "kofi", "--yes"]).remove(0);
    anna.ok(&["sync"]);
    let made = made["conversation"].as_str().unwrap();
    anna.ok(&["send", made, "open from here"]);
    kofi.ok(&["sync"]);
    assert_eq!(kofi.texts(made).last().unwrap(), "open from here");
    let sealed = kofi.texts("anna");
    assert_eq!(sealed[0], "sealed so far");
    assert!(sealed[1].contains("goes on in an open conversation"), "{sealed:?}");
    let of = kofi.json(&["conversations"]).into_iter().find(|of| of["id"] == made).unwrap();
    assert_eq!((&of["sealed"], &of["kind"]), (&false.into(), &"group".into()));
}

#[test]
fn keys_of_a_group_are_made_anew_without_those_who_are_left_out() {
    let server = Server::start();
    let [anna, kofi, eve] = server.people(["anna", "kofi", "eve"]);
    anna.ok(&["create", "--group", "Choir", "kofi", "eve"]);
    anna.ok(&["send", "Choir", "before"]);
    kofi.ok(&["sync"]);
    eve.ok(&["sync"]);
    kofi.fails(&["restart", "Choir"], 1, "FORBIDDEN");
    anna.ok(&["restart", "Choir", "--leave-out", "eve"]);
    anna.ok(&["sync"]);
    anna.ok(&["send", "Choir", "after"]);
    assert_eq!(kofi.texts("Choir"), ["before", "after"]);
    let rows = kofi.json(&["read", "Choir"]);
    assert!(rows.iter().any(|row| row["act"] == "restarted"), "{rows:#?}");
    assert_eq!(eve.texts("Choir"), ["before"]);
}

#[test]
fn new_identity_takes_the_mark_away_and_is_told_until_it_was_compared() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "hello"]);
    let (before, _) = number(&anna, "kofi");
    anna.ok(&["verify", "kofi", "--confirm"]);
    let phone = kofi.other_device(&server, "phone");
    phone.fails(&["begin-anew"], 2, "USAGE");
    phone.ok(&["begin-anew", "--yes"]);
    // The server lets nobody write to devices that are gone.
    let told = anna.run(&["send", "kofi", "who is there?"]);
    assert!(told.stderr.contains("Kofi has a new identity"), "{told:?}");
    assert_eq!(conversation(&anna, "Kofi")["identity"], "changed");
    assert!(anna.ok(&["conversations"]).contains("[NEW IDENTITY]"));
    assert!(anna.run(&["read", "kofi"]).stderr.contains("tidings verify kofi"));
    let (after, verified) = number(&anna, "kofi");
    assert!(after != before && !verified, "{after}");
    assert_eq!(number(&phone, "anna").0, after);
    anna.ok(&["verify", "kofi", "--confirm"]);
    assert_eq!(conversation(&anna, "Kofi")["identity"], "verified");
    assert_eq!(kofi.run(&["send", "anna", "still me?"]).exit, 4);
}
