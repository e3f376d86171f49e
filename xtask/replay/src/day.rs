//! One day of the raw log of an IRC channel: who said what, who came and who went, and when.
//!
//! The lines of the log are `[HH:MM] <nick> text`, `[HH:MM]  * nick action`,
//! `=== nick [user@host]  has joined #channel` and the same with `has left` or `has quit`. Everything
//! else is left out: modes, notices, and `is now known as`, since who speaks under a new nickname is
//! counted as whoever has it. A `<nick>` with nothing behind it is no message either; the channel
//! had none, what it held was stripped when the log was published.
//!
//! All files of the data set are UTF-8 throughout. A line that is not is read as ISO 8859-1, the usual
//! other encoding of that network: each byte becomes one character, so nothing of it is lost.
//! Deliberately not here: when a line is replayed, and by which client ([`crate::plan`]).

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use tidings_protocol_identity::UserName;

/// A minute of the day, to whose precision the log tells times.
const MINUTE: Duration = Duration::from_secs(60);

/// Minutes of a day.
const DAY_MINUTES: u64 = 24 * 60;

/// A day, or its beginning.
#[derive(Debug)]
pub(crate) struct Day {
    /// Everybody who speaks, in the order of their first line.
    pub(crate) people: Vec<Person>,
    /// What happens, in the order of the log. Times never decrease.
    pub(crate) happenings: Vec<Happening>,
}

/// Somebody who speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    /// The account's name.
    pub(crate) user_name: UserName,
    /// The nickname as it was first spelt.
    pub(crate) nickname: String,
}

/// Something that happens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Happening {
    /// When, from the first happening's minute on.
    pub(crate) at: Duration,
    /// The line of the file, from 1.
    pub(crate) line: usize,
    /// Whose act it is: an index of [`Day::people`].
    pub(crate) person: usize,
    /// What.
    pub(crate) act: Act,
}

/// What somebody does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// Says a text; for an action it is `* nick action`.
    Says(String),
    /// Comes in.
    Joins,
    /// Leaves or quits.
    Leaves,
}

/// A line that counts, before it is known who speaks at all.
struct LogLine {
    line: usize,
    minute: Option<u64>,
    nickname: String,
    act: Act,
}

impl Day {
    /// Reads a log up to its `lines_max`th message.
    ///
    /// # Errors
    /// There is no message in it.
    pub(crate) fn parse(log: &[u8], lines_max: usize) -> Result<Self> {
        let mut lines = Vec::new();
        let mut messages = 0;
        for (index, bytes) in log.split(|byte| *byte == b'\n').enumerate() {
            if messages == lines_max {
                break;
            }
            let Some(line) = parse_line(index + 1, &decode(bytes)) else { continue };
            messages += usize::from(matches!(line.act, Act::Says(_)));
            lines.push(line);
        }
        ensure!(messages > 0, "there is no line of the form \"[HH:MM] <nick> text\" in the file");
        let people = People::who_speak(&lines)?;
        let minutes = absolute_minutes(&lines);
        let times = spread(&minutes);
        let happenings = lines
            .into_iter()
            .zip(times)
            .filter_map(|(line, at)| {
                let person = people.find(&line.nickname)?;
                Some(Happening { at, line: line.line, person, act: line.act })
            })
            .collect();
        Ok(Self { people: people.list, happenings })
    }
}

/// Those who speak, and the accounts of their nicknames.
struct People {
    list: Vec<Person>,
    by_user_name: HashMap<UserName, usize>,
}

impl People {
    fn who_speak(lines: &[LogLine]) -> Result<Self> {
        let mut people = Self { list: Vec::new(), by_user_name: HashMap::new() };
        for line in lines.iter().filter(|line| matches!(line.act, Act::Says(_))) {
            let user_name = user_name_of(&line.nickname)
                .with_context(|| format!("line {}: no user name for the nickname", line.line))?;
            if !people.by_user_name.contains_key(&user_name) {
                people.by_user_name.insert(user_name.clone(), people.list.len());
                people.list.push(Person { user_name, nickname: line.nickname.clone() });
            }
        }
        Ok(people)
    }

    fn find(&self, nickname: &str) -> Option<usize> {
        self.by_user_name.get(&user_name_of(nickname).ok()?).copied()
    }
}

