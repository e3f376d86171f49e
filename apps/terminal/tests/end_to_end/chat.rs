//! The interactive chat by plain lines, as pipes, screen readers and dumb terminals have it.

use super::support::Server;

#[test]
fn two_people_chat_while_the_server_is_killed_in_between() {
    let mut server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "are you there?"]);
    let mut annas = anna.start(&["chat", "kofi"]);
    let mut kofis = kofi.start(&["chat"]);
    kofis.wait_for("Anna: are you there?");
    kofis.type_line("here I am");
    annas.wait_for("Kofi: here I am");
    server.kill();
    annas.wait_for("no connection");
    annas.type_line("the server is gone");
    annas.wait_for("you: the server is gone");
    drop(server.start_again());
    kofis.wait_for("Anna: the server is gone");
    kofis.type_line("and back");
    annas.wait_for("Kofi: and back");
    annas.type_line("/quit");
    assert_eq!(annas.end().0, 0);
    assert_eq!(kofis.end().0, 0);
    let expected = ["are you there?", "here I am", "the server is gone", "and back"];
    assert_eq!(kofi.texts("anna"), expected);
    assert_eq!(anna.texts("kofi"), expected);
}

#[test]
fn slash_commands_act_on_messages_and_explain_themselves() {
    let server = Server::start();
    let [anna, kofi] = server.people(["anna", "kofi"]);
    anna.ok(&["send", "kofi", "lunch?"]);
    let mut chat = kofi.start(&["chat", "anna"]);
    chat.wait_for("Anna: lunch?");
    chat.type_line("/reply last at one");
    chat.wait_for("you: at one");
    chat.type_line("/edit last at two");
    chat.wait_for("you: at two (edited)");
    chat.type_line("/react last 👍");
    chat.wait_for("👍 Kofi");
    chat.type_line("/members");
    chat.wait_for("Anna (anna)");
    chat.type_line("/edit");
    chat.wait_for("/edit MESSAGE TEXT");
    chat.type_line("/dance");
    chat.wait_for("no command /dance");
    chat.type_line("//slash");
    chat.wait_for("you: /slash");
    assert_eq!(chat.end().0, 0);
    kofi.ok(&["sync"]);
    let messages = anna.messages("kofi");
    assert_eq!(messages[1]["text"], "at two");
    assert_eq!(messages[1]["reply_to"]["quote"], "lunch?");
    assert_eq!(messages[2]["text"], "/slash");
}
