//! Signing up, in and out; devices; what each refusal says.

use super::support::{PASSWORD, Person, Server};

#[test]
fn first_account_is_the_administrators() {
    let server = Server::start();
    let anna = Person::new("anna");
    let account = anna.json(&[
        "sign-up",
        &server.first_link,
        "--user-name",
        "Anna",
        "--display-name",
        "Anna Åström",
    ]);
    assert_eq!(account[0]["user_name"], "anna");
    assert_eq!(account[0]["display_name"], "Anna Åström");
    assert_eq!(account[0]["administrator"], true);
    let kofi = Person::new("kofi");
    let account = kofi.json(&["sign-up", &anna.invite(), "--user-name", "kofi"]);
    assert_eq!(account[0]["display_name"], "kofi");
    assert_eq!(account[0]["administrator"], false);
}

#[test]
fn presence_is_kept_without_a_server_and_shown_until_it_is_changed() {
    let mut server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "hello"]);
    assert_eq!(anna.json(&["status"])[0]["presence"], "online");
    server.kill();
    assert!(anna.ok(&["presence", "hidden"]).contains("nobody sees"));
    drop(server.start_again());
    assert_eq!(anna.json(&["status"])[0]["presence"], "hidden");
    assert!(anna.ok(&["status"]).contains("presence    hidden"));
    assert_eq!(kofi.json(&["status"])[0]["presence"], "online");
    let mut chat = anna.start(&["chat", "kofi"]);
    chat.type_line("/presence online");
    chat.wait_for("others see that you are here");
    assert_eq!(chat.end().0, 0);
    assert_eq!(anna.json(&["status"])[0]["presence"], "online");
    anna.fails(&["presence", "away"], 2, "USAGE");
}

#[test]
fn used_invite_and_unknown_invite_are_told_apart() {
    let server = Server::start();
    let [_anna] = server.people(["anna"]);
    let eve = Person::new("eve");
    let words = eve.fails(&["sign-up", &server.first_link, "--user-name", "eve"], 1, "INVITE_USED");
    assert!(words.contains("used already"), "{words}");
    let (before, token) = server.first_link.split_once("#invite=").unwrap();
    let end = token.find('&').unwrap_or(token.len());
    let mut other = token.to_owned();
    other.replace_range(..end, &"a".repeat(end));
    let link = format!("{before}#invite={other}");
    eve.fails(&["sign-up", &link, "--user-name", "eve"], 1, "INVITE_INVALID");
    let cut = &server.first_link[..server.first_link.len() - 3];
    eve.fails(&["sign-up", cut, "--user-name", "eve"], 2, "INVITE_LINK");
}

#[test]
fn user_name_of_another_is_refused_and_the_invite_stays_good() {
    let server = Server::start();
    let [anna] = server.people(["anna"]);
    let link = anna.invite();
    let eve = Person::new("eve");
    let words = eve.fails(&["sign-up", &link, "--user-name", "ANNA"], 1, "USER_NAME_TAKEN");
    assert!(words.contains("choose another"), "{words}");
    eve.ok(&["sign-up", &link, "--user-name", "eve"]);
}

#[test]
fn wrong_password_and_unknown_name_get_the_same_words() {
    let server = Server::start();
    let [_anna] = server.people(["anna"]);
    let device = Person::new("second device");
    let sign_in = |user_name: &str, password: &str| {
        let arguments =
            ["sign-in", &server.first_link, "--user-name", user_name, "--password-stdin", "--json"];
        device.run_with(&arguments, password)
    };
    let wrong = sign_in("anna", "wrong");
    let unknown = sign_in("nobody", PASSWORD);
    assert_eq!((wrong.exit, unknown.exit), (1, 1), "{wrong:?} {unknown:?}");
    assert!(wrong.stderr.contains("NOT_AUTHENTICATED"), "{}", wrong.stderr);
    assert_eq!(wrong.stderr, unknown.stderr);
    let right = sign_in("anna", &format!("{PASSWORD}\n"));
    assert_eq!(right.exit, 0, "{right:?}");
}

#[test]
fn second_device_has_the_history_of_open_conversations_and_can_be_revoked() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["create", "--open", "kofi"]);
    anna.ok(&["send", "kofi", "before the second device"]);
    let tablet = Person::new("kofi's tablet");
    tablet.ok(&["sign-in", &server.first_link, "--user-name", "kofi", "--device-name", "tablet"]);
    assert_eq!(tablet.texts("anna"), ["before the second device"]);

    let follow = tablet.start(&["follow", "--json"]);
    let mut follow = follow;
    follow.wait_for("\"live\"");
    let devices = kofi.json(&["devices"]);
    assert_eq!(devices.len(), 2, "{devices:?}");
    kofi.ok(&["devices", "revoke", "tablet"]);
    let (exit, _) = follow.end();
    assert_eq!(exit, 4);

    let ran = tablet.run(&["send", "anna", "typed in vain"]);
    assert_eq!(ran.exit, 4, "{ran:?}");
    assert!(ran.stderr.contains("signed out"), "{}", ran.stderr);
    assert!(ran.stderr.contains("kept"), "{}", ran.stderr);
    assert_eq!(tablet.texts("anna"), ["before the second device"]);
    assert_eq!(kofi.json(&["devices"]).len(), 1);
}

