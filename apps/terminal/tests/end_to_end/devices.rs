//! The devices of an account: linked by a code, brought back by the recovery key, put out again.

use super::support::{Person, Server};

fn acts(person: &Person, conversation: &str) -> Vec<String> {
    let rows = person.json(&["read", conversation, "--keep-unread"]);
    rows.iter().filter_map(|row| Some(row["act"].as_str()?.to_owned())).collect()
}

fn recovery_key(person: &Person) -> String {
    person.json(&["recovery"])[0]["key"].as_str().unwrap().to_owned()
}

#[test]
fn device_that_is_not_linked_is_told_the_three_ways_in() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "hello"]);
    let tablet = Person::new("kofi's tablet");
    let ran = tablet.run(&["sign-in", &server.first_link, "--user-name", "kofi"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    for way in ["tidings link", "tidings recover", "tidings begin-anew"] {
        assert!(ran.stderr.contains(way), "{way}: {}", ran.stderr);
    }
    assert_eq!(tablet.json(&["status"])[0]["linked"], false);
    assert_eq!(kofi.json(&["status"])[0]["linked"], true);
    assert_eq!(tablet.texts("anna"), [""; 0]);
    let ran = tablet.run(&["send", "anna", "from nowhere", "--timeout", "1"]);
    assert_eq!(ran.exit, 3, "{ran:?}");
    assert!(ran.stderr.contains("tidings link"), "{}", ran.stderr);
    tablet.fails(&["verify", "anna"], 1, "NOT_LISTED");
    tablet.fails(&["link", "abcd-efgh"], 1, "NOT_LISTED");
    let linked = |devices: &[serde_json::Value]| {
        devices.iter().filter(|device| device["linked"] == true).count()
    };
    let devices = kofi.json(&["devices"]);
    assert_eq!((devices.len(), linked(&devices)), (2, 1));
}

#[test]
fn second_device_is_linked_by_the_code_that_it_shows_and_by_no_other() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "before the tablet"]);
    kofi.ok(&["sync"]);
    kofi.fails(&["link", "abcd-efgh", "--yes"], 2, "UNKNOWN_NAME");
    let tablet = kofi.other_device(&server, "tablet");
    tablet.fails(&["link"], 2, "USAGE");
    let (mut linking, code) = tablet.show_link_code();
    kofi.fails(&["link", "abcd-efg", "--yes"], 2, "LINK_CODE");
    kofi.fails(&["link", &code], 2, "USAGE");
    let words = kofi.fails(&["link", "aaaa-aaaa", "--yes"], 1, "NOT_LINKED");
    assert!(words.contains("look again"), "{words}");
    kofi.ok(&["link", &code, "--yes"]);
    linking.wait_for("done");
    kofi.gives_history_to(linking);
    assert_eq!(tablet.json(&["status"])[0]["linked"], true);
    kofi.fails(&["link"], 2, "USAGE");

    tablet.ok(&["sync"]);
    anna.ok(&["send", "kofi", "to both"]);
    assert_eq!(tablet.texts("anna"), ["before the tablet", "to both"]);
    assert_eq!(kofi.texts("anna"), ["before the tablet", "to both"]);
    tablet.ok(&["send", "anna", "from the tablet"]);
    assert_eq!(anna.texts("kofi"), ["before the tablet", "to both", "from the tablet"]);
    assert!(acts(&anna, "kofi").contains(&"device_added".to_owned()));
}

#[test]
fn several_devices_that_wait_are_never_guessed_at() {
    let server = Server::start();
    let [kofi] = server.people(["kofi"]);
    let tablet = kofi.other_device(&server, "tablet");
    let _phone = kofi.other_device(&server, "phone");
    let (linking, code) = tablet.show_link_code();
    let words = kofi.fails(&["link", &code, "--yes"], 2, "AMBIGUOUS_NAME");
    assert!(words.contains("tablet") && words.contains("phone"), "{words}");
    kofi.ok(&["link", &code, "--device", "tablet", "--yes"]);
    kofi.gives_history_to(linking);
}

