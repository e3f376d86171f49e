//! Messages, lines about members and lists as people read them on a terminal of 80 columns or less,
//! with or without emphasis. Whatever other people wrote goes through [`crate::visible`] first.

use tidings_client_core::view::{
    DeliveryState, EventLine, MessageText, MessageView, Preview, TimelineRow,
};
use tidings_model::Timestamp;
use tidings_model::event::{Act, Person};

use crate::naming::{MESSAGE_ID_SHOWN, short};
use crate::output::Output;
use crate::people::People;
use crate::record::role_name;
use crate::visible;

/// Columns of `08:05 abcde `, under which the further lines of a message stand.
const INDENT: usize = 6 + MESSAGE_ID_SHOWN + 1;

/// What rows are drawn with.
pub(crate) struct Format<'a> {
    pub(crate) output: &'a Output,
    pub(crate) people: &'a People,
    pub(crate) ticks: Ticks,
}

/// Whether an own message tells how far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ticks {
    /// It does, as far as it got when it is printed.
    Shown,
    /// It does not, because it has only just been sent and the line will outlive that state.
    Hidden,
}

impl Format<'_> {
    /// A row of a timeline, as lines. `place` names the conversation where several are shown.
    pub(crate) fn row(&self, row: &TimelineRow, place: Option<&str>) -> Vec<String> {
        match row {
            TimelineRow::Message(message) => self.message(message, place),
            TimelineRow::Event(line) => vec![self.event(line, place)],
            TimelineRow::Gap(_) => vec![
                self.output
                    .style
                    .dim("      · earlier messages are not shown to you ·")
                    .into_owned(),
            ],
        }
    }

    /// A message, as lines.
    pub(crate) fn message(&self, message: &MessageView, place: Option<&str>) -> Vec<String> {
        let style = self.output.style;
        let id = message.message.message_id.to_string();
        let time = self.output.clock.time(message.time);
        let mut lines = Vec::new();
        let name =
            if message.state.is_some() { "you" } else { &*visible::one_line(&message.author.name) };
        let mut said = place_before(place);
        let head_columns = INDENT + visible::width(&said) + visible::width(name) + 2;
        said.push_str(&style.bold(name));
        said.push_str(": ");
        let body = self.body(message);
        for (number, line) in self.wrap(&body, head_columns).into_iter().enumerate() {
            if number == 0 {
                let id = style.dim(short(&id, MESSAGE_ID_SHOWN)).into_owned();
                lines.push(format!("{time} {id} {said}{line}"));
            } else {
                lines.push(format!("{:INDENT$}{line}", ""));
            }
        }
        if let Some(quote) = &message.reply_to {
            let quoted = self.cut(
                &format!(
                    "┊ {}: {}",
                    visible::one_line(&quote.author.name),
                    visible::one_line(&quote.text)
                ),
                INDENT,
            );
            lines.insert(0, format!("{:INDENT$}{}", "", style.dim(&quoted)));
        }
        if !message.reactions.is_empty() {
            let reactions: Vec<String> = message.reactions.iter().map(reaction).collect();
            let reactions = self.cut(&reactions.join("  "), INDENT);
            lines.push(format!("{:INDENT$}{reactions}", ""));
        }
        lines
    }

    /// The text of a message with what belongs behind it.
    fn body(&self, message: &MessageView) -> String {
        let mut body = match &message.text {
            MessageText::Text(text) | MessageText::Fallback(text) => {
                visible::lines(text).collect::<Vec<_>>().join("\n")
            }
            MessageText::Deleted => "(deleted)".to_owned(),
            MessageText::Unreadable => "(this program cannot read it: a newer one may)".to_owned(),
        };
        if message.forwarded {
            body.insert_str(0, "(forwarded) ");
        }
        if message.edited {
            body.push_str(" (edited)");
        }
        if message.detached {
            body.push_str(" (not on the server now: it was restored from an older state)");
        }
        if let Some(state) = message.state.as_ref().filter(|_| self.ticks == Ticks::Shown) {
            body.push_str("  ");
            body.push_str(&ticks(state));
        }
        body
    }

    /// A line about members or the name.
    pub(crate) fn event(&self, line: &EventLine, place: Option<&str>) -> String {
        let time = self.output.clock.time(line.time);
        let words = self.event_words(line);
        let text = format!("{time} {:MESSAGE_ID_SHOWN$} {}· {words}", "", place_before(place));
        self.output.style.dim(&text).into_owned()
    }

    fn event_words(&self, line: &EventLine) -> String {
        let who = if self.people.is_me(line.actor.account) {
            "you".to_owned()
        } else {
            visible::one_line(&line.actor.name).into_owned()
        };
        match &line.act {
            None => format!("{who} changed something that this program does not know"),
            Some(Act::Created { name, .. }) if name.is_empty() => {
                format!("{who} began to talk here")
            }
            Some(Act::Created { name, members }) => {
                let others: Vec<Person> = members
                    .iter()
                    .filter(|member| member.account != line.actor.account)
                    .cloned()
                    .collect();
                let name = visible::one_line(name);
                if others.is_empty() {
                    format!("{who} made the group “{name}”")
                } else {
                    format!("{who} made the group “{name}” with {}", self.names(&others))
                }
            }
            Some(Act::Added(members)) => format!("{who} added {}", self.names(members)),
            Some(Act::Removed(member)) => format!("{who} removed {}", self.name(member)),
            Some(Act::Left { member, new_owner }) => {
                let left = format!("{} left", self.name(member));
                match new_owner {
                    Some(owner) => format!("{left}; the owner is {} now", self.name(owner)),
                    None => left,
                }
            }
            Some(Act::Renamed(name)) => {
                format!("{who} gave the group the name “{}”", visible::one_line(name))
            }
            Some(Act::RoleChanged(member)) => {
                format!("{who} gave {} the role {}", self.name(member), role_name(member.role))
            }
        }
    }

    fn names(&self, people: &[Person]) -> String {
        people.iter().map(|person| self.name(person)).collect::<Vec<_>>().join(", ")
    }

    fn name(&self, person: &Person) -> String {
        if self.people.is_me(person.account) {
            return "you".to_owned();
        }
        let shown =
            if person.display_name.is_empty() { &person.user_name } else { &person.display_name };
        visible::one_line(shown).into_owned()
    }

    /// The last row of a conversation, on one line.
    pub(crate) fn preview(&self, preview: &Preview) -> String {
        match preview {
            Preview::Message { author, text, state } => {
                let text = match text {
                    MessageText::Text(text) | MessageText::Fallback(text) => {
                        visible::one_line(&text.replace('\n', " ⏎ ")).into_owned()
                    }
                    MessageText::Deleted => "(deleted)".to_owned(),
                    MessageText::Unreadable => "(cannot be read)".to_owned(),
                };
                match state {
                    Some(state) => format!("{} you: {text}", tick(state)),
                    None => format!("{}: {text}", visible::one_line(&author.name)),
                }
            }
            Preview::Event(line) => self.event_words(line),
        }
    }

    /// The line between two days.
    pub(crate) fn day(&self, time: Timestamp) -> String {
        let day = format!("--- {} ---", self.output.clock.day(time));
        self.output.style.dim(&day).into_owned()
    }

    /// Breaks a text at the terminal's edge: `first` columns are taken on its first line.
    fn wrap(&self, text: &str, first: usize) -> Vec<String> {
        let Some(columns) = self.output.columns else {
            return text.split('\n').map(str::to_owned).collect();
        };
        let room = columns.saturating_sub(INDENT);
        let mut lines = Vec::new();
        for (number, line) in text.split('\n').enumerate() {
            let first = if number == 0 { columns.saturating_sub(first) } else { room };
            lines.extend(visible::wrap(line, first, room));
        }
        lines
    }

    fn cut(&self, line: &str, taken: usize) -> String {
        match self.output.columns {
            Some(columns) => visible::cut(line, columns.saturating_sub(taken)).into_owned(),
            None => line.to_owned(),
        }
    }
}

