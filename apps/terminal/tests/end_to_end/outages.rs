//! What happens to messages while the server, the connection or the program goes away.

use super::support::{Person, Server};

#[test]
fn two_people_talk_while_the_server_is_killed_in_between() {
    let mut server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "hello Kofi"]);
    kofi.ok(&["send", "anna", "hello Anna"]);
    server.kill();
    drop(server.start_again());
    anna.ok(&["send", "kofi", "are you still there?"]);
    kofi.ok(&["send", "anna", "I am"]);
    let expected = ["hello Kofi", "hello Anna", "are you still there?", "I am"];
    assert_eq!(anna.texts("kofi"), expected);
    assert_eq!(kofi.texts("anna"), expected);
}

#[test]
fn message_written_without_a_server_is_kept_and_arrives_once_and_in_order() {
    let mut server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "0"]);
    server.kill();
    for text in ["1", "2", "3"] {
        let ran = anna.run(&["send", "kofi", text, "--timeout", "0.2"]);
        assert_eq!(ran.exit, 3, "{ran:?}");
        assert!(ran.stderr.contains("kept on this device"), "{}", ran.stderr);
    }
    let unsent = anna.json(&["unsent"]);
    assert_eq!(unsent.len(), 3, "{unsent:?}");
    assert!(unsent.iter().all(|row| row["state"] == "waiting"));
    assert_eq!(anna.texts("kofi"), ["0", "1", "2", "3"]);
    drop(server.start_again());
    anna.ok(&["sync"]);
    anna.ok(&["sync"]);
    assert_eq!(kofi.texts("anna"), ["0", "1", "2", "3"]);
    assert_eq!(anna.json(&["unsent"]).len(), 0);
}

#[test]
fn follower_sees_each_message_once_across_a_kill_of_the_server() {
    let mut server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "before"]);
    kofi.ok(&["sync"]);
    let mut follow = kofi.start(&["follow", "--json", "--count", "4"]);
    follow.wait_for("\"live\"");
    anna.ok(&["send", "kofi", "1"]);
    follow.wait_for("\"text\":\"1\"");
    server.kill();
    anna.run(&["send", "kofi", "2", "--timeout", "0.2"]);
    drop(server.start_again());
    anna.ok(&["send", "kofi", "3"]);
    anna.ok(&["send", "kofi", "4"]);
    let (exit, rest) = follow.end();
    assert_eq!(exit, 0);
    let texts: Vec<String> = super::support::objects(&rest)
        .iter()
        .filter(|row| row["type"] == "message")
        .map(|row| row["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(texts, ["2", "3", "4"]);
}

#[test]
fn what_was_queued_survives_a_kill_of_the_program() {
    let mut server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "0"]);
    server.kill();
    let mut chat = anna.start(&["chat", "kofi"]);
    chat.wait_for("no connection");
    chat.type_line("typed before the power went");
    chat.wait_for("typed before the power went");
    chat.kill();
    drop(server.start_again());
    anna.ok(&["sync"]);
    assert_eq!(kofi.texts("anna"), ["0", "typed before the power went"]);
}

#[test]
fn command_that_needs_the_server_says_why_there_is_none() {
    let mut server = Server::start();
    let [anna] = server.people(["anna"]);
    server.kill();
    let words = anna.fails(&["invite", "--timeout", "0.2"], 6, "TIMED_OUT");
    assert!(words.contains("not running"), "{words}");
    let ran = anna.run(&["conversations", "--timeout", "0.2"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
}

#[test]
fn server_of_another_version_has_words_of_its_own() {
    let (port, answering) = super::later_server::start();
    let anna = Person::new("anna");
    let address = format!("http://127.0.0.1:{port}");
    let ran = anna.run(&["sign-in", &address, "--user-name", "anna"]);
    answering.join().unwrap();
    assert_eq!(ran.exit, 6, "{ran:?}");
    assert!(ran.stderr.contains("speaks versions 7 to 9"), "{}", ran.stderr);
}

#[test]
fn program_that_is_no_server_is_told_apart() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").unwrap();
    });
    let anna = Person::new("anna");
    let address = format!("http://127.0.0.1:{port}");
    let ran = anna.run(&["sign-in", &address, "--user-name", "anna"]);
    answering.join().unwrap();
    assert_eq!(ran.exit, 6, "{ran:?}");
    assert!(ran.stderr.contains("not a Tidings server"), "{}", ran.stderr);
}
