//! Messages, lines about members and lists as people read them on a terminal of 80 columns or less,
//! with or without emphasis. Whatever other people wrote goes through [`crate::visible`] first.

use tidings_client_core::GroupAct;
use tidings_client_core::view::{
    DeliveryState, EventLine, MessageText, MessageView, Person as Author, Preview, TimelineRow,
};
use tidings_model::event::{Act, Person};
use tidings_model::{Seq, Timestamp};

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
            TimelineRow::Gap(gap) => {
                let when = if gap.from == Seq::FIRST { "before" } else { "in between" };
                let words = format!("      · what was said {when} is not on this device ·");
                vec![self.output.style.dim(&words).into_owned()]
            }
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
            MessageText::Unreadable => {
                "(this device cannot read it; whoever sent it can send it again)".to_owned()
            }
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
        let who = self.author(&line.actor);
        match &line.act {
            None if line.group.is_empty() => {
                format!("{who} changed something that this program does not know")
            }
            None => {
                let acts = line.group.chunk_by(|one, other| one == other);
                let words = acts.map(|same| self.group_words(&who, &same[0], same.len()));
                words.collect::<Vec<_>>().join("; ")
            }
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

    /// What happened to the group of a sealed conversation, and how often in one Commit.
    fn group_words(&self, who: &str, act: &GroupAct<Author>, count: usize) -> String {
        let all = |people: &[Author]| {
            people.iter().map(|person| self.author(person)).collect::<Vec<_>>().join(", ")
        };
        match act {
            GroupAct::Added(people) => format!("{who} added {}", all(people)),
            GroupAct::Removed(people) => format!("{who} removed {}", all(people)),
            GroupAct::Left(person) => format!("{} left", self.author(person)),
            GroupAct::RoleChanged(person, role) => {
                format!("{who} gave {} the role {}", self.author(person), role_name(*role))
            }
            GroupAct::DeviceAdded(person) => match self.people.is_me(person.account) {
                true => format!("you read along with {}", another(count)),
                false => format!("{} reads along with {}", self.author(person), another(count)),
            },
            GroupAct::DeviceRemoved(person) => {
                format!("{} {} out", self.devices_of(person, count), are(count))
            }
            GroupAct::DeviceReturned(person) => {
                let devices = self.devices_of(person, count);
                format!("{devices} had lost the keys and {} back", are(count))
            }
            GroupAct::Renamed(name) => {
                format!("{who} gave the group the name “{}”", visible::one_line(name))
            }
            GroupAct::TopicChanged(topic) if topic.is_empty() => {
                format!("{who} took the topic away")
            }
            GroupAct::TopicChanged(topic) => {
                format!("{who} set the topic “{}”", visible::one_line(topic))
            }
            GroupAct::PictureChanged => format!("{who} changed the group's picture"),
            GroupAct::Restarted => format!("{who} made the keys of this conversation anew"),
            GroupAct::IdentityChanged(person) => match self.people.is_me(person.account) {
                true => "you have a new identity".to_owned(),
                false => format!(
                    "{} has a new identity: `tidings verify {}` compares the safety number",
                    self.author(person),
                    visible::one_line(&self.people.user_name(person.account))
                ),
            },
        }
    }

    fn devices_of(&self, person: &Author, count: usize) -> String {
        let devices = match count {
            1 => "a device".to_owned(),
            count => format!("{count} devices"),
        };
        match self.people.is_me(person.account) {
            true => format!("{devices} of yours"),
            false => format!("{devices} of {}", self.author(person)),
        }
    }

    fn author(&self, person: &Author) -> String {
        if self.people.is_me(person.account) {
            return "you".to_owned();
        }
        visible::one_line(&person.name).into_owned()
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

fn another(devices: usize) -> String {
    if devices == 1 { "another device".to_owned() } else { format!("{devices} other devices") }
}

fn are(devices: usize) -> &'static str {
    if devices == 1 { "is" } else { "are" }
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
    use tidings_client_core::view::{Quote, ReactionView};
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
            group: Vec::new(),
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
    #[test]
    fn commit_says_all_that_it_did_in_words() {
        let output =
            Output { json: false, style: Style::plain(), clock: Clock::utc(), columns: None };
        let people = People::new(Some(KOFI), Vec::new());
        let format = Format { output: &output, people: &people, ticks: Ticks::Shown };
        let me = Author { account: KOFI, name: "Kofi".to_owned() };
        let anna = Author { account: AccountId::from_bytes([2; 16]), name: "Ann\x1ba".to_owned() };
        let words = |group| {
            let (seq, time) = (Seq::FIRST, Timestamp::from_millis(0));
            format.event_words(&EventLine { seq, time, actor: anna.clone(), act: None, group })
        };
        let both =
            vec![GroupAct::Added(vec![me.clone()]), GroupAct::RoleChanged(me.clone(), Role::Admin)];
        assert_eq!(words(both), "Ann\\u{1b}a added you; Ann\\u{1b}a gave you the role admin");
        let device = vec![GroupAct::DeviceAdded(anna.clone())];
        assert_eq!(words(device), "Ann\\u{1b}a reads along with another device");
        assert_eq!(words(vec![GroupAct::DeviceRemoved(me)]), "a device of yours is out");
        let twice = vec![GroupAct::DeviceRemoved(anna.clone()); 2];
        assert_eq!(words(twice), "2 devices of Ann\\u{1b}a are out");
        let changed = words(vec![GroupAct::IdentityChanged(anna.clone())]);
        assert!(changed.contains("a new identity: `tidings verify "), "{changed}");
    }
}