/// The user name of a nickname: what PRECIS makes of it, so that `Anna` and `anna` are one person. For
/// one that PRECIS refuses it is made of the nickname's hash; the dot keeps it apart from all others,
/// since no IRC nickname can hold one (RFC 2812 §2.3.1).
fn user_name_of(nickname: &str) -> Result<UserName> {
    if let Ok(user_name) = UserName::parse(nickname) {
        return Ok(user_name);
    }
    let digest = Sha256::digest(nickname);
    let hex: String = digest[..10].iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(UserName::parse(&format!("nick.{hex}"))?)
}

fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

fn parse_line(line: usize, text: &str) -> Option<LogLine> {
    if let Some(event) = text.strip_prefix("=== ") {
        let (nickname, act) = parse_event(event)?;
        return Some(LogLine { line, minute: None, nickname, act });
    }
    let (time, rest) = text.strip_prefix('[')?.split_once("] ")?;
    let minute = Some(parse_minute(time)?);
    let (nickname, said) = match rest.strip_prefix('<') {
        Some(rest) => rest.split_once("> ")?,
        None => (rest.strip_prefix(" * ")?.split_once(' ')?.0, rest.strip_prefix(' ')?),
    };
    if nickname.is_empty() || said.is_empty() {
        return None;
    }
    let act = Act::Says(said.to_owned());
    Some(LogLine { line, minute, nickname: nickname.to_owned(), act })
}

/// `nick [user@host]  has joined #channel`. A nickname may hold spaces and brackets, for the published
/// log has a space behind each `]` of a nickname; so the host is looked for from the right.
fn parse_event(event: &str) -> Option<(String, Act)> {
    let acts = [
        ("]  has joined ", Act::Joins),
        ("]  has left ", Act::Leaves),
        ("]  has quit", Act::Leaves),
    ];
    acts.into_iter().find_map(|(words, act)| {
        let (who, _) = event.split_once(words)?;
        let (nickname, host) = who.rsplit_once(" [")?;
        (host.contains('@') && !nickname.is_empty()).then(|| (nickname.to_owned(), act))
    })
}

