//! Direct conversations, groups with roles, and notes to self.

use super::support::{Person, Server};

fn members(person: &Person, conversation: &str) -> Vec<(String, String)> {
    let mut members: Vec<(String, String)> = person
        .json(&["members", conversation])
        .iter()
        .filter(|member| !member["role"].is_null())
        .map(|member| {
            let field = |name: &str| member[name].as_str().unwrap().to_owned();
            (field("user_name"), field("role"))
        })
        .collect();
    members.sort();
    members
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, role)| ((*name).to_owned(), (*role).to_owned())).collect()
}

#[test]
fn group_is_made_grown_renamed_and_left() {
    let server = Server::start();
    let [anna, kofi, eve] = server.people(["anna", "kofi", "eve"]);
    anna.ok(&["create", "--group", "Choir", "kofi"]);
    anna.ok(&["send", "Choir", "welcome"]);
    anna.ok(&["add", "Choir", "eve"]);
    anna.ok(&["role", "Choir", "kofi", "admin"]);
    let expected = pairs(&[("anna", "owner"), ("eve", "member"), ("kofi", "admin")]);
    assert_eq!(members(&eve, "Choir"), expected);
    kofi.ok(&["sync"]);
    kofi.ok(&["rename", "Choir", "Chœur"]);
    assert_eq!(eve.texts("Chœur"), [""; 0]);
    anna.ok(&["send", "Chœur", "now all of you"]);
    assert_eq!(eve.texts("Chœur"), ["now all of you"]);
    assert_eq!(kofi.texts("Chœur"), ["welcome", "now all of you"]);

    kofi.ok(&["remove", "Chœur", "eve"]);
    let words = eve.fails(&["send", "Chœur", "still here?"], 1, "NOT_A_MEMBER");
    assert!(words.contains("not a member"), "{words}");
    anna.ok(&["sync"]);
    anna.ok(&["leave", "Chœur"]);
    // Whoever speaks next removes the devices of those who have gone, and inherits the group.
    kofi.ok(&["send", "Chœur", "alone with the group"]);
    assert_eq!(members(&kofi, "Chœur"), pairs(&[("kofi", "owner")]));
}

#[test]
fn member_cannot_do_what_owners_and_admins_do() {
    let server = Server::start();
    let [anna, kofi, eve] = server.people(["anna", "kofi", "eve"]);
    anna.ok(&["create", "--group", "Choir", "kofi"]);
    kofi.ok(&["sync"]);
    kofi.fails(&["add", "Choir", "eve"], 1, "FORBIDDEN");
    kofi.fails(&["rename", "Choir", "Mine"], 1, "FORBIDDEN");
    kofi.fails(&["role", "Choir", "kofi", "owner"], 1, "FORBIDDEN");
    assert_eq!(members(&anna, "Choir"), pairs(&[("anna", "owner"), ("kofi", "member")]));
    assert_eq!(eve.json(&["conversations"]).len(), 0);
}

#[test]
fn direct_conversation_is_one_from_both_sides() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    let from_anna = anna.json(&["create", "kofi"])[0]["conversation"].clone();
    let from_kofi = kofi.json(&["create", "anna"])[0]["conversation"].clone();
    assert_eq!(from_anna, from_kofi);
    let listed = anna.json(&["conversations"]);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["kind"], "direct");
    assert_eq!(listed[0]["partner"]["user_name"], "kofi");
}

#[test]
fn notes_to_self_are_on_every_device_of_oneself() {
    let server = Server::start();
    let [anna] = server.people(["anna"]);
    let phone = anna.other_device(&server, "phone");
    anna.links(&phone);
    anna.ok(&["send", "self", "buy milk"]);
    assert_eq!(phone.texts("self"), ["buy milk"]);
    phone.ok(&["send", "self", "and bread"]);
    assert_eq!(anna.texts("self"), ["buy milk", "and bread"]);
}

#[test]
fn names_that_fit_several_are_never_guessed_at() {
    let server = Server::start();
    let [anna, _kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["create", "--group", "Choir"]);
    anna.ok(&["create", "--group", "Choir", "kofi"]);
    let words = anna.fails(&["send", "Choir", "hello"], 2, "AMBIGUOUS_NAME");
    let listed = anna.json(&["conversations"]);
    for conversation in &listed {
        let id = conversation["id"].as_str().unwrap();
        assert!(words.contains(&id[..8]), "{words}");
        anna.ok(&["send", &id[..8], "hello"]);
    }
    anna.fails(&["create", "nobody"], 1, "UNKNOWN_PERSON");
    anna.fails(&["create", "kofi", "anna"], 2, "USAGE");
}

#[test]
fn unread_messages_are_counted_until_they_are_read() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "one"]);
    anna.ok(&["send", "kofi", "two"]);
    let unread = || kofi.json(&["conversations"])[0]["unread"].clone();
    assert_eq!(unread(), 2);
    kofi.ok(&["read", "anna", "--keep-unread"]);
    assert_eq!(unread(), 2);
    kofi.ok(&["read", "anna"]);
    assert_eq!(unread(), 0);
}