#[test]
fn removed_device_is_out_of_every_conversation_and_the_others_see_it() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "hello"]);
    kofi.ok(&["sync"]);
    let tablet = kofi.other_device(&server, "tablet");
    kofi.links(&tablet);
    tablet.ok(&["sync"]);
    anna.ok(&["send", "kofi", "for both devices"]);
    assert_eq!(tablet.texts("anna"), ["hello", "for both devices"]);
    kofi.ok(&["devices", "remove", "tablet"]);
    anna.ok(&["send", "kofi", "for one device"]);
    let ran = tablet.run(&["read", "anna"]);
    assert!(ran.stderr.contains("signed out"), "{ran:?}");
    assert_eq!(tablet.texts("anna"), ["hello", "for both devices"]);
    assert_eq!(kofi.texts("anna"), ["hello", "for both devices", "for one device"]);
    assert!(acts(&anna, "kofi").contains(&"device_removed".to_owned()));
    assert_eq!(kofi.json(&["devices"]).len(), 1);
}

#[test]
fn recovery_key_is_shown_until_it_was_typed_back() {
    let server = Server::start();
    let [anna] = server.people(["anna"]);
    assert_eq!(anna.json(&["status"])[0]["recovery_key_here"], true);
    let key = recovery_key(&anna);
    let slip = if key.starts_with('a') { "b" } else { "a" };
    let mistyped = format!("{slip}{}", &key[1..]);
    let ran = anna.run_with(&["recovery", "--confirm", "--json"], &mistyped);
    assert!(ran.exit == 2 && ran.stderr.contains("RECOVERY_KEY"), "{ran:?}");
    assert_eq!(recovery_key(&anna), key, "it is still here");
    let on_paper = key.to_uppercase().replace(' ', "\n");
    let ran = anna.run_with(&["recovery", "--confirm"], &on_paper);
    assert!(ran.exit == 0 && ran.stdout.contains("confirmed"), "{ran:?}");
    let words = anna.fails(&["recovery"], 1, "NO_RECOVERY_KEY");
    assert!(words.contains("written it down"), "{words}");
    assert_eq!(anna.json(&["status"])[0]["recovery_key_here"], false);
}

#[test]
fn recovery_key_brings_the_account_back_without_any_other_device() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "hello"]);
    let (of_anna, of_kofi) = (recovery_key(&anna), recovery_key(&kofi));
    let phone = anna.other_device(&server, "phone");
    let ran = phone.run_with(&["recover", "--json"], &of_kofi);
    assert!(ran.exit == 1 && ran.stderr.contains("RECOVERY_KEY_WRONG"), "{ran:?}");
    let ran = phone.run_with(&["recover"], &of_anna);
    assert_eq!(ran.exit, 0, "{ran:?}");
    phone.ok(&["sync"]);
    kofi.ok(&["send", "anna", "welcome back"]);
    assert_eq!(phone.texts("kofi"), ["welcome back"]);
    let number = |person: &Person| person.json(&["verify", "kofi"])[0]["number"].clone();
    assert_eq!(number(&phone), number(&anna), "it is the same identity");
}

#[test]
fn read_receipts_can_be_kept_to_oneself() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    assert_eq!(kofi.json(&["status"])[0]["read_receipts"], true);
    assert!(kofi.ok(&["read-receipts", "off"]).contains("nobody sees"));
    assert_eq!(kofi.json(&["status"])[0]["read_receipts"], false);
    anna.ok(&["send", "kofi", "did you see this?"]);
    assert_eq!(kofi.texts("anna"), ["did you see this?"]);
    kofi.ok(&["sync"]);
    assert_eq!(anna.messages("kofi")[0]["state"], "delivered");
    kofi.ok(&["read-receipts", "on"]);
    kofi.ok(&["read", "anna"]);
    kofi.ok(&["sync"]);
    assert_eq!(anna.messages("kofi")[0]["state"], "read");
}