fn parse_minute(time: &str) -> Option<u64> {
    let (hours, minutes) = time.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

/// The minute of each line since the first day's midnight: a time that goes back is the next day, and a
/// line without a time has that of the line before it (at the beginning: of the first that has one).
fn absolute_minutes(lines: &[LogLine]) -> Vec<u64> {
    let mut now = lines.iter().find_map(|line| line.minute).unwrap_or_default();
    lines
        .iter()
        .map(|line| {
            if let Some(minute) = line.minute {
                let midnight = now - now % DAY_MINUTES;
                let of_today = midnight + minute;
                now = if of_today < now { of_today + DAY_MINUTES } else { of_today };
            }
            now
        })
        .collect()
}

/// Spreads the lines of a minute over it.
fn spread(minutes: &[u64]) -> Vec<Duration> {
    let first = minutes.first().copied().unwrap_or_default();
    minutes
        .chunk_by(|one, next| one == next)
        .flat_map(|chunk| {
            let start = MINUTE.saturating_mul(u32::try_from(chunk[0] - first).unwrap_or(u32::MAX));
            let count = chunk.len();
            (0..count).map(move |index| {
                // The middle of its share, so that the lines of two minutes keep a distance too.
                let share = (index as f64 + 0.5) / count as f64;
                start + MINUTE.mul_f64(share)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(log: &str) -> Day {
        Day::parse(log.as_bytes(), usize::MAX).unwrap()
    }

    /// What happens, as `nick: act`.
    fn acts(day: &Day) -> Vec<(String, Act)> {
        let nickname = |person: usize| day.people[person].nickname.clone();
        day.happenings.iter().map(|one| (nickname(one.person), one.act.clone())).collect()
    }

    fn messages(day: &Day) -> usize {
        day.happenings.iter().filter(|one| matches!(one.act, Act::Says(_))).count()
    }

    fn says(nickname: &str, text: &str) -> (String, Act) {
        (nickname.to_owned(), Act::Says(text.to_owned()))
    }

    #[test]
    fn messages_and_actions_are_kept_byte_for_byte() {
        let day = parse(
            "[11:22] <romeo>  two  spaces \t and a bell\u{7}\r\n\
             [11:22]  * juliet sighs  \n\
             [11:23] <romeo> [11:24] <mercutio> is a quotation\n",
        );
        assert_eq!(
            acts(&day),
            [
                says("romeo", " two  spaces \t and a bell\u{7}\r"),
                says("juliet", "* juliet sighs  "),
                says("romeo", "[11:24] <mercutio> is a quotation"),
            ]
        );
        assert_eq!(messages(&day), 3);
    }

    #[test]
    fn other_lines_are_left_out() {
        let day = parse(
            "\n[11:22] <romeo>\n[11:22] -nurse:#verona- a notice\n=== mode/#verona [+o romeo]  by nurse\n\
             === romeo waits for [a@b]\n[25:00] <romeo> no such hour\n[11:22] <romeo> hello\n",
        );
        assert_eq!(acts(&day), [says("romeo", "hello")]);
        assert_eq!(day.happenings[0].line, 7);
    }

    #[test]
    fn joins_parts_and_quits_of_those_who_speak_are_read() {
        let day = parse(
            "=== [GuS]  [n=x@y]  has joined #ubuntu\n[01:00] <[GuS] > hi\n\
             === [GuS]  [n=x@y]  has left #ubuntu [\"Leaving\"]\n\
             === [GuS]  [[H] -1@y]  has joined #ubuntu\n=== [GuS]  [n=x@y]  has quit [Read error]\n\
             === lurker [n=x@y]  has joined #ubuntu\n",
        );
        let gus = |act| ("[GuS] ".to_owned(), act);
        assert_eq!(
            acts(&day),
            [
                gus(Act::Joins),
                says("[GuS] ", "hi"),
                gus(Act::Leaves),
                gus(Act::Joins),
                gus(Act::Leaves),
            ]
        );
    }

    #[test]
    fn nicknames_that_are_equal_after_precis_are_one_person() {
        let day = parse("[01:00] <Juliet> a\n[01:00] <juliet> b\n[01:00] <JULIET_> c\n");
        assert_eq!(day.people.len(), 2);
        assert_eq!(day.happenings[1].person, 0);
        assert_eq!(day.people[0].nickname, "Juliet");
    }

    #[test]
    fn nickname_that_precis_refuses_gets_a_user_name_of_its_own() {
        let day = parse("[01:00] <A[D] minS> a\n[01:00] <A[D]minS> b\n[01:00] <A[D] minS> c\n");
        assert_eq!(day.people.len(), 2);
        let user_name = day.people[0].user_name.as_str();
        assert!(user_name.starts_with("nick.") && user_name.len() == 25, "{user_name}");
        assert_eq!(day.happenings[2].person, 0);
    }

    #[test]
    fn time_that_goes_back_is_the_next_day() {
        let day = parse("[23:59] <a> 1\n[00:01] <a> 2\n[23:00] <a> 3\n[00:00] <a> 4\n");
        let minutes: Vec<u64> = day.happenings.iter().map(|one| one.at.as_secs() / 60).collect();
        assert_eq!(minutes, [0, 2, 23 * 60 + 1, 24 * 60 + 1]);
    }

    #[test]
    fn lines_of_a_minute_are_spread_over_it_in_their_order() {
        let day = parse("[10:00] <a> 1\n[10:00] <a> 2\n[10:00] <a> 3\n[10:01] <a> 4\n");
        let seconds: Vec<u64> = day.happenings.iter().map(|one| one.at.as_secs()).collect();
        assert_eq!(seconds, [10, 30, 50, 90]);
    }

    #[test]
    fn line_that_is_not_utf_8_is_read_as_latin_1_without_loss() {
        let day = Day::parse(b"[10:00] <a> caf\xe9 \xff\n[10:00] <a> caf\xc3\xa9\n", 9).unwrap();
        assert_eq!(acts(&day), [says("a", "caf\u{e9} \u{ff}"), says("a", "caf\u{e9}")]);
    }

    #[test]
    fn beginning_of_a_day_has_only_those_who_speak_in_it() {
        let day = Day::parse(b"[10:00] <a> 1\n[10:00] <b> 2\n[10:00] <c> 3\n", 2).unwrap();
        assert_eq!((messages(&day), day.people.len()), (2, 2));
    }

    #[test]
    fn file_without_a_message_is_refused() {
        assert!(Day::parse(b"=== a [b@c]  has joined #d\n", 9).is_err());
    }

    #[test]
    fn busiest_days_have_the_counts_of_their_description() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/ubuntu-irc");
        let days =
            [("2008-04-27", 1958, 181), ("2006-06-01", 1721, 223), ("2008-04-30", 1690, 172)];
        for (name, lines, nicknames) in days {
            let log = std::fs::read(format!("{folder}/{name}.txt")).unwrap();
            let day = Day::parse(&log, usize::MAX).unwrap();
            assert_eq!(messages(&day), lines, "{name}");
            // Some nicknames differ only in case.
            assert!(day.people.len() <= nicknames && day.people.len() > nicknames - 5, "{name}");
            assert!(day.happenings.is_sorted_by_key(|happening| happening.at), "{name}");
        }
    }
}
