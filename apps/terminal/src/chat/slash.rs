//! What a line that begins with `/` asks for. `//` begins a message with a slash.

/// A line of a chat, read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Nothing to do.
    Empty,
    /// A message.
    Text(String),
    /// Something else.
    Slash(Slash),
    /// A slash command that is none, or has not what it needs: how it is used.
    Unclear(String),
}

/// A slash command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Slash {
    /// Answers a message.
    Reply { message: String, text: String },
    /// Changes an own message.
    Edit { message: String, text: String },
    /// Takes a message back.
    Delete { message: String },
    /// Reacts to a message; without an emoji the reaction is taken back.
    React { message: String, emoji: String },
    /// Lists the members.
    Members,
    /// Adds people.
    Add { people: Vec<String> },
    /// Leaves the group.
    Leave,
    /// Prints earlier messages.
    History { last: usize },
    /// Sends again what was refused.
    Retry,
    /// Hides this device, or shows it again.
    Presence { hidden: bool },
    /// Compares safety numbers with the other one, and says what came of it.
    Verify { verified: Option<bool> },
    /// Goes on in an open conversation, for sure or not yet.
    Open { sure: bool },
    /// Links a device by the code that it shows.
    Link { code: String },
    /// Says whether the device that has proved to show the code is to be linked.
    AnswerLink { accepted: bool },
    /// Lists the commands.
    Help,
    /// Ends the chat.
    Quit,
}

/// Commands with what they take and what they do, in the order of the help.
pub(crate) const HELP: &[(&str, &str)] = &[
    ("/reply MESSAGE TEXT", "answer a message (its short id, or last)"),
    ("/edit MESSAGE TEXT", "change the text of an own message"),
    ("/delete MESSAGE", "take a message back, for everyone"),
    ("/react MESSAGE [EMOJI]", "react; without an emoji, take it back"),
    ("/members", "who is here"),
    ("/add PEOPLE...", "add people to this group"),
    ("/leave", "leave this group"),
    ("/history [N]", "print the last messages again, with their ticks"),
    ("/retry", "send again what was refused"),
    ("/verify [confirm|undo]", "the safety number: whether somebody stands between you"),
    ("/open [yes]", "go on in a group that the server can read"),
    ("/link CODE", "link a new device of yours by the code that it shows"),
    ("/presence online|hidden", "whether others see that you are here, and you them"),
    ("/help", "this list"),
    ("/quit", "end the chat (also Ctrl-D)"),
];

const HISTORY_DEFAULT: usize = 20;

/// Reads a line.
pub(crate) fn parse(line: &str) -> Line {
    if line.trim().is_empty() {
        return Line::Empty;
    }
    let Some(command) = line.strip_prefix('/') else { return Line::Text(line.to_owned()) };
    if command.starts_with('/') {
        return Line::Text(command.to_owned());
    }
    let (name, rest) = split(command);
    let (first, second) = split(rest);
    let slash = match name {
        "reply" | "r" if !second.is_empty() => {
            Slash::Reply { message: first.to_owned(), text: second.to_owned() }
        }
        "edit" | "e" if !second.is_empty() => {
            Slash::Edit { message: first.to_owned(), text: second.to_owned() }
        }
        "delete" if !first.is_empty() => Slash::Delete { message: first.to_owned() },
        "react" if !first.is_empty() => {
            Slash::React { message: first.to_owned(), emoji: second.trim().to_owned() }
        }
        "members" => Slash::Members,
        "add" if !rest.is_empty() => {
            Slash::Add { people: rest.split_whitespace().map(str::to_owned).collect() }
        }
        "leave" => Slash::Leave,
        "history" if rest.is_empty() => Slash::History { last: HISTORY_DEFAULT },
        "history" => match rest.trim().parse() {
            Ok(last) => Slash::History { last },
            Err(_) => return unclear(name),
        },
        "retry" => Slash::Retry,
        "presence" if rest.trim() == "online" => Slash::Presence { hidden: false },
        "presence" if rest.trim() == "hidden" => Slash::Presence { hidden: true },
        "verify" => match rest.trim() {
            "" => Slash::Verify { verified: None },
            "confirm" => Slash::Verify { verified: Some(true) },
            "undo" => Slash::Verify { verified: Some(false) },
            _ => return unclear(name),
        },
        "open" => match rest.trim() {
            "" => Slash::Open { sure: false },
            "yes" => Slash::Open { sure: true },
            _ => return unclear(name),
        },
        "link" => match rest.trim() {
            "" => return unclear(name),
            "yes" => Slash::AnswerLink { accepted: true },
            "no" => Slash::AnswerLink { accepted: false },
            code => Slash::Link { code: code.to_owned() },
        },
        "help" | "?" => Slash::Help,
        "quit" | "q" => Slash::Quit,
        _ => return unclear(name),
    };
    Line::Slash(slash)
}

/// The first word, and what follows the spaces behind it. Spaces further on belong to a text.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

fn unclear(name: &str) -> Line {
    let usage = HELP.iter().map(|(usage, _)| *usage).find(|usage| {
        usage.strip_prefix('/').is_some_and(|usage| usage.split(' ').next() == Some(name))
    });
    Line::Unclear(match usage {
        Some(usage) => format!("this is how: {usage}"),
        None => format!("there is no command /{name}: /help lists them; // begins a text with /"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_without_a_slash_is_a_message_with_all_its_spaces() {
        assert_eq!(parse("  hello  there "), Line::Text("  hello  there ".to_owned()));
        assert_eq!(parse("//etc/passwd"), Line::Text("/etc/passwd".to_owned()));
        assert_eq!(parse("   "), Line::Empty);
    }

    #[test]
    fn text_of_a_command_keeps_its_inner_spaces() {
        let slash = Slash::Reply { message: "last".to_owned(), text: "so  be it".to_owned() };
        assert_eq!(parse("/reply last so  be it"), Line::Slash(slash));
    }

    #[test]
    fn reaction_without_an_emoji_takes_it_back() {
        let slash = Slash::React { message: "abcd".to_owned(), emoji: String::new() };
        assert_eq!(parse("/react abcd"), Line::Slash(slash));
    }

    #[test]
    fn command_without_what_it_needs_says_how_it_is_used() {
        for (line, expected) in [
            ("/reply last", "/reply MESSAGE TEXT"),
            ("/add", "/add PEOPLE..."),
            ("/history many", "/history [N]"),
            ("/presence away", "/presence online|hidden"),
            ("/verify maybe", "/verify [confirm|undo]"),
            ("/open sesame", "/open [yes]"),
            ("/link", "/link CODE"),
            ("/dance", "/help"),
        ] {
            let Line::Unclear(words) = parse(line) else { panic!("{line}") };
            assert!(words.contains(expected), "{line}: {words}");
        }
    }

    #[test]
    fn every_command_of_the_help_is_one() {
        for (usage, _) in HELP {
            let line = usage.replace("MESSAGE", "last").replace("[N]", "5");
            let line = line.replace("online|", "").replace("[confirm|undo]", "confirm");
            let line = line.replace("[yes]", "yes");
            assert!(matches!(parse(&line), Line::Slash(_)), "{usage}");
        }
    }
}