fn place_before(place: Option<&str>) -> String {
    place.map_or_else(String::new, |place| format!("[{}] ", visible::one_line(place)))
}

fn reaction(reaction: &tidings_client_core::view::ReactionView) -> String {
    let people: Vec<_> =
        reaction.people.iter().map(|person| visible::one_line(&person.name)).collect();
    format!("{} {}", visible::one_line(&reaction.emoji), people.join(", "))
}

/// How far an own message got, as a sign.
pub(crate) fn tick(state: &DeliveryState) -> &'static str {
    match state {
        DeliveryState::Waiting => "◷",
        DeliveryState::Stored => "✓",
        DeliveryState::Delivered | DeliveryState::Read => "✓✓",
        DeliveryState::Failed(_) => "!",
    }
}

/// How far an own message got, as a sign and a word.
pub(crate) fn ticks(state: &DeliveryState) -> String {
    let word = match state {
        DeliveryState::Waiting => "waiting".to_owned(),
        DeliveryState::Stored => "sent".to_owned(),
        DeliveryState::Delivered => "delivered".to_owned(),
        DeliveryState::Read => "read".to_owned(),
        DeliveryState::Failed(reason) => format!("not sent: {}", visible::one_line(reason)),
    };
    format!("{} {word}", tick(state))
}

#[cfg(test)]
mod tests {
    use tidings_client_core::view::{Person as Author, Quote, ReactionView};
    use tidings_model::{AccountId, MessageId, Role, Seq};
    use tidings_protocol_content::Reference;