#[test]
fn unsent_messages_of_a_revoked_device_are_sent_after_signing_in_again() {
    let mut server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["create", "--open", "kofi"]);
    anna.ok(&["send", "kofi", "hello"]);
    let tablet = kofi.other_device(&server, "tablet");
    tablet.ok(&["sync"]);
    server.kill();
    let ran = tablet.run(&["send", "anna", "written on the train", "--timeout", "0.2"]);
    assert_eq!(ran.exit, 3, "{ran:?}");
    drop(server.start_again());
    kofi.ok(&["devices", "revoke", "tablet"]);
    let ran = tablet.run(&["sync"]);
    assert_eq!(ran.exit, 4, "{ran:?}");
    assert!(ran.stderr.contains("1 unsent message is kept"), "{}", ran.stderr);
    tablet.ok(&["sign-in"]);
    tablet.ok(&["sync"]);
    assert_eq!(anna.texts("kofi"), ["hello", "written on the train"]);
}

#[test]
fn sign_out_leaves_nothing_and_refuses_to_lose_what_was_not_sent() {
    let mut server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "hello"]);
    server.kill();
    anna.run(&["send", "kofi", "not sent yet", "--timeout", "0.2"]);
    let words = anna.fails(&["sign-out", "--timeout", "0.2"], 1, "UNSENT");
    assert!(words.contains("tidings sync"), "{words}");
    drop(server.start_again());
    anna.ok(&["sync"]);
    anna.ok(&["sign-out"]);
    anna.fails(&["conversations"], 4, "NOT_SIGNED_IN");
    assert_eq!(kofi.texts("anna"), ["hello", "not sent yet"]);
}

#[test]
fn certificate_that_is_not_the_pinned_one_is_refused() {
    let server = Server::start();
    let other = Server::start();
    let (_, pin) = other.first_link.split_once("&sha256=").unwrap();
    let (link, _) = server.first_link.split_once("&sha256=").unwrap();
    let forged = format!("{link}&sha256={pin}");
    let anna = Person::new("anna");
    let ran = anna.run(&["sign-up", &forged, "--user-name", "anna"]);
    assert_eq!(ran.exit, 6, "{ran:?}");
    assert!(ran.stderr.contains("certificate is not the one"), "{}", ran.stderr);
    let ran = anna.run(&["sign-up", link, "--user-name", "anna"]);
    assert_eq!(ran.exit, 6, "{ran:?}");
    assert!(ran.stderr.contains("no known authority"), "{}", ran.stderr);
}

#[test]
fn nobody_signed_in_is_told_what_to_do() {
    let anna = Person::new("anna");
    for command in [&["conversations"][..], &["send", "kofi", "hello"], &["invite"], &["chat"]] {
        let words = anna.fails(command, 4, "NOT_SIGNED_IN");
        assert!(words.contains("sign-up"), "{words}");
    }
}

#[test]
fn unclear_command_line_is_an_object_for_programs_and_help_for_people() {
    let anna = Person::new("anna");
    let words = anna.fails(&["send"], 2, "USAGE");
    assert!(words.contains("CONVERSATION"), "{words}");
    let ran = anna.run(&["send"]);
    assert_eq!(ran.exit, 2);
    assert!(ran.stderr.contains("Usage:"), "{}", ran.stderr);
    assert!(anna.ok(&["send", "--help"]).contains("--reply-to"));
}

#[test]
fn folder_in_use_is_named() {
    let server = Server::start();
    let [anna] = server.people(["anna"]);
    let mut follow = anna.start(&["follow", "--json"]);
    follow.wait_for("\"live\"");
    let words = anna.fails(&["status"], 5, "FOLDER_IN_USE");
    assert!(words.contains(&anna.folder().display().to_string()), "{words}");
}

#[test]
fn damaged_database_is_told_and_not_touched() {
    let server = Server::start();
    let [anna] = server.people(["anna"]);
    let file = anna.folder().join("tidings.db");
    let damaged = vec![0xA5; 8192];
    std::fs::write(&file, &damaged).unwrap();
    for leftover in ["tidings.db-wal", "tidings.db-shm"] {
        let _ = std::fs::remove_file(anna.folder().join(leftover));
    }
    let words = anna.fails(&["conversations"], 5, "DATABASE_DAMAGED");
    assert!(words.contains("damaged"), "{words}");
    assert_eq!(std::fs::read(&file).unwrap(), damaged);
}