    use super::*;
    use crate::style::Style;
    use crate::when::Clock;

    const KOFI: AccountId = AccountId::from_bytes([1; 16]);

    fn message(text: &str) -> MessageView {
        MessageView {
            message: Reference { account: KOFI, message_id: MessageId::from_bytes([0; 16]) },
            seq: Seq::new(7),
            author: Author { account: KOFI, name: "Kofi".to_owned() },
            time: Timestamp::from_millis(1_769_846_700_000),
            text: MessageText::Text(text.to_owned()),
            edited: false,
            forwarded: false,
            reply_to: None,
            reactions: Vec::new(),
            state: None,
            detached: false,
        }
    }

    fn lines(message: &MessageView, columns: Option<usize>) -> Vec<String> {
        let output = Output { json: false, style: Style::plain(), clock: Clock::utc(), columns };
        let people = People::default();
        Format { output: &output, people: &people, ticks: Ticks::Shown }.message(message, None)
    }

    #[test]
    fn message_is_one_line_with_time_id_and_author() {
        assert_eq!(lines(&message("hello"), Some(80)), ["08:05 aaaaa Kofi: hello"]);
    }

    #[test]
    fn long_message_fits_the_terminal_and_keeps_every_word() {
        let words = "never lost never doubled ".repeat(20);
        for columns in [20, 40, 80] {
            let lines = lines(&message(words.trim()), Some(columns));
            assert!(lines.iter().all(|line| visible::width(line) <= columns), "{lines:#?}");
            let all: Vec<&str> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
            assert_eq!(all[3..].join(" "), words.trim());
        }
    }

    #[test]
    fn people_cannot_draw_on_the_terminal_by_name_text_quote_or_reaction() {
        let mut message = message("\x1b[2Jhi");
        message.author.name = "Ko\x1bfi".to_owned();
        message.reply_to = Some(Quote {
            message: message.message,
            author: message.author.clone(),
            text: "\x07".to_owned(),
        });
        message.reactions =
            vec![ReactionView { emoji: "\x1b".to_owned(), people: vec![message.author.clone()] }];
        for line in lines(&message, Some(80)) {
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }

    #[test]
    fn own_message_is_yours_and_tells_how_far_it_got_in_sign_and_word() {
        let mut message = message("hello");
        for (state, expected) in [
            (DeliveryState::Waiting, "◷ waiting"),
            (DeliveryState::Stored, "✓ sent"),
            (DeliveryState::Delivered, "✓✓ delivered"),
            (DeliveryState::Read, "✓✓ read"),
            (DeliveryState::Failed("too long".to_owned()), "! not sent: too long"),
        ] {
            message.state = Some(state);
            let line = format!("08:05 aaaaa you: hello  {expected}");
            assert_eq!(lines(&message, Some(80)), [line]);
        }
    }

    #[test]
    fn deleted_message_shows_that_it_was_and_an_edited_one_that_it_is() {
        let mut message = message("new");
        message.edited = true;
        assert_eq!(lines(&message, None), ["08:05 aaaaa Kofi: new (edited)"]);
        message.edited = false;
        message.text = MessageText::Deleted;
        assert_eq!(lines(&message, None), ["08:05 aaaaa Kofi: (deleted)"]);
    }

    #[test]
    fn what_cannot_be_drawn_is_shown_by_its_fallback() {
        let mut message = message("");
        message.text = MessageText::Fallback("Poll: When?".to_owned());
        assert_eq!(lines(&message, None), ["08:05 aaaaa Kofi: Poll: When?"]);
    }

    #[test]
    fn events_name_who_did_what() {
        let output =
            Output { json: false, style: Style::plain(), clock: Clock::utc(), columns: None };
        let people = People::new(Some(KOFI), Vec::new());
        let format = Format { output: &output, people: &people, ticks: Ticks::Shown };
        let anna = Person {
            account: AccountId::from_bytes([2; 16]),
            user_name: "anna".to_owned(),
            display_name: "Anna".to_owned(),
            role: Role::Member,
        };
        let line = |act| EventLine {
            seq: Seq::FIRST,
            time: Timestamp::from_millis(0),
            actor: Author { account: KOFI, name: "Kofi".to_owned() },
            act,
        };
        let words = |act| format.event_words(&line(act));
        assert_eq!(words(Some(Act::Added(vec![anna.clone()]))), "you added Anna");
        assert_eq!(words(Some(Act::Left { member: anna.clone(), new_owner: None })), "Anna left");
        assert_eq!(words(Some(Act::RoleChanged(anna))), "you gave Anna the role member");
        assert_eq!(
            words(Some(Act::Renamed("A\x1b".into()))),
            "you gave the group the name “A\\u{1b}”"
        );
        assert_eq!(words(None), "you changed something that this program does not know");
    }
}
